/**
 * Second stage, of either axis: items (identities, ranges of ports) that no list tells apart form one class. A
 * class is named by the lists that mean it, so that its name has a meaning of its own, whatever else is compiled
 * beside it. Lists and items come and go one by one, and only those are looked at whose lists are others now.
 */
import { MerlonError } from '#kit/errors';
import { compareText } from '#kit/order';
import { patchSorted } from '#kit/rows';
import { nameOf } from './digest.ts';
import { Places, VACANT } from './places.ts';

/** Longest class name that is written out. */
const CLASS_NAME_LIMIT = 1000;
/** Most pairs of a list and an item that it means: just below it a compilation took 540 MB. */
const MAX_MEMBERSHIPS = 1 << 22;

/** Classes in their places, and for each list (by name) the places of its classes. */
export interface Classes<C> {
  readonly classes: readonly C[];
  readonly ofList: ReadonlyMap<string, ReadonlySet<number>>;
  /** Names of the lists that have classes in other places than before the last change. */
  readonly changed: ReadonlySet<string>;
}

/** A list with a number of its own as long as it is in use, the items it means, and the places of their classes. */
export interface KnownList<I, L> {
  readonly number: number;
  readonly list: L;
  readonly members: Set<I>;
  readonly places: Set<number>;
}

/** Items that the same lists mean. */
interface Group<I, L> {
  readonly lists: readonly KnownList<I, L>[];
  readonly name: string;
  /** Ascending. */
  members: readonly I[];
}

/** What comes into a group and leaves it. */
interface Moves<I> {
  readonly gone: I[];
  readonly come: I[];
}

export class ClassGroups<I extends number, L extends { readonly name: string }, C> {
  readonly #what: string;
  readonly #classOf: (name: string, members: readonly I[]) => C;
  readonly #lists = new Map<string, KnownList<I, L>>();
  readonly #listsOf = new Map<I, Set<KnownList<I, L>>>();
  readonly #groupOf = new Map<I, Group<I, L>>();
  /** By ascending list numbers, joined. */
  readonly #groups = new Map<string, Group<I, L>>();
  readonly #places = new Places();
  readonly #ofList = new Map<string, Set<number>>();
  #classes: readonly C[];
  #nextNumber = 0;
  #memberships = 0;
  /** Since the last time: items whose lists may be others, lists that came, items that stand for something else. */
  readonly #touched = new Set<I>();
  readonly #fresh = new Set<string>();
  readonly #restated = new Set<I>();

  /** `what` the lists are of; `classOf` makes the class of a group. */
  constructor(what: string, classOf: (name: string, members: readonly I[]) => C) {
    this.#what = what;
    this.#classOf = classOf;
    this.#groups.set('', { lists: [], name: '', members: [] });
    this.#classes = [classOf('', [])];
  }

