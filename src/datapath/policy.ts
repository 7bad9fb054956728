/**
 * Makes memory say what a compiled policy says, without a moment in which any packet meets a verdict that
 * neither the old nor the new policy gives:
 *
 *  1. Split. Where a new class cuts an old one, a fresh class number gets a copy of the old one's row (or
 *     column) in every visible slot, then the members move. Verdicts stay.
 *  2. Build and switch. Rule sets whose verdicts changed get a new slot, read back, then one store of their
 *     word. Those unchanged keep slot and generation.
 *  3. Arrive. Identities without a number take one: of their class where readers of left slots see no
 *     difference, else a fresh one.
 *  4. Settle, later: after a grace period left slots, empty numbers and unused rule sets may be used again,
 *     identities that are gone fall back to the unknown class, classes alike everywhere are merged.
 *
 * Everything that can fail for want of room is taken before the first store. Calls run one after another; one
 * waits for a grace period only when it lacks room, or when identities arrive just as endpoints change theirs.
 */
import { MerlonError } from '#kit/errors';
import { CellCache } from './cell-cache.ts';
import { ClassNumbers, type NewRows } from './class-numbers.ts';
import type { IdentityTable, PortTable } from './class-tables.ts';
import type { CompiledPolicy } from './compiled.ts';
import { CLASS_UNKNOWN, RULESET_HOST } from './layout.ts';
import type { PolicyMemory } from './memory.ts';
import type { Origins } from './origins.ts';
import { comparisonsOf, planPolicy, type Plan, type PlannedRuleset } from './plan.ts';
import { type PolicyReading, policyReading } from './reading.ts';
import { encodeSlot, headerOf, slotWords, type SlotView } from './ruleset.ts';
import { type EndpointRulesets, RuleSets, type SlotPlace } from './rulesets.ts';
import { Unchanged } from './unchanged.ts';
import {
  areRowsIntact,
  type Expected,
  expectedPairs,
  isSlotIntact,
  isWordIntact,
  type Made,
  repairClasses,
} from './verify.ts';
import { isShort, longerCopy, originsOfSlot, positionTable, type Reach, room } from './shape.ts';

/** Waits until no program still reads what was visible when it was called. */
export interface Grace {
  wait(): Promise<void>;
}

export interface PolicyDeps {
  readonly mem: PolicyMemory;
  readonly grace: Grace;
  readonly origins: Origins;
  readonly endpoints: EndpointRulesets;
  /** The next number of the machine-wide counter. */
  nextGeneration(): number;
  /** An origin id gets a new meaning: its counters start anew. */
  clearCounter(origin: number): void;
  /** Cells from which on a table is kept in blocks, where the usual number does not fit. */
  readonly blocksFrom?: number | undefined;
}

/** What one call did. */
export interface Applied {
  /** Keys of rule sets that switched to a new generation. */
  readonly switched: readonly string[];
  readonly kept: number;
  /** Identities whose verdicts changed without a switch: flows judged under them have to be judged again. */
  readonly rejudge: readonly number[];
}

const NO_PAGE = 'no page left in the class table for new identities';

/** Rule sets that are read back in one turn. */
const VERIFY_SLICE = 32;

export class PolicyTables {
  readonly #deps: PolicyDeps;
  readonly #mem: PolicyMemory;
  readonly #cells: CellCache;
  readonly #classes: ClassNumbers;
  readonly identities: IdentityTable;
  readonly ports: PortTable;
  readonly rulesets: RuleSets;
  /** What becomes usable again after a grace period, and how. */
  #resting = new Set<() => void>();
  #originsOf = new Map<SlotView, ReadonlySet<number>>();
  readonly #unchanged = new Unchanged();
  readonly #made = new WeakMap<SlotView, Made>();
  /** Tables that each active slot gives the verdicts of. */
  #tables = new Map<SlotView, PlannedRuleset['dirs']>();
  /** The policy whose classes everybody has a number of; undefined while a change is under way, or after one failed. */
  #base: CompiledPolicy | undefined;
  #last: CompiledPolicy | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: PolicyDeps) {
    this.#deps = deps;
    this.#mem = deps.mem;
    this.#cells = new CellCache(deps.origins, (id) => deps.clearCounter(id), deps.blocksFrom);
    this.#classes = new ClassNumbers(deps.mem, (then) => this.#rest(then));
    ({ identities: this.identities, ports: this.ports } = this.#classes);
    this.rulesets = new RuleSets(deps.mem);
  }

