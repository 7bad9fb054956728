/**
 * Why one side of a flow gets its verdict: the policies that select the subject, each rule with the first field
 * that failed, the default and who made it. Whether a rule matches is asked of the compiler: each rule is
 * compiled alone, for a subject of its own that is otherwise like the real one.
 */
import { formatAt } from '#kit/errors';
import { formatLabel, type LabelSet, labelSet } from '#kit/labels';
import {
  type Direction,
  type L7Request,
  type Policy,
  type PolicySpec,
  policyTitle,
  type Requirement,
  type Rule,
} from '#model';
import {
  type Cell,
  compile,
  judgeOf,
  ORIGIN_ALWAYS,
  ORIGIN_INIT,
  ORIGIN_LOCALHOST,
  type NamedPorts,
  portsOfSubject,
  type ProxyRuleSet,
  selectionsOf,
} from '#policy';
import { type Failure, peerFailure, portFailure } from './failure.ts';
import { type ProxyStep, proxySteps } from './proxy-text.ts';
import type { Known, NodeView, Subject } from './view.ts';

/** What is asked: one side of a flow. */
export interface SideQuestion {
  readonly view: NodeView;
  readonly subject: Subject;
  readonly direction: Direction;
  readonly peer: Known;
  readonly protocol: number;
  readonly port: number | undefined;
  /** What a proxy would see, where that is asked, too. */
  readonly request?: L7Request;
}

export interface RuleStep {
  readonly id: string;
  /** `file:line:column` */
  readonly at: string;
  readonly verdict: Rule['verdict'];
  readonly tier: number;
  readonly priority: number;
  readonly matches: boolean;
  /** The first field that failed and why; absent when the rule matches. */
  readonly failed?: Failure;
}

export interface SpecStep {
  /** `namespace/name/specIndex`. */
  readonly policy: string;
  readonly at: string;
  /** Whether it switches this direction to default deny. */
  readonly defaultDeny: boolean;
  /** In audit: it refuses nothing, whatever its rules say. */
  readonly staged?: true;
  readonly rules: readonly RuleStep[];
}

export interface Explanation {
  readonly direction: Direction;
  readonly peer: {
    readonly identity: number;
    readonly labels: readonly string[];
    /** The known prefix that decides who the address is. */
    readonly prefix?: string;
  };
  /** Whether any policy is asked in this direction. */
  readonly enforced: boolean;
  readonly policies: readonly SpecStep[];
  /** What comes of a packet that no rule matches, and who says so. */
  readonly otherwise: { readonly verdict: 'allow' | 'deny'; readonly by: readonly string[] };
  readonly verdict: Cell['verdict'];
  /** Which proxy the connection is handed to, whether it lets every request pass, and else which. */
  readonly proxy?: {
    readonly parser: string;
    readonly letsAllPass: boolean;
    readonly rules: readonly ProxyStep[];
  };
  /** How both ends prove who they are. */
  readonly auth?: string;
  /** Rules that decided, or what made the default. */
  readonly decidedBy: readonly { readonly id: string; readonly at?: string }[];
  /** What would come of it with the staged policies too, where that is something else. */
  readonly staged?: { readonly verdict: Cell['verdict']; readonly decidedBy: Explanation['decidedBy'] };
}

