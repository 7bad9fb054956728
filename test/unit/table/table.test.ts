import test from 'ava';
import { Database, dumpDatabase, dumpTable, fakeClock, rowText } from '#table';

interface Row {
  readonly key: string;
  readonly value: number;
}

function setup() {
  const db = new Database({ clock: fakeClock(), validate: true });
  const table = db.table<Row>({ name: 't', key: (r) => r.key, indexes: { value: (r) => [r.value] } });
  return { db, table };
}

test('Table – a reader that holds a row keeps what it read', (t) => {
  const { db, table } = setup();
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  const held = table.get('a');
  db.write((txn) => table.put(txn, { key: 'a', value: 2 }));
  t.is(held?.value, 1);
  t.is(table.get('a')?.value, 2);
});

test('Table – rows are frozen where the database validates', (t) => {
  const { db, table } = setup();
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  t.throws(() => Object.assign(table.get('a') as Row, { value: 2 }), { instanceOf: TypeError });
});

test('Database – a transaction over two tables has one revision and happens wholly or not', (t) => {
  const { db, table } = setup();
  const other = db.table<Row>({ name: 'u', key: (r) => r.key });
  db.write((txn) => {
    table.put(txn, { key: 'a', value: 1 });
    other.put(txn, { key: 'b', value: 1 });
  });
  t.is(table.revision, other.revision);
  t.throws(
    () =>
      db.write((txn) => {
        table.delete(txn, 'a');
        other.put(txn, { key: 'b', value: 2 });
        throw new Error('no');
      }),
    { message: 'no' },
  );
  t.is(table.get('a')?.value, 1);
  t.is(other.get('b')?.value, 1);
  t.is(db.revision, 1);
});

test('Database – a transaction that changes nothing has no revision', (t) => {
  const { db, table } = setup();
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  db.write((txn) => {
    table.putIfChanged(txn, { key: 'a', value: 1 });
    table.delete(txn, 'none');
  });
  t.is(db.revision, 1);
});

test('Database – misuse is refused', async (t) => {
  const { db, table } = setup();
  const internal = { code: 'INTERNAL' };
  const old = db.write((txn) => txn);
  t.throws(() => table.put(old, { key: 'a', value: 1 }), internal);
  t.throws(() => db.write(() => db.write(() => {})), internal);
  t.throws(() => db.write(async () => {}), internal);
  t.throws(() => db.write(() => db.flush()), internal);
  t.throws(() => db.table<Row>({ name: 't', key: (r) => r.key }), internal);
  t.throws(() => [...table.by('none', 1)], internal);
  const foreign = new Database({ clock: fakeClock() });
  t.throws(() => foreign.write((txn) => table.put(txn, { key: 'a', value: 1 })), internal);
  using changes = table.changes();
  t.throws(() => db.write(() => changes.next()), internal);
  const twice = [0, 1].map((value) => ({ key: 'a', value }));
  t.throws(() => db.write((txn) => table.replace(txn, twice)), { message: /two rows with the key a/ });
  t.is(table.size, 0);
  await Promise.resolve();
});

test('Table – an index that throws leaves no trace, even when the writer goes on', (t) => {
  const db = new Database({ clock: fakeClock() });
  const positive = (r: Row) => {
    if (r.value < 0) throw new Error('negative');
    return [r.value];
  };
  const table = db.table<Row>({
    name: 't',
    key: (r) => r.key,
    indexes: { key: (r) => [r.key], positive },
  });
  db.write((txn) => {
    table.put(txn, { key: 'a', value: 1 });
    t.throws(() => table.put(txn, { key: 'a', value: -1 }));
    t.throws(() => table.put(txn, { key: 'b', value: -1 }));
  });
  t.deepEqual([...table.all()], [{ key: 'a', value: 1 }]);
  t.deepEqual([...table.by('key', 'b')], []);
  t.deepEqual([...table.by('positive', 1)], [{ key: 'a', value: 1 }]);
});

