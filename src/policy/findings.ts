/**
 * What is refused, or means nothing, although a policy is accepted: findings that the status of a policy and
 * `merlon policy lint` share, each with a stable code. Pure: policies and what was compiled of them in, findings
 * out.
 */
import type { SourceAt } from '#kit/errors';
import { type Cidr, cidrCovers, formatCidr, parseCidrOrIp } from '#kit/ip';
import { Lpm } from '#kit/lpm';
import { type Policy, type PolicySpec, policyTitle, type Rule } from '#model';
import type { CompiledPolicy } from './compiled.ts';
import { conflictsOf } from './held.ts';
import { portNamesOf, portsOfSubject } from './named-ports.ts';
import { selectionsOf, type SubjectInput } from './selection.ts';

/** Every code and what it is about. */
export const FINDING_CODES = {
  'proxy-unavailable': 'A rule asks for a proxy, and none serves it: its traffic is refused.',
  conflict:
    'Two rules exclude each other (merlon.io/Conflict): subjects keep the policy they had before both were there.',
  'auth-unavailable':
    'A rule asks for authentication, and nobody can prove who they are: its traffic is refused.',
  'deny-only-default-deny': 'A direction with deny rules alone still switches to default deny.',
  'named-port-ambiguous': 'A port name stands for several numbers, so at egress for none.',
  'cidr-covers-nodes': 'A prefix covers nodes, which prefixes do not mean here.',
  'never-decides': 'A rule decides nothing: denies or nobody leave it without effect.',
  'fqdn-without-dns-rule':
    'A rule selects by DNS name, but no DNS rule of its subjects lets names be learnt.',
} as const;
export type FindingCode = keyof typeof FINDING_CODES;

export interface PolicyFinding {
  readonly code: FindingCode;
  /** Key of the policy. */
  readonly policy: string;
  /** One sentence without a full stop. */
  readonly message: string;
  readonly at: SourceAt;
  readonly hint?: string;
}

export interface FindingInput extends SubjectInput {
  readonly compiled: CompiledPolicy;
  /** Addresses of this node and of all others that are known. */
  readonly nodeAddresses?: readonly string[];
  /** Whether a proxy serves what the rules ask for. */
  readonly hasProxy: boolean;
  /** Whether anybody authenticates pairs of identities. */
  readonly hasAuth: boolean;
}

/** Findings on all policies, in their order. */
export function findingsOf(input: FindingInput): readonly PolicyFinding[] {
  const known = namesKnown(input);
  const context = contextOf(input);
  const selected = selectedSpecs(input);
  const excluding = excludingRules(input);
  return input.policies.flatMap((policy) => [
    ...policy.specs.flatMap((spec) => denyOnly(policy, spec)),
    ...policy.specs.flatMap((spec) =>
      spec.rules.flatMap((rule) => [
        ...ruleFindings(policy, rule, input),
        ...meaningFindings(policy, rule, context),
        ...(selected.has(spec) && !isWithheld(policy, input) ? shadowed(policy, rule, context) : []),
      ]),
    ),
    ...conflicts(policy, excluding),
    ...policy.specs.flatMap((spec) => fqdnFindings(policy, spec, input, known)),
  ]);
}

function ruleFindings(policy: Policy, rule: Rule, { hasProxy, hasAuth }: FindingInput): PolicyFinding[] {
  const found: PolicyFinding[] = [];
  const place = { policy: policy.key, at: rule.at };
  if (rule.proxy !== undefined && !hasProxy) {
    found.push({
      ...place,
      code: 'proxy-unavailable',
      message: `${rule.id} asks for a proxy that nobody serves: what it matches is refused (L7_PROXY_UNAVAILABLE)`,
      hint: 'allow the ports without layer 7 rules where that is enough',
    });
  }
  if (rule.auth !== undefined && rule.auth !== 'disabled' && !hasAuth) {
    found.push({
      ...place,
      code: 'auth-unavailable',
      message: `${rule.id} asks for authentication that nobody performs: what it matches is refused (AUTH_REQUIRED)`,
      hint: 'remove authentication where labels are enough',
    });
  }
  return found;
}

