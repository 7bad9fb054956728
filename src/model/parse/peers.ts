/** The peer fields of one rule (policy.md §2, §4, §7). */
import { type Cidr, cidrContainsIp, formatCidr, parseCidr, parseCidrOrIp, parseIp } from '#kit/ip';
import { nearest } from '#kit/nearest';
import {
  type Fields,
  fail,
  type Place,
  quote,
  readList,
  readMap,
  readText,
  warn,
} from '../document/index.ts';
import { isDnsSubdomain } from '#kit/labels';
import { LABEL_CLUSTER } from '../labels.ts';
import type { Direction, Entity, Peers, PeerSelector, Requirement } from '../policy.ts';
import {
  equals,
  exists,
  formatSelector,
  inEveryFamily,
  type Scope,
  scopePeer,
  selectorOf,
} from '../selector.ts';
import { LABEL_CIDR_GROUP_NAME } from '../facts.ts';
import { readCloudGroup, readFqdn, readService } from './outside-peers.ts';
import type { PeerScope } from './scope.ts';
import { readSelector } from './selector.ts';

/** Entities in the order of the reference. */
export const ENTITIES: readonly Entity[] = [
  'all',
  'world',
  'world-ipv4',
  'world-ipv6',
  'host',
  'remote-node',
  'cluster',
  'kube-apiserver',
  'ingress',
  'health',
  'init',
  'unmanaged',
  'none',
];

/** Names of the peer fields in messages, as the reference spells them. */
const FIELDS = ['Endpoints', 'CIDR', 'CIDRSet', 'Entities', 'Nodes', 'Groups'] as const;

/** Keys of peer fields in a rule of this direction. */
export function peerKeys(direction: Direction, isDeny: boolean): readonly string[] {
  const prefix = direction === 'ingress' ? 'from' : 'to';
  const keys = [...FIELDS.map((name) => prefix + name), `${prefix}Requires`];
  if (direction === 'egress') keys.push('toServices', ...(isDeny ? [] : ['toFQDNs']));
  return keys;
}

/**
 * The peers of a rule. `any` when no peer field is there; an empty list selects nobody. Undefined when a
 * problem was noted.
 */
export function readPeers(rule: Fields, direction: Direction, scope: PeerScope): Peers | undefined {
  const prefix = direction === 'ingress' ? 'from' : 'to';
  const before = rule.place.report.problems.length;
  checkCombination(rule, direction);
  checkRemoved(rule, `${prefix}Requires`);
  checkNodes(rule, `${prefix}Nodes`, scope);
  for (const key of [`${prefix}Groups`, 'toServices', 'toFQDNs']) checkNotEmpty(rule, key);
  type Read = (item: Place) => PeerSelector | readonly PeerSelector[] | undefined;
  const readers: readonly [key: string, what: string, read: Read][] = [
    [`${prefix}Endpoints`, 'label selectors', (item) => readEndpoint(item, scope)],
    [`${prefix}CIDR`, 'CIDRs', readCidr],
    [`${prefix}CIDRSet`, 'CIDR sets', readCidrSet],
    [`${prefix}Entities`, 'entities', readEntity],
    [`${prefix}Nodes`, 'label selectors', (item) => readNodes(item, scope)],
    [`${prefix}Groups`, 'groups', (item) => readCloudGroup(item, scope.cloudGroupProviders ?? [])],
    ['toServices', 'services', (item) => readService(item, scope)],
    ['toFQDNs', 'DNS names', readFqdn],
  ];
  let isWritten = false;
  const selectors: PeerSelector[] = [];
  for (const [key, what, read] of readers) {
    const place = rule.get(key);
    if (place === undefined) continue;
    isWritten = true;
    for (const item of readList(place, what) ?? []) {
      selectors.push(...[read(item) ?? []].flat());
    }
  }
  if (rule.place.report.problems.length > before) return undefined;
  return isWritten ? { kind: 'list', selectors: withoutRepetitions(selectors) } : { kind: 'any' };
}

/** Selectors of labels once each: one that is written may mean several, which may be written beside it. */
function withoutRepetitions(selectors: readonly PeerSelector[]): readonly PeerSelector[] {
  const seen = new Set<string>();
  return selectors.filter((peer) => {
    if (peer.kind !== 'labels') return true;
    const text = formatSelector(peer.selector);
    return !seen.has(text) && seen.add(text);
  });
}

