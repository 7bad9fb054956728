/**
 * The last events, packed. Records stay as the kernel wrote them (one slot of 96 bytes each) and become
 * objects only when somebody reads them: at 65,536 events that is 6 MiB instead of some 40.
 */

/** Bytes of a slot: an IPv6 record, the larger one. */
export const SLOT_BYTES = 96;

export class EventLog {
  readonly #slots: Uint8Array;
  readonly #capacity: number;
  readonly #listeners = new Set<() => void>();
  #next: number;
  #first: number;

  /** `capacity` events are kept; the first one appended gets the sequence number `firstSeq`. */
  constructor(options: { readonly capacity: number; readonly firstSeq: number }) {
    this.#capacity = options.capacity;
    this.#slots = new Uint8Array(options.capacity * SLOT_BYTES);
    this.#next = options.firstSeq;
    this.#first = options.firstSeq;
  }

  /** Sequence number that the next event will get. */
  get next(): number {
    return this.#next;
  }

  /** Lowest sequence number that is still kept; equals `next` when nothing is. */
  get first(): number {
    return this.#first;
  }

  /** Keeps `count` records that stand back to back in `records`, a slot each. */
  append(records: Uint8Array, count: number): void {
    for (let i = 0; i < count; i += 1) {
      const from = i * SLOT_BYTES;
      const to = (this.#next % this.#capacity) * SLOT_BYTES;
      this.#slots.set(records.subarray(from, from + SLOT_BYTES), to);
      this.#next += 1;
    }
    this.#first = Math.max(this.#first, this.#next - this.#capacity);
    if (count > 0) for (const wake of this.#listeners) wake();
  }

  /** The record with this number; undefined when it is gone or has not come yet. Valid until the next append. */
  record(seq: number): DataView | undefined {
    if (seq < this.#first || seq >= this.#next) return undefined;
    return new DataView(this.#slots.buffer, (seq % this.#capacity) * SLOT_BYTES, SLOT_BYTES);
  }

  /** Calls `fn` after each append, until disposed. */
  onAppend(fn: () => void): Disposable {
    this.#listeners.add(fn);
    return { [Symbol.dispose]: () => void this.#listeners.delete(fn) };
  }
}

/** One item of a reading: a record, or the news that some before it are gone. */
export type Reading =
  | { readonly kind: 'record'; readonly seq: number; readonly view: DataView }
  | { readonly kind: 'lost'; readonly before: number };

/**
 * Events from `since` on (or all that are kept), then, when following, what comes until `signal` aborts. A
 * reader that is slower than the events is told what it missed; it never holds anything back.
 */
export async function* read(
  log: EventLog,
  options: { readonly since: number | undefined; readonly follow: boolean; readonly signal: AbortSignal },
): AsyncGenerator<Reading, void, undefined> {
  let at = options.since ?? (options.follow ? log.next : log.first);
  while (!options.signal.aborted) {
    if (at < log.first) {
      yield { kind: 'lost', before: log.first };
      at = log.first;
    }
    while (at < log.next) {
      const view = log.record(at);
      if (view === undefined) break;
      yield { kind: 'record', seq: at, view };
      at += 1;
    }
    if (!options.follow) return;
    if (at >= log.next) await appended(log, options.signal);
  }
}

function appended(log: EventLog, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const listening = log.onAppend(done);
    function done(): void {
      listening[Symbol.dispose]();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
