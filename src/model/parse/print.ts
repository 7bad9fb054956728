/**
 * The canonical form of a policy: every default written out, every selector as it is meant. Reading it again
 * gives the same policy, positions apart.
 */
import { stringify } from 'yaml';
import { assertNever } from '#kit/errors';
import { type Cidr, formatCidr } from '#kit/ip';
import { LABEL_CIDR_GROUP_NAME } from '../facts.ts';
import type { HttpHeader, L7Rules, ProxyRules } from '../l7.ts';
import type {
  Direction,
  PeerSelector,
  Policy,
  PolicySpec,
  PortMatch,
  Requirement,
  Rule,
  Selector,
  ServiceSelector,
} from '../policy.ts';
import { protocolName } from '../protocol.ts';
import { SECTIONS, type Section } from './rule.ts';

/** The policy as a manifest; a NetworkPolicy as the CiliumNetworkPolicy that means the same. */
export function printPolicy(policy: Policy): string {
  const { namespace, name } = policy;
  return stringify(
    {
      apiVersion: 'cilium.io/v2',
      kind: namespace === undefined ? 'CiliumClusterwideNetworkPolicy' : 'CiliumNetworkPolicy',
      metadata: {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(policy.specs.some((spec) => spec.staged) ? STAGED : {}),
      },
      specs: policy.specs.map(specOf),
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

const STAGED = { annotations: { 'merlon.io/enforcement': 'audit' } };

function specOf(spec: PolicySpec): object {
  const selector = selectorValue(spec.subject.selector);
  const sections = SECTIONS.map((section): [Section, Rule[]] => [
    section,
    spec.rules.filter((rule) => sectionOf(rule) === section),
  ]);
  const log = spec.rules.find((rule) => rule.log !== undefined)?.log;
  return {
    ...(spec.subject.kind === 'node' ? { nodeSelector: selector } : { endpointSelector: selector }),
    enableDefaultDeny: { ...spec.defaultDeny },
    ...(log === undefined ? {} : { log: { value: log } }),
    ...Object.fromEntries(
      sections.filter(([, rules]) => rules.length > 0).map(([s, rules]) => [s, byId(rules).flatMap(rulesOf)]),
    ),
  };
}

function sectionOf(rule: Rule): Section {
  return rule.verdict === 'deny' ? `${rule.direction}Deny` : rule.direction;
}

/** Rules that were one when they were written. */
function byId(rules: readonly Rule[]): readonly (readonly [Rule, ...Rule[]])[] {
  const groups = new Map<string, [Rule, ...Rule[]]>();
  for (const rule of rules) {
    const group = groups.get(rule.id);
    if (group === undefined) groups.set(rule.id, [rule]);
    else group.push(rule);
  }
  return [...groups.values()];
}

/** One rule, but for peers of several kinds, which only a NetworkPolicy can have side by side: one for each kind. */
function rulesOf(parts: readonly [Rule, ...Rule[]]): readonly object[] {
  const [{ peers, direction }] = parts;
  if (peers.kind === 'any') return [ruleOf(parts)];
  const keys = new Set(peers.selectors.map((selector) => peerKey(selector, prefixOf(direction))));
  if (keys.size < 2) return [ruleOf(parts)];
  return [...keys].map((key) => {
    const selectors = peers.selectors.filter((selector) => peerKey(selector, prefixOf(direction)) === key);
    const [first, ...more] = parts.map((rule): Rule => ({ ...rule, peers: { kind: 'list', selectors } }));
    return first === undefined ? {} : ruleOf([first, ...more]);
  });
}

function prefixOf(direction: Direction): 'from' | 'to' {
  return direction === 'ingress' ? 'from' : 'to';
}

function ruleOf([rule, ...more]: readonly [Rule, ...Rule[]]): object {
  const auth = rule.auth === undefined ? {} : { authentication: { mode: rule.auth } };
  // What a NetworkPolicy says with an empty rule: everybody.
  if (rule.peers.kind === 'any' && rule.ports.kind === 'any') {
    return { [rule.direction === 'ingress' ? 'fromEntities' : 'toEntities']: ['all'], ...auth };
  }
  const parts = [rule, ...more].map(portsOf);
  const toPorts = parts.flatMap((part) => ('toPorts' in part ? part.toPorts : []));
  return { ...peersOf(rule), ...parts[0], ...(toPorts.length === 0 ? {} : { toPorts }), ...auth };
}

function peersOf(rule: Rule): object {
  if (rule.peers.kind === 'any') return {};
  const prefix = prefixOf(rule.direction);
  const { selectors } = rule.peers;
  const [first] = selectors;
  if (first === undefined) return { [`${prefix}Endpoints`]: [] };
  const key = peerKey(first, prefix);
  return { [key]: selectors.map((selector) => peerValue(selector)) };
}

/** The field that holds peers of this kind; one rule has one kind. Nodes are labels like any other. */
function peerKey(selector: PeerSelector, prefix: 'from' | 'to'): string {
  switch (selector.kind) {
    case 'labels':
      return `${prefix}Endpoints`;
    case 'entity':
      return `${prefix}Entities`;
    case 'cidr':
    case 'cidrGroup':
      return `${prefix}CIDRSet`;
    case 'fqdn':
      return 'toFQDNs';
    case 'service':
      return 'toServices';
    case 'cloudGroup':
      return `${prefix}Groups`;
    default:
      return assertNever(selector);
  }
}

function peerValue(selector: PeerSelector): unknown {
  switch (selector.kind) {
    case 'labels':
      return selectorValue(selector.selector);
    case 'entity':
      return selector.entity;
    case 'cidr':
      return { cidr: formatCidr(selector.cidr), ...exceptValue(selector.except) };
    case 'cidrGroup':
      return { ...groupValue(selector.selector), ...exceptValue(selector.except) };
    case 'fqdn':
      return { [selector.pattern.includes('*') ? 'matchPattern' : 'matchName']: selector.pattern };
    case 'service':
      return serviceValue(selector);
    case 'cloudGroup': {
      const { ids, names, region, labels } = selector;
      const parts = { securityGroupsIds: ids, securityGroupsNames: names, labels };
      return { aws: { ...parts, ...(region === undefined ? {} : { region }) } };
    }
    default:
      return assertNever(selector);
  }
}

function exceptValue(except: readonly Cidr[]): object {
  return except.length === 0 ? {} : { except: except.map(formatCidr) };
}

function groupValue(selector: Selector): object {
  const [only, ...more] = selector.requirements;
  if (only?.key.startsWith(LABEL_CIDR_GROUP_NAME) && only.operator === 'Exists' && more.length === 0) {
    return { cidrGroupRef: only.key.slice(LABEL_CIDR_GROUP_NAME.length) };
  }
  return { cidrGroupSelector: selectorValue(selector, false) };
}

function serviceValue({ namespace, by }: ServiceSelector): object {
  const where = namespace === undefined ? {} : { namespace };
  if ('name' in by) return { k8sService: { serviceName: by.name, ...where } };
  return { k8sServiceSelector: { selector: selectorValue(by.selector), ...where } };
}

function portsOf(rule: Rule): { readonly toPorts?: readonly object[]; readonly icmps?: readonly object[] } {
  if (rule.ports.kind === 'any') return {};
  const { matches } = rule.ports;
  const icmps = matches.filter((m) => m.kind === 'icmp');
  if (icmps.length > 0 && icmps.length === matches.length) {
    const fields = icmps.map((m) => ({ family: `IPv${m.family}`, type: m.type }));
    return { icmps: chunks(fields).map((part) => ({ fields: part })) };
  }
  // Types beside ports are what the protocol MLD stands for.
  const ports = matches
    .filter((match) => match.kind !== 'icmp' || match === icmps[0])
    .map((match) => (match.kind === 'icmp' ? { protocol: 'MLD' } : portValue(match)));
  const asked = rule.proxy === undefined ? {} : proxyValue(rule.proxy);
  if (ports.length === 0) return { toPorts: [{ ports: [], ...asked }] };
  return { toPorts: chunks(ports).map((part) => ({ ports: part, ...asked })) };
}

function proxyValue({ l7, serverNames, ...rest }: ProxyRules): object {
  return {
    ...(l7 === undefined ? {} : { rules: l7Value(l7) }),
    ...(serverNames.length === 0 ? {} : { serverNames: [...serverNames] }),
    ...rest,
  };
}

function l7Value(l7: L7Rules): object {
  switch (l7.kind) {
    case 'http':
      return {
        http: l7.rules.map(({ headers, headerMatches, ...conditions }) => ({
          ...conditions,
          ...(headers.length === 0 ? {} : { headers: headers.map(headerText) }),
          ...(headerMatches.length === 0 ? {} : { headerMatches }),
        })),
      };
    case 'kafka':
      return { kafka: l7.rules };
    case 'dns':
      return { dns: l7.rules.map((text) => ({ [text.includes('*') ? 'matchPattern' : 'matchName']: text })) };
    case 'l7proto':
      return { l7proto: l7.parser, ...(l7.rules.length === 0 ? {} : { l7: l7.rules }) };
    default:
      return assertNever(l7);
  }
}

function headerText({ name, value }: HttpHeader): string {
  return value === undefined ? name : `${name}: ${value}`;
}

function portValue(match: Exclude<PortMatch, { kind: 'icmp' }>): object {
  const name = protocolName(match.protocol);
  // ICMP as a whole has no name in a port list, only its number.
  const protocol = name.startsWith('ICMP') ? String(match.protocol) : name;
  if (match.kind === 'protocol') return { port: '0', protocol };
  if (match.kind === 'name') return { port: match.name, protocol };
  const { first, last } = match;
  return { port: String(first), ...(last === first ? {} : { endPort: last }), protocol };
}

/** Lists of ports and ICMP types hold at most 40 entries. */
function chunks<T>(items: readonly T[]): T[][] {
  const out: T[][] = [];
  for (let i = 0; i < items.length; i += 40) out.push(items.slice(i, i + 40));
  return out;
}

/** `hasSources`: keys are written with their source. */
function selectorValue(selector: Selector, hasSources = true): object {
  const textOf = (r: Requirement) => (hasSources ? `${r.source}:${r.key}` : r.key);
  const matchLabels = selector.requirements.filter((r) => r.operator === 'In' && r.values.length === 1);
  const others = selector.requirements.filter((r) => !matchLabels.includes(r));
  const byKey = new Map<string, string>();
  const repeated: Requirement[] = [];
  for (const r of matchLabels) {
    const key = textOf(r);
    if (byKey.has(key)) repeated.push(r);
    else byKey.set(key, r.values[0] ?? '');
  }
  const expressions = [...others, ...repeated].map((r) => ({
    key: textOf(r),
    operator: r.operator,
    ...(r.values.length === 0 ? {} : { values: [...r.values] }),
  }));
  return {
    ...(byKey.size === 0 ? {} : { matchLabels: Object.fromEntries(byKey) }),
    ...(expressions.length === 0 ? {} : { matchExpressions: expressions }),
  };
}
