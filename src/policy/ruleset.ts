/**
 * Third stage, first half: what the specs of one subject come to, its rule set. Subjects with the same specs share
 * one. Which specs those are: subjects.ts.
 */
import {
  type Direction,
  type Policy,
  type PolicyConfig,
  type PolicySpec,
  type PortMatch,
  policyTitle,
  type Rule,
} from '#model';
import { partsByLength } from './auth.ts';
import { portListOf } from './classes.ts';
import type { Cell } from './compiled.ts';
import { compareRules, type ResolvedRule } from './decide.ts';
import { nameOf } from './digest.ts';
import { peerListOf } from './match.ts';
import { type NamedPorts, NO_NAMED_PORTS, portNamesOf, resolvePorts } from './named-ports.ts';
import { sortedSet } from './order.ts';
import { namesServers, sharing } from './shared.ts';
import { rangesOf } from './port-index.ts';

/** Origins of verdicts that no rule gave. */
export const ORIGIN_ALWAYS = 'enable-policy=always';
export const ORIGIN_INIT = 'reserved:init';
export const ORIGIN_LOCALHOST = 'allow-localhost';

/** What one direction of a rule set is made of. */
export interface DirectionRules {
  readonly enforced: boolean;
  /** In the order of `compareRules`. */
  readonly rules: readonly ResolvedRule[];
  /** The cell of what no rule matches. */
  readonly otherwise: Cell;
  /** Where staged policies take part: what is in force without them. The rules above are all, then. */
  readonly live?: Omit<DirectionRules, 'live'>;
}

/** The rules of all subjects with the same specs. */
export interface RuleSet {
  /** As others know it. */
  readonly key: string;
  /** Equal for equal content, the host's too. */
  readonly content: string;
  readonly directions: Readonly<Record<Direction, DirectionRules>>;
}

/** A spec with what names it. */
export interface SpecRef {
  /** Tells one content of one spec from every other. */
  readonly key: string;
  /** As people see it: `namespace/name/index`. */
  readonly label: string;
  readonly spec: PolicySpec;
}

export function specRefs(policy: Policy): readonly SpecRef[] {
  const name = policyTitle(policy);
  return policy.specs.map((spec) => ({
    key: `${policy.source}:${policy.key}#${policy.contentHash}/${spec.index}`,
    label: `${name}/${spec.index}`,
    spec,
  }));
}

/** `init`: labels are not known yet, so both directions are enforced. */
export type SubjectMode = 'default' | 'always' | 'never' | 'init';

/** What port names mean for one subject. */
export type PortNames = Readonly<Record<Direction, NamedPorts>>;

/** What a rule set is made of. */
export interface RuleSetInput {
  /** In the order of their keys. */
  readonly specs: readonly SpecRef[];
  readonly mode: SubjectMode;
  readonly isHost: boolean;
  readonly ports: PortNames;
}

/** Names the content: equal for equal rule sets under one configuration. */
export function contentOf({ specs, mode, isHost, ports }: RuleSetInput): string {
  const own = mode === 'never' ? [] : specs;
  const parts = [isHost ? 'host' : 'pod', mode, ...own.map((ref) => ref.key), ...namedPortTexts(own, ports)];
  return nameOf(parts.join(' '), 400);
}

/** Builds the rule set; what was resolved of rules before is taken over. */
export function ruleSetOf(
  content: string,
  input: RuleSetInput,
  config: PolicyConfig,
  known: ResolvedRules,
): RuleSet {
  const { specs, mode, isHost, ports } = input;
  const own = mode === 'never' ? [] : specs;
  // What a name means differs from subject to subject: such rules are resolved with each rule set.
  const ours: ResolvedRules = new WeakMap();
  const whole = (rule: Rule): ResolvedRule => {
    const isNamed = portNamesOf(rule).length > 0;
    return isNamed ? resolved(rule, ours, ports[rule.direction]) : resolved(rule, known, NO_NAMED_PORTS);
  };
  const build = (direction: Direction): DirectionRules => {
    const resolve = inParts(own, direction, ports[direction], whole);
    const of = (some: readonly SpecRef[]) => directionOf(some, direction, mode, config, resolve, isHost);
    const staged = own.filter(({ spec }) => spec.staged && hasSay(spec, direction));
    if (staged.length === 0) return of(own);
    return { ...of(own), live: of(own.filter((ref) => !staged.includes(ref))) };
  };
  const directions = { ingress: build('ingress'), egress: build('egress') };
  return { key: isHost ? 'host' : content, content, directions };
}

