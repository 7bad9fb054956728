/** The compiler against the oracle on random worlds, and against itself on the same rows in another order. */
import test from 'ava';
import fc from 'fast-check';
import type { PolicyFacts } from '#model';
import { evaluate, type World } from '#oracle';
import { compileWorld, flowText } from './compiled-world.ts';
import { ALL_CONSTRUCTS, constructsOf, shareTable, tooRare } from './constructs.ts';
import { COVERAGE, classify, randomFlow } from './flows.ts';
import { permits } from '#policy';
import { randomRequest } from './generate-proxy.ts';
import { randomWorld } from './generate.ts';
import { Random } from './random.ts';

const WORLDS = 200;
const FLOWS_A_WORLD = 20;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test(`agreement – compiled tables and the oracle give the same verdict and name the same rules (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  const counts = new Map<string, number>(COVERAGE.map((kind) => [kind, 0]));
  const constructs = new Map(ALL_CONSTRUCTS.map((name) => [name, 0]));
  const asked = { passes: 0, refused: 0 };
  let pairs = 0;
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const world = randomWorld(worldSeed);
      const { cellOf, dump } = compileWorld(world);
      for (let i = 0; i < FLOWS_A_WORLD; i++) {
        const flow = randomFlow(world, worldSeed + 7919 * i);
        const request = randomRequest(new Random(worldSeed + i));
        const want = evaluate(world, { ...flow, request });
        const { verdict, origin, auth, proxy, staged } = cellOf(flow);
        const answer = proxy && { parser: proxy.parser, permitted: permits(proxy, request) };
        const isProxySame = answer?.parser === want.parser && answer?.permitted === want.permitted;
        pairs++;
        const kinds = classify(world, flow, want);
        for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
        for (const name of constructsOf(world, flow, want, kinds))
          constructs.set(name, (constructs.get(name) ?? 0) + 1);
        if (want.permitted !== undefined) asked[want.permitted ? 'passes' : 'refused']++;
        if (
          verdict !== want.verdict ||
          origin.join() !== want.rules.join() ||
          auth !== want.auth ||
          staged?.verdict !== want.staged?.verdict ||
          staged?.origin.join() !== want.staged?.rules.join() ||
          !isProxySame
        ) {
          throw new Error(
            `${flowText(flow)}: tables say ${verdict} (${origin.join()}) ${auth} ${JSON.stringify(staged)} ${JSON.stringify(answer)}, oracle ${JSON.stringify(want)}\n${JSON.stringify(proxy)}\n${JSON.stringify(request)}\n${JSON.stringify(world.config)}\n${dump}`,
          );
        }
      }
    }),
    { seed, numRuns: WORLDS, includeErrorInReport: true },
  );
  t.true(pairs >= 2000);
  t.log(
    `${pairs} pairs: ${[...counts].map(([kind, n]) => `${kind} ${((100 * n) / pairs).toFixed(1)} %`).join(', ')}`,
  );
  t.log(shareTable(constructs, pairs));
  // Of fewer worlds than the datapath's test draws, one in 400.
  t.deepEqual(tooRare(constructs, pairs, 400), [], `seed ${seed}`);
  t.true(asked.passes > 0 && asked.refused > 0, JSON.stringify(asked));
  for (const [kind, n] of counts)
    t.true(n >= 0.05 * pairs, `${kind}: only ${n} of ${pairs} pairs (seed ${seed})`);
});

test(`compile – the order of rows changes no byte of the canonical dump (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const world = randomWorld(worldSeed);
      const other = shuffled(world, new Random(worldSeed + 1));
      return compileWorld(world).dump === compileWorld(other).dump;
    }),
    { seed, numRuns: 100 },
  );
  t.pass();
});

test(`compile – another history of numbers changes no byte of the canonical dump (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (before, after) => {
      const history = compileWorld(randomWorld(before)).numbering;
      const world = randomWorld(after);
      return compileWorld(world).dump === compileWorld(world, history).dump;
    }),
    { seed, numRuns: 100 },
  );
  t.pass();
});

function shuffled(world: World, random: Random): World {
  return {
    ...world,
    policies: random.shuffle(world.policies),
    endpoints: random.shuffle(world.endpoints),
    nodes: random.shuffle(world.nodes),
    localAddresses: random.shuffle(world.localAddresses),
    ...(world.facts === undefined ? {} : { facts: shuffledFacts(world.facts, random) }),
  };
}

function shuffledFacts(facts: PolicyFacts, random: Random): PolicyFacts {
  return {
    cidrGroups: random.shuffle(facts.cidrGroups),
    services: random.shuffle(facts.services),
    endpointSlices: random.shuffle(facts.endpointSlices),
    names: random.shuffle(facts.names),
    cloudGroups: random.shuffle(facts.cloudGroups),
    apiservers: random.shuffle(facts.apiservers),
  };
}
