import test from 'ava';
import fc from 'fast-check';
import { Database, type DeriveStatus, deepEqual, derive, deriveEach, fakeClock } from '#table';

interface Row {
  readonly key: string;
  readonly value: number;
}

function setup(names: readonly string[]) {
  const db = new Database({ clock: fakeClock(), validate: true });
  const tables = names.map((name) => db.table<Row>({ name, key: (r) => r.key }));
  const put = (table: number, key: string, value: number) =>
    db.write((txn) => tables[table]?.put(txn, { key, value }));
  return { db, tables: tables as [(typeof tables)[0], ...typeof tables] & typeof tables, put };
}

test('derive – only rows that differ get a new revision', (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  using derivation = derive(
    db,
    [input],
    () => [...input.all()].map((r) => ({ ...r, value: r.value % 10 })),
    output,
  );
  put(0, 'a', 1);
  put(0, 'b', 2);
  db.flush();
  const before = output.revisionOf('a');
  put(0, 'a', 11);
  put(0, 'b', 13);
  db.flush();
  t.is(output.revisionOf('a'), before);
  t.deepEqual(output.get('b'), { key: 'b', value: 3 });
  db.write((txn) => input.delete(txn, 'a'));
  db.flush();
  t.false(output.has('a'));
  t.is(derivation.status.kind, 'done');
});

test('derive – many commits make one run, in a microtask', async (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  let runs = 0;
  using _derivation = derive(db, [input], () => (runs++, input.all()), output);
  for (let i = 0; i < 5; i++) put(0, 'a', i);
  t.is(runs, 0);
  await Promise.resolve();
  t.is(runs, 1);
  t.is(output.get('a')?.value, 4);
});

test('derive – nothing before every input is synced; the output is unsynced until then', (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  const source = input.source('directory');
  using derivation = derive(db, [input], () => input.all(), output);
  put(0, 'a', 1);
  db.flush();
  t.deepEqual(derivation.status, { kind: 'waiting', unsynced: ['in/directory'] });
  t.is(output.size, 0);
  t.false(output.isSynced);
  source.markSynced();
  db.flush();
  t.is(output.size, 1);
  t.true(output.isSynced);
});

test('derive – a compiler that throws keeps the output, tells why, and recovers with its input', (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  const news: DeriveStatus['kind'][] = [];
  const compile = () => {
    if (input.has('bad')) throw new Error('cannot compile');
    return input.all();
  };
  using derivation = derive(db, [input], compile, output, { onStatus: (s) => news.push(s.kind) });
  put(0, 'a', 1);
  db.flush();
  put(0, 'bad', 1);
  db.flush();
  put(0, 'bad', 2);
  db.flush();
  t.is(derivation.status.kind === 'error' && derivation.status.reason, 'cannot compile');
  t.deepEqual([...output.all()], [{ key: 'a', value: 1 }]);
  db.write((txn) => input.delete(txn, 'bad'));
  db.flush();
  t.deepEqual(news, ['done', 'error', 'done']);
});

test('derive – a table read by two ways is never seen half changed', (t) => {
  // in ──▶ doubled ──▶ sum ◀── in: wrong order would show sum = new + 2 × old
  const { db, tables, put } = setup(['in', 'sum', 'doubled']);
  const [input, sum, doubled] = tables as unknown as [
    (typeof tables)[0],
    (typeof tables)[0],
    (typeof tables)[0],
  ];
  const seen: number[] = [];
  const value = (table: typeof input) => table.get('a')?.value ?? 0;
  using _sum = derive(
    db,
    [input, doubled],
    () => {
      seen.push(value(input) + value(doubled));
      return [{ key: 'a', value: value(input) + value(doubled) }];
    },
    sum,
  );
  using _doubled = derive(db, [input], () => [{ key: 'a', value: 2 * value(input) }], doubled);
  for (const v of [1, 5, 7]) {
    put(0, 'a', v);
    db.flush();
    t.is(value(sum), 3 * v);
  }
  t.deepEqual(seen, [3, 15, 21]);
});

test('derive – a circle is refused', (t) => {
  const { db, tables } = setup(['a', 'b']);
  const [a, b] = tables as [(typeof tables)[0], (typeof tables)[0]];
  using _one = derive(db, [a], () => a.all(), b);
  t.throws(() => derive(db, [b], () => b.all(), a), { code: 'INTERNAL' });
});

test('derive – two derivations share a table by owner', (t) => {
  const db = new Database({ clock: fakeClock() });
  const input = db.table<Row>({ name: 'in', key: (r) => r.key });
  const output = db.table<Row & { owner: string }>({ name: 'out', key: (r) => r.key, owner: (r) => r.owner });
  for (const owner of ['x', 'y']) {
    const mine = () => [...input.all()].filter((r) => r.key.startsWith(owner)).map((r) => ({ ...r, owner }));
    derive(db, [input], mine, output, { owner });
  }
  db.write((txn) => {
    input.put(txn, { key: 'x1', value: 1 });
    input.put(txn, { key: 'y1', value: 1 });
  });
  db.flush();
  t.deepEqual([...output.keys()].map(String).sort(), ['x1', 'y1']);
  db.write((txn) => input.delete(txn, 'x1'));
  db.flush();
  t.deepEqual([...output.keys()], ['y1']);
});