/**
 * How rules of one direction are resolved: whole, but in parts where names of TLS servers meet other rules
 * (shared.ts) or proofs of identity are asked for (auth.ts). A rule's parts are the same however often it is asked.
 */
function inParts(
  specs: readonly SpecRef[],
  direction: Direction,
  named: NamedPorts,
  whole: (rule: Rule) => ResolvedRule,
): (rule: Rule) => readonly ResolvedRule[] {
  const rules = specs.flatMap(({ spec }) => spec.rules.filter((rule) => rule.direction === direction));
  const asksProofs = rules.some((rule) => rule.auth !== undefined);
  if (!asksProofs && !rules.some(namesServers)) return (rule) => [whole(rule)];
  const numbered = new Map(
    rules.map((rule) => [rule, { ...rule, ports: resolvePorts(rule.ports, named) }] as const),
  );
  const apart = sharing([...numbered.values()]);
  if (!asksProofs && apart === undefined) return (rule) => [whole(rule)];
  const known = new Map<Rule, readonly ResolvedRule[]>();
  return (rule) => {
    let parts = known.get(rule);
    if (parts === undefined) {
      const plain = numbered.get(rule) ?? rule;
      parts = (apart?.(plain) ?? [{ rule: plain }]).flatMap((piece) => {
        const one = piece.rule === plain ? whole(rule) : resolveRule(piece.rule, NO_NAMED_PORTS);
        const told = piece.shared === undefined ? one : { ...one, shared: piece.shared };
        return asksProofs ? partsByLength(told, piece.rule.ports) : [told];
      });
      known.set(rule, parts);
    }
    return parts;
  };
}

/** Rules, resolved; those without port names mean the same in every rule set. */
export type ResolvedRules = WeakMap<Rule, ResolvedRule>;

function resolved(rule: Rule, known: ResolvedRules, named: NamedPorts): ResolvedRule {
  let found = known.get(rule);
  if (found === undefined) known.set(rule, (found = resolveRule(rule, named)));
  return found;
}

/** Whether a host policy's spec says anything of the direction. */
function hasSay({ rules, defaultDeny }: PolicySpec, direction: Direction): boolean {
  return defaultDeny[direction] || rules.some((rule) => rule.direction === direction);
}

const OPEN: Cell = { verdict: 'allow', origin: [], match: 'none', log: false };
const SYNTHESISED_ALLOW: Cell = { verdict: 'allow', origin: [], match: 'all', log: false };

function directionOf(
  specs: readonly SpecRef[],
  direction: Direction,
  mode: SubjectMode,
  config: PolicyConfig,
  resolve: (rule: Rule) => readonly ResolvedRule[],
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
    spec.rules.filter((rule) => rule.direction === direction).flatMap((rule) => resolve(rule)),
  );
  if (config.allowLocalhost && direction === 'ingress' && !isHost) rules.push(...resolve(LOCALHOST_RULE));
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

/** The rule with its lists resolved, names of ports by `named`. */
export function resolveRule(rule: Rule, named: NamedPorts): ResolvedRule {
  const ports = resolvePorts(rule.ports, named);
  return {
    id: rule.id,
    verdict: rule.verdict,
    tier: rule.tier,
    priority: rule.priority,
    peers: peerListOf(rule.peers),
    ports: portListOf(ports),
    written: rangesOf(ports),
    portDetail: rule.ports.kind === 'any' ? 0 : rule.ports.matches.every(isWholeProtocol) ? 1 : 2,
    bits: 0,
    log: rule.log !== undefined,
    ...(rule.proxy === undefined ? {} : { proxy: rule.proxy }),
    ...(rule.auth === undefined ? {} : { auth: rule.auth }),
  };
}

function isWholeProtocol(match: PortMatch): boolean {
  return match.kind === 'protocol';
}