/** Pairs of rules that exclude each other, each once: for some subject, or for a peer that both mean. */
function excludingRules(input: FindingInput): readonly (readonly string[])[] {
  const cells = [...input.compiled.proxyRules.values()].flatMap(({ conflict }) => conflict && [conflict]);
  const pairs = [...conflictsOf(input).values(), ...cells].filter((pair) => pair !== undefined);
  return [...new Map(pairs.map((pair) => [pair.join(' '), pair])).values()];
}

function conflicts(policy: Policy, excluding: readonly (readonly string[])[]): PolicyFinding[] {
  const rules = policy.specs.flatMap((spec) => spec.rules);
  return excluding.flatMap((pair) => {
    const own = rules.find((rule) => pair.includes(rule.id));
    if (own === undefined) return [];
    const kept = 'a subject of both keeps the policy it had, and without one what both match is refused';
    return [
      {
        code: 'conflict',
        policy: policy.key,
        message: `${pair.join(' and ')} exclude each other (merlon.io/Conflict): ${kept}`,
        at: own.at,
        hint: 'give them other ports or other peers, or one kind of rules',
      },
    ];
  });
}

/** Subjects whose questions a DNS rule lets the proxy hear. */
interface NamesKnown {
  readonly endpoints: ReadonlySet<number>;
  readonly node: boolean;
}

function namesKnown(input: FindingInput): NamesKnown {
  const asking = input.policies
    .map((policy) => ({ ...policy, specs: policy.specs.filter((spec) => spec.rules.some(isDnsRule)) }))
    .filter((policy) => policy.specs.length > 0);
  const selections = asking.length === 0 ? [] : selectionsOf({ ...input, policies: asking });
  return {
    endpoints: new Set(selections.flatMap((selection) => selection.endpoints)),
    node: selections.some((selection) => selection.node),
  };
}

function isDnsRule({ proxy }: Rule): boolean {
  return proxy?.l7?.kind === 'dns';
}

function fqdnFindings(
  policy: Policy,
  spec: PolicySpec,
  input: FindingInput,
  known: NamesKnown,
): PolicyFinding[] {
  const rule = spec.rules.find(
    ({ peers }) => peers.kind === 'list' && peers.selectors.some((selector) => selector.kind === 'fqdn'),
  );
  if (rule === undefined) return [];
  const [selection] = selectionsOf({ ...input, policies: [{ ...policy, specs: [spec] }] });
  const isHeard =
    (selection?.node !== true || known.node) &&
    (selection?.endpoints ?? []).every((id) => known.endpoints.has(id));
  if (isHeard) return [];
  const port = 'toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]';
  return [
    {
      code: 'fqdn-without-dns-rule',
      policy: policy.key,
      message: `${rule.id} selects by DNS name, but no DNS rule of ${policyTitle(policy)}'s subjects lets names be learnt`,
      at: rule.at,
      hint: `allow DNS at egress with ${port}`,
    },
  ];
}

/** What rules are held against, computed once. */
interface Context {
  readonly ambiguous: ReadonlyMap<string, readonly number[]>;
  /** Undefined where prefixes mean nodes. */
  readonly nodes: Lpm<string> | undefined;
  /** Ids of rules that decide a cell; undefined where nothing is enforced. */
  readonly deciding: ReadonlySet<string> | undefined;
}

function contextOf({ config, compiled, endpoints, nodeAddresses = [] }: FindingInput): Context {
  const all = portsOfSubject(endpoints.flatMap(({ namedPorts }) => namedPorts ?? []));
  const nodes = new Lpm<string>();
  for (const text of nodeAddresses) {
    const cidr = parseCidrOrIp(text);
    if (cidr !== undefined) nodes.set(cidr, text);
  }
  const images = [compiled.host, ...compiled.ruleSets].flatMap(({ directions }) => [
    directions.ingress,
    directions.egress,
  ]);
  return {
    ambiguous: new Map([...all].filter(([, numbers]) => numbers.length > 1)),
    nodes: config.cidrMatchNodes ? undefined : nodes,
    deciding:
      config.enforcement === 'never'
        ? undefined
        : new Set(images.flatMap(({ cells }) => cells.flatMap((cell) => cell.origin))),
  };
}