test('derive – after disposal nothing is derived', (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  const derivation = derive(db, [input], () => input.all(), output);
  db.flush();
  derivation[Symbol.dispose]();
  put(0, 'a', 1);
  db.flush();
  t.is(output.size, 0);
});

test('derive – whatever the history and the pauses, the output is what compiling the input gives', (t) => {
  const edit = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    value: fc.option(fc.nat(5)),
    flush: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 30 }), (edits) => {
      const { db, tables } = setup(['in', 'middle', 'out']);
      const [input, middle, out] = tables as unknown as [
        (typeof tables)[0],
        (typeof tables)[0],
        (typeof tables)[0],
      ];
      const square = (rows: Iterable<Row>) => [...rows].map((r) => ({ key: r.key, value: r.value ** 2 }));
      const byValue = (rows: Iterable<Row>) => {
        const counts = new Map<number, number>();
        for (const r of rows) counts.set(r.value, (counts.get(r.value) ?? 0) + 1);
        return [...counts].map(([v, n]) => ({ key: `v${v}`, value: n }));
      };
      using _out = derive(db, [middle], () => byValue(middle.all()), out);
      using _middle = derive(db, [input], () => square(input.all()), middle);
      using changes = out.changes();
      const followed = new Map<unknown, Row>();
      const follow = () => {
        for (const c of changes.next()) {
          if (c.isDeleted) followed.delete(c.key);
          else followed.set(c.key, c.row);
        }
      };
      for (const { key, value, flush } of edits) {
        db.write((txn) => (value === null ? input.delete(txn, key) : input.put(txn, { key, value })));
        if (flush) db.flush();
        if (flush) follow();
      }
      db.flush();
      follow();
      const want = new Map(byValue(square(input.all())).map((r) => [r.key, r]));
      t.true(deepEqual(new Map([...out.all()].map((r) => [r.key, r])), want));
      t.true(deepEqual(followed, want), 'a follower of changes has the same rows');
    }),
    { numRuns: 200 },
  );
});

test('deriveEach – compiles only rows that changed', (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  const compiled: string[] = [];
  const compile = (row: Row) => {
    compiled.push(row.key);
    return [row];
  };
  using _derivation = deriveEach(db, input, compile, output);
  put(0, 'a', 1);
  put(0, 'b', 1);
  db.flush();
  compiled.length = 0;
  put(0, 'b', 2);
  db.flush();
  t.deepEqual(compiled, ['b']);
  t.is(output.get('b')?.value, 2);
});

test('deriveEach – two rows of one key are an error that heals', (t) => {
  const { db, tables, put } = setup(['in', 'out']);
  const [input, output] = tables as [(typeof tables)[0], (typeof tables)[0]];
  using derivation = deriveEach(db, input, (row) => [{ ...row, key: 'same' }], output);
  put(0, 'a', 1);
  db.flush();
  put(0, 'b', 2);
  db.flush();
  t.is(derivation.status.kind, 'error');
  t.is(output.get('same')?.value, 1);
  db.write((txn) => input.delete(txn, 'a'));
  db.flush();
  t.is(derivation.status.kind, 'done');
  t.is(output.get('same')?.value, 2);
});

test('deriveEach – the same rows as a full recompute, whatever the history, failures included', (t) => {
  const edit = fc.record({
    table: fc.nat(1),
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.option(fc.nat(4)),
    flush: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(edit, { maxLength: 30 }), (edits) => {
      const { db, tables } = setup(['in', 'also', 'each', 'whole']);
      const [input, also, each, whole] = tables as (typeof tables)[0][] as [
        (typeof tables)[0],
        (typeof tables)[0],
        (typeof tables)[0],
        (typeof tables)[0],
      ];
      // A row makes as many rows as its value says; 4 does not compile.
      const compile = (row: Row) => {
        if (row.value === 4) throw new Error('four');
        const shift = also.get(row.key)?.value ?? 0;
        return Array.from({ length: row.value }, (_, i) => ({ key: `${row.key}${i}`, value: i + shift }));
      };
      using _each = deriveEach(db, input, compile, each, { also: [also] });
      using _whole = derive(db, [input, also], () => [...input.all()].flatMap(compile), whole);
      const compare = () => {
        db.flush();
        const [got, want] = [each, whole].map((table) => new Map([...table.all()].map((r) => [r.key, r])));
        if (!deepEqual(got, want)) throw new Error(JSON.stringify([...each.all(), '|', ...whole.all()]));
      };
      for (const { table, key, value, flush } of edits) {
        const target = table === 0 ? input : also;
        db.write((txn) => (value === null ? target.delete(txn, key) : target.put(txn, { key, value })));
        if (flush) compare();
      }
      compare();
    }),
    { numRuns: 300 },
  );
  t.pass();
});
