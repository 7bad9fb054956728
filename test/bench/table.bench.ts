/**
 * A table of a million ipcache-like rows beside a bare Map of the same rows: bytes per row and nanoseconds per
 * change. Run: `node --expose-gc test/bench/table.bench.ts [rows]`.
 */
import type { Txn } from '#table';
import { Database, systemClock } from '#table';

interface Row {
  readonly prefix: string;
  readonly identity: number;
  readonly isEndpoint: boolean;
  readonly isNode: boolean;
}

const COUNT = Number(process.argv[2] ?? 1_000_000);
const CHANGES = 200_000;
/** Rows in one transaction: a batch of a source, and the single change. */
const BATCHES = [1000, 1];

function row(i: number, identity: number): Row {
  return {
    prefix: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}/32`,
    identity,
    isEndpoint: true,
    isNode: false,
  };
}

function usedBytes(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function report(name: string, value: number, unit: string, ratio?: number): void {
  const times = ratio === undefined ? '' : `  x${ratio.toFixed(2)}`;
  console.log(`${name.padEnd(52)} ${value.toFixed(0).padStart(8)} ${unit}${times}`);
}

function fillMap(): Map<string, Row> {
  const map = new Map<string, Row>();
  for (let i = 0; i < COUNT; i++) {
    const r = row(i, i % 5000);
    map.set(r.prefix, r);
  }
  return map;
}

function fillTable(isIndexed: boolean) {
  const db = new Database({ clock: systemClock });
  const table = db.table<Row>({
    name: 'ipcache',
    key: (r) => r.prefix,
    ...(isIndexed ? { indexes: { identity: (r: Row) => [r.identity] } } : {}),
  });
  for (let i = 0; i < COUNT; i += 10_000) {
    db.write((txn) => {
      for (let j = i; j < Math.min(COUNT, i + 10_000); j++) table.put(txn, row(j, j % 5000));
    });
  }
  return { db, table };
}

function nsPer(count: number, fn: () => void): number {
  const start = performance.now();
  fn();
  return ((performance.now() - start) * 1e6) / count;
}

/** Keys spread over the table, made and hashed before the clock runs: making text is not what is measured. */
const changed = Array.from({ length: CHANGES }, (_, n) => row((n * 7919) % COUNT, 6000 + (n % 100)));
new Set(changed.map((r) => r.prefix));

const empty = usedBytes();
const map = fillMap();
const mapBytes = (usedBytes() - empty) / COUNT;
const mapNs = nsPer(CHANGES, () => {
  for (const r of changed) map.set(r.prefix, r);
});
report('Map: bytes per row', mapBytes, 'B ');
report('Map: change', mapNs, 'ns');
map.clear();

for (const isIndexed of [false, true]) {
  const before = usedBytes();
  const { db, table } = fillTable(isIndexed);
  const name = isIndexed ? 'Table with one index' : 'Table';
  const bytes = (usedBytes() - before) / COUNT;
  report(`${name}: bytes per row`, bytes, 'B ', bytes / mapBytes);
  using changes = table.changes();
  report(
    `${name}: first listing by a change iterator`,
    nsPer(COUNT, () => changes.next()),
    'ns',
  );
  for (const size of BATCHES) {
    const ns = nsPer(CHANGES, () => {
      for (let i = 0; i < CHANGES; i += size) {
        db.write((txn: Txn) => {
          for (let j = i; j < i + size; j++) table.put(txn, changed[j] as Row);
        });
      }
    });
    report(`${name}: change, ${size} a transaction`, ns, 'ns', ns / mapNs);
    const read = nsPer(CHANGES, () => changes.next());
    report(`${name}: reading these changes`, read, 'ns');
  }
  const gone = changed.slice(0, 100_000);
  const ns = nsPer(gone.length, () => {
    db.write((txn) => {
      for (const r of gone) table.delete(txn, r.prefix);
    });
  });
  report(`${name}: deletion, ${gone.length} a transaction`, ns, 'ns', ns / mapNs);
  report(
    `${name}: reading the deletions`,
    nsPer(gone.length, () => changes.next()),
    'ns',
  );
}
