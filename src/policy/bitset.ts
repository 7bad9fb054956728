/**
 * Sets of rule numbers as bits, and the sets that meet in cells, each known by one number. Hot: a rule set of
 * a thousand rules has hundreds of thousands of meetings. Benchmark: test/bench/policy.bench.ts.
 */
import { MerlonError } from '#kit/errors';
import type { Segment } from './decide.ts';

/** Most rules that all parts of a rule set have together. */
const MAX_PART_RULES = 1 << 22;

/** `count` sets of numbers below `size`, one after another. */
export class BitSets {
  readonly count: number;
  readonly width: number;
  readonly words: Uint32Array;

  constructor(count: number, size: number) {
    this.count = count;
    this.width = Math.max(1, Math.ceil(size / 32));
    this.words = new Uint32Array(count * this.width);
  }

  /** Whether these are the same sets in the same order. */
  equals(other: BitSets): boolean {
    if (other === this) return true;
    const { count, width, words } = other;
    return count === this.count && width === this.width && words.every((word, i) => word === this.words[i]);
  }

  /** The same sets with these values alone, each called by its place among them. */
  only(values: readonly number[]): BitSets {
    const few = new BitSets(this.count, values.length);
    for (let set = 0; set < this.count; set++)
      values.forEach((value, place) => {
        if (((this.words[set * this.width + (value >>> 5)] ?? 0) & (1 << (value & 31))) !== 0)
          few.add(set, place);
      });
    return few;
  }

  /** Puts `value` into set `set`. */
  add(set: number, value: number): void {
    const at = set * this.width + (value >>> 5);
    this.words[at] = (this.words[at] ?? 0) | (1 << (value & 31));
  }
}

/** The deciding parts of meetings of two sets; equal parts have equal numbers, counted from 0 as they appear. */
export class Meetings {
  /** The deciding rules of each part. */
  readonly parts: (readonly number[])[] = [];
  readonly #segments: readonly Segment[];
  readonly #keptFrom: number;
  readonly #scratch: Uint32Array;
  readonly #width: number;
  /** Hash of the bits → numbers of parts with this hash. */
  readonly #known = new Map<number, number[]>();
  readonly #bits: Uint32Array[] = [];
  #partRules = 0;

  /** Bits from `keptFrom` on stay in every part: rules that change what others decide. */
  constructor(segments: readonly Segment[], keptFrom: number = segments.length) {
    this.#segments = segments;
    this.#keptFrom = keptFrom;
    this.#width = Math.max(1, Math.ceil(segments.length / 32));
    this.#scratch = new Uint32Array(this.#width);
  }

  /** Number of the part that decides where set `i` of `a` meets set `j` of `b`. Throws `POLICY_NO_ROOM`. */
  part(a: BitSets, i: number, b: BitSets, j: number): number {
    const { words: left } = a;
    const { words: right } = b;
    const x = i * this.#width;
    const y = j * this.#width;
    let from = 0;
    for (let w = 0; w < this.#width; w++) {
      let both = (left[x + w] ?? 0) & (right[y + w] ?? 0) & fromBit(from - 32 * w);
      while (both !== 0) {
        const segment = this.#segments[32 * w + 31 - Math.clz32(both & -both)];
        if (segment === undefined) return this.#intern(0, 0);
        if (!segment.passes) return this.#cut(left, x, right, y, segment);
        from = segment.next;
        both &= fromBit(from - 32 * w);
      }
    }
    return this.#intern(0, 0);
  }

  /** Keeps of the meeting only the segment's bits. */
  #cut(left: Uint32Array, x: number, right: Uint32Array, y: number, { first, end }: Segment): number {
    const begin = first >>> 5;
    const stop = (end + 31) >>> 5;
    for (let w = begin; w < stop; w++) {
      const mask = fromBit(first - 32 * w) & ~fromBit(end - 32 * w);
      this.#scratch[w] = (left[x + w] ?? 0) & (right[y + w] ?? 0) & mask;
    }
    if (this.#keptFrom >= this.#segments.length) return this.#intern(begin, stop);
    for (let w = stop; w < this.#width; w++) this.#scratch[w] = 0;
    for (let w = Math.max(begin, this.#keptFrom >>> 5); w < this.#width; w++) {
      const kept = (left[x + w] ?? 0) & (right[y + w] ?? 0) & fromBit(this.#keptFrom - 32 * w);
      this.#scratch[w] = (this.#scratch[w] ?? 0) | kept;
    }
    return this.#intern(begin, this.#width);
  }

  /** Number of the bits in scratch words `begin` to `stop - 1`; all others count as zero. */
  #intern(begin: number, stop: number): number {
    let hash = 0;
    for (let w = begin; w < stop; w++)
      hash = Math.imul(hash ^ (this.#scratch[w] ?? 0), 0x9e3779b1) ^ (hash >>> 15) ^ w;
    const known = this.#known.get(hash);
    for (const number of known ?? []) if (this.#isSame(number, begin, stop)) return number;
    const bits = new Uint32Array(this.#width);
    for (let w = begin; w < stop; w++) bits[w] = this.#scratch[w] ?? 0;
    const number = this.#bits.push(bits) - 1;
    const values = valuesOf(bits);
    this.#partRules += values.length;
    if (this.#partRules > MAX_PART_RULES) {
      const what = `the ${this.#segments.length} rules of one subject overlap too much`;
      throw new MerlonError('POLICY_NO_ROOM', what);
    }
    this.parts.push(values);
    if (known === undefined) this.#known.set(hash, [number]);
    else known.push(number);
    return number;
  }

  #isSame(number: number, begin: number, stop: number): boolean {
    const bits = this.#bits[number];
    for (let w = 0; w < this.#width; w++) {
      const want = w >= begin && w < stop ? this.#scratch[w] : 0;
      if (bits?.[w] !== want) return false;
    }
    return true;
  }
}

/** All bits from `bit` up; every bit when `bit` is not positive, none when it is beyond the word. */
function fromBit(bit: number): number {
  if (bit <= 0) return -1;
  return bit >= 32 ? 0 : -1 << bit;
}

function valuesOf(bits: Uint32Array): number[] {
  const values: number[] = [];
  bits.forEach((word, w) => {
    for (let left = word; left !== 0; left &= left - 1) values.push(32 * w + 31 - Math.clz32(left & -left));
  });
  return values;
}