  /** A list comes; its own set of the items that it means. Throws `POLICY_NO_ROOM`. */
  addList(list: L, members: Set<I>): KnownList<I, L> {
    const known = { number: this.#nextNumber++, list, members, places: new Set<number>() };
    this.#lists.set(list.name, known);
    this.#ofList.set(list.name, known.places);
    this.#fresh.add(list.name);
    this.#countMembers(members.size);
    for (const item of members) {
      this.#listsOf.get(item)?.add(known);
      this.#touched.add(item);
    }
    return known;
  }

  /** A list goes; undefined when there was none. */
  removeList({ name }: L): KnownList<I, L> | undefined {
    const known = this.#lists.get(name);
    if (known === undefined) return undefined;
    for (const item of known.members) {
      this.#listsOf.get(item)?.delete(known);
      this.#touched.add(item);
    }
    this.#countMembers(-known.members.size);
    this.#lists.delete(name);
    this.#ofList.delete(name);
    this.#fresh.delete(name);
    return known;
  }

  /** An item comes, with its own set of the lists that mean it. Throws `POLICY_NO_ROOM`. */
  add(item: I, lists: Set<KnownList<I, L>>): void {
    for (const { members } of lists) members.add(item);
    this.#countMembers(lists.size);
    this.#listsOf.set(item, lists);
    this.#touched.add(item);
  }

  remove(item: I): void {
    const lists = this.listsOf(item);
    for (const { members } of lists) members.delete(item);
    this.#countMembers(-lists.size);
    this.#listsOf.delete(item);
    this.#touched.add(item);
  }

  /** The item stands for something else than before: its class is made anew. */
  restate(item: I): void {
    this.#restated.add(item);
  }

  #countMembers(more: number): void {
    this.#memberships += more;
    if (more <= 0 || this.#memberships <= MAX_MEMBERSHIPS) return;
    throw new MerlonError('POLICY_NO_ROOM', `${this.#lists.size} lists of ${this.#what} overlap too much`);
  }

  listsOf(item: I): ReadonlySet<KnownList<I, L>> {
    return this.#listsOf.get(item) ?? new Set();
  }

  /** The classes after all that came and went since the last time. */
  settle(): Classes<C> {
    const moves = new Map<Group<I, L>, Moves<I>>();
    for (const item of this.#touched) this.#regroup(item, moves);
    for (const item of this.#restated) {
      const group = this.#groupOf.get(item);
      if (group !== undefined) movesOf(moves, group);
    }
    for (const [group, changes] of moves)
      group.members = patchSorted(group.members, changes, (a, b) => a - b);
    const changed = this.#place([...moves.keys()]);
    for (const name of this.#fresh) changed.add(name);
    for (const set of [this.#touched, this.#restated, this.#fresh]) set.clear();
    return { classes: this.#classes, ofList: this.#ofList, changed };
  }

  /** Puts an item into the group of its lists; one that is gone into none. */
  #regroup(item: I, moves: Map<Group<I, L>, Moves<I>>): void {
    const old = this.#groupOf.get(item);
    const lists = this.#listsOf.get(item);
    const group = lists === undefined ? undefined : this.#group(lists);
    if (group === old) return;
    if (old !== undefined) movesOf(moves, old).gone.push(item);
    if (group === undefined) this.#groupOf.delete(item);
    else {
      movesOf(moves, group).come.push(item);
      this.#groupOf.set(item, group);
    }
  }

  #group(lists: ReadonlySet<KnownList<I, L>>): Group<I, L> {
    const ordered = [...lists].sort((a, b) => a.number - b.number);
    const key = keyOf(ordered);
    let group = this.#groups.get(key);
    if (group === undefined) {
      const name = className(ordered.map(({ list }) => list.name).sort(compareText));
      group = { lists: ordered, name, members: [] };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** Gives groups that came a place and takes it from empty ones; the lists whose classes are others now. */
  #place(changed: readonly Group<I, L>[]): Set<string> {
    if (changed.length === 0) return new Set();
    const isIn = (group: Group<I, L>): boolean => group.members.length > 0 || group.name === '';
    const gone = changed.filter((group) => !isIn(group));
    const had = gone.filter(({ name }) => this.#places.of(name) !== undefined);
    const come = changed.filter((group) => isIn(group) && this.#places.of(group.name) === undefined);
    const classes = [...this.#classes];
    for (const { name, lists } of had) {
      const place = this.#places.of(name) ?? 0;
      classes[place] = this.#classOf(VACANT, []);
      for (const list of lists) list.places.delete(place);
    }
    this.#places.update(
      had.map(({ name }) => name),
      come.map(({ name }) => name),
    );
    for (const { lists } of gone) this.#groups.delete(keyOf(lists));
    for (const group of changed) {
      if (!isIn(group)) continue;
      const place = this.#places.of(group.name) ?? 0;
      classes[place] = this.#classOf(group.name, group.members);
      for (const list of group.lists) list.places.add(place);
    }
    this.#classes = classes;
    const others = new Set([...had, ...come].flatMap(({ lists }) => lists));
    return new Set([...others].map(({ list }) => list.name));
  }
}

function movesOf<I, L>(moves: Map<Group<I, L>, Moves<I>>, group: Group<I, L>): Moves<I> {
  let found = moves.get(group);
  if (found === undefined) moves.set(group, (found = { gone: [], come: [] }));
  return found;
}

function keyOf<I, L>(lists: readonly KnownList<I, L>[]): string {
  return lists.map(({ number }) => number).join();
}

/** Name of the class that lists with these names (sorted) mean. */
function className(names: readonly string[]): string {
  return nameOf(names.join(' & '), CLASS_NAME_LIMIT);
}
