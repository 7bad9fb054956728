/**
 * The two axes of every rule set: identities and ports fall into classes, and a class has a number in the
 * kernel that outlives compiles. A compile's classes are laid over the numbers in use: what both put
 * together is a *segment*. The heaviest segment of each number keeps it, the others move to another number.
 * Pure; which number they move to is decided in `policy.ts`, which knows the rule sets.
 */
import { MerlonError } from '#kit/errors';
import type { IdentityClass, PortClass } from './compiled.ts';

/** What one old number and one new class have in common. */
export interface Segment<Item> {
  /** Number now. */
  readonly from: number;
  /** Position in the compiled policy. */
  readonly to: number;
  weight: number;
  readonly items: Item[];
}

/** Inclusive range of port-class indexes and the number they have. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly number: number;
}

/** How identities lie over the numbers in use. */
export interface IdentityOverlay {
  readonly segments: readonly Segment<number>[];
  /** Identities that have no number yet, with their position. */
  readonly added: readonly (readonly [identity: number, position: number])[];
  /** Identities with a number that the compiled policy does not know. */
  readonly gone: readonly number[];
}

/** Lays the compiled classes over the numbers that identities have. */
export function overlayIdentities(
  known: ReadonlyMap<number, number>,
  classes: readonly IdentityClass[],
): IdentityOverlay {
  const table = new Map<number, Segment<number>>();
  const added: [number, number][] = [];
  let seen = 0;
  classes.forEach(({ members }, position) => {
    let last: Segment<number> | undefined;
    for (const identity of members) {
      const from = known.get(identity);
      if (from === undefined) {
        added.push([identity, position]);
        continue;
      }
      seen++;
      if (last?.from !== from) last = segmentOf(table, from, position, classes.length);
      last.weight++;
      last.items.push(identity);
    }
  });
  const gone = seen === known.size ? [] : goneIdentities(known, classes);
  return { segments: [...table.values()], added, gone };
}

function goneIdentities(known: ReadonlyMap<number, number>, classes: readonly IdentityClass[]): number[] {
  const left = new Set(known.keys());
  for (const { members } of classes) for (const identity of members) left.delete(identity);
  return [...left];
}

function segmentOf<Item>(
  table: Map<number, Segment<Item>>,
  from: number,
  to: number,
  positions: number,
): Segment<Item> {
  const key = from * positions + to;
  let segment = table.get(key);
  if (segment === undefined) {
    segment = { from, to, weight: 0, items: [] };
    table.set(key, segment);
  }
  return segment;
}

/** Lays the compiled port classes over the numbers that ports have; both cover the whole index. */
export function overlayPorts(
  ranges: readonly PortRange[],
  classes: readonly PortClass[],
): Segment<PortRange>[] {
  const fresh = classes
    .flatMap((c, position) => c.ranges.map(([first, last]) => ({ first, last, position })))
    .sort((a, b) => a.first - b.first);
  const table = new Map<number, Segment<PortRange>>();
  const end = (ranges.at(-1)?.last ?? -1) + 1;
  let expected = 0;
  let at = 0;
  for (const { first, last, position } of fresh) {
    if (first !== expected || last < first || last >= end)
      throw new MerlonError('INTERNAL', `port classes leave a gap or overlap at index ${expected}`);
    expected = last + 1;
    while ((ranges[at] as PortRange).last < first) at++;
    for (let r = at; r < ranges.length; r++) {
      const range = ranges[r] as PortRange;
      if (range.first > last) break;
      const part = {
        first: Math.max(first, range.first),
        last: Math.min(last, range.last),
        number: range.number,
      };
      const segment = segmentOf(table, range.number, position, classes.length);
      segment.weight += part.last - part.first + 1;
      segment.items.push(part);
    }
  }
  if (expected !== end) throw new MerlonError('INTERNAL', `port classes end at index ${expected}`);
  return [...table.values()];
}

/** Which segment keeps each number, and which have to move. */
export interface Settlement<Item> {
  /** Number → position. */
  readonly positions: Map<number, number>;
  readonly moving: readonly Segment<Item>[];
}

/**
 * The heaviest segment of each number keeps it; `pinned` numbers have their position whatever lies on them
 * (that of unknown identities).
 */
export function settleSegments<Item>(
  segments: readonly Segment<Item>[],
  pinned: ReadonlyMap<number, number> = new Map(),
): Settlement<Item> {
  const heaviest = new Map<number, Segment<Item>>();
  for (const segment of segments) {
    const other = heaviest.get(segment.from);
    if (other === undefined || segment.weight > other.weight) heaviest.set(segment.from, segment);
  }
  const positions = new Map(pinned);
  for (const [number, { to }] of heaviest) if (!pinned.has(number)) positions.set(number, to);
  return { positions, moving: segments.filter((s) => positions.get(s.from) !== s.to) };
}

/**
 * The ranges after `moved` parts, each within one range, have got other numbers; neighbours of one number
 * are joined.
 */
export function movePorts(ranges: readonly PortRange[], moved: readonly PortRange[]): PortRange[] {
  const cuts = [...moved].sort((a, b) => a.first - b.first);
  const parts: PortRange[] = [];
  const add = (first: number, last: number, number: number) => {
    if (first > last) return;
    const before = parts.at(-1);
    if (before?.number === number) parts[parts.length - 1] = { ...before, last };
    else parts.push({ first, last, number });
  };
  let c = 0;
  for (const { first, last, number } of ranges) {
    let from = first;
    for (; c < cuts.length && (cuts[c] as PortRange).first <= last; c++) {
      const cut = cuts[c] as PortRange;
      add(from, cut.first - 1, number);
      add(cut.first, cut.last, cut.number);
      from = cut.last + 1;
    }
    add(from, last, number);
  }
  return parts;
}
