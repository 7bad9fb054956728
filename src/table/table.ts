/** One table: readers get, list and watch; writers need a transaction. */
import { deepEqual } from '#kit/equal';
import { MerlonError } from '#kit/errors';
import { ChangeIterator } from './changes.ts';
import type { Entry, IndexFn, Key, Store } from './store.ts';
import { misuse } from './store.ts';
import type { Txn } from './txn.ts';

/** What a table is: its name, and what its rows are found by. */
export interface TableSpec<R> {
  readonly name: string;
  readonly key: (row: R) => Key;
  readonly indexes?: Readonly<Record<string, IndexFn<R>>>;
  /** Who brought the row, where several sources share a table; `prune` then goes by it. */
  readonly owner?: (row: R) => string;
  /** When two rows say the same; by content unless given. */
  readonly equals?: (a: R, b: R) => boolean;
  /** Sources known beforehand: the table is unsynced until each has marked itself synced. */
  readonly sources?: readonly string[];
}

/** A writer of a table that knows when its first listing is complete. */
export interface Source {
  readonly name: string;
  readonly isSynced: boolean;
  /** The first listing is complete; with a transaction, together with its rows. */
  markSynced(txn?: Txn): void;
}

/** What a table asks of its database. */
export interface Scheduler {
  /** The table has changed or become synced. */
  touched(table: AnyTable): void;
  assertReadable(): void;
}

/** A table whatever its rows. */
export type AnyTable = Pick<
  Table<never>,
  'name' | 'isSynced' | 'revision' | 'size' | 'unsynced' | 'onChange'
>;

/** Rows of one kind. Made by `Database.table`. */
export class Table<R> {
  readonly name: string;
  readonly #spec: TableSpec<R>;
  readonly #store: Store<R>;
  readonly #scheduler: Scheduler;
  readonly #indexNames: ReadonlyMap<string, number>;
  readonly #sources = new Map<string, boolean>();
  readonly #listeners = new Set<() => void>();

  constructor(spec: TableSpec<R>, store: Store<R>, scheduler: Scheduler) {
    this.name = spec.name;
    this.#spec = spec;
    this.#store = store;
    this.#scheduler = scheduler;
    this.#indexNames = new Map(Object.keys(spec.indexes ?? {}).map((name, i) => [name, i]));
    for (const name of spec.sources ?? []) this.#sources.set(name, false);
  }

  /** How many rows. */
  get size(): number {
    return this.#store.live.size;
  }

  /** Database revision of the last change of this table; 0 before the first. */
  get revision(): number {
    return this.#store.revision;
  }

  /** Deleted rows that some consumer has not seen yet. */
  get tombstones(): number {
    return this.#store.tombstones.size;
  }

  /** Key of a row. */
  keyOf(row: R): Key {
    return this.#spec.key(row);
  }

  /** The row with this key. */
  get(key: Key): R | undefined {
    return this.#store.live.get(key)?.row;
  }

  has(key: Key): boolean {
    return this.#store.live.has(key);
  }

  /** Revision at which the row with this key became what it is. */
  revisionOf(key: Key): number | undefined {
    return this.#store.live.get(key)?.revision;
  }

