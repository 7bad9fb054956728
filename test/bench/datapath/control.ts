/** What changes cost: policy and identities in the kernel, memory of rule sets, decoding of events. */
import { RingReader, SLOT_BYTES } from '../../../src/datapath/ring.ts';
import type { Bed } from './bed.ts';
import type { Effort } from './measure.ts';
import { median } from './median.ts';
import { table } from './report.ts';
import { CHURN_IDENTITIES, type World, worldOf } from './world.ts';

/** One figure. */
export interface ControlLine {
  readonly name: string;
  readonly value: number;
  readonly unit: 'ms' | 'ns' | 'bytes';
  readonly target?: number;
  readonly met?: boolean;
  /** What the figure is of. */
  readonly of: string;
}

const line = (
  name: string,
  value: number,
  unit: ControlLine['unit'],
  of: string,
  target?: number,
): ControlLine => ({
  name,
  value: Number(value.toFixed(unit === 'bytes' ? 0 : 2)),
  unit,
  of,
  ...(target === undefined ? {} : { target, met: value <= target }),
});

async function timed(fn: () => unknown): Promise<number> {
  const start = performance.now();
  await fn();
  return performance.now() - start;
}

const ENTRIES = 10_000;
const ADDRESSES = 100_000;

/** Memory that the live rule sets take, one slot of each. */
export function ruleSetLine(bed: Bed, world: World): ControlLine {
  const { arena, live } = bed.datapath.policy.rulesets;
  return line(
    'ruleset_bytes',
    (arena.used * 8) / live.size,
    'bytes',
    `one slot, ${world.rules} rules in its table`,
  );
}

/** The node's rules get other ports: from the call until the kernel enforces it, and until all is tidy. */
async function policyChange(
  bed: Bed,
  effort: Effort,
  rules: number,
  ports?: number,
): Promise<readonly [number, number, string]> {
  const worlds = [worldOf(rules, 0, ports), worldOf(rules, 1, ports)] as const;
  const { rowCount, columnCount } = worlds[0].compiled.host.directions.ingress;
  await bed.enforce(worlds[0]);
  const switched: number[] = [];
  const settled: number[] = [];
  for (let i = 1; i <= effort.rounds; i++) {
    const { compiled } = worlds[i % 2] ?? worlds[0];
    const start = performance.now();
    await bed.datapath.applyPolicy(compiled);
    switched.push(performance.now() - start);
    await bed.datapath.settled();
    settled.push(performance.now() - start);
  }
  return [median(switched), median(settled), `${rules} rules, ${rowCount * columnCount} cells`];
}

/** So many rules make ten thousand cells; and ten thousand rules. */
async function policyChanges(bed: Bed, effort: Effort): Promise<ControlLine[]> {
  const [small, , smallOf] = await policyChange(bed, effort, ENTRIES / 16);
  const [large, largeSettled, largeOf] = await policyChange(bed, effort, ENTRIES);
  const [wide, wideSettled, wideOf] = await policyChange(bed, effort, ENTRIES, 500);
  return [
    line('policy_change_10k_entries', small, 'ms', smallOf, 20),
    line('policy_change_10k_rules', large, 'ms', largeOf),
    line('policy_change_10k_rules_settled', largeSettled, 'ms', `${largeOf}; grace periods over`),
    line('policy_change_10k_rules_500_ports', wide, 'ms', `${wideOf} in blocks`),
    line('policy_change_10k_rules_500_ports_settled', wideSettled, 'ms', `${wideOf} in blocks; tidy`),
  ];
}

/** A hundred thousand addresses: learnt, then moved to another identity, then forgotten. */
async function ipcacheFeed(bed: Bed): Promise<ControlLine[]> {
  const { ipcache } = bed.datapath;
  const rowsOf = (identity: (typeof CHURN_IDENTITIES)[number]) =>
    Array.from({ length: ADDRESSES }, (_, i) => {
      const prefix = `10.${100 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}/32`;
      return { prefix, identity, isEndpoint: false, isNode: false };
    });
  const [first, second] = CHURN_IDENTITIES.map(rowsOf) as [
    ReturnType<typeof rowsOf>,
    ReturnType<typeof rowsOf>,
  ];
  const of = `${ADDRESSES} addresses`;
  return [
    line('ipcache_insert_100k', await timed(() => ipcache.update(first)), 'ms', of),
    line('ipcache_move_100k', await timed(() => ipcache.update(second)), 'ms', of),
    line(
      'ipcache_move_10k',
      await timed(() => ipcache.update(first.slice(0, ENTRIES))),
      'ms',
      '10000 addresses',
      20,
    ),
    line(
      'ipcache_remove_100k',
      await timed(() => ipcache.remove(first.map(({ prefix }) => prefix))),
      'ms',
      of,
    ),
  ];
}

const RING_BYTES = 1 << 22;
const RECORD_BYTES = 64;
const HEADER = 8;

/** Framing and copying of records, from a ring that is memory only. */
function ringDecode(effort: Effort): ControlLine {
  const [consumer, producer] = [new ArrayBuffer(4096), new ArrayBuffer(4096)];
  const data = new ArrayBuffer(2 * RING_BYTES);
  const words = new Uint32Array(data);
  const stride = RECORD_BYTES + HEADER;
  const count = Math.floor(RING_BYTES / stride);
  for (let i = 0; i < count; i++) words[(i * stride) / 4] = RECORD_BYTES;
  const reader = new RingReader({ consumer, producer, data }, RING_BYTES);
  const slots = new BigUint64Array((8192 * SLOT_BYTES) / 8);
  const perEvent: number[] = [];
  for (let round = 0; round < effort.rounds + 2; round++) {
    new BigUint64Array(consumer)[0] = 0n;
    new BigUint64Array(producer)[0] = BigInt(count * stride);
    const start = performance.now();
    let taken = 0;
    for (let n = reader.drain(slots, 0, 8192); n > 0; n = reader.drain(slots, 0, 8192)) taken += n;
    if (taken !== count) throw new Error(`${taken} of ${count} records were read`);
    if (round >= 2) perEvent.push(((performance.now() - start) * 1e6) / count);
  }
  return line('ring_decode', median(perEvent), 'ns', 'an event of 64 bytes, framed and copied');
}

/** All of them. */
export async function controlLines(bed: Bed, effort: Effort): Promise<readonly ControlLine[]> {
  return [...(await policyChanges(bed, effort)), ...(await ipcacheFeed(bed)), ringDecode(effort)];
}

export function controlTable(lines: readonly ControlLine[]): string {
  return table(
    ['control', 'value', 'unit', 'target', '', 'of'],
    lines.map((l) => [
      l.name,
      String(l.value),
      l.unit,
      l.target === undefined ? '' : String(l.target),
      l.met === undefined ? '' : l.met ? 'met' : 'MISSED',
      l.of,
    ]),
  );
}
