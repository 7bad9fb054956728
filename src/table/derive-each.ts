/** Derivation row by row: the work is that of the change. */
import type { Change, ChangeIterator } from './changes.ts';
import type { Database } from './database.ts';
import type { Derivation, DeriveOptions } from './derive.ts';
import { addDerivation } from './derive.ts';
import type { Key } from './store.ts';
import { misuse } from './store.ts';
import type { AnyTable, Source, Table } from './table.ts';
import type { Txn } from './txn.ts';

/** What can be chosen. */
export interface DeriveEachOptions extends DeriveOptions {
  /** Tables that `compile` reads besides the row; when one changes, all rows are compiled again. */
  readonly also?: readonly AnyTable[];
}

/**
 * Like `derive`, for compilers that look at one row of `input` at a time: only rows that changed are compiled
 * again. Two input rows must not make the same output key: that is an error of the status.
 */
export function deriveEach<I, R>(
  db: Database,
  input: Table<I>,
  compile: (row: I) => Iterable<R>,
  output: Table<R>,
  { also = [], ...opts }: DeriveEachOptions = {},
): Derivation {
  const each = new Each(db, input, compile, output, also, opts.owner);
  const derivation = addDerivation(db, [input, ...also], output, opts, () => each.build());
  return {
    name: derivation.name,
    get status() {
      return derivation.status;
    },
    [Symbol.dispose]: () => {
      derivation[Symbol.dispose]();
      each[Symbol.dispose]();
    },
  };
}

/** What became of one input row. */
interface News<R> {
  readonly key: Key;
  readonly rows: readonly R[];
}

class Each<I, R> implements Disposable {
  readonly #db: Database;
  readonly #input: Table<I>;
  readonly #compile: (row: I) => Iterable<R>;
  readonly #output: Table<R>;
  readonly #also: readonly AnyTable[];
  readonly #owner: string | undefined;
  readonly #source: Source;
  readonly #changes: ChangeIterator<I>;
  /** Output key → input key that made it, and the other way round. */
  readonly #makers = new Map<Key, Key>();
  readonly #made = new Map<Key, readonly Key[]>();
  /** Of the tables of `also`, when all was last in order; undefined: do the whole next time. */
  #alsoRevision: number | undefined;

  constructor(
    db: Database,
    input: Table<I>,
    compile: (row: I) => Iterable<R>,
    output: Table<R>,
    also: readonly AnyTable[],
    owner: string | undefined,
  ) {
    this.#db = db;
    this.#input = input;
    this.#compile = compile;
    this.#output = output;
    this.#also = also;
    this.#owner = owner;
    this.#source = output.source(owner ?? 'derived');
    this.#changes = input.changes();
  }

  build(): void {
    const alsoRevision = Math.max(0, ...this.#also.map((table) => table.revision));
    const isWhole = alsoRevision !== this.#alsoRevision;
    this.#alsoRevision = undefined; // what fails half way is done wholly next time
    const changes = this.#changes.next();
    const news = isWhole ? this.#everything() : changes.map((change) => this.#newsOf(change));
    if (isWhole) {
      this.#makers.clear();
      this.#made.clear();
    }
    this.#db.write((txn) => {
      this.#apply(txn, news);
      if (isWhole) this.#output.prune(txn, this.#owner ?? '', new Set(this.#makers.keys()));
      this.#source.markSynced(txn);
    });
    this.#alsoRevision = alsoRevision;
  }

  #everything(): News<R>[] {
    return [...this.#input.all()].map((row) => ({
      key: this.#input.keyOf(row),
      rows: [...this.#compile(row)],
    }));
  }

  #newsOf({ key, row, isDeleted }: Change<I>): News<R> {
    return { key, rows: isDeleted ? [] : [...this.#compile(row)] };
  }

  /** All old claims are dropped first: an output key may pass from one input row to another in one step. */
  #apply(txn: Txn, news: readonly News<R>[]): void {
    const unclaimed = new Set<Key>();
    for (const { key } of news) {
      for (const outputKey of this.#made.get(key) ?? []) {
        this.#makers.delete(outputKey);
        unclaimed.add(outputKey);
      }
      this.#made.delete(key);
    }
    for (const { key, rows } of news) {
      for (const row of rows) {
        unclaimed.delete(this.#claim(key, row));
        this.#output.putIfChanged(txn, row);
      }
      if (rows.length > 0)
        this.#made.set(
          key,
          rows.map((row) => this.#output.keyOf(row)),
        );
    }
    for (const outputKey of unclaimed) this.#output.delete(txn, outputKey);
  }

  #claim(maker: Key, row: R): Key {
    const key = this.#output.keyOf(row);
    if (this.#makers.has(key)) throw misuse(`table ${this.#output.name}: two rows with the key ${key}`);
    this.#makers.set(key, maker);
    return key;
  }

  [Symbol.dispose](): void {
    this.#changes[Symbol.dispose]();
  }
}
