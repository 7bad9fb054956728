/**
 * The trivial twin of a table: a map, and a log of every commit. What a consumer should see, it recomputes
 * from the whole log each time.
 */
import type { Key } from '#table';

export interface Row {
  readonly key: Key;
  readonly owner: string;
  readonly tags: readonly Key[];
  readonly value: number;
}

interface Logged {
  readonly revision: number;
  readonly key: Key;
  readonly row: Row;
  readonly isDeleted: boolean;
}

/** Rows as a map, history as a list. */
export class TableTwin {
  readonly rows = new Map<Key, Row>();
  readonly log: Logged[] = [];
  revision = 0;

  put(revision: number, row: Row): void {
    this.rows.set(row.key, row);
    this.#record({ revision, key: row.key, row, isDeleted: false });
  }

  delete(revision: number, key: Key): void {
    const row = this.rows.get(key);
    if (row === undefined) return;
    this.rows.delete(key);
    this.#record({ revision, key, row, isDeleted: true });
  }

  #record(entry: Logged): void {
    this.log.push(entry);
    this.revision = entry.revision;
  }

  /** The last word on each key after `revision`, oldest first. */
  changesAfter(revision: number): Logged[] {
    const last = new Map<Key, Logged>();
    for (const entry of this.log) {
      if (entry.revision <= revision) continue;
      last.delete(entry.key);
      last.set(entry.key, entry);
    }
    return [...last.values()];
  }
}

/** Sorted for comparison: order of rows is nobody's promise. */
export function byKey(rows: Iterable<Row>): Row[] {
  return [...rows].sort((a, b) => (String(a.key) < String(b.key) ? -1 : 1));
}
