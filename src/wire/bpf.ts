/*
 * Generated from the BTF of bpf/types.h, bpf/maps.h and bpf/config.h by `npm run gen`; not to be edited.
 * Fields declared in network order are numbers like all others: the readers and writers convert.
 */

const LE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

function bytes(view: DataView, at: number, length: number): Uint8Array {
  // Filled by hand: half the price of a view and its slice (native.bench.ts).
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i += 1) out[i] = view.getUint8(at + i);
  return out;
}

function putBytes(view: DataView, at: number, length: number, value: Uint8Array): void {
  if (value.length !== length) throw new RangeError(`${value.length} bytes where ${length} belong`);
  new Uint8Array(view.buffer, view.byteOffset + at, length).set(value);
}

function zero(view: DataView, at: number, length: number): void {
  new Uint8Array(view.buffer, view.byteOffset + at, length).fill(0);
}

/* Constants of bpf/types.h. */
export const MERLON_SCHEMA = 1;
export const CLASS_UNKNOWN = 0;
export const IDENTITY_PAGE_BITS = 12;
export const IDENTITY_PAGES_TOP = 1048576;
export const EPOCH_BUCKETS = 4096;
export const EPOCH_MULTIPLIER0 = 2246822507;
export const EPOCH_MULTIPLIER1 = 3266489909;
export const EPOCH_MULTIPLIER2 = 668265263;
export const EPOCH_MULTIPLIER3 = 2654435761;
export const EPOCH_SHIFT = 20;
export const HOST_SLOTS = 4;
export const RULESET_HOST = 0;
export const FLOW_CELLS = 3;
export const PORT_CLASS_TCP = 0;
export const PORT_CLASS_UDP = 65536;
export const PORT_CLASS_SCTP = 131072;
export const PORT_CLASS_ICMP = 196608;
export const PORT_CLASS_ICMP6 = 196864;
export const PORT_CLASS_PROTO = 197120;
export const PORT_CLASS_ENTRIES = 197376;
export const ORIGIN_NO_IPV4 = 4294967294;
export const ORIGIN_NO_IPV6 = 4294967295;
export const CELL_MATCH_MASK = 7;
export const CELL_LOG = 8;
export const CELL_KEEP = 16;
export const CELL_AUDIT = 32;
export const CELL_TIER_SHIFT = 6;
export const RSDIR_ENFORCED = 1;
export const RSDIR_AUDIT = 2;
export const RSDIR_STAGED = 4;
export const RSDIR_BLOCKS = 8;
export const BLOCK_COLUMNS = 16;
export const CONTROL_ACTIVE_SHIFT = 0;
export const CONTROL_FALLBACK_SHIFT = 8;
export const CONTROL_STATE_SHIFT = 16;
export const CONTROL_MODE_SHIFT = 24;
export const CONTROL_TXN_SHIFT = 32;
export const FLOW_TABLES = 8;
export const IPCACHE_ENDPOINT = 1;
export const IPCACHE_NODE = 2;
export const LOCAL_NONE = 0;
export const LOCAL_SEVERAL = 1;
export const DEVICE_ALLOW_SELF_SOURCE = 1;
export const DEVICE_XDP = 2;
export const DEVICE_SLOTS = 256;
export const ENDPOINT_AUDIT = 1;
export const ENDPOINT_PREFIXES = 2;
export const ENDPOINT_READY = 4;
export const FAILSAFE_PORT_TCP = 0;
export const FAILSAFE_PORT_UDP = 65536;
export const FAILSAFE_PORT_PROTO = 131072;
export const FAILSAFE_PORTS = 131328;
export const STAGES = 4;
export const FLOW_DEAD = 4294967295;
export const FLOW_INITIATOR = 1;
export const FLOW_SEEN_REPLY = 2;
export const FLOW_PROVEN = 4;
export const FLOW_SYN_INIT = 8;
export const FLOW_SYN_RESP = 16;
export const FLOW_FIN_INIT = 32;
export const FLOW_FIN_RESP = 64;
export const FLOW_RST = 128;
export const FLOW_FAILSAFE = 512;
export const FLOW_SEEDED = 1024;
export const FLOW_REVOKED = 2048;
export const FLOW_ENCRYPT = 4096;
export const FLOW_PROXY_LEG = 8192;
export const FLOW_INBOUND = 16384;
export const FLOW_HOST = 32768;
export const FLOW_CLOSING = 128;
export const UNPROVEN_WAYS = 8;
export const DROP_REPORTS_SHIFT = 23;
export const DROP_REPORTS = 512;
export const EVENT_VERSION = 1;
export const EVENT_SIZE4 = 64;
export const EVENT_SIZE6 = 96;
export const EVENT_F_INGRESS = 1;
export const EVENT_F_IPV6 = 2;
export const EVENT_F_AUDIT = 4;
export const EVENT_F_REPLY = 8;
export const EVENT_F_XDP = 16;
export const EVENT_F_TRACE_SHIFT = 5;

/** `enum direction`; the names there begin with `DIR_`. */
export const DIRECTION = {
  EGRESS: 0,
  INGRESS: 1,
  TRANSIT: 2,
} as const;
export type Direction = (typeof DIRECTION)[keyof typeof DIRECTION];
/** Names of `enum direction` by number. */
export const DIRECTION_NAMES: Readonly<Record<number, keyof typeof DIRECTION>> = {
  0: 'EGRESS',
  1: 'INGRESS',
  2: 'TRANSIT',
};

/** `enum verdict`; the names there begin with `VERDICT_`. */
export const VERDICT = {
  NONE: 0,
  ALLOW: 1,
  DENY: 2,
  DEFAULT_DENY: 3,
  REDIRECT: 4,
  AUTH: 5,
} as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];
/** Names of `enum verdict` by number. */
export const VERDICT_NAMES: Readonly<Record<number, keyof typeof VERDICT>> = {
  0: 'NONE',
  1: 'ALLOW',
  2: 'DENY',
  3: 'DEFAULT_DENY',
  4: 'REDIRECT',
  5: 'AUTH',
};

/** `enum policy_match`; the names there begin with `MATCH_`. */
export const POLICY_MATCH = {
  NONE: 0,
  L3_ONLY: 1,
  L3_L4: 2,
  L4_ONLY: 3,
  ALL: 4,
  L3_PROTO: 5,
  PROTO_ONLY: 6,
} as const;
export type PolicyMatch = (typeof POLICY_MATCH)[keyof typeof POLICY_MATCH];
/** Names of `enum policy_match` by number. */
export const POLICY_MATCH_NAMES: Readonly<Record<number, keyof typeof POLICY_MATCH>> = {
  0: 'NONE',
  1: 'L3_ONLY',
  2: 'L3_L4',
  3: 'L4_ONLY',
  4: 'ALL',
  5: 'L3_PROTO',
  6: 'PROTO_ONLY',
};

/** `enum drop_reason`; the names there begin with `DROP_`. */
export const DROP_REASON = {
  NONE: 0,
  INVALID_SOURCE_IP: 132,
  POLICY_DENIED: 133,
  INVALID: 134,
  FRAG_NEEDED: 136,
  UNKNOWN_L4: 137,
  MISSED_TAIL_CALL: 140,
  UNKNOWN_TARGET: 150,
  CT_FULL: 155,
  INVALID_EXTHDR: 156,
  NO_BACKEND: 158,
  NO_TUNNEL_ENDPOINT: 160,
  UNSUPPORTED_L2: 166,
  NAT_NO_MAPPING: 167,
  NO_FIB: 169,
  ENCAP_PROHIBITED: 170,
  INVALID_IDENTITY: 171,
  FRAG_NOT_FOUND: 175,
  FORBIDDEN_ICMP6: 176,
  SRC_RANGE: 177,
  PROXY_LOOKUP_FAILED: 178,
  PROXY_ASSIGN_FAILED: 179,
  PROXY_UNSUPPORTED: 180,
  POLICY_DENY: 181,
  AUTH_REQUIRED: 189,
  DSR_UNSUPPORTED: 193,
  UNENCRYPTED: 195,
  TTL_EXCEEDED: 196,
  RATE_LIMITED: 198,
  HOST_NOT_READY: 202,
  ENDPOINT_NOT_READY: 203,
  FLOW_REVOKED: 224,
  SPOOFED_LOCAL_SOURCE: 225,
  INVALID_NDP: 226,
  IP_OPTION: 227,
  INVALID_FRAG: 228,
  INVALID_TCP_FLAGS: 229,
  DENY_LIST: 230,
  MARTIAN: 231,
  LAND: 232,
  SYN_GUARD: 233,
  CONN_LIMIT: 234,
  L7_PROXY_UNAVAILABLE: 235,
  INTERNAL: 236,
} as const;
export type DropReason = (typeof DROP_REASON)[keyof typeof DROP_REASON];
/** Names of `enum drop_reason` by number. */
export const DROP_REASON_NAMES: Readonly<Record<number, keyof typeof DROP_REASON>> = {
  0: 'NONE',
  132: 'INVALID_SOURCE_IP',
  133: 'POLICY_DENIED',
  134: 'INVALID',
  136: 'FRAG_NEEDED',
  137: 'UNKNOWN_L4',
  140: 'MISSED_TAIL_CALL',
  150: 'UNKNOWN_TARGET',
  155: 'CT_FULL',
  156: 'INVALID_EXTHDR',
  158: 'NO_BACKEND',
  160: 'NO_TUNNEL_ENDPOINT',
  166: 'UNSUPPORTED_L2',
  167: 'NAT_NO_MAPPING',
  169: 'NO_FIB',
  170: 'ENCAP_PROHIBITED',
  171: 'INVALID_IDENTITY',
  175: 'FRAG_NOT_FOUND',
  176: 'FORBIDDEN_ICMP6',
  177: 'SRC_RANGE',
  178: 'PROXY_LOOKUP_FAILED',
  179: 'PROXY_ASSIGN_FAILED',
  180: 'PROXY_UNSUPPORTED',
  181: 'POLICY_DENY',
  189: 'AUTH_REQUIRED',
  193: 'DSR_UNSUPPORTED',
  195: 'UNENCRYPTED',
  196: 'TTL_EXCEEDED',
  198: 'RATE_LIMITED',
  202: 'HOST_NOT_READY',
  203: 'ENDPOINT_NOT_READY',
  224: 'FLOW_REVOKED',
  225: 'SPOOFED_LOCAL_SOURCE',
  226: 'INVALID_NDP',
  227: 'IP_OPTION',
  228: 'INVALID_FRAG',
  229: 'INVALID_TCP_FLAGS',
  230: 'DENY_LIST',
  231: 'MARTIAN',
  232: 'LAND',
  233: 'SYN_GUARD',
  234: 'CONN_LIMIT',
  235: 'L7_PROXY_UNAVAILABLE',
  236: 'INTERNAL',
};

