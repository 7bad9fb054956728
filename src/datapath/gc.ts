/**
 * Drives the collector: each read of an iterator lets the kernel walk on, judge and delete by itself, and
 * answers with a byte per 16 records. Budget (HF-3.5): 1 % of a table per 100 ms, so that a pass takes ten
 * seconds, and no more than 5 % of a CPU for all tables together.
 */

/** Time between two turns. */
export const TURN_MS = 100;
const TURN_BUDGET_MS = 5;
const PASS_MS = 10_000;
const RECORDS_A_BYTE = 16;
const READ_MOST = 256;

/** A table's iterator. */
export interface Walk {
  readonly table: string;
  readonly capacity: number;
  /** Begins a pass; reads of what it returns go on with it. */
  readonly begin: () => { read(out: Uint8Array): number; close(): void };
}

/** How a pass went. */
export interface Pass {
  readonly table: string;
  /** Records met, rounded up to 16. */
  readonly entries: number;
  readonly capacity: number;
}

interface State {
  readonly walk: Walk;
  reader: ReturnType<Walk['begin']> | undefined;
  bytes: number;
  beganMs: number;
}

export class Collector {
  readonly #states: State[];
  readonly #onPass: (pass: Pass) => void;
  readonly #nowMs: () => number;
  #first = 0;

  constructor(walks: readonly Walk[], onPass: (pass: Pass) => void, nowMs: () => number) {
    this.#states = walks.map((walk) => ({ walk, reader: undefined, bytes: 0, beganMs: -Infinity }));
    this.#onPass = onPass;
    this.#nowMs = nowMs;
  }

  /** One turn: a hundredth of each table, as far as the time goes; who came short comes first next time. */
  turn(): void {
    const start = this.#nowMs();
    const count = this.#states.length;
    for (let i = 0; i < count; i++) {
      const at = (this.#first + i) % count;
      if (this.#nowMs() - start >= TURN_BUDGET_MS) {
        this.#first = at;
        return;
      }
      this.#advance(this.#states[at] as State);
    }
  }

  #advance(state: State): void {
    const { walk } = state;
    if (state.reader === undefined) {
      if (this.#nowMs() - state.beganMs < PASS_MS) return;
      state.reader = walk.begin();
      state.bytes = 0;
      state.beganMs = this.#nowMs();
    }
    let left = Math.ceil(walk.capacity / 100 / RECORDS_A_BYTE);
    while (left > 0) {
      const n = state.reader.read(new Uint8Array(Math.min(left, READ_MOST)));
      if (n <= 0) return this.#end(state);
      state.bytes += n;
      left -= n;
    }
  }

  #end(state: State): void {
    state.reader?.close();
    state.reader = undefined;
    const { table, capacity } = state.walk;
    this.#onPass({ table, capacity, entries: state.bytes * RECORDS_A_BYTE });
  }
}

/** How full a table is (HF-3.9). */
export type Pressure = 'none' | 'high' | 'severe';

export function pressureOf({ entries, capacity }: Pick<Pass, 'entries' | 'capacity'>): Pressure {
  if (entries >= capacity * 0.95) return 'severe';
  return entries >= capacity * 0.85 ? 'high' : 'none';
}
