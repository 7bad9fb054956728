/**
 * Which number each identity and each range of ports has, through the steps of a change (`policy.ts`): what a
 * new class cuts off moves to numbers of its own before any slot switches, newcomers get theirs after, and
 * what has become alike, empty or unknown is given back once nobody reads the slots that told it apart.
 */
import { addNumber, type Axis, dropNumber, setPositions } from './axis.ts';
import { IdentityTable, PortTable } from './class-tables.ts';
import { alikeIdentities, alikePorts } from './compare.ts';
import type { IdentityClass } from './compiled.ts';
import { CLASS_UNKNOWN } from './layout.ts';
import type { PolicyMemory } from './memory.ts';
import { mergers } from './merge.ts';
import type { Plan } from './plan.ts';
import type { SlotView } from './ruleset.ts';

/** A slot that newcomers' numbers need rows in. */
export interface NewRows {
  readonly view: SlotView;
  /** Row of a position; absent, or without an answer: that of the unknown class. */
  readonly rowFor?: (dir: 0 | 1, position: number) => number | undefined;
}

export class ClassNumbers {
  readonly identities: IdentityTable;
  readonly ports: PortTable;
  readonly #mem: PolicyMemory;
  /** Runs its argument after a grace period. */
  readonly #rest: (then: () => void) => void;
  #gone: readonly number[] = [];

  constructor(mem: PolicyMemory, rest: (then: () => void) => void) {
    this.#mem = mem;
    this.#rest = rest;
    this.identities = new IdentityTable(mem, (page) => rest(() => this.identities.pages.give(page)));
    this.ports = new PortTable(mem);
  }

  /** With a number still, though the policy applied last does not know them. */
  get gone(): readonly number[] {
    return this.#gone;
  }

  /** Newcomers that are no strangers any more, and those gone that were none. */
  rejudged(plan: Plan): number[] {
    const { known } = this.identities;
    return [...plan.identities.added.map(([identity]) => identity), ...plan.identities.gone].filter(
      (identity) => known.get(identity) !== CLASS_UNKNOWN,
    );
  }

  /** Fresh numbers for what a new class cuts off; verdicts stay. */
  split(plan: Plan, visible: readonly SlotView[]): void {
    const { identities, ports } = plan;
    setPositions(this.identities.axis, identities.positions);
    setPositions(this.ports.axis, ports.positions);
    for (const { from, to, items } of identities.moving) {
      const alike = (n: number) => alikeIdentities(n, from, visible);
      const number = this.#numberFor(this.identities.axis, to, alike, (fresh) => {
        for (const { dirs } of visible)
          for (const { rows } of dirs) this.#mem.store16(rows, fresh, rows[from] as number);
      });
      for (const identity of items) this.identities.move(identity, number);
    }
    for (const { from, to, items } of ports.moving) {
      const alike = (n: number) => alikePorts(n, from, visible);
      const number = this.#numberFor(this.ports.axis, to, alike, (fresh) => {
        for (const { dirs } of visible)
          for (const { columns } of dirs) this.#mem.store16(columns, fresh, columns[from] as number);
      });
      this.ports.move(items, number);
    }
  }

  /** A number of this position that `isAlike` accepts, else a fresh one, introduced before anyone has it. */
  #numberFor(
    axis: Axis,
    position: number,
    isAlike: (n: number) => boolean,
    introduce: (n: number) => void,
  ): number {
    const present = axis.atPosition.get(position)?.find(isAlike);
    if (present !== undefined) return present;
    const fresh = axis.numbers.take() as number;
    introduce(fresh);
    addNumber(axis, fresh, position);
    return fresh;
  }

  /**
   * Numbers for identities that have none: of their class where readers of slots of `others`, whose policies do not
   * know them, see no difference to an unknown identity, else fresh ones.
   */
  arrive(plan: Plan, slots: Iterable<NewRows>, others: readonly SlotView[]): void {
    const numbers = new Map<number, number>();
    const fresh: [number: number, position: number][] = [];
    const alike = (n: number) => alikeIdentities(n, CLASS_UNKNOWN, others);
    for (const [, position] of plan.identities.added) {
      if (numbers.has(position)) continue;
      const note = (number: number) => void fresh.push([number, position]);
      numbers.set(position, this.#numberFor(this.identities.axis, position, alike, note));
    }
    if (fresh.length > 0) for (const slot of slots) this.#introduce(fresh, slot);
    for (const [identity, position] of plan.identities.added)
      this.identities.move(identity, numbers.get(position) as number);
    this.#gone = plan.identities.gone;
  }

  /** Nobody has these numbers yet: the store that gives one to an identity publishes its rows. */
  #introduce(fresh: readonly (readonly [number: number, position: number])[], { view, rowFor }: NewRows) {
    for (const d of [0, 1] as const) {
      const { rows } = view.dirs[d];
      const unknown = rows[CLASS_UNKNOWN] as number;
      for (const [number, position] of fresh)
        this.#mem.write16(rows, number, rowFor?.(d, position) ?? unknown);
    }
  }

  /**
   * Tidies up; `isQuiet`: no slot has been left since the last grace period; `classes`: those of the policy applied
   * last, while everybody has a number of their class. True when something moved.
   */
  merge(
    visible: readonly SlotView[],
    isQuiet: boolean,
    classes: readonly IdentityClass[] | undefined,
  ): boolean {
    let isMoved = false;
    if (isQuiet && this.#gone.length > 0) {
      for (const identity of this.#gone) this.identities.forget(identity);
      this.#gone = [];
      isMoved = true;
    }
    const identityMoves = mergers(this.identities.axis, (a, b) => alikeIdentities(a, b, visible));
    for (const identity of this.#near(identityMoves.keys(), classes)) {
      const to = identityMoves.get(this.identities.known.get(identity) as number);
      if (to !== undefined) this.identities.move(identity, to);
    }
    const portMoves = mergers(this.ports.axis, (a, b) => alikePorts(a, b, visible));
    for (const [number, to] of portMoves)
      this.ports.move(
        this.ports.ranges.filter((r) => r.number === number),
        to,
      );
    const hasEmpty = this.dropEmpty();
    return isMoved || identityMoves.size > 0 || portMoves.size > 0 || hasEmpty;
  }

  /** Everybody who may have one of these numbers. */
  #near(numbers: Iterable<number>, classes: readonly IdentityClass[] | undefined): readonly number[] {
    const { axis, known } = this.identities;
    if (classes === undefined) return [...known.keys()];
    const positions = new Set(Array.from(numbers, (number) => axis.positions.get(number) as number));
    return [...[...positions].flatMap((position) => classes[position]?.members ?? []), ...this.#gone];
  }

  /** Numbers without members go to rest; true when there were any. */
  dropEmpty(): boolean {
    let hasEmpty = false;
    for (const axis of [this.identities.axis, this.ports.axis]) {
      for (const number of axis.emptied) {
        if (number === CLASS_UNKNOWN || axis.weights.get(number) !== 0) continue;
        dropNumber(axis, number);
        this.#rest(() => axis.numbers.give(number));
        hasEmpty = true;
      }
      axis.emptied.clear();
    }
    return hasEmpty;
  }
}
