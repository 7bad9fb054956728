/**
 * Random policies as people could have written them: the internal form brought to what manifests can say, and
 * the manifest that says it. For tests that go through files.
 */
import { stringify } from 'yaml';
import { formatCidr } from '#kit/ip';
import {
  LABEL_NAMESPACE,
  type PeerSelector,
  type Policy,
  type PortMatch,
  type Requirement,
  type Rule,
} from '#model';

/** The policy with only what a manifest can say; undefined when nothing is left. */
export function expressible(policy: Policy): Policy | undefined {
  if (policy.kind === 'NetworkPolicy') return undefined; // it came from a manifest
  const specs = policy.specs
    .map((spec) => ({ ...spec, rules: spec.rules.map(expressibleRule) }))
    .filter((spec) => spec.rules.length > 0);
  return specs.length === 0 ? undefined : { ...policy, specs };
}

/** Proxies are compared by their parts elsewhere. */
function expressibleRule({ log: _, proxy: _proxy, ...rule }: Rule): Rule {
  const verdict = rule.verdict === 'pass' ? 'allow' : rule.verdict;
  const ports =
    rule.ports.kind === 'any' ? rule.ports : { ...rule.ports, matches: expressiblePorts(rule.ports.matches) };
  const peers = rule.peers.kind === 'any' ? rule.peers : { ...rule.peers, selectors: expressiblePeers(rule) };
  // Neither peers nor ports would mean nobody; everybody is an entity.
  const everyone: Rule['peers'] = { kind: 'list', selectors: [{ kind: 'entity', entity: 'all' }] };
  const isBare = peers.kind === 'any' && ports.kind === 'any';
  return { ...rule, verdict, tier: 0, priority: 0, ports, peers: isBare ? everyone : peers };
}

/** One kind of peer a rule; labels only where scoping adds nothing. */
function expressiblePeers({ peers, direction, verdict }: Rule): PeerSelector[] {
  const selectors = peers.kind === 'any' ? [] : peers.selectors;
  const possible = selectors.filter(
    ({ kind }) =>
      !(kind === 'service' && direction === 'ingress') &&
      !(kind === 'fqdn' && (direction === 'ingress' || verdict === 'deny')),
  );
  const said = possible.filter(
    (one) =>
      one.kind !== 'labels' ||
      one.selector.requirements.some(({ source, key }) => source === 'reserved' || key === LABEL_NAMESPACE),
  );
  return said
    .filter((one) => one.kind === said[0]?.kind)
    .map((one) => (one.kind === 'service' ? { ...one, cluster: 'default' } : one));
}

/** Types or ports, not both; no whole ICMP, no protocol that only host policies know, no port 0. */
function expressiblePorts(matches: readonly PortMatch[]): PortMatch[] {
  const said = matches
    .filter((match) => match.kind !== 'protocol' || match.protocol in PROTOCOLS)
    .map((match) =>
      match.kind === 'ports'
        ? { ...match, first: Math.max(match.first, 1), last: Math.max(match.last, 1) }
        : match,
    );
  const isIcmp = said[0]?.kind === 'icmp';
  return said.filter((match) => (match.kind === 'icmp') === isIcmp);
}

const PROTOCOLS: Readonly<Record<number, string>> = {
  2: 'IGMP',
  6: 'TCP',
  17: 'UDP',
  112: 'VRRP',
  132: 'SCTP',
};

/** YAML of an expressible policy. */
export function manifestOf(policy: Policy): string {
  return stringify({
    apiVersion: 'cilium.io/v2',
    kind: policy.kind,
    metadata: {
      name: policy.name,
      ...(policy.namespace === undefined ? {} : { namespace: policy.namespace }),
      ...(policy.specs.some(({ staged }) => staged)
        ? { annotations: { 'merlon.io/enforcement': 'audit' } }
        : {}),
    },
    specs: policy.specs.map((spec) => ({
      [spec.subject.kind === 'node' ? 'nodeSelector' : 'endpointSelector']: written(
        spec.subject.selector.requirements.filter(
          ({ key }) => policy.namespace === undefined || key !== LABEL_NAMESPACE,
        ),
      ),
      enableDefaultDeny: spec.defaultDeny,
      ...sections(spec.rules),
    })),
  });
}

