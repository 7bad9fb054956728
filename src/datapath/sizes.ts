/**
 * How many entries each map has (HF-3.5). Flow tables follow the machine's memory, everything else has room
 * for what one node is expected to hold; tests and small machines override by name.
 */
import { MAPS, type MapName, UNPROVEN_WAYS } from '#wire/bpf';

/** Bytes of a flow record with its place in the kernel's hash. */
export const FLOW_RECORD_BYTES = 192;

const FLOW_SHARE = 0.0025;
const FLOW_LEAST = 65536;
const FLOW_MOST = 16 * 1024 * 1024;
const FLOW_SET_LEAST = 4096;
/** Unproven and overflow tables, per family. */
const SIDE_MOST = 65536;
/** Per-CPU counters of origins: 32 bytes each on every CPU. */
const COUNTER_BYTES_MOST = 64 * 1024 * 1024;

const clamp = (n: number, least: number, most: number) => Math.min(most, Math.max(least, n));

export interface SizeInput {
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly rings: number;
  /** `hostfw.ct.maxTCP`, `hostfw.ct.maxOther`: entries per family. */
  readonly maxTcp?: number | undefined;
  readonly maxOther?: number | undefined;
  readonly overrides?: Partial<Record<MapName, number>> | undefined;
}

export type MapSizes = Readonly<Record<MapName, number>>;

export function mapSizes(input: SizeInput): MapSizes {
  const records = (input.memoryBytes * FLOW_SHARE) / FLOW_RECORD_BYTES;
  const flows = (set: number | undefined, share: number) =>
    set === undefined
      ? clamp(Math.floor((records * share) / 2), FLOW_LEAST, FLOW_MOST)
      : Math.max(FLOW_SET_LEAST, set);
  const tcp = flows(input.maxTcp, 2 / 3);
  const other = flows(input.maxOther, 1 / 3);
  const side = Math.min(SIDE_MOST, tcp);
  const origins = Math.floor(COUNTER_BYTES_MOST / 32 / input.cpus);
  const arenaBytes = clamp(input.memoryBytes * 0.002, 16 << 20, 256 << 20);
  const base = Object.fromEntries(Object.entries(MAPS).map(([name, m]) => [name, m.maxEntries as number]));
  return {
    ...(base as Record<MapName, number>),
    flow_tcp4: tcp,
    flow_tcp6: tcp,
    flow_any4: other,
    flow_any6: other,
    unproven4: Math.ceil(side / UNPROVEN_WAYS),
    unproven6: Math.ceil(side / UNPROVEN_WAYS),
    overflow4: side,
    overflow6: side,
    rulesets: 4096,
    arena: Math.floor(arenaBytes / 8 / 512) * 512,
    identity_class: (256 << 12) / 4,
    endpoints: 8192,
    ipcache_host4: 131072,
    ipcache_host6: 131072,
    rule_count: clamp(origins, 4096, 65536),
    events: input.rings,
    event_limits: input.rings,
    ...input.overrides,
  };
}
