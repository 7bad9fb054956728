/**
 * First stage: which label sets a selector or a peer list means. Sets are indexed by label and by prefix, so
 * that a selector costs what it matches, not what there is; they come and go one by one.
 */
import { assertNever, MerlonError } from '#kit/errors';
import { type Cidr, cidrCovers, formatCidr } from '#kit/ip';
import type { Label, LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import {
  LABEL_CIDR_GROUP_NAME,
  type PeerSelector,
  type PolicyConfig,
  type Requirement,
  type Selector,
} from '#model';
import { cidrPoints, entityLabels, type PeerList, selectorMatches } from './match.ts';

/** A label set with the prefixes it stands for. */
interface IndexedSet {
  readonly labels: LabelSet;
  readonly points: readonly Cidr[];
}

/** Where a label key occurs: in any set, and by value. */
interface Occurrences {
  readonly any: Set<number>;
  readonly values: Map<string, Set<number>>;
}

/** Label sets by number (of an identity, of an endpoint). */
export class LabelIndex {
  readonly #config: PolicyConfig;
  readonly #sets = new Map<number, IndexedSet>();
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

  /** An index of these sets only. */
  alone(rows: readonly { readonly id: number; readonly labels: LabelSet }[]): LabelIndex {
    const index = new LabelIndex(this.#config);
    for (const { id, labels } of rows) index.add(id, labels);
    return index;
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
    this.#collectLabels(selector, found);
    return [...found].sort((a, b) => a - b);
  }

  #collect(selector: PeerSelector, found: Set<number>): void {
    switch (selector.kind) {
      case 'labels':
        return this.#collectLabels(selector.selector, found);
      case 'entity':
        for (const { source, key, value } of entityLabels(selector.entity, this.#config)) {
          for (const id of this.#byLabel.get(key)?.values.get(value) ?? []) {
            const labels = this.#sets.get(id)?.labels.labels ?? [];
            if (labels.some((l) => l.source === source && l.key === key && l.value === value)) found.add(id);
          }
        }
        return;
      case 'cidr': {
        const excepted = new Set<string>();
        for (const except of selector.except) {
          for (const { cidr } of this.#byPrefix.covered(except)) excepted.add(formatCidr(cidr));
        }
        for (const { cidr, value } of this.#byPrefix.covered(selector.cidr)) {
          if (excepted.size > 0 && excepted.has(formatCidr(cidr))) continue;
          for (const id of value) found.add(id);
        }
        return;
      }
      case 'cidrGroup':
        return this.#collectGroups(selector.selector, selector.except, found);
      case 'fqdn':
        for (const id of this.#byLabel.get(selector.pattern)?.any ?? []) {
          const labels = this.#sets.get(id)?.labels.labels ?? [];
          if (labels.some((l) => l.source === 'fqdn' && l.key === selector.pattern)) found.add(id);
        }
        return;
      case 'service':
      case 'cloudGroup':
        throw new MerlonError('INTERNAL', `a ${selector.kind} was not expanded`);
      default:
        assertNever(selector);
    }
  }

  /** Prefixes that are in a group at all, whatever the selector does not ask for. */
  #collectGroups(selector: Selector, except: readonly Cidr[], found: Set<number>): void {
    const some = new Set<number>();
    this.#collectLabels(selector, some);
    for (const id of some) {
      const set = this.#sets.get(id);
      const isMember = set?.labels.labels.some(isGroupName) === true;
      const isLeft = set?.points.some((point) => !except.some((e) => cidrCovers(e, point))) === true;
      if (isMember && isLeft) found.add(id);
    }
  }

  #collectLabels(selector: Selector, found: Set<number>): void {
    let candidates: ReadonlySet<number> | undefined;
    for (const requirement of selector.requirements) {
      const some = this.#candidates(requirement);
      if (some !== undefined && (candidates === undefined || some.size < candidates.size)) candidates = some;
    }
    for (const id of candidates ?? this.#sets.keys()) {
      const set = this.#sets.get(id);
      if (set !== undefined && selectorMatches(selector, set.labels, set.points)) found.add(id);
    }
  }

  /** Numbers among which all that satisfy the requirement are; undefined when those may be any. */
  #candidates(requirement: Requirement): ReadonlySet<number> | undefined {
    if (requirement.source === 'cidr') return undefined;
    const at = this.#byLabel.get(requirement.key);
    switch (requirement.operator) {
      case 'In': {
        const [only, ...more] = requirement.values;
        if (only !== undefined && more.length === 0) return at?.values.get(only) ?? NOBODY;
        return new Set(requirement.values.flatMap((value) => [...(at?.values.get(value) ?? [])]));
      }
      case 'Exists':
        return at?.any ?? NOBODY;
      case 'NotIn':
      case 'DoesNotExist':
        return undefined;
      default:
        return assertNever(requirement.operator);
    }
  }
}

function isGroupName({ source, key }: Label): boolean {
  return source === 'cidrgroup' && key.startsWith(LABEL_CIDR_GROUP_NAME);
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