  /** Takes up what an earlier process left enforcing; sentences about what could not be read. */
  async adopt(): Promise<readonly string[]> {
    this.identities.adopt();
    this.ports.adopt();
    const troubles = this.rulesets.adopt();
    for (const view of this.rulesets.liveSlots()) {
      this.#retain(view, originsOfSlot(view));
      this.#noteMade(view, []);
    }
    await this.#deps.grace.wait();
    return troubles;
  }

  /** Generation of each live rule set, by its key. */
  *generations(): Iterable<readonly [key: string, index: number, generation: number]> {
    for (const { key, index, active } of this.rulesets.live.values()) yield [key, index, active.generation];
  }

  /** The tables as a packet would read them. */
  get reading(): PolicyReading {
    return policyReading(this.#mem);
  }

  /** Errors: POLICY_NO_ROOM, POLICY_VERIFY_FAILED; what was enforced before still is. */
  apply(compiled: CompiledPolicy): Promise<Applied> {
    return this.#inTurn(() => this.#apply(compiled));
  }

  /**
   * Gives identities that have no class that of another each, so that what is in force judges them like it.
   * Error: POLICY_NO_ROOM, with none of them known.
   */
  introduce(pairs: readonly (readonly [identity: number, like: number])[]): Promise<void> {
    return this.#inTurn(async () => {
      const { pages, known } = this.identities;
      if (this.identities.pagesNeeded(pairs.map(([identity]) => identity)) > pages.left)
        throw new MerlonError('POLICY_NO_ROOM', NO_PAGE);
      this.#base = undefined;
      for (const [identity, like] of pairs) this.identities.move(identity, known.get(like) ?? CLASS_UNKNOWN);
    });
  }

  /**
   * Reads everything back that packets read, a rule set at a time, and repairs what is not as it was stored.
   * Sentences about what was found; before the first `apply` only words and headers can be told.
   */
  async verify(): Promise<readonly string[]> {
    const found: string[] = [];
    const classes = await this.#inTurn(async () => repairClasses(this.#mem, this.#classes));
    if (classes > 0) found.push(`${classes} entries of the class tables`);
    const indexes = [...this.rulesets.live.keys()];
    for (let first = 0; first < indexes.length; first += VERIFY_SLICE)
      found.push(
        ...(await this.#inTurn(async () => this.#verifySlice(indexes.slice(first, first + VERIFY_SLICE)))),
      );
    if (found.length > 0 && this.#last !== undefined) await this.apply(this.#last);
    return found;
  }

  #verifySlice(indexes: readonly number[]): string[] {
    const expected = expectedPairs(this.#classes);
    return indexes.flatMap((index) => this.#verifyRuleset(index, expected) ?? []);
  }

  #verifyRuleset(index: number, expected: Expected): string | undefined {
    const live = this.rulesets.live.get(index);
    if (live === undefined) return undefined;
    const subject = index === RULESET_HOST ? 'the host' : `rule set ${index}`;
    if (!isWordIntact(this.rulesets, live)) {
      this.rulesets.restate(live);
      return `the word that chooses the slot of ${subject}`;
    }
    for (const view of [live.active, ...(live.fallback === undefined ? [] : [live.fallback])]) {
      const made = this.#made.get(view);
      const isIntact = made === undefined || isSlotIntact(this.#mem, view, made);
      const dirs = view === live.active ? this.#tables.get(view) : undefined;
      if (isIntact && (dirs === undefined || areRowsIntact(view, dirs, made?.cells ?? [], expected)))
        continue;
      this.rulesets.damaged.add(view);
      return `slot ${view.slot} of ${subject}`;
    }
    return undefined;
  }

  /** Waits for the grace periods that are due and tidies up after each; done when nothing is left to do. */
  async settle(): Promise<void> {
    for (;;) {
      const isMoved = await this.#inTurn(async () => {
        const isQuiet = this.rulesets.left.size === 0 && this.rulesets.outgoing.size === 0;
        return this.#classes.merge([...this.rulesets.visible()], isQuiet, this.#base?.identityClasses);
      });
      if (!isMoved && this.#resting.size === 0) return;
      await this.#afterGrace();
    }
  }

  #inTurn<T>(fn: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(fn);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  #rest(then: () => void): void {
    this.#resting.add(then);
  }

  async #afterGrace(): Promise<void> {
    const due = [...this.#resting];
    await this.#deps.grace.wait();
    for (const then of due) if (this.#resting.delete(then)) then();
  }

  async #apply(compiled: CompiledPolicy): Promise<Applied> {
    for (;;) {
      const { origins, endpoints } = this.#deps;
      const named = new Set<number>();
      const hold = (id: number) => {
        if (!named.has(id)) origins.retain([id]);
        named.add(id);
      };
      try {
        const plan = planPolicy(compiled, {
          identities: this.identities,
          ports: this.ports,
          rulesets: this.rulesets,
          cells: this.#cells,
          hold,
          unchanged: this.#unchanged,
          base: this.#base && { ...this.#base, gone: this.#classes.gone },
          endpoints: endpoints.rulesets(),
          kept: endpoints.keptRulesets(),
        });
        const places = this.#grow(plan) ? undefined : this.#takePlaces(plan);
        if (places !== undefined) {
          this.#base = undefined;
          const applied = await this.#commit(plan, places);
          this.#base = compiled;
          this.#last = compiled;
          this.#unchanged.applied();
          return applied;
        }
      } finally {
        origins.release(named);
      }
      await this.#afterGrace();
    }
  }

  /** The highest numbers that this plan could reach. */
  #reach(plan: Plan): Reach {
    const arriving = new Set(plan.identities.added.map(([, position]) => position)).size;
    const fresh = plan.identities.moving.length + arriving;
    const classes = this.identities.axis.numbers.highestAfter(fresh) + 1;
    const ports = this.ports.axis.numbers.highestAfter(plan.ports.moving.length) + 1;
    if (classes > this.identities.axis.numbers.limit - 1 || ports > this.ports.axis.numbers.limit - 1)
      throw new MerlonError('POLICY_NO_ROOM', 'policies tell apart more classes than there are numbers');
    return { classes, ports };
  }

  /** Replaces live slots whose tables are too short by longer ones of equal meaning; true if there were any. */
  #grow(plan: Plan): boolean {
    const reach = this.#reach(plan);
    const live = [...this.rulesets.liveSlots()].filter((view) => isShort(view, reach));
    for (const view of live) {
      const { shape, dirs } = longerCopy(view, reach);
      const place = this.rulesets.takePlace(view.ruleset, slotWords(shape, dirs));
      if (place === undefined) {
        this.#expectRest('the arena has no room for longer tables');
        return true;
      }
      const copy = this.rulesets.build(place, encodeSlot(shape, dirs));
      this.rulesets.replace(view, copy);
      this.#retain(copy, this.#originsOf.get(view) ?? new Set());
      this.#noteMade(copy, this.#unchanged.cellsOf(view));
      this.#leave(view);
    }
    return live.length > 0 || [...this.rulesets.left].some((view) => isShort(view, reach));
  }

  /** What lacks room now may have it after a grace period; when nothing rests, it never will. */
  #expectRest(sentence: string): void {
    if (this.#resting.size === 0) throw new MerlonError('POLICY_NO_ROOM', sentence);
  }

  /** Room for all slots to be built, or nothing taken at all. */
  #takePlaces(plan: Plan): Map<PlannedRuleset, SlotPlace> | undefined {
    const pagesNeeded = this.identities.pagesNeeded(plan.identities.added.map(([identity]) => identity));
    if (pagesNeeded > this.identities.pages.left) {
      this.#expectRest(NO_PAGE);
      return undefined;
    }
    const reach = this.#reach(plan);
    const places = new Map<PlannedRuleset, SlotPlace>();
    const fresh: number[] = [];
    for (const planned of plan.rulesets) {
      if (planned.change === 'keep') continue;
      const index = planned.index ?? this.rulesets.indexes.take();
      if (index !== undefined && planned.index === undefined) fresh.push(index);
      const words = slotWords(
        { generation: 1, ...room(reach), classPosition: [], portPosition: [] },
        planned.dirs,
      );
      const place = index === undefined ? undefined : this.rulesets.takePlace(index, words);
      if (place === undefined) {
        for (const taken of places.values()) this.rulesets.arena.give(taken.span);
        for (const i of fresh) this.rulesets.indexes.give(i);
        this.#expectRest('the arena has no room for the new rule sets');
        return undefined;
      }
      places.set(planned, place);
    }
    return places;
  }

  async #commit(plan: Plan, places: Map<PlannedRuleset, SlotPlace>): Promise<Applied> {
    const reach = this.#reach(plan);
    this.#classes.split(plan, [...this.rulesets.visible()]);
    const built = this.#build(plan, places, { ...room(reach) });
    for (const [planned, view] of built) {
      this.rulesets.activate(planned.key, view);
    }
    const indexOf = this.#rename(plan, built);
    this.#leaveReplaced();
    this.#moveEndpoints(plan, indexOf);
    if (this.#strays > 0 && plan.identities.added.length > 0) await this.#afterGrace();
    this.#classes.arrive(plan, this.#rowsFor(plan, built), [...this.#slotsOfOthers()]);
    this.#classes.dropEmpty();
    return {
      switched: [...built.keys()].filter((p) => p.change === 'switch').map((p) => p.key),
      kept: plan.rulesets.length - built.size,
      rejudge: this.#classes.rejudged(plan),
    };
  }

  /** Step 2, first half: all slots are complete and read back before any is switched to. */
  #build(
    plan: Plan,
    places: Map<PlannedRuleset, SlotPlace>,
    capacity: { classCapacity: number; portCapacity: number },
  ): Map<PlannedRuleset, SlotView> {
    const built = new Map<PlannedRuleset, SlotView>();
    if (places.size === 0) return built;
    const shape = {
      ...capacity,
      classPosition: positionTable(this.identities.axis, plan.defaultPosition),
      portPosition: positionTable(this.ports.axis, 0),
    };
    const numbered = expectedPairs(this.#classes);
    try {
      for (const [planned, place] of places) {
        const generation = this.#generationFor(planned);
        const { image, dirs, origins } = planned;
        const view = this.rulesets.build(place, encodeSlot({ ...shape, generation }, dirs));
        built.set(planned, view);
        const cells = dirs.map((dir) => dir.cells);
        const tables = { dirs, origins };
        this.#noteMade(view, cells);
        const comparisons = comparisonsOf(view, tables, cells, numbered.ports);
        this.#unchanged.saysOf(view, image, { tables, comparisons });
        this.#retain(view, origins);
      }
    } catch (e) {
      for (const [planned, place] of places) {
        const view = built.get(planned);
        if (view !== undefined) this.#release(view);
        this.rulesets.arena.give(place.span);
        if (planned.index === undefined) this.rulesets.indexes.give(place.ruleset);
      }
      throw e;
    }
    return built;
  }

  #generationFor(planned: PlannedRuleset): number {
    if (planned.change === 'refill' && planned.index !== undefined)
      return (this.rulesets.live.get(planned.index) as { active: SlotView }).active.generation;
    return this.#deps.nextGeneration();
  }

  /** Index of each compiled rule set; live ones take the compiled key. */
  #rename(plan: Plan, built: Map<PlannedRuleset, SlotView>): Map<string, number> {
    const indexOf = new Map<string, number>();
    this.#tables = new Map();
    for (const planned of plan.rulesets) {
      const index = built.get(planned)?.ruleset ?? planned.index;
      if (index === undefined) continue;
      const live = this.rulesets.live.get(index);
      if (live !== undefined) {
        live.key = planned.key;
        this.#tables.set(live.active, planned.dirs);
      }
      indexOf.set(planned.key, index);
    }
    return indexOf;
  }

  /** What `activate` pushed out rests until it may be used again. */
  #leaveReplaced(): void {
    for (const view of this.rulesets.left) this.#leave(view);
    for (const view of this.rulesets.outgoing) this.#rest(() => this.rulesets.outgoing.delete(view));
  }

  #leave(view: SlotView): void {
    if (this.#leaving.has(view)) return;
    this.#leaving.add(view);
    this.#rest(() => {
      this.#leaving.delete(view);
      this.rulesets.free(view);
      this.#release(view);
    });
  }
  readonly #leaving = new Set<SlotView>();

  /** Step 2, second half: endpoints whose rule set has another index now; indexes nobody uses are left. */
  #moveEndpoints(plan: Plan, indexOf: ReadonlyMap<string, number>): void {
    const present = this.#deps.endpoints.rulesets();
    for (const [id, key] of plan.endpoints) {
      const index = indexOf.get(key);
      const before = present.get(id);
      if (index === undefined || before === index) continue;
      if (before !== undefined) this.#stray();
      this.#deps.endpoints.setRuleset(id, index);
    }
    const used = new Set([...indexOf.values(), ...this.#deps.endpoints.keptRulesets()]);
    for (const index of [...this.rulesets.live.keys()])
      if (index !== RULESET_HOST && !used.has(index)) {
        this.#leave(this.rulesets.abandon(index));
        this.#rest(() => this.rulesets.freeIndex(index));
      }
  }

  /** Readers may be under way who chose a rule set, still live, that is not their endpoint's any more. */
  #stray(): void {
    this.#strays++;
    this.#rest(() => void this.#strays--);
  }
  #strays = 0;

  /** Slots whose policies know no newcomer: what is left, what endpoints keep that nobody computes, fallbacks. */
  *#slotsOfOthers(): Iterable<SlotView> {
    yield* this.rulesets.left;
    yield* this.rulesets.outgoing;
    yield* this.#keptSlots();
    for (const { fallback } of this.rulesets.live.values()) if (fallback !== undefined) yield fallback;
  }

  *#keptSlots(): Iterable<SlotView> {
    for (const index of this.#deps.endpoints.keptRulesets()) {
      const live = this.rulesets.live.get(index);
      if (live !== undefined) yield live.active;
    }
  }

  /** Where the rows of newcomers go: their own into active slots, the unknown class's into those of others. */
  *#rowsFor(plan: Plan, built: ReadonlyMap<PlannedRuleset, SlotView>): Iterable<NewRows> {
    for (const view of this.rulesets.left) yield { view };
    for (const view of this.#keptSlots()) yield { view };
    for (const planned of plan.rulesets) {
      const index = built.get(planned)?.ruleset ?? planned.index;
      const live = index === undefined ? undefined : this.rulesets.live.get(index);
      if (live === undefined) continue;
      const { active, fallback } = live;
      const isBuilt = built.has(planned);
      const own = (d: 0 | 1, position: number) => planned.dirs[d].rows[position] ?? 0;
      yield { view: active, rowFor: isBuilt ? own : planned.rowFor };
      if (fallback !== undefined) yield { view: fallback };
    }
  }

  #noteMade(view: SlotView, cells: readonly Uint32Array[]): void {
    this.#unchanged.madeOf(view, cells);
    this.#made.set(view, { header: headerOf(this.#mem, view.ruleset, view.slot), cells });
  }

  #retain(view: SlotView, ids: ReadonlySet<number>): void {
    this.#originsOf.set(view, ids);
    this.#deps.origins.retain(ids);
  }

  #release(view: SlotView): void {
    this.#deps.origins.release(this.#originsOf.get(view) ?? []);
    this.#originsOf.delete(view);
  }
}
