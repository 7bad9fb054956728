/**
 * Rows of the tables in which sources, compilers and reconcilers meet. Addresses and prefixes are canonical
 * text (`#kit/ip` formats them), so that rows compare and print as they are.
 */
import type { SourceAt } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import type { Severity, Warning } from './findings.ts';
import type { Identity } from './identity.ts';
import type { Direction, NamedPort } from './policy.ts';

/** A link of the node's namespace, as netlink tells it. Key: ifindex. */
export interface LinkRow {
  readonly ifindex: number;
  readonly name: string;
  /** ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none, … */
  readonly type: number;
  readonly flags: number;
  readonly isUp: boolean;
  readonly mtu: number;
  /** Hardware address as `aa:bb:…`; empty when the link has none. */
  readonly address: string;
  /** IFLA_LINKINFO kind: `veth`, `bridge`, `bond`, `vlan`, `vrf`, `wireguard`, …; empty for physical. */
  readonly kind: string;
  /** ifindex of the bridge, bond or VRF above; 0 = none. */
  readonly master: number;
  readonly masterKind: string;
  /** IFLA_LINK: the VLAN's parent, the veth's peer; 0 = none. */
  readonly parent: number;
  readonly vlan: { readonly id: number; readonly proto: number } | undefined;
}

/** An address of the node. Key: `ifindex/address`. */
export interface AddressRow {
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly scope: number;
}

/** A route of the main and local tables. Key: all fields joined. */
export interface RouteRow {
  readonly family: 4 | 6;
  readonly prefix: string;
  readonly ifindex: number;
  readonly gateway: string;
  readonly table: number;
  readonly scope: number;
  /** RTN_*: 1 unicast, 2 local, … */
  readonly type: number;
}

/** An address that packets to this node carry (HF-1.4). Key: address. */
export interface LocalAddressRow {
  readonly address: string;
  /** The device that has it; 0 = several. */
  readonly ifindex: number;
}

/** Why a device is or is not ours to attach to (HF-1.12). Key: ifindex. */
export interface DeviceRow {
  readonly ifindex: number;
  readonly name: string;
  /** Which programs belong on it. `external` also before it is selected, so that no window opens (HF-1.15). */
  readonly kind: 'external' | 'pod' | 'none';
  readonly selected: boolean;
  /** A sentence fragment for people: `has a global address`, `name excluded (docker*)`, … */
  readonly reason: string;
  /** No Ethernet header (HF-1.14). */
  readonly isLayer3: boolean;
  /** Of the link behind it, as `LinkRow.kind`: empty for hardware. */
  readonly linkKind: string;
  readonly allowSelfSource: boolean;
  /** Endpoint id behind a pod device; 0 = none. */
  readonly endpoint: number;
  readonly vlan: { readonly parent: number; readonly id: number; readonly proto: number } | undefined;
}

/** A row of the ipcache as the datapath shall hold it. Key: prefix (host addresses with /32, /128). */
export interface IpcacheRow {
  readonly prefix: string;
  readonly identity: Identity;
  readonly isEndpoint: boolean;
  readonly isNode: boolean;
}

/** An endpoint of this node. Key: id. Id 1 upward; the host endpoint has no row here. */
export interface EndpointRow {
  readonly id: number;
  readonly name: string;
  readonly namespace: string;
  readonly ifindex: number;
  readonly device: string;
  /** Addresses and prefixes it may use, host addresses without length. */
  readonly addresses: readonly string[];
  readonly labels: LabelSet;
  readonly identity: Identity;
  readonly mac: string;
  /** Path of the network namespace, when we made the device. */
  readonly netns: string | undefined;
  readonly netnsCookie: bigint;
  /** `kept`: who it is has been lost; its programs, record and rule set stay in the kernel as they are. */
  readonly state: 'ready' | 'waiting' | 'disconnected' | 'kept';
  /** Its ports that have names. */
  readonly namedPorts?: readonly NamedPort[];
  /** `PolicyAuditMode` as set for it: what policy refuses is reported and passes. Absent: not set. */
  readonly audit?: boolean;
}

/** What the kernel holds of an endpoint. */
export interface KernelEndpoint
  extends Pick<EndpointRow, 'id' | 'identity' | 'ifindex' | 'addresses' | 'mac' | 'audit'> {}

/** A workload that a manifest describes: an endpoint to be made behind `hostDevice` (HF-11.7). Key: `key`. */
export interface WorkloadRow {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** Device on the node that leads to it. */
  readonly hostDevice: string;
  /** Addresses and prefixes it may use, canonical, host addresses without length. */
  readonly addresses: readonly string[];
  /** All its labels: those of the manifest (source k8s) and the agent's (policy.md §3.5). */
  readonly labels: LabelSet;
  readonly namedPorts?: readonly NamedPort[];
  readonly at: SourceAt;
  /** Name of the source that brought it. */
  readonly source: string;
  readonly contentHash: string;
}

/** A known node that is not this one. Key: name (with cluster before it when remote). */
export interface NodeRow {
  readonly name: string;
  readonly cluster: string;
  readonly addresses: readonly string[];
  readonly labels: LabelSet;
}

/** One failsafe entry (HF-6). Key: number. */
export interface FailsafeRow {
  readonly entry: number;
  readonly direction: 'in' | 'out';
  /** IANA number. */
  readonly protocol: number;
  /** First and last port; both 0 for protocols without ports. ICMP means echo. */
  readonly port: number;
  readonly endPort: number;
  readonly cidrs: readonly string[];
  /** Device name, empty = any. */
  readonly device: string;
  readonly why: string;
}

export interface StatusFinding extends Warning {
  readonly severity: Severity;
  readonly hint: string;
  /** Who is missing may still come: neither a condition nor a warning yet. */
  readonly settling?: true;
}

/** As Kubernetes has them; type `Valid` or one of ours (HF-10.8). */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False';
  /** Code of the finding or problem. */
  readonly reason: string;
  readonly message: string;
}

/** What a person sees of one object of theirs. */
export interface ObjectStatus {
  readonly state: 'pending' | 'applied' | 'invalid' | 'held' | 'error';
  readonly reason?: string;
  readonly at?: { readonly file?: string; readonly line?: number; readonly column?: number };
  readonly generation?: number;
  /** Generation of the manifests in which the version in force was accepted; absent: none is in force. */
  readonly acceptedGeneration?: number;
  /** How many endpoints and nodes it selects, and which. */
  readonly selects?: number;
  readonly endpoints?: readonly string[];
  readonly nodes?: readonly string[];
  /** How many of them it makes default deny. */
  readonly defaultDeny?: Readonly<Record<Direction, number>>;
  /** What may not be meant, codes of the catalogue, notes too; `warnings` are the sentences of those that are none. */
  readonly findings?: readonly StatusFinding[];
  readonly conditions?: readonly Condition[];
  readonly warnings: readonly string[];
}
