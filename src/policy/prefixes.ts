/**
 * Who an address is: which prefixes the ipcache holds and which labels each stands for (policy.md §4.1, §4.2,
 * §12.3, HF-4). Addresses of the node are the host, of known nodes remote-node, of endpoints the endpoint;
 * every prefix that a policy names (excepts too) stands for itself, so that no known prefix lies partly in
 * and partly out of any rule.
 */
import { assertNever } from '#kit/errors';
import { type Cidr, cidrEquals, formatCidr, formatCidrOrIp, parseCidrOrIp } from '#kit/ip';
import { type Label, type LabelSet, labelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import {
  apiserverAddresses,
  type Identity,
  type IdentityRow,
  type IpcacheRow,
  LABEL_CLUSTER,
  NO_FACTS,
  type NodeRow,
  type PeerSelector,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  RESERVED_IDENTITY,
} from '#model';
import { expandPolicies } from './expand.ts';
import { policiesInForce } from './held.ts';
import { ExtraLabels, type PrefixLabels } from './extra-labels.ts';
import { prefixOfKey, worldLabels } from './match.ts';
import { type IdentityScope, type Numbering, numberOf, renumber, type WantedIdentity } from './numbering.ts';
import type { HeldPolicies } from './selection.ts';
import { compareText } from '#kit/order';

/** An endpoint's part: addresses and prefixes it may use, and its identity's labels. */
export interface EndpointAddresses {
  readonly addresses: readonly string[];
  readonly labels: LabelSet;
  /** Its number when somebody else gives them; 0 or absent: numbered here. */
  readonly identity?: Identity;
}

/** Everything that the meaning of addresses depends on. */
export interface PrefixInput {
  readonly policies: readonly Policy[];
  readonly nodes: readonly NodeRow[];
  readonly endpoints: readonly EndpointAddresses[];
  /** Addresses of the node itself. */
  readonly localAddresses: readonly string[];
  readonly prefixLabels?: readonly PrefixLabels[];
  readonly facts?: PolicyFacts;
  /** Of this node; `reserved:kube-apiserver` among them: it backs the API server. */
  readonly nodeLabels?: LabelSet;
  readonly held?: HeldPolicies;
  readonly config: PolicyConfig;
  /** Numbers given so far. */
  readonly numbering: Numbering;
}

/** What is wanted, sorted by prefix and by number, and the numbering to hand in next time. */
export interface PrefixOutput {
  readonly ipcache: readonly IpcacheRow[];
  readonly identities: readonly IdentityRow[];
  readonly numbering: Numbering;
  /** The identity of each endpoint, in the order given. */
  readonly endpoints: readonly Identity[];
}

/** What a prefix stands for: an identity with a fixed number, or a label set that needs one. */
interface Owner {
  readonly identity?: Identity;
  readonly labels: LabelSet;
  readonly scope: IdentityScope;
  readonly isEndpoint: boolean;
  readonly isNode: boolean;
}

/** The input with what is derived of it once. */
interface PrefixWorld {
  readonly input: PrefixInput;
  /** Expanded. */
  readonly policies: readonly Policy[];
  readonly extra: ExtraLabels;
  /** Addresses that back the API server, canonical. */
  readonly apiservers: ReadonlySet<string>;
}

function worldOf(input: PrefixInput): PrefixWorld {
  const facts = input.facts ?? NO_FACTS;
  const policies = expandPolicies(policiesInForce(input), facts);
  const extra = new ExtraLabels(policies, facts, input.prefixLabels ?? []);
  return { input, policies, extra, apiservers: new Set(apiserverAddresses(facts)) };
}

/** Desired ipcache and identities. Throws `IDENTITY_EXHAUSTED`. */
export function prefixIdentities(input: PrefixInput): PrefixOutput {
  const world = worldOf(input);
  const owners = prefixOwners(world);
  const wanted = [...owners].map(({ value }) => value).filter((owner) => owner.identity === undefined);
  const endpoints = input.endpoints.map((endpoint) => endpointOwner(endpoint, world));
  const unnumbered = endpoints.filter((owner) => owner.identity === undefined);
  const numbering = renumber(input.numbering, [...wanted, ...unnumbered]);
  const ipcache = [...owners].map(({ cidr, value }) => ({
    prefix: formatCidr(cidr),
    identity: value.identity ?? numbered(numbering, value),
    isEndpoint: value.isEndpoint,
    isNode: value.isNode,
  }));
  return {
    ipcache,
    identities: identityRows(world, owners, numbering),
    numbering,
    endpoints: endpoints.map((owner) => owner.identity ?? numbered(numbering, owner)),
  };
}

/** The number of a set that has just been numbered. */
function numbered(numbering: Numbering, wanted: WantedIdentity): Identity {
  return numberOf(numbering, wanted) ?? RESERVED_IDENTITY.unknown;
}

/** Every prefix with its owner, in canonical order. Where two claim one prefix, the first in this order has it. */
function prefixOwners(world: PrefixWorld): Lpm<Owner> {
  const { input } = world;
  const { config } = input;
  const owners = new Lpm<Owner>();
  const claim = (text: string, ownerOf: (cidr: Cidr) => Owner) => {
    const cidr = parseCidrOrIp(text);
    if (cidr === undefined || !isEnabled(cidr, config) || owners.get(cidr) !== undefined) return;
    owners.set(cidr, ownerOf(cidr));
  };
  const host = hostOwner(world);
  for (const address of input.localAddresses) claim(address, () => host);
  for (const node of input.nodes) {
    for (const address of node.addresses) claim(address, (cidr) => nodeOwner(node, cidr, world));
  }
  for (const endpoint of input.endpoints) {
    for (const address of endpoint.addresses) claim(address, () => endpointOwner(endpoint, world));
  }
  const outside = new Lpm<true>();
  const apiservers = [...world.apiservers].map((text) => parseCidrOrIp(text)).filter((c) => c !== undefined);
  for (const cidr of [...policyPrefixes(world.policies), ...world.extra.prefixes(), ...apiservers]) {
    if (cidr.length > 0 && isEnabled(cidr, config)) outside.set(cidr, true);
  }
  for (const { cidr } of outside) {
    const within = owners.covering(cidr)[0];
    if (within !== undefined && cidrEquals(within.cidr, cidr)) continue;
    owners.set(
      cidr,
      within !== undefined && isInside(within.value) ? within.value : outsideOwner(cidr, world),
    );
  }
  return owners;
}

function isEnabled(cidr: Cidr, config: PolicyConfig): boolean {
  return cidr.ip.family === 4 ? config.ipv4 : config.ipv6;
}

/** Whether the owner is of the cluster: a prefix inside an endpoint's stays the endpoint's. */
function isInside(owner: Owner): boolean {
  return owner.isEndpoint || owner.isNode || owner.identity === RESERVED_IDENTITY.host;
}

const reserved = (key: string): Label => ({ source: 'reserved', key, value: '' });
const cidrLabel = (cidr: Cidr): Label => ({ source: 'cidr', key: formatCidr(cidr), value: '' });

/** The host is one identity; with node matching it carries the prefixes of all its addresses. */
function hostOwner({ input, extra, apiservers }: PrefixWorld): Owner {
  const { localAddresses, nodeLabels, config } = input;
  const own = config.cidrMatchNodes ? enabledCidrs(localAddresses, config) : [];
  const backs = nodeLabels !== undefined && isApiserver(nodeLabels);
  const labels = labelSet([
    reserved('host'),
    ...(backs || localAddresses.some((text) => apiservers.has(text)) ? [reserved('kube-apiserver')] : []),
    ...extra.of(own),
    ...own.map(cidrLabel),
  ]);
  return { identity: RESERVED_IDENTITY.host, labels, scope: 'cluster', isEndpoint: false, isNode: false };
}

function enabledCidrs(addresses: readonly string[], config: PolicyConfig): readonly Cidr[] {
  return addresses
    .map(parseCidrOrIp)
    .filter((cidr): cidr is Cidr => cidr !== undefined && isEnabled(cidr, config));
}

function isApiserver({ labels }: LabelSet): boolean {
  return labels.some((label) => label.source === 'reserved' && label.key === 'kube-apiserver');
}

function nodeOwner(node: NodeRow, cidr: Cidr, { input, extra, apiservers }: PrefixWorld): Owner {
  const { config } = input;
  const backsApiserver = isApiserver(node.labels) || apiservers.has(formatCidrOrIp(cidr));
  const labels = [reserved('remote-node')];
  if (backsApiserver) labels.push(reserved('kube-apiserver'));
  const plain = labelSet(labels);
  if (config.cidrMatchNodes) labels.push(...extra.of([cidr]), cidrLabel(cidr));
  if (config.nodeSelectorLabels) {
    labels.push(...node.labels.labels.filter((l) => l.source === 'node'));
    labels.push({ source: 'k8s', key: LABEL_CLUSTER, value: node.cluster });
  }
  const set = labelSet(labels);
  const fixed = backsApiserver ? RESERVED_IDENTITY['kube-apiserver'] : RESERVED_IDENTITY['remote-node'];
  const owner = { labels: set, scope: 'remote-node', isEndpoint: false, isNode: true } as const;
  return set.key === plain.key ? { ...owner, identity: fixed } : owner;
}

function endpointOwner(endpoint: EndpointAddresses, { input, extra }: PrefixWorld): Owner {
  const own = endpointLabels(endpoint, input.config);
  const cidrs = input.config.cidrMatchPods === true ? enabledCidrs(endpoint.addresses, input.config) : [];
  const groups = extra.of(cidrs).filter((label) => label.source !== 'fqdn');
  const labels = groups.length === 0 ? own : labelSet([...groups, ...own.labels]);
  const owner = { labels, scope: 'cluster', isEndpoint: true, isNode: false } as const;
  return endpoint.identity ? { ...owner, identity: endpoint.identity } : owner;
}

/** What an endpoint's identity is made of: where CIDRs may find pods, its addresses too. */
function endpointLabels({ addresses, labels }: EndpointAddresses, config: PolicyConfig): LabelSet {
  if (config.cidrMatchPods !== true) return labels;
  return labelSet([...labels.labels, ...enabledCidrs(addresses, config).map(cidrLabel)]);
}

/** Own prefix, the world of the family, and what shorter prefixes hand down; for equal keys the longest counts. */
function outsideOwner(cidr: Cidr, { input, extra, apiservers }: PrefixWorld): Owner {
  const world = worldLabels(input.config)[cidr.ip.family];
  const labels = labelSet([
    ...extra.of([cidr]),
    ...(world === undefined ? [] : [world]),
    ...(apiservers.has(formatCidrOrIp(cidr)) ? [reserved('kube-apiserver')] : []),
    cidrLabel(cidr),
  ]);
  return { labels, scope: 'local', isEndpoint: false, isNode: false };
}

/** Every prefix that a rule, an except or a selector's `cidr:` key names. */
function policyPrefixes(policies: readonly Policy[]): Cidr[] {
  const rules = policies.flatMap((policy) => policy.specs.flatMap((spec) => spec.rules));
  return rules.flatMap(({ peers }) =>
    peers.kind === 'any' ? [] : peers.selectors.flatMap(selectorPrefixes),
  );
}

function selectorPrefixes(selector: PeerSelector): readonly Cidr[] {
  switch (selector.kind) {
    case 'cidr':
      return [selector.cidr, ...selector.except];
    case 'labels':
      return selector.selector.requirements
        .filter((requirement) => requirement.source === 'cidr')
        .map((requirement) => prefixOfKey(requirement.key))
        .filter((cidr) => cidr !== undefined);
    case 'cidrGroup':
      return selector.except;
    case 'entity':
    case 'fqdn':
    case 'service':
    case 'cloudGroup':
      return [];
    default:
      return assertNever(selector);
  }
}

/** Reserved identities, those given here, and those that endpoints bring; by number. */
function identityRows(world: PrefixWorld, owners: Lpm<Owner>, numbering: Numbering): IdentityRow[] {
  const rows = new Map<Identity, IdentityRow>();
  for (const row of reservedIdentities(hostOwner(world).labels)) rows.set(row.id, row);
  for (const scope of [numbering.cluster, numbering.local, numbering['remote-node']]) {
    for (const row of scope.given.values()) rows.set(row.id, row);
  }
  for (const { value } of owners) {
    if (value.identity !== undefined && !rows.has(value.identity)) {
      rows.set(value.identity, { id: value.identity, labels: value.labels });
    }
  }
  for (const { identity, labels } of world.input.endpoints) {
    if (identity && !rows.has(identity)) rows.set(identity, { id: identity, labels });
  }
  return [...rows.values()].sort((a, b) => a.id - b.id);
}

/** The identities that need no allocation. 0 is none: nobody is known by it. */
function reservedIdentities(hostLabels: LabelSet): IdentityRow[] {
  return Object.entries(RESERVED_IDENTITY)
    .filter(([name]) => name !== 'unknown')
    .sort(([a], [b]) => compareText(a, b))
    .map(([name, id]) => ({ id, labels: name === 'host' ? hostLabels : reservedLabels(name) }));
}

function reservedLabels(name: string): LabelSet {
  const also = name === 'kube-apiserver' ? [reserved('remote-node')] : [];
  return labelSet([reserved(name), ...also]);
}
