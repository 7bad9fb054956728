/** Who is who in the packet tests, and how their hand-made policies are written down. */
import * as wire from '#wire/bpf';
import { address } from './builder.ts';

export const IDENTITY = { host: 1, peer: 4001, other: 4002, pod: 4003, world4: 9, world6: 10 } as const;
export const NODE = { v4: '192.0.2.1', v6: '2001:db8::1' } as const;
export const POD = { v4: '10.0.0.2', v6: '2001:db8:1::2' } as const;
export const PEER = { v4: '192.0.2.9', v6: '2001:db8::9' } as const;
export const OTHER = { v4: '198.51.100.7', v6: '2001:db8:2::7' } as const;

/** IPv4 is mapped, as keys of both families have it. */
export function mapped(text: string): Uint8Array {
  const { family, bytes } = address(text);
  if (family === 6) return bytes;
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes);
}

/** One line of a hand-made matrix; absent fields match anything. Later lines win. */
export interface Rule {
  readonly identity?: number;
  /** Index into the flat array of ports (`tcpPort`, `PORT_CLASS_*`). */
  readonly port?: number;
  readonly verdict: keyof typeof wire.VERDICT;
  readonly origin?: number;
  readonly flags?: number;
  /** What staged policies would say, where that is a refusal of what passes. */
  readonly staged?: keyof typeof wire.VERDICT;
}

/** The rules of one direction; absent: the direction is open. */
export interface Rules {
  readonly lines: readonly Rule[];
  readonly flags?: number;
  /** Only staged policies select the direction. */
  readonly isStaged?: boolean;
}

export interface Slot {
  readonly generation: number;
  readonly ingress?: Rules;
  readonly egress?: Rules;
}

export const tcpPort = (port: number): number => wire.PORT_CLASS_TCP + port;
export const udpPort = (port: number): number => wire.PORT_CLASS_UDP + port;

/** What line of the rules holds at a cell: the last that matches. */
export function lineAt(
  { lines }: Rules,
  isRow: (identity: number) => boolean,
  isColumn: (port: number) => boolean,
): Rule | undefined {
  return lines.findLast(
    ({ identity, port }) =>
      (identity === undefined || isRow(identity)) && (port === undefined || isColumn(port)),
  );
}

/** Of all buckets of local addresses. */
export const LOCAL_BYTES = wire.EPOCH_BUCKETS * wire.LOCAL_BUCKET_SIZE;

/** Of each unproven table, as the sources size it. */
export const UNPROVEN_BYTES = wire.MAPS.unproven4.maxEntries * wire.UNPROVEN_SET_SIZE;

/** The tables that hold state of packets: name, bytes of a key, bytes of a value. */
export const FLOW_TABLES: readonly (readonly [table: string, keySize: number, valueSize: number])[] = [
  ['flow_tcp4', wire.FLOW4_KEY_SIZE, wire.FLOW4_VALUE_SIZE],
  ['flow_any4', wire.FLOW4_KEY_SIZE, wire.FLOW4_VALUE_SIZE],
  ['unproven4', wire.FLOW4_KEY_SIZE, wire.UNPROVEN_SIZE],
  ['overflow4', wire.FLOW4_KEY_SIZE, wire.FLOW4_VALUE_SIZE],
  ['flow_tcp6', wire.FLOW6_KEY_SIZE, wire.FLOW_SIZE],
  ['flow_any6', wire.FLOW6_KEY_SIZE, wire.FLOW_SIZE],
  ['unproven6', wire.FLOW6_KEY_SIZE, wire.UNPROVEN_SIZE],
  ['overflow6', wire.FLOW6_KEY_SIZE, wire.FLOW_SIZE],
];
export const FRAG_TABLES: typeof FLOW_TABLES = [
  ['frag4', wire.FRAG4_KEY_SIZE, wire.FRAG_VALUE_SIZE],
  ['frag6', wire.FRAG6_KEY_SIZE, wire.FRAG_VALUE_SIZE],
];

export type ProgramName =
  | 'host_ingress'
  | 'host_egress'
  | 'host_ingress_l3'
  | 'host_egress_l3'
  | 'pod_ingress'
  | 'pod_egress'
  | 'xdp_host';

export interface RunOptions {
  /** Device of the hook, where it is not that of the picture. */
  readonly device?: number;
  /** Device the packet came in by before this hook: 0 = made here. Ingress hooks: their own. */
  readonly cameBy?: number;
  readonly gsoSize?: number;
  readonly gsoSegs?: number;
  readonly mark?: number;
  readonly repeat?: number;
  /** Refusals told of before are remembered: only the first of a tuple makes an event. */
  readonly remembersDrops?: boolean;
}

/** What one run did. */
export interface Outcome {
  readonly verdict: 'pass' | 'drop';
  /** Reason and number of drops counted on the device, by catalogue name. */
  readonly drops: Readonly<Record<string, number>>;
  /** What audit let pass, by the reason it would have been dropped for. */
  readonly audited: Readonly<Record<string, number>>;
  /** Counters that moved, by name. */
  readonly stats: Readonly<Record<string, number>>;
  readonly events: readonly wire.Event[];
  readonly isUnchanged: boolean;
  /** Of the packet afterwards; 0 from XDP. */
  readonly mark: number;
  readonly durationNs: number;
}

/** Objects compiled elsewhere, for tests of the tests. */
export const OBJECTS = process.env['MERLON_OBJECTS'];

/** What audit let pass counts so far below its reason (bpf/types.h, drop_count). */
export const AUDITED_BELOW = 128;

/** The counters that moved, and by how much. */
export function difference(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after)
      .map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      .filter(([, value]) => value !== 0),
  );
}
