import test from 'ava';
import fc from 'fast-check';
import { type BatchOperations, Database, type RowOperations, deepEqual, fakeClock, reconcile } from '#table';

interface Row {
  readonly key: string;
  readonly value: number;
}

/** A world that can be told to fail, and that notices two operations on one key at once. */
class FakeWorld {
  readonly rows = new Map<string, number>();
  readonly busy = new Set<string>();
  readonly log: string[] = [];
  /** Operations that ran beside others they must not meet. */
  readonly violations: string[] = [];
  /** Keys whose operations fail, and `prune`. */
  readonly failing = new Set<string>();
  /** While set, operations wait for it. */
  gate: Promise<void> | undefined;
  atOnce = 0;
  most = 0;

  async #operate(name: string, key: string, apply: () => void): Promise<void> {
    if (this.busy.has(key) || this.busy.has('prune')) this.violations.push(`${key} is busy`);
    this.busy.add(key);
    this.most = Math.max(this.most, ++this.atOnce);
    await this.gate;
    await Promise.resolve();
    this.busy.delete(key);
    this.atOnce--;
    this.log.push(`${name} ${key}`);
    if (this.failing.has(key)) throw new Error(`${key} fails`);
    apply();
  }

  readonly ops: RowOperations<Row> = {
    update: (row) => this.#operate('update', row.key, () => this.rows.set(row.key, row.value)),
    delete: (row) => this.#operate('delete', row.key, () => this.rows.delete(row.key)),
    prune: async (rows) => {
      if (this.busy.size > 0) this.violations.push('prune beside an operation');
      this.busy.add('prune');
      await Promise.resolve();
      this.busy.delete('prune');
      this.log.push('prune');
      if (this.failing.has('prune')) throw new Error('prune fails');
      const wanted = new Map(rows.map((r) => [r.key, r]));
      for (const key of this.rows.keys()) if (!wanted.has(key)) this.rows.delete(key);
      return rows.filter((r) => this.rows.get(r.key) !== r.value);
    },
  };

  readonly batchOps: BatchOperations<Row> = {
    updateBatch: async (rows) => this.#batch(rows, (r) => this.ops.update(r, never)),
    deleteBatch: async (rows) => this.#batch(rows, (r) => this.ops.delete(r, never)),
    ...(this.ops.prune === undefined ? {} : { prune: this.ops.prune }),
  };

  async #batch(rows: readonly Row[], one: (row: Row) => Promise<void> | void): Promise<Map<Row, unknown>> {
    const failures = new Map<Row, unknown>();
    for (const row of rows) {
      try {
        await one(row);
      } catch (e) {
        failures.set(row, e);
      }
    }
    return failures;
  }
}

const { signal: never } = new AbortController();

function setup(opts: { batch?: boolean; concurrency?: number; unsynced?: boolean } = {}) {
  const clock = fakeClock();
  const db = new Database({ clock, validate: true });
  const table = db.table<Row>({ name: 't', key: (r) => r.key, sources: ['s'] });
  if (opts.unsynced !== true) table.source('s').markSynced();
  const world = new FakeWorld();
  const reconciler = reconcile<Row>({
    table,
    ops: opts.batch === true ? world.batchOps : world.ops,
    clock,
    signal: never,
    backoff: { minMs: 100, maxMs: 1000, jitter: 0 },
    pruneIntervalMs: 60_000,
    concurrency: opts.concurrency ?? 1,
    batchSize: 3,
    random: () => 0,
  });
  const put = (...keys: string[]) =>
    db.write((txn) => {
      for (const key of keys) table.put(txn, { key, value: db.revision });
    });
  const remove = (key: string) => db.write((txn) => table.delete(txn, key));
  return { clock, db, table, world, reconciler, put, remove };
}

