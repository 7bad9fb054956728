/**
 * Makes the world equal to a table by three idempotent operations: update and delete follow the changes,
 * prune compares everything from time to time. A row's status is pending, done, or error with reason and
 * time of the next try; failed rows are tried again with growing pauses, or at once when they change.
 *
 *   table ──changes──▶ pending ──batch──▶ in flight ──▶ done
 *                         ▲                   │
 *                         └── retry time ── failed      (changed while in flight: pending again)
 *
 * A key is never in two operations at once. Updates go before deletions: what is allowed anew is there before
 * what goes is gone. Prune runs alone, never before the table is synced, and never for a table that has no
 * source: an empty table for which nobody vouches would empty the world.
 */
import type { Backoff } from '#kit/backoff';
import { backoffDelayMs } from '#kit/backoff';
import type { Clock } from '#kit/clock';
import { errorMessage } from '#kit/errors';
import type { ChangeIterator } from './changes.ts';
import type { Key } from './store.ts';
import type { Table } from './table.ts';

/** Rows of a batch that failed, each with what was thrown. Nothing, or no rows: all went well. */
export type Failures<R> = ReadonlyMap<R, unknown> | undefined | void;

/** Compares the whole world with the rows; removes what should not be there; returns rows that need an update. */
type Prune<R> = (rows: readonly R[], signal: AbortSignal) => Promise<Iterable<R> | void> | Iterable<R> | void;

/** The three operations, row by row. Throwing means: this row failed. */
export interface RowOperations<R> {
  readonly update: (row: R, signal: AbortSignal) => Promise<void> | void;
  readonly delete: (row: R, signal: AbortSignal) => Promise<void> | void;
  readonly prune?: Prune<R>;
}

/** The three operations on many rows at once. Throwing means: all of them failed. */
export interface BatchOperations<R> {
  readonly updateBatch: (rows: readonly R[], signal: AbortSignal) => Promise<Failures<R>> | Failures<R>;
  readonly deleteBatch: (rows: readonly R[], signal: AbortSignal) => Promise<Failures<R>> | Failures<R>;
  readonly prune?: Prune<R>;
}

/** How a row stands. */
export type RowStatus =
  | { readonly kind: 'pending' }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'error';
      readonly reason: string;
      readonly error: unknown;
      readonly failures: number;
      /** When it is tried again, on the clock given. */
      readonly nextTryMs: number;
    };

/** How many rows stand how; rows being deleted count, too. */
export interface ReconcileSummary {
  readonly pending: number;
  readonly error: number;
  readonly done: number;
  /** How the last prune went. */
  readonly prune: RowStatus;
}

/** A row that is in error, for tables of problems. */
export interface Problem<R> {
  readonly key: Key;
  readonly row: R;
  readonly isDeleted: boolean;
  readonly status: RowStatus & { readonly kind: 'error' };
}

/** What to reconcile, and how. */
export interface ReconcileOptions<R> {
  readonly table: Table<R>;
  readonly ops: RowOperations<R> | BatchOperations<R>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly backoff: Backoff;
  /** Time between two prunes; the first comes when all sources of the table are synced and all rows were tried. */
  readonly pruneIntervalMs: number;
  /** Numbers in [0, 1) for jitter. */
  readonly random?: () => number;
  /** Operations at once; 1 unless given. */
  readonly concurrency?: number;
  /** Rows in a batch at most, for batch operations; 1,024 unless given. */
  readonly batchSize?: number;
  /** Told of each failure, for logging. */
  readonly onProblem?: (problem: Problem<R> | { readonly prune: unknown }) => void;
}

/** A running reconciler; disposing it stops it, the world stays as it is. */
export interface Reconciler<R> extends Disposable, AsyncDisposable {
  /** How the row with this key stands; undefined when there is none, nor a deletion to carry out. */
  status(key: Key): RowStatus | undefined;
  readonly summary: ReconcileSummary;
  /** The rows in error. */
  problems(): Iterable<Problem<R>>;
  /** All changes up to this revision of the database are carried out. */
  readonly appliedRevision: number;
  /** Resolves when the table is synced, everything is done, and the last prune, if there is one, has succeeded. */
  settled(opts?: { readonly signal?: AbortSignal }): Promise<void>;
  /** Has a prune run as soon as possible. */
  requestPrune(): void;
}

