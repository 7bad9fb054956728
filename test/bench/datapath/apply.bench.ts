/**
 * What a change of one rule set costs among a thousand: the datapath's half, over plain memory, in
 * milliseconds of CPU. Run with `node test/bench/datapath/apply.bench.ts`.
 */
import type { Policy } from '#model';
import { ControlPass } from './pass.ts';
import { worldOf } from '../policy/world.ts';
import { median } from './median.ts';

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

const world = worldOf(2000, 10_000, ENDPOINTS);
const pass = new ControlPass(cpuMs);
const first = await pass.run(world);
const applyMs: number[] = [];
const settleMs: number[] = [];
let switched = 0;
for (let round = 0; round < ROUNDS; round++) {
  const at = (round * 83) % world.policies.length;
  const policies = world.policies.with(at, edited(world.policies[at] as Policy, round));
  const done = await pass.run({ ...world, policies });
  applyMs.push(done.applyMs);
  settleMs.push(done.settleMs);
  switched += done.switched;
}
console.log(
  JSON.stringify({
    ruleSets: first.compiled.ruleSets.length,
    identityClasses: first.compiled.identityClasses.length,
    applyAllMs: first.applyMs,
    applyMs: median(applyMs),
    settleMs: median(settleMs),
    switchedPerChange: switched / ROUNDS,
  }),
);
