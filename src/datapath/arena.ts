/**
 * Space for slots: first fit over a sorted list of free spans, in words of 8 bytes, rounded up to cache lines
 * so that two slots never share one. Pure bookkeeping: what is given back here may be used again at once, so
 * the caller waits for a grace period first.
 */

/** A stretch of the arena, in words. */
export interface Span {
  readonly offset: number;
  readonly words: number;
}

const LINE_WORDS = 8;

export class Arena {
  readonly words: number;
  #free: Span[];
  #used = 0;

  constructor(words: number) {
    this.words = words - (words % LINE_WORDS);
    this.#free = this.words === 0 ? [] : [{ offset: 0, words: this.words }];
  }

  /** Words in use. */
  get used(): number {
    return this.#used;
  }

  /** The longest span that could be taken now. */
  get largestFree(): number {
    return this.#free.reduce((most, span) => Math.max(most, span.words), 0);
  }

  /** A span of at least `words`, or undefined when no free stretch is that long. */
  take(words: number): Span | undefined {
    const size = roundUp(words);
    const at = this.#free.findIndex((span) => span.words >= size);
    const found = this.#free[at];
    if (found === undefined) return undefined;
    const rest = { offset: found.offset + size, words: found.words - size };
    this.#free.splice(at, 1, ...(rest.words === 0 ? [] : [rest]));
    this.#used += size;
    return { offset: found.offset, words: size };
  }

  /** Marks a span found in adopted memory as used; false when part of it is already. */
  reserve(offset: number, words: number): Span | undefined {
    const start = offset - (offset % LINE_WORDS);
    const size = roundUp(offset + words - start);
    const at = this.#free.findIndex((f) => f.offset <= start && start + size <= f.offset + f.words);
    const found = this.#free[at];
    if (found === undefined) return undefined;
    const before = { offset: found.offset, words: start - found.offset };
    const after = { offset: start + size, words: found.offset + found.words - start - size };
    this.#free.splice(at, 1, ...[before, after].filter((span) => span.words > 0));
    this.#used += size;
    return { offset: start, words: size };
  }

  /** Gives a span back, as `take` or `reserve` returned it. */
  give(span: Span): void {
    let at = this.#free.findIndex((f) => f.offset > span.offset);
    if (at < 0) at = this.#free.length;
    const before = this.#free[at - 1];
    const after = this.#free[at];
    const end = span.offset + span.words;
    if ((before && before.offset + before.words > span.offset) || (after && end > after.offset))
      throw new RangeError(`arena span ${span.offset}+${span.words} is free already`);
    const joinBefore = before !== undefined && before.offset + before.words === span.offset;
    const joinAfter = after !== undefined && end === after.offset;
    const offset = joinBefore ? before.offset : span.offset;
    const last = joinAfter ? after.offset + after.words : end;
    this.#free.splice(at - (joinBefore ? 1 : 0), (joinBefore ? 1 : 0) + (joinAfter ? 1 : 0), {
      offset,
      words: last - offset,
    });
    this.#used -= span.words;
  }
}

function roundUp(words: number): number {
  return Math.max(LINE_WORDS, Math.ceil(words / LINE_WORDS) * LINE_WORDS);
}
