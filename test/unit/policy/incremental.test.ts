/**
 * Compiling with what an earlier compilation left, against its twin: compiling from nothing, and both against
 * the naive evaluator. Small worlds after every edit; large ones, whose twin is dear, after every few.
 * MERLON_SEED repeats a run, MERLON_WORLDS makes it longer.
 */
import { isDeepStrictEqual } from 'node:util';
import test from 'ava';
import { evaluate, type World } from '#oracle';
import {
  canonicalDump,
  CompileMemo,
  type CompiledPolicy,
  compile,
  EMPTY_NUMBERING,
  type Numbering,
  PrefixMemo,
  prefixIdentities,
  type PrefixOutput,
} from '#policy';
import { flowText, readCompiled } from './compiled-world.ts';
import { edited, KINDS } from './edits.ts';
import { randomFlow } from './flows.ts';
import { randomWorld } from './generate.ts';
import { Random } from './random.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = Number(process.env['MERLON_WORLDS'] ?? 180);
/** Edits with rows of one other world, before the next one is made. */
const EDITS_OF_ONE = 10;

/** A world that is edited, with what is carried from one edit to the next. */
class Carried {
  world: World;
  readonly #memo = new CompileMemo();
  readonly #prefixes = new PrefixMemo();
  #numbering: Numbering = EMPTY_NUMBERING;

  constructor(world: World) {
    this.world = world;
  }

  /** What is carried on says, and what starts from nothing and the same numbers. */
  both(withTwin: boolean): { readonly got: Compiled; readonly want: Compiled | undefined } {
    const numbering = this.#numbering;
    const got = compiledOf(
      this.world,
      prefixIdentities({ ...this.world, numbering }, this.#prefixes),
      this.#memo,
    );
    const fresh = withTwin ? prefixIdentities({ ...this.world, numbering }) : undefined;
    this.#numbering = got.prefixes.numbering;
    return { got, want: fresh && compiledOf(this.world, fresh) };
  }
}

interface Compiled {
  readonly prefixes: PrefixOutput;
  readonly compiled: CompiledPolicy;
}

function compiledOf(world: World, prefixes: PrefixOutput, memo?: CompileMemo): Compiled {
  return { prefixes, compiled: compile({ ...world, identities: prefixes.identities }, memo) };
}

/** Rows and numbers, for a comparison by value. */
function plain({ endpoints }: World, { prefixes }: Compiled): unknown {
  return { ...prefixes, identityOf: endpoints.map(prefixes.identityOf) };
}

/** What it means, whatever the places of classes. */
function meaning({ compiled, prefixes }: Compiled): string {
  const labels = new Map(prefixes.identities.map((row) => [row.id, row.labels]));
  return canonicalDump(compiled, (id) => labels.get(id));
}

/** The first flow that the tables judge otherwise than the oracle. */
function misjudged(
  world: World,
  { prefixes, compiled }: Compiled,
  flows: number,
  random: Random,
): string | undefined {
  const { cellOf } = readCompiled(world, compiled, prefixes);
  for (let i = 0; i < flows; i++) {
    const flow = randomFlow(world, random.below(2 ** 31));
    const want = evaluate(world, flow);
    const { verdict, origin, auth } = cellOf(flow);
    if (verdict === want.verdict && origin.join() === want.rules.join() && auth === want.auth) continue;
    return `${flowText(flow)}: tables say ${verdict} (${origin.join()}), the oracle ${want.verdict} (${want.rules.join()})`;
  }
  return undefined;
}

/** Several worlds in one: more policies and endpoints, facts of the first. */
function largeWorld(worldSeed: number, count: number): World {
  const worlds = Array.from({ length: count }, (_, i) => randomWorld(worldSeed + i));
  const [first = randomWorld(worldSeed)] = worlds;
  const policies = worlds.flatMap((world, i) =>
    world.policies.map((policy) => ({ ...policy, key: `${policy.key}-w${i}`, name: `${policy.name}-w${i}` })),
  );
  return { ...first, policies };
}

interface Size {
  readonly name: string;
  readonly worlds: number;
  readonly edits: number;
  /** Random worlds that one is made of. */
  readonly of: number;
  /** Every so many edits the twin is made. */
  readonly twinEvery: number;
}

const SIZES: readonly Size[] = [
  { name: 'small', worlds: WORLDS, edits: 50, of: 1, twinEvery: 1 },
  { name: 'larger', worlds: Math.ceil(WORLDS / 18), edits: 100, of: 8, twinEvery: 5 },
];

for (const { name, worlds, edits, of, twinEvery } of SIZES)
  test(`compile – ${worlds * edits} edits of ${name} worlds, each as compiled from nothing and as the oracle (seed ${seed})`, (t) => {
    t.timeout(600_000, 'two shared cores');
    const seen = new Map<string, number>();
    for (let w = 0; w < worlds; w++) {
      const random = new Random(seed + 7919 * w);
      const carried = new Carried(largeWorld(random.below(2 ** 31), of));
      let other = carried.world;
      let what = 'beginning';
      for (let i = 0; i < edits; i++) {
        const at = `world ${w}, edit ${i} (${what})`;
        const { got, want } = carried.both(i % twinEvery === 0);
        if (want !== undefined) {
          const [is, shall] = [plain(carried.world, got), plain(carried.world, want)];
          if (!isDeepStrictEqual(is, shall)) t.deepEqual(is, shall, at);
          t.is(meaning(got), meaning(want), at);
        }
        t.is(misjudged(carried.world, got, 1, random), undefined, at);
        if (i % EDITS_OF_ONE === 0) other = randomWorld(random.below(2 ** 31));
        ({ what, world: carried.world } = edited(carried.world, other, random));
        seen.set(what, (seen.get(what) ?? 0) + 1);
      }
    }
    for (const kind of KINDS) t.true((seen.get(kind) ?? 0) > 0, `no edit of: ${kind}`);
  });
