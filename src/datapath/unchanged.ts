/**
 * What is remembered of live slots. The compiler hands in the same image again while a rule set says the same in
 * the same places, so that of a thousand rule sets a change leaves nearly all as they are: of these only the
 * numbers are looked at that have another position than at the policy before.
 */
import { type Pairs, pairsOf, type RowComparison } from './compare.ts';
import type { RuleSetImage } from './compiled.ts';
import type { DirTable, SlotView } from './ruleset.ts';

/** An image in the kernel's cells. */
export interface Tables {
  readonly dirs: readonly [DirTable, DirTable];
  /** Numbers of the sets of rules in them. */
  readonly origins: ReadonlySet<number>;
}

/** Positions of numbers on both axes. */
export interface Places {
  readonly identities: Pairs;
  readonly ports: Pairs;
}

/** A slot that gives the verdicts of these tables, with the comparison of each direction that found it. */
export interface Said {
  readonly tables: Tables;
  readonly comparisons: readonly [RowComparison, RowComparison];
}

interface Seen extends Said {
  readonly image: RuleSetImage;
  /** The plan in which all numbers were looked at. */
  plan: number;
}

export class Unchanged {
  readonly #cells = new WeakMap<SlotView, readonly Uint32Array[]>();
  readonly #seen = new WeakMap<SlotView, Seen>();
  #plan = 0;
  /** The last plan that was carried out. */
  #applied = 0;
  #moved: Places = { identities: pairsOf([]), ports: pairsOf([]) };

  /** The encoded matrices that a slot was made of, by direction; empty when that is not known. */
  cellsOf(view: SlotView): readonly Uint32Array[] {
    return this.#cells.get(view) ?? [];
  }

  /** The slot was made of these matrices. */
  madeOf(view: SlotView, cells: readonly Uint32Array[]): void {
    this.#cells.set(view, cells);
  }

  /** A plan begins; `moved`: numbers in other positions than in the last one that was carried out. */
  begin(moved: Places): void {
    this.#plan++;
    this.#moved = moved;
  }

  /** The plan is carried out. */
  applied(): void {
    this.#applied = this.#plan;
  }

  /** The slot says under this plan what the image says. */
  saysOf(view: SlotView, image: RuleSetImage, said: Said): void {
    this.#seen.set(view, { image, ...said, plan: this.#plan });
  }

  /** How the slot says what the image says; undefined: not known. */
  saidOf(view: SlotView, image: RuleSetImage): Said | undefined {
    const seen = this.#lastOf(view);
    const { identities, ports } = this.#moved;
    if (seen?.image !== image) return undefined;
    if (!seen.comparisons.every((c) => c.hasColumns(ports) && c.equal(identities))) return undefined;
    seen.plan = this.#plan;
    return seen;
  }

  /** The numbers that have to be compared of this direction of a slot: not all, where rows are those of its last image. */
  identitiesOf(view: SlotView, dir: number, comparison: RowComparison, all: Pairs): Pairs {
    const before = this.#lastOf(view)?.comparisons[dir];
    return before !== undefined && comparison.isLike(before) ? this.#moved.identities : all;
  }

  /** What was seen in the last plan that was carried out. */
  #lastOf(view: SlotView): Seen | undefined {
    const seen = this.#seen.get(view);
    return seen?.plan === this.#applied ? seen : undefined;
  }
}
