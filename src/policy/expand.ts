/**
 * First of all: peers that stand for other peers. A Service means the pods that its selector finds, or, without
 * one, the addresses of its EndpointSlices (policy.md §4.5); a cloud group means its members' addresses (§4.6).
 * What refers to nothing that is there selects nobody. The result is the same internal form with fewer kinds.
 */
import { type Cidr, parseCidrOrIp } from '#kit/ip';
import { compareText } from '#kit/order';
import {
  type CloudGroupSelector,
  equals,
  LABEL_CLUSTER,
  LABEL_NAMESPACE,
  NO_FACTS,
  type PeerSelector,
  type Policy,
  type PolicyFacts,
  type Rule,
  selectorOf,
  type ServiceRow,
  type ServiceSelector,
} from '#model';
import { hasChanges, rowChanges } from '#kit/rows';
import { nameOf } from './digest.ts';
import { selectorMatches, selectorText } from './match.ts';
import { sortedSet } from './order.ts';
import { labelSet } from '#kit/labels';

/** Policies with every peer a label selector, an entity, a prefix, a group of prefixes or a name. */
export function expandPolicies(policies: readonly Policy[], facts: PolicyFacts): readonly Policy[] {
  return new Expansion().update(policies, facts);
}

/** The same, carried from one time to the next: what says the same as before is the same object. */
export class Expansion {
  #policies: readonly Policy[] = [];
  #facts: PolicyFacts = NO_FACTS;
  /** What the policies stand for that refer to anything; all others stand for themselves. */
  readonly #meant = new Map<Policy, Policy>();
  #direct: readonly Policy[] = [];

  update(policies: readonly Policy[], facts: PolicyFacts): readonly Policy[] {
    const isSame = sameReferred(this.#facts, facts);
    if (isSame && policies === this.#policies) return this.#direct;
    const { gone, come } = rowChanges(this.#policies, policies);
    for (const policy of gone) this.#meant.delete(policy);
    for (const policy of isSame ? [] : this.#meant.keys()) this.#expand(policy, facts);
    for (const policy of come.filter(isIndirect)) this.#expand(policy, facts);
    [this.#policies, this.#facts] = [policies, facts];
    this.#direct =
      this.#meant.size === 0 ? policies : policies.map((policy) => this.#meant.get(policy) ?? policy);
    return this.#direct;
  }

  #expand(policy: Policy, facts: PolicyFacts): void {
    const now = expanded(policy, facts);
    if (this.#meant.get(policy)?.contentHash !== now.contentHash) this.#meant.set(policy, now);
  }
}

/** Whether the rows that peers may refer to are the same. */
function sameReferred(a: PolicyFacts, b: PolicyFacts): boolean {
  return (['services', 'endpointSlices', 'cloudGroups'] as const).every(
    (kind) => !hasChanges(rowChanges<unknown>(a[kind], b[kind])),
  );
}

function isIndirect({ specs }: Policy): boolean {
  return specs.some(({ rules }) => rules.some(refers));
}

function refers({ peers }: Rule): boolean {
  return (
    peers.kind === 'list' && peers.selectors.some((s) => s.kind === 'service' || s.kind === 'cloudGroup')
  );
}

function expanded(policy: Policy, facts: PolicyFacts): Policy {
  const texts: string[] = [];
  const specs = policy.specs.map((spec) => ({
    ...spec,
    rules: spec.rules.map((rule): Rule => {
      if (rule.peers.kind === 'any' || !refers(rule)) return rule;
      const selectors = rule.peers.selectors.flatMap((selector) => directPeers(selector, facts));
      // Those beside a wildcard, too: their prefixes are known to the ipcache.
      texts.push(sortedSet(selectors.map(selectorText)).join(' | '));
      return { ...rule, peers: { kind: 'list', selectors } };
    }),
  }));
  return { ...policy, specs, contentHash: `${policy.contentHash}+${nameOf(texts.join('\n'), 64)}` };
}

/** What one selector stands for; itself for most. */
export function directPeers(selector: PeerSelector, facts: PolicyFacts): readonly PeerSelector[] {
  if (selector.kind === 'service') {
    return servicesOf(selector, facts).flatMap((service) => servicePeers(service, selector, facts));
  }
  return selector.kind === 'cloudGroup' ? cidrPeers(cloudAddresses(selector, facts)) : [selector];
}

/** The Services that a selector means, by key. */
function servicesOf({ namespace, by }: ServiceSelector, facts: PolicyFacts): readonly ServiceRow[] {
  return facts.services
    .filter((service) => {
      if (namespace !== undefined && service.namespace !== namespace) return false;
      return 'name' in by ? service.name === by.name : selectorMatches(by.selector, serviceLabels(service));
    })
    .sort((a, b) => compareText(a.key, b.key));
}

function serviceLabels({ labels }: ServiceRow) {
  return labelSet(Object.entries(labels).map(([key, value]) => ({ source: 'k8s', key, value })));
}

function servicePeers(
  service: ServiceRow,
  { cluster }: ServiceSelector,
  facts: PolicyFacts,
): readonly PeerSelector[] {
  if (service.selector === undefined) {
    const isOfService = (s: { readonly namespace: string; readonly service: string }) =>
      s.namespace === service.namespace && s.service === service.name;
    return cidrPeers(facts.endpointSlices.filter(isOfService).flatMap((slice) => slice.addresses));
  }
  const requirements = [
    ...Object.entries(service.selector).map(([key, value]) => equals('k8s', key, value)),
    equals('k8s', LABEL_NAMESPACE, service.namespace),
    ...(cluster === undefined ? [] : [equals('k8s', LABEL_CLUSTER, cluster)]),
  ];
  return [{ kind: 'labels', selector: selectorOf(requirements) }];
}

function cloudAddresses(selector: CloudGroupSelector, facts: PolicyFacts): readonly string[] {
  const { provider, ids, names, region, labels } = selector;
  return facts.cloudGroups
    .filter(
      (group) =>
        group.provider === provider &&
        (ids.length === 0 || ids.includes(group.id)) &&
        (names.length === 0 || names.includes(group.name)) &&
        (region === undefined || region === group.region) &&
        Object.entries(labels).every(([key, value]) => group.labels[key] === value),
    )
    .flatMap((group) => group.addresses);
}

/** One prefix an address, each once, in order. */
function cidrPeers(addresses: readonly string[]): readonly PeerSelector[] {
  const cidrs = [...new Set(addresses)].sort(compareText).map(parseCidrOrIp);
  return cidrs
    .filter((cidr): cidr is Cidr => cidr !== undefined)
    .map((cidr) => ({ kind: 'cidr', cidr, except: [] }));
}
