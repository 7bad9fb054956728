import test from 'ava';
import fc from 'fast-check';
import { Origins } from '../../../src/datapath/origins.ts';
import { PolicyTables } from '../../../src/datapath/policy.ts';
import { PORT_CLASS_ENTRIES } from '../../../src/datapath/layout.ts';
import {
  classOf,
  compileTwin,
  plainBuffers,
  Readers,
  TwinEndpoints,
  watchedMemory,
  type TwinRule,
  type World,
} from './policy-model.ts';

/** Ports whose verdicts are asked for: around every edge the rules may have. */
const PORTS = [0, 79, 80, 81, 443, 65535, 65616, PORT_CLASS_ENTRIES - 1];

/** A datapath in plain buffers. */
function bench(sizes?: Parameters<typeof plainBuffers>[0], buffers = plainBuffers(sizes)) {
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
    });
  return { buffers, mem, origins, endpoints, readers, open, tables: open() };
}

/** Applies a world under the eyes of the readers. */
async function enter(b: ReturnType<typeof bench>, world: World, tables = b.tables) {
  b.readers.enter(world, [9999]);
  const applied = await tables.apply(compileTwin(world));
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

test('policy – after every store each caught reader sees an old or a new verdict, never a third', async (t) => {
  let checks = 0;
  await fc.assert(
    fc.asyncProperty(
      world,
      fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 7 }),
      async (first, steps) => {
        const b = bench();
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
    { numRuns: 150, includeErrorInReport: true },
  );
  t.log(`${checks} verdicts read`);
});
