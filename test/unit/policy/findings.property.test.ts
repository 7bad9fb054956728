/** Findings on random worlds: what they claim holds for the naive evaluator, and order changes nothing. */
import test from 'ava';
import fc from 'fast-check';
import { type Finding, FINDINGS, matches, type Policy } from '#model';
import { evaluate, type World } from '#oracle';
import { type Findings, findingsOf } from '#policy';
import { compileWorld } from './compiled-world.ts';
import { randomFlow } from './flows.ts';
import { randomWorld } from './generate.ts';

const WORLDS = 120;
const FLOWS_A_WORLD = 40;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

/** The policies with a line for every rule, so that findings can be told apart. */
function numbered(policies: readonly Policy[]): readonly Policy[] {
  let line = 0;
  return policies.map((policy) => ({
    ...policy,
    at: { line: ++line },
    specs: policy.specs.map((spec) => ({
      ...spec,
      rules: spec.rules.map((rule) => ({ ...rule, at: { line: ++line } })),
    })),
  }));
}

function findings(world: World): readonly Findings[] {
  const { compiled, identities } = compileWorld(world);
  const { policies, config, facts } = world;
  const nodes = [{ world, compiled, identities }];
  return [...findingsOf({ policies, config, facts, nodes, isReal: true, hasProxy: false, hasAuth: false })];
}

const texts = (all: readonly Findings[]): readonly string[] =>
  all.flatMap((one) => one.findings.map((finding) => JSON.stringify(finding))).sort();

/** Ids of the rules that a finding of this code speaks of. */
function rulesOf(all: readonly Findings[], code: Finding['code']): ReadonlySet<string> {
  const lines = new Set(
    all.flatMap((one) => one.findings).flatMap((finding) => (finding.code === code ? [finding.at.line] : [])),
  );
  const rules = all.flatMap(({ policy }) => policy.specs.flatMap((spec) => spec.rules));
  return new Set(rules.filter((rule) => lines.has(rule.at.line)).map((rule) => rule.id));
}

test(`findings – hold for the naive evaluator, whatever the order of policies (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  let shadowed = 0;
  let silent = 0;
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const random = randomWorld(worldSeed);
      const world = { ...random, policies: numbered(random.policies) };
      const all = findings(world);
      const idle = rulesOf(all, 'shadowed-by-deny');
      shadowed += idle.size;
      for (let i = 0; i < FLOWS_A_WORLD; i++) {
        const { verdict, rules } = evaluate(world, randomFlow(world, worldSeed + 7919 * i));
        const wrong = rules.find((id) => verdict !== 'deny' && idle.has(id));
        if (wrong !== undefined) throw new Error(`${wrong} is told to decide nothing, and decides`);
      }
      for (const { policy, endpoints, findings: own } of all) {
        const selected = world.endpoints.filter(({ labels }) =>
          policy.specs.some(
            ({ subject }) => subject.kind === 'endpoints' && matches(subject.selector, labels),
          ),
        );
        if (
          endpoints.join() !==
          selected
            .map(({ id }) => String(id))
            .sort()
            .join()
        ) {
          throw new Error(
            `${policy.key} selects ${endpoints.join()}, not ${selected.map(({ id }) => id).join()}`,
          );
        }
        silent += own.length === 0 ? 1 : 0;
        for (const { code, message } of own) {
          if (FINDINGS[code] === undefined || message.endsWith('.')) throw new Error(`${code}: ${message}`);
        }
      }
      const turned = findings({ ...world, policies: [...world.policies].reverse() });
      const differing = [...new Set(texts(turned)).symmetricDifference(new Set(texts(all)))];
      if (differing.length > 0) throw new Error(`order counts:\n${differing.join('\n')}`);
    }),
    { seed, numRuns: WORLDS, includeErrorInReport: true },
  );
  t.true(shadowed > 0, 'no rule was shadowed');
  t.log(`${shadowed} rules shadowed, ${silent} policies without findings`);
});
