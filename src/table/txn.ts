/** A transaction: changes to any tables of one database that become visible together or not at all. */
import type { Store } from './store.ts';
import { misuse } from './store.ts';
import type { AnyTable } from './table.ts';

type AnyStore = Pick<Store<never>, 'commit' | 'rollback' | 'isChanged'>;

/** Handed to the function given to `Database.write`; of no use after that returns. */
export class Txn {
  /** Revision that every row changed here gets. */
  readonly revision: number;
  readonly #validate: boolean;
  readonly #known: ReadonlySet<unknown>;
  readonly #stores = new Map<AnyStore, AnyTable>();
  readonly #onCommit: (() => void)[] = [];
  #last: unknown;
  #isOpen = true;

  constructor(revision: number, known: ReadonlySet<unknown>, validate: boolean) {
    this.revision = revision;
    this.#known = known;
    this.#validate = validate;
  }

  /** A store is about to change. */
  enter(store: AnyStore, table: AnyTable): void {
    if (!this.#isOpen) throw misuse(`table ${table.name}: the transaction is over`);
    if (this.#last === store) return;
    if (!this.#known.has(table)) throw misuse(`table ${table.name} belongs to another database`);
    this.#stores.set(store, table);
    this.#last = store;
  }

  /** Where the database validates, rows are frozen all the way down, so that a writer to one fails at once. */
  prepare<R>(row: R): R {
    return this.#validate ? deepFreeze(row) : row;
  }

  /** Runs `fn` right after the commit; never, if the transaction fails. */
  onCommit(fn: () => void): void {
    if (!this.#isOpen) throw misuse('the transaction is over');
    this.#onCommit.push(fn);
  }

  /** Makes the changes permanent; the tables that changed. */
  commit(): readonly AnyTable[] {
    this.#isOpen = false;
    const changed = [...this.#stores].filter(([store]) => store.isChanged);
    for (const [store] of changed) store.commit(this.revision);
    return changed.map(([, table]) => table);
  }

  /** What was to run after the commit. */
  committed(): void {
    for (const fn of this.#onCommit) fn();
  }

  /** Takes every change back. */
  rollback(): void {
    this.#isOpen = false;
    for (const store of this.#stores.keys()) store.rollback();
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value))
    return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}