test('changes – an old revision is refused once deletions after it are forgotten', (t) => {
  const { db, table } = setup();
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  db.write((txn) => table.put(txn, { key: 'b', value: 1 }));
  db.write((txn) => table.delete(txn, 'b'));
  t.throws(() => table.changes(1), { code: 'TABLE_COMPACTED' });
  using fresh = table.changes(3);
  t.deepEqual(fresh.next(), []);
});

test('changes – from a revision on, only what came after', (t) => {
  const { db, table } = setup();
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  db.write((txn) => table.put(txn, { key: 'b', value: 1 }));
  using changes = table.changes(1);
  t.deepEqual(
    changes.next().map((c) => c.key),
    ['b'],
  );
});

test('onChange – once for many commits, after them, and not after disposal', async (t) => {
  const { db, table } = setup();
  let calls = 0;
  const listening = table.onChange(() => calls++);
  for (let value = 0; value < 3; value++) db.write((txn) => table.put(txn, { key: 'a', value }));
  t.is(calls, 0);
  await Promise.resolve();
  t.is(calls, 1);
  listening[Symbol.dispose]();
  db.write((txn) => table.delete(txn, 'a'));
  db.flush();
  t.is(calls, 1);
});

test('onChange – a listener may write; one that throws does not silence the others', async (t) => {
  const { db, table } = setup();
  const seen: number[] = [];
  using _throws = table.onChange(() => {
    if (table.get('a')?.value === 1) db.write((txn) => table.put(txn, { key: 'a', value: 2 }));
    else throw new Error('listener');
  });
  using _sees = table.onChange(() => seen.push(table.get('a')?.value as number));
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  t.throws(() => db.flush(), { message: 'listener' });
  t.deepEqual(seen, [2, 2]);
});

test('watch – resolves at the next change, ends with its signal', async (t) => {
  const { db, table } = setup();
  const stop = new AbortController();
  const watching = table.watch();
  const stopped = table.watch({ signal: stop.signal });
  stop.abort(new Error('enough'));
  await t.throwsAsync(stopped, { message: 'enough' });
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  await watching;
  t.is(table.size, 1);
});

test('ChangeIterator – wait resolves when there is something', async (t) => {
  const { db, table } = setup();
  using changes = table.changes();
  const waiting = changes.wait({ signal: new AbortController().signal });
  db.write((txn) => table.put(txn, { key: 'a', value: 1 }));
  await waiting;
  t.is(changes.next().length, 1);
});

test('isSynced – when every source has said so, with the rows of its transaction', (t) => {
  const db = new Database({ clock: fakeClock() });
  const table = db.table<Row>({ name: 't', key: (r) => r.key, sources: ['known'] });
  t.deepEqual(table.unsynced, ['known']);
  const late = table.source('late');
  table.source('known').markSynced();
  t.deepEqual(table.unsynced, ['late']);
  t.throws(() =>
    db.write((txn) => {
      late.markSynced(txn);
      throw new Error('no');
    }),
  );
  t.false(late.isSynced);
  db.write((txn) => late.markSynced(txn));
  t.true(late.isSynced && table.isSynced);
  t.deepEqual(table.unsynced, []);
});

test('dump – rows by key as JSON lines', (t) => {
  const { db, table } = setup();
  const numbered = db.table<{ id: number; n: bigint }>({ name: 'n', key: (r) => r.id, sources: ['s'] });
  db.write((txn) => {
    table.put(txn, { key: 'b', value: 2 });
    table.put(txn, { key: 'a', value: 1 });
    numbered.put(txn, { id: 10, n: 2n ** 60n });
    numbered.put(txn, { id: 9, n: 1n });
  });
  t.deepEqual([...dumpTable(table)], ['{"key":"a","value":1}', '{"key":"b","value":2}']);
  t.deepEqual([...dumpDatabase(db)].slice(3), [
    '# n: 2 rows, revision 1, unsynced: s',
    '{"id":9,"n":"1"}',
    '{"id":10,"n":"1152921504606846976"}',
  ]);
  t.is(rowText({ b: Uint8Array.of(1, 255), m: new Map([[1, 2]]) }), '{"b":"01ff","m":[[1,2]]}');
});