  /** All rows, in no particular order. Rows put while iterating may be visited too. */
  *all(): Generator<R, void, undefined> {
    for (const entry of this.#store.live.values()) yield entry.row;
  }

  keys(): IterableIterator<Key> {
    return this.#store.live.keys();
  }

  /** The rows that the index finds under this value. */
  *by(index: string, value: Key): Generator<R, void, undefined> {
    const at = this.#indexNames.get(index);
    if (at === undefined) throw misuse(`table ${this.name} has no index ${index}`);
    for (const entry of this.#find(at, value)) yield entry.row;
  }

  #find(index: number, value: Key): Iterable<Entry<R>> {
    return this.#store.indexes[index]?.find(value) ?? [];
  }

  /** Adds the row or replaces the one with its key; a new revision even if it says the same. */
  put(txn: Txn, row: R): void {
    txn.enter(this.#store, this);
    this.#store.put(this.#spec.key(row), txn.prepare(row), txn.revision);
  }

  /** Like `put`, but a row that says the same stays as it is; whether anything changed. */
  putIfChanged(txn: Txn, row: R): boolean {
    const current = this.get(this.#spec.key(row));
    if (current !== undefined && this.#equals(current, row)) return false;
    this.put(txn, row);
    return true;
  }

  #equals(a: R, b: R): boolean {
    return this.#spec.equals === undefined ? deepEqual(a, b) : this.#spec.equals(a, b);
  }

  /** Removes the row with this key; whether there was one. */
  delete(txn: Txn, key: Key): boolean {
    txn.enter(this.#store, this);
    return this.#store.delete(key, txn.revision);
  }

  /** Removes the owner's rows whose keys are not in `keep` (all rows, when rows have no owner); how many. */
  prune(txn: Txn, owner: string, keep: ReadonlySet<Key>): number {
    const rows = this.#spec.owner === undefined ? this.all() : this.ownedBy(owner);
    let count = 0;
    for (const row of rows) {
      const key = this.#spec.key(row);
      if (!keep.has(key) && this.delete(txn, key)) count++;
    }
    return count;
  }

  /** The rows of one owner; none when rows have no owner. */
  *ownedBy(owner: string): Generator<R, void, undefined> {
    if (this.#spec.owner === undefined) return;
    for (const entry of this.#find(this.#indexNames.size, owner)) yield entry.row;
  }

  /** Makes the owner's rows exactly these, touching only those that differ. Two rows of one key are refused. */
  replace(txn: Txn, rows: Iterable<R>, owner = ''): void {
    const keep = new Set<Key>();
    for (const row of rows) {
      const key = this.#spec.key(row);
      if (keep.has(key)) throw misuse(`table ${this.name}: two rows with the key ${key}`);
      keep.add(key);
      this.putIfChanged(txn, row);
    }
    this.prune(txn, owner, keep);
  }

  /** The source of this name; from now on the table waits for it to be synced. */
  source(name: string): Source {
    const sources = this.#sources;
    if (!sources.has(name)) sources.set(name, false);
    const commit = () => {
      if (sources.get(name) === true) return;
      sources.set(name, true);
      this.#scheduler.touched(this);
    };
    return {
      name,
      get isSynced() {
        return sources.get(name) === true;
      },
      markSynced: (txn) => {
        if (txn === undefined) commit();
        else txn.onCommit(commit);
      },
    };
  }

  /** Whether every source has completed its first listing. True for a table without sources. */
  get isSynced(): boolean {
    for (const isSynced of this.#sources.values()) if (!isSynced) return false;
    return true;
  }

  /** Whether anybody vouches for the table being complete. */
  get hasSources(): boolean {
    return this.#sources.size > 0;
  }

  /** Names of the sources whose first listing is not complete. */
  get unsynced(): readonly string[] {
    return [...this.#sources].filter(([, isSynced]) => !isSynced).map(([name]) => name);
  }

  /**
   * What changes from now on and, first, all rows with a revision above `fromRevision` (0: all rows).
   * Dispose it when done: deletions are kept for it. Error: `TABLE_COMPACTED` when deletions after
   * `fromRevision` are already forgotten.
   */
  changes(fromRevision = 0): ChangeIterator<R> {
    if (fromRevision > 0 && fromRevision < this.#store.forgottenRevision) {
      throw new MerlonError('TABLE_COMPACTED', `table ${this.name}: revision ${fromRevision} is too old`);
    }
    return new ChangeIterator(this, this.#store, this.#scheduler, fromRevision);
  }

  /** Calls `fn` in a microtask after commits that changed this table (many commits may make one call). */
  onChange(fn: () => void): Disposable {
    const listener = () => fn();
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Resolves at the next change; sometimes without one, so look again. */
  watch({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const stop = () => {
        listener[Symbol.dispose]();
        reject(signal?.reason);
      };
      const listener = this.onChange(() => {
        listener[Symbol.dispose]();
        signal?.removeEventListener('abort', stop);
        resolve();
      });
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  /** For the database: the listeners to call. */
  listeners(): readonly (() => void)[] {
    return [...this.#listeners];
  }
}