/** `enum control_state`; the names there begin with `CONTROL_`. */
export const CONTROL_STATE = {
  EMPTY: 0,
  CONFIRMED: 1,
  UNCONFIRMED: 2,
} as const;
export type ControlState = (typeof CONTROL_STATE)[keyof typeof CONTROL_STATE];
/** Names of `enum control_state` by number. */
export const CONTROL_STATE_NAMES: Readonly<Record<number, keyof typeof CONTROL_STATE>> = {
  0: 'EMPTY',
  1: 'CONFIRMED',
  2: 'UNCONFIRMED',
};

/** `enum control_mode`; the names there begin with `MODE_`. */
export const CONTROL_MODE = {
  ENFORCE: 0,
  AUDIT: 1,
  FAILSAFE: 2,
  OFF: 3,
} as const;
export type ControlMode = (typeof CONTROL_MODE)[keyof typeof CONTROL_MODE];
/** Names of `enum control_mode` by number. */
export const CONTROL_MODE_NAMES: Readonly<Record<number, keyof typeof CONTROL_MODE>> = {
  0: 'ENFORCE',
  1: 'AUDIT',
  2: 'FAILSAFE',
  3: 'OFF',
};

/** `enum flow_table`; the names there begin with `FLOW_TABLE_`. */
export const FLOW_TABLE = {
  TCP4: 0,
  TCP6: 1,
  ANY4: 2,
  ANY6: 3,
  UNPROVEN4: 4,
  UNPROVEN6: 5,
  OVERFLOW4: 6,
  OVERFLOW6: 7,
} as const;
export type FlowTable = (typeof FLOW_TABLE)[keyof typeof FLOW_TABLE];
/** Names of `enum flow_table` by number. */
export const FLOW_TABLE_NAMES: Readonly<Record<number, keyof typeof FLOW_TABLE>> = {
  0: 'TCP4',
  1: 'TCP6',
  2: 'ANY4',
  3: 'ANY6',
  4: 'UNPROVEN4',
  5: 'UNPROVEN6',
  6: 'OVERFLOW4',
  7: 'OVERFLOW6',
};

/** `enum flow_pressure`; the names there begin with `PRESSURE_`. */
export const FLOW_PRESSURE = {
  NONE: 0,
  HIGH: 1,
  SEVERE: 2,
} as const;
export type FlowPressure = (typeof FLOW_PRESSURE)[keyof typeof FLOW_PRESSURE];
/** Names of `enum flow_pressure` by number. */
export const FLOW_PRESSURE_NAMES: Readonly<Record<number, keyof typeof FLOW_PRESSURE>> = {
  0: 'NONE',
  1: 'HIGH',
  2: 'SEVERE',
};

/** `enum table_use`; the names there begin with `TABLE_`. */
export const TABLE_USE = {
  EMPTY: 0,
  USED: 1,
  CHECKING: 2,
} as const;
export type TableUse = (typeof TABLE_USE)[keyof typeof TABLE_USE];
/** Names of `enum table_use` by number. */
export const TABLE_USE_NAMES: Readonly<Record<number, keyof typeof TABLE_USE>> = {
  0: 'EMPTY',
  1: 'USED',
  2: 'CHECKING',
};

/** `enum device_kind`; the names there begin with `DEVICE_`. */
export const DEVICE_KIND = {
  NONE: 0,
  EXTERNAL: 1,
  POD: 2,
} as const;
export type DeviceKind = (typeof DEVICE_KIND)[keyof typeof DEVICE_KIND];
/** Names of `enum device_kind` by number. */
export const DEVICE_KIND_NAMES: Readonly<Record<number, keyof typeof DEVICE_KIND>> = {
  0: 'NONE',
  1: 'EXTERNAL',
  2: 'POD',
};

/** `enum stage`; the names there begin with `STAGE_`. */
export const STAGE = {
  PARSE: 0,
  RELATE: 1,
  DECIDE: 2,
  REPORT: 3,
} as const;
export type Stage = (typeof STAGE)[keyof typeof STAGE];
/** Names of `enum stage` by number. */
export const STAGE_NAMES: Readonly<Record<number, keyof typeof STAGE>> = {
  0: 'PARSE',
  1: 'RELATE',
  2: 'DECIDE',
  3: 'REPORT',
};

/** `enum flow_kind`; the names there begin with `FLOW_`. */
export const FLOW_KIND = {
  PLAIN: 0,
  TRANSLATED: 1,
  PROXY_CLIENT: 2,
  PROXY_UPSTREAM: 3,
} as const;
export type FlowKind = (typeof FLOW_KIND)[keyof typeof FLOW_KIND];
/** Names of `enum flow_kind` by number. */
export const FLOW_KIND_NAMES: Readonly<Record<number, keyof typeof FLOW_KIND>> = {
  0: 'PLAIN',
  1: 'TRANSLATED',
  2: 'PROXY_CLIENT',
  3: 'PROXY_UPSTREAM',
};

/** `enum stat`; the names there begin with `STAT_`. */
export const STAT = {
  EVENT_LOST: 0,
  EVENT_SUPPRESSED: 1,
  EVENT_SENT: 2,
  FLOW_NEW: 3,
  CT_INSERT_FAILED: 4,
  LOCAL_BY_FIB: 5,
  FRAG_OUT_OF_ORDER: 6,
  FLOW_PROVEN: 7,
  FLOW_SEEDED: 8,
  JUDGED: 9,
  PASS_NON_IP: 10,
  PASS_FORWARDED: 11,
  PASS_BUILTIN: 12,
  PASS_FAILSAFE: 13,
  PASS_RELATED: 14,
  PASS_ESTABLISHED: 15,
  PASS_REPLY: 16,
  PASS_UNENFORCED: 17,
  MARK_IGNORED: 18,
  GC_DELETED: 19,
  SYN_PRE_DENY: 20,
  PASS_NEW: 21,
  MAX: 32,
} as const;
export type Stat = (typeof STAT)[keyof typeof STAT];
/** Names of `enum stat` by number. */
export const STAT_NAMES: Readonly<Record<number, keyof typeof STAT>> = {
  0: 'EVENT_LOST',
  1: 'EVENT_SUPPRESSED',
  2: 'EVENT_SENT',
  3: 'FLOW_NEW',
  4: 'CT_INSERT_FAILED',
  5: 'LOCAL_BY_FIB',
  6: 'FRAG_OUT_OF_ORDER',
  7: 'FLOW_PROVEN',
  8: 'FLOW_SEEDED',
  9: 'JUDGED',
  10: 'PASS_NON_IP',
  11: 'PASS_FORWARDED',
  12: 'PASS_BUILTIN',
  13: 'PASS_FAILSAFE',
  14: 'PASS_RELATED',
  15: 'PASS_ESTABLISHED',
  16: 'PASS_REPLY',
  17: 'PASS_UNENFORCED',
  18: 'MARK_IGNORED',
  19: 'GC_DELETED',
  20: 'SYN_PRE_DENY',
  21: 'PASS_NEW',
  32: 'MAX',
};

/** `enum event_type`; the names there begin with `EVENT_`. */
export const EVENT_TYPE = {
  VERDICT: 1,
  DROP: 2,
  FAILSAFE: 3,
  TRACE: 4,
} as const;
export type EventType = (typeof EVENT_TYPE)[keyof typeof EVENT_TYPE];
/** Names of `enum event_type` by number. */
export const EVENT_TYPE_NAMES: Readonly<Record<number, keyof typeof EVENT_TYPE>> = {
  1: 'VERDICT',
  2: 'DROP',
  3: 'FAILSAFE',
  4: 'TRACE',
};

/** Bytes of `struct policy_cell`. */
export const POLICY_CELL_SIZE = 8;
/** Offsets in `struct policy_cell`. */
export const POLICY_CELL = {
  origin: 0,
  rs_port: 4,
  verdict: 6,
  flags: 7,
} as const;

/** `struct policy_cell`. */
export interface PolicyCell {
  readonly origin: number;
  readonly rs_port: number;
  readonly verdict: number;
  readonly flags: number;
}

/** Reads `struct policy_cell` at byte `at` of the view. */
export function readPolicyCell(view: DataView, at = 0): PolicyCell {
  return {
    origin: view.getUint32(at, LE),
    rs_port: view.getUint16(at + 4, LE),
    verdict: view.getUint8(at + 6),
    flags: view.getUint8(at + 7),
  };
}

/** Writes `struct policy_cell` at byte `at` of the view; padding becomes zero. */
export function writePolicyCell(view: DataView, at: number, value: PolicyCell): void {
  view.setUint32(at, value.origin, LE);
  view.setUint16(at + 4, value.rs_port, LE);
  view.setUint8(at + 6, value.verdict);
  view.setUint8(at + 7, value.flags);
}

/** Bytes of `struct ruleset_dir`. */
export const RULESET_DIR_SIZE = 16;
/** Offsets in `struct ruleset_dir`. */
export const RULESET_DIR = {
  rows: 0,
  columns: 4,
  cells: 8,
  n_columns: 12,
  flags: 14,
} as const;

/** `struct ruleset_dir`. */
export interface RulesetDir {
  readonly rows: number;
  readonly columns: number;
  readonly cells: number;
  readonly n_columns: number;
  readonly flags: number;
}

/** Reads `struct ruleset_dir` at byte `at` of the view. */
export function readRulesetDir(view: DataView, at = 0): RulesetDir {
  return {
    rows: view.getUint32(at, LE),
    columns: view.getUint32(at + 4, LE),
    cells: view.getUint32(at + 8, LE),
    n_columns: view.getUint16(at + 12, LE),
    flags: view.getUint8(at + 14),
  };
}

/** Writes `struct ruleset_dir` at byte `at` of the view; padding becomes zero. */
export function writeRulesetDir(view: DataView, at: number, value: RulesetDir): void {
  zero(view, at + 15, 1);
  view.setUint32(at, value.rows, LE);
  view.setUint32(at + 4, value.columns, LE);
  view.setUint32(at + 8, value.cells, LE);
  view.setUint16(at + 12, value.n_columns, LE);
  view.setUint8(at + 14, value.flags);
}

/** Bytes of `struct ruleset_slot`. */
export const RULESET_SLOT_SIZE = 40;
/** Offsets in `struct ruleset_slot`. */
export const RULESET_SLOT = {
  generation: 0,
  n_classes: 4,
  n_port_classes: 6,
  dir: 8,
} as const;

/** `struct ruleset_slot`. */
export interface RulesetSlot {
  readonly generation: number;
  readonly n_classes: number;
  readonly n_port_classes: number;
  readonly dir: readonly [RulesetDir, RulesetDir];
}

