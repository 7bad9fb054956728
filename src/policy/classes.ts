/** Second stage, ports: lists of protocols, ports and types, and the classes that they cut the index into. */
import type { RowChanges } from '#kit/rows';
import type { Ports } from '#model';
import type { PortClass } from './compiled.ts';
import { nameOf } from './digest.ts';
import { type Classes, ClassGroups } from './groups.ts';
import { LIST_NAME_LIMIT } from './match.ts';
import { type IndexRange, mergeRanges, PORT_CLASS_ENTRIES, portOfIndex, rangesOf } from './port-index.ts';

/** A port list by content. `wildcard`: every protocol matches. */
export interface PortList {
  readonly name: string;
  readonly wildcard: boolean;
  readonly ranges: readonly IndexRange[];
}

/** The list that a rule's ports stand for. */
export function portListOf(ports: Ports): PortList {
  if (ports.kind === 'any') return { name: '*', wildcard: true, ranges: [] };
  const ranges = mergeRanges(rangesOf(ports));
  return { name: nameOf(ranges.map(rangeText).join(' '), LIST_NAME_LIMIT), wildcard: false, ranges };
}

const PROTOCOL_NAMES: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
};

/** `TCP:80-90`, `ICMP:8`, `UDP:?` for unknown ports, `proto:47`. A range stays within one part of the index. */
export function rangeText([first, last]: IndexRange): string {
  const from = portOfIndex(first);
  const to = portOfIndex(last);
  if (from.protocol !== to.protocol || (from.port === undefined) !== (to.port === undefined)) {
    return `${entryText(from)}..${entryText(to)}`;
  }
  return entryText(from) + (first === last ? '' : `-${to.port}`);
}

function entryText({
  protocol,
  port,
}: {
  readonly protocol: number;
  readonly port: number | undefined;
}): string {
  const name = PROTOCOL_NAMES[protocol];
  if (name === undefined) return `proto:${protocol}`;
  return `${name}:${port ?? '?'}`;
}

/**
 * The port classes, carried from one compilation to the next. The index is cut where any list begins or ends, and
 * what lies between two cuts is an item, called by its first entry.
 */
export class PortPartition {
  /** First entries of the items, ascending. */
  readonly #starts = [0];
  /** How many lists begin or end at each cut. */
  readonly #cuts = new Map<number, number>();
  readonly #groups = new ClassGroups<number, PortList, PortClass>('ports', (name, starts) => ({
    name,
    ranges: mergeRanges(starts.map((start) => [start, this.#endOf(start)])),
  }));

  constructor() {
    this.#groups.add(0, new Set());
  }

  /** The classes after lists (no wildcards) have come and gone. Throws `POLICY_NO_ROOM`. */
  update(lists: RowChanges<PortList>): Classes<PortClass> {
    for (const list of lists.gone) this.#groups.removeList(list);
    for (const { ranges } of lists.gone) for (const cut of cutsOf(ranges)) this.#join(cut);
    for (const list of lists.come) {
      for (const cut of cutsOf(list.ranges)) this.#cut(cut);
      this.#groups.addList(list, new Set(list.ranges.flatMap((range) => this.#startsIn(range))));
    }
    return this.#groups.settle();
  }

  /** One more list begins or ends here. */
  #cut(at: number): void {
    const count = this.#cuts.get(at) ?? 0;
    this.#cuts.set(at, count + 1);
    if (count > 0) return;
    const place = this.#placeOf(at);
    const before = this.#starts[place - 1] ?? 0;
    this.#starts.splice(place, 0, at);
    this.#groups.add(at, new Set(this.#groups.listsOf(before)));
    this.#groups.restate(before);
    this.#groups.restate(at); // it may have been an item before, of another length
  }

  /** One list less does; no list tells the two sides of a cut apart where none is left. */
  #join(at: number): void {
    const count = this.#cuts.get(at) ?? 0;
    if (count > 1) this.#cuts.set(at, count - 1);
    if (count !== 1) return;
    const place = this.#placeOf(at);
    this.#cuts.delete(at);
    this.#starts.splice(place, 1);
    this.#groups.remove(at);
    this.#groups.restate(this.#starts[place - 1] ?? 0);
  }

  #startsIn([first, last]: IndexRange): readonly number[] {
    return this.#starts.slice(this.#placeOf(first), this.#placeOf(last + 1));
  }

  #endOf(start: number): number {
    return (this.#starts[this.#placeOf(start + 1)] ?? PORT_CLASS_ENTRIES) - 1;
  }

  /** Where the first item stands that does not begin before this entry. */
  #placeOf(at: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#starts[middle] ?? 0) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Where ranges begin and end, the ends of the index aside. */
function cutsOf(ranges: readonly IndexRange[]): readonly number[] {
  return ranges
    .flatMap(([first, last]) => [first, last + 1])
    .filter((at) => at > 0 && at < PORT_CLASS_ENTRIES);
}
