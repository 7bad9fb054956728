/**
 * Subjects whose policy cannot be computed because two of its rules exclude each other: what was in force for
 * them before stays in force (policy.md §9.6), until the rules no longer contradict.
 */
import { compareText } from '#kit/order';
import { NO_FACTS, type Policy, type Rule } from '#model';
import { conflictAmong, isAsking, mayConflict } from './conflict.ts';
import { compareRules } from './decide.ts';
import { expandPolicies } from './expand.ts';
import { egressPorts, NO_NAMED_PORTS, portsOfSubject } from './named-ports.ts';
import { LabelIndex } from './selectors.ts';
import { resolveRule, type SpecRef, specRefs } from './ruleset.ts';
import { type HeldPolicies, selectsNode, type SubjectId, type SubjectInput } from './selection.ts';

/** What was in force before: for whom, and the policies of those that were computed. */
export interface PolicyHistory {
  readonly policies: readonly Policy[];
  readonly held: HeldPolicies;
  readonly subjects: ReadonlySet<SubjectId>;
}

const NONE: HeldPolicies = new Map();

/** Subjects whose rules exclude one another, each with the ids of two that do. */
export function conflictsOf(input: SubjectInput): ReadonlyMap<SubjectId, readonly string[]> {
  const found = new Map<SubjectId, readonly string[]>();
  const { enforcement, hostFirewall } = input.config;
  if (enforcement === 'never') return found;
  const asking = input.policies.filter(({ specs }) => specs.some(({ rules }) => rules.some(isAsking)));
  if (!mayConflict(asking.flatMap(({ specs }) => specs.flatMap(({ rules }) => rules)))) return found;
  const policies = expandPolicies(asking.map(askingPart), input.facts ?? NO_FACTS);
  const selected = selectedSpecs({ ...input, policies });
  const egress = egressPorts(input.endpoints);
  const named = new Map(input.endpoints.map((row) => [row.id, portsOfSubject(row.namedPorts ?? [])]));
  const known = new Map<string, readonly string[] | undefined>();
  const examine = (subject: SubjectId, specs: readonly SpecRef[]) => {
    const ingress = subject === 'host' ? NO_NAMED_PORTS : (named.get(subject) ?? NO_NAMED_PORTS);
    const key = `${specs.map((ref) => ref.key).join(' ')} ${[...ingress].join(' ')}`;
    if (!known.has(key)) known.set(key, conflictOf(specs, { ingress, egress }));
    const conflict = known.get(key);
    if (conflict !== undefined) found.set(subject, conflict);
  };
  for (const [id, specs] of selected.endpoints) examine(id, specs);
  if (hostFirewall) examine('host', selected.host);
  return found;
}

/** The specs of these policies that select each subject, in the order of their keys. */
function selectedSpecs({ policies, endpoints, nodeLabels, config }: SubjectInput): {
  readonly endpoints: ReadonlyMap<number, readonly SpecRef[]>;
  readonly host: readonly SpecRef[];
} {
  const refs = policies.flatMap(specRefs).sort((a, b) => compareText(a.key, b.key));
  const index = new LabelIndex(config);
  for (const { id, labels } of endpoints) index.add(id, labels);
  const selected = new Map<number, SpecRef[]>(endpoints.map(({ id }) => [id, []]));
  for (const ref of refs) {
    const { subject } = ref.spec;
    if (subject.kind !== 'endpoints') continue;
    for (const id of index.matching(subject.selector)) selected.get(id)?.push(ref);
  }
  return { endpoints: selected, host: refs.filter(({ spec }) => selectsNode(spec, nodeLabels)) };
}

type PortNames = Readonly<Record<Rule['direction'], ReturnType<typeof portsOfSubject>>>;

function conflictOf(specs: readonly SpecRef[], named: PortNames): readonly string[] | undefined {
  const rules = specs.flatMap(({ spec }) => spec.rules);
  for (const direction of ['ingress', 'egress'] as const) {
    const own = rules.filter((rule) => rule.direction === direction);
    const resolved = own.map((rule) => resolveRule(rule, named[direction])).sort(compareRules);
    const conflict = conflictAmong(resolved);
    if (conflict !== undefined) return conflict;
  }
  return undefined;
}

/** The policy with the rules alone that can contradict others. */
function askingPart(policy: Policy): Policy {
  const specs = policy.specs
    .map((spec) => ({ ...spec, rules: spec.rules.filter(isAsking) }))
    .filter((spec) => spec.rules.length > 0);
  return { ...policy, specs };
}

/**
 * What stays in force for the subjects of `input` that cannot be computed. A subject that had no computed
 * policy before is not among them: its rules are compiled as they are, and what two of them contradict each
 * other about passes nothing.
 */
export function heldPolicies(input: SubjectInput, before: PolicyHistory | undefined): HeldPolicies {
  const conflicts = conflictsOf(input);
  if (conflicts.size === 0 || before === undefined) return NONE;
  const held = new Map<SubjectId, readonly Policy[]>();
  const old = { ...input, policies: before.policies };
  const uncomputed = conflictsOf(old);
  const selected = selectedSpecs(old);
  for (const subject of conflicts.keys()) {
    const kept = before.held.get(subject);
    if (kept !== undefined) held.set(subject, kept);
    else if (before.subjects.has(subject) && !uncomputed.has(subject)) {
      const specs = subject === 'host' ? selected.host : (selected.endpoints.get(subject) ?? []);
      const chosen = new Set(specs.map(({ spec }) => spec));
      held.set(
        subject,
        before.policies.filter((policy) => policy.specs.some((spec) => chosen.has(spec))),
      );
    }
  }
  return held;
}

/** The same as if the policies had been brought one by one, in the order given, to subjects that were there. */
export function heldInOrder(input: SubjectInput): HeldPolicies {
  if (conflictsOf(input).size === 0) return NONE;
  let held = NONE;
  const subjects = new Set<SubjectId>(['host', ...input.endpoints.map((endpoint) => endpoint.id)]);
  for (let count = 1; count <= input.policies.length; count++) {
    const policies = input.policies.slice(0, count);
    held = heldPolicies({ ...input, policies }, { policies: policies.slice(0, -1), held, subjects });
  }
  return held;
}

/** Every policy that is in force for somebody: those given, and those held. */
export function policiesInForce({
  policies,
  held,
}: Pick<SubjectInput, 'policies' | 'held'>): readonly Policy[] {
  return held === undefined || held.size === 0
    ? policies
    : [...new Set([...policies, ...[...held.values()].flat()])];
}