/** Reads `struct ruleset_slot` at byte `at` of the view. */
export function readRulesetSlot(view: DataView, at = 0): RulesetSlot {
  return {
    generation: view.getUint32(at, LE),
    n_classes: view.getUint16(at + 4, LE),
    n_port_classes: view.getUint16(at + 6, LE),
    dir: [readRulesetDir(view, at + 8), readRulesetDir(view, at + 24)],
  };
}

/** Writes `struct ruleset_slot` at byte `at` of the view; padding becomes zero. */
export function writeRulesetSlot(view: DataView, at: number, value: RulesetSlot): void {
  view.setUint32(at, value.generation, LE);
  view.setUint16(at + 4, value.n_classes, LE);
  view.setUint16(at + 6, value.n_port_classes, LE);
  writeRulesetDir(view, at + 8, value.dir[0]);
  writeRulesetDir(view, at + 24, value.dir[1]);
}

/** Bytes of `struct ruleset`. */
export const RULESET_SIZE = 192;
/** Offsets in `struct ruleset`. */
export const RULESET = {
  control: 0,
  slot: 8,
} as const;

/** `struct ruleset`. */
export interface Ruleset {
  readonly control: bigint;
  readonly slot: readonly [RulesetSlot, RulesetSlot, RulesetSlot, RulesetSlot];
}

/** Reads `struct ruleset` at byte `at` of the view. */
export function readRuleset(view: DataView, at = 0): Ruleset {
  return {
    control: view.getBigUint64(at, LE),
    slot: [readRulesetSlot(view, at + 8), readRulesetSlot(view, at + 48), readRulesetSlot(view, at + 88), readRulesetSlot(view, at + 128)],
  };
}

/** Writes `struct ruleset` at byte `at` of the view; padding becomes zero. */
export function writeRuleset(view: DataView, at: number, value: Ruleset): void {
  zero(view, at + 168, 24);
  view.setBigUint64(at, value.control, LE);
  writeRulesetSlot(view, at + 8, value.slot[0]);
  writeRulesetSlot(view, at + 48, value.slot[1]);
  writeRulesetSlot(view, at + 88, value.slot[2]);
  writeRulesetSlot(view, at + 128, value.slot[3]);
}

/** Bytes of `struct hostfw_control`. */
export const HOSTFW_CONTROL_SIZE = 32;
/** Offsets in `struct hostfw_control`. */
export const HOSTFW_CONTROL = {
  control: 0,
  deadline_boot_ns: 8,
  mode_until_boot_ns: 16,
} as const;

/** `struct hostfw_control`. */
export interface HostfwControl {
  readonly control: bigint;
  readonly deadline_boot_ns: bigint;
  readonly mode_until_boot_ns: bigint;
}

/** Reads `struct hostfw_control` at byte `at` of the view. */
export function readHostfwControl(view: DataView, at = 0): HostfwControl {
  return {
    control: view.getBigUint64(at, LE),
    deadline_boot_ns: view.getBigUint64(at + 8, LE),
    mode_until_boot_ns: view.getBigUint64(at + 16, LE),
  };
}

/** Writes `struct hostfw_control` at byte `at` of the view; padding becomes zero. */
export function writeHostfwControl(view: DataView, at: number, value: HostfwControl): void {
  zero(view, at + 24, 8);
  view.setBigUint64(at, value.control, LE);
  view.setBigUint64(at + 8, value.deadline_boot_ns, LE);
  view.setBigUint64(at + 16, value.mode_until_boot_ns, LE);
}

/** Bytes of `struct live_state`. */
export const LIVE_STATE_SIZE = 16416;
/** Offsets in `struct live_state`. */
export const LIVE_STATE = {
  clock: 0,
  epoch_wide: 4,
  interest: 8,
  overflow_used: 12,
  pressure: 20,
  epoch: 32,
} as const;

/** `struct live_state`. */
export interface LiveState {
  readonly clock: number;
  readonly epoch_wide: number;
  readonly interest: number;
  readonly overflow_used: readonly [number, number];
  readonly pressure: Uint8Array;
  readonly epoch: Uint32Array;
}

/** Reads `struct live_state` at byte `at` of the view. */
export function readLiveState(view: DataView, at = 0): LiveState {
  return {
    clock: view.getUint32(at, LE),
    epoch_wide: view.getUint32(at + 4, LE),
    interest: view.getUint32(at + 8, LE),
    overflow_used: [view.getUint32(at + 12, LE), view.getUint32(at + 16, LE)],
    pressure: bytes(view, at + 20, 8),
    epoch: Uint32Array.from({ length: 4096 }, (_, i) => view.getUint32(at + 32 + 4 * i, LE)),
  };
}

/** Writes `struct live_state` at byte `at` of the view; padding becomes zero. */
export function writeLiveState(view: DataView, at: number, value: LiveState): void {
  zero(view, at + 28, 4);
  view.setUint32(at, value.clock, LE);
  view.setUint32(at + 4, value.epoch_wide, LE);
  view.setUint32(at + 8, value.interest, LE);
  view.setUint32(at + 12, value.overflow_used[0], LE);
  view.setUint32(at + 16, value.overflow_used[1], LE);
  putBytes(view, at + 20, 8, value.pressure);
  for (let i = 0; i < 4096; i += 1) view.setUint32(at + 32 + 4 * i, value.epoch[i]!, LE);
}

/** Bytes of `struct addr4_key`. */
export const ADDR4_KEY_SIZE = 4;
/** Offsets in `struct addr4_key`. */
export const ADDR4_KEY = {
  addr: 0,
} as const;

/** `struct addr4_key`. */
export interface Addr4Key {
  readonly addr: number;
}

/** Reads `struct addr4_key` at byte `at` of the view. */
export function readAddr4Key(view: DataView, at = 0): Addr4Key {
  return {
    addr: view.getUint32(at, false),
  };
}

/** Writes `struct addr4_key` at byte `at` of the view; padding becomes zero. */
export function writeAddr4Key(view: DataView, at: number, value: Addr4Key): void {
  view.setUint32(at, value.addr, false);
}

/** Bytes of `struct addr6_key`. */
export const ADDR6_KEY_SIZE = 16;
/** Offsets in `struct addr6_key`. */
export const ADDR6_KEY = {
  addr: 0,
} as const;

/** `struct addr6_key`. */
export interface Addr6Key {
  readonly addr: Uint8Array;
}

/** Reads `struct addr6_key` at byte `at` of the view. */
export function readAddr6Key(view: DataView, at = 0): Addr6Key {
  return {
    addr: bytes(view, at, 16),
  };
}

/** Writes `struct addr6_key` at byte `at` of the view; padding becomes zero. */
export function writeAddr6Key(view: DataView, at: number, value: Addr6Key): void {
  putBytes(view, at, 16, value.addr);
}

/** Bytes of `struct lpm4_key`. */
export const LPM4_KEY_SIZE = 8;
/** Offsets in `struct lpm4_key`. */
export const LPM4_KEY = {
  prefixlen: 0,
  addr: 4,
} as const;

/** `struct lpm4_key`. */
export interface Lpm4Key {
  readonly prefixlen: number;
  readonly addr: number;
}

/** Reads `struct lpm4_key` at byte `at` of the view. */
export function readLpm4Key(view: DataView, at = 0): Lpm4Key {
  return {
    prefixlen: view.getUint32(at, LE),
    addr: view.getUint32(at + 4, false),
  };
}

/** Writes `struct lpm4_key` at byte `at` of the view; padding becomes zero. */
export function writeLpm4Key(view: DataView, at: number, value: Lpm4Key): void {
  view.setUint32(at, value.prefixlen, LE);
  view.setUint32(at + 4, value.addr, false);
}

/** Bytes of `struct lpm6_key`. */
export const LPM6_KEY_SIZE = 20;
/** Offsets in `struct lpm6_key`. */
export const LPM6_KEY = {
  prefixlen: 0,
  addr: 4,
} as const;

/** `struct lpm6_key`. */
export interface Lpm6Key {
  readonly prefixlen: number;
  readonly addr: Uint8Array;
}

/** Reads `struct lpm6_key` at byte `at` of the view. */
export function readLpm6Key(view: DataView, at = 0): Lpm6Key {
  return {
    prefixlen: view.getUint32(at, LE),
    addr: bytes(view, at + 4, 16),
  };
}

/** Writes `struct lpm6_key` at byte `at` of the view; padding becomes zero. */
export function writeLpm6Key(view: DataView, at: number, value: Lpm6Key): void {
  view.setUint32(at, value.prefixlen, LE);
  putBytes(view, at + 4, 16, value.addr);
}

/** Bytes of `struct ipcache_entry`. */
export const IPCACHE_ENTRY_SIZE = 32;
/** Offsets in `struct ipcache_entry`. */
export const IPCACHE_ENTRY = {
  identity: 0,
  flags: 4,
  tunnel_endpoint: 8,
  encrypt_key: 24,
  node: 28,
} as const;

/** `struct ipcache_entry`. */
export interface IpcacheEntry {
  readonly identity: number;
  readonly flags: number;
  readonly tunnel_endpoint: Uint8Array;
  readonly encrypt_key: number;
  readonly node: number;
}

/** Reads `struct ipcache_entry` at byte `at` of the view. */
export function readIpcacheEntry(view: DataView, at = 0): IpcacheEntry {
  return {
    identity: view.getUint32(at, LE),
    flags: view.getUint32(at + 4, LE),
    tunnel_endpoint: bytes(view, at + 8, 16),
    encrypt_key: view.getUint8(at + 24),
    node: view.getUint32(at + 28, LE),
  };
}

/** Writes `struct ipcache_entry` at byte `at` of the view; padding becomes zero. */
export function writeIpcacheEntry(view: DataView, at: number, value: IpcacheEntry): void {
  zero(view, at + 25, 3);
  view.setUint32(at, value.identity, LE);
  view.setUint32(at + 4, value.flags, LE);
  putBytes(view, at + 8, 16, value.tunnel_endpoint);
  view.setUint8(at + 24, value.encrypt_key);
  view.setUint32(at + 28, value.node, LE);
}

/** Bytes of `struct local_addr`. */
export const LOCAL_ADDR_SIZE = 8;
/** Offsets in `struct local_addr`. */
export const LOCAL_ADDR = {
  flags: 0,
  ifindex: 4,
} as const;

/** `struct local_addr`. */
export interface LocalAddr {
  readonly flags: number;
  readonly ifindex: number;
}

/** Reads `struct local_addr` at byte `at` of the view. */
export function readLocalAddr(view: DataView, at = 0): LocalAddr {
  return {
    flags: view.getUint32(at, LE),
    ifindex: view.getUint32(at + 4, LE),
  };
}

/** Writes `struct local_addr` at byte `at` of the view; padding becomes zero. */
export function writeLocalAddr(view: DataView, at: number, value: LocalAddr): void {
  view.setUint32(at, value.flags, LE);
  view.setUint32(at + 4, value.ifindex, LE);
}

