/**
 * The test's end of a prober: sends requests, matches answers.
 */
import type { ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { MerlonError } from '#kit/errors';
import type { Answer, Request } from './protocol.ts';
import { ended } from './run.ts';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/** A running prober. */
export class Prober {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #host: string;
  #next = 1;
  #said = '';

  /** `child` runs `probe/main.ts`; `host` names it in errors. */
  constructor(host: string, child: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#host = host;
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.#answer(JSON.parse(line) as Answer));
    child.stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-4000);
    });
    child.stdin.on('error', () => {}); // told by its exit
    child.on('error', (e) => this.#fail(e.message));
    child.on('exit', (code, signal) => this.#fail(`ended with ${signal ?? code}: ${this.#said}`));
  }

  #answer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('ok' in answer) waiting?.resolve(answer.ok);
    else waiting?.reject(new MerlonError('FAILED', `${this.#host}: ${answer.error}`));
  }

  #fail(why: string): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new MerlonError('FAILED', `the prober of ${this.#host} ${why}`));
    }
    this.#waiting.clear();
  }

  /** One request; the shape of its answer is the caller's to know. */
  ask<T>(request: Request): Promise<T> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
      return Promise.reject(new MerlonError('FAILED', `the prober of ${this.#host} is gone: ${this.#said}`));
    }
    const id = this.#next++;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ ...request, id })}\n`);
    }) as Promise<T>;
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    this.#child.kill('SIGKILL');
    await ended(this.#child);
  }
}
