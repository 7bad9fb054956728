import test from 'ava';
import fc from 'fast-check';
import type { CompiledPolicy } from '#policy';
import { Origins } from '../../../src/datapath/origins.ts';
import type { PolicyMemory } from '../../../src/datapath/memory.ts';
import { PolicyTables } from '../../../src/datapath/policy.ts';
import { controlFromWord, PORT_CLASS_ENTRIES } from '../../../src/datapath/layout.ts';
import {
  classOf,
  compileTwin,
  interned,
  judge,
  labelOf,
  LABELS,
  lookup,
  plainBuffers,
  Readers,
  STRANGER,
  TwinEndpoints,
  watchedMemory,
  type TwinRule,
  type World,
} from './policy-model.ts';

/** Ports whose verdicts are asked for: around every edge the rules may have. */
const PORTS = [0, 79, 80, 81, 443, 65535, 65616, PORT_CLASS_ENTRIES - 1];

/** A datapath in plain buffers. */
function bench(
  sizes?: Parameters<typeof plainBuffers>[0],
  buffers = plainBuffers(sizes),
  blocksFrom?: number,
) {
  const origins = new Origins(4096);
  const endpoints = new TwinEndpoints();
  const readers = new Readers(endpoints, origins);
  const mem = watchedMemory(buffers, () => readers.check(), new Set(PORTS));
  readers.ports = PORTS;
  readers.mem = mem;
  endpoints.observe = () => readers.check();
  let generation = 0;
  const open = (grace: { wait(): Promise<void> } = readers) =>
    new PolicyTables({
      mem,
      grace,
      origins,
      endpoints,
      nextGeneration: () => ++generation,
      clearCounter: () => {},
      blocksFrom,
    });
  const compiled: CompiledPolicy | undefined = undefined;
  return {
    buffers,
    mem,
    origins,
    endpoints,
    readers,
    open,
    tables: open(),
    compiled: compiled as CompiledPolicy | undefined,
  };
}

/** Applies a world under the eyes of the readers. */
async function enter(b: ReturnType<typeof bench>, world: World, tables = b.tables) {
  b.readers.enter(world, [9999]);
  b.compiled = interned(b.compiled, compileTwin(world));
  const applied = await tables.apply(b.compiled);
  b.readers.check();
  return applied;
}

/** Lets everything settle: from now on only the present world's verdicts are right. */
async function quiet(b: ReturnType<typeof bench>, tables = b.tables) {
  await tables.settle();
  b.readers.quiet();
}

const port = fc.constantFrom(0, 79, 80, 81, 443, 65535, 65616, 196616);
const rule: fc.Arbitrary<TwinRule> = fc.record({
  labels: fc.uniqueArray(fc.integer({ min: -1, max: 4 }), { minLength: 1 }),
  ports: fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const),
  verdict: fc.constantFrom('allow' as const, 'deny' as const),
});
const world: fc.Arbitrary<World> = fc
  .record({
    identities: fc.uniqueArray(
      fc.constantFrom(1, 2, 3, 4, 5, 4096, 4097, 70000, 16777216, 16777219, 33554432),
    ),
    rules: fc.array(fc.array(rule, { maxLength: 4 }), { minLength: 2, maxLength: 4 }),
    endpoints: fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }),
    at: fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
  })
  .map(({ identities, rules, endpoints, at }) => ({
    identities,
    rules,
    endpoints: new Map(endpoints.map((id, i) => [id, 1 + ((at[i] as number) % (rules.length - 1))])),
  }));

/** Small steps from one world to the next, so that most rule sets stay what they are. */
type Step = (w: World) => World;
const step: fc.Arbitrary<Step> = fc.oneof(
  world.map((w) => () => w),
  fc.tuple(fc.nat(), fc.array(rule, { maxLength: 4 })).map(
    ([n, rules]) =>
      (w: World): World => ({
        ...w,
        rules: w.rules.map((r, i) => (i === n % w.rules.length ? rules : r)),
      }),
  ),
  fc.constantFrom(1, 2, 3, 4, 5, 4096, 4097, 70000, 16777216).map(
    (id) =>
      (w: World): World => ({
        ...w,
        identities: w.identities.includes(id) ? w.identities.filter((i) => i !== id) : [...w.identities, id],
      }),
  ),
  fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat()).map(
    ([id, n]) =>
      (w: World): World => ({
        ...w,
        endpoints: new Map([...w.endpoints, [id, 1 + (n % (w.rules.length - 1))]]),
      }),
  ),
);

