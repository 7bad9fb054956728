/** Time to enforce: from an accepted change to the switch in the kernel. Measured always, for every change. */

/** How many of the last changes the percentiles are taken over. */
const KEPT = 1024;

export class EnforceTimes {
  readonly #times: number[] = [];
  #count = 0;

  add(ms: number): void {
    this.#times[this.#count % KEPT] = ms;
    this.#count += 1;
  }

  /** Of the last 1,024 changes, in milliseconds; zeroes before the first. */
  get summary(): {
    readonly last: number;
    readonly p50: number;
    readonly p99: number;
    readonly count: number;
  } {
    const sorted = [...this.#times].sort((a, b) => a - b);
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
    const last = this.#times[(this.#count - 1) % KEPT] ?? 0;
    return { last, p50: at(0.5), p99: at(0.99), count: this.#count };
  }
}
