/** Counters of the datapath, summed over CPUs. */
import { batchCursor, mapLookup, mapLookupBatch, mapUpdate, possibleCpus } from '#native';
import {
  DROP_COUNTER_SIZE,
  DROP_REASON_NAMES,
  RULE_COUNTER,
  RULE_COUNTER_SIZE,
  type STAT,
  STAT_NAMES,
} from '#wire/bpf';
import type { DatapathMaps } from './maps.ts';

/** Hits of one set of rules. */
export interface OriginCounter {
  readonly origin: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly flows: bigint;
  /** Seconds of the datapath's clock; 0 = never. */
  readonly lastHit: number;
}

export interface DropCounter {
  readonly reason: string;
  readonly ifindex: number;
  readonly packets: bigint;
  readonly bytes: bigint;
}

const REASONS = 256;
/** What audit let pass is counted so far below the reason it would have been dropped for. */
const AUDITED_BELOW = 128;

export class Counters {
  readonly #maps: DatapathMaps;
  readonly #cpus = possibleCpus();

  constructor(maps: DatapathMaps) {
    this.#maps = maps;
  }

  /** Counters of all origins up to `last` that were ever hit. */
  origins(last: number): readonly OriginCounter[] {
    const chunk = 1024;
    const stride = RULE_COUNTER_SIZE * this.#cpus;
    const cursor = batchCursor(4);
    const keys = new Uint32Array(chunk);
    const values = new DataView(new ArrayBuffer(chunk * stride));
    const found: OriginCounter[] = [];
    while (!cursor.isDone) {
      const count = mapLookupBatch(this.#maps.fd('rule_count'), cursor, keys, values, chunk);
      for (let i = 0; i < count; i++) {
        const counter = this.#sumOrigin(keys[i] as number, values, i * stride);
        if (counter !== undefined) found.push(counter);
      }
      if ((keys[count - 1] ?? 0) >= last) break;
    }
    return found;
  }

  #sumOrigin(origin: number, values: DataView, at: number): OriginCounter | undefined {
    let packets = 0n;
    let bytes = 0n;
    let flows = 0n;
    let lastHit = 0;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      const field = (offset: number) => values.getBigUint64(at + cpu * RULE_COUNTER_SIZE + offset, true);
      packets += field(RULE_COUNTER.packets);
      bytes += field(RULE_COUNTER.bytes);
      flows += field(RULE_COUNTER.flows);
      lastHit = Math.max(lastHit, Number(field(RULE_COUNTER.last_hit)));
    }
    return packets === 0n && flows === 0n ? undefined : { origin, packets, bytes, flows, lastHit };
  }

  /** Starts an origin's counters anew: its number gets another meaning. */
  clearOrigin(origin: number): void {
    mapUpdate(
      this.#maps.fd('rule_count'),
      Uint32Array.of(origin),
      new Uint8Array(RULE_COUNTER_SIZE * this.#cpus),
    );
  }

  /** Drops of these counter indexes, by reason. */
  drops(slots: ReadonlyMap<number, number>): readonly DropCounter[] {
    return this.#byReason(slots, 0);
  }

  /** What audit let pass, by the reason it would have been dropped for. */
  audited(slots: ReadonlyMap<number, number>): readonly DropCounter[] {
    return this.#byReason(slots, AUDITED_BELOW);
  }

  #byReason(slots: ReadonlyMap<number, number>, below: number): readonly DropCounter[] {
    const found: DropCounter[] = [];
    const values = new DataView(new ArrayBuffer(DROP_COUNTER_SIZE * this.#cpus));
    for (const [slot, ifindex] of [[0, 0] as const, ...slots])
      for (let reason = below; reason < REASONS; reason++) {
        const name = DROP_REASON_NAMES[reason];
        if (name === undefined) continue;
        mapLookup(this.#maps.fd('drop_count'), Uint32Array.of(slot * REASONS + reason - below), values);
        let packets = 0n;
        let bytes = 0n;
        for (let cpu = 0; cpu < this.#cpus; cpu++) {
          packets += values.getBigUint64(cpu * DROP_COUNTER_SIZE, true);
          bytes += values.getBigUint64(cpu * DROP_COUNTER_SIZE + 8, true);
        }
        if (packets > 0n) found.push({ reason: name, ifindex, packets, bytes });
      }
    return found;
  }

  /** Starts a device's drop counters anew: its index gets another device. */
  clearDrops(slot: number): void {
    const zero = new Uint8Array(DROP_COUNTER_SIZE * this.#cpus);
    for (let reason = 0; reason < REASONS; reason++)
      mapUpdate(this.#maps.fd('drop_count'), Uint32Array.of(slot * REASONS + reason), zero);
  }

  /** Paths taken, by name. */
  stats(): Readonly<Record<keyof typeof STAT, bigint>> {
    const values = new BigUint64Array(this.#cpus);
    const entries = Object.entries(STAT_NAMES).map(([index, name]) => {
      mapLookup(this.#maps.fd('stat_count'), Uint32Array.of(Number(index)), values);
      return [name, values.reduce((sum, n) => sum + n, 0n)] as const;
    });
    return Object.fromEntries(entries) as Record<keyof typeof STAT, bigint>;
  }
}