for (const [layout, blocksFrom] of [
  ['', undefined],
  ['in blocks, ', 0],
] as const)
  test(`policy – ${layout}after every store each caught reader sees an old or a new verdict, never a third`, async (t) => {
    let checks = 0;
    await fc.assert(
      fc.asyncProperty(
        world,
        fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 7 }),
        async (first, steps) => {
          const b = bench(undefined, undefined, blocksFrom);
          let now = first;
          await enter(b, first);
          for (const [next, settles] of steps) {
            if (settles) await quiet(b);
            now = next(now);
            await enter(b, now);
          }
          await quiet(b);
          for (const i of [1, 2, 3, 4, 5, 4096, 4097, 70000, 16777216, 16777219, 33554432])
            if (!now.identities.includes(i)) t.is(classOf(b.mem, i), 0);
          checks += b.readers.checks;
        },
      ),
      { numRuns: blocksFrom === undefined ? 120 : 60, includeErrorInReport: true },
    );
    t.log(`${checks} verdicts read`);
  });

test('policy – a successor introduces identities like present ones, then changes everything: no third verdict', async (t) => {
  let checks = 0;
  await fc.assert(
    fc.asyncProperty(world, world, fc.boolean(), async (first, next, settles) => {
      const b = bench({ rulesets: 16, arenaWords: 16384, pages: 24 });
      await enter(b, first);
      await quiet(b);
      const successor = b.open();
      t.deepEqual(await successor.adopt(), []);
      // Of the same labels each, so that whoever it is like is who it is.
      const pairs = first.identities.map((like) => [like + LABELS * 1000, like] as const);
      const introduced = pairs.map(([identity]) => identity);
      const more = { ...first, identities: [...first.identities, ...introduced] };
      b.readers.enter(more, []);
      // Memory does not tell who is unknown from who is judged like the unknown.
      const forgotten = first.identities.filter((identity) => !successor.identities.known.has(identity));
      await successor.introduce([...forgotten.map((identity) => [identity, identity] as const), ...pairs]);
      for (const [identity, like] of pairs) t.is(classOf(b.mem, identity), classOf(b.mem, like));
      b.readers.quiet();
      await enter(b, { ...next, identities: [...new Set([...next.identities, ...introduced])] }, successor);
      if (settles) await quiet(b, successor);
      await enter(b, next, successor);
      await quiet(b, successor);
      for (const identity of introduced) t.is(classOf(b.mem, identity), 0, 'and goes again');
      checks += b.readers.checks;
    }),
    { numRuns: 60, includeErrorInReport: true },
  );
  t.log(`${checks} verdicts read`);
});

test('policy – without a page nobody is introduced', async (t) => {
  const b = bench({ rulesets: 16, arenaWords: 16384, pages: 4 });
  await enter(b, { ...WORLD, identities: [1, 5001, 9001] });
  await t.throwsAsync(
    b.tables.introduce([
      [2, 1],
      [1 << 20, 1],
    ]),
    { code: 'POLICY_NO_ROOM' } as never,
  );
  t.false(b.tables.identities.known.has(2));
});

const allow = (labels: readonly number[], first: number, last = first): TwinRule => ({
  labels,
  ports: [first, last],
  verdict: 'allow',
});
const WORLD: World = {
  identities: [1, 2, 3, 4096, 16777216],
  rules: [[allow([1], 80)], [allow([2], 443)], [allow([-1, 0], 0, 65535)]],
  endpoints: new Map([
    [1, 1],
    [2, 2],
  ]),
};
const generations = (tables: PolicyTables) => [...tables.generations()].map(([, index, g]) => [index, g]);

