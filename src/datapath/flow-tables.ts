/**
 * How full the flow tables are, and what follows (HF-3.9): the pressure that the collectors read, the word
 * about it in status, and the flags by which packets are spared asking a table that has become empty again.
 */
import { type Fd, mapNextKey } from '#native';
import {
  FLOW_PRESSURE,
  FLOW_TABLE,
  LIVE_STATE,
  MAPS,
  type MapName,
  TABLE_USE,
  UNPROVEN_WAYS,
} from '#wire/bpf';
import { type Pass, type Pressure, pressureOf } from './gc.ts';
import type { OnProblem, Topic } from './options.ts';
import type { Grace } from './policy.ts';

/** Tables of flow records with the collector of each. */
export const FLOW_TABLES: readonly {
  readonly table: MapName;
  readonly collector: string;
  readonly number: number;
  /** Word of `struct live_state` that says whether it has entries; absent: it is asked always. */
  readonly use?: number;
  /** Its entries are sets of places. */
  readonly isUnproven?: boolean;
}[] = [
  { table: 'flow_tcp4', collector: 'flow_gc_tcp4', number: FLOW_TABLE.TCP4 },
  { table: 'flow_tcp6', collector: 'flow_gc_tcp6', number: FLOW_TABLE.TCP6 },
  { table: 'flow_any4', collector: 'flow_gc_any4', number: FLOW_TABLE.ANY4 },
  { table: 'flow_any6', collector: 'flow_gc_any6', number: FLOW_TABLE.ANY6 },
  ...([4, 6] as const).flatMap((family, i) => [
    {
      table: `unproven${family}` as const,
      collector: `flow_gc_unproven${family}`,
      number: FLOW_TABLE[`UNPROVEN${family}`],
      isUnproven: true,
    },
    {
      table: `overflow${family}` as const,
      collector: `flow_gc_overflow${family}`,
      number: FLOW_TABLE[`OVERFLOW${family}`],
      use: LIVE_STATE.overflow_used / 4 + i,
    },
  ]),
];

/** Records that a table has room for, of so many entries of its map. */
export function roomOf({ isUnproven }: (typeof FLOW_TABLES)[number], maxEntries: number): number {
  return isUnproven ? maxEntries * UNPROVEN_WAYS : maxEntries;
}

const LEVEL: Readonly<Record<Pressure, number>> = {
  none: FLOW_PRESSURE.NONE,
  high: FLOW_PRESSURE.HIGH,
  severe: FLOW_PRESSURE.SEVERE,
};
const GOES_EARLY: Readonly<Record<Exclude<Pressure, 'none'>, string>> = {
  high: 'closed connections and attempts without an answer go early',
  severe: 'closed connections, attempts without an answer and one-way UDP and ICMP go early',
};

export interface FlowTablesDeps {
  /** The mapped `struct live_state`. */
  readonly live: ArrayBuffer;
  readonly fd: (table: MapName) => Fd;
  readonly grace: Grace;
  readonly onWarning: (sentence: string) => void;
  readonly onProblem: OnProblem;
  readonly onOver: (topic: Topic) => void;
}

export class FlowTables {
  readonly #deps: FlowTablesDeps;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #passes = new Map<string, Pass>();
  readonly #checking = new Set<MapName>();

  constructor(deps: FlowTablesDeps) {
    this.#deps = deps;
    this.#words = new Uint32Array(deps.live);
    this.#bytes = new Uint8Array(deps.live);
  }

  /** Records that the last walk met in a table, of hashes rounded up to 16; 0 before the first. */
  entries(table: string): number {
    return this.#passes.get(table)?.entries ?? 0;
  }

  /** Tables under pressure, a sentence each. */
  troubles(): readonly string[] {
    return [...this.#passes.values()].flatMap((pass) => sentenceOf(pass) ?? []);
  }

  /** A walk is over, or has met so much that it matters. */
  note(pass: Pass): void {
    const before = this.#passes.get(pass.table);
    this.#passes.set(pass.table, pass);
    this.#publish();
    const sentence = sentenceOf(pass);
    const isNews = before === undefined || pressureOf(before) !== pressureOf(pass);
    if (sentence !== undefined && isNews) this.#deps.onWarning(sentence);
    if (!pass.isOver || pass.entries > 0) return;
    const empty = FLOW_TABLES.find(({ table }) => table === pass.table);
    if (empty?.use === undefined) return;
    const topic = `emptiness of ${empty.table}` as const;
    this.checkEmpty(empty.table, empty.use).then(
      () => this.#deps.onOver(topic),
      (err: unknown) =>
        this.#deps.onProblem(topic, `whether table ${empty.table} is empty cannot be told`, err),
    );
  }

  /** Unproven records go early whichever table is under pressure. */
  #publish(): void {
    const level = (table: MapName) => {
      const pass = this.#passes.get(table);
      return pass === undefined ? LEVEL.none : LEVEL[pressureOf(pass)];
    };
    const main = FLOW_TABLES.filter(({ table }) => table.startsWith('flow_'));
    const worst = Math.max(...main.map(({ table }) => level(table)));
    for (const { table, number, isUnproven } of FLOW_TABLES) {
      const own = level(table);
      this.#bytes[LIVE_STATE.pressure + number] = isUnproven ? Math.max(own, worst) : own;
    }
  }

  /**
   * A walk met nothing: is the table really empty? Between the first store and the last, whoever inserts
   * says that it is used again; those who read earlier that it was, and need not say so, are done after a
   * grace period, and what they inserted is seen. Until then packets ask the table as ever.
   */
  async checkEmpty(table: MapName, use: number): Promise<void> {
    const words = this.#words;
    if (words[use] === TABLE_USE.EMPTY || this.#checking.has(table)) return;
    this.#checking.add(table);
    try {
      Atomics.store(words, use, TABLE_USE.CHECKING);
      await this.#deps.grace.wait();
      const hasEntries = mapNextKey(this.#deps.fd(table), null, new Uint8Array(MAPS[table].keySize));
      const then = hasEntries ? TABLE_USE.USED : TABLE_USE.EMPTY;
      Atomics.compareExchange(words, use, TABLE_USE.CHECKING, then);
    } finally {
      this.#checking.delete(table);
    }
  }
}

/** The tables for the rare case are full by design when there is an attack: no word about those. */
function sentenceOf(pass: Pass): string | undefined {
  const pressure = pressureOf(pass);
  if (pressure === 'none' || !pass.table.startsWith('flow_')) return undefined;
  const percent = Math.min(100, Math.round((100 * pass.entries) / pass.capacity));
  return `flow table ${pass.table} is ${percent} % full: ${GOES_EARLY[pressure]}`;
}
