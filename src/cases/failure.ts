/** Why a rule does not mean a packet: the first of its fields that fails, in words. */
import { assertNever } from '#kit/errors';
import { formatCidr } from '#kit/ip';
import { formatLabel, type LabelSet, labelSet } from '#kit/labels';
import {
  canonicalName,
  fqdnTest,
  formatRequirement,
  formatSelector,
  LABEL_CIDR_GROUP_NAME,
  matches,
  matchesRequirement,
  NO_FACTS,
  type PeerSelector,
  type PolicyFacts,
  type PortMatch,
  protocolName,
  type Rule,
  type Selector,
  type ServiceSelector,
} from '#model';
import { directPeers, type NamedPorts } from '#policy';

export interface Failure {
  /** As people write it: `fromEndpoints`, `toPorts`, … */
  readonly field: string;
  readonly why: string;
}

/** Names of the fields that peers of a kind stand in, without `from` or `to`. */
const PEER_FIELDS: Readonly<Record<PeerSelector['kind'], string>> = {
  labels: 'Endpoints',
  entity: 'Entities',
  cidr: 'CIDR',
  cidrGroup: 'CIDRSet',
  fqdn: 'FQDNs',
  service: 'Services',
  cloudGroup: 'Groups',
};

type NamedMatch = Extract<PortMatch, { readonly kind: 'name' }>;

/** How many of many are named. */
const SHOWN = { selectors: 3, ports: 8, addresses: 4 } as const;

/** Why none of the rule's peers is the one with these labels. */
export function peerFailure(rule: Rule, labels: LabelSet, facts: PolicyFacts = NO_FACTS): Failure {
  const prefix = rule.direction === 'ingress' ? 'from' : 'to';
  const selectors = rule.peers.kind === 'any' ? [] : rule.peers.selectors;
  const [first] = selectors;
  if (first === undefined) return { field: `${prefix}Endpoints`, why: 'an empty list means nobody' };
  const shown = selectors
    .slice(0, SHOWN.selectors)
    .map((selector) => selectorFailure(selector, labels, facts));
  const more = selectors.length - shown.length;
  const why = [...shown, ...(more > 0 ? [`${more} more do not either`] : [])].join('; ');
  return { field: `${prefix}${PEER_FIELDS[first.kind]}`, why };
}

function selectorFailure(selector: PeerSelector, labels: LabelSet, facts: PolicyFacts): string {
  switch (selector.kind) {
    case 'labels':
      return labelsFailure(selector.selector, labels);
    case 'entity':
      return `${selector.entity} does not mean the peer`;
    case 'cidr': {
      const except = selector.except.map(formatCidr).join(', ');
      return `${formatCidr(selector.cidr)}${except === '' ? '' : ` except ${except}`} does not mean the peer`;
    }
    case 'cidrGroup':
      return groupFailure(selector.selector, facts);
    case 'fqdn':
      return nameFailure(selector.pattern, facts);
    case 'service':
      return serviceFailure(selector, labels, facts);
    case 'cloudGroup':
      return 'no cloud group that it means has the peer’s address';
    default:
      return assertNever(selector);
  }
}

function labelsFailure({ requirements }: Selector, labels: LabelSet): string {
  const failed = requirements.find((r) => !matchesRequirement(r, labels));
  if (failed === undefined) return 'the labels do not match';
  const own = labels.labels.filter((label) => label.key === failed.key).map(formatLabel);
  return `needs ${formatRequirement(failed)}, the peer has ${own.join(', ') || 'no such label'}`;
}

/** Whether there is such a group tells a mistyped name from a prefix that is missing. */
function groupFailure(selector: Selector, { cidrGroups }: PolicyFacts): string {
  const found = cidrGroups.filter(({ name, labels }) => {
    const own = [...Object.entries(labels), [`${LABEL_CIDR_GROUP_NAME}${name}`, ''] as const];
    return matches(selector, labelSet(own.map(([key, value]) => ({ source: 'cidrgroup', key, value }))));
  });
  if (found.length === 0) return `there is no CiliumCIDRGroup for ${formatSelector(selector)}`;
  return `no prefix of ${listed(found.map((group) => group.name))} means the peer`;
}

function nameFailure(pattern: string, { names }: PolicyFacts): string {
  const isMeant = fqdnTest(pattern);
  const learnt = names.filter(({ name }) => isMeant(canonicalName(name)));
  if (learnt.length === 0) return `no address has been learnt for ${pattern}: no DNS answer for it was seen`;
  return `${pattern} is known as ${listed([...new Set(learnt.map(({ address }) => address))])}, which is not the peer`;
}

function serviceFailure(service: ServiceSelector, labels: LabelSet, facts: PolicyFacts): string {
  const { namespace, by } = service;
  const what = 'name' in by ? by.name : `with ${formatSelector(by.selector)}`;
  const full = namespace === undefined ? `Service ${what}` : `Service ${namespace}/${what}`;
  const peers = directPeers(service, facts);
  const [first] = peers;
  if (first === undefined) return `${full} is not there or has no address`;
  const shown = peers.slice(0, SHOWN.selectors).map((peer) => selectorFailure(peer, labels, facts));
  return `${full}: ${shown.join('; ')}`;
}

/** The first few, and how many more. */
function listed(texts: readonly string[]): string {
  const more = texts.length - SHOWN.addresses;
  return `${texts.slice(0, SHOWN.addresses).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/**
 * Why none of the rule's ports is the packet's. `port`: none for ICMP without a type; `named`: every number that
 * port names have where the rule looks for them.
 */
export function portFailure(
  rule: Rule,
  { protocol, port }: { readonly protocol: number; readonly port: number | undefined },
  named: NamedPorts,
): Failure {
  const all = rule.ports.kind === 'any' ? [] : rule.ports.matches;
  const field = all.some((match) => match.kind === 'icmp') ? 'icmps' : 'toPorts';
  if (all.length === 0) return { field, why: 'a port rule without ports allows nothing' };
  const packet = port === undefined ? protocolName(protocol) : `${protocolName(protocol)}/${port}`;
  const shown = all.slice(0, SHOWN.ports).map((match) => {
    switch (match.kind) {
      case 'ports': {
        const range = match.first === match.last ? match.first : `${match.first}-${match.last}`;
        return `${protocolName(match.protocol)}/${range}`;
      }
      case 'name':
        return `${protocolName(match.protocol)}/${match.name} (${meaning(match, rule, named)})`;
      case 'protocol':
        return protocolName(match.protocol);
      case 'icmp':
        return `ICMP${match.family === 6 ? 'v6' : ''} type ${match.type}`;
      default:
        return assertNever(match);
    }
  });
  const more = all.length > shown.length ? ` and ${all.length - shown.length} more` : '';
  return { field, why: `${packet} is not ${shown.join(', ')}${more}` };
}

/** What a port name stands for (policy.md §5.2). */
function meaning({ name, protocol }: NamedMatch, { direction }: Rule, named: NamedPorts): string {
  const numbers = named.get(`${name}/${protocol}`) ?? [];
  if (numbers.length === 0) return 'nobody has a port of this name';
  if (numbers.length > 1 && direction === 'egress') return `${numbers.join(' or ')}, so it means none`;
  return numbers.join(' or ');
}