test('policy – what has not changed keeps slot and generation, what has switches alone', async (t) => {
  const b = bench();
  await enter(b, WORLD);
  await quiet(b);
  const before = generations(b.tables);
  const same = await enter(b, { ...WORLD });
  t.deepEqual([same.switched, same.kept, same.rejudge], [[], 3, []]);
  t.deepEqual(generations(b.tables), before);
  const rules = WORLD.rules.with(1, [allow([2], 443), allow([3], 8443)]);
  const changed = await enter(b, { ...WORLD, rules });
  t.is(changed.switched.length, 1);
  t.is(changed.kept, 2);
  const after = generations(b.tables);
  t.deepEqual(
    after.filter(([index]) => index !== 1),
    before.filter(([index]) => index !== 1),
  );
  t.not(after.find(([index]) => index === 1)?.[1], before.find(([index]) => index === 1)?.[1]);
  await quiet(b);
});

test('policy – a new identity of a known class costs no switch', async (t) => {
  const b = bench();
  await enter(b, WORLD);
  await quiet(b);
  const applied = await enter(b, { ...WORLD, identities: [...WORLD.identities, 6, 4101] });
  t.deepEqual(applied.switched, []);
  t.deepEqual(applied.rejudge, [6, 4101]);
  t.is(classOf(b.mem, 6), classOf(b.mem, 1));
  await quiet(b);
});

test('policy – an identity of a new class gets its row, not a switch', async (t) => {
  const b = bench();
  const few = { ...WORLD, identities: [3] };
  await enter(b, few);
  await quiet(b);
  const before = generations(b.tables);
  const applied = await enter(b, { ...few, identities: [3, 1, 2] });
  t.deepEqual(applied.switched, []);
  t.deepEqual(generations(b.tables), before);
  await quiet(b);
});

for (const blocksFrom of [undefined, 0])
  test(`policy – a process that takes over finds everything and switches nothing, blocks from ${blocksFrom}`, async (t) => {
    const b = bench(undefined, undefined, blocksFrom);
    await enter(b, WORLD);
    await enter(b, { ...WORLD, rules: WORLD.rules.with(0, [allow([1, 2], 22)]) });
    const now = { ...WORLD, rules: WORLD.rules.with(0, [allow([1, 2], 22)]) };
    b.readers.quiet();
    const successor = b.open();
    t.deepEqual(await successor.adopt(), []);
    const before = generations(successor);
    t.is(before.length, 3);
    const applied = await enter(b, now, successor);
    t.deepEqual(applied.switched, []);
    t.deepEqual(generations(successor), before);
    const other = await enter(b, WORLD, successor);
    t.deepEqual(other.switched, ['host']);
    await quiet(b, successor);
  });

test('policy – without room the old policy stays to the letter, and a smaller one still goes through', async (t) => {
  const b = bench({ rulesets: 16, arenaWords: 1024, pages: 8 });
  await enter(b, WORLD);
  await quiet(b);
  const many = Array.from({ length: 120 }, (_, i) => allow([i % 5], 100 + i));
  const before = generations(b.tables);
  await t.throwsAsync(b.tables.apply(compileTwin({ ...WORLD, rules: WORLD.rules.with(0, many) })), {
    code: 'POLICY_NO_ROOM',
  } as never);
  b.readers.check();
  t.deepEqual(generations(b.tables), before);
  const smaller = await enter(b, { ...WORLD, rules: WORLD.rules.with(0, [allow([3], 22)]) });
  t.deepEqual(smaller.switched, ['host']);
  await quiet(b);
});

test('policy – a slot that reads back otherwise is never switched to', async (t) => {
  const b = bench();
  await enter(b, WORLD);
  await quiet(b);
  const { mem } = b;
  const original = Object.getOwnPropertyDescriptor(mem, 'fill')?.value as PolicyMemory['fill'];
  const broken = { ...WORLD, rules: WORLD.rules.with(0, [allow([4], 22)]) };
  (mem as { fill: PolicyMemory['fill'] }).fill = (array, index, source) => {
    original(array, index, source);
    if (source.length > 20) array[index + source.length - 1] = 0xbad;
  };
  await t.throwsAsync(b.tables.apply(compileTwin(broken)), { code: 'POLICY_VERIFY_FAILED' } as never);
  b.readers.check();
  (mem as { fill: PolicyMemory['fill'] }).fill = original;
  t.deepEqual((await enter(b, broken)).switched, ['host']);
  await quiet(b);
});

