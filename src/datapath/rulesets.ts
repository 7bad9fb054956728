/**
 * The rule sets in memory: which slots are live, which were left but may still be read, and the control words
 * that choose. A rule set's slot is *visible* while a word names it or named it since the last grace period.
 */
import { MerlonError } from '#kit/errors';
import { Arena, type Span } from './arena.ts';
import {
  CONTROL_STATE,
  controlFromWord,
  HOST_SLOTS,
  RULESET_HOST,
  RULESET_WORDS,
  wordFromControl,
  type Control,
} from './layout.ts';
import type { PolicyMemory } from './memory.ts';
import { Numbers } from './numbers.ts';
import { placeSlot, slotMatches, viewSlot, type SlotImage, type SlotView } from './ruleset.ts';

/** A rule set that a word governs. */
export interface LiveRuleset {
  readonly index: number;
  key: string;
  active: SlotView;
  /** The host endpoint's previous generation; others have none. */
  fallback: SlotView | undefined;
}

/** Room for one slot that is being built. */
export interface SlotPlace {
  readonly ruleset: number;
  readonly slot: number;
  readonly span: Span;
}

/** Which rule set each endpoint's record names. */
export interface EndpointRulesets {
  /** Endpoint id → index. */
  rulesets(): ReadonlyMap<number, number>;
  /** One store, or a note for when the endpoint's record is made. */
  setRuleset(id: number, index: number): void;
  /** Indexes that stay as they are: endpoints name them of whom no policy is known. */
  keptRulesets(): ReadonlySet<number>;
}

export class RuleSets {
  readonly arena: Arena;
  readonly indexes: Numbers;
  readonly live = new Map<number, LiveRuleset>();
  /** Left since the last grace period. */
  readonly left = new Set<SlotView>();
  /** Fallback slots that were active since the last grace period: readers of them are under way, too. */
  readonly outgoing = new Set<SlotView>();
  /** Slots that somebody else has written into. */
  readonly damaged = new WeakSet<SlotView>();
  readonly #mem: PolicyMemory;

  constructor(mem: PolicyMemory) {
    this.#mem = mem;
    this.arena = new Arena(mem.arena.u64.length);
    this.indexes = new Numbers(RULESET_HOST + 1, Math.floor(mem.rulesets.u64.length / RULESET_WORDS));
  }

  /** Slots that a packet may be reading. */
  *visible(): Iterable<SlotView> {
    yield* this.liveSlots();
    yield* this.left;
  }

  *liveSlots(): Iterable<SlotView> {
    for (const { active, fallback } of this.live.values()) {
      yield active;
      if (fallback !== undefined) yield fallback;
    }
  }

  control(index: number): Control {
    const word =
      index === RULESET_HOST ? this.#mem.hostControl[0] : this.#mem.rulesets.u64[index * RULESET_WORDS];
    return controlFromWord(word as bigint);
  }

  /** A slot of this rule set and room in the arena; undefined while either has to be waited for. */
  takePlace(index: number, words: number): SlotPlace | undefined {
    const slot = this.#freeSlot(index);
    if (slot === undefined) return undefined;
    const span = this.arena.take(words);
    return span === undefined ? undefined : { ruleset: index, slot, span };
  }

