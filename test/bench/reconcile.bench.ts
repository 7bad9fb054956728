/**
 * From one transaction of 10,000 rows to the last batch handed to a writer that does nothing, beside handing
 * the same rows over without tables. Run: `node test/bench/reconcile.bench.ts`.
 */
import { Database, derive, deriveEach, reconcile, systemClock } from '#table';

interface Row {
  readonly key: number;
  readonly value: number;
}

const COUNT = 10_000;
const ROUNDS = 20;
let handed = 0;
const hand = (rows: readonly Row[]) => {
  handed += rows.length;
};

const stop = new AbortController();

/** Median milliseconds of `ROUNDS` changes of all rows, derived in the given way. */
async function measure(connect: typeof whole | typeof each): Promise<number> {
  const db = new Database({ clock: systemClock });
  const input = db.table<Row>({ name: 'in', key: (r) => r.key });
  const output = db.table<Row>({ name: 'out', key: (r) => r.key });
  connect(db, input, output);
  await using reconciler = reconcile({
    table: output,
    ops: { updateBatch: hand, deleteBatch: hand },
    clock: systemClock,
    signal: stop.signal,
    backoff: { minMs: 100, maxMs: 1000 },
    pruneIntervalMs: 60_000,
  });
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    db.write((txn) => {
      for (let key = 0; key < COUNT; key++) input.put(txn, { key, value: round });
    });
    db.flush();
    await reconciler.settled();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[ROUNDS / 2] ?? 0;
}

type Tables = Parameters<typeof derive<Row>>;

function whole(db: Database, input: Tables[3], output: Tables[3]): void {
  derive(db, [input], () => [...input.all()].map((r) => ({ ...r })), output);
}

function each(db: Database, input: Tables[3], output: Tables[3]): void {
  deriveEach(db, input, (r) => [{ ...r }], output);
}

const start = performance.now();
for (let round = 0; round < ROUNDS; round++)
  hand(Array.from({ length: COUNT }, (_, key) => ({ key, value: round })));
const floor = (performance.now() - start) / ROUNDS;
console.log(`rows made and handed over: ${floor.toFixed(2)} ms`);
for (const connect of [whole, each]) {
  const ms = await measure(connect);
  console.log(`table, derive ${connect.name}, reconcile: ${ms.toFixed(2)} ms  x${(ms / floor).toFixed(0)}`);
}
if (handed < 3 * COUNT * ROUNDS) throw new Error('rows are missing');
