/**
 * Which peer and port lists rule sets use, and who uses each: classes are cut by lists, and when the classes of
 * a list change, the tables of its users do.
 */
import type { RowChanges } from '#kit/rows';

/** A list by content; a wildcard tells nobody apart and is not counted. */
interface NamedList {
  readonly name: string;
  readonly wildcard: boolean;
}

export class ListsInUse<L extends NamedList, U> {
  readonly #users = new Map<string, { readonly list: L; readonly users: Set<U> }>();

  /** The lists that were in no use before, and those that no longer are. */
  update(users: RowChanges<U>, listsOf: (user: U) => Iterable<L>): RowChanges<L> {
    const before = new Map<string, L | undefined>();
    const note = ({ name }: L): void => {
      if (!before.has(name)) before.set(name, this.#users.get(name)?.list);
    };
    for (const user of users.come) {
      for (const list of listsOf(user)) {
        if (list.wildcard) continue;
        note(list);
        this.#entry(list).users.add(user);
      }
    }
    for (const user of users.gone) {
      for (const list of listsOf(user)) {
        const entry = this.#users.get(list.name);
        if (entry === undefined) continue;
        note(list);
        entry.users.delete(user);
        if (entry.users.size === 0) this.#users.delete(list.name);
      }
    }
    return this.#changes(before);
  }

  #entry(list: L): { readonly list: L; readonly users: Set<U> } {
    let entry = this.#users.get(list.name);
    if (entry === undefined) this.#users.set(list.name, (entry = { list, users: new Set() }));
    return entry;
  }

  #changes(before: ReadonlyMap<string, L | undefined>): RowChanges<L> {
    const gone: L[] = [];
    const come: L[] = [];
    for (const [name, old] of before) {
      const now = this.#users.get(name)?.list;
      if (old !== undefined && now === undefined) gone.push(old);
      if (old === undefined && now !== undefined) come.push(now);
    }
    return { gone, come };
  }

  /** Who uses one of the lists with these names. */
  usersOf(names: Iterable<string>): ReadonlySet<U> {
    const found = new Set<U>();
    for (const name of names) for (const user of this.#users.get(name)?.users ?? []) found.add(user);
    return found;
  }
}
