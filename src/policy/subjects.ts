/**
 * Third stage, first half: which specs select which subject, and what they make of each direction. Subjects
 * with the same specs share one rule set.
 */
import type { LabelSet } from '#kit/labels';
import type { Direction, Policy, PolicyConfig, PolicySpec, PortMatch, Rule } from '#model';
import { type PortList, portListOf } from './classes.ts';
import type { Cell } from './compiled.ts';
import { compareRules, type ResolvedRule } from './decide.ts';
import { nameOf } from './digest.ts';
import { type PeerList, peerListOf, selectorMatches } from './match.ts';
import { compareText } from '#kit/order';
import { sortedSet } from './order.ts';
import { indexLabels, matchingLabels } from './selectors.ts';

/** Origins of verdicts that no rule gave. */
export const ORIGIN_ALWAYS = 'enable-policy=always';
export const ORIGIN_INIT = 'reserved:init';
export const ORIGIN_LOCALHOST = 'allow-localhost';

/** An endpoint of this node as policy sees it: its number and the labels of its identity. */
export interface PolicySubject {
  readonly id: number;
  readonly labels: LabelSet;
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
  readonly key: string;
  readonly directions: Readonly<Record<Direction, DirectionRules>>;
}

/** The host's rule set, those of endpoints sorted by key, and which endpoint has which. */
export interface Subjects {
  readonly host: RuleSet;
  readonly ruleSets: readonly RuleSet[];
  readonly endpoints: ReadonlyMap<number, string>;
}

/** A spec with what names it. */
interface SpecRef {
  /** Tells one content of one spec from every other. */
  readonly key: string;
  /** As people see it: `namespace/name/index`. */
  readonly label: string;
  readonly spec: PolicySpec;
}

/** Finds the specs of each subject. */
export function subjectsOf(
  policies: readonly Policy[],
  endpoints: readonly PolicySubject[],
  nodeLabels: LabelSet,
  config: PolicyConfig,
): Subjects {
  const specs = policies.flatMap(specRefs).sort((a, b) => compareText(a.key, b.key));
  const resolver = createResolver();
  const hostSpecs = config.hostFirewall
    ? specs.filter(
        ({ spec }) => spec.subject.kind === 'node' && selectorMatches(spec.subject.selector, nodeLabels),
      )
    : [];
  const ordered = [...endpoints].sort((a, b) => a.id - b.id);
  const selected = selectedSpecs(specs, ordered, config);
  const ruleSets = new Map<string, RuleSet>();
  const keys = new Map<number, string>();
  ordered.forEach((endpoint, position) => {
    const mode = modeOf(config, endpoint.labels);
    const own = mode === 'never' ? [] : (selected[position] ?? []);
    const key = nameOf([mode, ...own.map((ref) => ref.key)].join(' '), 400);
    if (!ruleSets.has(key)) ruleSets.set(key, { key, directions: directionsOf(own, mode, config, resolver) });
    keys.set(endpoint.id, key);
  });
  return {
    host: { key: 'host', directions: directionsOf(hostSpecs, hostMode(config), config, resolver, true) },
    ruleSets: [...ruleSets.values()].sort((a, b) => compareText(a.key, b.key)),
    endpoints: keys,
  };
}

function specRefs(policy: Policy): SpecRef[] {
  const name = policy.namespace === undefined ? policy.name : `${policy.namespace}/${policy.name}`;
  return policy.specs.map((spec) => ({
    key: `${policy.source}:${policy.key}#${policy.contentHash}/${spec.index}`,
    label: `${name}/${spec.index}`,
    spec,
  }));
}

/** For each endpoint, by position, the specs that select it. */
function selectedSpecs(
  specs: readonly SpecRef[],
  endpoints: readonly PolicySubject[],
  config: PolicyConfig,
): SpecRef[][] {
  const index = indexLabels(
    endpoints.map((endpoint) => endpoint.labels),
    config,
  );
  const selected: SpecRef[][] = endpoints.map(() => []);
  for (const ref of specs) {
    if (ref.spec.subject.kind !== 'endpoints') continue;
    for (const position of matchingLabels(ref.spec.subject.selector, index)) selected[position]?.push(ref);
  }
  return selected;
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

function directionsOf(
  specs: readonly SpecRef[],
  mode: SubjectMode,
  config: PolicyConfig,
  resolver: Resolver,
  isHost = false,
): Record<Direction, DirectionRules> {
  const build = (direction: Direction) => directionOf(specs, direction, mode, config, resolver, isHost);
  return { ingress: build('ingress'), egress: build('egress') };
}

const OPEN: Cell = { verdict: 'allow', origin: [], match: 'none', log: false };
const SYNTHESISED_ALLOW: Cell = { verdict: 'allow', origin: [], match: 'all', log: false };

function directionOf(
  specs: readonly SpecRef[],
  direction: Direction,
  mode: SubjectMode,
  config: PolicyConfig,
  resolver: Resolver,
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
    spec.rules.filter((rule) => rule.direction === direction).map((rule) => resolver.rule(rule)),
  );
  if (config.allowLocalhost && direction === 'ingress' && !isHost) rules.push(resolver.rule(LOCALHOST_RULE));
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

/** Resolves each rule once, and each list of equal content to one object. */
interface Resolver {
  rule(rule: Rule): ResolvedRule;
}

function createResolver(): Resolver {
  const rules = new Map<Rule, ResolvedRule>();
  const peers = new Map<string, PeerList>();
  const ports = new Map<string, PortList>();
  const shared = <L extends { readonly name: string }>(known: Map<string, L>, list: L): L => {
    const first = known.get(list.name);
    if (first === undefined) known.set(list.name, list);
    return first ?? list;
  };
  const resolve = (rule: Rule): ResolvedRule => ({
    id: rule.id,
    verdict: rule.verdict,
    tier: rule.tier,
    priority: rule.priority,
    peers: shared(peers, peerListOf(rule.peers)),
    ports: shared(ports, portListOf(rule.ports)),
    portDetail: rule.ports.kind === 'any' ? 0 : rule.ports.matches.every(isWholeProtocol) ? 1 : 2,
    log: rule.log !== undefined,
  });
  return {
    rule(rule) {
      const known = rules.get(rule) ?? resolve(rule);
      rules.set(rule, known);
      return known;
    },
  };
}

function isWholeProtocol(match: PortMatch): boolean {
  return match.kind === 'protocol';
}
