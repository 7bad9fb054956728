/**
 * First stage: which identities a peer list means. Identities are indexed by label and by prefix once, so
 * that a selector costs what it matches, not what there is.
 */
import { assertNever } from '#kit/errors';
import { type Cidr, formatCidr } from '#kit/ip';
import type { LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import type { PeerSelector, PolicyConfig, Requirement, Selector } from '#model';
import { cidrPoints, entityLabels, type PeerList, selectorMatches } from './match.ts';

/** Label sets by position, and where each label and each prefix occurs. Positions ascend in every list. */
export interface LabelIndex {
  readonly sets: readonly LabelSet[];
  /** The prefixes that each set stands for. */
  readonly points: readonly (readonly Cidr[])[];
  /** By key, whatever the source. */
  readonly byLabel: ReadonlyMap<string, LabelPositions>;
  /** Prefix → positions of sets that stand for it. */
  readonly byPrefix: Lpm<number[]>;
  readonly config: PolicyConfig;
}

/** Where a label key occurs: in any set, and by value. */
interface LabelPositions {
  readonly any: number[];
  readonly values: Map<string, number[]>;
}

/** Indexes the label sets in the order given. */
export function indexLabels(sets: readonly LabelSet[], config: PolicyConfig): LabelIndex {
  const byLabel = new Map<string, LabelPositions>();
  const byPrefix = new Lpm<number[]>();
  const points = sets.map((set) => cidrPoints(set, config));
  sets.forEach((set, position) => {
    for (const { key, value } of set.labels) {
      const { any, values } = entry(byLabel, key, () => ({ any: [], values: new Map<string, number[]>() }));
      append(any, position);
      append(
        entry(values, value, () => []),
        position,
      );
    }
    for (const prefix of points[position] ?? []) {
      const positions = byPrefix.get(prefix);
      if (positions === undefined) byPrefix.set(prefix, [position]);
      else positions.push(position);
    }
  });
  return { sets, points, byLabel, byPrefix, config };
}

function append(positions: number[], position: number): void {
  if (positions.at(-1) !== position) positions.push(position);
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/** Ascending positions of the sets that a list without wildcard means. */
export function membersOf(list: PeerList, index: LabelIndex): readonly number[] {
  if (list.selectors.length === 1) return list.selectors.flatMap((selector) => matching(selector, index));
  const all = new Set<number>();
  for (const selector of list.selectors) for (const position of matching(selector, index)) all.add(position);
  return [...all].sort((a, b) => a - b);
}

function matching(selector: PeerSelector, index: LabelIndex): readonly number[] {
  switch (selector.kind) {
    case 'labels':
      return matchingLabels(selector.selector, index);
    case 'entity': {
      const alternatives = entityLabels(selector.entity, index.config);
      const found = new Set<number>();
      for (const { source, key, value } of alternatives) {
        for (const position of index.byLabel.get(key)?.values.get(value) ?? []) {
          const labels = index.sets[position]?.labels ?? [];
          if (labels.some((l) => l.source === source && l.key === key && l.value === value)) {
            found.add(position);
          }
        }
      }
      return [...found].sort((a, b) => a - b);
    }
    case 'cidr': {
      const excepted = new Set<string>();
      for (const except of selector.except) {
        for (const { cidr } of index.byPrefix.covered(except)) excepted.add(formatCidr(cidr));
      }
      const found = new Set<number>();
      for (const { cidr, value } of index.byPrefix.covered(selector.cidr)) {
        if (excepted.size > 0 && excepted.has(formatCidr(cidr))) continue;
        for (const position of value) found.add(position);
      }
      return [...found].sort((a, b) => a - b);
    }
    default:
      return assertNever(selector);
  }
}

/** Ascending positions of the sets for which all requirements hold. */
export function matchingLabels(selector: Selector, index: LabelIndex): readonly number[] {
  let candidates: readonly number[] | undefined;
  for (const requirement of selector.requirements) {
    const some = candidatesFor(requirement, index);
    if (some !== undefined && (candidates === undefined || some.length < candidates.length))
      candidates = some;
  }
  const positions = candidates ?? index.sets.keys();
  const found: number[] = [];
  for (const position of positions) {
    const set = index.sets[position];
    if (set !== undefined && selectorMatches(selector, set, index.points[position])) found.push(position);
  }
  return found;
}

/** Sets among which all that satisfy the requirement are; undefined when that may be any. */
function candidatesFor(requirement: Requirement, index: LabelIndex): readonly number[] | undefined {
  if (requirement.source === 'cidr') return undefined;
  const positions = index.byLabel.get(requirement.key);
  switch (requirement.operator) {
    case 'In': {
      const [only, ...more] = requirement.values;
      if (only !== undefined && more.length === 0) return positions?.values.get(only) ?? [];
      const found = new Set(requirement.values.flatMap((value) => positions?.values.get(value) ?? []));
      return [...found].sort((a, b) => a - b);
    }
    case 'Exists':
      return positions?.any ?? [];
    case 'NotIn':
    case 'DoesNotExist':
      return undefined;
    default:
      return assertNever(requirement.operator);
  }
}