  #freeSlot(index: number): number | undefined {
    const used = new Set<number>();
    for (const view of this.visible()) if (view.ruleset === index) used.add(view.slot);
    for (let slot = 0; slot < HOST_SLOTS; slot++) if (!used.has(slot)) return slot;
    return undefined;
  }

  /** Writes an image to its place and reads it back. */
  build(place: SlotPlace, image: SlotImage): SlotView {
    placeSlot(this.#mem, place.ruleset, place.slot, image, place.span);
    const built = { span: place.span, words: image.words.length / 2 };
    const view = viewSlot(this.#mem, place.ruleset, place.slot, built);
    if (view === undefined || !slotMatches(this.#mem, place.ruleset, place.slot, image, place.span))
      throw new MerlonError(
        'POLICY_VERIFY_FAILED',
        `slot ${place.slot} of rule set ${place.ruleset} reads back otherwise`,
      );
    return view;
  }

  /**
   * One store makes a slot the active one. The host endpoint keeps the slot before as its fallback, unless
   * that is damaged; what falls out is left, and visible until the next grace period.
   */
  activate(key: string, view: SlotView): void {
    const { active, fallback: last } = this.live.get(view.ruleset) ?? {};
    const isSound = (slot: SlotView | undefined) => slot !== undefined && !this.damaged.has(slot);
    const fallback = view.ruleset === RULESET_HOST ? [active, last].find(isSound) : undefined;
    this.#switch(view.ruleset, view, fallback ?? view);
    this.live.set(view.ruleset, { index: view.ruleset, key, active: view, fallback });
    for (const slot of [active, last]) if (slot !== undefined && slot !== fallback) this.left.add(slot);
    if (active !== undefined && active === fallback) this.outgoing.add(active);
  }

  /** Does a slot of this rule set have to be replaced, whatever it says? */
  isDamaged({ active, fallback }: LiveRuleset): boolean {
    return this.damaged.has(active) || (fallback !== undefined && this.damaged.has(fallback));
  }

  /** Puts a copy of equal meaning in a live slot's place. */
  replace(old: SlotView, copy: SlotView): void {
    const live = this.live.get(old.ruleset) as LiveRuleset;
    if (live.active === old) live.active = copy;
    else live.fallback = copy;
    this.#switch(old.ruleset, live.active, live.fallback ?? live.active);
    this.left.add(old);
  }

  /** Stores a live rule set's word anew: somebody else has written over it. */
  restate({ index, active, fallback }: LiveRuleset): void {
    this.#switch(index, active, fallback ?? active);
  }

  #switch(index: number, active: SlotView, fallback: SlotView): void {
    const before = this.control(index);
    const word = wordFromControl({
      ...before,
      active: active.slot,
      fallback: fallback.slot,
      state: CONTROL_STATE.confirmed,
    });
    if (index === RULESET_HOST) this.#mem.store64(this.#mem.hostControl, 0, word);
    else this.#mem.store64(this.#mem.rulesets.u64, index * RULESET_WORDS, word);
  }

  /** No endpoint uses this rule set any more: its slot is left, its word stays until the slot rests. */
  abandon(index: number): SlotView {
    const { active } = this.live.get(index) as LiveRuleset;
    this.live.delete(index);
    this.left.add(active);
    return active;
  }

  /** After a grace period: the slot's space may be used again. */
  free(view: SlotView): void {
    this.left.delete(view);
    this.outgoing.delete(view);
    this.arena.give(view.span);
  }

  /** After a grace period: an abandoned rule set's index may be used again. */
  freeIndex(index: number): void {
    this.#mem.store64(this.#mem.rulesets.u64, index * RULESET_WORDS, 0n);
    this.indexes.give(index);
  }

  /** Takes up what an earlier process left; sentences about what could not be read. */
  adopt(): string[] {
    const troubles: string[] = [];
    for (let index = 0; index < this.indexes.limit; index++) {
      const control = this.control(index);
      if (control.state === CONTROL_STATE.empty) continue;
      const active = this.#adoptSlot(index, control.active);
      if (active === undefined) {
        troubles.push(`rule set ${index}: slot ${control.active} in memory is not readable`);
        continue;
      }
      const hasFallback = index === RULESET_HOST && control.fallback !== control.active;
      const fallback = hasFallback ? this.#adoptSlot(index, control.fallback) : undefined;
      this.live.set(index, { index, key: '', active, fallback });
    }
    this.indexes.reserve([...this.live.keys()].filter((i) => i !== RULESET_HOST));
    return troubles;
  }

  #adoptSlot(index: number, slot: number): SlotView | undefined {
    if (slot >= HOST_SLOTS) return undefined;
    const view = viewSlot(this.#mem, index, slot);
    if (view === undefined) return undefined;
    const span = this.arena.reserve(view.span.offset, view.span.words);
    return span === undefined ? undefined : { ...view, span };
  }
}