/** Two peer fields with entries in one rule are refused: which of them is meant to narrow the other? */
function checkCombination(rule: Fields, direction: Direction): void {
  const prefix = direction === 'ingress' ? 'from' : 'to';
  const keys = [...FIELDS.map((name) => prefix + name), 'toServices', 'toFQDNs'];
  const used = keys.filter((key) => {
    const tree = rule.get(key)?.tree;
    return tree?.kind === 'list' && tree.items.length > 0;
  });
  const [first, second] = used;
  if (first === undefined || second === undefined) return;
  const at = rule.get(second) ?? rule.place;
  fail(
    at,
    'POLICY_COMBINATION',
    `combining ${capital(first)} and ${capital(second)} is not supported yet`,
    'write two rules: rules are alternatives',
  );
}

function checkRemoved(rule: Fields, key: string): void {
  const place = rule.get(key);
  if (place === undefined) return;
  const items = readList(place, 'label selectors');
  if (items === undefined || items.length === 0) return;
  const deny = key === 'fromRequires' ? 'ingressDeny' : 'egressDeny';
  fail(
    place,
    'POLICY_REMOVED_FIELD',
    `${key} was removed from the API`,
    `write the opposite as a rule in ${deny}, with the operator NotIn`,
  );
}

function checkNodes(rule: Fields, key: string, scope: PeerScope): void {
  const place = rule.get(key);
  if (place?.tree.kind !== 'list' || place.tree.items.length === 0 || scope.nodeSelectorLabels === true)
    return;
  const message = `${key} can only be applied when the "enable-node-selector-labels" flag is set`;
  fail(place, 'POLICY_SELECTOR', message, 'set enable-node-selector-labels: true in the configuration');
}

/** The reference takes an empty list of these for any peer; here it is refused. */
function checkNotEmpty(rule: Fields, key: string): void {
  const place = rule.get(key);
  if (place?.tree.kind !== 'list' || place.tree.items.length > 0) return;
  const message = 'an empty list would select nobody or everybody';
  fail(place, 'POLICY_EMPTY', message, 'remove it, or add an entry');
}

/** Nodes other than this one, by their labels (source node) (policy.md §3.4). */
function readNodes(place: Place, scope: PeerScope): PeerSelector | undefined {
  const written = readSelector(place);
  if (written === undefined) return undefined;
  const isNamed = written.some((r) => r.key === LABEL_CLUSTER && (r.source === 'k8s' || r.source === 'any'));
  const { localCluster } = scope;
  const cluster = localCluster === undefined || isNamed ? [] : [equals('k8s', LABEL_CLUSTER, localCluster)];
  return {
    kind: 'labels',
    selector: selectorOf([...written, exists('reserved', 'remote-node'), ...cluster]),
  };
}

function readEndpoint(place: Place, scope: Scope): readonly PeerSelector[] | undefined {
  const written = readSelector(place);
  if (written === undefined) return undefined;
  const selector = scopePeer(written, scope);
  const isOpen = selector.requirements.every((r) => r.operator === 'NotIn' || r.operator === 'DoesNotExist');
  if (isOpen && scope.localCluster === undefined) {
    warn(
      place,
      'peers-beyond-cluster',
      'without the local cluster by default this also selects world, host and CIDR identities',
    );
  }
  return inEveryFamily(selector).map((one) => ({ kind: 'labels', selector: one }));
}

function readEntity(place: Place): PeerSelector | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const entity = ENTITIES.find((e) => e === text);
  if (entity !== undefined) return { kind: 'entity', entity };
  const near = nearest(text, ENTITIES);
  const hint = near === undefined ? `one of ${ENTITIES.join(', ')}` : `did you mean ${near}?`;
  return fail(place, 'POLICY_ENTITY', `unsupported entity: ${quote(text)}`, hint);
}

function readCidr(place: Place): PeerSelector | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  if (text === '') return fail(place, 'POLICY_CIDR', 'IP must be specified', 'write it as 10.0.0.0/8');
  const cidr = parseCidrOrIp(text);
  if (cidr !== undefined) return { kind: 'cidr', cidr, except: [] };
  return fail(place, 'POLICY_CIDR', `unable to parse CIDR: ${quote(text)}`, cidrHint(text));
}

