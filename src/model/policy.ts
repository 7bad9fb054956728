/**
 * The internal form of policy: what every front end (CNP, CCNP, NetworkPolicy) is translated into, and the
 * only form that the compiler, the oracle and the tools know. Tiers, priorities and `pass` exist although
 * no front end sets them yet, so that an ordered one is only translation.
 */
import type { Cidr } from '#kit/ip';
import type { SourceAt } from '#kit/errors';
import type { Warning } from './findings.ts';
import type { ProxyRules } from './l7.ts';

export type Direction = 'ingress' | 'egress';
export type Family = 4 | 6;

/** `source:key` with `any` matching every source; operators as Kubernetes has them (policy.md §3). */
export interface Requirement {
  readonly source: string;
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

/** All requirements hold; none means every label set. */
export interface Selector {
  readonly requirements: readonly Requirement[];
}

export type Entity =
  | 'all'
  | 'world'
  | 'world-ipv4'
  | 'world-ipv6'
  | 'host'
  | 'remote-node'
  | 'cluster'
  | 'kube-apiserver'
  | 'ingress'
  | 'health'
  | 'init'
  | 'unmanaged'
  | 'none';

/** One alternative of a rule's peer list. Selectors are already scoped (policy.md §3.4). */
export type PeerSelector =
  | { readonly kind: 'labels'; readonly selector: Selector }
  | { readonly kind: 'entity'; readonly entity: Entity }
  | { readonly kind: 'cidr'; readonly cidr: Cidr; readonly except: readonly Cidr[] }
  /** Prefixes of CIDR groups, found by the labels (source cidrgroup) that they get from their groups. */
  | { readonly kind: 'cidrGroup'; readonly selector: Selector; readonly except: readonly Cidr[] }
  /** Addresses learnt for the names that a canonical name or pattern means. */
  | { readonly kind: 'fqdn'; readonly pattern: string }
  | ServiceSelector
  | CloudGroupSelector;

/** Services by name or by their labels, in one namespace or (undefined) in any. */
export interface ServiceSelector {
  readonly kind: 'service';
  readonly namespace: string | undefined;
  readonly by: { readonly name: string } | { readonly selector: Selector };
  /** Cluster of the pods that a Service's own selector finds; undefined: of any. */
  readonly cluster: string | undefined;
}

/** Cloud groups for which everything given holds. */
export interface CloudGroupSelector {
  readonly kind: 'cloudGroup';
  readonly provider: 'aws';
  readonly ids: readonly string[];
  readonly names: readonly string[];
  readonly region: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

/** `any`: no peer field was written, every peer matches. An empty list matches nobody. */
export type Peers =
  | { readonly kind: 'any' }
  | { readonly kind: 'list'; readonly selectors: readonly PeerSelector[] };

/**
 * One entry of a port list. `protocol` is the IANA number. A whole protocol (port 0, or a protocol without
 * ports) is `protocol`; ICMP by type is `icmp` (protocol 1 or 58 by family). A `name` (lower case) stands for
 * numbers that endpoints give: none known means none, never all (policy.md §5.2).
 */
export type PortMatch =
  | { readonly kind: 'ports'; readonly protocol: number; readonly first: number; readonly last: number }
  | { readonly kind: 'name'; readonly protocol: number; readonly name: string }
  | { readonly kind: 'protocol'; readonly protocol: number }
  | { readonly kind: 'icmp'; readonly family: Family; readonly type: number };

/** `any`: no `toPorts` and no `icmps`; every protocol matches. An empty list matches nothing. */
export type Ports =
  | { readonly kind: 'any' }
  | { readonly kind: 'list'; readonly matches: readonly PortMatch[] };

/** Whether both ends must have proved who they are. */
export type AuthMode = 'disabled' | 'required' | 'test-always-fail';

/** A port of an endpoint that has a name, lower case. */
export interface NamedPort {
  readonly name: string;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
}

export interface Rule {
  /** `title/specIndex/section/ruleIndex`; title: `policyTitle`. */
  readonly id: string;
  readonly at: SourceAt;
  readonly direction: Direction;
  readonly verdict: 'allow' | 'deny' | 'pass';
  /** 0 admin, 1 normal, 2 baseline in the reference; everything written today is tier 0, priority 0. */
  readonly tier: number;
  readonly priority: number;
  readonly peers: Peers;
  readonly ports: Ports;
  /** Allow rules only: what a proxy is asked. Each such port rule is a rule of its own; they share an id. */
  readonly proxy?: ProxyRules;
  /** Allow rules only; undefined: the rule says nothing about it (policy.md §4.7). */
  readonly auth?: AuthMode;
  readonly log?: string;
}

/** One `spec` or one item of `specs`. */
export interface PolicySpec {
  readonly index: number;
  readonly subject:
    | { readonly kind: 'endpoints'; readonly selector: Selector }
    | { readonly kind: 'node'; readonly selector: Selector };
  /** Whether this spec switches the direction to default deny. */
  readonly defaultDeny: { readonly ingress: boolean; readonly egress: boolean };
  readonly rules: readonly Rule[];
  /** In audit (`merlon.io/enforcement`): judged beside what is enforced; a difference is told, nothing refused. */
  readonly staged?: true;
}

export type PolicyKind = 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy' | 'NetworkPolicy';

/** One object that a person wrote, accepted. */
export interface Policy {
  /** `kind/namespace/name`, namespace empty for cluster-wide kinds: unique per source. */
  readonly key: string;
  readonly kind: PolicyKind;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly at: SourceAt;
  /** Name of the source that brought it, for example `directory`. */
  readonly source: string;
  /** Changes when the object's meaning may have changed. */
  readonly contentHash: string;
  readonly specs: readonly PolicySpec[];
  /** What is accepted but probably not meant. */
  readonly warnings?: readonly Warning[];
}

/**
 * What people know a policy by in one line: its name, with `namespace/` before it for namespaced kinds. A
 * NetworkPolicy may have the name of a CiliumNetworkPolicy, so its kind stands before it.
 */
export function policyTitle({ kind, namespace, name }: Pick<Policy, 'kind' | 'namespace' | 'name'>): string {
  const title = namespace === undefined ? name : `${namespace}/${name}`;
  return kind === 'NetworkPolicy' ? `NetworkPolicy/${title}` : title;
}

/** `kind/namespace/name`, or `kind/name` for cluster-wide kinds: the whole name for people and programs. */
export function policyPath({ kind, namespace, name }: Pick<Policy, 'kind' | 'namespace' | 'name'>): string {
  return [kind, namespace, name].filter((part) => part !== undefined).join('/');
}
