/** What groups, names, Services and cloud groups say of an address, row by row. */
import { type Cidr, cidrContainsIp, cidrCovers, hostCidr, type Ip, parseCidrOrIp } from '#kit/ip';
import type { Label } from '#kit/labels';
import type { CloudGroupSelector, PeerSelector, PolicyFacts, Requirement, ServiceSelector } from '#model';
import { selects } from './select.ts';
import type { World } from './world.ts';

export const GROUP_NAME = 'io.cilium.policy.cidrgroupname/';

const NOTHING: PolicyFacts = {
  cidrGroups: [],
  services: [],
  endpointSlices: [],
  names: [],
  cloudGroups: [],
  apiservers: [],
};

const cidrsOf = (addresses: readonly (Ip | Cidr)[]): Cidr[] =>
  addresses.map((one) => ('bytes' in one ? hostCidr(one) : one));

/** Whether one of the addresses backs the API server. */
export function backsApiserver(addresses: readonly Ip[], { facts = NOTHING }: World): boolean {
  const slices = facts.endpointSlices.filter((s) => s.namespace === 'default' && s.service === 'kubernetes');
  const texts = [...facts.apiservers, ...slices.flatMap((s) => s.addresses)];
  const cidrs = texts.map((text) => parseCidrOrIp(text)).filter((cidr) => cidr !== undefined);
  return cidrs.some((cidr) => addresses.some((address) => cidrContainsIp(cidr, address)));
}

/** Labels of all groups with a prefix around one of these; where keys meet, the longest prefix, then the last name. */
export function groupLabels(addresses: readonly (Ip | Cidr)[], { facts = NOTHING }: World): Label[] {
  const found: { length: number; name: string; labels: Record<string, string> }[] = [];
  for (const { name, labels, cidrs } of facts.cidrGroups) {
    for (const cidr of cidrs.map((text) => parseCidrOrIp(text)).filter((c) => c !== undefined)) {
      if (!cidrsOf(addresses).some((address) => cidrCovers(cidr, address))) continue;
      // The whole of a family is told apart by its halves.
      found.push({ length: Math.max(cidr.length, 1), name, labels: { ...labels, [GROUP_NAME + name]: '' } });
    }
  }
  found.sort((a, b) => a.length - b.length || (a.name < b.name ? -1 : 1));
  const merged = Object.assign({}, ...found.map(({ labels }) => labels)) as Record<string, string>;
  return Object.entries(merged).map(([key, value]) => ({ source: 'cidrgroup', key, value }));
}

/** A label for each pattern of the world's policies that means a name learnt for one of these. */
export function nameLabels(addresses: readonly (Ip | Cidr)[], world: World): Label[] {
  const { facts = NOTHING } = world;
  const policies = [...world.policies, ...(world.held?.values() ?? [])].flat();
  const own = cidrsOf(addresses);
  const names = facts.names
    .filter(({ address }) => own.some((a) => isSame(parseCidrOrIp(address), a)))
    .map(({ name }) => name);
  const peers = policies.flatMap((p) => p.specs.flatMap((s) => s.rules)).map((rule) => rule.peers);
  const patterns = peers.flatMap((p) =>
    p.kind === 'any' ? [] : p.selectors.flatMap((s) => (s.kind === 'fqdn' ? [s.pattern] : [])),
  );
  const meant = [...new Set(patterns)].filter((pattern) => names.some((name) => isNamed(pattern, name)));
  return meant.map((key) => ({ source: 'fqdn', key, value: '' }));
}

function isSame(a: Cidr | undefined, b: Cidr): boolean {
  return a !== undefined && cidrCovers(a, b) && cidrCovers(b, a);
}

/** policy.md §4.4, by label of the name; both are lower case. */
export function isNamed(pattern: string, name: string): boolean {
  if (isStars(pattern)) return true;
  const want = pattern.split('.');
  const have = name.split('.');
  if (want[0] !== '*' && isStars(want[0] ?? '')) {
    const rest = want.slice(1);
    const deeper = have.length - rest.length;
    if (deeper < 1 || have.slice(0, deeper).some((label) => label === '')) return false;
    return rest.every((label, i) => isLabel(label, have[deeper + i] ?? ''));
  }
  return want.length === have.length && want.every((label, i) => isLabel(label, have[i] ?? ''));
}

const isStars = (text: string) => text !== '' && text.replaceAll('*', '') === '';

/** One label of a name; a run of stars is any part of it. */
function isLabel(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) {
    const rest = pattern.replace(/^\*+/, '');
    for (let at = 0; at <= text.length; at++) if (isLabel(rest, text.slice(at))) return true;
    return false;
  }
  return pattern.charAt(0) === text.charAt(0) && isLabel(pattern.slice(1), text.slice(1));
}

/** What somebody would write who has no Services (policy.md §4.5): pods by labels; without a selector, addresses. */
export function serviceSelectors(
  { namespace, by, cluster }: ServiceSelector,
  { facts = NOTHING }: World,
): readonly PeerSelector[] {
  const meant = facts.services.filter((service) => {
    if (namespace !== undefined && namespace !== service.namespace) return false;
    const labels = Object.entries(service.labels).map(([key, value]) => ({ source: 'k8s', key, value }));
    return 'name' in by ? by.name === service.name : selects(by.selector, labels);
  });
  return meant.flatMap((service) => {
    if (service.selector === undefined) {
      const slices = facts.endpointSlices.filter(
        (slice) => slice.service === service.name && slice.namespace === service.namespace,
      );
      return slices.flatMap((slice) => slice.addresses).flatMap(addressSelector);
    }
    const wanted = Object.entries(service.selector);
    wanted.push(['io.kubernetes.pod.namespace', service.namespace]);
    if (cluster !== undefined) wanted.push(['io.cilium.k8s.policy.cluster', cluster]);
    const requirements = wanted.map(
      ([key, value]): Requirement => ({ source: 'k8s', key, operator: 'In', values: [value] }),
    );
    return [{ kind: 'labels', selector: { requirements } }];
  });
}

/** The same for cloud groups (policy.md §4.6). */
export function cloudGroupSelectors(
  want: CloudGroupSelector,
  { facts = NOTHING }: World,
): readonly PeerSelector[] {
  const groups = facts.cloudGroups.filter((group) => {
    if (group.provider !== want.provider) return false;
    if (want.region !== undefined && want.region !== group.region) return false;
    if (want.ids.length > 0 && !want.ids.includes(group.id)) return false;
    if (want.names.length > 0 && !want.names.includes(group.name)) return false;
    return Object.entries(want.labels).every(([key, value]) => group.labels[key] === value);
  });
  return groups.flatMap((group) => group.addresses).flatMap(addressSelector);
}

function addressSelector(text: string): readonly PeerSelector[] {
  const cidr = parseCidrOrIp(text);
  return cidr === undefined ? [] : [{ kind: 'cidr', cidr, except: [] }];
}
