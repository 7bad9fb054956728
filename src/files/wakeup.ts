/** Waiting for a burst of events to end: quiet time with a bound, on a clock that tests move. */
import type { Clock } from '#kit/clock';

/** Counts what happens, so that nobody who waits misses it. */
export class Wakeup {
  #count = 0;
  readonly #waiting = new Set<() => void>();

  /** Something happened. */
  ring(): void {
    this.#count++;
    for (const wake of [...this.#waiting]) wake();
    this.#waiting.clear();
  }

  get count(): number {
    return this.#count;
  }

  /** Resolves with true when something has happened after `seen`, with false after `ms`. */
  async wait(seen: number, ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    if (this.#count > seen) return true;
    const done = new AbortController();
    const rung = new Promise<void>((resolve) => this.#waiting.add(resolve));
    const slept = clock.sleep(ms, AbortSignal.any([signal, done.signal])).catch((e: unknown) => {
      if (signal.aborted) throw e;
    });
    try {
      await Promise.race([rung, slept]);
    } finally {
      done.abort();
    }
    signal.throwIfAborted();
    return this.#count > seen;
  }

  /** Resolves once nothing has happened for `quietMs`, or after `maxMs`. */
  async quiet(quietMs: number, maxMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
    const end = clock.nowMs() + maxMs;
    for (;;) {
      const left = Math.min(quietMs, end - clock.nowMs());
      if (left <= 0 || !(await this.wait(this.#count, left, clock, signal))) return;
    }
  }
}
