/**
 * What one peer selector means for one label set, and canonical texts for selectors and peer lists. Peer
 * lists, not single selectors, are what rule sets tell identities apart by: a list of a thousand prefixes
 * makes one class, not a thousand.
 */
import { assertNever, MerlonError } from '#kit/errors';
import { type Cidr, cidrCovers, formatCidr, parseCidr, parseCidrOrIp } from '#kit/ip';
import type { Label, LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import {
  type Entity,
  LABEL_CIDR_GROUP_NAME,
  matchesRequirement,
  type Peers,
  type PeerSelector,
  type PolicyConfig,
  type Requirement,
  type Selector,
} from '#model';
import { nameOf } from './digest.ts';
import { compareText } from '#kit/order';
import { sortedSet } from './order.ts';

/** Longest text of a peer or port list that still serves as its own name. */
export const LIST_NAME_LIMIT = 240;

/** A peer list by content. `wildcard`: every peer matches, also one that nobody knows. */
export interface PeerList {
  readonly name: string;
  readonly wildcard: boolean;
  readonly selectors: readonly PeerSelector[];
}

/** The list that a rule's peers stand for. */
export function peerListOf(peers: Peers): PeerList {
  if (peers.kind === 'any' || peers.selectors.some(isWildcard)) {
    return { name: '*', wildcard: true, selectors: [] };
  }
  const byText = new Map(peers.selectors.map((selector) => [selectorText(selector), selector]));
  const texts = [...byText].sort(([a], [b]) => compareText(a, b));
  return {
    name: nameOf(texts.map(([text]) => text).join(' | '), LIST_NAME_LIMIT),
    wildcard: false,
    selectors: texts.map(([, selector]) => selector),
  };
}

function isWildcard(selector: PeerSelector): boolean {
  if (selector.kind === 'entity') return selector.entity === 'all';
  return selector.kind === 'labels' && selector.selector.requirements.length === 0;
}

/** Canonical text of a peer selector: equal texts mean the same, whatever the order of writing. */
export function selectorText(selector: PeerSelector): string {
  switch (selector.kind) {
    case 'entity':
      return `entity ${selector.entity}`;
    case 'cidr': {
      const except = sortedSet(selector.except.map(formatCidr));
      return formatCidr(selector.cidr) + (except.length === 0 ? '' : ` except ${except.join(',')}`);
    }
    case 'labels':
      return labelsText(selector.selector);
    case 'cidrGroup': {
      const except = sortedSet(selector.except.map(formatCidr));
      return `groups ${labelsText(selector.selector)}${except.length === 0 ? '' : ` except ${except.join(',')}`}`;
    }
    case 'fqdn':
      return `fqdn ${selector.pattern}`;
    case 'service':
    case 'cloudGroup':
      return notExpanded(selector);
    default:
      return assertNever(selector);
  }
}

/** Canonical text of requirements, in braces. */
export function labelsText({ requirements }: Selector): string {
  return `{${sortedSet(requirements.map(requirementText)).join(' ')}}`;
}

function requirementText(requirement: Requirement): string {
  const key = `${word(requirement.source)}:${word(requirement.key)}`;
  const values = sortedSet(requirement.values.map(word)).join(',');
  switch (requirement.operator) {
    case 'In':
      return `${key}=${values}`;
    case 'NotIn':
      return `${key}!=${values}`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return assertNever(requirement.operator);
  }
}

/** Text that joins no words: anything but plain label characters is quoted. */
function word(text: string): string {
  return /^[\w./-]*$/.test(text) ? text : JSON.stringify(text);
}

/** Whether all requirements hold for the label set; `points` are the prefixes it stands for. */
export function selectorMatches(selector: Selector, labels: LabelSet, points: readonly Cidr[] = []): boolean {
  return selector.requirements.every((requirement) =>
    requirement.source === 'cidr'
      ? prefixRequirementHolds(requirement, points)
      : matchesRequirement(requirement, labels),
  );
}

/** A label set with the prefixes it stands for. */
export interface PeerSet {
  readonly labels: LabelSet;
  readonly points: readonly Cidr[];
}

/** Whether a peer selector means a label set. */
export function peerMatches(
  selector: PeerSelector,
  { labels, points }: PeerSet,
  config: PolicyConfig,
): boolean {
  switch (selector.kind) {
    case 'labels':
      return selectorMatches(selector.selector, labels, points);
    case 'entity':
      return entityLabels(selector.entity, config).some((wanted) =>
        labels.labels.some((l) => isLabel(l, wanted.source, wanted.key) && l.value === wanted.value),
      );
    case 'cidr':
      return points.some((point) => cidrCovers(selector.cidr, point) && isLeft(point, selector.except));
    case 'cidrGroup':
      // Prefixes that are in a group at all, whatever the selector does not ask for.
      return (
        labels.labels.some((l) => l.source === 'cidrgroup' && l.key.startsWith(LABEL_CIDR_GROUP_NAME)) &&
        points.some((point) => isLeft(point, selector.except)) &&
        selectorMatches(selector.selector, labels, points)
      );
    case 'fqdn':
      return labels.labels.some((l) => isLabel(l, 'fqdn', selector.pattern));
    case 'service':
    case 'cloudGroup':
      return notExpanded(selector);
    default:
      return assertNever(selector);
  }
}

/** Services and cloud groups are replaced before anything is matched. */
export function notExpanded({ kind }: PeerSelector): never {
  throw new MerlonError('INTERNAL', `a ${kind} was not expanded`);
}

function isLabel(label: Label, source: string, key: string): boolean {
  return label.source === source && label.key === key;
}

/** Exceptions from which on they are looked up instead of tried one by one. */
const MANY_EXCEPTIONS = 16;
/** Nothing but a memory: a list is what it is. */
const lookups = new WeakMap<readonly Cidr[], Lpm<true>>();

function isLeft(point: Cidr, except: readonly Cidr[]): boolean {
  if (except.length < MANY_EXCEPTIONS) return !except.some((cidr) => cidrCovers(cidr, point));
  let lookup = lookups.get(except);
  if (lookup === undefined) {
    lookup = new Lpm();
    for (const cidr of except) lookup.set(cidr, true);
    lookups.set(except, lookup);
  }
  return lookup.covering(point).length === 0;
}

/** The prefix that a key of source `cidr` names; Cilium writes `-` for the colons of IPv6. */
export function prefixOfKey(key: string): Cidr | undefined {
  return parseCidrOrIp(key) ?? parseCidrOrIp(key.replaceAll('-', ':'));
}

/** A key of source `cidr` is matched by containment (policy.md §3.1); such labels have no value. */
function prefixRequirementHolds({ key, operator, values }: Requirement, points: readonly Cidr[]): boolean {
  const prefix = prefixOfKey(key);
  const found = prefix !== undefined && points.some((point) => cidrCovers(prefix, point));
  switch (operator) {
    case 'Exists':
      return found;
    case 'DoesNotExist':
      return !found;
    case 'In':
      return found && values.includes('');
    case 'NotIn':
      return !(found && values.includes(''));
    default:
      return assertNever(operator);
  }
}

/** The label that stands for the world of each enabled family: one without family when there is only one. */
export function worldLabels(config: PolicyConfig): Readonly<Record<4 | 6, Label | undefined>> {
  const dual = config.ipv4 && config.ipv6;
  const label = (key: string): Label => ({ source: 'reserved', key, value: '' });
  return {
    4: config.ipv4 ? label(dual ? 'world-ipv4' : 'world') : undefined,
    6: config.ipv6 ? label(dual ? 'world-ipv6' : 'world') : undefined,
  };
}

const WHOLE: Readonly<Record<4 | 6, Cidr | undefined>> = { 4: parseCidr('0.0.0.0/0'), 6: parseCidr('::/0') };

/**
 * The prefixes that an identity stands for when a CIDR rule asks: its `cidr:` labels, or, for the world
 * itself, the family's whole range.
 */
export function cidrPoints(labels: LabelSet, config: PolicyConfig): readonly Cidr[] {
  const own = labels.labels
    .filter((label) => label.source === 'cidr')
    .map((label) => prefixOfKey(label.key))
    .filter((cidr) => cidr !== undefined);
  if (own.length > 0) return own;
  const world = worldLabels(config);
  return ([4, 6] as const)
    .filter((family) => hasReserved(labels, world[family]?.key))
    .map((family) => WHOLE[family])
    .filter((cidr) => cidr !== undefined);
}

function hasReserved(labels: LabelSet, key: string | undefined): boolean {
  return key !== undefined && labels.labels.some((label) => isLabel(label, 'reserved', key));
}

/**
 * The label alternatives that an entity means (policy.md §4.3); an identity with one of them is a member.
 * `all` never comes here: it is the wildcard.
 */
export function entityLabels(entity: Entity, config: PolicyConfig): readonly Label[] {
  const reserved = (...keys: string[]) => keys.map((key) => ({ source: 'reserved', key, value: '' }));
  switch (entity) {
    case 'world':
      return reserved('world', 'world-ipv4', 'world-ipv6');
    case 'world-ipv4':
    case 'world-ipv6': {
      const label = worldLabels(config)[entity === 'world-ipv4' ? 4 : 6];
      return label === undefined ? [] : [label];
    }
    case 'cluster':
      return [
        ...reserved('host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'),
        { source: 'k8s', key: 'io.cilium.k8s.policy.cluster', value: config.clusterName },
      ];
    case 'host':
    case 'remote-node':
    case 'kube-apiserver':
    case 'ingress':
    case 'health':
    case 'init':
    case 'unmanaged':
      return reserved(entity);
    case 'none':
    case 'all':
      return [];
    default:
      return assertNever(entity);
  }
}
