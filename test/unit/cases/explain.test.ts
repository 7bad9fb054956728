/** Explanations: every step's conclusion is the compiled tables' verdict. */
import test from 'ava';
import fc from 'fast-check';
import { concluded, explain, viewOf } from '#cases';
import { randomFlow } from '../policy/flows.ts';
import { randomWorld } from '../policy/generate.ts';

const FLOWS_A_WORLD = 20;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test(`explain – the steps come to the verdict of the tables, and name its rules (seed ${seed})`, (t) => {
  const counts = new Map<string, number>();
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const world = randomWorld(worldSeed);
      const endpoints = world.endpoints.map((row) => ({ ...row, name: `pod/${row.id}` }));
      const view = viewOf({ ...world, node: 'here', endpoints });
      for (let i = 0; i < FLOWS_A_WORLD; i++) {
        const { subject, direction, peer, protocol, port } = randomFlow(world, worldSeed + 7919 * i);
        const steps = explain({ view, subject, direction, peer: view.identityOf(peer), protocol, port });
        const got = steps.verdict === 'deny' || steps.verdict === 'default-deny' ? 'deny' : 'allow';
        counts.set(steps.verdict, (counts.get(steps.verdict) ?? 0) + 1);
        if (got !== concluded(steps))
          throw new Error(`${concluded(steps)}: ${JSON.stringify(steps, null, 1)}`);
        const matching = new Set(
          steps.policies.flatMap(({ rules }) => rules.filter((rule) => rule.matches).map((rule) => rule.id)),
        );
        const deciders = steps.decidedBy.map(({ id }) => id);
        if (steps.verdict === 'deny' && !deciders.every((id) => matching.has(id))) {
          throw new Error(`a decider is no match: ${JSON.stringify(steps, null, 1)}`);
        }
        if (steps.verdict === 'default-deny' && deciders.join() !== [...steps.otherwise.by].sort().join()) {
          throw new Error(`another default: ${JSON.stringify(steps, null, 1)}`);
        }
        for (const rule of steps.policies.flatMap(({ rules }) => rules)) {
          if (rule.matches === (rule.failed !== undefined))
            throw new Error(`no reason: ${JSON.stringify(rule)}`);
        }
      }
    }),
    { seed, numRuns: 60, includeErrorInReport: true },
  );
  for (const verdict of ['allow', 'deny', 'default-deny']) t.true((counts.get(verdict) ?? 0) > 20, verdict);
});