function sections(rules: readonly Rule[]): Record<string, unknown[]> {
  const bySection: Record<string, unknown[]> = {};
  for (const rule of rules) {
    const section = rule.verdict === 'deny' ? `${rule.direction}Deny` : rule.direction;
    const auth = rule.auth === undefined ? {} : { authentication: { mode: rule.auth } };
    (bySection[section] ??= []).push({ ...writtenPeers(rule), ...writtenPorts(rule), ...auth });
  }
  return bySection;
}

function writtenPeers({ peers, direction }: Rule): Record<string, unknown> {
  if (peers.kind === 'any') return {};
  const side = direction === 'ingress' ? 'from' : 'to';
  const [first] = peers.selectors;
  const fields: Record<PeerSelector['kind'], string> = {
    entity: `${side}Entities`,
    labels: `${side}Endpoints`,
    cidr: `${side}CIDRSet`,
    cidrGroup: `${side}CIDRSet`,
    fqdn: 'toFQDNs',
    service: 'toServices',
    cloudGroup: `${side}Groups`,
  };
  return { [fields[first?.kind ?? 'labels']]: peers.selectors.map(writtenPeer) };
}

function writtenPeer(one: PeerSelector): unknown {
  switch (one.kind) {
    case 'entity':
      return one.entity;
    case 'labels':
      return written(one.selector.requirements);
    case 'cidr':
      return { cidr: formatCidr(one.cidr), except: one.except.map(formatCidr) };
    case 'cidrGroup': {
      const except = one.except.map(formatCidr);
      const name = one.selector.requirements[0]?.key.split('/')[1];
      return name === undefined
        ? { cidrGroupSelector: written(one.selector.requirements, false), except }
        : { cidrGroupRef: name, except };
    }
    case 'fqdn':
      return { matchPattern: one.pattern.toUpperCase() };
    case 'service': {
      const where = one.namespace === undefined ? {} : { namespace: one.namespace };
      return 'name' in one.by
        ? { k8sService: { serviceName: one.by.name, ...where } }
        : { k8sServiceSelector: { selector: written(one.by.selector.requirements, false), ...where } };
    }
    case 'cloudGroup': {
      const { ids, names, region, labels } = one;
      return {
        aws: { securityGroupsIds: ids, securityGroupsNames: names, labels, ...(region && { region }) },
      };
    }
  }
}

function written(requirements: readonly Requirement[], hasSources = true) {
  return {
    matchExpressions: requirements.map(({ source, key, operator, values }) => ({
      key: source === 'any' || !hasSources ? key : `${source}:${key}`,
      operator,
      ...(values.length === 0 ? {} : { values }),
    })),
  };
}

function writtenPorts({ ports }: Rule): Record<string, unknown> {
  if (ports.kind === 'any') return {};
  if (ports.matches[0]?.kind === 'icmp') return { icmps: [{ fields: ports.matches.map(icmpField) }] };
  return { toPorts: [{ ports: ports.matches.map(portField) }] };
}

function icmpField(match: PortMatch) {
  return match.kind === 'icmp' ? { family: `IPv${match.family}`, type: match.type } : {};
}

function portField(match: PortMatch) {
  if (match.kind === 'icmp') return {};
  const protocol = PROTOCOLS[match.protocol];
  if (match.kind === 'protocol') return { port: '0', protocol };
  if (match.kind === 'name') return { port: match.name, protocol };
  return {
    port: String(match.first),
    protocol,
    ...(match.last > match.first ? { endPort: match.last } : {}),
  };
}
