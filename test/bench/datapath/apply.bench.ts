/**
 * What a change of one rule set costs among a thousand: the datapath's half, over plain memory, in
 * milliseconds of CPU. Run with `node test/bench/datapath/apply.bench.ts`.
 */
import type { Policy } from '#model';
import { CompileMemo, compile } from '#policy';
import { policyMemory } from '../../../src/datapath/memory.ts';
import { Origins } from '../../../src/datapath/origins.ts';
import { PolicyTables } from '../../../src/datapath/policy.ts';
import { plainBuffers, TwinEndpoints } from '../../unit/datapath/policy-model.ts';
import { input } from '../policy.bench.ts';

const ENDPOINTS = 9000;
const ROUNDS = 12;

/** One rule's port becomes another: what a person edits. */
function edited(policy: Policy, round: number): Policy {
  const specs = policy.specs.map((spec) => ({
    ...spec,
    rules: spec.rules.map((rule, i) =>
      i > 0
        ? rule
        : {
            ...rule,
            ports: {
              kind: 'list' as const,
              matches: [{ kind: 'ports' as const, protocol: 6, first: 8000 + round, last: 8000 + round }],
            },
          },
    ),
  }));
  return { ...policy, specs, contentHash: `edit ${round}` };
}

/** Of this thread: what other processes do beside it does not count. */
const cpuMs = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? 0;

const given = input(2000, 10_000, ENDPOINTS);
const memo = new CompileMemo();
let generation = 1;
const tables = new PolicyTables({
  mem: policyMemory(plainBuffers({ rulesets: 4096, arenaWords: 32 << 20, pages: 64 })),
  grace: { wait: async () => undefined },
  origins: new Origins(65536),
  endpoints: new TwinEndpoints(),
  nextGeneration: () => ++generation,
  clearCounter: () => undefined,
});
const first = compile(given, memo);
let start = cpuMs();
await tables.apply(first);
const applyAllMs = cpuMs() - start;
await tables.settle();
const applyMs: number[] = [];
const settleMs: number[] = [];
let switched = 0;
for (let round = 0; round < ROUNDS; round++) {
  const at = (round * 83) % given.policies.length;
  const policies = given.policies.with(at, edited(given.policies[at] as Policy, round));
  const compiled = compile({ ...given, policies }, memo);
  start = cpuMs();
  const applied = await tables.apply(compiled);
  applyMs.push(cpuMs() - start);
  switched += applied.switched.length;
  start = cpuMs();
  await tables.settle();
  settleMs.push(cpuMs() - start);
}
console.log(
  JSON.stringify({
    ruleSets: first.ruleSets.length,
    identityClasses: first.identityClasses.length,
    applyAllMs,
    applyMs: median(applyMs),
    settleMs: median(settleMs),
    switchedPerChange: switched / ROUNDS,
  }),
);
