/** Compiling with what an earlier compilation left, against its twin: compiling from nothing. */
import test from 'ava';
import fc from 'fast-check';
import type { World } from '#oracle';
import {
  canonicalDump,
  type CompileInput,
  CompileMemo,
  type CompiledPolicy,
  compile,
  EMPTY_NUMBERING,
  type Numbering,
  prefixIdentities,
  PrefixMemo,
} from '#policy';
import { randomWorld } from './generate.ts';
import { Random } from './random.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

/** One change of a world: something comes, goes, or becomes what it is in another world. */
function edit(world: World, random: Random): World {
  const other = randomWorld(random.below(2 ** 31));
  const without = <T>(items: readonly T[]) => items.filter((_, i) => i !== gone % Math.max(items.length, 1));
  const gone = random.below(100);
  return random.weighted<World>(
    [3, () => ({ ...world, policies: without(world.policies) })],
    [
      3,
      () => ({
        ...world,
        policies: [...other.policies.slice(0, 1), ...world.policies.filter((p) => p.name !== 'policy-0')],
      }),
    ],
    [
      2,
      () => ({
        ...world,
        policies: [...world.policies, ...other.policies.map((p) => ({ ...p, source: String(gone) }))].slice(
          -6,
        ),
      }),
    ],
    [2, () => ({ ...world, endpoints: without(world.endpoints) })],
    [2, () => ({ ...world, endpoints: other.endpoints })],
    [1, () => ({ ...world, nodes: other.nodes })],
    [1, () => ({ ...world, nodes: without(world.nodes) })],
    [1, () => ({ ...world, localAddresses: other.localAddresses })],
    [1, () => ({ ...world, nodeLabels: other.nodeLabels })],
    [3, () => (other.facts === undefined ? world : { ...world, facts: other.facts })],
    [1, () => ({ ...world, config: other.config })],
  );
}

/** What it means, whatever the numbering. */
function meaning(compiled: CompiledPolicy, { identities }: CompileInput): string {
  const labels = new Map(identities.map((row) => [row.id, row.labels]));
  return canonicalDump(compiled, (id) => labels.get(id));
}

test(`compile – with a memo every edit gives what a compilation from nothing gives (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  let edits = 0;
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const random = new Random(worldSeed);
      const memo = new CompileMemo();
      const prefixMemo = new PrefixMemo();
      let numbering: Numbering = EMPTY_NUMBERING;
      let world = randomWorld(worldSeed);
      for (let i = 0; i < 40; i++, edits++) {
        const prefixes = prefixIdentities({ ...world, numbering }, prefixMemo);
        t.deepEqual(prefixes, prefixIdentities({ ...world, numbering }), `world ${worldSeed}, edit ${i}`);
        const input = { ...world, identities: prefixes.identities };
        const [got, want] = [compile(input, memo), compile(input)];
        t.is(meaning(got, input), meaning(want, input), `world ${worldSeed}, edit ${i}`);
        ({ numbering } = prefixes);
        world = edit(world, random);
      }
    }),
    { seed, numRuns: 25 },
  );
  t.is(edits, 1000);
});
