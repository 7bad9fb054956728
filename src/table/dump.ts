/** Tables as text for people and tests: one row a line, sorted by key. */
import { formatHex } from '#kit/bytes';
import { compareText } from '#kit/order';
import type { Database } from './database.ts';
import type { Key } from './store.ts';
import type { Table } from './table.ts';

/** The rows as JSON lines, sorted by key: numbers by value, then texts. */
export function* dumpTable<R>(table: Table<R>): Generator<string, void, undefined> {
  const rows = [...table.all()].map((row) => [table.keyOf(row), row] as const);
  rows.sort(([a], [b]) => compareKeys(a, b));
  for (const [, row] of rows) yield rowText(row);
}

/** Every table with a heading: name, rows, revision, and what it waits for. */
export function* dumpDatabase(db: Database): Generator<string, void, undefined> {
  for (const table of db.tables()) {
    const waits = table.isSynced ? '' : `, unsynced: ${table.unsynced.join(' ')}`;
    yield `# ${table.name}: ${table.size} rows, revision ${table.revision}${waits}`;
    yield* dumpTable(table);
  }
}

/** One row as JSON: big integers as decimal text, bytes as hexadecimal text, maps and sets as arrays. */
export function rowText(row: unknown): string {
  return JSON.stringify(row, (_name, value: unknown) => {
    if (typeof value === 'bigint') return value.toString();
    if (value instanceof Uint8Array) return formatHex(value);
    return value instanceof Map || value instanceof Set ? [...value] : value;
  });
}

function compareKeys(a: Key, b: Key): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return compareText(String(a), String(b));
}