/** Explains one side. The verdict is that of the compiled tables. */
export function explain(question: SideQuestion): Explanation {
  const { view, subject, direction, peer, protocol, port } = question;
  const cell = view.judge(subject, direction, peer.identity, protocol, port);
  const specs = selecting(question);
  const matches = matcher(
    question,
    specs.flatMap(({ rules }) => rules),
  );
  const places = new Map(specs.flatMap(({ rules }) => rules.map((rule) => [rule.id, formatAt(rule.at)])));
  const live = specs.filter(({ spec }) => spec.staged !== true);
  const isAsked = isEnforced(question, live);
  const decidedBy = (origin: readonly string[]) =>
    origin.map((id) => {
      const at = places.get(id);
      return at === undefined ? { id } : { id, at };
    });
  return {
    direction,
    peer: {
      identity: peer.identity,
      labels: peer.labels.labels.map(formatLabel),
      ...(peer.prefix === undefined ? {} : { prefix: peer.prefix }),
    },
    enforced: isAsked,
    policies: specs.map(({ label, policy, spec, rules }) => ({
      policy: label,
      at: formatAt(policy.at),
      defaultDeny: spec.defaultDeny[direction],
      ...(spec.staged === true ? { staged: true as const } : {}),
      rules: rules.map((rule) => ruleStep(rule, matches(rule), question)),
    })),
    otherwise: otherwiseOf(question, live, isAsked),
    verdict: cell.verdict,
    ...(cell.proxy === undefined ? {} : { proxy: proxyOf(cell.proxy, question.request) }),
    ...(cell.auth === undefined ? {} : { auth: cell.auth }),
    decidedBy: decidedBy(cell.origin),
    ...(cell.staged === undefined
      ? {}
      : { staged: { verdict: cell.staged.verdict, decidedBy: decidedBy(cell.staged.origin) } }),
  };
}

function proxyOf(rules: ProxyRuleSet, request: SideQuestion['request']): Required<Explanation>['proxy'] {
  return { parser: rules.parser, letsAllPass: rules.wildcard, rules: proxySteps(rules, request) };
}

/**
 * What the steps alone come to, by policy.md §9 and §13.5; the tests hold it against the tables. Tiers and
 * priorities in order; a deny before an allow, both before a pass, which leaves the rest of its tier out.
 */
export function concluded(steps: Explanation): 'allow' | 'deny' {
  if (!steps.enforced) return 'allow';
  const matching = steps.policies
    .filter(({ staged }) => staged !== true)
    .flatMap(({ rules }) => rules)
    .filter((rule) => rule.matches)
    .sort((a, b) => a.tier - b.tier || a.priority - b.priority);
  const passed = new Set<number>();
  for (const { tier, priority } of matching) {
    if (passed.has(tier)) continue;
    const level = matching.filter((rule) => rule.tier === tier && rule.priority === priority);
    if (level.some((rule) => rule.verdict === 'deny')) return 'deny';
    if (level.some((rule) => rule.verdict === 'allow')) return 'allow';
    passed.add(tier);
  }
  return steps.otherwise.verdict;
}

interface Selecting {
  readonly label: string;
  readonly policy: Policy;
  readonly spec: PolicySpec;
  /** Those of the direction. */
  readonly rules: readonly Rule[];
}

/** The specs that select the subject and have something to say in the direction. */
function selecting({ view, subject, direction }: SideQuestion): readonly Selecting[] {
  const { world } = view;
  const all = world.policies.flatMap((policy) => policy.specs.map((spec) => ({ policy, spec })));
  const selections = selectionsOf({
    ...world,
    endpoints: world.endpoints.filter((endpoint) => endpoint.id === subject),
    policies: all.map(({ policy, spec }) => ({ ...policy, specs: [spec] })),
  });
  return all.flatMap(({ policy, spec }, i) => {
    const selection = selections[i];
    const isSelected = subject === 'host' ? selection?.node : (selection?.endpoints.length ?? 0) > 0;
    const rules = spec.rules.filter((rule) => rule.direction === direction);
    const isSilent = rules.length === 0 && !(subject === 'host' && spec.defaultDeny[direction]);
    if (isSelected !== true || isSilent) return [];
    return [{ label: `${policyTitle(policy)}/${spec.index}`, policy, spec, rules }];
  });
}

function labelsOfSubject({ view, subject }: SideQuestion): LabelSet {
  return view.world.endpoints.find((endpoint) => endpoint.id === subject)?.labels ?? labelSet([]);
}

function isInit(question: SideQuestion): boolean {
  return labelsOfSubject(question).labels.some((l) => l.source === 'reserved' && l.key === 'init');
}

function isEnforced(question: SideQuestion, specs: readonly Selecting[]): boolean {
  const { enforcement, hostFirewall } = question.view.world.config;
  if (enforcement === 'never' || (question.subject === 'host' && !hostFirewall)) return false;
  return specs.length > 0 || enforcement === 'always' || isInit(question);
}

