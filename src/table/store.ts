/**
 * Where the rows of one table are: a hash map by key, and through the same entries a list in the order of
 * revisions, newest last. Deleted rows stay in the list as tombstones until every consumer has passed them.
 *
 *   live:  key → entry          list:  oldest ⇄ … ⇄ entry ⇄ … ⇄ tombstone ⇄ newest
 *   tombstones: key → entry
 *
 * To change a row: the entry takes the new row and moves to the end; the old row object is never touched, so
 * a reader that holds it keeps what it read. To see what changed since revision r: walk back from the end to
 * r, then forward: the price is that of the changes, whatever the size of the table. To undo a transaction:
 * its log backwards. Benchmark: test/bench/table.bench.ts.
 */
import { MerlonError } from '#kit/errors';

/** Key of a row, unique within its table. */
export type Key = string | number;

/** Values under which an index finds a row. */
export type IndexFn<R> = (row: R) => readonly Key[];

/** Place of one row. */
export class Entry<R> {
  row: R;
  revision: number;
  isDeleted = false;
  previous: Entry<R>;
  next: Entry<R>;

  constructor(row: R, revision: number) {
    this.row = row;
    this.revision = revision;
    this.previous = this;
    this.next = this;
  }
}

/** Whoever reads changes; `revision` is the last one it has seen. */
export interface Consumer {
  readonly revision: number;
}

interface Undo<R> {
  readonly kind: 'insert' | 'update' | 'delete';
  readonly key: Key;
  readonly entry: Entry<R>;
  readonly row: R;
  readonly revision: number;
  readonly previous: Entry<R>;
  /** Tombstone that an insert removed, and where it stood. */
  readonly tombstone?: Entry<R> | undefined;
  readonly tombstonePrevious?: Entry<R> | undefined;
}

/** Rows by key, by index values and by revision. */
export class Store<R> {
  readonly live = new Map<Key, Entry<R>>();
  readonly tombstones = new Map<Key, Entry<R>>();
  readonly indexes: readonly Index<R>[];
  /** Revision of the last committed change. */
  revision = 0;
  /** Deletions up to here may have been forgotten. */
  forgottenRevision = 0;
  readonly #consumers = new Set<Consumer>();
  /** Sentinel of the ring: `next` is the oldest entry, `previous` the newest. */
  readonly #ring = new Entry<R>(undefined as R, 0);
  #undo: Undo<R>[] = [];

  constructor(indexes: readonly IndexFn<R>[]) {
    this.indexes = indexes.map((values) => new Index(values));
  }

  put(key: Key, row: R, revision: number): void {
    const entry = this.live.get(key);
    if (entry === undefined) this.#insert(key, row, revision);
    else this.#update(key, entry, row, revision);
  }

