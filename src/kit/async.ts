/** Waiting, with an end: conditions, deadlines, mutual exclusion, bounded channels, bounded concurrency. */
import type { Clock } from './clock.ts';
import { systemClock } from './clock.ts';
import { MerlonError } from './errors.ts';
import { formatDuration } from './units.ts';

/** How `until` waits. */
export interface UntilOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** What is waited for, as `the socket listens`; part of the error. */
  readonly what: string;
  /** Pause between two looks; 10 ms unless given. */
  readonly intervalMs?: number;
  readonly clock?: Clock;
}

/**
 * The first value of `check` that is neither `undefined` nor `false`. Looks at least once, and once more when
 * the time is over. Errors: `TIMEOUT`; the signal's reason; whatever `check` throws.
 */
export async function until<T>(
  check: () => T | undefined | false | Promise<T | undefined | false>,
  { signal, timeoutMs, what, intervalMs = 10, clock = systemClock }: UntilOptions,
): Promise<T> {
  const end = clock.nowMs() + timeoutMs;
  for (;;) {
    signal.throwIfAborted();
    const now = clock.nowMs();
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (now >= end) {
      throw new MerlonError('TIMEOUT', `waited ${formatDuration(timeoutMs)} in vain until ${what}`);
    }
    await clock.sleep(Math.min(intervalMs, end - now), signal);
  }
}

/** A signal that aborts with `TIMEOUT` after `timeoutMs`, or when `signal` does. Dispose it when done. */
export function deadline(
  timeoutMs: number,
  what: string,
  signal?: AbortSignal,
): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new MerlonError('TIMEOUT', `${what}: no end after ${formatDuration(timeoutMs)}`));
  }, timeoutMs);
  const signals = signal === undefined ? [controller.signal] : [controller.signal, signal];
  return { signal: AbortSignal.any(signals), [Symbol.dispose]: () => clearTimeout(timer) };
}

/** The promise's outcome, or the signal's reason if that comes first. What runs behind the promise goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Resolves when the signal aborts; never rejects. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** One holder at a time, first come first served. */
export class Mutex {
  #locked = false;
  readonly #waiting: (() => void)[] = [];

  get isLocked(): boolean {
    return this.#locked;
  }

  /** The lock; dispose it to pass it on. Rejects with the signal's reason when that aborts first. */
  async lock(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#locked) await this.#turn(signal);
    this.#locked = true;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#pass();
        isHeld = false;
      },
    };
  }

  /** Runs `fn` while holding the lock. */
  async run<T>(fn: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    using _lock = await this.lock(signal);
    return await fn();
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal?.reason);
      };
      this.#waiting.push(enter);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  /** The lock goes to the next in line without being free in between, so that nobody overtakes. */
  #pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#locked = false;
    else next();
  }
}

/** A queue with a bound between a producer and consumers. */
export class Channel<T> implements AsyncIterable<T> {
  readonly #capacity: number;
  readonly #items: T[] = [];
  readonly #receivers: ((item: T | undefined) => void)[] = [];
  readonly #senders: (() => void)[] = [];
  #closed = false;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Adds without waiting; false when full or closed: the caller counts what was lost. */
  trySend(item: T): boolean {
    if (this.#closed) return false;
    const receiver = this.#receivers.shift();
    if (receiver !== undefined) receiver(item);
    else if (this.#items.length < this.#capacity) this.#items.push(item);
    else return false;
    return true;
  }

  /** Adds, waiting for room; false when the channel was closed. */
  async send(item: T, { signal }: { readonly signal: AbortSignal }): Promise<boolean> {
    while (!this.trySend(item)) {
      if (this.#closed) return false;
      await this.#wait(this.#senders, signal);
    }
    return true;
  }

  /** The next item; undefined when the channel is closed and empty. */
  async receive({ signal }: { readonly signal: AbortSignal }): Promise<T | undefined> {
    signal.throwIfAborted();
    if (this.#items.length > 0) {
      const item = this.#items.shift() as T;
      this.#senders.shift()?.();
      return item;
    }
    return this.#closed ? undefined : this.#wait<T | undefined>(this.#receivers, signal);
  }

  /** No more items; receivers get what is left. */
  close(): void {
    this.#closed = true;
    for (const receiver of this.#receivers.splice(0)) receiver(undefined);
    for (const sender of this.#senders.splice(0)) sender();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const { signal } = new AbortController();
    for (;;) {
      const item = await this.receive({ signal });
      if (item === undefined) return;
      yield item;
    }
  }

  #wait<R>(line: ((result: R) => void)[], signal: AbortSignal): Promise<R> {
    return new Promise((resolve, reject) => {
      const enter = (result: R) => {
        signal.removeEventListener('abort', leave);
        resolve(result);
      };
      const leave = () => {
        line.splice(line.indexOf(enter), 1);
        reject(signal.reason);
      };
      if (signal.aborted) return reject(signal.reason);
      line.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}

/** Runs `fn` over the items, at most `limit` at once; results in the items' order. The first error ends it. */
export async function mapBounded<T, R>(
  items: readonly T[],
  limit: number,
  fn: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) results[index] = await fn(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
