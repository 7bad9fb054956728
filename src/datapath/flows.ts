/**
 * Flow records as `ct list` prints them: read in batches, turned to the initiator's point of view. Times are
 * seconds of the datapath's clock, which is CLOCK_MONOTONIC's. A batch is a snapshot of some buckets, not of
 * the table: records that come or go meanwhile may or may not be told.
 */
import { formatIp, parseIp } from '#kit/ip';
import { batchCursor, mapLookupBatch } from '#native';
import {
  FLOW_DEAD,
  FLOW_FAILSAFE,
  FLOW_FIN_INIT,
  FLOW_FIN_RESP,
  FLOW_INBOUND,
  FLOW_INITIATOR,
  FLOW_REVOKED,
  FLOW_RST,
  FLOW_SEEDED,
  FLOW_SEEN_REPLY,
  MAPS,
  type MapName,
  readFlow,
  VERDICT_NAMES,
} from '#wire/bpf';
import { ipOfBytes } from './keys.ts';
import type { DatapathMaps } from './maps.ts';
import { unprovenIn } from './unproven.ts';

/** One end of a flow. Protocols without ports have none. */
export interface FlowEnd {
  readonly ip: string;
  readonly port?: number;
  readonly identity: number;
}

/** A verdict that a flow carries. */
export interface FlowVerdict {
  readonly verdict: string;
  readonly origin: number;
  readonly generation: number;
}

export interface FlowRecord {
  readonly family: 4 | 6;
  readonly protocol: number;
  readonly direction: 'in' | 'out';
  readonly initiator: FlowEnd;
  readonly responder: FlowEnd;
  readonly state: 'new' | 'unproven' | 'established' | 'closing';
  readonly flags: readonly string[];
  readonly created: number;
  readonly lastSeen: number;
  readonly expires: number;
  readonly packets: { readonly forward: number; readonly reply: number };
  readonly bytes: { readonly forward: bigint; readonly reply: bigint };
  readonly verdicts: { readonly egress?: FlowVerdict; readonly ingress?: FlowVerdict };
  readonly flow: number;
}

/** Timeouts by which `expires` is told (HF-3.4), seconds. */
export interface FlowTimeouts {
  readonly tcpSyn: number;
  readonly tcp: number;
  readonly tcpFin: number;
  readonly udp: number;
  readonly udpStream: number;
  readonly icmp: number;
  readonly generic: number;
}

const TCP = 6;
const WITH_PORTS = new Set([TCP, 17, 132]);
const ICMP = new Set([1, 58]);

type Kind = 'main' | 'unproven' | 'overflow';
const TABLES: readonly (readonly [MapName, 4 | 6, Kind])[] = [
  ['flow_tcp4', 4, 'main'],
  ['flow_tcp6', 6, 'main'],
  ['flow_any4', 4, 'main'],
  ['flow_any6', 6, 'main'],
  ['unproven4', 4, 'unproven'],
  ['unproven6', 6, 'unproven'],
  ['overflow4', 4, 'overflow'],
  ['overflow6', 6, 'overflow'],
];

const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [FLOW_FAILSAFE, 'failsafe'],
  [FLOW_SEEDED, 'seeded'],
  [FLOW_REVOKED, 'revoked'],
];

/** Every live record, a chunk at a time, so that the caller can let the loop turn in between. */
export function* listFlows(
  maps: DatapathMaps,
  timeouts: FlowTimeouts,
  now: number,
  between?: readonly [string, string],
): Generator<FlowRecord[]> {
  const ends = between?.map((text) => parseIp(text)?.bytes);
  for (const [name, family, kind] of TABLES) {
    const bytes = family === 4 ? 4 : 16;
    if (ends?.some((end) => end?.length !== bytes) === true) continue;
    for (const entries of batches(maps, name)) {
      const records: FlowRecord[] = [];
      for (const entry of entries)
        for (const { key, value } of kind === 'unproven' ? unprovenIn(family, entry.value) : [entry]) {
          if (ends !== undefined && !isBetween(key, bytes, ends)) continue;
          const record = decodeFlow(family, kind, key, value, timeouts, now);
          if (record !== undefined) records.push(record);
        }
      yield records;
    }
  }
}

/** About so many bytes are read at once. */
const BATCH_BYTES = 1 << 19;