test('reconcile – rows get there, deletions too, statuses say so', async (t) => {
  const { clock, reconciler, world, put, remove } = setup();
  put('a', 'b');
  t.is(reconciler.status('a')?.kind, 'pending');
  t.is(reconciler.appliedRevision, 0);
  await clock.advance(0);
  t.deepEqual([...world.rows.keys()], ['a', 'b']);
  t.deepEqual(reconciler.summary, { pending: 0, error: 0, done: 2, prune: { kind: 'done' } });
  t.is(reconciler.appliedRevision, 1);
  remove('a');
  t.is(reconciler.status('a')?.kind, 'pending');
  await reconciler.settled();
  t.deepEqual([...world.rows.keys()], ['b']);
  t.is(reconciler.status('a'), undefined);
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – a failed row says why and when next, others are not held up', async (t) => {
  const { clock, reconciler, world, put } = setup();
  world.failing.add('a');
  put('a', 'b');
  await clock.advance(0);
  t.true(world.rows.has('b'));
  const status = reconciler.status('a');
  t.like(status, { kind: 'error', reason: 'a fails', failures: 1, nextTryMs: 100 });
  t.deepEqual(
    [...reconciler.problems()].map((p) => [p.key, p.status.reason]),
    [['a', 'a fails']],
  );
  t.is(reconciler.appliedRevision, 0);
  await clock.advance(10_000);
  const tries = world.log.filter((l) => l === 'update a').length;
  t.is(tries, 4 + 9); // at 0, 100, 300, 700, 1500, 2500, … 9500, … within ten seconds
  world.failing.clear();
  await clock.advance(1000);
  await reconciler.settled();
  t.is(reconciler.status('a')?.kind, 'done');
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – a change is tried at once, whatever failed before', async (t) => {
  const { clock, reconciler, world, put } = setup();
  world.failing.add('a');
  put('a');
  await clock.advance(700);
  world.failing.clear();
  put('a');
  await clock.advance(0);
  t.is(reconciler.status('a')?.kind, 'done');
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – a row changed in flight is updated again, a failure of the old wish is forgotten', async (t) => {
  const { clock, reconciler, world, put } = setup();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  world.failing.add('a');
  put('a');
  await clock.advance(0);
  put('a');
  await clock.advance(0);
  world.gate = undefined;
  const last = Promise.withResolvers<void>();
  world.gate = last.promise;
  gate.resolve();
  await clock.advance(0);
  t.is(reconciler.status('a')?.kind, 'pending');
  world.failing.clear();
  last.resolve();
  await clock.advance(0);
  t.is(world.rows.get('a'), 1);
  t.is(reconciler.status('a')?.kind, 'done');
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – updates go before deletions', async (t) => {
  const { clock, reconciler, world, db, table, put } = setup();
  put('old');
  await clock.advance(0);
  world.log.length = 0;
  db.write((txn) => {
    table.delete(txn, 'old');
    table.put(txn, { key: 'new', value: 1 });
  });
  await clock.advance(0);
  t.deepEqual(world.log, ['update new', 'delete old']);
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – prune waits for the sources and for the rows, then comes by the clock', async (t) => {
  const { clock, reconciler, world, table, put } = setup({ unsynced: true });
  world.rows.set('stranger', 1);
  put('a');
  await clock.advance(100_000);
  t.deepEqual([...world.rows.keys()], ['stranger', 'a']);
  table.source('s').markSynced();
  await clock.advance(0);
  t.deepEqual([...world.rows.keys()], ['a']);
  world.rows.set('stranger', 1);
  world.rows.set('a', -1);
  await clock.advance(59_999);
  t.is(world.rows.get('a'), -1);
  await clock.advance(1);
  t.deepEqual([...world.rows], [['a', 0]]);
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – a table without source never prunes the world', async (t) => {
  const clock = fakeClock();
  const table = new Database({ clock }).table<Row>({ name: 't', key: (r) => r.key });
  const world = new FakeWorld();
  world.rows.set('stranger', 1);
  const backoff = { minMs: 100, maxMs: 1000 };
  const { ops } = world;
  const reconciler = reconcile({ table, ops, clock, signal: never, backoff, pruneIntervalMs: 1000 });
  await clock.advance(10_000);
  await reconciler.settled();
  t.deepEqual([...world.rows.keys()], ['stranger']);
  t.deepEqual(reconciler.summary.prune, { kind: 'pending' });
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – a failed prune is tried again, and can be asked for', async (t) => {
  const { clock, reconciler, world } = setup();
  world.failing.add('prune');
  await clock.advance(0);
  t.like(reconciler.summary.prune, { kind: 'error', reason: 'prune fails', failures: 1 });
  world.failing.clear();
  await clock.advance(100);
  t.deepEqual(reconciler.summary.prune, { kind: 'done' });
  world.rows.set('stranger', 1);
  reconciler.requestPrune();
  await clock.advance(0);
  t.is(world.rows.size, 0);
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – never more operations at once than allowed', async (t) => {
  const { clock, reconciler, world, put } = setup({ concurrency: 3 });
  put('a', 'b', 'c', 'd', 'e', 'f', 'g');
  await clock.advance(0);
  t.is(world.most, 3);
  t.is(world.rows.size, 7);
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – batches hold what they may; failures are those of their rows', async (t) => {
  const { clock, reconciler, world, put } = setup({ batch: true });
  world.failing.add('b');
  put('a', 'b', 'c', 'd');
  await clock.advance(0);
  t.deepEqual([...world.rows.keys()], ['a', 'c', 'd']);
  t.is(reconciler.summary.error, 1);
  await reconciler[Symbol.asyncDispose]();
});