/** Starts a reconciler. It stops when `signal` aborts or it is disposed. */
export function reconcile<R>(opts: ReconcileOptions<R>): Reconciler<R> {
  return new Loop(opts);
}

interface Work<R> {
  readonly key: Key;
  readonly row: R;
  readonly isDeleted: boolean;
  readonly revision: number;
}

interface Failed<R> {
  readonly work: Work<R>;
  readonly status: RowStatus & { readonly kind: 'error' };
}

const PENDING: RowStatus = { kind: 'pending' };
const DONE: RowStatus = { kind: 'done' };

class Loop<R> implements Reconciler<R> {
  readonly #opts: ReconcileOptions<R>;
  readonly #random: () => number;
  readonly #changes: ChangeIterator<R>;
  readonly #stop = new AbortController();
  readonly #updates = new Map<Key, Work<R>>();
  readonly #deletes = new Map<Key, Work<R>>();
  readonly #inFlight = new Map<Key, Work<R>>();
  readonly #failed = new Map<Key, Failed<R>>();
  readonly #failures = new Map<Key, number>();
  #running = 0;
  #isPruning = false;
  #prune: RowStatus = PENDING;
  #pruneDueMs: number;
  #wake: () => void = () => {};
  readonly #settled = new Set<() => void>();
  /** What is running, prune included: a disposal waits for it. */
  readonly #operations = new Set<Promise<void>>();
  readonly #ended: Promise<void>;

  constructor(opts: ReconcileOptions<R>) {
    this.#opts = opts;
    this.#random = opts.random ?? Math.random;
    this.#pruneDueMs = opts.ops.prune === undefined ? Number.POSITIVE_INFINITY : opts.clock.nowMs();
    if (opts.ops.prune === undefined) this.#prune = DONE;
    this.#changes = opts.table.changes();
    this.#ended = this.#run();
  }