/** All entries of a map, a batch at a time; they hold until the next one. */
function* batches(maps: DatapathMaps, name: MapName) {
  const { keySize, valueSize } = MAPS[name];
  const chunk = Math.ceil(BATCH_BYTES / valueSize);
  const cursor = batchCursor(keySize);
  const keys = new Uint8Array(chunk * keySize);
  const values = new Uint8Array(chunk * valueSize);
  while (!cursor.isDone) {
    const count = mapLookupBatch(maps.fd(name), cursor, keys, values, chunk);
    yield Array.from({ length: count }, (_, i) => ({
      key: keys.subarray(i * keySize, (i + 1) * keySize),
      value: new DataView(values.buffer, i * valueSize, valueSize),
    }));
  }
}

/** A key has both addresses, in the order of their bytes. */
function isBetween(key: Uint8Array, bytes: number, ends: readonly (Uint8Array | undefined)[]): boolean {
  const [a, b] = ends;
  const has = (at: number, end: Uint8Array | undefined) =>
    end?.every((byte, i) => byte === key[at + i]) === true;
  return (has(0, a) && has(bytes, b)) || (has(0, b) && has(bytes, a));
}

/** One record; undefined when it has expired, or is a translation and no flow of its own. */
export function decodeFlow(
  family: 4 | 6,
  kind: Kind,
  key: Uint8Array,
  value: DataView,
  timeouts: FlowTimeouts,
  now: number,
): FlowRecord | undefined {
  const f = readFlow(value);
  const bytes = family === 4 ? 4 : 16;
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const protocol = key[2 * bytes + 4] as number;
  if (f.last_seen === FLOW_DEAD || key[2 * bytes + 5] !== 0) return undefined;
  const expires = f.last_seen + timeoutOf(protocol, f.flags, kind, timeouts);
  if (expires < now) return undefined;
  const first = (f.flags & FLOW_INITIATOR) === 0 ? 0 : 1;
  const end = (which: number, identity: number): FlowEnd => {
    const ip = formatIp(ipOfBytes(key.subarray(which * bytes, (which + 1) * bytes)));
    const port = view.getUint16(2 * bytes + 2 * which);
    // An echo's identifier stands in the key at the asking end alone, and is told of both.
    const identifier = port | view.getUint16(2 * bytes + 2 * (1 - which));
    if (ICMP.has(protocol)) return { ip, port: identifier, identity };
    return { ip, ...(WITH_PORTS.has(protocol) ? { port } : {}), identity };
  };
  // What a cell holds in its upper half is what audit let pass.
  const isAudited = f.verdict.some((cell) => cell >> 4 !== 0);
  const flags = [
    ...(isAudited ? ['audited'] : []),
    ...FLAGS.filter(([bit]) => (f.flags & bit) !== 0).map(([, name]) => name),
  ];
  return {
    family,
    protocol,
    // An initiator of this node is judged by its own egress policy.
    direction: (f.flags & FLOW_INBOUND) !== 0 || f.verdict[0] === 0 ? 'in' : 'out',
    initiator: end(first, f.identity[0]),
    responder: end(1 - first, f.identity[1]),
    state: stateOf(f.flags, kind),
    flags: kind === 'overflow' ? [...flags, 'overflow'] : flags,
    created: f.created,
    lastSeen: f.last_seen,
    expires,
    packets: { forward: f.packets[0], reply: f.packets[1] },
    bytes: { forward: f.bytes[0], reply: f.bytes[1] },
    verdicts: {
      ...verdictOf(f, 0, 'egress'),
      ...verdictOf(f, 1, 'ingress'),
    },
    flow: f.number,
  };
}

function verdictOf(f: ReturnType<typeof readFlow>, cell: number, name: 'egress' | 'ingress') {
  const verdict = (f.verdict[cell] as number) & 0xf;
  if (verdict === 0) return {};
  const { generation } = f.stamp[cell] as { generation: number };
  return {
    [name]: {
      verdict: VERDICT_NAMES[verdict] ?? String(verdict),
      origin: f.origin[cell] as number,
      generation,
    },
  };
}

function stateOf(flags: number, kind: Kind): FlowRecord['state'] {
  if (kind === 'unproven') return 'unproven';
  const hasFinished = (flags & FLOW_FIN_INIT) !== 0 && (flags & FLOW_FIN_RESP) !== 0;
  if (hasFinished || (flags & FLOW_RST) !== 0) return 'closing';
  return (flags & FLOW_SEEN_REPLY) === 0 ? 'new' : 'established';
}

function timeoutOf(protocol: number, flags: number, kind: Kind, t: FlowTimeouts): number {
  const state = stateOf(flags, kind);
  if (protocol === TCP) {
    if (state === 'closing') return t.tcpFin;
    return state === 'established' ? t.tcp : t.tcpSyn;
  }
  if (protocol === 17) return state === 'established' ? t.udpStream : t.udp;
  return ICMP.has(protocol) ? t.icmp : t.generic;
}