function denyOnly(policy: Policy, spec: PolicySpec): PolicyFinding[] {
  return (['ingress', 'egress'] as const).flatMap((direction): PolicyFinding[] => {
    const rules = spec.rules.filter((rule) => rule.direction === direction);
    const isDenyOnly = rules.length > 0 && rules.every((rule) => rule.verdict === 'deny');
    if (!isDenyOnly || !spec.defaultDeny[direction]) return [];
    return [
      {
        code: 'deny-only-default-deny',
        policy: policy.key,
        message: `${direction} of ${policyTitle(policy)} has deny rules alone, and so denies everything else too`,
        at: rules[0]?.at ?? policy.at,
        hint: `write enableDefaultDeny: {${direction}: false}, or allow what shall pass`,
      },
    ];
  });
}

function meaningFindings(policy: Policy, rule: Rule, context: Context): PolicyFinding[] {
  const found: PolicyFinding[] = [];
  const add = (code: FindingCode, message: string, hint: string) =>
    found.push({ code, policy: policy.key, message: `${rule.id}: ${message}`, at: rule.at, hint });
  for (const name of rule.direction === 'egress' ? portNamesOf(rule) : []) {
    const numbers = context.ambiguous.get(name)?.join(', ');
    if (numbers === undefined) continue;
    const [port] = name.split('/');
    add(
      'named-port-ambiguous',
      `the port name ${port} stands for ${numbers}, so at egress it means nothing`,
      'write the number',
    );
  }
  const selectors = rule.peers.kind === 'any' ? [] : rule.peers.selectors;
  const covering = selectors.find(
    (s) => s.kind === 'cidr' && s.cidr.length > 0 && coversNode(s.cidr, s.except, context.nodes),
  );
  if (covering?.kind === 'cidr') {
    const message = `${formatCidr(covering.cidr)} covers addresses of nodes, but prefixes do not mean nodes here`;
    add(
      'cidr-covers-nodes',
      message,
      'use the entities host and remote-node, or policy-cidr-match-mode nodes',
    );
  }
  return found;
}

function coversNode(cidr: Cidr, except: readonly Cidr[], nodes: Lpm<string> | undefined): boolean {
  for (const node of nodes?.covered(cidr) ?? []) {
    if (!except.some((one) => cidrCovers(one, node.cidr))) return true;
  }
  return false;
}

/** Specs that select a subject of this node: of others nothing is decided here. */
function selectedSpecs(input: FindingInput): ReadonlySet<PolicySpec> {
  const single = input.policies.flatMap((policy) =>
    policy.specs.map((spec) => ({ ...policy, specs: [spec] })),
  );
  const selections = selectionsOf({ ...input, policies: single });
  const chosen = single.filter(
    (_, i) => selections[i]?.node === true || (selections[i]?.endpoints.length ?? 0) > 0,
  );
  return new Set(chosen.flatMap(({ specs }) => specs));
}

/** Whether somebody keeps older policies instead of this one. */
function isWithheld(policy: Policy, { held }: FindingInput): boolean {
  return [...(held?.values() ?? [])].some((own) => !own.includes(policy));
}

/** An allow rule that nothing is left of; one whose peers or ports are still to be learnt is no such rule. */
function shadowed(policy: Policy, rule: Rule, { deciding }: Context): PolicyFinding[] {
  const { peers, ports } = rule;
  const isOpen = ports.kind === 'any' || (ports.matches.length > 0 && portNamesOf(rule).length === 0);
  const isFixed =
    peers.kind === 'any' ||
    peers.selectors.some(({ kind }) => kind === 'labels' || kind === 'entity' || kind === 'cidr');
  if (rule.verdict !== 'allow' || !isOpen || !isFixed || deciding?.has(rule.id) !== false) return [];
  const message = `${rule.id} decides nothing: denies cover it, or it means nobody`;
  return [{ code: 'never-decides', policy: policy.key, message, at: rule.at, hint: 'see who its peers are' }];
}