  #insert(key: Key, row: R, revision: number): void {
    const entry = new Entry(row, revision);
    if (this.indexes.length > 0) this.#reindex(entry, undefined, row);
    const tombstone = this.tombstones.get(key);
    this.#undo.push({
      kind: 'insert',
      key,
      entry,
      row,
      revision,
      previous: entry,
      tombstone,
      tombstonePrevious: tombstone?.previous,
    });
    if (tombstone !== undefined) {
      unlink(tombstone);
      this.tombstones.delete(key);
    }
    linkAfter(this.#ring.previous, entry);
    this.live.set(key, entry);
  }

  #update(key: Key, entry: Entry<R>, row: R, revision: number): void {
    if (this.indexes.length > 0) this.#reindex(entry, entry.row, row);
    const { row: oldRow, revision: oldRevision, previous } = entry;
    this.#undo.push({ kind: 'update', key, entry, row: oldRow, revision: oldRevision, previous });
    entry.row = row;
    entry.revision = revision;
    this.#moveToEnd(entry);
  }

  delete(key: Key, revision: number): boolean {
    const entry = this.live.get(key);
    if (entry === undefined) return false;
    this.#reindex(entry, entry.row, undefined);
    const { row, revision: oldRevision, previous } = entry;
    this.#undo.push({ kind: 'delete', key, entry, row, revision: oldRevision, previous });
    entry.revision = revision;
    entry.isDeleted = true;
    this.#moveToEnd(entry);
    this.live.delete(key);
    this.tombstones.set(key, entry);
    return true;
  }

  #moveToEnd(entry: Entry<R>): void {
    unlink(entry);
    linkAfter(this.#ring.previous, entry);
  }

  /** All values are computed before the first index changes: one that throws leaves every index as it was. */
  #reindex(entry: Entry<R>, oldRow: R | undefined, newRow: R | undefined): void {
    const { indexes } = this;
    const before: (readonly Key[])[] = [];
    const after: (readonly Key[])[] = [];
    for (const index of indexes) {
      before.push(oldRow === undefined ? NO_VALUES : index.values(oldRow));
      after.push(newRow === undefined ? NO_VALUES : index.values(newRow));
    }
    for (let i = 0; i < indexes.length; i++)
      indexes[i]?.move(entry, before[i] ?? NO_VALUES, after[i] ?? NO_VALUES);
  }

  get isChanged(): boolean {
    return this.#undo.length > 0;
  }

  commit(revision: number): void {
    if (this.#undo.length === 0) return;
    this.#undo = [];
    this.revision = revision;
    if (this.tombstones.size > 0) this.#forgetTombstones();
  }

  /** Takes the log back, newest first: at each step the list is as it was right after that step. */
  rollback(): void {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop()) {
      const { kind, key, entry, row, revision, previous } = step;
      this.#reindex(entry, kind === 'delete' ? undefined : entry.row, kind === 'insert' ? undefined : row);
      unlink(entry);
      if (kind === 'insert') {
        this.live.delete(key);
        if (step.tombstone !== undefined) {
          linkAfter(step.tombstonePrevious as Entry<R>, step.tombstone);
          this.tombstones.set(key, step.tombstone);
        }
        continue;
      }
      entry.row = row;
      entry.revision = revision;
      entry.isDeleted = false;
      linkAfter(previous, entry);
      if (kind === 'delete') {
        this.tombstones.delete(key);
        this.live.set(key, entry);
      }
    }
  }

  /** Entries, tombstones too, changed after `revision`; oldest change first. */
  changedSince(revision: number): Entry<R>[] {
    let first = this.#ring;
    if (revision <= 0) first = this.#ring.next;
    else while (first.previous !== this.#ring && first.previous.revision > revision) first = first.previous;
    const entries: Entry<R>[] = [];
    for (let entry = first; entry !== this.#ring; entry = entry.next) entries.push(entry);
    return entries;
  }

  addConsumer(consumer: Consumer): void {
    this.#consumers.add(consumer);
  }

  removeConsumer(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    this.#forgetTombstones();
  }

  /** To be called when a consumer has advanced. */
  consumed(): void {
    if (this.tombstones.size > 0) this.#forgetTombstones();
  }

  #forgetTombstones(): void {
    let seen = Number.POSITIVE_INFINITY;
    for (const { revision } of this.#consumers) {
      if (revision > 0) seen = Math.min(seen, revision); // who has seen nothing yet misses nothing that is gone
    }
    for (const [key, entry] of this.tombstones) {
      if (entry.revision > seen) break; // deletions stand in the order of their revisions
      unlink(entry);
      this.tombstones.delete(key);
      this.forgottenRevision = Math.max(this.forgottenRevision, entry.revision);
    }
  }
}

const NO_VALUES: readonly Key[] = [];

function unlink<R>(entry: Entry<R>): void {
  entry.previous.next = entry.next;
  entry.next.previous = entry.previous;
}

function linkAfter<R>(previous: Entry<R>, entry: Entry<R>): void {
  entry.previous = previous;
  entry.next = previous.next;
  previous.next.previous = entry;
  previous.next = entry;
}

/** Value → entries; a value with one entry has no set, since most values of most indexes are such. */
class Index<R> {
  readonly values: IndexFn<R>;
  readonly #buckets = new Map<Key, Entry<R> | Set<Entry<R>>>();

  constructor(values: IndexFn<R>) {
    this.values = values;
  }

  *find(value: Key): Generator<Entry<R>, void, undefined> {
    const bucket = this.#buckets.get(value);
    if (bucket instanceof Set) yield* bucket;
    else if (bucket !== undefined) yield bucket;
  }

  move(entry: Entry<R>, before: readonly Key[], after: readonly Key[]): void {
    if (sameValues(before, after)) return;
    for (const value of before) this.#remove(value, entry);
    for (const value of after) this.#add(value, entry);
  }

  #add(value: Key, entry: Entry<R>): void {
    const bucket = this.#buckets.get(value);
    if (bucket === undefined) this.#buckets.set(value, entry);
    else if (bucket instanceof Set) bucket.add(entry);
    else if (bucket !== entry) this.#buckets.set(value, new Set([bucket, entry]));
  }

  #remove(value: Key, entry: Entry<R>): void {
    const bucket = this.#buckets.get(value);
    if (bucket === entry) this.#buckets.delete(value);
    else if (bucket instanceof Set && bucket.delete(entry) && bucket.size === 0) this.#buckets.delete(value);
  }
}

function sameValues(a: readonly Key[], b: readonly Key[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Error for a misuse that only a defect in merlon can cause. */
export function misuse(message: string): MerlonError {
  return new MerlonError('INTERNAL', message);
}
