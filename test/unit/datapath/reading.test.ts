import test from 'ava';
import fc from 'fast-check';
import { PORT_CLASS_ENTRIES } from '../../../src/datapath/layout.ts';
import { plainTables } from './plain-tables.ts';
import { compileTwin, judge, labelOf, type World } from './policy-model.ts';

const WORLD: World = {
  identities: [256, 257, 258, 70_000],
  rules: [
    [{ labels: [1, 2], ports: [80, 90], verdict: 'allow' }],
    [{ labels: [3], ports: [0, PORT_CLASS_ENTRIES - 1], verdict: 'deny' }],
  ],
  endpoints: new Map([[7, 1]]),
};

test('reading – before anything is applied no rule set is in force', (t) => {
  t.is(plainTables().tables.reading.ruleset(0), undefined);
});

const port = fc.constantFrom(0, 79, 80, 81, 443, 65535, 65616, PORT_CLASS_ENTRIES - 1);
const rule = fc.record({
  labels: fc.uniqueArray(fc.nat(4), { maxLength: 3 }),
  ports: fc.tuple(port, port).map(([a, b]): [number, number] => [Math.min(a, b), Math.max(a, b)]),
  verdict: fc.constantFrom('allow' as const, 'deny' as const),
});
const world = fc.record({
  identities: fc.uniqueArray(fc.integer({ min: 256, max: 9000 }), { maxLength: 12 }),
  rules: fc.array(fc.array(rule, { maxLength: 4 }), { minLength: 2, maxLength: 3 }),
  endpoints: fc.constant(new Map([[7, 1]])),
});

test('reading – every cell is what the rules say, through any changes of policy', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(world, { minLength: 1, maxLength: 4 }), port, async (worlds, at) => {
      const b = plainTables();
      for (const one of worlds) await b.tables.apply(compileTwin(one));
      const last = worlds.at(-1) as World;
      const { reading } = b.tables;
      for (const [index, rules] of [
        [0, last.rules[0]],
        [b.endpoints.map.get(7) ?? 0, last.rules[1]],
      ] as const) {
        const held = reading.ruleset(index);
        for (const identity of [...last.identities, 12_345]) {
          const label = last.identities.includes(identity) ? labelOf(identity) : -1;
          const want = judge(rules ?? [], label, at);
          const { verdict, origin } = held?.ingress.cell(identity, at) ?? { verdict: 'none', origin: 0 };
          t.is(verdict, want.verdict);
          t.deepEqual(b.origins.rulesOf(origin), want.origin);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('reading – runs of ports cover the whole index in order, and identities are those with a class', async (t) => {
  const { tables } = plainTables();
  await tables.apply(compileTwin(WORLD));
  const runs = tables.reading.ports();
  t.is(runs[0]?.[0], 0);
  t.is(runs.at(-1)?.[1], PORT_CLASS_ENTRIES - 1);
  for (const [i, [first]] of runs.entries()) if (i > 0) t.is(first, (runs[i - 1]?.[1] ?? 0) + 1);
  t.true(runs.some(([first, last]) => first === 80 && last === 90));
  t.deepEqual(tables.reading.identities(), [256, 257, 258]);
});

test('reading – a cell that somebody wrote over is read as it is', async (t) => {
  const { buffers, tables } = plainTables();
  await tables.apply(compileTwin(WORLD));
  const before = tables.reading.ruleset(0)?.ingress.cell(256, 80);
  t.is(before?.verdict, 'allow');
  const words = new Uint32Array(buffers.arena);
  for (const [i, word] of words.entries())
    if (((word >>> 16) & 0xff) === 1 && i % 2 === 1) words[i] = word + 0x10000;
  t.is(tables.reading.ruleset(0)?.ingress.cell(256, 80).verdict, 'deny');
});
