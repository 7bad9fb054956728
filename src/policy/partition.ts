/**
 * Second stage, identities: those that no peer list tells apart form one class. The partition is carried from
 * one compilation to the next: what it costs is what changed. A fresh one is a full computation.
 */
import { MerlonError } from '#kit/errors';
import { compareText } from '#kit/order';
import type { RowChanges } from '#kit/rows';
import type { Identity, IdentityRow, PolicyConfig } from '#model';
import { type Classes, className } from './classes.ts';
import type { IdentityClass } from './compiled.ts';
import type { PeerList } from './match.ts';
import { Places, VACANT } from './places.ts';
import { SelectorIndex } from './selector-index.ts';
import { LabelIndex } from './selectors.ts';

/** Most pairs of a list and an identity that it means: some 300 MB. */
const MAX_MEMBERSHIPS = 1 << 22;

/** A peer list with a number of its own as long as it is in use, the identities it means, and their classes. */
interface KnownList {
  readonly number: number;
  readonly list: PeerList;
  readonly members: Set<Identity>;
  readonly places: Set<number>;
}

/** Identities that the same lists mean. */
interface Group {
  readonly lists: readonly KnownList[];
  readonly name: string;
  readonly members: Set<Identity>;
}

export class IdentityPartition {
  readonly #index: LabelIndex;
  readonly #selectors: SelectorIndex<KnownList>;
  readonly #lists = new Map<string, KnownList>();
  readonly #listsOf = new Map<Identity, Set<KnownList>>();
  readonly #groupOf = new Map<Identity, Group>();
  /** By ascending list numbers, joined. */
  readonly #groups = new Map<string, Group>();
  readonly #places = new Places();
  readonly #ofList = new Map<string, Set<number>>();
  #classes: readonly IdentityClass[] = [{ name: '', members: [] }];
  #nextNumber = 0;
  #memberships = 0;

  constructor(config: PolicyConfig) {
    this.#index = new LabelIndex(config);
    this.#selectors = new SelectorIndex(config);
    this.#groups.set('', { lists: [], name: '', members: new Set() });
  }

  /** The classes after lists (no wildcards) and identities have come and gone. Throws `POLICY_NO_ROOM`. */
  update(lists: RowChanges<PeerList>, identities: RowChanges<IdentityRow>): Classes<IdentityClass> {
    const touched = new Set<Identity>();
    for (const list of lists.gone) this.#removeList(list, touched);
    const now = new Map(identities.come.map((row) => [row.id, row.labels.key]));
    for (const { id, labels } of identities.gone) {
      if (now.get(id) !== labels.key) this.#forget(id, touched);
    }
    for (const row of identities.come) this.#admit(row, touched);
    for (const list of lists.come) this.#addList(list, touched);
    this.#checkRoom();
    const changed = new Set<Group>();
    for (const id of touched) this.#regroup(id, changed);
    const names = this.#place(changed);
    for (const { name } of lists.come) names.add(name);
    return { classes: this.#classes, ofList: this.#ofList, changed: names };
  }

  #removeList({ name }: PeerList, touched: Set<Identity>): void {
    const known = this.#lists.get(name);
    if (known === undefined) return;
    for (const id of known.members) if (this.#listsOf.get(id)?.delete(known)) touched.add(id);
    this.#memberships -= known.members.size;
    this.#lists.delete(name);
    this.#ofList.delete(name);
    this.#selectors.remove(known);
  }

  #addList(list: PeerList, touched: Set<Identity>): void {
    const members = this.#index.membersOf(list) as Set<Identity>;
    const known = { number: this.#nextNumber++, list, members, places: new Set<number>() };
    this.#lists.set(list.name, known);
    this.#ofList.set(list.name, known.places);
    this.#memberships += members.size;
    this.#checkRoom();
    this.#selectors.add(known, list.selectors);
    for (const id of members) {
      this.#listsOf.get(id)?.add(known);
      touched.add(id);
    }
  }

  #checkRoom(): void {
    if (this.#memberships <= MAX_MEMBERSHIPS) return;
    const what = `${this.#lists.size} lists of peers overlap too much: together they mean more than ${MAX_MEMBERSHIPS} identities`;
    throw new MerlonError('POLICY_NO_ROOM', what);
  }

  #forget(id: Identity, touched: Set<Identity>): void {
    const lists = this.#listsOf.get(id) ?? new Set();
    for (const { members } of lists) members.delete(id);
    this.#memberships -= lists.size;
    this.#index.remove(id);
    this.#listsOf.delete(id);
    touched.add(id);
  }

  /** An identity that is new; one that is still known comes in another row, with the same labels. */
  #admit({ id, labels }: IdentityRow, touched: Set<Identity>): void {
    if (this.#index.get(id) !== undefined) return;
    this.#index.add(id, labels);
    const lists = new Set(this.#selectors.meaning(labels));
    for (const { members } of lists) members.add(id);
    this.#memberships += lists.size;
    this.#listsOf.set(id, lists);
    touched.add(id);
  }

  /** Puts an identity into the group of its lists; one that is gone into none. */
  #regroup(id: Identity, changed: Set<Group>): void {
    const old = this.#groupOf.get(id);
    const lists = this.#listsOf.get(id);
    const group = lists === undefined ? undefined : this.#group(lists);
    if (group === old) return;
    for (const one of [old, group]) if (one !== undefined) changed.add(one);
    old?.members.delete(id);
    group?.members.add(id);
    if (group === undefined) this.#groupOf.delete(id);
    else this.#groupOf.set(id, group);
  }

  #group(lists: ReadonlySet<KnownList>): Group {
    const ordered = [...lists].sort((a, b) => a.number - b.number);
    const key = keyOf(ordered);
    let group = this.#groups.get(key);
    if (group === undefined) {
      const name = className(ordered.map(({ list }) => list.name).sort(compareText));
      group = { lists: ordered, name, members: new Set() };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** Gives groups that came a place and takes it from empty ones; the lists whose classes are others now. */
  #place(changed: ReadonlySet<Group>): Set<string> {
    if (changed.size === 0) return new Set();
    const isIn = (group: Group): boolean => group.members.size > 0 || group.name === '';
    const gone = [...changed].filter((group) => !isIn(group));
    const had = gone.filter(({ name }) => this.#places.of(name) !== undefined);
    const come = [...changed].filter((group) => isIn(group) && this.#places.of(group.name) === undefined);
    const classes = [...this.#classes];
    for (const { name, lists } of had) {
      const place = this.#places.of(name) ?? 0;
      classes[place] = { name: VACANT, members: [] };
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
      classes[place] = { name: group.name, members: [...group.members].sort((a, b) => a - b) };
      for (const list of group.lists) list.places.add(place);
    }
    this.#classes = classes;
    const others = new Set([...had, ...come].flatMap(({ lists }) => lists));
    return new Set([...others].map(({ list }) => list.name));
  }
}

function keyOf(lists: readonly KnownList[]): string {
  return lists.map(({ number }) => number).join();
}
