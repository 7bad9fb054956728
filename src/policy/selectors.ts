/**
 * First stage: which label sets a selector or a peer list means. Sets are indexed by label and by prefix, so
 * that a selector costs what it matches, not what there is; they come and go one by one. The other way round,
 * from a label set to selectors: selector-index.ts.
 */
import { assertNever } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import type { PeerSelector, PolicyConfig, Requirement, Selector } from '#model';
import { cidrPoints, entityLabels, notExpanded, peerMatches, type PeerList, type PeerSet } from './match.ts';

/** Where a label key occurs: in any set, and by value. */
interface Occurrences {
  readonly any: Set<number>;
  readonly values: Map<string, Set<number>>;
}

/** Label sets by number (of an identity, of an endpoint). */
export class LabelIndex {
  readonly #config: PolicyConfig;
  readonly #sets = new Map<number, PeerSet>();
  /** By key, whatever the source. */
  readonly #byLabel = new Map<string, Occurrences>();
  readonly #byPrefix = new Lpm<Set<number>>();

  constructor(config: PolicyConfig) {
    this.#config = config;
  }

  /** The labels of a number, if it is known. */
  get(id: number): LabelSet | undefined {
    return this.#sets.get(id)?.labels;
  }

  /** Adds a number that is not known yet. */
  add(id: number, labels: LabelSet): void {
    const points = cidrPoints(labels, this.#config);
    this.#sets.set(id, { labels, points });
    for (const { key, value } of labels.labels) {
      const { any, values } = entry(this.#byLabel, key, () => ({ any: new Set(), values: new Map() }));
      any.add(id);
      entry(values, value, () => new Set()).add(id);
    }
    for (const point of points) {
      const ids = this.#byPrefix.get(point);
      if (ids === undefined) this.#byPrefix.set(point, new Set([id]));
      else ids.add(id);
    }
  }

  /** Forgets a number. */
  remove(id: number): void {
    const set = this.#sets.get(id);
    if (set === undefined) return;
    this.#sets.delete(id);
    for (const { key, value } of set.labels.labels) {
      const at = this.#byLabel.get(key);
      at?.any.delete(id);
      at?.values.get(value)?.delete(id);
      if (at?.values.get(value)?.size === 0) at.values.delete(value);
      if (at?.any.size === 0) this.#byLabel.delete(key);
    }
    for (const point of set.points) {
      const ids = this.#byPrefix.get(point);
      ids?.delete(id);
      if (ids?.size === 0) this.#byPrefix.delete(point);
    }
  }

  /** The numbers that a list without wildcard means. */
  membersOf(list: PeerList): ReadonlySet<number> {
    const found = new Set<number>();
    for (const selector of list.selectors) this.#collect(selector, found);
    return found;
  }

  /** The numbers for whose labels all requirements hold, ascending. */
  matching(selector: Selector): readonly number[] {
    const found = new Set<number>();
    this.#collect({ kind: 'labels', selector }, found);
    return [...found].sort((a, b) => a - b);
  }

  #collect(selector: PeerSelector, found: Set<number>): void {
    for (const ids of this.#candidates(selector)) {
      for (const id of ids) {
        const set = this.#sets.get(id);
        if (set !== undefined && peerMatches(selector, set, this.#config)) found.add(id);
      }
    }
  }

  /** Numbers among which all that the selector means are. */
  #candidates(selector: PeerSelector): Iterable<Iterable<number>> {
    switch (selector.kind) {
      case 'labels':
      case 'cidrGroup':
        return [this.#fewest(selector.selector)];
      case 'entity':
        return entityLabels(selector.entity, this.#config).map(({ key, value }) => this.#with(key, value));
      case 'cidr':
        return [...this.#byPrefix.covered(selector.cidr)].map(({ value }) => value);
      case 'fqdn':
        return [this.#byLabel.get(selector.pattern)?.any ?? []];
      case 'service':
      case 'cloudGroup':
        return notExpanded(selector);
      default:
        return assertNever(selector);
    }
  }

  /** What the requirement that the fewest satisfy leaves. */
  #fewest({ requirements }: Selector): Iterable<number> {
    let fewest: ReadonlySet<number> | undefined;
    for (const requirement of requirements) {
      const some = this.#satisfying(requirement);
      if (some !== undefined && (fewest === undefined || some.size < fewest.size)) fewest = some;
    }
    return fewest ?? this.#sets.keys();
  }

  /** Numbers among which all that satisfy the requirement are; undefined when those may be any. */
  #satisfying(requirement: Requirement): ReadonlySet<number> | undefined {
    if (requirement.source === 'cidr') return undefined;
    switch (requirement.operator) {
      case 'In': {
        const [only, ...more] = requirement.values;
        if (only !== undefined && more.length === 0) return this.#with(requirement.key, only);
        return new Set(requirement.values.flatMap((value) => [...this.#with(requirement.key, value)]));
      }
      case 'Exists':
        return this.#byLabel.get(requirement.key)?.any ?? NOBODY;
      case 'NotIn':
      case 'DoesNotExist':
        return undefined;
      default:
        return assertNever(requirement.operator);
    }
  }

  #with(key: string, value: string): ReadonlySet<number> {
    return this.#byLabel.get(key)?.values.get(value) ?? NOBODY;
  }
}

const NOBODY: ReadonlySet<number> = new Set();

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
