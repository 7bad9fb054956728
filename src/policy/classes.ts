/**
 * Second stage, ports: protocol and port indexes that no port list tells apart form one class. A class is
 * named by the lists that mean it, so that its name has a meaning of its own, whatever else is compiled
 * beside it. (Identities: partition.ts.)
 */
import { MerlonError } from '#kit/errors';
import type { Ports } from '#model';
import type { PortClass } from './compiled.ts';
import { nameOf } from './digest.ts';
import { LIST_NAME_LIMIT } from './match.ts';
import { compareText } from '#kit/order';
import { hasChanges, type RowChanges } from '#kit/rows';
import { Places, VACANT } from './places.ts';
import { type IndexRange, mergeRanges, PORT_CLASS_ENTRIES, portOfIndex, rangesOf } from './port-index.ts';

/** Longest class name that is written out. */
const CLASS_NAME_LIMIT = 1000;
/** Most pairs of a stretch of ports and a list that means it: some 200 MB. */
const MAX_MEMBERSHIPS = 1 << 22;

/** A port list by content. `wildcard`: every protocol matches. */
export interface PortList {
  readonly name: string;
  readonly wildcard: boolean;
  readonly ranges: readonly IndexRange[];
}

/** Classes in their places, and for each list (by name) the places of its classes. */
export interface Classes<C> {
  readonly classes: readonly C[];
  readonly ofList: ReadonlyMap<string, ReadonlySet<number>>;
  /** Names of the lists that have classes in other places than before the last change. */
  readonly changed: ReadonlySet<string>;
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

/** A port class with the names of the lists that mean it. */
interface NamedClass extends PortClass {
  readonly lists: readonly string[];
}

/** The port classes, carried from one compilation to the next: while no list comes or goes, they stay. */
export class PortPartition {
  readonly #lists = new Map<string, PortList>();
  readonly #places = new Places();
  readonly #ofList = new Map<string, ReadonlySet<number>>();
  #names: ReadonlySet<string> = new Set(['']);
  #classes: readonly PortClass[] = [{ name: '', ranges: [[0, PORT_CLASS_ENTRIES - 1]] }];

  /** The classes after lists (no wildcards) have come and gone. Throws `POLICY_NO_ROOM`. */
  update(lists: RowChanges<PortList>): Classes<PortClass> {
    const changed = new Set<string>();
    if (hasChanges(lists)) this.#recompute(lists, changed);
    return { classes: this.#classes, ofList: this.#ofList, changed };
  }

  #recompute(lists: RowChanges<PortList>, changed: Set<string>): void {
    for (const { name } of lists.gone) this.#lists.delete(name);
    for (const list of lists.come) this.#lists.set(list.name, list);
    const named = portClasses([...this.#lists.values()].sort((a, b) => compareText(a.name, b.name)));
    const names = new Set(named.map(({ name }) => name));
    this.#places.update(this.#names.difference(names), names.difference(this.#names));
    this.#names = names;
    const vacant: PortClass = { name: VACANT, ranges: [] };
    const classes = Array.from({ length: this.#places.count }, () => vacant);
    const ofList = new Map<string, Set<number>>([...this.#lists.keys()].map((name) => [name, new Set()]));
    for (const { name, ranges, lists: covering } of named) {
      const place = this.#places.of(name) ?? 0;
      classes[place] = { name, ranges };
      for (const list of covering) ofList.get(list)?.add(place);
    }
    this.#classes = classes;
    for (const { name } of lists.gone) this.#ofList.delete(name);
    for (const [name, places] of ofList) {
      const before = this.#ofList.get(name);
      if (before !== undefined && before.symmetricDifference(places).size === 0) continue;
      this.#ofList.set(name, places);
      changed.add(name);
    }
  }
}

/** Classes of the flat port index under these lists (sorted by name, no wildcards). */
function portClasses(lists: readonly PortList[]): readonly NamedClass[] {
  const edges: { readonly at: number; readonly list: number; readonly opens: boolean }[] = [];
  lists.forEach((list, number) => {
    for (const [first, last] of list.ranges) {
      edges.push({ at: first, list: number, opens: true }, { at: last + 1, list: number, opens: false });
    }
  });
  edges.sort((a, b) => a.at - b.at);
  const groups = new Map<string, { readonly lists: readonly number[]; readonly ranges: IndexRange[] }>();
  groups.set('', { lists: [], ranges: [] });
  /** Ascending. */
  const active: number[] = [];
  let memberships = 0;
  let from = 0;
  const close = (to: number) => {
    if (to <= from) return;
    memberships += active.length;
    if (memberships > MAX_MEMBERSHIPS) {
      throw new MerlonError('POLICY_NO_ROOM', `${lists.length} lists of ports overlap too much`);
    }
    const covering = [...active];
    const key = covering.join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { lists: covering, ranges: [[from, to - 1]] });
    else group.ranges.push([from, to - 1]);
    from = to;
  };
  for (const edge of edges) {
    close(edge.at);
    const at = placeIn(active, edge.list);
    if (edge.opens) active.splice(at, 0, edge.list);
    else active.splice(at, 1);
  }
  close(PORT_CLASS_ENTRIES);
  return [...groups.values()].map((group) => {
    const names = group.lists.map((number) => lists[number]?.name ?? '');
    return { name: className(names), ranges: mergeRanges(group.ranges), lists: names };
  });
}

/** Where a number stands, or would stand, among ascending ones. */
function placeIn(ascending: readonly number[], number: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? number) < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Name of the class that lists with these names (sorted) mean. */
export function className(names: readonly string[]): string {
  return nameOf(names.join(' & '), CLASS_NAME_LIMIT);
}
