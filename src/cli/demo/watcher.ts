/** Follows the agent's events in the background, over restarts of the agent, and keeps all of them. */
import { type EventView, type LostView, stream } from '#api/client';
import type { EventSource } from './observe.ts';

/** An event reaches the API some ten milliseconds after its packet; this bounds the waiting for one that never comes. */
const SETTLE_MS = 10_000;

export class Watcher implements EventSource, AsyncDisposable {
  readonly #events: EventView[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #runDir: string;
  #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(runDir: string) {
    this.#runDir = runDir;
  }

  /** Follows the agent that now answers in the run directory; ends with that agent. */
  async follow(): Promise<void> {
    await this.end();
    this.#stop = new AbortController();
    this.#running = this.#read(this.#stop.signal).catch(() => {
      // The agent was killed: what has come so far is kept, the next `follow` goes on.
    });
  }

  async #read(signal: AbortSignal): Promise<void> {
    const path = '/v1/events?follow=true&since=0';
    const last = this.#events.at(-1)?.seq ?? -1;
    for await (const row of stream<EventView | LostView>(path, { runDir: this.#runDir, signal })) {
      if ('lost' in row || row.seq <= last) continue;
      this.#events.push(row);
      for (const wake of this.#waiting) wake();
    }
  }

  all(): readonly EventView[] {
    return this.#events;
  }

  settle(found: () => boolean): Promise<void> {
    if (found()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      const check = (): void => {
        if (found()) done();
      };
      const timer = setTimeout(done, SETTLE_MS);
      this.#waiting.add(check);
    });
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