test('policy – tables grow when classes become many, without a wrong verdict', async (t) => {
  const b = bench({ rulesets: 16, arenaWords: 1 << 16, pages: 8 });
  await enter(b, WORLD);
  await quiet(b);
  const ports = Array.from({ length: 70 }, (_, i) => allow([1 + (i % 3)], 1000 + 3 * i, 1001 + 3 * i));
  await enter(b, { ...WORLD, rules: WORLD.rules.with(1, ports) });
  await quiet(b);
  t.true(b.tables.ports.axis.weights.size > 70);
  await enter(b, WORLD);
  await quiet(b);
  t.true(b.tables.ports.axis.weights.size < 10, 'and classes that became alike are merged');
});

test('policy – the fallback slot goes on saying what it said, whatever is switched and merged beside it', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { maxLength: 4 }),
      fc.array(rule, { maxLength: 4 }),
      fc.array(fc.array(rule, { maxLength: 4 }), { maxLength: 4 }),
      async (old, active, pods) => {
        const b = bench();
        const worlds = [old, active].map((rules) => ({ ...WORLD, rules: WORLD.rules.with(0, rules) }));
        for (const world of worlds) {
          await enter(b, world);
          await quiet(b);
        }
        const control = controlFromWord(b.mem.hostControl[0] as bigint);
        for (const rules of pods) {
          await enter(b, { ...(worlds[1] as World), rules: (worlds[1] as World).rules.with(1, rules) });
          await quiet(b);
        }
        const after = controlFromWord(b.mem.hostControl[0] as bigint);
        if (control.active !== after.active || control.fallback !== after.fallback)
          throw new Error('the host switched');
        for (const identity of WORLD.identities)
          for (const p of PORTS) {
            const numbers = [classOf(b.mem, identity), b.mem.portClass.u16[p] as number] as const;
            const seen = lookup(b.mem, 0, after.fallback, 1, ...numbers);
            const rules = after.fallback === after.active ? active : old;
            const right = b.readers.text(judge(rules, labelOf(identity), p));
            if (seen !== right)
              throw new Error(`identity ${identity} port ${p} reads ${seen} instead of ${right}`);
          }
      },
    ),
    { numRuns: 40, includeErrorInReport: true },
  );
  t.pass();
});

test('policy – a rule set that is kept goes on saying what it said, whatever changes and merges beside it', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(rule, { maxLength: 4 }),
      fc.array(fc.array(rule, { maxLength: 4 }), { maxLength: 4 }),
      async (old, others) => {
        const b = bench();
        const first = {
          ...WORLD,
          rules: WORLD.rules.with(1, old),
          endpoints: new Map([1, 2].map((id) => [id, 1] as const)),
        };
        await enter(b, first);
        await quiet(b);
        const index = b.endpoints.map.get(1) as number;
        b.endpoints.kept.add(index);
        b.endpoints.map.delete(1);
        for (const rules of others) {
          await enter(b, { ...first, rules: first.rules.with(1, rules), endpoints: new Map([[2, 1]]) });
          await quiet(b);
        }
        const newcomers = WORLD.identities.map((identity) => identity + 100 * LABELS);
        const identities = [...WORLD.identities, ...newcomers];
        const rules = first.rules.with(1, others.at(-1) ?? old);
        await enter(b, { ...first, rules, identities, endpoints: new Map([[2, 1]]) });
        const { active } = b.tables.rulesets.control(index);
        for (const identity of identities)
          for (const p of PORTS) {
            const numbers = [classOf(b.mem, identity), b.mem.portClass.u16[p] as number] as const;
            const seen = lookup(b.mem, index, active, 1, ...numbers);
            const known = newcomers.includes(identity) ? STRANGER : labelOf(identity);
            const right = b.readers.text(judge(old, known, p));
            if (seen !== right)
              throw new Error(`identity ${identity} port ${p} reads ${seen} instead of ${right}`);
          }
      },
    ),
    { numRuns: 40, includeErrorInReport: true },
  );
  t.pass();
});
