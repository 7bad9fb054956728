/**
 * Wall-clock times of moments that the kernel counts from its start. The difference of the two clocks is read to
 * the millisecond only and trembles with every reading: it is kept until the wall clock is set or has drifted, so
 * that the same moment is told alike each time.
 */

/** A difference that is larger is no trembling. */
const SET_NS = 5_000_000n;

export interface Clocks {
  readonly wallMs: () => number;
  readonly monotonicNs: () => bigint;
}

export class WallClock {
  readonly #clocks: Clocks;
  #offsetNs: bigint | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  /** Wall-clock nanoseconds at monotonic time zero. */
  get offsetNs(): bigint {
    const now = BigInt(this.#clocks.wallMs()) * 1_000_000n - this.#clocks.monotonicNs();
    const kept = this.#offsetNs;
    if (kept === undefined || now - kept > SET_NS || kept - now > SET_NS) this.#offsetNs = now;
    return this.#offsetNs ?? now;
  }

  /** The time of a monotonic second, RFC 3339 with milliseconds. */
  timeOf(second: number): string {
    const ns = BigInt(second) * 1_000_000_000n + this.offsetNs;
    return new Date(Number(ns / 1_000_000n)).toISOString();
  }
}
