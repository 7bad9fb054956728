/**
 * Keeps what the kernel enforces equal to what the tables say. One pass at a time; what changes meanwhile is
 * taken together in the next. A pass that fails leaves what is enforced as it was and is tried again.
 */
import type { Logger } from 'pino';
import { aborted } from '#kit/async';
import type { Clock } from '#kit/clock';
import { errorMessage } from '#kit/errors';
import type { AnyTable } from '#table';
import {
  type ControlInput,
  ControlMemo,
  type Enforced,
  enforce,
  type Inherited,
  type PolicySink,
} from './control.ts';
import { EnforceTimes } from './enforce-time.ts';

/**
 * Pause before a failed pass is tried again, when no change comes first: this long, and ten times as long as the
 * pass took, since policies that there is no room for are computed in vain each time.
 */
const RETRY_MS = 2000;
const RETRY_FACTOR = 10;

export interface PolicyLoopOptions {
  /** Tables that `input` reads; the loop runs when one changes. */
  readonly tables: readonly AnyTable[];
  /** What shall be enforced now; undefined while a source has not finished its first listing. */
  readonly input: () => ControlInput | undefined;
  /** Revision of the tables that `input` would read now. */
  readonly revision: () => number;
  readonly sink: PolicySink;
  /** What the start before this one left. */
  readonly inherited: Inherited;
  readonly onEnforced: (enforced: Enforced) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class PolicyLoop {
  readonly #options: PolicyLoopOptions;
  readonly times = new EnforceTimes();
  readonly #waiting = new Set<() => void>();
  readonly #memo = new ControlMemo();
  #enforced: Enforced | undefined;
  #enforcedMs = 0;
  #revision = 0;
  #error: Error | undefined;
  #dirtySinceMs: number | undefined;
  #wake: (() => void) | undefined;

  constructor(options: PolicyLoopOptions) {
    this.#options = options;
  }

  /** What the kernel enforces; undefined before the first pass has succeeded. */
  get enforced(): Enforced | undefined {
    return this.#enforced;
  }

  /** When that was reached, of the clock. */
  get enforcedMs(): number {
    return this.#enforcedMs;
  }

  /** Why the last pass failed; undefined when it did not. */
  get error(): unknown {
    return this.#error;
  }

  /**
   * Whether all changes up to this revision of the tables are enforced. A revision that changed none of the
   * tables that policy is made of asks for nothing, and no pass comes for it.
   */
  hasEnforced(revision: number): boolean {
    const newest = Math.max(0, ...this.#options.tables.map((table) => table.revision));
    return this.#enforced !== undefined && this.#revision >= Math.min(revision, newest);
  }

  /** Resolves once everything up to `revision` is enforced. Rejects when the pass that had it failed. */
  async settled(revision: number, signal: AbortSignal): Promise<void> {
    while (!this.hasEnforced(revision)) {
      signal.throwIfAborted();
      await Promise.race([new Promise<void>((resolve) => this.#waiting.add(resolve)), aborted(signal)]);
      if (this.#error !== undefined) throw this.#error;
    }
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    using changed = new DisposableStack();
    for (const table of this.#options.tables) changed.use(table.onChange(() => this.#touch()));
    this.#touch();
    while (!signal.aborted) {
      if (this.#dirtySinceMs === undefined) await this.#idle(signal);
      else await this.#pass(signal);
    }
  }

  #touch(): void {
    this.#dirtySinceMs ??= this.#options.clock.nowMs();
    this.#wake?.();
  }

  async #idle(signal: AbortSignal): Promise<void> {
    await Promise.race([
      new Promise<void>((resolve) => (this.#wake = resolve)),
      aborted(signal).catch(() => undefined),
    ]);
    this.#wake = undefined;
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const sinceMs = this.#dirtySinceMs ?? clock.nowMs();
    this.#dirtySinceMs = undefined;
    const revision = this.#options.revision();
    const input = this.#options.input();
    if (input === undefined) return;
    const beganMs = clock.nowMs();
    try {
      const isRepair = this.#error !== undefined;
      const { sink, inherited } = this.#options;
      const done = await enforce(input, this.#enforced, inherited, sink, this.#memo, isRepair);
      this.#enforced = done;
      this.#enforcedMs = clock.nowMs();
      this.#revision = revision;
      this.#error = undefined;
      this.times.add(clock.nowMs() - sinceMs);
      this.#options.onEnforced(done);
    } catch (err) {
      if (signal.aborted) return;
      this.#error = err instanceof Error ? err : new Error(errorMessage(err));
      logger.error({ err, rev: revision, reason: errorMessage(err) }, 'a policy change is not enforced');
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    if (this.#error !== undefined) {
      const pauseMs = Math.max(RETRY_MS, RETRY_FACTOR * (clock.nowMs() - beganMs));
      await Promise.race([this.#idle(signal), clock.sleep(pauseMs, signal).catch(() => undefined)]);
      this.#touch();
    }
  }
}