function otherwiseOf(
  question: SideQuestion,
  specs: readonly Selecting[],
  enforced: boolean,
): Explanation['otherwise'] {
  const { config } = question.view.world;
  if (!enforced) return { verdict: 'allow', by: [] };
  const isLocalhost =
    question.subject !== 'host' && question.direction === 'ingress' && config.allowLocalhost;
  const isFromHost = question.peer.labels.labels.some((l) => l.source === 'reserved' && l.key === 'host');
  if (isLocalhost && isFromHost) return { verdict: 'allow', by: [ORIGIN_LOCALHOST] };
  const by = specs.filter(({ spec }) => spec.defaultDeny[question.direction]).map(({ label }) => label);
  if (config.enforcement === 'always') by.push(ORIGIN_ALWAYS);
  else if (isInit(question)) by.push(ORIGIN_INIT);
  return { verdict: by.length > 0 ? 'deny' : 'allow', by };
}

/** Whether a rule means the packet, and whether its peers alone do. */
interface Match {
  readonly all: boolean;
  readonly peers: boolean;
}

const PROBE = { source: 'merlon', key: 'probe' };

/** Compiles every rule alone, twice: as it is and without its ports. */
function matcher(question: SideQuestion, rules: readonly Rule[]): (rule: Rule) => Match {
  const { view, direction, peer, protocol, port } = question;
  const { world, identities } = view;
  const first = Math.max(0, ...world.endpoints.map((endpoint) => endpoint.id)) + 1;
  const own = world.endpoints.find((endpoint) => endpoint.id === question.subject);
  const probes = rules.flatMap((rule) => [rule, { ...rule, ports: { kind: 'any' } as const }]);
  const subjects = probes.map((_, i) => ({
    ...own,
    id: first + i,
    labels: labelSet([...(own?.labels.labels ?? []), { ...PROBE, value: String(i) }]),
  }));
  const judge = judgeOf(
    compile({
      ...world,
      identities,
      policies: probes.map(probePolicy),
      endpoints: [...world.endpoints, ...subjects],
      config: { ...world.config, enforcement: 'default', allowLocalhost: false },
    }),
  );
  const isMatch = (i: number): boolean => {
    const { origin } = judge(first + i, direction, peer.identity, protocol, port);
    return origin.includes(probes[i]?.id ?? '');
  };
  return (rule) => {
    const i = 2 * rules.indexOf(rule);
    return { all: isMatch(i), peers: isMatch(i + 1) };
  };
}

function probePolicy(rule: Rule, i: number): Policy {
  const requirement: Requirement = { ...PROBE, operator: 'In', values: [String(i)] };
  return {
    key: `probe/${i}`,
    kind: 'CiliumClusterwideNetworkPolicy',
    namespace: undefined,
    name: `probe-${i}`,
    at: {},
    source: 'probe',
    contentHash: String(i),
    specs: [
      {
        index: 0,
        subject: { kind: 'endpoints', selector: { requirements: [requirement] } },
        defaultDeny: { ingress: true, egress: true },
        rules: [{ ...rule, verdict: 'allow', tier: 0, priority: 0 }],
      },
    ],
  };
}

function ruleStep(rule: Rule, match: Match, question: SideQuestion): RuleStep {
  const { id, verdict, tier, priority } = rule;
  const step = { id, at: formatAt(rule.at), verdict, tier, priority, matches: match.all };
  if (match.all) return step;
  const failed = match.peers
    ? portFailure(rule, question, namedPorts(question))
    : peerFailure(rule, question.peer.labels, question.view.world.facts);
  return { ...step, failed };
}

/** Ports by name: at ingress the subject's own, at egress everybody's (policy.md §5.2). */
function namedPorts({ view, subject, direction }: SideQuestion): NamedPorts {
  const { endpoints } = view.world;
  const owners = direction === 'egress' ? endpoints : endpoints.filter(({ id }) => id === subject);
  return portsOfSubject(owners.flatMap((row) => row.namedPorts ?? []));
}
