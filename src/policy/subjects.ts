/**
 * Third stage, first half: which specs select which subject, and what they make of each direction. Subjects
 * with the same specs share one rule set.
 */
import type { LabelSet } from '#kit/labels';
import {
  type Direction,
  type NamedPort,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  type PolicySpec,
  type PortMatch,
  policyTitle,
  type Rule,
} from '#model';
import { portListOf } from './classes.ts';
import type { Cell } from './compiled.ts';
import { compareRules, type ResolvedRule } from './decide.ts';
import { nameOf } from './digest.ts';
import { peerListOf, selectorMatches } from './match.ts';
import {
  egressPorts,
  type NamedPorts,
  NO_NAMED_PORTS,
  portNamesOf,
  portsOfSubject,
  resolvePorts,
} from './named-ports.ts';
import { compareText } from '#kit/order';
import { sortedSet } from './order.ts';
import { LabelIndex } from './selectors.ts';

/** Origins of verdicts that no rule gave. */
export const ORIGIN_ALWAYS = 'enable-policy=always';
export const ORIGIN_INIT = 'reserved:init';
export const ORIGIN_LOCALHOST = 'allow-localhost';

/** An endpoint of this node as policy sees it: its number and the labels of its identity. */
export interface PolicySubject {
  readonly id: number;
  readonly labels: LabelSet;
  readonly namedPorts?: readonly NamedPort[];
}

/** What one direction of a rule set is made of. */
export interface DirectionRules {
  readonly enforced: boolean;
  /** In the order of `compareRules`. */
  readonly rules: readonly ResolvedRule[];
  /** The cell of what no rule matches. */
  readonly otherwise: Cell;
}

/** The rules of all subjects with the same specs. */
export interface RuleSet {
  /** As others know it. */
  readonly key: string;
  /** Equal for equal content, the host's too. */
  readonly content: string;
  readonly directions: Readonly<Record<Direction, DirectionRules>>;
}

/** The host's rule set, those of endpoints sorted by key, and which endpoint has which. */
export interface Subjects {
  readonly host: RuleSet;
  readonly ruleSets: readonly RuleSet[];
  readonly endpoints: ReadonlyMap<number, string>;
  readonly memo: RuleSetMemo;
}

/** What subjects and their specs are found from. */
export interface SubjectInput {
  readonly policies: readonly Policy[];
  readonly endpoints: readonly PolicySubject[];
  /** Labels of this node, against which node selectors are matched. */
  readonly nodeLabels: LabelSet;
  readonly config: PolicyConfig;
  readonly facts?: PolicyFacts;
}

/** A spec with what names it. */
interface SpecRef {
  /** Tells one content of one spec from every other. */
  readonly key: string;
  /** As people see it: `namespace/name/index`. */
  readonly label: string;
  readonly spec: PolicySpec;
}

/** Finds the specs of each subject; `memo` is what an earlier compilation resolved. */
export function subjectsOf(input: SubjectInput, memo: RuleSetMemo): Subjects {
  const { config } = input;
  const specs = input.policies.flatMap(specRefs).sort((a, b) => compareText(a.key, b.key));
  const resolver = createResolver(memo, config);
  const ofOthers = egressPorts(input.endpoints);
  const ordered = [...input.endpoints].sort((a, b) => a.id - b.id);
  const selected = selectedSpecs(specs, ordered, config);
  const ruleSets = new Map<string, RuleSet>();
  const keys = new Map<number, string>();
  for (const endpoint of ordered) {
    const mode = modeOf(config, endpoint.labels);
    const ruleSet = resolver.ruleSet(selected.get(endpoint.id) ?? [], mode, false, {
      ingress: portsOfSubject(endpoint.namedPorts ?? []),
      egress: ofOthers,
    });
    ruleSets.set(ruleSet.key, ruleSet);
    keys.set(endpoint.id, ruleSet.key);
  }
  const hostSpecs = specs.filter(({ spec }) => selectsNode(spec, input.nodeLabels));
  return {
    host: resolver.ruleSet(hostSpecs, hostMode(config), true, { ingress: NO_NAMED_PORTS, egress: ofOthers }),
    ruleSets: [...ruleSets.values()].sort((a, b) => compareText(a.key, b.key)),
    endpoints: keys,
    memo: resolver.used,
  };
}

