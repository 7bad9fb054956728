/** A database of two tables under random commands, against its twin. */
import test from 'ava';
import fc from 'fast-check';
import type { Change, ChangeIterator, Key, Table } from '#table';
import { Database, fakeClock } from '#table';
import type { Row } from './model.ts';
import { byKey, TableTwin } from './model.ts';

interface Model {
  readonly twins: readonly TableTwin[];
  revision: number;
  /** Of each consumer: which table, and what it has seen. */
  readonly consumers: { table: number; seen: number }[];
}

class Real {
  readonly db = new Database({ clock: fakeClock(), validate: true });
  readonly tables: readonly Table<Row>[] = ['one', 'two'].map((name) =>
    this.db.table<Row>({
      name,
      key: (r) => r.key,
      owner: (r) => r.owner,
      indexes: { tag: (r) => r.tags, value: (r) => [r.value] },
    }),
  );
  readonly consumers: ChangeIterator<Row>[] = [];
}

type Command = fc.Command<Model, Real>;
type Edit = { table: number } & (
  | { kind: 'put'; row: Row }
  | { kind: 'putIfChanged'; row: Row }
  | { kind: 'delete'; key: Key }
  | { kind: 'prune'; owner: string; keep: Key[] }
  | { kind: 'replace'; owner: string; rows: Row[] }
);

const key: fc.Arbitrary<Key> = fc.oneof(fc.nat(4), fc.constantFrom('a', 'b', 'c'));
const owner = fc.constantFrom('x', 'y');
const row: fc.Arbitrary<Row> = fc.record({
  key,
  owner,
  tags: fc.array(fc.constantFrom('t', 'u', 'v'), { maxLength: 3 }),
  value: fc.nat(2),
});
const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ table: fc.nat(1), kind: fc.constant('put' as const), row }) },
  { weight: 2, arbitrary: fc.record({ table: fc.nat(1), kind: fc.constant('putIfChanged' as const), row }) },
  { weight: 4, arbitrary: fc.record({ table: fc.nat(1), kind: fc.constant('delete' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      table: fc.nat(1),
      kind: fc.constant('prune' as const),
      owner,
      keep: fc.array(key),
    }),
  },
  {
    weight: 1,
    arbitrary: owner.chain((o) =>
      fc.record({
        table: fc.nat(1),
        kind: fc.constant('replace' as const),
        owner: fc.constant(o),
        rows: fc.uniqueArray(
          row.map((r) => ({ ...r, owner: o })),
          { selector: (r) => r.key, maxLength: 4 },
        ),
      }),
    ),
  },
);

class WriteCommand implements Command {
  readonly edits: readonly Edit[];
  readonly fails: boolean;

  constructor(edits: readonly Edit[], fails: boolean) {
    this.edits = edits;
    this.fails = fails;
  }

  check = () => true;

  run(model: Model, real: Real): void {
    const write = () =>
      real.db.write((txn) => {
        for (const e of this.edits) {
          const table = real.tables[e.table] as Table<Row>;
          if (e.kind === 'put') table.put(txn, e.row);
          else if (e.kind === 'putIfChanged') table.putIfChanged(txn, e.row);
          else if (e.kind === 'delete') table.delete(txn, e.key);
          else if (e.kind === 'prune') table.prune(txn, e.owner, new Set(e.keep));
          else table.replace(txn, e.rows, e.owner);
        }
        if (this.fails) throw new Error('on purpose');
      });
    if (!this.fails) {
      write();
      this.#apply(model);
    } else {
      let message = '';
      try {
        write();
      } catch (e) {
        message = (e as Error).message;
      }
      if (message !== 'on purpose') throw new Error(`the failure did not come out: ${message}`);
    }
    compare(model, real);
  }

  #apply(model: Model): void {
    const revision = model.revision + 1;
    for (const e of this.edits) {
      const twin = model.twins[e.table] as TableTwin;
      const put = (r: Row) => {
        if (JSON.stringify(twin.rows.get(r.key)) !== JSON.stringify(r)) twin.put(revision, r);
      };
      const prune = (o: string, keep: readonly Key[]) => {
        for (const r of twin.rows.values()) {
          if (r.owner === o && !keep.includes(r.key)) twin.delete(revision, r.key);
        }
      };
      if (e.kind === 'put') twin.put(revision, e.row);
      else if (e.kind === 'putIfChanged') put(e.row);
      else if (e.kind === 'delete') twin.delete(revision, e.key);
      else if (e.kind === 'prune') prune(e.owner, e.keep);
      else {
        e.rows.forEach(put);
        prune(
          e.owner,
          e.rows.map((r) => r.key),
        );
      }
    }
    if (model.twins.some((twin) => twin.revision === revision)) model.revision = revision;
  }

  toString = () => `write(${this.fails ? 'fails, ' : ''}${JSON.stringify(this.edits)})`;
}

