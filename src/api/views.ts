/**
 * What the local API answers: the JSON of every route under `/v1/`. Field names are stable; fields are only
 * ever added.
 */
import type { RuleRef } from '#flow';
import type { ObjectStatus } from '#model';

/** An error as every route answers it; its code's exit code stands in the catalogue of `#kit/errors`. */
export interface ErrorView {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly at?: { readonly file?: string; readonly line?: number; readonly column?: number };
}

export type DirectionState = 'disabled' | 'enforce' | 'audit';

export interface HookView {
  /** `tcx ingress`, `tcx egress`, `xdp`, `clsact ingress`, … */
  readonly hook: string;
  readonly program: string;
  readonly programId: number;
  readonly linkId?: number;
  /** First bytes of the loaded program's tag, as the kernel prints it. */
  readonly tag?: string;
}

export interface DeviceView {
  readonly name: string;
  readonly ifindex: number;
  readonly kind: string;
  readonly selected: boolean;
  readonly reason: string;
  readonly hooks: readonly HookView[];
  readonly dropped: number;
  /** It carries packets to local addresses and has no program of ours. */
  readonly unprotected: boolean;
}

/** `merlon status -o json` (host-firewall.md §13). */
export interface StatusView {
  readonly ready: boolean;
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly kernel: string;
  readonly instance: string;
  readonly hostfw: {
    readonly enabled: boolean;
    readonly mode: 'enforce' | 'audit' | 'failsafe' | 'off';
    readonly generation: number;
    readonly direction: { readonly ingress: DirectionState; readonly egress: DirectionState };
    readonly policies: number;
  };
  readonly endpoints: { readonly total: number; readonly ready: number; readonly audited: number };
  readonly policies: {
    readonly total: number;
    readonly generation: number;
    /** Policies that something is told of, beside notes. */
    readonly doubtful: number;
  };
  readonly devices: readonly DeviceView[];
  readonly sources: readonly { readonly name: string; readonly synced: boolean; readonly message: string }[];
  readonly datapath: {
    readonly attach: string;
    readonly flowTables: readonly { readonly name: string; readonly capacity: number }[];
    readonly arena: { readonly usedBytes: number; readonly sizeBytes: number };
    readonly memoryBytes: number;
    readonly features: readonly { readonly name: string; readonly present: boolean; readonly cost: string }[];
  };
  readonly timeToEnforceMs: {
    readonly last: number;
    readonly p50: number;
    readonly p99: number;
    readonly count: number;
  };
  readonly events: {
    /** Number of the last one; a start begins a new block of numbers. */
    readonly seq: number;
    /** Since the datapath was set up, like the two below. */
    readonly sent: number;
    readonly lost: number;
    readonly suppressed: number;
  };
  readonly degraded: readonly {
    readonly code: string;
    readonly message: string;
    readonly file?: string;
    readonly line?: number;
  }[];
  readonly notEnforced: readonly { readonly what: string; readonly why: string }[];
}

export interface EndpointView {
  readonly id: number;
  readonly name: string;
  readonly namespace: string;
  readonly identity: number;
  readonly labels: readonly string[];
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  readonly device: string;
  readonly ifindex: number;
  readonly netns?: string;
  readonly state: string;
  readonly policy: { readonly ingress: DirectionState; readonly egress: DirectionState };
  readonly options: { readonly PolicyAuditMode: 'Enabled' | 'Disabled' };
  readonly generation: number;
  readonly ruleSet: string;
  /** The policies that select it. */
  readonly policies: readonly string[];
}

/** `merlon hostfw mode`. */
export interface HostfwModeView {
  readonly mode: StatusView['hostfw']['mode'];
  /** Who said so: a file with line, a verb, or `default`. */
  readonly origin: string;
  /** Of everything that says nothing else of itself. */
  readonly policyAuditMode: boolean;
  readonly direction: { readonly ingress: DirectionState; readonly egress: DirectionState };
}

export interface EndpointRequest {
  readonly name: string;
  readonly namespace?: string;
  readonly netns: string;
  /** `key=value` or `source:key=value`. */
  readonly labels: readonly string[];
  readonly ips: readonly string[];
}

export interface IdentityView {
  readonly id: number;
  readonly labels: readonly string[];
  /** Prefixes that lead to it. */
  readonly prefixes: readonly string[];
}

export interface IpView {
  readonly prefix: string;
  readonly identity: number;
  readonly labels: readonly string[];
  /** `endpoint`, `node`, `local`: an address of this node; `policy`; `kernel`: only the kernel has it, and should not. */
  readonly source: string;
  /** Whether the kernel's map says the same; absent where there is nothing to hold. */
  readonly inKernel?: boolean;
  /** What the kernel's map says; absent when it has no such entry. */
  readonly kernelIdentity?: number;
}