function selectsNode(spec: PolicySpec, nodeLabels: LabelSet): boolean {
  return spec.subject.kind === 'node' && selectorMatches(spec.subject.selector, nodeLabels);
}

/** Which subjects a policy selects: endpoints by number, ascending, and whether the node. */
export interface Selection {
  readonly endpoints: readonly number[];
  readonly node: boolean;
}

/** What each policy selects, in the order given; for the status of objects. */
export function selectionsOf(input: SubjectInput): readonly Selection[] {
  const index = endpointIndex(input.endpoints, input.config);
  return input.policies.map(({ specs }) => {
    const ids = specs.flatMap(({ subject }) =>
      subject.kind === 'endpoints' ? index.matching(subject.selector) : [],
    );
    return {
      endpoints: [...new Set(ids)].sort((a, b) => a - b),
      node: specs.some((spec) => selectsNode(spec, input.nodeLabels)),
    };
  });
}

function specRefs(policy: Policy): SpecRef[] {
  const name = policyTitle(policy);
  return policy.specs.map((spec) => ({
    key: `${policy.source}:${policy.key}#${policy.contentHash}/${spec.index}`,
    label: `${name}/${spec.index}`,
    spec,
  }));
}

/** For each endpoint the specs that select it. */
function selectedSpecs(
  specs: readonly SpecRef[],
  endpoints: readonly PolicySubject[],
  config: PolicyConfig,
): ReadonlyMap<number, readonly SpecRef[]> {
  const index = endpointIndex(endpoints, config);
  const selected = new Map<number, SpecRef[]>(endpoints.map(({ id }) => [id, []]));
  for (const ref of specs) {
    if (ref.spec.subject.kind !== 'endpoints') continue;
    for (const id of index.matching(ref.spec.subject.selector)) selected.get(id)?.push(ref);
  }
  return selected;
}

function endpointIndex(endpoints: readonly PolicySubject[], config: PolicyConfig): LabelIndex {
  const index = new LabelIndex(config);
  for (const { id, labels } of endpoints) index.add(id, labels);
  return index;
}

/** `init`: labels are not known yet, so both directions are enforced. */
type SubjectMode = 'default' | 'always' | 'never' | 'init';

function modeOf(config: PolicyConfig, labels: LabelSet): SubjectMode {
  if (config.enforcement !== 'default') return config.enforcement;
  return labels.labels.some((l) => l.source === 'reserved' && l.key === 'init') ? 'init' : 'default';
}

function hostMode(config: PolicyConfig): SubjectMode {
  return config.hostFirewall ? config.enforcement : 'never';
}

const OPEN: Cell = { verdict: 'allow', origin: [], match: 'none', log: false };
const SYNTHESISED_ALLOW: Cell = { verdict: 'allow', origin: [], match: 'all', log: false };

function directionOf(
  specs: readonly SpecRef[],
  direction: Direction,
  mode: SubjectMode,
  config: PolicyConfig,
  resolve: (rule: Rule) => ResolvedRule,
  isHost: boolean,
): DirectionRules {
  const involved = specs.filter(({ spec }) => spec.rules.some((rule) => rule.direction === direction));
  // On the host the field alone switches the direction; on pods it needs a rule beside it (HF-5.1).
  const denying = (isHost ? specs : involved).filter(({ spec }) => spec.defaultDeny[direction]);
  const forced = mode === 'always' || mode === 'init';
  if (mode === 'never' || !(forced || involved.length > 0 || denying.length > 0)) {
    return { enforced: false, rules: [], otherwise: OPEN };
  }
  const rules = involved.flatMap(({ spec }) =>
    spec.rules.filter((rule) => rule.direction === direction).map((rule) => resolve(rule)),
  );
  if (config.allowLocalhost && direction === 'ingress' && !isHost) rules.push(resolve(LOCALHOST_RULE));
  return {
    enforced: true,
    rules: rules.sort(compareRules),
    otherwise: forced || denying.length > 0 ? defaultDeny(denying, mode) : SYNTHESISED_ALLOW,
  };
}

function defaultDeny(denying: readonly SpecRef[], mode: SubjectMode): Cell {
  const origin = denying.map((ref) => ref.label);
  if (mode === 'always') origin.push(ORIGIN_ALWAYS);
  if (mode === 'init') origin.push(ORIGIN_INIT);
  return { verdict: 'default-deny', origin: sortedSet(origin), match: 'none', log: false };
}