/** Bytes of `struct local_bucket`. */
export const LOCAL_BUCKET_SIZE = 24;
/** Offsets in `struct local_bucket`. */
export const LOCAL_BUCKET = {
  addr: 0,
  state: 16,
} as const;

/** `struct local_bucket`. */
export interface LocalBucket {
  readonly addr: Uint8Array;
  readonly state: number;
}

/** Reads `struct local_bucket` at byte `at` of the view. */
export function readLocalBucket(view: DataView, at = 0): LocalBucket {
  return {
    addr: bytes(view, at, 16),
    state: view.getUint32(at + 16, LE),
  };
}

/** Writes `struct local_bucket` at byte `at` of the view; padding becomes zero. */
export function writeLocalBucket(view: DataView, at: number, value: LocalBucket): void {
  zero(view, at + 20, 4);
  putBytes(view, at, 16, value.addr);
  view.setUint32(at + 16, value.state, LE);
}

/** Bytes of `struct device`. */
export const DEVICE_SIZE = 16;
/** Offsets in `struct device`. */
export const DEVICE = {
  kind: 0,
  slot: 2,
  flags: 4,
  endpoint: 8,
} as const;

/** `struct device`. */
export interface Device {
  readonly kind: number;
  readonly slot: number;
  readonly flags: number;
  readonly endpoint: number;
}

/** Reads `struct device` at byte `at` of the view. */
export function readDevice(view: DataView, at = 0): Device {
  return {
    kind: view.getUint16(at, LE),
    slot: view.getUint16(at + 2, LE),
    flags: view.getUint32(at + 4, LE),
    endpoint: view.getUint32(at + 8, LE),
  };
}

/** Writes `struct device` at byte `at` of the view; padding becomes zero. */
export function writeDevice(view: DataView, at: number, value: Device): void {
  zero(view, at + 12, 4);
  view.setUint16(at, value.kind, LE);
  view.setUint16(at + 2, value.slot, LE);
  view.setUint32(at + 4, value.flags, LE);
  view.setUint32(at + 8, value.endpoint, LE);
}

/** Bytes of `struct endpoint`. */
export const ENDPOINT_SIZE = 64;
/** Offsets in `struct endpoint`. */
export const ENDPOINT = {
  id: 0,
  identity: 4,
  ruleset: 8,
  ifindex: 12,
  addr4: 16,
  flags: 20,
  addr6: 24,
  mac: 40,
} as const;

/** `struct endpoint`. */
export interface Endpoint {
  readonly id: number;
  readonly identity: number;
  readonly ruleset: number;
  readonly ifindex: number;
  readonly addr4: number;
  readonly flags: number;
  readonly addr6: Uint8Array;
  readonly mac: Uint8Array;
}

/** Reads `struct endpoint` at byte `at` of the view. */
export function readEndpoint(view: DataView, at = 0): Endpoint {
  return {
    id: view.getUint32(at, LE),
    identity: view.getUint32(at + 4, LE),
    ruleset: view.getUint32(at + 8, LE),
    ifindex: view.getUint32(at + 12, LE),
    addr4: view.getUint32(at + 16, false),
    flags: view.getUint32(at + 20, LE),
    addr6: bytes(view, at + 24, 16),
    mac: bytes(view, at + 40, 6),
  };
}

/** Writes `struct endpoint` at byte `at` of the view; padding becomes zero. */
export function writeEndpoint(view: DataView, at: number, value: Endpoint): void {
  zero(view, at + 46, 2);
  zero(view, at + 48, 16);
  view.setUint32(at, value.id, LE);
  view.setUint32(at + 4, value.identity, LE);
  view.setUint32(at + 8, value.ruleset, LE);
  view.setUint32(at + 12, value.ifindex, LE);
  view.setUint32(at + 16, value.addr4, false);
  view.setUint32(at + 20, value.flags, LE);
  putBytes(view, at + 24, 16, value.addr6);
  putBytes(view, at + 40, 6, value.mac);
}

/** Bytes of `struct endpoint_prefix_key`. */
export const ENDPOINT_PREFIX_KEY_SIZE = 24;
/** Offsets in `struct endpoint_prefix_key`. */
export const ENDPOINT_PREFIX_KEY = {
  prefixlen: 0,
  endpoint: 4,
  addr: 8,
} as const;

/** `struct endpoint_prefix_key`. */
export interface EndpointPrefixKey {
  readonly prefixlen: number;
  readonly endpoint: number;
  readonly addr: Uint8Array;
}

/** Reads `struct endpoint_prefix_key` at byte `at` of the view. */
export function readEndpointPrefixKey(view: DataView, at = 0): EndpointPrefixKey {
  return {
    prefixlen: view.getUint32(at, LE),
    endpoint: view.getUint32(at + 4, LE),
    addr: bytes(view, at + 8, 16),
  };
}

/** Writes `struct endpoint_prefix_key` at byte `at` of the view; padding becomes zero. */
export function writeEndpointPrefixKey(view: DataView, at: number, value: EndpointPrefixKey): void {
  view.setUint32(at, value.prefixlen, LE);
  view.setUint32(at + 4, value.endpoint, LE);
  putBytes(view, at + 8, 16, value.addr);
}

/** Bytes of `struct vlan_key`. */
export const VLAN_KEY_SIZE = 8;
/** Offsets in `struct vlan_key`. */
export const VLAN_KEY = {
  ifindex: 0,
  proto: 4,
  id: 6,
} as const;

/** `struct vlan_key`. */
export interface VlanKey {
  readonly ifindex: number;
  readonly proto: number;
  readonly id: number;
}

/** Reads `struct vlan_key` at byte `at` of the view. */
export function readVlanKey(view: DataView, at = 0): VlanKey {
  return {
    ifindex: view.getUint32(at, LE),
    proto: view.getUint16(at + 4, false),
    id: view.getUint16(at + 6, LE),
  };
}

/** Writes `struct vlan_key` at byte `at` of the view; padding becomes zero. */
export function writeVlanKey(view: DataView, at: number, value: VlanKey): void {
  view.setUint32(at, value.ifindex, LE);
  view.setUint16(at + 4, value.proto, false);
  view.setUint16(at + 6, value.id, LE);
}

/** Bytes of `struct failsafe_key`. */
export const FAILSAFE_KEY_SIZE = 24;
/** Offsets in `struct failsafe_key`. */
export const FAILSAFE_KEY = {
  prefixlen: 0,
  slot: 4,
  inbound: 5,
  group: 6,
  addr: 8,
} as const;

/** `struct failsafe_key`. */
export interface FailsafeKey {
  readonly prefixlen: number;
  readonly slot: number;
  readonly inbound: number;
  readonly group: number;
  readonly addr: Uint8Array;
}

/** Reads `struct failsafe_key` at byte `at` of the view. */
export function readFailsafeKey(view: DataView, at = 0): FailsafeKey {
  return {
    prefixlen: view.getUint32(at, LE),
    slot: view.getUint8(at + 4),
    inbound: view.getUint8(at + 5),
    group: view.getUint16(at + 6, LE),
    addr: bytes(view, at + 8, 16),
  };
}

/** Writes `struct failsafe_key` at byte `at` of the view; padding becomes zero. */
export function writeFailsafeKey(view: DataView, at: number, value: FailsafeKey): void {
  view.setUint32(at, value.prefixlen, LE);
  view.setUint8(at + 4, value.slot);
  view.setUint8(at + 5, value.inbound);
  view.setUint16(at + 6, value.group, LE);
  putBytes(view, at + 8, 16, value.addr);
}

/** Bytes of `struct failsafe_entry`. */
export const FAILSAFE_ENTRY_SIZE = 8;
/** Offsets in `struct failsafe_entry`. */
export const FAILSAFE_ENTRY = {
  ifindex: 0,
  entry: 4,
  family: 6,
} as const;

/** `struct failsafe_entry`. */
export interface FailsafeEntry {
  readonly ifindex: number;
  readonly entry: number;
  readonly family: number;
}

/** Reads `struct failsafe_entry` at byte `at` of the view. */
export function readFailsafeEntry(view: DataView, at = 0): FailsafeEntry {
  return {
    ifindex: view.getUint32(at, LE),
    entry: view.getUint16(at + 4, LE),
    family: view.getUint8(at + 6),
  };
}

/** Writes `struct failsafe_entry` at byte `at` of the view; padding becomes zero. */
export function writeFailsafeEntry(view: DataView, at: number, value: FailsafeEntry): void {
  zero(view, at + 7, 1);
  view.setUint32(at, value.ifindex, LE);
  view.setUint16(at + 4, value.entry, LE);
  view.setUint8(at + 6, value.family);
}

/** Bytes of `struct flow4_key`. */
export const FLOW4_KEY_SIZE = 16;
/** Offsets in `struct flow4_key`. */
export const FLOW4_KEY = {
  addr: 0,
  port: 8,
  proto: 12,
  kind: 13,
  zone: 14,
} as const;

/** `struct flow4_key`. */
export interface Flow4Key {
  readonly addr: readonly [number, number];
  readonly port: readonly [number, number];
  readonly proto: number;
  readonly kind: number;
  readonly zone: number;
}

/** Reads `struct flow4_key` at byte `at` of the view. */
export function readFlow4Key(view: DataView, at = 0): Flow4Key {
  return {
    addr: [view.getUint32(at, false), view.getUint32(at + 4, false)],
    port: [view.getUint16(at + 8, false), view.getUint16(at + 10, false)],
    proto: view.getUint8(at + 12),
    kind: view.getUint8(at + 13),
    zone: view.getUint16(at + 14, LE),
  };
}

/** Writes `struct flow4_key` at byte `at` of the view; padding becomes zero. */
export function writeFlow4Key(view: DataView, at: number, value: Flow4Key): void {
  view.setUint32(at, value.addr[0], false);
  view.setUint32(at + 4, value.addr[1], false);
  view.setUint16(at + 8, value.port[0], false);
  view.setUint16(at + 10, value.port[1], false);
  view.setUint8(at + 12, value.proto);
  view.setUint8(at + 13, value.kind);
  view.setUint16(at + 14, value.zone, LE);
}

/** Bytes of `struct flow6_key`. */
export const FLOW6_KEY_SIZE = 40;
/** Offsets in `struct flow6_key`. */
export const FLOW6_KEY = {
  addr: 0,
  port: 32,
  proto: 36,
  kind: 37,
  zone: 38,
} as const;

/** `struct flow6_key`. */
export interface Flow6Key {
  readonly addr: readonly [Uint8Array, Uint8Array];
  readonly port: readonly [number, number];
  readonly proto: number;
  readonly kind: number;
  readonly zone: number;
}

