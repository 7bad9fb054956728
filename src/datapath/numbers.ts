/**
 * Small numbers given out lowest first, so that tables indexed by them stay short. What is given back is
 * given out again at once: the caller waits for the grace period.
 */
export class Numbers {
  readonly limit: number;
  #next: number;
  /** Descending once sorted; taken from the end. */
  #returned: number[] = [];
  #isSorted = true;

  /** Numbers from `first` up to but not including `limit`. */
  constructor(first: number, limit: number) {
    this.#next = first;
    this.limit = limit;
  }

  /** One more than the highest number ever in use: the length of a table that holds them all. */
  get end(): number {
    return this.#next;
  }

  /** How many more can be taken. */
  get left(): number {
    return this.limit - this.#next + this.#returned.length;
  }

  /** The highest number that `count` further calls of `take` would reach. */
  highestAfter(count: number): number {
    return Math.max(this.#next, this.#next + count - this.#returned.length) - 1;
  }

  take(): number | undefined {
    if (!this.#isSorted) this.#returned.sort((a, b) => b - a);
    this.#isSorted = true;
    const returned = this.#returned.pop();
    if (returned !== undefined) return returned;
    return this.#next < this.limit ? this.#next++ : undefined;
  }

  give(n: number): void {
    this.#returned.push(n);
    this.#isSorted = false;
  }

  /** Marks numbers found in adopted memory as used. */
  reserve(used: Iterable<number>): void {
    const set = new Set(used);
    const from = this.#next;
    for (const n of set) this.#next = Math.max(this.#next, n + 1);
    for (let n = from; n < this.#next; n++) if (!set.has(n)) this.give(n);
  }
}