/** After every tier that people can write: explicit deny wins over it (policy.md §8.4). */
const LOCALHOST_RULE: Rule = {
  id: ORIGIN_LOCALHOST,
  at: {},
  direction: 'ingress',
  verdict: 'allow',
  tier: Number.MAX_SAFE_INTEGER,
  priority: 0,
  peers: { kind: 'list', selectors: [{ kind: 'entity', entity: 'host' }] },
  ports: { kind: 'any' },
};

/** What was resolved, to be taken over by the next compilation. Equal keys have equal content. */
export interface RuleSetMemo {
  readonly rules: ReadonlyMap<Rule, ResolvedRule>;
  readonly ruleSets: ReadonlyMap<string, RuleSet>;
}

/** What port names mean for one subject. */
type PortNames = Readonly<Record<Direction, NamedPorts>>;

interface Resolver {
  ruleSet(specs: readonly SpecRef[], mode: SubjectMode, isHost: boolean, ports: PortNames): RuleSet;
  /** What this compilation has used, nothing else. */
  readonly used: RuleSetMemo;
}

function createResolver(memo: RuleSetMemo, config: PolicyConfig): Resolver {
  const rules = new Map<Rule, ResolvedRule>();
  const ruleSets = new Map<string, RuleSet>();
  const resolve = (rule: Rule): ResolvedRule => {
    const resolved = rules.get(rule) ?? memo.rules.get(rule) ?? resolveRule(rule, NO_NAMED_PORTS);
    rules.set(rule, resolved);
    return resolved;
  };
  // What a name means differs from subject to subject: such rules are resolved with each rule set.
  const resolveFor = (rule: Rule, ports: PortNames): ResolvedRule =>
    portNamesOf(rule).length === 0 ? resolve(rule) : resolveRule(rule, ports[rule.direction]);
  return {
    used: { rules, ruleSets },
    ruleSet(specs, mode, isHost, ports) {
      const own = mode === 'never' ? [] : specs;
      const named = namedPortTexts(own, ports);
      const parts = [isHost ? 'host' : 'pod', mode, ...own.map((ref) => ref.key), ...named];
      const content = nameOf(parts.join(' '), 400);
      let ruleSet = ruleSets.get(content) ?? memo.ruleSets.get(content);
      if (ruleSet === undefined) {
        const resolveOne = (rule: Rule) => resolveFor(rule, ports);
        const build = (direction: Direction) => directionOf(own, direction, mode, config, resolveOne, isHost);
        const directions = { ingress: build('ingress'), egress: build('egress') };
        ruleSet = { key: isHost ? 'host' : content, content, directions };
      } else {
        for (const rule of own.flatMap(({ spec }) => spec.rules)) {
          if (portNamesOf(rule).length === 0) resolve(rule);
        }
      }
      ruleSets.set(content, ruleSet);
      return ruleSet;
    },
  };
}

/** `ingress:http/6=8080` for each name that the specs use and that means something. */
function namedPortTexts(specs: readonly SpecRef[], ports: PortNames): readonly string[] {
  const rules = specs.flatMap(({ spec }) => spec.rules);
  return sortedSet(
    rules.flatMap((rule) =>
      portNamesOf(rule).map((name) => {
        const numbers = ports[rule.direction].get(name) ?? [];
        return `${rule.direction}:${name}=${numbers.join()}`;
      }),
    ),
  );
}

function resolveRule(rule: Rule, named: NamedPorts): ResolvedRule {
  return {
    id: rule.id,
    verdict: rule.verdict,
    tier: rule.tier,
    priority: rule.priority,
    peers: peerListOf(rule.peers),
    ports: portListOf(resolvePorts(rule.ports, named)),
    portDetail: rule.ports.kind === 'any' ? 0 : rule.ports.matches.every(isWholeProtocol) ? 1 : 2,
    log: rule.log !== undefined,
    ...(rule.proxy === undefined ? {} : { proxy: rule.proxy }),
    ...(rule.auth === undefined ? {} : { auth: rule.auth }),
  };
}

function isWholeProtocol(match: PortMatch): boolean {
  return match.kind === 'protocol';
}