  async #run(): Promise<void> {
    const { table, signal } = this.#opts;
    const stop = () => this.#stop.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    using _listening = table.onChange(() => this.#wake());
    using _consuming = this.#changes;
    this.#stop.signal.addEventListener('abort', () => this.#wake(), { once: true });
    try {
      while (!this.#stop.signal.aborted) {
        const woken = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#round();
        await this.#pause(woken);
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Until something changed, an operation ended, or the next try or prune is due. */
  async #pause(woken: Promise<void>): Promise<void> {
    const dueMs = this.#nextDueMs();
    const nap = new AbortController();
    const waits = [woken];
    if (dueMs !== undefined) {
      const ms = Math.max(0, dueMs - this.#opts.clock.nowMs());
      waits.push(this.#opts.clock.sleep(ms, nap.signal).catch(() => {})); // rejects only when napping is over
    }
    await Promise.race(waits);
    nap.abort();
  }

  #nextDueMs(): number | undefined {
    let dueMs = this.#isPruning || !this.#mayPrune ? Number.POSITIVE_INFINITY : this.#pruneDueMs;
    for (const { status } of this.#failed.values()) dueMs = Math.min(dueMs, status.nextTryMs);
    return Number.isFinite(dueMs) ? dueMs : undefined;
  }

  #round(): void {
    this.#takeChanges();
    this.#takeRetries();
    const { concurrency = 1 } = this.#opts;
    while (!this.#isPruning && this.#running < concurrency) {
      const batch = this.#nextBatch();
      if (batch.length === 0) break;
      this.#track(this.#carryOut(batch));
    }
    if (this.#isPruneDue()) this.#track(this.#pruneWorld());
    if (this.#isSettled) for (const resolve of this.#settled) resolve();
  }

  #track(operation: Promise<void>): void {
    this.#operations.add(operation);
    operation
      .finally(() => this.#operations.delete(operation))
      .catch((defect: unknown) => {
        // Operations' own errors are statuses; this is a fault of ours and must not vanish.
        queueMicrotask(() => {
          throw defect;
        });
      });
  }

  #takeChanges(): void {
    for (const change of this.#changes.next()) {
      this.#failed.delete(change.key);
      this.#failures.delete(change.key);
      this.#enqueue(change);
    }
  }

  #enqueue(work: Work<R>): void {
    const [into, outOf] = work.isDeleted ? [this.#deletes, this.#updates] : [this.#updates, this.#deletes];
    outOf.delete(work.key);
    into.set(work.key, work);
  }

  #takeRetries(): void {
    const now = this.#opts.clock.nowMs();
    for (const [key, { work, status }] of this.#failed) {
      if (status.nextTryMs > now) continue;
      this.#failed.delete(key);
      this.#enqueue(work);
    }
  }

  /** Rows of one kind of operation that are free to go; they are in flight from here on. */
  #nextBatch(): readonly Work<R>[] {
    const limit = 'updateBatch' in this.#opts.ops ? (this.#opts.batchSize ?? 1024) : 1;
    for (const queue of [this.#updates, this.#deletes]) {
      const batch: Work<R>[] = [];
      for (const [key, work] of queue) {
        if (this.#inFlight.has(key)) continue;
        batch.push(work);
        if (batch.length === limit) break;
      }
      for (const work of batch) {
        queue.delete(work.key);
        this.#inFlight.set(work.key, work);
      }
      if (batch.length > 0) return batch;
    }
    return [];
  }

  async #carryOut(batch: readonly Work<R>[]): Promise<void> {
    this.#running++;
    let failures: Failures<R>;
    let thrown: { readonly error: unknown } | undefined;
    try {
      failures = await this.#operate(batch);
    } catch (error) {
      thrown = { error };
    }
    this.#running--;
    const jitter = this.#random(); // one a batch: its rows are tried again together
    for (const work of batch) {
      this.#inFlight.delete(work.key);
      if (thrown !== undefined) this.#fail(work, thrown.error, jitter);
      else if (failures instanceof Map && failures.has(work.row))
        this.#fail(work, failures.get(work.row), jitter);
      else this.#failures.delete(work.key);
    }
    this.#wake();
  }

  #operate(batch: readonly Work<R>[]): Promise<Failures<R>> | Failures<R> {
    const { ops } = this.#opts;
    const { signal } = this.#stop;
    const first = batch[0];
    if (first === undefined) return undefined;
    if ('update' in ops)
      return first.isDeleted ? ops.delete(first.row, signal) : ops.update(first.row, signal);
    const rows = batch.map((work) => work.row);
    return first.isDeleted ? ops.deleteBatch(rows, signal) : ops.updateBatch(rows, signal);
  }

  #fail(work: Work<R>, error: unknown, jitter: number): void {
    if (this.#stop.signal.aborted) return;
    // A newer wish for this key is waiting: only that one counts.
    if (this.#updates.has(work.key) || this.#deletes.has(work.key)) return;
    const failures = (this.#failures.get(work.key) ?? 0) + 1;
    this.#failures.set(work.key, failures);
    const status = this.#errorStatus(error, failures, jitter);
    this.#failed.set(work.key, { work, status });
    this.#opts.onProblem?.({ key: work.key, row: work.row, isDeleted: work.isDeleted, status });
  }

  #errorStatus(error: unknown, failures: number, jitter: number): RowStatus & { readonly kind: 'error' } {
    const pauseMs = backoffDelayMs(this.#opts.backoff, failures, () => jitter);
    return {
      kind: 'error',
      reason: errorMessage(error),
      error,
      failures,
      nextTryMs: this.#opts.clock.nowMs() + pauseMs,
    };
  }

  /** Rows in error do not hold it up, rows not tried yet do: it must not race with their operations. */
  #isPruneDue(): boolean {
    if (this.#isPruning || this.#running > 0 || this.#updates.size > 0 || this.#deletes.size > 0)
      return false;
    return this.#mayPrune && this.#pruneDueMs <= this.#opts.clock.nowMs();
  }

  get #mayPrune(): boolean {
    return this.#opts.table.isSynced && this.#opts.table.hasSources;
  }

  async #pruneWorld(): Promise<void> {
    const { ops, clock, table, pruneIntervalMs } = this.#opts;
    const revision = this.#changes.revision;
    this.#isPruning = true;
    try {
      const drifted = await ops.prune?.([...table.all()], this.#stop.signal);
      for (const row of drifted ?? []) this.#repair(row, revision);
      this.#prune = DONE;
      this.#pruneDueMs = clock.nowMs() + pruneIntervalMs;
    } catch (error) {
      const failures = this.#prune.kind === 'error' ? this.#prune.failures + 1 : 1;
      const status = this.#errorStatus(error, failures, this.#random());
      this.#prune = status;
      this.#pruneDueMs = status.nextTryMs;
      if (!this.#stop.signal.aborted) this.#opts.onProblem?.({ prune: error });
    }
    this.#isPruning = false;
    this.#wake();
  }

  /** A row that changed since prune looked at it comes through its change anyway. */
  #repair(row: R, revision: number): void {
    const key = this.#opts.table.keyOf(row);
    if (this.#opts.table.get(key) !== row) return;
    this.#failed.delete(key);
    this.#enqueue({ key, row, isDeleted: false, revision });
  }

  /** Answers must not depend on whether the loop has had its turn since the last commit. */
  #catchUp(): void {
    if (!this.#changes.hasNext) return;
    this.#takeChanges();
    this.#wake();
  }

  status(key: Key): RowStatus | undefined {
    this.#catchUp();
    if (this.#isOpen(key)) return PENDING;
    return this.#failed.get(key)?.status ?? (this.#opts.table.has(key) ? DONE : undefined);
  }

  #isOpen(key: Key): boolean {
    return this.#updates.has(key) || this.#deletes.has(key) || this.#inFlight.has(key);
  }

  get summary(): ReconcileSummary {
    this.#catchUp();
    const { table } = this.#opts;
    const open = new Set([...this.#updates.keys(), ...this.#deletes.keys(), ...this.#inFlight.keys()]);
    const notDone = [...open, ...this.#failed.keys()].filter((key) => table.has(key)).length;
    return { pending: open.size, error: this.#failed.size, done: table.size - notDone, prune: this.#prune };
  }

  *problems(): Generator<Problem<R>, void, undefined> {
    for (const [key, { work, status }] of this.#failed) {
      yield { key, row: work.row, isDeleted: work.isDeleted, status };
    }
  }

  get appliedRevision(): number {
    this.#catchUp();
    let revision = this.#changes.revision;
    const open = [...this.#updates.values(), ...this.#deletes.values(), ...this.#inFlight.values()];
    for (const work of open) revision = Math.min(revision, work.revision - 1);
    for (const { work } of this.#failed.values()) revision = Math.min(revision, work.revision - 1);
    return revision;
  }

  get #isSettled(): boolean {
    const open = this.#updates.size + this.#deletes.size + this.#inFlight.size + this.#failed.size;
    if (open > 0 || this.#changes.hasNext || !this.#opts.table.isSynced || this.#isPruning) return false;
    return this.#prune.kind === 'done' || !this.#opts.table.hasSources;
  }

  settled({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#isSettled) return Promise.resolve();
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const end = () => {
        this.#settled.delete(done);
        signal?.removeEventListener('abort', fail);
        this.#stop.signal.removeEventListener('abort', stopped);
      };
      const done = () => {
        end();
        resolve();
      };
      const fail = () => {
        end();
        reject(signal?.reason);
      };
      const stopped = () => {
        end();
        reject(this.#stop.signal.reason);
      };
      this.#settled.add(done);
      signal?.addEventListener('abort', fail, { once: true });
      this.#stop.signal.addEventListener('abort', stopped, { once: true });
    });
  }

  requestPrune(): void {
    if (this.#opts.ops.prune === undefined) return;
    this.#pruneDueMs = this.#opts.clock.nowMs();
    this.#wake();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    await Promise.allSettled(this.#operations);
  }
}
