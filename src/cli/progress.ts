/** A bar on the terminal while something takes long; nothing where stderr is no terminal. */
const WIDTH = 24;
/** Work that ends sooner is not worth a bar. */
const DELAY_MS = 400;
const REDRAW_MS = 100;

export class Progress implements Disposable {
  readonly #stream: NodeJS.WriteStream;
  readonly #what: string;
  readonly #startMs = performance.now();
  #drawnMs = 0;

  /** `what` is done to each of the things counted, for example `judging policies`. */
  constructor(stream: NodeJS.WriteStream, what: string) {
    this.#stream = stream;
    this.#what = what;
  }

  /** `done` of `total` things are done. */
  show(done: number, total: number): void {
    const nowMs = performance.now();
    if (!this.#stream.isTTY || nowMs - this.#startMs < DELAY_MS || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const filled = total === 0 ? WIDTH : Math.round((done / total) * WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
    this.#stream.write(`\r${this.#what} ${bar} ${done}/${total}\u001b[K`);
  }

  [Symbol.dispose](): void {
    if (this.#drawnMs > 0) this.#stream.write('\r\u001b[K');
  }
}
