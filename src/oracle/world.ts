/** What the oracle is told: the rows that people and the node bring, nothing compiled. */
import type { Ip } from '#kit/ip';
import type { LabelSet } from '#kit/labels';
import type { Direction, L7Request, NamedPort, NodeRow, Policy, PolicyConfig, PolicyFacts } from '#model';

/** An endpoint of this node. `labels` are those of its identity; addresses may be prefixes. */
export interface WorldEndpoint {
  readonly id: number;
  readonly addresses: readonly string[];
  readonly labels: LabelSet;
  readonly namedPorts?: readonly NamedPort[];
}

/** Everything that a verdict depends on. */
export interface World {
  readonly policies: readonly Policy[];
  readonly endpoints: readonly WorldEndpoint[];
  /** Known nodes other than this one. */
  readonly nodes: readonly NodeRow[];
  /** Addresses of this node. */
  readonly localAddresses: readonly string[];
  /** Labels of this node. */
  readonly nodeLabels: LabelSet;
  readonly config: PolicyConfig;
  readonly facts?: PolicyFacts;
  /** For some subjects, the policies in force for them instead. */
  readonly held?: ReadonlyMap<number | 'host', readonly Policy[]>;
  /** Directions of the host and endpoints of which refusals are told and pass. */
  readonly audit?: { readonly host: readonly Direction[]; readonly endpoints: readonly number[] };
}

/**
 * The other side: an address; or, where only an identity is known, its labels; or an identity that nobody
 * knows, which only rules for everyone mean.
 */
export type FlowPeer = Ip | LabelSet | 'unknown';

/** One packet, as one subject sees it. */
export interface Flow {
  readonly subject: number | 'host';
  readonly direction: Direction;
  readonly peer: FlowPeer;
  /** IANA number. */
  readonly protocol: number;
  /** Destination port or ICMP type; undefined when unknown: no such thing, or a later fragment without record. */
  readonly port: number | undefined;
  /** What the packet carries, when it is asked whether that may pass. */
  readonly request?: L7Request;
}

/** What must come of a flow, and the rules (or what switched the default) that say so, sorted. */
export interface Evaluation {
  readonly verdict: 'allow' | 'deny' | 'default-deny' | 'redirect' | 'auth';
  readonly rules: readonly string[];
  /** Whether a policy was consulted at all. */
  readonly enforced: boolean;
  /** A refusal that is told and passes. */
  readonly audited?: true;
  /** What would come of it with the staged policies too, where one of the two answers refuses or asks a proxy. */
  readonly staged?: { readonly verdict: Evaluation['verdict']; readonly rules: readonly string[] };
  /** Of `auth`. */
  readonly auth?: 'required' | 'test-always-fail';
  /** Where a proxy is asked: which one. */
  readonly parser?: string;
  /** Where a proxy is asked: whether the flow's request may pass. */
  readonly permitted?: boolean;
}