test('reconcile – disposal waits for what runs and starts nothing more', async (t) => {
  const { clock, reconciler, world, put } = setup();
  const gate = Promise.withResolvers<void>();
  world.gate = gate.promise;
  put('a', 'b');
  await clock.advance(0);
  const settled = t.throwsAsync(reconciler.settled());
  const disposed = reconciler[Symbol.asyncDispose]();
  gate.resolve();
  await disposed;
  await settled;
  t.deepEqual(world.log, ['prune', 'update a']);
  t.is(clock.sleeping, 0);
});

type Step =
  | { kind: 'put'; key: string; value: number }
  | { kind: 'delete'; key: string }
  | { kind: 'fail'; key: string }
  | { kind: 'heal'; key: string }
  | { kind: 'drift'; key: string }
  | { kind: 'advance'; ms: number };

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), key, value: fc.nat(9) }),
  fc.record({
    kind: fc.constantFrom('delete' as const, 'fail' as const, 'heal' as const, 'drift' as const),
    key,
  }),
  fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(0, 1, 99, 100, 1000, 60_000) }),
);

for (const batch of [false, true]) {
  const title = batch ? 'batches' : 'rows, three at once';
  test(`reconcile – whatever happens, the world ends as the table says (${title})`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { clock, table, db, reconciler, world } = setup({ batch, concurrency: batch ? 1 : 3 });
        for (const s of steps) {
          if (s.kind === 'put') db.write((txn) => table.put(txn, { key: s.key, value: s.value }));
          else if (s.kind === 'delete') db.write((txn) => table.delete(txn, s.key));
          else if (s.kind === 'fail') world.failing.add(s.key);
          else if (s.kind === 'heal') world.failing.delete(s.key);
          else if (s.kind === 'drift') world.rows.set(s.key, -1);
          else await clock.advance(s.ms);
          if (s.kind === 'advance') checkStatuses();
        }
        world.failing.clear();
        await clock.advance(61_000);
        await reconciler.settled();
        checkStatuses();
        const want = new Map([...table.all()].map((r) => [r.key, r.value]));
        const got = world.rows;
        await reconciler[Symbol.asyncDispose]();
        if (!deepEqual(got, want))
          throw new Error(`world ${JSON.stringify([...got])} table ${JSON.stringify([...want])}`);
        if (reconciler.appliedRevision !== table.revision) throw new Error('not all is applied');
        if (world.violations.length > 0) throw new Error(world.violations.join());
        if (clock.sleeping > 0) throw new Error('somebody still sleeps');

        /** At rest: a row is done or in error, and only a row whose operation fails is in error. */
        function checkStatuses(): void {
          for (const { key: k } of table.all()) {
            const status = reconciler.status(k);
            if (status?.kind === 'pending' || status === undefined) throw new Error(`${k}: ${status?.kind}`);
            if (status.kind === 'error' && !status.reason.endsWith('fails')) throw new Error(status.reason);
          }
        }
      }),
      { numRuns: 150 },
    );
    t.pass();
  });
}
