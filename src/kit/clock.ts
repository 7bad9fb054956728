/**
 * Time as an argument: pure parts and everything with a timeout get a clock, so that tests of ten-minute
 * faults do not wait.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';

/** Monotonic milliseconds and a sleep that ends early, by rejecting with its reason, when the signal aborts. */
export interface Clock {
  nowMs(): number;
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The machine's monotonic clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await sleepFor(Math.min(ms, 2 ** 31 - 1), undefined, { signal });
    } catch (e) {
      throw signal.aborted ? signal.reason : e;
    }
  },
};

/** A clock that stands until it is told to move. */
export interface FakeClock extends Clock {
  /** Moves on by `ms`, waking sleepers in the order of their time and letting what they start run in between. */
  advance(ms: number): Promise<void>;
  /** How many sleep. */
  readonly sleeping: number;
  /** When the next sleeper wakes; undefined when none sleeps. */
  readonly nextWakeMs: number | undefined;
}

interface Sleeper {
  readonly wakeMs: number;
  readonly wake: () => void;
}

/** A clock for tests; starts at `startMs`. */
export function fakeClock(startMs = 0): FakeClock {
  let now = startMs;
  const sleepers = new Set<Sleeper>();
  const next = () => {
    let first: Sleeper | undefined;
    for (const s of sleepers) if (first === undefined || s.wakeMs < first.wakeMs) first = s;
    return first;
  };
  return {
    nowMs: () => now,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const stop = () => {
          sleepers.delete(sleeper);
          reject(signal.reason);
        };
        const sleeper: Sleeper = {
          wakeMs: now + Math.max(0, ms),
          wake: () => {
            sleepers.delete(sleeper);
            signal.removeEventListener('abort', stop);
            resolve();
          },
        };
        signal.addEventListener('abort', stop, { once: true });
        sleepers.add(sleeper);
      }),
    advance: async (ms) => {
      const end = now + ms;
      await drainMicrotasks();
      for (let s = next(); s !== undefined && s.wakeMs <= end; s = next()) {
        now = Math.max(now, s.wakeMs);
        s.wake();
        await drainMicrotasks();
      }
      now = end;
      await drainMicrotasks();
    },
    get sleeping() {
      return sleepers.size;
    },
    get nextWakeMs() {
      return next()?.wakeMs;
    },
  };
}

/** One turn of the event loop: every promise that can settle has settled, whatever its depth. */
function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
