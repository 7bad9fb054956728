/**
 * The canonical form of a policy: every default written out, every selector as it is meant. Reading it again
 * gives the same policy, positions apart.
 */
import { stringify } from 'yaml';
import { formatCidr } from '#kit/ip';
import type { PeerSelector, Policy, PolicySpec, PortMatch, Requirement, Rule, Selector } from '../policy.ts';
import { protocolName } from '../protocol.ts';
import { SECTIONS, type Section } from './rule.ts';

/** The policy as a manifest; a NetworkPolicy as the CiliumNetworkPolicy that means the same. */
export function printPolicy(policy: Policy): string {
  const { namespace, name } = policy;
  return stringify(
    {
      apiVersion: 'cilium.io/v2',
      kind: namespace === undefined ? 'CiliumClusterwideNetworkPolicy' : 'CiliumNetworkPolicy',
      metadata: namespace === undefined ? { name } : { name, namespace },
      specs: policy.specs.map(specOf),
    },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
}

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
      sections.filter(([, rules]) => rules.length > 0).map(([s, rules]) => [s, rules.map(ruleOf)]),
    ),
  };
}

function sectionOf(rule: Rule): Section {
  return rule.verdict === 'deny' ? `${rule.direction}Deny` : rule.direction;
}

function ruleOf(rule: Rule): object {
  // What a NetworkPolicy says with an empty rule: everybody.
  if (rule.peers.kind === 'any' && rule.ports.kind === 'any') {
    return { [rule.direction === 'ingress' ? 'fromEntities' : 'toEntities']: ['all'] };
  }
  return { ...peersOf(rule), ...portsOf(rule) };
}

function peersOf(rule: Rule): object {
  if (rule.peers.kind === 'any') return {};
  const prefix = rule.direction === 'ingress' ? 'from' : 'to';
  const { selectors } = rule.peers;
  const pick = <K extends PeerSelector['kind']>(kind: K) =>
    selectors.filter((s): s is Extract<PeerSelector, { kind: K }> => s.kind === kind);
  const labels = pick('labels').map((s) => selectorValue(s.selector));
  const entities = pick('entity').map((s) => s.entity);
  const cidrs = pick('cidr').map((s) => ({
    cidr: formatCidr(s.cidr),
    ...(s.except.length === 0 ? {} : { except: s.except.map(formatCidr) }),
  }));
  if (labels.length > 0 || selectors.length === 0) return { [`${prefix}Endpoints`]: labels };
  return entities.length > 0 ? { [`${prefix}Entities`]: entities } : { [`${prefix}CIDRSet`]: cidrs };
}

function portsOf(rule: Rule): object {
  if (rule.ports.kind === 'any') return {};
  const { matches } = rule.ports;
  const icmps = matches.filter((m) => m.kind === 'icmp');
  if (icmps.length > 0) {
    const fields = icmps.map((m) => ({ family: `IPv${m.family}`, type: m.type }));
    return { icmps: chunks(fields).map((part) => ({ fields: part })) };
  }
  const ports = matches.map(portValue);
  return { toPorts: ports.length === 0 ? [{ ports: [] }] : chunks(ports).map((part) => ({ ports: part })) };
}

function portValue(match: PortMatch): object {
  if (match.kind === 'icmp') return {};
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

function selectorValue(selector: Selector): object {
  const matchLabels = selector.requirements.filter((r) => r.operator === 'In' && r.values.length === 1);
  const others = selector.requirements.filter((r) => !matchLabels.includes(r));
  const byKey = new Map<string, string>();
  const repeated: Requirement[] = [];
  for (const r of matchLabels) {
    const key = `${r.source}:${r.key}`;
    if (byKey.has(key)) repeated.push(r);
    else byKey.set(key, r.values[0] ?? '');
  }
  const expressions = [...others, ...repeated].map((r) => ({
    key: `${r.source}:${r.key}`,
    operator: r.operator,
    ...(r.values.length === 0 ? {} : { values: [...r.values] }),
  }));
  return {
    ...(byKey.size === 0 ? {} : { matchLabels: Object.fromEntries(byKey) }),
    ...(expressions.length === 0 ? {} : { matchExpressions: expressions }),
  };
}