/** Reads `struct flow6_key` at byte `at` of the view. */
export function readFlow6Key(view: DataView, at = 0): Flow6Key {
  return {
    addr: [bytes(view, at, 16), bytes(view, at + 16, 16)],
    port: [view.getUint16(at + 32, false), view.getUint16(at + 34, false)],
    proto: view.getUint8(at + 36),
    kind: view.getUint8(at + 37),
    zone: view.getUint16(at + 38, LE),
  };
}

/** Writes `struct flow6_key` at byte `at` of the view; padding becomes zero. */
export function writeFlow6Key(view: DataView, at: number, value: Flow6Key): void {
  putBytes(view, at, 16, value.addr[0]);
  putBytes(view, at + 16, 16, value.addr[1]);
  view.setUint16(at + 32, value.port[0], false);
  view.setUint16(at + 34, value.port[1], false);
  view.setUint8(at + 36, value.proto);
  view.setUint8(at + 37, value.kind);
  view.setUint16(at + 38, value.zone, LE);
}

/** Bytes of `struct stamp`. */
export const STAMP_SIZE = 8;
/** Offsets in `struct stamp`. */
export const STAMP = {
  generation: 0,
  time: 4,
} as const;

/** `struct stamp`. */
export interface Stamp {
  readonly generation: number;
  readonly time: number;
}

/** Reads `struct stamp` at byte `at` of the view. */
export function readStamp(view: DataView, at = 0): Stamp {
  return {
    generation: view.getUint32(at, LE),
    time: view.getUint32(at + 4, LE),
  };
}

/** Writes `struct stamp` at byte `at` of the view; padding becomes zero. */
export function writeStamp(view: DataView, at: number, value: Stamp): void {
  view.setUint32(at, value.generation, LE);
  view.setUint32(at + 4, value.time, LE);
}

/** Bytes of `struct flow`. */
export const FLOW_SIZE = 104;
/** Offsets in `struct flow`. */
export const FLOW = {
  stamp: 0,
  verdict: 24,
  cell_flags: 27,
  flags: 30,
  last_seen: 32,
  last_report: 36,
  bytes: 40,
  packets: 56,
  identity: 64,
  origin: 72,
  rs_port: 84,
  number: 88,
  created: 92,
  svc_id: 96,
} as const;

/** `struct flow`. */
export interface Flow {
  readonly stamp: readonly [Stamp, Stamp, Stamp];
  readonly verdict: readonly [number, number, number];
  readonly cell_flags: readonly [number, number, number];
  readonly flags: number;
  readonly last_seen: number;
  readonly last_report: readonly [number, number];
  readonly bytes: readonly [bigint, bigint];
  readonly packets: readonly [number, number];
  readonly identity: readonly [number, number];
  readonly origin: readonly [number, number, number];
  readonly rs_port: readonly [number, number];
  readonly number: number;
  readonly created: number;
  readonly svc_id: number;
}

/** Reads `struct flow` at byte `at` of the view. */
export function readFlow(view: DataView, at = 0): Flow {
  return {
    stamp: [readStamp(view, at), readStamp(view, at + 8), readStamp(view, at + 16)],
    verdict: [view.getUint8(at + 24), view.getUint8(at + 25), view.getUint8(at + 26)],
    cell_flags: [view.getUint8(at + 27), view.getUint8(at + 28), view.getUint8(at + 29)],
    flags: view.getUint16(at + 30, LE),
    last_seen: view.getUint32(at + 32, LE),
    last_report: [view.getUint16(at + 36, LE), view.getUint16(at + 38, LE)],
    bytes: [view.getBigUint64(at + 40, LE), view.getBigUint64(at + 48, LE)],
    packets: [view.getUint32(at + 56, LE), view.getUint32(at + 60, LE)],
    identity: [view.getUint32(at + 64, LE), view.getUint32(at + 68, LE)],
    origin: [view.getUint32(at + 72, LE), view.getUint32(at + 76, LE), view.getUint32(at + 80, LE)],
    rs_port: [view.getUint16(at + 84, LE), view.getUint16(at + 86, LE)],
    number: view.getUint32(at + 88, LE),
    created: view.getUint32(at + 92, LE),
    svc_id: view.getUint32(at + 96, LE),
  };
}

/** Writes `struct flow` at byte `at` of the view; padding becomes zero. */
export function writeFlow(view: DataView, at: number, value: Flow): void {
  zero(view, at + 100, 4);
  writeStamp(view, at, value.stamp[0]);
  writeStamp(view, at + 8, value.stamp[1]);
  writeStamp(view, at + 16, value.stamp[2]);
  view.setUint8(at + 24, value.verdict[0]);
  view.setUint8(at + 25, value.verdict[1]);
  view.setUint8(at + 26, value.verdict[2]);
  view.setUint8(at + 27, value.cell_flags[0]);
  view.setUint8(at + 28, value.cell_flags[1]);
  view.setUint8(at + 29, value.cell_flags[2]);
  view.setUint16(at + 30, value.flags, LE);
  view.setUint32(at + 32, value.last_seen, LE);
  view.setUint16(at + 36, value.last_report[0], LE);
  view.setUint16(at + 38, value.last_report[1], LE);
  view.setBigUint64(at + 40, value.bytes[0], LE);
  view.setBigUint64(at + 48, value.bytes[1], LE);
  view.setUint32(at + 56, value.packets[0], LE);
  view.setUint32(at + 60, value.packets[1], LE);
  view.setUint32(at + 64, value.identity[0], LE);
  view.setUint32(at + 68, value.identity[1], LE);
  view.setUint32(at + 72, value.origin[0], LE);
  view.setUint32(at + 76, value.origin[1], LE);
  view.setUint32(at + 80, value.origin[2], LE);
  view.setUint16(at + 84, value.rs_port[0], LE);
  view.setUint16(at + 86, value.rs_port[1], LE);
  view.setUint32(at + 88, value.number, LE);
  view.setUint32(at + 92, value.created, LE);
  view.setUint32(at + 96, value.svc_id, LE);
}

/** Bytes of `struct flow_extra`. */
export const FLOW_EXTRA_SIZE = 24;
/** Offsets in `struct flow_extra`. */
export const FLOW_EXTRA = {
  xlate_addr: 0,
  xlate_port: 4,
  proxy_port: 6,
  egress_ifindex: 8,
  cluster: 12,
} as const;

/** `struct flow_extra`. */
export interface FlowExtra {
  readonly xlate_addr: number;
  readonly xlate_port: number;
  readonly proxy_port: number;
  readonly egress_ifindex: number;
  readonly cluster: number;
}

/** Reads `struct flow_extra` at byte `at` of the view. */
export function readFlowExtra(view: DataView, at = 0): FlowExtra {
  return {
    xlate_addr: view.getUint32(at, false),
    xlate_port: view.getUint16(at + 4, false),
    proxy_port: view.getUint16(at + 6, LE),
    egress_ifindex: view.getUint32(at + 8, LE),
    cluster: view.getUint16(at + 12, LE),
  };
}

/** Writes `struct flow_extra` at byte `at` of the view; padding becomes zero. */
export function writeFlowExtra(view: DataView, at: number, value: FlowExtra): void {
  zero(view, at + 14, 10);
  view.setUint32(at, value.xlate_addr, false);
  view.setUint16(at + 4, value.xlate_port, false);
  view.setUint16(at + 6, value.proxy_port, LE);
  view.setUint32(at + 8, value.egress_ifindex, LE);
  view.setUint16(at + 12, value.cluster, LE);
}

/** Bytes of `struct flow4_value`. */
export const FLOW4_VALUE_SIZE = 128;
/** Offsets in `struct flow4_value`. */
export const FLOW4_VALUE = {
  flow: 0,
  extra: 104,
} as const;

/** `struct flow4_value`. */
export interface Flow4Value {
  readonly flow: Flow;
  readonly extra: FlowExtra;
}

/** Reads `struct flow4_value` at byte `at` of the view. */
export function readFlow4Value(view: DataView, at = 0): Flow4Value {
  return {
    flow: readFlow(view, at),
    extra: readFlowExtra(view, at + 104),
  };
}

/** Writes `struct flow4_value` at byte `at` of the view; padding becomes zero. */
export function writeFlow4Value(view: DataView, at: number, value: Flow4Value): void {
  writeFlow(view, at, value.flow);
  writeFlowExtra(view, at + 104, value.extra);
}

/** Bytes of `struct unproven`. */
export const UNPROVEN_SIZE = 152;
/** Offsets in `struct unproven`. */
export const UNPROVEN = {
  flow: 0,
  resp_first: 104,
  resp_end: 108,
  key4: 112,
  key6: 112,
} as const;

/** `struct unproven`. */
export interface Unproven {
  readonly flow: Flow;
  readonly resp_first: number;
  readonly resp_end: number;
  readonly key4: Flow4Key | undefined;
  readonly key6: Flow6Key | undefined;
}

/** Reads `struct unproven` at byte `at` of the view. */
export function readUnproven(view: DataView, at = 0): Unproven {
  return {
    flow: readFlow(view, at),
    resp_first: view.getUint32(at + 104, LE),
    resp_end: view.getUint32(at + 108, LE),
    key4: view.byteLength < at + 128 ? undefined : readFlow4Key(view, at + 112),
    key6: view.byteLength < at + 152 ? undefined : readFlow6Key(view, at + 112),
  };
}

/** Writes `struct unproven` at byte `at` of the view; padding becomes zero. */
export function writeUnproven(view: DataView, at: number, value: Unproven): void {
  zero(view, at + 112, Math.min(40, view.byteLength - at - 112));
  writeFlow(view, at, value.flow);
  view.setUint32(at + 104, value.resp_first, LE);
  view.setUint32(at + 108, value.resp_end, LE);
  if (value.key4 !== undefined) {
    writeFlow4Key(view, at + 112, value.key4);
  }
  if (value.key6 !== undefined) {
    writeFlow6Key(view, at + 112, value.key6);
  }
}

/** Bytes of `struct unproven_set`. */
export const UNPROVEN_SET_SIZE = 1280;
/** Offsets in `struct unproven_set`. */
export const UNPROVEN_SET = {
  word: 0,
  place: 64,
} as const;

/** `struct unproven_set`. */
export interface UnprovenSet {
  readonly word: readonly [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint];
  readonly place: readonly [Unproven, Unproven, Unproven, Unproven, Unproven, Unproven, Unproven, Unproven];
}

/** Reads `struct unproven_set` at byte `at` of the view. */
export function readUnprovenSet(view: DataView, at = 0): UnprovenSet {
  return {
    word: [view.getBigUint64(at, LE), view.getBigUint64(at + 8, LE), view.getBigUint64(at + 16, LE), view.getBigUint64(at + 24, LE), view.getBigUint64(at + 32, LE), view.getBigUint64(at + 40, LE), view.getBigUint64(at + 48, LE), view.getBigUint64(at + 56, LE)],
    place: [readUnproven(view, at + 64), readUnproven(view, at + 216), readUnproven(view, at + 368), readUnproven(view, at + 520), readUnproven(view, at + 672), readUnproven(view, at + 824), readUnproven(view, at + 976), readUnproven(view, at + 1128)],
  };
}

