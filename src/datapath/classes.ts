/**
 * The two axes of every rule set: identities and ports fall into classes, and a class has a number in the
 * kernel that outlives compiles. A compile's classes are laid over the numbers in use: what both put
 * together is a *segment*. The heaviest segment of each number keeps it, the others move to another number.
 * Pure; which number they move to is decided in `policy.ts`, which knows the rule sets.
 */
import { MerlonError } from '#kit/errors';
import { rowChanges } from '#kit/rows';
import type { Axis } from './axis.ts';
import type { CompiledPolicy, IdentityClass, PortClass } from './compiled.ts';

/** What one old number and one new class have in common. */
export interface Segment<Item> {
  /** Number now. */
  readonly from: number;
  /** Position in the compiled policy. */
  readonly to: number;
  weight: number;
  /** Those known to move; see `itemsOf`. */
  readonly items: Item[];
}

/** Inclusive range of port-class indexes and the number they have. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly number: number;
}

/** How the items of an axis lie over the numbers in use, where that is not as it was. */
export interface Overlay<Item> {
  /** Numbers that somebody leaves: all others keep the position that they have. */
  readonly unsettled: ReadonlySet<number>;
  /** Everything that lies on these. */
  readonly segments: readonly Segment<Item>[];
}

/** The same of identities, of whom some have no number. */
export interface IdentityOverlay extends Overlay<number> {
  /** Identities that have no number yet, with their position. */
  readonly added: readonly (readonly [identity: number, position: number])[];
  /** Identities with a number that the compiled policy does not know. */
  readonly gone: readonly number[];
}

/** Numbers of identities, and what each number means in the policy applied last. */
export interface NumbersInUse {
  /** Identity → number. */
  readonly known: ReadonlyMap<number, number>;
  readonly axis: Pick<Axis, 'weights' | 'positions'>;
}

/** The policy applied last, while every member of its classes has a number of their position. */
export interface Base extends Pick<CompiledPolicy, 'identityClasses' | 'portClasses'> {
  /** With a number still, and in no class. */
  readonly gone: readonly number[];
}

const NOBODY: readonly number[] = [];

/**
 * Lays the compiled classes over the numbers that identities have. Of a class that stands where it stood only those
 * are looked at who come or go: the others lie on the numbers of its position. Segments of these have no items.
 */
export function overlayIdentities(
  { known, axis }: NumbersInUse,
  classes: readonly IdentityClass[],
  base?: Pick<Base, 'identityClasses' | 'gone'>,
): IdentityOverlay {
  const isCarried = (position: number): boolean =>
    base?.identityClasses[position]?.name === classes[position]?.name;
  const left = new Set<number>(base?.gone ?? known.keys());
  const arriving: (readonly [position: number, come: readonly number[]])[] = [];
  for (let position = 0; position < Math.max(classes.length, base?.identityClasses.length ?? 0); position++) {
    if (base?.identityClasses[position] === classes[position]) continue;
    const [before, now] = [
      base?.identityClasses[position]?.members ?? NOBODY,
      classes[position]?.members ?? NOBODY,
    ];
    const { gone, come } = isCarried(position) ? rowChanges(before, now) : { gone: before, come: now };
    for (const identity of gone) left.add(identity);
    if (come.length > 0) arriving.push([position, come]);
  }
  const table = new Map<number, Segment<number>>();
  const added: [number, number][] = [];
  /** How many leave a number's position. */
  const leaving = new Map<number, number>();
  const leave = (number: number): void => void leaving.set(number, (leaving.get(number) ?? 0) + 1);
  for (const [position, come] of arriving) {
    for (const identity of come) {
      left.delete(identity);
      const from = known.get(identity);
      if (from === undefined) added.push([identity, position]);
      if (from === undefined || (isCarried(position) && axis.positions.get(from) === position)) continue;
      const segment = segmentOf(table, from, position, classes.length);
      segment.weight++;
      segment.items.push(identity);
      leave(from);
    }
  }
  const gone = [...left].filter((identity) => known.has(identity));
  for (const identity of gone) leave(known.get(identity) as number);
  for (const [number, count] of leaving) {
    const position = axis.positions.get(number);
    const weight = (axis.weights.get(number) ?? 0) - count;
    if (position !== undefined && weight > 0)
      segmentOf(table, number, position, classes.length).weight += weight;
  }
  const unsettled = new Set(
    base === undefined ? [...axis.positions.keys(), ...leaving.keys()] : leaving.keys(),
  );
  return { unsettled, segments: [...table.values()], added, gone };
}

/** Everybody of a segment, whose items may have been left out. */
export function itemsOf(
  { from, to, weight, items }: Segment<number>,
  classes: readonly IdentityClass[],
  known: ReadonlyMap<number, number>,
): readonly number[] {
  if (items.length === weight) return items;
  return classes[to]?.members.filter((identity) => known.get(identity) === from) ?? [];
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

/** The segments of those numbers alone of which any lies elsewhere than it did. */
export function unsettledPorts(
  segments: readonly Segment<PortRange>[],
  positions: ReadonlyMap<number, number>,
): Overlay<PortRange> {
  const isMoved = ({ from, to }: Segment<PortRange>): boolean => positions.get(from) !== to;
  const unsettled = new Set(segments.filter(isMoved).map(({ from }) => from));
  const present = new Set(segments.map(({ from }) => from));
  for (const number of positions.keys()) if (!present.has(number)) unsettled.add(number);
  return { unsettled, segments: segments.filter(({ from }) => unsettled.has(from)) };
}

/** Which segment keeps each number, and which have to move. */
export interface Settlement<Item> {
  /** Position of each number that was unsettled; undefined: it has none any more. */
  readonly positions: ReadonlyMap<number, number | undefined>;
  readonly moving: readonly Segment<Item>[];
}

/**
 * The heaviest segment of each number keeps it; `pinned` numbers have their position whatever lies on them
 * (that of unknown identities).
 */
export function settleSegments<Item>(
  { unsettled, segments }: Overlay<Item>,
  pinned: ReadonlyMap<number, number> = new Map(),
): Settlement<Item> {
  const heaviest = new Map<number, Segment<Item>>();
  for (const segment of segments) {
    const other = heaviest.get(segment.from);
    if (other === undefined || segment.weight > other.weight) heaviest.set(segment.from, segment);
  }
  const positions = new Map<number, number | undefined>();
  for (const number of unsettled) positions.set(number, heaviest.get(number)?.to);
  for (const [number, position] of pinned) positions.set(number, position);
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
