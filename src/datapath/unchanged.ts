/**
 * What is remembered of live slots, so that a compile that hands in the same again is told by comparing
 * bytes: of a thousand rule sets a change leaves nearly all as they are, and holding each against its slot
 * pair by pair would be most of the change's price.
 */
import { type Pairs, pairsOf } from './compare.ts';
import type { DirTable, SlotView } from './ruleset.ts';

interface Seen {
  /** Pairs under which, and rows with which the slot was found to say the same. */
  readonly pairs: Pairs;
  readonly rows: readonly ArrayLike<number>[];
  readonly flags: readonly number[];
}

type Dirs = readonly [DirTable, DirTable];
type Change = 'keep' | 'refill' | 'switch';

export class Unchanged {
  readonly #cells = new WeakMap<SlotView, readonly Uint32Array[]>();
  readonly #seen = new WeakMap<SlotView, Seen>();
  #pairs: Pairs = pairsOf([]);

  /** The encoded matrices that a slot was made of, by direction; empty when that is not known. */
  cellsOf(view: SlotView): readonly Uint32Array[] {
    return this.#cells.get(view) ?? [];
  }

  /** The slot was made of these matrices. */
  madeOf(view: SlotView, cells: readonly Uint32Array[]): void {
    this.#cells.set(view, cells);
  }

  /** Pairs of this plan; the same object as last time when they are the same. */
  pairs(identities: Parameters<typeof pairsOf>[0]): Pairs {
    const now = pairsOf(identities);
    if (!same(this.#pairs.from, now.from) || !same(this.#pairs.to, now.to)) this.#pairs = now;
    return this.#pairs;
  }

  /**
   * What becomes of a slot, from memory where these rows were found to be what it says. `isOwn`: it was made
   * of these very matrices, and its columns are those of the tables still.
   */
  of(view: SlotView, dirs: Dirs, isOwn: boolean, find: () => Change): Change {
    const seen = this.#seen.get(view);
    if (isOwn && seen?.pairs === this.#pairs && sameAs(seen, dirs)) return 'keep';
    const change = find();
    if (change === 'keep' && isOwn)
      this.#seen.set(view, {
        pairs: this.#pairs,
        rows: dirs.map((d) => d.rows),
        flags: dirs.map((d) => d.flags),
      });
    return change;
  }
}

function sameAs(seen: Seen, dirs: Dirs): boolean {
  return dirs.every(
    (dir, d) => dir.flags === seen.flags[d] && same(seen.rows[d] as ArrayLike<number>, dir.rows),
  );
}

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  if (a instanceof Uint16Array && b instanceof Uint16Array) return bytesOf(a).equals(bytesOf(b));
  if (a instanceof Uint32Array && b instanceof Uint32Array) return bytesOf(a).equals(bytesOf(b));
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function bytesOf(words: Uint16Array | Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}
