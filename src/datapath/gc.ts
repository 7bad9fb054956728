/**
 * Drives the collector: each read of an iterator lets the kernel walk on, judge and delete by itself, and
 * answers with a byte per so many records. Budget (HF-3.5): 1 % of a table per 100 ms, so that a pass takes ten
 * seconds, and no more than 5 % of a CPU for all tables together: what one turn takes too long (a read of a
 * sparse table walks all its empty buckets), the next ones rest.
 */

/** Time between two turns. */
export const TURN_MS = 100;
const TURN_BUDGET_MS = 5;
const PASS_MS = 10_000;
/** Of collectors that walk hash tables. */
export const RECORDS_A_BYTE = 16;
const READ_MOST = 256;

/** A table's iterator. */
export interface Walk {
  readonly table: string;
  readonly capacity: number;
  /** Met by the collector for each byte that it answers. */
  readonly recordsAByte: number;
  /** Begins a pass; reads of what it returns go on with it. */
  readonly begin: () => { read(out: Uint8Array): number; close(): void };
}

/** How a pass went. */
export interface Pass {
  readonly table: string;
  /** Records met, rounded up to those of a byte. */
  readonly entries: number;
  readonly capacity: number;
  /** False: told on the way, since the table is under more pressure than was known. */
  readonly isOver: boolean;
}

interface State {
  readonly walk: Walk;
  reader: ReturnType<Walk['begin']> | undefined;
  bytes: number;
  beganMs: number;
  pressure: Pressure;
}

export class Collector {
  readonly #states: State[];
  readonly #onPass: (pass: Pass) => void;
  readonly #nowMs: () => number;
  #first = 0;
  #creditMs = 0;

  constructor(walks: readonly Walk[], onPass: (pass: Pass) => void, nowMs: () => number) {
    this.#states = walks.map((walk) => ({
      walk,
      reader: undefined,
      bytes: 0,
      beganMs: -Infinity,
      pressure: 'none',
    }));
    this.#onPass = onPass;
    this.#nowMs = nowMs;
  }

  /** One turn: a hundredth of each table, as far as the time goes; who came short comes first next time. */
  turn(): void {
    this.#creditMs = Math.min(TURN_BUDGET_MS, this.#creditMs + TURN_BUDGET_MS);
    const count = this.#states.length;
    for (let i = 0; i < count; i++) {
      const at = (this.#first + i) % count;
      if (this.#creditMs <= 0) {
        this.#first = at;
        return;
      }
      const start = this.#nowMs();
      this.#advance(this.#states[at] as State, start + this.#creditMs);
      this.#creditMs -= this.#nowMs() - start;
    }
  }

  #advance(state: State, untilMs: number): void {
    const { walk } = state;
    if (state.reader === undefined) {
      if (state.pressure === 'none' && this.#nowMs() - state.beganMs < PASS_MS) return;
      state.reader = walk.begin();
      state.bytes = 0;
      state.beganMs = this.#nowMs();
    }
    let left = Math.ceil(walk.capacity / 100 / walk.recordsAByte);
    do {
      const n = state.reader.read(new Uint8Array(Math.min(left, READ_MOST)));
      if (n <= 0) return this.#end(state);
      state.bytes += n;
      left -= n;
    } while (left > 0 && this.#nowMs() < untilMs);
    const pass = passOf(state, false);
    if (LEVELS.indexOf(pressureOf(pass)) > LEVELS.indexOf(state.pressure)) this.#tell(state, pass);
  }

  #end(state: State): void {
    state.reader?.close();
    state.reader = undefined;
    this.#tell(state, passOf(state, true));
  }

  #tell(state: State, pass: Pass): void {
    state.pressure = pressureOf(pass);
    this.#onPass(pass);
  }
}

function passOf({ walk: { table, capacity, recordsAByte }, bytes }: State, isOver: boolean): Pass {
  return { table, capacity, entries: bytes * recordsAByte, isOver };
}

const LEVELS = ['none', 'high', 'severe'] as const;

/** How full a table is (HF-3.9). */
export type Pressure = (typeof LEVELS)[number];

export function pressureOf({ entries, capacity }: Pick<Pass, 'entries' | 'capacity'>): Pressure {
  if (entries >= capacity * 0.95) return 'severe';
  return entries >= capacity * 0.85 ? 'high' : 'none';
}
