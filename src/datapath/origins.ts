/**
 * Numbers for sets of rules: what a cell, an event and a counter name instead of the rules themselves. A set
 * keeps its number over generations and restarts. A number that no slot holds any more rests behind all
 * numbers that were never used, the longest rested first, because events in memory, live flows and counters
 * still name it; its counters are cleared when it gets a new meaning. At the bound sets share `other`.
 */
import { ORIGIN_NO_IPV4, ORIGIN_NO_IPV6 } from '#wire/bpf';

/** Number of the empty set, and of all sets beyond the bound. */
export const ORIGIN_NONE = 0;
export const ORIGIN_OTHER = 1;
/** What the node's own settings refuse (HF-2.1), in the place of rules. */
const SETTINGS: ReadonlyMap<number, readonly string[]> = new Map([
  [ORIGIN_NO_IPV4, ['enable-ipv4=false']],
  [ORIGIN_NO_IPV6, ['enable-ipv6=false']],
]);
const FIRST = 2;

/** What is written to the state directory. */
export interface OriginsFile {
  readonly schema: 1;
  /** Number and rules of each set that has a number, resting ones last in the order they went to rest. */
  readonly sets: readonly (readonly [id: number, rules: readonly string[], resting: boolean])[];
}

interface Entry {
  readonly id: number;
  readonly rules: readonly string[];
  uses: number;
}

export class Origins {
  readonly limit: number;
  #byKey = new Map<string, Entry>();
  #byId = new Map<number, Entry>();
  /** Not in use by any slot; insertion order is the order they went to rest. */
  #resting = new Set<Entry>();
  #next = FIRST;
  #shared = 0;
  #reuses = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Requests that had to share `other` since the start; above zero is worth a word in status. */
  get shared(): number {
    return this.#shared;
  }

  /** How often a number got another meaning; while this stands still, every number means what it meant. */
  get reuses(): number {
    return this.#reuses;
  }

  /** Numbers with a meaning. */
  get size(): number {
    return this.#byId.size;
  }

  /** The number of a set, given now if it has none; the caller retains it. `reused` is called when it had another meaning before. */
  idOf(rules: readonly string[], reused?: (id: number) => void): number {
    if (rules.length === 0) return ORIGIN_NONE;
    const key = rules.join('\n');
    const known = this.#byKey.get(key);
    if (known !== undefined) return known.id;
    const id = this.#next < this.limit ? this.#next++ : this.#takeRested(reused);
    if (id === undefined) {
      this.#shared++;
      return ORIGIN_OTHER;
    }
    const entry = { id, rules: [...rules], uses: 0 };
    this.#byKey.set(key, entry);
    this.#byId.set(id, entry);
    return id;
  }

  /** The rules behind a number; undefined for `other` and for numbers without a meaning. */
  rulesOf(id: number): readonly string[] | undefined {
    return id === ORIGIN_NONE ? [] : (SETTINGS.get(id) ?? this.#byId.get(id)?.rules);
  }

  /** A slot holds these numbers from now on. */
  retain(ids: Iterable<number>): void {
    for (const id of ids) {
      const entry = this.#byId.get(id);
      if (entry === undefined) continue;
      entry.uses++;
      this.#resting.delete(entry);
    }
  }

  /** The slot that held them is gone. */
  release(ids: Iterable<number>): void {
    for (const id of ids) {
      const entry = this.#byId.get(id);
      if (entry === undefined || --entry.uses > 0) continue;
      entry.uses = 0;
      this.#resting.add(entry);
    }
  }

  /** Every number with its rules. */
  *all(): Iterable<readonly [id: number, rules: readonly string[]]> {
    for (const { id, rules } of this.#byId.values()) yield [id, rules];
  }

  save(): OriginsFile {
    const inUse = [...this.#byId.values()].filter((e) => !this.#resting.has(e));
    const row = (e: Entry, resting: boolean) => [e.id, e.rules, resting] as const;
    return {
      schema: 1,
      sets: [...inUse.map((e) => row(e, false)), ...[...this.#resting].map((e) => row(e, true))],
    };
  }

  /** Takes up what an earlier process saved; slots found in memory retain theirs afterwards. */
  restore(file: OriginsFile): void {
    for (const [id, rules] of file.sets) {
      if (id < FIRST || id >= this.limit || this.#byId.has(id)) continue;
      const entry = { id, rules, uses: 0 };
      this.#byKey.set(rules.join('\n'), entry);
      this.#byId.set(id, entry);
      this.#resting.add(entry);
      this.#next = Math.max(this.#next, id + 1);
    }
  }

  /** Numbers that memory holds but no file explains must not get another meaning while they are there. */
  avoid(id: number): void {
    if (id >= FIRST && id < this.limit) this.#next = Math.max(this.#next, id + 1);
  }

  #takeRested(reused?: (id: number) => void): number | undefined {
    for (const entry of this.#resting) {
      this.#resting.delete(entry);
      this.#byKey.delete(entry.rules.join('\n'));
      this.#byId.delete(entry.id);
      this.#reuses++;
      reused?.(entry.id);
      return entry.id;
    }
    return undefined;
  }
}
