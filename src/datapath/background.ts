/**
 * The main loop's end of the worker thread: grace periods and event batches. Requests for a grace period
 * that come while one is being waited for share the next one.
 */
import { Worker } from 'node:worker_threads';
import { MerlonError } from '#kit/errors';
import type { Fd } from '#native';
import type { Pass } from './gc.ts';
import type { Grace } from './policy.ts';

export interface WorkerSetup {
  readonly grace: { readonly outer: Fd; readonly inner: Fd };
  readonly rings: readonly { readonly fd: Fd; readonly bytes: number }[];
  /** Flow tables and their collectors. */
  readonly walks: readonly {
    readonly table: string;
    readonly capacity: number;
    readonly mapFd: Fd;
    readonly program: Fd;
  }[];
}

export type ToWorker = { readonly kind: 'grace'; readonly id: number };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'grace'; readonly id: number; readonly error?: string }
  | { readonly kind: 'pass'; readonly pass: Pass }
  | { readonly kind: 'problem'; readonly what: string }
  | { readonly kind: 'events'; readonly count: number; readonly records: Uint8Array };

/** Who is told of what the worker finds. */
export interface Told {
  /** Records of 96 bytes each, back to back. */
  readonly onEvents: (records: Uint8Array, count: number) => void;
  readonly onPass: (pass: Pass) => void;
  readonly onProblem: (what: string) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (e: unknown) => void;
}

export class Background implements Grace, AsyncDisposable {
  readonly #worker: Worker;
  #current: readonly Waiter[] | undefined;
  #next: Waiter[] = [];
  #id = 0;
  #failure: MerlonError | undefined;
  readonly #ready: Promise<void>;

  constructor(setup: WorkerSetup, told: Told) {
    this.#worker = new Worker(new URL('./datapath-worker.ts', import.meta.url), { workerData: setup });
    const ready = Promise.withResolvers<void>();
    this.#ready = ready.promise;
    this.#ready.catch(() => undefined);
    this.#worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready') ready.resolve();
      else if (message.kind === 'events') told.onEvents(message.records, message.count);
      else if (message.kind === 'pass') told.onPass(message.pass);
      else if (message.kind === 'problem') told.onProblem(message.what);
      else this.#graceOver(message.error);
    });
    const fail = (cause: unknown) => {
      this.#failure = new MerlonError('INTERNAL', 'the datapath worker has stopped', { cause });
      told.onProblem(this.#failure.message);
      ready.reject(this.#failure);
      for (const waiter of [...(this.#current ?? []), ...this.#next]) waiter.reject(this.#failure);
    };
    this.#worker.on('error', fail);
    this.#worker.on('exit', () => fail(undefined));
  }

  /** Resolves once the worker reads the rings. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  wait(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#next.push({ resolve, reject });
      if (this.#current === undefined) this.#begin();
    });
  }

  #begin(): void {
    this.#current = this.#next;
    this.#next = [];
    const message: ToWorker = { kind: 'grace', id: ++this.#id };
    this.#worker.postMessage(message);
  }

  #graceOver(error: string | undefined): void {
    const due = this.#current ?? [];
    this.#current = undefined;
    if (this.#next.length > 0) this.#begin();
    for (const waiter of due) {
      if (error === undefined) waiter.resolve();
      else waiter.reject(new MerlonError('KERNEL_MAP', `waiting for a grace period failed: ${error}`));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#worker.removeAllListeners('exit');
    await this.#worker.terminate();
  }
}
