/** Second stage, identities: which lists mean which identity, one by one as either comes and goes. */
import type { RowChanges } from '#kit/rows';
import type { Identity, IdentityRow, PolicyConfig } from '#model';
import type { IdentityClass } from './compiled.ts';
import { type Classes, ClassGroups, type KnownList } from './groups.ts';
import type { PeerList } from './match.ts';
import { SelectorIndex } from './selector-index.ts';
import { LabelIndex } from './selectors.ts';

/** The identity classes, carried from one compilation to the next; a fresh one is a full computation. */
export class IdentityPartition {
  readonly #index: LabelIndex;
  readonly #selectors: SelectorIndex<KnownList<Identity, PeerList>>;
  readonly #groups = new ClassGroups<Identity, PeerList, IdentityClass>('peers', (name, members) => ({
    name,
    members,
  }));

  constructor(config: PolicyConfig) {
    this.#index = new LabelIndex(config);
    this.#selectors = new SelectorIndex(config);
  }

  /** The classes after lists (no wildcards) and identities have come and gone. Throws `POLICY_NO_ROOM`. */
  update(lists: RowChanges<PeerList>, identities: RowChanges<IdentityRow>): Classes<IdentityClass> {
    for (const list of lists.gone) {
      const known = this.#groups.removeList(list);
      if (known !== undefined) this.#selectors.remove(known);
    }
    const now = new Map(identities.come.map((row) => [row.id, row.labels.key]));
    for (const { id, labels } of identities.gone) {
      if (now.get(id) !== labels.key) this.#forget(id);
    }
    for (const row of identities.come) this.#admit(row);
    for (const list of lists.come) {
      const members = this.#index.membersOf(list) as Set<Identity>;
      this.#selectors.add(this.#groups.addList(list, members), list.selectors);
    }
    return this.#groups.settle();
  }

  #forget(id: Identity): void {
    this.#groups.remove(id);
    this.#index.remove(id);
  }

  /** An identity that is new; one that is still known comes in another row, with the same labels. */
  #admit({ id, labels }: IdentityRow): void {
    if (this.#index.get(id) !== undefined) return;
    this.#index.add(id, labels);
    this.#groups.add(id, new Set(this.#selectors.meaning(labels)));
  }
}
