/**
 * The constructs of the policy language, by the tables of its specification, and which of them a pair has: those of
 * the specs that select the flow's subject, of the world it is judged in, and what came of it. A run of random pairs
 * shows with them that it drew from the whole language.
 */
import { cidrContainsIp, formatIp } from '#kit/ip';
import type { PeerSelector, PolicySpec, PortMatch, Requirement, Rule } from '#model';
import { ENTITIES } from '#model/parse';
import type { Evaluation, World } from '#oracle';
import { type AddressFlow, involvedSpecs } from './flows.ts';

/** Every construct, by what it belongs to. */
export const CONSTRUCTS = {
  objects: [
    'CNP',
    'CCNP',
    'CCNP, nodeSelector',
    'NetworkPolicy',
    'specs',
    'another spec, not of the subject',
  ],
  rules: [
    ...['ingress', 'egress', 'ingressDeny', 'egressDeny', 'log'],
    ...['enableDefaultDeny: false', 'enableDefaultDeny: true, no rules'],
  ],
  selectors: [
    'In',
    'NotIn',
    'Exists',
    'DoesNotExist',
    'any:',
    'k8s:',
    'another source',
    'reserved:',
    'two selectors',
  ],
  peers: [
    ...[
      'absent',
      'empty',
      'endpoints',
      'nodes',
      'CIDR',
      'CIDRSet except',
      'nested CIDRs',
      'an address a CIDR excepts',
    ],
    ...['cidrGroupRef', 'cidrGroupSelector', 'group except', 'groups', 'k8sService', 'k8sServiceSelector'],
    ...['matchName', 'matchPattern', 'a learnt address'],
    ...ENTITIES.map((entity) => `entity ${entity}`),
  ],
  authentication: ['disabled', 'required', 'test-always-fail'],
  ports: [
    ...[
      'absent',
      'empty',
      'port',
      'endPort',
      'edge of a range',
      'name',
      'TCP',
      'UDP',
      'SCTP',
      'whole protocol',
    ],
    ...['VRRP, IGMP, other protocols', 'ICMP', 'ICMPv6', 'a packet of unknown port', 'two matches'],
  ],
  'layer 7': [
    ...['http', 'kafka', 'dns', 'l7proto', 'serverNames', 'terminatingTLS', 'originatingTLS', 'listener'],
    ...['listener priority', 'any peer'],
  ],
  node: [
    'mode default',
    'mode always',
    'mode never',
    'hostFirewall off',
    'allow-localhost',
    'cidr-match nodes',
    'IPv6',
  ],
  verdicts: [...['allow', 'deny', 'deny over allow', 'default-deny', 'redirect', 'auth', 'not enforced']],
} as const;

/** `table: construct`. */
export type Construct = string;

export const ALL_CONSTRUCTS: readonly Construct[] = Object.entries(CONSTRUCTS).flatMap(([table, list]) =>
  list.map((one) => `${table}: ${one}`),
);

/** Which constructs this pair has. `kinds`: what `classify` says of it. */
export function constructsOf(
  world: World,
  flow: AddressFlow,
  came: Evaluation,
  kinds: readonly string[],
): ReadonlySet<Construct> {
  const found = new Set<Construct>();
  const add = (table: keyof typeof CONSTRUCTS, ...names: readonly string[]) => {
    for (const name of names) found.add(`${table}: ${name}`);
  };
  const specs = involvedSpecs(world, flow.subject);
  for (const { policy, spec } of specs) {
    if (policy.kind === 'NetworkPolicy') add('objects', 'NetworkPolicy');
    else if (spec.subject.kind === 'node') add('objects', 'CCNP, nodeSelector');
    else add('objects', policy.namespace === undefined ? 'CCNP' : 'CNP');
    if (policy.specs.length > 1) add('objects', 'specs');
    add('selectors', ...spec.subject.selector.requirements.flatMap(wordsOf));
    add('rules', ...defaultsOf(spec, flow));
  }
  if (world.policies.flatMap((policy) => policy.specs).length > specs.length)
    add('objects', 'another spec, not of the subject');
  const rules = specs.flatMap(({ spec }) => spec.rules).filter((rule) => rule.direction === flow.direction);
  for (const rule of rules) {
    add('rules', `${rule.direction}${rule.verdict === 'deny' ? 'Deny' : ''}`, ...(rule.log ? ['log'] : []));
    add('peers', ...peersOf(rule));
    add('selectors', ...requirementsOf(rule).flatMap(wordsOf), ...(isOfMany(rule) ? ['two selectors'] : []));
    add('ports', ...portsOf(rule));
    if (rule.auth !== undefined) add('authentication', rule.auth);
    add('layer 7', ...proxyOf(rule));
  }
  if (areNested(rules)) add('peers', 'nested CIDRs');
  if (isLearnt(world, rules, flow)) add('peers', 'a learnt address');
  add('node', ...nodeWords(world, flow));
  add('verdicts', came.enforced ? came.verdict : 'not enforced');
  if (kinds.includes('deny over allow')) add('verdicts', 'deny over allow');
  if (kinds.includes('except')) add('peers', 'an address a CIDR excepts');
  if (kinds.includes('range edge')) add('ports', 'edge of a range');
  if (kinds.includes('unknown port')) add('ports', 'a packet of unknown port');
  return found;
}

function defaultsOf(spec: PolicySpec, { direction }: AddressFlow): readonly string[] {
  const hasRules = spec.rules.some((rule) => rule.direction === direction);
  if (spec.defaultDeny[direction] === hasRules) return [];
  return [hasRules ? 'enableDefaultDeny: false' : 'enableDefaultDeny: true, no rules'];
}

