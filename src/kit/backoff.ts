/** The one way to try again: growing pauses with jitter. */
import type { Clock } from './clock.ts';

/** Pauses before the 1st, 2nd, … further try: `minMs`, times `factor` each, never above `maxMs`. */
export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  /** 2 unless given. */
  readonly factor?: number;
  /** Part of the pause that is random, 0 … 1; 0.5 unless given: half fixed, so that pauses never collapse to 0. */
  readonly jitter?: number;
}

/** Pause in milliseconds after `failures` failures in a row (1 upward). `random` gives numbers in [0, 1). */
export function backoffDelayMs(backoff: Backoff, failures: number, random: () => number): number {
  const { minMs, maxMs, factor = 2, jitter = 0.5 } = backoff;
  const full = Math.min(maxMs, minMs * factor ** Math.min(failures - 1, 1000));
  return full * (1 - jitter * random());
}

/** How `retry` tries again. */
export interface RetryOptions extends Backoff {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
  /** Tries in all; without end unless given. */
  readonly attempts?: number;
  /** False ends it with the error at once; every error is worth a try unless given. */
  readonly isRetriable?: (e: unknown) => boolean;
  /** Called before each pause. */
  readonly onFailure?: (e: unknown, nextTryMs: number) => void;
}

/** The first success of `fn`; the last error when tries are used up; the signal's reason when it aborts. */
export async function retry<T>(fn: (signal: AbortSignal) => Promise<T>, opts: RetryOptions): Promise<T> {
  const { signal, clock, random, attempts = Number.POSITIVE_INFINITY } = opts;
  for (let failures = 1; ; failures++) {
    signal.throwIfAborted();
    try {
      return await fn(signal);
    } catch (e) {
      if (signal.aborted || failures >= attempts || opts.isRetriable?.(e) === false) throw e;
      const pauseMs = backoffDelayMs(opts, failures, random);
      opts.onFailure?.(e, pauseMs);
      await clock.sleep(pauseMs, signal);
    }
  }
}
