/** Reading what changed in a table, deletions included, at the reader's own pace. */
import type { Key, Store } from './store.ts';
import type { Scheduler, Table } from './table.ts';

/** What became of one key: its row now, or its last row when it was deleted. */
export interface Change<R> {
  readonly key: Key;
  readonly row: R;
  readonly revision: number;
  readonly isDeleted: boolean;
}

/**
 * A consumer of changes. A key that changed several times since the last look appears once, as it is now; one
 * that came and went appears as deleted. Transactions are never seen in part.
 */
export class ChangeIterator<R> implements Disposable {
  readonly #table: Table<R>;
  readonly #store: Store<R>;
  readonly #scheduler: Scheduler;
  #revision: number;
  #isOpen = true;

  constructor(table: Table<R>, store: Store<R>, scheduler: Scheduler, fromRevision: number) {
    this.#table = table;
    this.#store = store;
    this.#scheduler = scheduler;
    this.#revision = fromRevision;
    store.addConsumer(this);
  }

  /** Everything up to this revision has been handed out. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether `next` would return something. */
  get hasNext(): boolean {
    return this.#isOpen && this.#store.revision > this.#revision;
  }

  /** All changes since the last call, oldest first; after that their deletions may be forgotten. */
  next(): readonly Change<R>[] {
    this.#scheduler.assertReadable();
    if (!this.hasNext) return [];
    const from = this.#revision;
    const changes: Change<R>[] = [];
    for (const { row, revision, isDeleted } of this.#store.changedSince(from)) {
      // A reader of everything has no use for rows that were gone before its first look.
      if (isDeleted && from === 0) continue;
      changes.push({ key: this.#table.keyOf(row), row, revision, isDeleted });
    }
    this.#revision = this.#store.revision;
    this.#store.consumed();
    return changes;
  }

  /** Resolves when `next` has something. */
  async wait({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (!this.hasNext) await this.#table.watch({ signal });
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
    this.#store.removeConsumer(this);
  }
}