export interface PolicyView {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly source: string;
  readonly file?: string;
  readonly line?: number;
  readonly rules: number;
  readonly status: ObjectStatus;
}

export interface PolicyStatusView {
  readonly generation: number;
  readonly mode: string;
  readonly direction: { readonly ingress: DirectionState; readonly egress: DirectionState };
  readonly policies: readonly PolicyView[];
}

/** One line of `merlon policy history`: the newest first. */
export interface GenerationView {
  /** First number under which these documents were enforced; they hold up to the next. */
  readonly generation: number;
  /** RFC 3339. */
  readonly enforcedAt: string;
  readonly active: boolean;
  readonly policies: number;
  /** Names of policies, against the one before; absent for the oldest that is kept. */
  readonly changes?: {
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
  };
}

export interface ManifestView {
  readonly file: string;
  readonly hash: string;
  readonly objects: readonly string[];
  readonly state: string;
  readonly errors: readonly (ErrorView & { readonly text: string })[];
}

export interface ManifestsView {
  /** `applied`, `pending`, `invalid`, `held`. */
  readonly state: string;
  readonly hash: string;
  readonly message: string;
  readonly files: readonly ManifestView[];
  /** Of the set as a whole and of all files, in their order. */
  readonly errors: ManifestView['errors'];
}

/** One line of `merlon events -o json` (host-firewall.md §13), and one end of its packet. */
export type { EndDescription as EndView, EventDescription as EventView } from '#flow';

/** Tells a reader of events that some are gone. */
export interface LostView {
  readonly lost: { readonly before?: number; readonly events?: number; readonly why: string };
}

/** One line of `merlon ct list -o json` (host-firewall.md §13). */
export interface FlowView {
  readonly family: 4 | 6;
  readonly protocol: string;
  readonly direction: 'in' | 'out';
  readonly initiator: { readonly ip: string; readonly port?: number; readonly identity: number };
  readonly responder: { readonly ip: string; readonly port?: number; readonly identity: number };
  readonly state: 'new' | 'unproven' | 'established' | 'closing';
  readonly flags: readonly string[];
  readonly created: string;
  readonly lastSeen: string;
  readonly expires: string;
  readonly packets: { readonly forward: number; readonly reply: number };
  readonly bytes: { readonly forward: number; readonly reply: number };
  readonly verdicts: Readonly<
    Partial<
      Record<
        'ingress' | 'egress',
        {
          readonly verdict: string;
          readonly rules: readonly RuleRef[];
          readonly generation: number;
          /** Rules of staged policies that would refuse it. */
          readonly staged?: readonly RuleRef[];
        }
      >
    >
  >;
  readonly flow: string;
}

export interface CountersView {
  readonly rules: readonly {
    readonly id: string;
    readonly file?: string;
    readonly line?: number;
    readonly packets: number;
    readonly bytes: number;
    readonly flows: number;
    readonly lastHit?: string;
    readonly shared: boolean;
  }[];
  readonly drops: readonly {
    readonly reason: string;
    readonly device: string;
    readonly packets: number;
    readonly bytes: number;
  }[];
  /** What audit let pass, by the reason that it would have been dropped for. */
  readonly audited: CountersView['drops'];
  readonly paths: Readonly<Record<string, number>>;
}

export interface FailsafeView {
  readonly entry: number;
  readonly direction: 'in' | 'out';
  readonly protocol: string;
  readonly port: string;
  readonly cidrs: readonly string[];
  readonly device: string;
  readonly why: string;
}

/** One row of `merlon bpf policy get` (policy.md §16; columns as Cilium users know them). */
export interface PolicyMapView {
  /** `Audit`: refused, reported, let pass. */
  readonly policy: 'Allow' | 'Deny' | 'Audit';
  readonly direction: 'Ingress' | 'Egress';
  readonly identity: number;
  readonly labels: readonly string[];
  readonly portProto: string;
  readonly proxyPort: string;
  readonly rules: readonly RuleRef[];
  /** Set when the kernel's cell is not what was compiled. */
  readonly differs?: string;
}

export interface ConfigEntryView {
  readonly key: string;
  readonly value: unknown;
  readonly origin: string;
}

export interface MetricView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ReloadView {
  /** Configuration keys. */
  readonly changed: readonly string[];
  readonly needsRestart: readonly string[];
  /** Policies in force now, and the generation that the node enforces. */
  readonly policies: number;
  readonly generation: number;
}
