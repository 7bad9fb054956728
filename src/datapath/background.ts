/**
 * The main loop's end of the worker thread: grace periods and event batches. Requests for a grace period
 * that come while one is being waited for share the next one. A worker that dies is replaced: how far rings
 * were read stands in their own pages, and a grace period that was being waited for is asked for again.
 */
import { Worker } from 'node:worker_threads';
import { MerlonError } from '#kit/errors';
import type { Fd } from '#native';
import type { Pass } from './gc.ts';
import type { OnProblem, Topic } from './options.ts';
import type { Grace } from './policy.ts';

export interface WorkerSetup {
  readonly grace: { readonly outer: Fd; readonly inner: Fd };
  readonly rings: readonly { readonly fd: Fd; readonly bytes: number }[];
  /** Flow tables and their collectors. */
  readonly walks: readonly {
    readonly table: string;
    readonly capacity: number;
    readonly recordsAByte: number;
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
  readonly onProblem: OnProblem;
  readonly onOver: (topic: Topic) => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (e: unknown) => void;
}

/** Pauses before a dead worker is replaced: the first time, at most. One that has lived longer starts anew. */
const PAUSE_MS = { first: 100, most: 30_000 } as const;

/** After so many deaths nobody waits for the first start any longer. */
const HOPELESS = 3;

export interface BackgroundOptions {
  /** What runs in the thread, where it is not the datapath's own. */
  readonly file?: URL;
  readonly pauseMs?: { readonly first: number; readonly most: number };
}

export class Background implements Grace, AsyncDisposable {
  readonly #setup: WorkerSetup;
  readonly #told: Told;
  readonly #file: URL;
  readonly #pauseMs: { readonly first: number; readonly most: number };
  readonly #ready = Promise.withResolvers<void>();
  #worker: Worker | undefined;
  #current: readonly Waiter[] | undefined;
  #next: Waiter[] = [];
  #id = 0;
  #deaths = 0;
  #proving: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(setup: WorkerSetup, told: Told, options: BackgroundOptions = {}) {
    this.#setup = setup;
    this.#told = told;
    this.#file = options.file ?? new URL('./datapath-worker.ts', import.meta.url);
    this.#pauseMs = options.pauseMs ?? PAUSE_MS;
    this.#ready.promise.catch(() => undefined);
    this.#start();
  }

  #start(): void {
    this.#restart = undefined;
    const worker = new Worker(this.#file, { workerData: this.#setup });
    this.#worker = worker;
    let reason: unknown;
    worker.on('message', (message: FromWorker) => this.#take(message));
    worker.on('error', (cause) => (reason = cause));
    worker.on('exit', () => this.#died(reason));
    if (this.#current !== undefined) this.#ask();
  }

  #take(message: FromWorker): void {
    if (message.kind === 'ready') this.#begun();
    else if (message.kind === 'events') this.#told.onEvents(message.records, message.count);
    else if (message.kind === 'pass') {
      this.#told.onPass(message.pass);
      this.#told.onOver('collection');
    } else if (message.kind === 'problem') this.#told.onProblem('collection', message.what);
    else if (message.id === this.#id) this.#graceOver(message.error);
  }

  /** Its predecessor's death is forgotten once it has lived long enough. */
  #begun(): void {
    this.#ready.resolve();
    clearTimeout(this.#proving);
    this.#proving = setTimeout(() => {
      this.#deaths = 0;
      this.#told.onOver('event thread');
    }, this.#pauseMs.most);
    this.#proving.unref();
  }

  #died(cause: unknown): void {
    this.#worker = undefined;
    clearTimeout(this.#proving);
    if (this.#isOver) return;
    const { first, most } = this.#pauseMs;
    this.#told.onProblem('event thread', 'the thread that reads events has died and is started again', cause);
    if (this.#deaths >= HOPELESS)
      this.#ready.reject(
        new MerlonError('INTERNAL', 'the thread that reads events does not start', { cause }),
      );
    this.#restart = setTimeout(() => this.#start(), Math.min(most, first * 2 ** this.#deaths++));
  }

  /** It runs; false between the death of one and the start of the next. */
  get isAlive(): boolean {
    return this.#worker !== undefined;
  }

  /** Resolves once the worker reads the rings. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  wait(): Promise<void> {
    if (this.#isOver) return Promise.reject(new MerlonError('INTERNAL', 'the datapath is closed'));
    return new Promise((resolve, reject) => {
      this.#next.push({ resolve, reject });
      if (this.#current === undefined) this.#begin();
    });
  }

  #begin(): void {
    this.#current = this.#next;
    this.#next = [];
    this.#ask();
  }

  #ask(): void {
    const message: ToWorker = { kind: 'grace', id: ++this.#id };
    this.#worker?.postMessage(message);
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
    this.#isOver = true;
    clearTimeout(this.#restart);
    clearTimeout(this.#proving);
    await this.#worker?.terminate();
    const closed = new MerlonError('INTERNAL', 'the datapath is closed');
    for (const waiter of [...(this.#current ?? []), ...this.#next]) waiter.reject(closed);
  }
}
