/**
 * Second stage, identities: those that no peer list tells apart form one class. The partition is carried from
 * one compilation to the next: what it costs is what changed. A fresh one is a full computation.
 */
import { compareText } from '#kit/order';
import type { Identity, IdentityRow, PolicyConfig } from '#model';
import { type Classes, className } from './classes.ts';
import type { IdentityClass } from './compiled.ts';
import type { PeerList } from './match.ts';
import { LabelIndex } from './selectors.ts';

/** A peer list with a number of its own as long as it is in use, and the identities it means. */
interface KnownList {
  readonly number: number;
  readonly name: string;
  members: ReadonlySet<number>;
}

/** Identities that the same lists mean. */
interface Group {
  /** Names of the lists, sorted. */
  readonly lists: readonly string[];
  readonly name: string;
  readonly members: Set<Identity>;
  /** The members, ascending; absent after a change. */
  sorted: readonly Identity[] | undefined;
}

export class IdentityPartition {
  readonly #index: LabelIndex;
  readonly #lists = new Map<string, KnownList>();
  readonly #listNames = new Map<number, string>();
  /** Numbers of the lists that mean an identity. */
  readonly #listsOf = new Map<Identity, Set<number>>();
  readonly #groupOf = new Map<Identity, Group>();
  /** By ascending list numbers, joined. */
  readonly #groups = new Map<string, Group>();
  #nextNumber = 0;

  constructor(config: PolicyConfig) {
    this.#index = new LabelIndex(config);
  }

  /** The classes under exactly these lists (no wildcards) and identities. */
  update(lists: readonly PeerList[], identities: readonly IdentityRow[]): Classes<IdentityClass> {
    const touched = new Set<Identity>();
    this.#removeLists(new Set(lists.map((list) => list.name)), touched);
    const fresh = this.#replaceIdentities(identities, touched);
    // Lists that were known before look at fresh identities only; new ones at all.
    const known = lists.filter((list) => this.#lists.has(list.name));
    if (fresh.length > 0 && known.length > 0) this.#admit(known, fresh);
    for (const list of lists) if (!this.#lists.has(list.name)) this.#addList(list, touched);
    for (const id of touched) this.#regroup(id);
    return this.#classes(lists);
  }

  #removeLists(wanted: ReadonlySet<string>, touched: Set<Identity>): void {
    for (const [name, { number, members }] of this.#lists) {
      if (wanted.has(name)) continue;
      for (const id of members as ReadonlySet<Identity>) {
        if (this.#listsOf.get(id)?.delete(number)) touched.add(id);
      }
      this.#lists.delete(name);
      this.#listNames.delete(number);
    }
  }

  /** Forgets identities that are gone or labelled anew; returns those that are new or labelled anew. */
  #replaceIdentities(identities: readonly IdentityRow[], touched: Set<Identity>): readonly IdentityRow[] {
    const fresh = identities.filter(({ id, labels }) => {
      const known = this.#index.get(id);
      return known !== labels && known?.key !== labels.key;
    });
    const wanted = new Set(identities.map((row) => row.id));
    for (const id of this.#listsOf.keys()) if (!wanted.has(id)) this.#forget(id, touched);
    for (const row of fresh) {
      this.#forget(row.id, touched);
      this.#index.add(row.id, row.labels);
      this.#listsOf.set(row.id, new Set());
      touched.add(row.id);
    }
    return fresh;
  }

  #forget(id: Identity, touched: Set<Identity>): void {
    for (const number of this.#listsOf.get(id) ?? []) {
      const members = this.#lists.get(this.#listNames.get(number) ?? '')?.members as Set<number> | undefined;
      members?.delete(id);
    }
    this.#index.remove(id);
    this.#listsOf.delete(id);
    touched.add(id);
  }

  /** Which of the known lists mean the fresh identities: asked of an index that holds nothing else. */
  #admit(lists: readonly PeerList[], fresh: readonly IdentityRow[]): void {
    const few = this.#index.alone(fresh);
    for (const list of lists) {
      const known = this.#lists.get(list.name);
      const found = few.membersOf(list) as ReadonlySet<Identity>;
      if (known === undefined || found.size === 0) continue;
      for (const id of found) {
        (known.members as Set<number>).add(id);
        this.#listsOf.get(id)?.add(known.number);
      }
    }
  }

  #addList(list: PeerList, touched: Set<Identity>): void {
    const number = this.#nextNumber++;
    const members = this.#index.membersOf(list);
    this.#lists.set(list.name, { number, name: list.name, members });
    this.#listNames.set(number, list.name);
    for (const id of members as ReadonlySet<Identity>) {
      this.#listsOf.get(id)?.add(number);
      touched.add(id);
    }
  }

  /** Puts an identity into the group of its lists; one that is gone into none. */
  #regroup(id: Identity): void {
    const old = this.#groupOf.get(id);
    const lists = this.#listsOf.get(id);
    if (old !== undefined) {
      old.members.delete(id);
      old.sorted = undefined;
    }
    if (lists === undefined) {
      this.#groupOf.delete(id);
      return;
    }
    const group = this.#group([...lists].sort((a, b) => a - b));
    group.members.add(id);
    group.sorted = undefined;
    this.#groupOf.set(id, group);
  }

  #group(numbers: readonly number[]): Group {
    const key = numbers.join();
    let group = this.#groups.get(key);
    if (group === undefined) {
      const lists = numbers.map((number) => this.#listNames.get(number) ?? '').sort(compareText);
      group = { lists, name: className(lists), members: new Set(), sorted: undefined };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** Sorted by name; the unnamed class of what no list means is always there, and first. */
  #classes(lists: readonly PeerList[]): Classes<IdentityClass> {
    this.#group([]);
    for (const [key, group] of this.#groups) {
      if (group.members.size === 0 && key !== '') this.#groups.delete(key);
    }
    const groups = [...this.#groups.values()].sort((a, b) => compareText(a.name, b.name));
    const ofList = new Map<string, number[]>(lists.map((list) => [list.name, []]));
    groups.forEach((group, position) => {
      for (const name of group.lists) ofList.get(name)?.push(position);
    });
    return { classes: groups.map(classOf), ofList };
  }
}

function classOf(group: Group): IdentityClass {
  group.sorted ??= [...group.members].sort((a, b) => a - b);
  return { name: group.name, members: group.sorted };
}
