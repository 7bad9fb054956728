/**
 * What is remembered of live slots. The compiler hands in the same image again while a rule set says the same in
 * the same places, so that of a thousand rule sets a change leaves nearly all as they are: of these only the
 * classes are looked at that have another number, or whose number has another place, than when the slot was last
 * found to say what its image says.
 */
import { type Pairs, pairsOf } from './compare.ts';
import type { RuleSetImage } from './compiled.ts';
import type { DirTable, DirView, SlotView } from './ruleset.ts';

/** An image in the kernel's cells. */
export interface Tables {
  readonly dirs: readonly [DirTable, DirTable];
  /** Numbers of the sets of rules in them. */
  readonly origins: ReadonlySet<number>;
}

/** Positions of the numbers on both axes. */
export interface Places {
  readonly identities: Pairs;
  readonly ports: Pairs;
}

interface Seen {
  readonly image: RuleSetImage;
  readonly tables: Tables;
  /** Places in which slot and image were found, or made, to say the same. */
  places: Places;
}

export class Unchanged {
  readonly #cells = new WeakMap<SlotView, readonly Uint32Array[]>();
  readonly #seen = new WeakMap<SlotView, Seen>();
  /** Those of the last plan. */
  #places: Places = { identities: pairsOf([]), ports: pairsOf([]) };
  /** What the last plan has beyond others, by theirs. */
  #beyond = new WeakMap<Pairs, Pairs>();

  /** The encoded matrices that a slot was made of, by direction; empty when that is not known. */
  cellsOf(view: SlotView): readonly Uint32Array[] {
    return this.#cells.get(view) ?? [];
  }

  /** The slot was made of these matrices. */
  madeOf(view: SlotView, cells: readonly Uint32Array[]): void {
    this.#cells.set(view, cells);
  }

  /** The slot says in these places what the image says, row and column by the same numbers. */
  saysOf(view: SlotView, image: RuleSetImage, tables: Tables, places: Places): void {
    this.#seen.set(view, { image, tables, places });
  }

  /** The copy says what the slot says. */
  copied(view: SlotView, copy: SlotView): void {
    const seen = this.#seen.get(view);
    if (seen !== undefined) this.#seen.set(copy, { ...seen });
  }

  /** A plan begins, with the numbers in these places; what is the same as in the last one is the same object. */
  begin(places: Places): Places {
    const identities = sameOr(this.#places.identities, places.identities);
    const ports = sameOr(this.#places.ports, places.ports);
    this.#places = { identities, ports };
    this.#beyond = new WeakMap();
    return this.#places;
  }

  /** The image's tables when the slot says the same under this plan, by the same numbers; undefined: not known. */
  tablesOf(view: SlotView, image: RuleSetImage): Tables | undefined {
    const seen = this.#seen.get(view);
    if (seen === undefined || seen.image !== image) return undefined;
    const rows = this.#since(seen.places.identities, this.#places.identities);
    const columns = this.#since(seen.places.ports, this.#places.ports);
    for (const d of [0, 1] as const)
      if (!isPlaced(view.dirs[d], seen.tables.dirs[d], rows, columns)) return undefined;
    seen.places = this.#places;
    return seen.tables;
  }

  #since(before: Pairs, now: Pairs): Pairs {
    if (before === now) return NONE;
    const known = this.#beyond.get(before) ?? beyond(before, now);
    this.#beyond.set(before, known);
    return known;
  }
}

const NONE = pairsOf([]);

/** The pairs of `now` that are not in `before`. */
function beyond(before: Pairs, now: Pairs): Pairs {
  const key = (pairs: Pairs, i: number) => (pairs.from[i] as number) * 2 ** 32 + (pairs.to[i] as number);
  const known = new Set(Array.from(before.from, (_, i) => key(before, i)));
  const fresh = Array.from(now.from, (_, i) => i).filter((i) => !known.has(key(now, i)));
  return pairsOf(fresh.map((i) => ({ from: now.from[i] as number, to: now.to[i] as number })));
}

function isPlaced(view: DirView, table: DirTable, rows: Pairs, columns: Pairs): boolean {
  return arePlaced(view.rows, table.rows, rows) && arePlaced(view.columns, table.columns, columns);
}

/** Every number has in memory what its place has in the table. */
function arePlaced(before: ArrayLike<number>, after: ArrayLike<number>, { from, to }: Pairs): boolean {
  for (let i = 0; i < from.length; i++)
    if ((before[from[i] as number] ?? 0) !== (after[to[i] as number] ?? 0)) return false;
  return true;
}

function sameOr(before: Pairs, now: Pairs): Pairs {
  return areEqual(before.from, now.from) && areEqual(before.to, now.to) ? before : now;
}

function areEqual(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && bytesOf(a).equals(bytesOf(b));
}

function bytesOf(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}
