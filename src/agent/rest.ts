/**
 * Gives memory back. V8 collects what has grown old when memory runs short; on a node with room to spare that is
 * late, and the parsed manifests and answers of an hour ago are kept from others. So it is looked at now and
 * then, and collected when most of it is likely to be garbage: some 60 ms in which no packet waits for anybody.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const INTERVAL_MS = 20_000;
/** Collected when the heap has grown so much since the last time. */
const GROWTH = 1.5;
const GROWTH_BYTES = 8 * 1024 * 1024;

export interface HeapOptions {
  readonly usedBytes: () => number;
  readonly collect: () => void;
}

/** V8's own. */
function heap(): HeapOptions {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  return { usedBytes: () => process.memoryUsage().heapUsed, collect };
}

export class Rest implements Disposable {
  readonly #options: HeapOptions;
  readonly #timer: NodeJS.Timeout;
  #least: number;

  constructor(options: HeapOptions = heap(), intervalMs = INTERVAL_MS) {
    this.#options = options;
    this.#least = options.usedBytes();
    this.#timer = setInterval(() => this.look(), intervalMs).unref();
  }

  /** Collects if it is worth it. */
  look(): void {
    const { usedBytes, collect } = this.#options;
    const used = usedBytes();
    this.#least = Math.min(this.#least, used);
    if (used < this.#least * GROWTH + GROWTH_BYTES) return;
    collect();
    this.#least = usedBytes();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