const selectorsOf = ({ peers }: Rule): readonly PeerSelector[] =>
  peers.kind === 'any' ? [] : peers.selectors;
const isOfMany = (rule: Rule): boolean => selectorsOf(rule).length > 1;

function requirementsOf(rule: Rule): readonly Requirement[] {
  return selectorsOf(rule).flatMap((one) => (one.kind === 'labels' ? one.selector.requirements : []));
}

function wordsOf({ operator, source }: Requirement): readonly string[] {
  const by = ['any', 'k8s', 'reserved'].includes(source) ? `${source}:` : 'another source';
  return [operator, by];
}

function peersOf(rule: Rule): readonly string[] {
  if (rule.peers.kind === 'any') return ['absent'];
  if (rule.peers.selectors.length === 0) return ['empty'];
  return rule.peers.selectors.flatMap(peerWords);
}

function peerWords(one: PeerSelector): readonly string[] {
  switch (one.kind) {
    case 'labels': {
      const isOfNodes = one.selector.requirements.some(
        ({ source, key }) => source === 'reserved' && key === 'remote-node',
      );
      return [isOfNodes ? 'nodes' : 'endpoints'];
    }
    case 'entity':
      return [`entity ${one.entity}`];
    case 'cidr':
      return [one.except.length > 0 ? 'CIDRSet except' : 'CIDR'];
    case 'cidrGroup': {
      const isByName = one.selector.requirements.some(({ key }) => key.includes('cidrgroupname'));
      return [
        isByName ? 'cidrGroupRef' : 'cidrGroupSelector',
        ...(one.except.length > 0 ? ['group except'] : []),
      ];
    }
    case 'fqdn':
      return [one.pattern.includes('*') ? 'matchPattern' : 'matchName'];
    case 'service':
      return ['name' in one.by ? 'k8sService' : 'k8sServiceSelector'];
    case 'cloudGroup':
      return ['groups'];
  }
}

const PROTOCOL: Readonly<Record<number, string>> = { 6: 'TCP', 17: 'UDP', 132: 'SCTP' };

function portsOf({ ports }: Rule): readonly string[] {
  if (ports.kind === 'any') return ['absent'];
  if (ports.matches.length === 0) return ['empty'];
  return [...ports.matches.flatMap(portWords), ...(ports.matches.length > 1 ? ['two matches'] : [])];
}

function portWords(match: PortMatch): readonly string[] {
  if (match.kind === 'icmp') return [match.family === 4 ? 'ICMP' : 'ICMPv6'];
  const protocol = PROTOCOL[match.protocol];
  if (match.kind === 'protocol')
    return protocol === undefined ? ['VRRP, IGMP, other protocols'] : [protocol, 'whole protocol'];
  const of = match.kind === 'name' ? 'name' : match.first === match.last ? 'port' : 'endPort';
  return [of, ...(protocol === undefined ? [] : [protocol])];
}

function proxyOf({ proxy, peers }: Rule): readonly string[] {
  if (proxy === undefined) return [];
  const { l7, serverNames, terminatingTLS, originatingTLS, listener } = proxy;
  return [
    ...(l7 === undefined ? [] : [l7.kind]),
    ...(serverNames.length > 0 ? ['serverNames'] : []),
    ...(terminatingTLS === undefined ? [] : ['terminatingTLS']),
    ...(originatingTLS === undefined ? [] : ['originatingTLS']),
    ...(listener === undefined ? [] : ['listener']),
    ...(listener?.priority === undefined ? [] : ['listener priority']),
    ...(peers.kind === 'any' ? ['any peer'] : []),
  ];
}

function areNested(rules: readonly Rule[]): boolean {
  const cidrs = rules.flatMap(selectorsOf).flatMap((one) => (one.kind === 'cidr' ? [one.cidr] : []));
  return cidrs.some((outer) =>
    cidrs.some((one) => one.length > outer.length && cidrContainsIp(outer, one.ip)),
  );
}

/** The peer is what an answer gave, and some rule speaks of names. */
function isLearnt({ facts }: World, rules: readonly Rule[], { peer }: AddressFlow): boolean {
  const hasNames = rules.some((rule) => selectorsOf(rule).some(({ kind }) => kind === 'fqdn'));
  const text = formatIp(peer);
  return hasNames && (facts?.names ?? []).some(({ address }) => address === text);
}

function nodeWords({ config }: World, { peer, subject }: AddressFlow): readonly string[] {
  return [
    `mode ${config.enforcement}`,
    ...(config.hostFirewall || subject !== 'host' ? [] : ['hostFirewall off']),
    ...(config.allowLocalhost ? ['allow-localhost'] : []),
    ...(config.cidrMatchNodes ? ['cidr-match nodes'] : []),
    ...(peer.family === 6 ? ['IPv6'] : []),
  ];
}

/** The shares as a table for people, a line each group. */
export function shareTable(counts: ReadonlyMap<Construct, number>, pairs: number): string {
  const percent = (name: string) => `${((100 * (counts.get(name) ?? 0)) / pairs).toFixed(1)} %`;
  return Object.entries(CONSTRUCTS)
    .map(
      ([table, list]) => `${table}: ${list.map((one) => `${one} ${percent(`${table}: ${one}`)}`).join(', ')}`,
    )
    .join('\n');
}

/** Constructs that fewer than one in `part` pairs have. */
export function tooRare(
  counts: ReadonlyMap<Construct, number>,
  pairs: number,
  part = 100,
): readonly string[] {
  return ALL_CONSTRUCTS.filter((name) => (counts.get(name) ?? 0) * part < pairs).map(
    (name) => `${name}: ${counts.get(name) ?? 0} of ${pairs}`,
  );
}