class OpenCommand implements Command {
  readonly table: number;

  constructor(table: number) {
    this.table = table;
  }

  check = (model: Readonly<Model>) => model.consumers.length < 3;

  run(model: Model, real: Real): void {
    model.consumers.push({ table: this.table, seen: 0 });
    real.consumers.push((real.tables[this.table] as Table<Row>).changes());
  }

  toString = () => `open(${this.table})`;
}

class NextCommand implements Command {
  readonly which: number;

  constructor(which: number) {
    this.which = which;
  }

  check = (model: Readonly<Model>) => model.consumers.length > 0;

  run(model: Model, real: Real): void {
    const at = this.which % model.consumers.length;
    const consumer = model.consumers[at] as Model['consumers'][number];
    const twin = model.twins[consumer.table] as TableTwin;
    const want = twin.changesAfter(consumer.seen).filter((c) => consumer.seen > 0 || !c.isDeleted);
    consumer.seen = twin.revision;
    same(text((real.consumers[at] as ChangeIterator<Row>).next()), text(want), 'changes');
    compare(model, real);
  }

  toString = () => `next(${this.which})`;
}

class CloseCommand implements Command {
  readonly which: number;

  constructor(which: number) {
    this.which = which;
  }

  check = (model: Readonly<Model>) => model.consumers.length > 0;

  run(model: Model, real: Real): void {
    const at = this.which % model.consumers.length;
    model.consumers.splice(at, 1);
    real.consumers.splice(at, 1)[0]?.[Symbol.dispose]();
    compare(model, real);
  }

  toString = () => `close(${this.which})`;
}

/** In the order of revisions; within one, by key: the order inside a transaction is nobody's promise. */
function text(changes: readonly Change<Row>[]): string {
  const lines = changes.map((c) => ({
    revision: c.revision,
    line: `${c.revision} ${c.isDeleted ? '-' : '+'} ${JSON.stringify(c.row)}`,
  }));
  for (const [i, c] of lines.entries()) {
    if (c.revision < (lines[i - 1]?.revision ?? 0)) throw new Error('changes out of order');
  }
  return lines
    .map((l) => l.line)
    .sort()
    .join('\n');
}

function same(got: unknown, want: unknown, what: string): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${what}: got ${a}, want ${b}`);
}

/** Everything a reader can see. */
function compare(model: Model, real: Real): void {
  same(real.db.revision, model.revision, 'database revision');
  model.twins.forEach((twin, i) => {
    const table = real.tables[i] as Table<Row>;
    const rows = byKey(twin.rows.values());
    same(byKey(table.all()), rows, 'rows');
    same(table.size, rows.length, 'size');
    same(table.revision, twin.revision, 'revision');
    for (const r of rows) same(table.get(r.key), r, 'get');
    for (const tag of ['t', 'u', 'v', 'none']) {
      same(
        byKey(table.by('tag', tag)),
        rows.filter((r) => r.tags.includes(tag)),
        `by tag ${tag}`,
      );
    }
    for (const n of [0, 1, 2])
      same(
        byKey(table.by('value', n)),
        rows.filter((r) => r.value === n),
        `by ${n}`,
      );
    for (const o of ['x', 'y'])
      same(
        byKey(table.ownedBy(o)),
        rows.filter((r) => r.owner === o),
        `owner ${o}`,
      );
    const behind = model.consumers.filter((c) => c.table === i).map((c) => c.seen);
    const oldest = Math.min(Number.POSITIVE_INFINITY, ...behind.filter((seen) => seen > 0));
    const kept = twin.changesAfter(oldest).filter((c) => c.isDeleted);
    if (oldest === Number.POSITIVE_INFINITY) same(table.tombstones, 0, 'tombstones without consumers');
    else if (table.tombstones < kept.length) throw new Error('a deletion was forgotten too early');
    if (behind.every((seen) => seen === twin.revision)) same(table.tombstones, 0, 'tombstones all have seen');
  });
}

test('Table – rows, indexes, owners, changes and tombstones are those of the twin, also after failures', (t) => {
  const commands = [
    fc
      .tuple(fc.array(edit, { maxLength: 8 }), fc.integer({ min: 0, max: 3 }))
      .map(([edits, luck]) => new WriteCommand(edits, luck === 0)),
    fc.nat(1).map((table) => new OpenCommand(table)),
    fc.nat(2).map((which) => new NextCommand(which)),
    fc.nat(2).map((which) => new CloseCommand(which)),
  ];
  const setup = () => ({
    model: { twins: [new TableTwin(), new TableTwin()], revision: 0, consumers: [] } satisfies Model as Model,
    real: new Real(),
  });
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.commands(commands, { size: '+1' }), (cs) => fc.modelRun(setup, cs)),
      { numRuns: 400 },
    ),
  );
});