/** Writes `struct unproven_set` at byte `at` of the view; padding becomes zero. */
export function writeUnprovenSet(view: DataView, at: number, value: UnprovenSet): void {
  view.setBigUint64(at, value.word[0], LE);
  view.setBigUint64(at + 8, value.word[1], LE);
  view.setBigUint64(at + 16, value.word[2], LE);
  view.setBigUint64(at + 24, value.word[3], LE);
  view.setBigUint64(at + 32, value.word[4], LE);
  view.setBigUint64(at + 40, value.word[5], LE);
  view.setBigUint64(at + 48, value.word[6], LE);
  view.setBigUint64(at + 56, value.word[7], LE);
  writeUnproven(view, at + 64, value.place[0]);
  writeUnproven(view, at + 216, value.place[1]);
  writeUnproven(view, at + 368, value.place[2]);
  writeUnproven(view, at + 520, value.place[3]);
  writeUnproven(view, at + 672, value.place[4]);
  writeUnproven(view, at + 824, value.place[5]);
  writeUnproven(view, at + 976, value.place[6]);
  writeUnproven(view, at + 1128, value.place[7]);
}

/** Bytes of `struct packet_scratch`. */
export const PACKET_SCRATCH_SIZE = 160;
/** Offsets in `struct packet_scratch`. */
export const PACKET_SCRATCH = {
  words: 0,
} as const;

/** `struct packet_scratch`. */
export interface PacketScratch {
  readonly words: BigUint64Array;
}

/** Reads `struct packet_scratch` at byte `at` of the view. */
export function readPacketScratch(view: DataView, at = 0): PacketScratch {
  return {
    words: BigUint64Array.from({ length: 20 }, (_, i) => view.getBigUint64(at + 8 * i, LE)),
  };
}

/** Writes `struct packet_scratch` at byte `at` of the view; padding becomes zero. */
export function writePacketScratch(view: DataView, at: number, value: PacketScratch): void {
  for (let i = 0; i < 20; i += 1) view.setBigUint64(at + 8 * i, value.words[i]!, LE);
}

/** Bytes of `struct flow_scratch`. */
export const FLOW_SCRATCH_SIZE = 184;
/** Offsets in `struct flow_scratch`. */
export const FLOW_SCRATCH = {
  value4: 0,
  key4: 128,
  key6: 128,
  swapped: 168,
  number: 172,
  hash: 176,
} as const;

/** `struct flow_scratch`. */
export interface FlowScratch {
  readonly value4: Flow4Value;
  readonly key4: Flow4Key | undefined;
  readonly key6: Flow6Key | undefined;
  readonly swapped: number;
  readonly number: number;
  readonly hash: bigint;
}

/** Reads `struct flow_scratch` at byte `at` of the view. */
export function readFlowScratch(view: DataView, at = 0): FlowScratch {
  return {
    value4: readFlow4Value(view, at),
    key4: view.byteLength < at + 144 ? undefined : readFlow4Key(view, at + 128),
    key6: view.byteLength < at + 168 ? undefined : readFlow6Key(view, at + 128),
    swapped: view.getUint32(at + 168, LE),
    number: view.getUint32(at + 172, LE),
    hash: view.getBigUint64(at + 176, LE),
  };
}

/** Writes `struct flow_scratch` at byte `at` of the view; padding becomes zero. */
export function writeFlowScratch(view: DataView, at: number, value: FlowScratch): void {
  zero(view, at + 128, Math.min(40, view.byteLength - at - 128));
  writeFlow4Value(view, at, value.value4);
  if (value.key4 !== undefined) {
    writeFlow4Key(view, at + 128, value.key4);
  }
  if (value.key6 !== undefined) {
    writeFlow6Key(view, at + 128, value.key6);
  }
  view.setUint32(at + 168, value.swapped, LE);
  view.setUint32(at + 172, value.number, LE);
  view.setBigUint64(at + 176, value.hash, LE);
}

/** Bytes of `struct frag4_key`. */
export const FRAG4_KEY_SIZE = 12;
/** Offsets in `struct frag4_key`. */
export const FRAG4_KEY = {
  saddr: 0,
  daddr: 4,
  id: 8,
  proto: 10,
} as const;

/** `struct frag4_key`. */
export interface Frag4Key {
  readonly saddr: number;
  readonly daddr: number;
  readonly id: number;
  readonly proto: number;
}

/** Reads `struct frag4_key` at byte `at` of the view. */
export function readFrag4Key(view: DataView, at = 0): Frag4Key {
  return {
    saddr: view.getUint32(at, false),
    daddr: view.getUint32(at + 4, false),
    id: view.getUint16(at + 8, false),
    proto: view.getUint8(at + 10),
  };
}

/** Writes `struct frag4_key` at byte `at` of the view; padding becomes zero. */
export function writeFrag4Key(view: DataView, at: number, value: Frag4Key): void {
  zero(view, at + 11, 1);
  view.setUint32(at, value.saddr, false);
  view.setUint32(at + 4, value.daddr, false);
  view.setUint16(at + 8, value.id, false);
  view.setUint8(at + 10, value.proto);
}

/** Bytes of `struct frag6_key`. */
export const FRAG6_KEY_SIZE = 40;
/** Offsets in `struct frag6_key`. */
export const FRAG6_KEY = {
  saddr: 0,
  daddr: 16,
  id: 32,
  proto: 36,
} as const;

/** `struct frag6_key`. */
export interface Frag6Key {
  readonly saddr: Uint8Array;
  readonly daddr: Uint8Array;
  readonly id: number;
  readonly proto: number;
}

/** Reads `struct frag6_key` at byte `at` of the view. */
export function readFrag6Key(view: DataView, at = 0): Frag6Key {
  return {
    saddr: bytes(view, at, 16),
    daddr: bytes(view, at + 16, 16),
    id: view.getUint32(at + 32, false),
    proto: view.getUint8(at + 36),
  };
}

/** Writes `struct frag6_key` at byte `at` of the view; padding becomes zero. */
export function writeFrag6Key(view: DataView, at: number, value: Frag6Key): void {
  zero(view, at + 37, 3);
  putBytes(view, at, 16, value.saddr);
  putBytes(view, at + 16, 16, value.daddr);
  view.setUint32(at + 32, value.id, false);
  view.setUint8(at + 36, value.proto);
}

/** Bytes of `struct frag_value`. */
export const FRAG_VALUE_SIZE = 12;
/** Offsets in `struct frag_value`. */
export const FRAG_VALUE = {
  sport: 0,
  dport: 2,
  seen: 4,
  icmp_type: 8,
  proto: 9,
} as const;

/** `struct frag_value`. */
export interface FragValue {
  readonly sport: number;
  readonly dport: number;
  readonly seen: number;
  readonly icmp_type: number;
  readonly proto: number;
}

/** Reads `struct frag_value` at byte `at` of the view. */
export function readFragValue(view: DataView, at = 0): FragValue {
  return {
    sport: view.getUint16(at, false),
    dport: view.getUint16(at + 2, false),
    seen: view.getUint32(at + 4, LE),
    icmp_type: view.getUint8(at + 8),
    proto: view.getUint8(at + 9),
  };
}

/** Writes `struct frag_value` at byte `at` of the view; padding becomes zero. */
export function writeFragValue(view: DataView, at: number, value: FragValue): void {
  zero(view, at + 10, 2);
  view.setUint16(at, value.sport, false);
  view.setUint16(at + 2, value.dport, false);
  view.setUint32(at + 4, value.seen, LE);
  view.setUint8(at + 8, value.icmp_type);
  view.setUint8(at + 9, value.proto);
}

/** Bytes of `struct rule_counter`. */
export const RULE_COUNTER_SIZE = 32;
/** Offsets in `struct rule_counter`. */
export const RULE_COUNTER = {
  packets: 0,
  bytes: 8,
  flows: 16,
  last_hit: 24,
} as const;

/** `struct rule_counter`. */
export interface RuleCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly flows: bigint;
  readonly last_hit: bigint;
}

/** Reads `struct rule_counter` at byte `at` of the view. */
export function readRuleCounter(view: DataView, at = 0): RuleCounter {
  return {
    packets: view.getBigUint64(at, LE),
    bytes: view.getBigUint64(at + 8, LE),
    flows: view.getBigUint64(at + 16, LE),
    last_hit: view.getBigUint64(at + 24, LE),
  };
}

/** Writes `struct rule_counter` at byte `at` of the view; padding becomes zero. */
export function writeRuleCounter(view: DataView, at: number, value: RuleCounter): void {
  view.setBigUint64(at, value.packets, LE);
  view.setBigUint64(at + 8, value.bytes, LE);
  view.setBigUint64(at + 16, value.flows, LE);
  view.setBigUint64(at + 24, value.last_hit, LE);
}

/** Bytes of `struct drop_counter`. */
export const DROP_COUNTER_SIZE = 16;
/** Offsets in `struct drop_counter`. */
export const DROP_COUNTER = {
  packets: 0,
  bytes: 8,
} as const;