function readCidrSet(place: Place): PeerSelector | undefined {
  const fields = readMap(place, ['cidr', 'cidrGroupRef', 'cidrGroupSelector', 'except'], 'a CIDR set');
  if (fields === undefined) return undefined;
  const names = ['cidr', 'cidrGroupRef', 'cidrGroupSelector'] as const;
  const written = names.filter((name) => fields.has(name));
  if (written.length === 0) {
    return fail(place, 'POLICY_CIDR', 'one of cidr, cidrGroupRef, or cidrGroupSelector is required');
  }
  if (written.length > 1) {
    return fail(
      place,
      'POLICY_CIDR',
      'more than one of cidr, cidrGroupRef, or cidrGroupSelector may not be set',
    );
  }
  const [name] = written;
  const value = fields.get(name as string);
  if (value === undefined || name === undefined) return undefined;
  if (name !== 'cidr') return readGroup(value, name, fields.get('except'));
  const text = readText(value);
  if (text === undefined) return undefined;
  if (text === '') return fail(value, 'POLICY_CIDR', 'IP must be specified', 'write it as 10.0.0.0/8');
  const cidr = parseCidr(text);
  if (cidr === undefined)
    return fail(value, 'POLICY_CIDR', `unable to parse CIDRRule: ${quote(text)}`, cidrHint(text));
  return readCidrWithExcept(cidr, fields.get('except'));
}

/** Groups by name or by label; exceptions are cut out of all their prefixes. */
function readGroup(
  place: Place,
  name: 'cidrGroupRef' | 'cidrGroupSelector',
  exceptPlace: Place | undefined,
): PeerSelector | undefined {
  const requirements =
    name === 'cidrGroupSelector'
      ? readSelector(place, (key) => ({ source: 'cidrgroup', key }))
      : readGroupName(place);
  const items = exceptPlace === undefined ? [] : readList(exceptPlace, 'CIDRs');
  if (requirements === undefined || items === undefined) return undefined;
  const except = items.map((item) => readExcept(item, undefined)).filter((e) => e !== undefined);
  if (except.length < items.length) return undefined;
  return { kind: 'cidrGroup', selector: selectorOf(requirements), except };
}

function readGroupName(place: Place): readonly Requirement[] | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  if (isDnsSubdomain(text)) return [exists('cidrgroup', `${LABEL_CIDR_GROUP_NAME}${text}`)];
  const hint = 'the name of a CiliumCIDRGroup';
  return fail(place, 'POLICY_CIDR', `${quote(text)} is no name of a group`, hint);
}

type CidrSelector = Extract<PeerSelector, { kind: 'cidr' }>;

/** A CIDR with the exceptions at `place`, if any. */
export function readCidrWithExcept(cidr: Cidr, place: Place | undefined): CidrSelector | undefined {
  const items = place === undefined ? [] : readList(place, 'CIDRs');
  if (items === undefined) return undefined;
  const except = items.map((item) => readExcept(item, cidr)).filter((e) => e !== undefined);
  return except.length === items.length ? { kind: 'cidr', cidr, except } : undefined;
}

/** Judged by the address as written, before its host bits are masked, as the reference does. */
function readExcept(place: Place, cidr: Cidr | undefined): Cidr | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const except = parseCidr(text);
  const address = parseIp(text.split('/')[0] ?? '');
  if (except === undefined || address === undefined) {
    return fail(place, 'POLICY_CIDR', `unable to parse CIDR: ${quote(text)}`, cidrHint(text));
  }
  if (cidr === undefined) return except;
  if (!cidrContainsIp(cidr, address)) {
    const message = `the CIDR ${formatCidr(cidr)} does not contain the exception ${text}`;
    return fail(place, 'POLICY_CIDR', message, 'an exception is a part of its cidr');
  }
  if (except.length <= cidr.length)
    warn(place, 'except-covers-all', `the exception ${text} leaves nothing of ${formatCidr(cidr)}`);
  return except;
}

function cidrHint(text: string): string | undefined {
  const address = parseIp(text);
  if (address !== undefined) return `write ${text}/${address.family === 4 ? 32 : 128}`;
  const [left, right] = text.split('/');
  const mask = parseIp(right ?? '');
  if (left !== undefined && mask !== undefined) return 'write the length of the prefix instead of a mask';
  return 'write it as 10.0.0.0/8 or fd00::/8';
}

function capital(key: string): string {
  return key.slice(0, 1).toUpperCase() + key.slice(1);
}
