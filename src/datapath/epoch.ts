/**
 * Tells the datapath that addresses have changed hands, so that flows of those peers are judged again: first
 * the tables (the caller), then the clock, last the time of each address's bucket. A judgement made from old
 * tables has read an older clock and can never carry a time that counts as new.
 */
import type { Ip } from '#kit/ip';
import {
  EPOCH_BUCKETS,
  EPOCH_MULTIPLIER0,
  EPOCH_MULTIPLIER1,
  EPOCH_MULTIPLIER2,
  EPOCH_MULTIPLIER3,
  EPOCH_SHIFT,
  LIVE_STATE,
} from '#wire/bpf';

const CLOCK = LIVE_STATE.clock / 4;
const WIDE = LIVE_STATE.epoch_wide / 4;
const FIRST_BUCKET = LIVE_STATE.epoch / 4;
/** Bucket times older than this are pulled forward, long before comparisons wrap at 2^31. */
const OLD = 2 ** 30;
const SWEEP = 2 ** 16;

/** Bucket of a peer address; the same function as the datapath's. */
export function epochBucket({ family, bytes }: Ip): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Words as the CPU loads them from network order; both machines we run on are little-endian.
  const word = (i: number) => view.getUint32(4 * i, true);
  if (family === 4) return Math.imul(word(0), EPOCH_MULTIPLIER3) >>> EPOCH_SHIFT;
  const sum =
    Math.imul(word(3), EPOCH_MULTIPLIER3) +
    Math.imul(word(0), EPOCH_MULTIPLIER0) +
    Math.imul(word(1), EPOCH_MULTIPLIER1) +
    Math.imul(word(2), EPOCH_MULTIPLIER2);
  return (sum | 0) >>> EPOCH_SHIFT;
}

export class Epochs {
  readonly #live: Uint32Array;
  readonly #saveClock: (clock: number) => void;

  /** `live`: the mapped `struct live_state`. `saveClock` keeps the highest time across restarts. */
  constructor(live: Uint32Array, saveClock: (clock: number) => void, least: number) {
    this.#live = live;
    this.#saveClock = saveClock;
    if (((live[CLOCK] as number) - least) | 0)
      Atomics.store(live, CLOCK, laterOf(live[CLOCK] as number, least));
  }

  get clock(): number {
    return this.#live[CLOCK] as number;
  }

  /** Host addresses changed hands; `isWide`: so did prefixes, or who they are cannot be told. */
  advance(addresses: Iterable<Ip>, isWide = false): void {
    const now = ((this.#live[CLOCK] as number) + 1) >>> 0;
    this.#saveClock(now);
    Atomics.store(this.#live, CLOCK, now);
    if (isWide) Atomics.store(this.#live, WIDE, now);
    for (const address of addresses) Atomics.store(this.#live, FIRST_BUCKET + epochBucket(address), now);
    if (now % SWEEP === 0) this.pullForward();
  }

  /** Buckets whose time is so old that order would turn around. Costs a new judgement of ancient flows only. */
  pullForward(): void {
    const now = this.clock;
    const pull = (at: number) => {
      if ((now - (this.#live[at] as number)) >>> 0 > OLD) Atomics.store(this.#live, at, (now - OLD) >>> 0);
    };
    pull(WIDE);
    for (let i = 0; i < EPOCH_BUCKETS; i++) pull(FIRST_BUCKET + i);
  }
}

/** The later of two logical times, with wrap-around. */
function laterOf(a: number, b: number): number {
  return ((a - b) | 0) >= 0 ? a : b;
}