/** `struct drop_counter`. */
export interface DropCounter {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Reads `struct drop_counter` at byte `at` of the view. */
export function readDropCounter(view: DataView, at = 0): DropCounter {
  return {
    packets: view.getBigUint64(at, LE),
    bytes: view.getBigUint64(at + 8, LE),
  };
}

/** Writes `struct drop_counter` at byte `at` of the view; padding becomes zero. */
export function writeDropCounter(view: DataView, at: number, value: DropCounter): void {
  view.setBigUint64(at, value.packets, LE);
  view.setBigUint64(at + 8, value.bytes, LE);
}

/** Bytes of `struct event_limit`. */
export const EVENT_LIMIT_SIZE = 520;
/** Offsets in `struct event_limit`. */
export const EVENT_LIMIT = {
  full_at: 0,
  suppressed: 8,
} as const;

/** `struct event_limit`. */
export interface EventLimit {
  readonly full_at: bigint;
  readonly suppressed: Uint16Array;
}

/** Reads `struct event_limit` at byte `at` of the view. */
export function readEventLimit(view: DataView, at = 0): EventLimit {
  return {
    full_at: view.getBigUint64(at, LE),
    suppressed: Uint16Array.from({ length: 256 }, (_, i) => view.getUint16(at + 8 + 2 * i, LE)),
  };
}

/** Writes `struct event_limit` at byte `at` of the view; padding becomes zero. */
export function writeEventLimit(view: DataView, at: number, value: EventLimit): void {
  view.setBigUint64(at, value.full_at, LE);
  for (let i = 0; i < 256; i += 1) view.setUint16(at + 8 + 2 * i, value.suppressed[i]!, LE);
}

/** Bytes of `struct drop_report`. */
export const DROP_REPORT_SIZE = 64;
/** Offsets in `struct drop_report`. */
export const DROP_REPORT = {
  addr: 0,
  ports: 32,
  what: 36,
  origin: 40,
  generation: 44,
  ifindex: 48,
  since: 52,
  count: 56,
} as const;

/** `struct drop_report`. */
export interface DropReport {
  readonly addr: readonly [bigint, bigint, bigint, bigint];
  readonly ports: number;
  readonly what: number;
  readonly origin: number;
  readonly generation: number;
  readonly ifindex: number;
  readonly since: number;
  readonly count: number;
}

/** Reads `struct drop_report` at byte `at` of the view. */
export function readDropReport(view: DataView, at = 0): DropReport {
  return {
    addr: [view.getBigUint64(at, LE), view.getBigUint64(at + 8, LE), view.getBigUint64(at + 16, LE), view.getBigUint64(at + 24, LE)],
    ports: view.getUint32(at + 32, LE),
    what: view.getUint32(at + 36, LE),
    origin: view.getUint32(at + 40, LE),
    generation: view.getUint32(at + 44, LE),
    ifindex: view.getUint32(at + 48, LE),
    since: view.getUint32(at + 52, LE),
    count: view.getUint32(at + 56, LE),
  };
}

/** Writes `struct drop_report` at byte `at` of the view; padding becomes zero. */
export function writeDropReport(view: DataView, at: number, value: DropReport): void {
  zero(view, at + 60, 4);
  view.setBigUint64(at, value.addr[0], LE);
  view.setBigUint64(at + 8, value.addr[1], LE);
  view.setBigUint64(at + 16, value.addr[2], LE);
  view.setBigUint64(at + 24, value.addr[3], LE);
  view.setUint32(at + 32, value.ports, LE);
  view.setUint32(at + 36, value.what, LE);
  view.setUint32(at + 40, value.origin, LE);
  view.setUint32(at + 44, value.generation, LE);
  view.setUint32(at + 48, value.ifindex, LE);
  view.setUint32(at + 52, value.since, LE);
  view.setUint32(at + 56, value.count, LE);
}

/** Bytes of `struct event`. */
export const EVENT_SIZE = 96;
/** Offsets in `struct event`. */
export const EVENT = {
  version: 0,
  reason: 1,
  cpu: 2,
  seq: 4,
  length: 6,
  time_ns: 8,
  src_identity: 16,
  dst_identity: 20,
  origin: 24,
  generation: 28,
  flow: 32,
  ifindex: 36,
  src_endpoint: 40,
  dst_endpoint: 42,
  proxy_port: 44,
  suppressed: 46,
  sport: 48,
  dport: 50,
  proto: 52,
  tcp_flags: 53,
  verdict: 54,
  flags: 55,
  saddr4: 56,
  daddr4: 60,
  saddr6: 56,
  daddr6: 72,
} as const;

/** `struct event`. */
export interface Event {
  readonly version: number;
  readonly reason: number;
  readonly cpu: number;
  readonly seq: number;
  readonly length: number;
  readonly time_ns: bigint;
  readonly src_identity: number;
  readonly dst_identity: number;
  readonly origin: number;
  readonly generation: number;
  readonly flow: number;
  readonly ifindex: number;
  readonly src_endpoint: number;
  readonly dst_endpoint: number;
  readonly proxy_port: number;
  readonly suppressed: number;
  readonly sport: number;
  readonly dport: number;
  readonly proto: number;
  readonly tcp_flags: number;
  readonly verdict: number;
  readonly flags: number;
  readonly saddr4: number | undefined;
  readonly daddr4: number | undefined;
  readonly saddr6: Uint8Array | undefined;
  readonly daddr6: Uint8Array | undefined;
}

/** Reads `struct event` at byte `at` of the view. */
export function readEvent(view: DataView, at = 0): Event {
  return {
    version: view.getUint8(at),
    reason: view.getUint8(at + 1),
    cpu: view.getUint16(at + 2, LE),
    seq: view.getUint16(at + 4, LE),
    length: view.getUint16(at + 6, LE),
    time_ns: view.getBigUint64(at + 8, LE),
    src_identity: view.getUint32(at + 16, LE),
    dst_identity: view.getUint32(at + 20, LE),
    origin: view.getUint32(at + 24, LE),
    generation: view.getUint32(at + 28, LE),
    flow: view.getUint32(at + 32, LE),
    ifindex: view.getUint32(at + 36, LE),
    src_endpoint: view.getUint16(at + 40, LE),
    dst_endpoint: view.getUint16(at + 42, LE),
    proxy_port: view.getUint16(at + 44, LE),
    suppressed: view.getUint16(at + 46, LE),
    sport: view.getUint16(at + 48, false),
    dport: view.getUint16(at + 50, false),
    proto: view.getUint8(at + 52),
    tcp_flags: view.getUint8(at + 53),
    verdict: view.getUint8(at + 54),
    flags: view.getUint8(at + 55),
    saddr4: view.byteLength < at + 60 ? undefined : view.getUint32(at + 56, false),
    daddr4: view.byteLength < at + 64 ? undefined : view.getUint32(at + 60, false),
    saddr6: view.byteLength < at + 72 ? undefined : bytes(view, at + 56, 16),
    daddr6: view.byteLength < at + 88 ? undefined : bytes(view, at + 72, 16),
  };
}

/** Writes `struct event` at byte `at` of the view; padding becomes zero. */
export function writeEvent(view: DataView, at: number, value: Event): void {
  zero(view, at + 56, Math.min(40, view.byteLength - at - 56));
  view.setUint8(at, value.version);
  view.setUint8(at + 1, value.reason);
  view.setUint16(at + 2, value.cpu, LE);
  view.setUint16(at + 4, value.seq, LE);
  view.setUint16(at + 6, value.length, LE);
  view.setBigUint64(at + 8, value.time_ns, LE);
  view.setUint32(at + 16, value.src_identity, LE);
  view.setUint32(at + 20, value.dst_identity, LE);
  view.setUint32(at + 24, value.origin, LE);
  view.setUint32(at + 28, value.generation, LE);
  view.setUint32(at + 32, value.flow, LE);
  view.setUint32(at + 36, value.ifindex, LE);
  view.setUint16(at + 40, value.src_endpoint, LE);
  view.setUint16(at + 42, value.dst_endpoint, LE);
  view.setUint16(at + 44, value.proxy_port, LE);
  view.setUint16(at + 46, value.suppressed, LE);
  view.setUint16(at + 48, value.sport, false);
  view.setUint16(at + 50, value.dport, false);
  view.setUint8(at + 52, value.proto);
  view.setUint8(at + 53, value.tcp_flags);
  view.setUint8(at + 54, value.verdict);
  view.setUint8(at + 55, value.flags);
  if (value.saddr4 !== undefined) {
    view.setUint32(at + 56, value.saddr4, false);
  }
  if (value.daddr4 !== undefined) {
    view.setUint32(at + 60, value.daddr4, false);
  }
  if (value.saddr6 !== undefined) {
    putBytes(view, at + 56, 16, value.saddr6);
  }
  if (value.daddr6 !== undefined) {
    putBytes(view, at + 72, 16, value.daddr6);
  }
}

/** Bytes of `struct instance`. */
export const INSTANCE_SIZE = 48;
/** Offsets in `struct instance`. */
export const INSTANCE = {
  id: 0,
  netns_cookie: 8,
  boot_id: 16,
  schema: 32,
  generation: 36,
  clock: 40,
} as const;

/** `struct instance`. */
export interface Instance {
  readonly id: bigint;
  readonly netns_cookie: bigint;
  readonly boot_id: Uint8Array;
  readonly schema: number;
  readonly generation: number;
  readonly clock: number;
}

/** Reads `struct instance` at byte `at` of the view. */
export function readInstance(view: DataView, at = 0): Instance {
  return {
    id: view.getBigUint64(at, LE),
    netns_cookie: view.getBigUint64(at + 8, LE),
    boot_id: bytes(view, at + 16, 16),
    schema: view.getUint32(at + 32, LE),
    generation: view.getUint32(at + 36, LE),
    clock: view.getUint32(at + 40, LE),
  };
}

/** Writes `struct instance` at byte `at` of the view; padding becomes zero. */
export function writeInstance(view: DataView, at: number, value: Instance): void {
  zero(view, at + 44, 4);
  view.setBigUint64(at, value.id, LE);
  view.setBigUint64(at + 8, value.netns_cookie, LE);
  putBytes(view, at + 16, 16, value.boot_id);
  view.setUint32(at + 32, value.schema, LE);
  view.setUint32(at + 36, value.generation, LE);
  view.setUint32(at + 40, value.clock, LE);
}

/** Bytes of `struct ipcache_op`. */
export const IPCACHE_OP_SIZE = 56;
/** Offsets in `struct ipcache_op`. */
export const IPCACHE_OP = {
  addr: 0,
  prefixlen: 16,
  family: 20,
  remove: 21,
  done: 22,
  entry: 24,
} as const;

/** `struct ipcache_op`. */
export interface IpcacheOp {
  readonly addr: Uint8Array;
  readonly prefixlen: number;
  readonly family: number;
  readonly remove: number;
  readonly done: number;
  readonly entry: IpcacheEntry;
}

/** Reads `struct ipcache_op` at byte `at` of the view. */
export function readIpcacheOp(view: DataView, at = 0): IpcacheOp {
  return {
    addr: bytes(view, at, 16),
    prefixlen: view.getUint32(at + 16, LE),
    family: view.getUint8(at + 20),
    remove: view.getUint8(at + 21),
    done: view.getUint16(at + 22, LE),
    entry: readIpcacheEntry(view, at + 24),
  };
}

/** Writes `struct ipcache_op` at byte `at` of the view; padding becomes zero. */
export function writeIpcacheOp(view: DataView, at: number, value: IpcacheOp): void {
  putBytes(view, at, 16, value.addr);
  view.setUint32(at + 16, value.prefixlen, LE);
  view.setUint8(at + 20, value.family);
  view.setUint8(at + 21, value.remove);
  view.setUint16(at + 22, value.done, LE);
  writeIpcacheEntry(view, at + 24, value.entry);
}

/** The settings of `bpf/config.h`, in `.rodata` of each object; offsets differ from object to object. */
export const SETTINGS = {
  cfg_allow_icmp_frag_needed: { size: 1, isSigned: false },
  cfg_builtin_dhcp: { size: 1, isSigned: false },
  cfg_drop_window: { size: 4, isSigned: false },
  cfg_ethertypes0: { size: 8, isSigned: false },
  cfg_ethertypes1: { size: 8, isSigned: false },
  cfg_ethertypes2: { size: 8, isSigned: false },
  cfg_ethertypes3: { size: 8, isSigned: false },
  cfg_event_burst: { size: 4, isSigned: false },
  cfg_event_rate: { size: 4, isSigned: false },
  cfg_extended_protocols: { size: 1, isSigned: false },
  cfg_hz: { size: 4, isSigned: false },
  cfg_hz_reciprocal: { size: 4, isSigned: false },
  cfg_icmp6_error_burst: { size: 4, isSigned: false },
  cfg_icmp6_error_rate: { size: 4, isSigned: false },
  cfg_icmp6_redirect_pass: { size: 1, isSigned: false },
  cfg_identity_world4: { size: 4, isSigned: false },
  cfg_identity_world6: { size: 4, isSigned: false },
  cfg_instance_id: { size: 8, isSigned: false },
  cfg_local_port_first: { size: 2, isSigned: false },
  cfg_local_port_last: { size: 2, isSigned: false },
  cfg_mark_kind_mask: { size: 4, isSigned: false },
  cfg_mark_mask: { size: 4, isSigned: false },
  cfg_no_ipv4: { size: 1, isSigned: false },
  cfg_no_ipv6: { size: 1, isSigned: false },
  cfg_ring_shift: { size: 4, isSigned: false },
  cfg_strict_ethertypes: { size: 1, isSigned: false },
  cfg_timeout_frag: { size: 4, isSigned: false },
  cfg_timeout_generic: { size: 4, isSigned: false },
  cfg_timeout_icmp: { size: 4, isSigned: false },
  cfg_timeout_tcp: { size: 4, isSigned: false },
  cfg_timeout_tcp_fin: { size: 4, isSigned: false },
  cfg_timeout_tcp_syn: { size: 4, isSigned: false },
  cfg_timeout_udp: { size: 4, isSigned: false },
  cfg_timeout_udp_stream: { size: 4, isSigned: false },
  cfg_tunnel_port: { size: 2, isSigned: false },
  cfg_unproven_sets: { size: 4, isSigned: false },
  cfg_wireguard_port: { size: 2, isSigned: false },
  cfg_xdp_buff_len: { size: 1, isSigned: false },
} as const;
export type SettingName = keyof typeof SETTINGS;

/**
 * The maps of `bpf/maps.h`. `maxEntries` is the smallest that makes sense; `layout` changes with type,
 * flags, schema and every field of key and value.
 */
export const MAPS = {
  arena: { type: 2, keySize: 4, valueSize: 8, maxEntries: 4096, flags: 1024, key: '', value: '', inner: undefined, layout: '3833a795' },
  devices: { type: 2, keySize: 4, valueSize: 16, maxEntries: 65536, flags: 1024, key: '', value: 'device', inner: undefined, layout: '388e1bfd' },
  devices_high: { type: 1, keySize: 4, valueSize: 16, maxEntries: 4096, flags: 0, key: '', value: 'device', inner: undefined, layout: 'd9fbb7f3' },
  drop_count: { type: 6, keySize: 4, valueSize: 16, maxEntries: 65536, flags: 0, key: '', value: 'drop_counter', inner: undefined, layout: 'e5ba581b' },
  drop_reports: { type: 6, keySize: 4, valueSize: 64, maxEntries: 512, flags: 0, key: '', value: 'drop_report', inner: undefined, layout: 'eab8baf4' },
  endpoint_prefix: { type: 11, keySize: 24, valueSize: 4, maxEntries: 4096, flags: 1, key: 'endpoint_prefix_key', value: '', inner: undefined, layout: '21ee0c11' },
  endpoints: { type: 2, keySize: 4, valueSize: 64, maxEntries: 4096, flags: 1024, key: '', value: 'endpoint', inner: undefined, layout: '37ec29fb' },
  event_limits: { type: 2, keySize: 4, valueSize: 520, maxEntries: 1, flags: 0, key: '', value: 'event_limit', inner: undefined, layout: 'a01f3643' },
  events: { type: 12, keySize: 4, valueSize: 4, maxEntries: 1, flags: 0, key: '', value: '', inner: { type: 27, maxEntries: 262144 }, layout: 'f54f4a0c' },
  failsafe: { type: 11, keySize: 24, valueSize: 8, maxEntries: 16384, flags: 1, key: 'failsafe_key', value: 'failsafe_entry', inner: undefined, layout: '2a6fd31b' },
  failsafe_port: { type: 2, keySize: 4, valueSize: 8, maxEntries: 131328, flags: 1024, key: '', value: '', inner: undefined, layout: '3833a795' },
  flow_any4: { type: 1, keySize: 16, valueSize: 128, maxEntries: 4096, flags: 0, key: 'flow4_key', value: 'flow4_value', inner: undefined, layout: 'f0eccd1c' },
  flow_any6: { type: 1, keySize: 40, valueSize: 104, maxEntries: 4096, flags: 0, key: 'flow6_key', value: 'flow', inner: undefined, layout: '111f4e56' },
  flow_scratch: { type: 6, keySize: 4, valueSize: 184, maxEntries: 1, flags: 0, key: '', value: 'flow_scratch', inner: undefined, layout: '5649381f' },
  flow_tcp4: { type: 1, keySize: 16, valueSize: 128, maxEntries: 4096, flags: 0, key: 'flow4_key', value: 'flow4_value', inner: undefined, layout: 'f0eccd1c' },
  flow_tcp6: { type: 1, keySize: 40, valueSize: 104, maxEntries: 4096, flags: 0, key: 'flow6_key', value: 'flow', inner: undefined, layout: '111f4e56' },
  frag4: { type: 9, keySize: 12, valueSize: 12, maxEntries: 8192, flags: 0, key: 'frag4_key', value: 'frag_value', inner: undefined, layout: '466717e5' },
  frag6: { type: 9, keySize: 40, valueSize: 12, maxEntries: 8192, flags: 0, key: 'frag6_key', value: 'frag_value', inner: undefined, layout: 'bff97027' },
  hostfw_control: { type: 2, keySize: 4, valueSize: 32, maxEntries: 1, flags: 1024, key: '', value: 'hostfw_control', inner: undefined, layout: '42a13dc9' },
  icmp6_limits: { type: 2, keySize: 4, valueSize: 8, maxEntries: 256, flags: 0, key: '', value: '', inner: undefined, layout: 'e68fa8f8' },
  identity_class: { type: 2, keySize: 4, valueSize: 8, maxEntries: 65536, flags: 1024, key: '', value: '', inner: undefined, layout: '3833a795' },
  identity_page: { type: 2, keySize: 4, valueSize: 8, maxEntries: 262144, flags: 1024, key: '', value: '', inner: undefined, layout: '3833a795' },
  instance: { type: 2, keySize: 4, valueSize: 48, maxEntries: 1, flags: 0, key: '', value: 'instance', inner: undefined, layout: '0d15e70c' },
  ipcache_host4: { type: 1, keySize: 4, valueSize: 32, maxEntries: 4096, flags: 0, key: 'addr4_key', value: 'ipcache_entry', inner: undefined, layout: 'd33c2e76' },
  ipcache_host6: { type: 1, keySize: 16, valueSize: 32, maxEntries: 4096, flags: 0, key: 'addr6_key', value: 'ipcache_entry', inner: undefined, layout: '55baa8a5' },
  ipcache_net4: { type: 11, keySize: 8, valueSize: 32, maxEntries: 65536, flags: 1, key: 'lpm4_key', value: 'ipcache_entry', inner: undefined, layout: 'a30cef2f' },
  ipcache_net6: { type: 11, keySize: 20, valueSize: 32, maxEntries: 65536, flags: 1, key: 'lpm6_key', value: 'ipcache_entry', inner: undefined, layout: '2770ed61' },
  ipcache_ops: { type: 2, keySize: 4, valueSize: 56, maxEntries: 4096, flags: 1024, key: '', value: 'ipcache_op', inner: undefined, layout: '98d1d824' },
  live: { type: 2, keySize: 4, valueSize: 16416, maxEntries: 1, flags: 1024, key: '', value: 'live_state', inner: undefined, layout: '3f74ce44' },
  local_addrs4: { type: 1, keySize: 4, valueSize: 8, maxEntries: 4096, flags: 0, key: 'addr4_key', value: 'local_addr', inner: undefined, layout: '5270fcd7' },
  local_addrs6: { type: 1, keySize: 16, valueSize: 8, maxEntries: 4096, flags: 0, key: 'addr6_key', value: 'local_addr', inner: undefined, layout: '4c8f4768' },
  local_buckets: { type: 2, keySize: 4, valueSize: 24, maxEntries: 4096, flags: 1024, key: '', value: 'local_bucket', inner: undefined, layout: 'e37410c7' },
  overflow4: { type: 9, keySize: 16, valueSize: 128, maxEntries: 4096, flags: 0, key: 'flow4_key', value: 'flow4_value', inner: undefined, layout: '5df4197d' },
  overflow6: { type: 9, keySize: 40, valueSize: 104, maxEntries: 4096, flags: 0, key: 'flow6_key', value: 'flow', inner: undefined, layout: '7f4f8a06' },
  packet_scratch: { type: 6, keySize: 4, valueSize: 160, maxEntries: 1, flags: 0, key: '', value: 'packet_scratch', inner: undefined, layout: '8595d691' },
  port_class: { type: 2, keySize: 4, valueSize: 8, maxEntries: 49344, flags: 1024, key: '', value: '', inner: undefined, layout: '3833a795' },
  rule_count: { type: 6, keySize: 4, valueSize: 32, maxEntries: 4096, flags: 0, key: '', value: 'rule_counter', inner: undefined, layout: '129478ca' },
  rulesets: { type: 2, keySize: 4, valueSize: 192, maxEntries: 64, flags: 1024, key: '', value: 'ruleset', inner: undefined, layout: '76175a85' },
  stages: { type: 3, keySize: 4, valueSize: 4, maxEntries: 4, flags: 0, key: '', value: '', inner: undefined, layout: '57d0c931' },
  stat_count: { type: 6, keySize: 4, valueSize: 8, maxEntries: 32, flags: 0, key: '', value: '', inner: undefined, layout: 'e23fe7d6' },
  udp_servers: { type: 2, keySize: 4, valueSize: 8, maxEntries: 1024, flags: 1024, key: '', value: '', inner: undefined, layout: '3833a795' },
  unproven4: { type: 2, keySize: 4, valueSize: 1280, maxEntries: 512, flags: 1024, key: '', value: 'unproven_set', inner: undefined, layout: '36d3fa52' },
  unproven6: { type: 2, keySize: 4, valueSize: 1280, maxEntries: 512, flags: 1024, key: '', value: 'unproven_set', inner: undefined, layout: '36d3fa52' },
  vlans: { type: 1, keySize: 8, valueSize: 4, maxEntries: 4096, flags: 0, key: 'vlan_key', value: '', inner: undefined, layout: 'dcd4106b' },
} as const;
export type MapName = keyof typeof MAPS;
