/**
 * Who an address is, before anybody has a number: which prefixes are known and which labels each stands for
 * (policy.md §4.1, §4.2, §12.3, HF-4). Addresses of the node are the host, of known nodes remote-node, of
 * endpoints the endpoint; every prefix that a policy names (excepts too) stands for itself, so that no known
 * prefix lies partly in and partly out of any rule.
 *
 * What changes at a prefix can change only what lies inside it: that is looked at again, nothing else.
 */
import { assertNever } from '#kit/errors';
import { type Cidr, formatCidr, formatCidrOrIp } from '#kit/ip';
import { type Label, type LabelSet, labelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import { type RowChanges, rowChanges } from '#kit/rows';
import {
  apiserverAddresses,
  type Identity,
  LABEL_CLUSTER,
  NO_FACTS,
  type NodeRow,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  RESERVED_IDENTITY,
} from '#model';
import { type Claim, type Claimants, Claims, cidrsOf, type EndpointAddresses } from './claims.ts';
import { Counted } from './counted.ts';
import { Expansion } from './expand.ts';
import { ExtraLabels, type PrefixLabels } from './extra-labels.ts';
import { policiesInForce } from './held.ts';
import { LearntNames } from './learnt-names.ts';
import { worldLabels } from './match.ts';
import { type NamedByPolicy, namedByPolicy } from './named-by-policy.ts';
import type { IdentityScope } from './numbering.ts';
import type { HeldPolicies } from './selection.ts';

/** Everything that the meaning of addresses depends on. */
export interface OwnersInput extends Claimants {
  readonly policies: readonly Policy[];
  readonly prefixLabels?: readonly PrefixLabels[];
  readonly facts?: PolicyFacts;
  /** Of this node; `reserved:kube-apiserver` among them: it backs the API server. */
  readonly nodeLabels?: LabelSet;
  readonly held?: HeldPolicies;
  readonly config: PolicyConfig;
}

/** What a prefix stands for: an identity with a fixed number, or a label set that needs one. */
export interface Owner {
  readonly identity?: Identity;
  readonly labels: LabelSet;
  readonly scope: IdentityScope;
  readonly isEndpoint: boolean;
  readonly isNode: boolean;
}

/** A known prefix. */
export interface OwnedPrefix {
  readonly cidr: Cidr;
  readonly owner: Owner;
}

export interface OwnerChanges {
  readonly prefixes: RowChanges<OwnedPrefix>;
  /** Owners of endpoints; an endpoint without address has an identity all the same. */
  readonly endpoints: RowChanges<Owner>;
}

/** Every known prefix with its owner, carried from one time to the next. */
export class PrefixOwners {
  readonly #config: PolicyConfig;
  readonly #expansion = new Expansion();
  #before: Omit<OwnersInput, 'config'> = { policies: [], nodes: [], endpoints: [], localAddresses: [] };
  readonly #named = new Map<Policy, NamedByPolicy>();
  readonly #prefixes = new Counted<Cidr>();
  readonly #patterns = new Counted<string>();
  readonly #names = new LearntNames();
  readonly #extra = new ExtraLabels();
  readonly #claims = new Claims();
  #apiservers: ReadonlySet<string> = new Set();
  #host: Owner;
  readonly #endpoints = new Map<EndpointAddresses, Owner>();
  readonly #known = new Lpm<OwnedPrefix>();

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#host = this.#hostOwner({ localAddresses: [] });
  }

  /** What the host is. */
  get host(): Owner {
    return this.#host;
  }

  /** All known prefixes, in canonical order. */
  get prefixes(): readonly OwnedPrefix[] {
    return [...this.#known].map(({ value }) => value);
  }

  /** What endpoints are. */
  get endpoints(): ReadonlyMap<EndpointAddresses, Owner> {
    return this.#endpoints;
  }

  update(input: OwnersInput): OwnerChanges {
    const facts = input.facts ?? NO_FACTS;
    const before = this.#before;
    const policies = this.#expansion.update(policiesInForce(input), facts);
    const touched: Cidr[] = [];
    const patterns = this.#nameByPolicies(rowChanges(before.policies, policies), touched);
    const old = before.facts ?? NO_FACTS;
    const learnt = this.#names.update(patterns, rowChanges(old.names, facts.names));
    const more = rowChanges(before.prefixLabels ?? [], input.prefixLabels ?? []);
    this.#extra.update(rowChanges(old.cidrGroups, facts.cidrGroups), learnt, more, touched);
    const endpoints = rowChanges(before.endpoints, input.endpoints);
    this.#claims.update(input.localAddresses, rowChanges(before.nodes, input.nodes), endpoints, touched);
    this.#backApiservers(new Set(apiserverAddresses(facts)), touched);
    const host = this.#hostOwner(input);
    if (!isSameOwner(host, this.#host)) this.#host = host;
    this.#before = { ...input, policies };
    const owners = this.#ownEndpoints(endpoints, touched);
    return { prefixes: this.#own(touched), endpoints: owners };
  }

  /** Counts prefixes and patterns that policies name; the patterns that nobody named before, or names now. */
  #nameByPolicies({ gone, come }: RowChanges<Policy>, touched: Cidr[]): RowChanges<string> {
    const patterns = { gone: [] as string[], come: [] as string[] };
    for (const policy of come) {
      const named = namedByPolicy(policy);
      this.#named.set(policy, named);
      for (const cidr of named.prefixes) if (this.#prefixes.add(formatCidr(cidr), cidr)) touched.push(cidr);
      for (const pattern of named.patterns)
        if (this.#patterns.add(pattern, pattern)) patterns.come.push(pattern);
    }
    for (const policy of gone) {
      const named = this.#named.get(policy);
      this.#named.delete(policy);
      for (const cidr of named?.prefixes ?? [])
        if (this.#prefixes.remove(formatCidr(cidr))) touched.push(cidr);
      for (const pattern of named?.patterns ?? [])
        if (this.#patterns.remove(pattern)) patterns.gone.push(pattern);
    }
    return patterns;
  }

  #backApiservers(now: ReadonlySet<string>, touched: Cidr[]): void {
    touched.push(...cidrsOf([...this.#apiservers.symmetricDifference(now)]));
    this.#apiservers = now;
  }

  /** Owners of endpoints that came, and of those whose addresses got other labels. */
  #ownEndpoints({ gone, come }: RowChanges<EndpointAddresses>, touched: Cidr[]): RowChanges<Owner> {
    const changes = { gone: [] as Owner[], come: [] as Owner[] };
    const replace = (endpoint: EndpointAddresses, owner: Owner | undefined): void => {
      const old = this.#endpoints.get(endpoint);
      if (old !== undefined && owner !== undefined && isSameOwner(old, owner)) return;
      if (old !== undefined) changes.gone.push(old);
      if (owner !== undefined) changes.come.push(owner);
      if (owner === undefined) this.#endpoints.delete(endpoint);
      else this.#endpoints.set(endpoint, owner);
      touched.push(...cidrsOf(endpoint.addresses));
    };
    for (const endpoint of gone) replace(endpoint, undefined);
    for (const endpoint of come) replace(endpoint, this.#endpointOwner(endpoint));
    if (this.#config.cidrMatchPods !== true) return changes;
    const near = new Set([...touched].flatMap((cidr) => [...this.#claims.endpointsIn(cidr)]));
    for (const endpoint of near) replace(endpoint, this.#endpointOwner(endpoint));
    return changes;
  }

  /** Finds the owners of everything inside these prefixes anew. */
  #own(touched: readonly Cidr[]): RowChanges<OwnedPrefix> {
    const within = new Map<string, Cidr>();
    for (const outer of touched) {
      within.set(formatCidr(outer), outer);
      for (const { cidr } of this.#known.covered(outer)) within.set(formatCidr(cidr), cidr);
    }
    const changes = { gone: [] as OwnedPrefix[], come: [] as OwnedPrefix[] };
    for (const cidr of within.values()) {
      const old = this.#known.get(cidr);
      const owner = this.#ownerOf(cidr);
      if (old !== undefined && owner !== undefined && isSameOwner(old.owner, owner)) continue;
      if (old !== undefined) changes.gone.push(old);
      if (owner === undefined) this.#known.delete(cidr);
      else {
        const owned = { cidr, owner };
        this.#known.set(cidr, owned);
        changes.come.push(owned);
      }
    }
    return changes;
  }

  /** Whose a prefix is; undefined when it is no prefix to be known. What lies inside an endpoint's stays its. */
  #ownerOf(cidr: Cidr): Owner | undefined {
    if (!isEnabled(cidr, this.#config)) return undefined;
    const around = this.#claims.around(cidr);
    const isOwn = around !== undefined && around.cidr.length === cidr.length;
    if (!isOwn && !this.#isWanted(cidr)) return undefined;
    return around === undefined ? this.#outsideOwner(cidr) : this.#claimOwner(around.claim, around.cidr);
  }

  /** Named or given something by somebody. */
  #isWanted(cidr: Cidr): boolean {
    if (cidr.length === 0) return false;
    return (
      this.#prefixes.has(formatCidr(cidr)) ||
      this.#extra.has(cidr) ||
      this.#apiservers.has(formatCidrOrIp(cidr))
    );
  }

  #claimOwner(claim: Claim, cidr: Cidr): Owner {
    switch (claim.kind) {
      case 'host':
        return this.#host;
      case 'node':
        return this.#nodeOwner(claim.node, cidr);
      case 'endpoint':
        return this.#endpoints.get(claim.endpoint) ?? this.#endpointOwner(claim.endpoint);
      default:
        return assertNever(claim);
    }
  }

  /** The host is one identity; with node matching it carries the prefixes of all its addresses. */
  #hostOwner({ localAddresses, nodeLabels }: Pick<OwnersInput, 'localAddresses' | 'nodeLabels'>): Owner {
    const own = this.#config.cidrMatchNodes ? enabledCidrs(localAddresses, this.#config) : [];
    const backs = nodeLabels !== undefined && isApiserver(nodeLabels);
    const labels = labelSet([
      reserved('host'),
      ...(backs || localAddresses.some((text) => this.#apiservers.has(text))
        ? [reserved('kube-apiserver')]
        : []),
      ...this.#extra.of(own),
      ...own.map(cidrLabel),
    ]);
    return { identity: RESERVED_IDENTITY.host, labels, scope: 'cluster', isEndpoint: false, isNode: false };
  }

  #nodeOwner(node: NodeRow, cidr: Cidr): Owner {
    const { cidrMatchNodes, nodeSelectorLabels } = this.#config;
    const backsApiserver = isApiserver(node.labels) || this.#apiservers.has(formatCidrOrIp(cidr));
    const labels = [reserved('remote-node')];
    if (backsApiserver) labels.push(reserved('kube-apiserver'));
    const plain = labelSet(labels);
    if (cidrMatchNodes) labels.push(...this.#extra.of([cidr]), cidrLabel(cidr));
    if (nodeSelectorLabels) {
      labels.push(...node.labels.labels.filter((l) => l.source === 'node'));
      labels.push({ source: 'k8s', key: LABEL_CLUSTER, value: node.cluster });
    }
    const set = labelSet(labels);
    const fixed = backsApiserver ? RESERVED_IDENTITY['kube-apiserver'] : RESERVED_IDENTITY['remote-node'];
    const owner = { labels: set, scope: 'remote-node', isEndpoint: false, isNode: true } as const;
    return set.key === plain.key ? { ...owner, identity: fixed } : owner;
  }

  #endpointOwner({ addresses, labels, identity }: EndpointAddresses): Owner {
    const cidrs = this.#config.cidrMatchPods === true ? enabledCidrs(addresses, this.#config) : [];
    const groups = this.#extra.of(cidrs).filter((label) => label.source !== 'fqdn');
    // Where CIDRs may find pods, an identity is made of its addresses too.
    const set =
      cidrs.length === 0 ? labels : labelSet([...groups, ...labels.labels, ...cidrs.map(cidrLabel)]);
    const owner = { labels: set, scope: 'cluster', isEndpoint: true, isNode: false } as const;
    return identity ? { ...owner, identity } : owner;
  }

  /** Own prefix, the world of the family, and what shorter prefixes hand down; for equal keys the longest counts. */
  #outsideOwner(cidr: Cidr): Owner {
    const world = worldLabels(this.#config)[cidr.ip.family];
    const labels = labelSet([
      ...this.#extra.of([cidr]),
      ...(world === undefined ? [] : [world]),
      ...(this.#apiservers.has(formatCidrOrIp(cidr)) ? [reserved('kube-apiserver')] : []),
      cidrLabel(cidr),
    ]);
    return { labels, scope: 'local', isEndpoint: false, isNode: false };
  }
}

function isSameOwner(a: Owner, b: Owner): boolean {
  return (
    a.identity === b.identity &&
    a.labels.key === b.labels.key &&
    a.scope === b.scope &&
    a.isEndpoint === b.isEndpoint &&
    a.isNode === b.isNode
  );
}

const cidrLabel = (cidr: Cidr): Label => ({ source: 'cidr', key: formatCidr(cidr), value: '' });

export function reserved(key: string): Label {
  return { source: 'reserved', key, value: '' };
}

function isEnabled(cidr: Cidr, config: PolicyConfig): boolean {
  return cidr.ip.family === 4 ? config.ipv4 : config.ipv6;
}

function enabledCidrs(addresses: readonly string[], config: PolicyConfig): readonly Cidr[] {
  return cidrsOf(addresses).filter((cidr) => isEnabled(cidr, config));
}

function isApiserver({ labels }: LabelSet): boolean {
  return labels.some((label) => label.source === 'reserved' && label.key === 'kube-apiserver');
}
