/**
 * Which addresses stand for which FQDN patterns (policy.md §4.4): an address that was learnt for a name carries
 * each pattern of the policies that means the name. Patterns and names come and go one by one.
 */
import type { RowChanges } from '#kit/rows';
import { canonicalName, fqdnTest, type LearntNameRow, type NameTest } from '#model';
import { Counted } from './counted.ts';

/** A name with the addresses learnt for it and the patterns that mean it. */
interface KnownName {
  readonly canonical: string;
  readonly addresses: Counted<string>;
  readonly patterns: Set<string>;
}

/** An address and a pattern that means one of its names. */
export interface Learnt {
  readonly address: string;
  readonly pattern: string;
}

export class LearntNames {
  readonly #patterns = new Map<string, NameTest>();
  readonly #names = new Map<string, KnownName>();

  /** What comes and goes with them; an address has a pattern as often as names of it are meant. */
  update(patterns: RowChanges<string>, rows: RowChanges<LearntNameRow>): RowChanges<Learnt> {
    const changes = { gone: [] as Learnt[], come: [] as Learnt[] };
    for (const row of rows.gone) changes.gone.push(...this.#forget(row));
    for (const pattern of patterns.gone) {
      this.#patterns.delete(pattern);
      for (const name of this.#names.values()) {
        if (name.patterns.delete(pattern)) changes.gone.push(...learnt(name, pattern));
      }
    }
    for (const pattern of patterns.come) {
      const isMeant = fqdnTest(pattern);
      this.#patterns.set(pattern, isMeant);
      for (const name of this.#names.values()) {
        if (!isMeant(name.canonical)) continue;
        name.patterns.add(pattern);
        changes.come.push(...learnt(name, pattern));
      }
    }
    for (const row of rows.come) changes.come.push(...this.#learn(row));
    return changes;
  }

  #learn({ name, address }: LearntNameRow): readonly Learnt[] {
    const known = this.#names.get(name) ?? this.#newName(name);
    this.#names.set(name, known);
    if (!known.addresses.add(address, address)) return [];
    return [...known.patterns].map((pattern) => ({ address, pattern }));
  }

  #newName(name: string): KnownName {
    const canonical = canonicalName(name);
    const meaning = [...this.#patterns].filter(([, isMeant]) => isMeant(canonical));
    return { canonical, addresses: new Counted(), patterns: new Set(meaning.map(([pattern]) => pattern)) };
  }

  #forget({ name, address }: LearntNameRow): readonly Learnt[] {
    const known = this.#names.get(name);
    if (known === undefined || !known.addresses.remove(address)) return [];
    if (known.addresses.isEmpty) this.#names.delete(name);
    return [...known.patterns].map((pattern) => ({ address, pattern }));
  }
}

function learnt({ addresses }: KnownName, pattern: string): readonly Learnt[] {
  return [...addresses.entries()].map(([address]) => ({ address, pattern }));
}
