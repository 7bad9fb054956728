/**
 * Second stage: identities that no peer list tells apart form one class, and protocol and port indexes that
 * no port list tells apart form another. A class is named by the lists that mean it, so that its name has a
 * meaning of its own, whatever else is compiled beside it.
 */
import type { IdentityRow, Ports } from '#model';
import type { IdentityClass, PortClass } from './compiled.ts';
import { nameOf } from './digest.ts';
import { LIST_NAME_LIMIT, type PeerList } from './match.ts';
import { compareText } from '#kit/order';
import {
  type IndexRange,
  mergeRanges,
  PORT_CLASS_ENTRIES,
  portOfIndex,
  rangesOfMatch,
} from './port-index.ts';
import { type LabelIndex, membersOf } from './selectors.ts';

/** Longest class name that is written out. */
const CLASS_NAME_LIMIT = 1000;

/** A port list by content. `wildcard`: every protocol matches. */
export interface PortList {
  readonly name: string;
  readonly wildcard: boolean;
  readonly ranges: readonly IndexRange[];
}

/** Classes in the order of their names, and for each list (by name) the ascending positions of its classes. */
export interface Classes<C> {
  readonly classes: readonly C[];
  readonly ofList: ReadonlyMap<string, readonly number[]>;
}

/** The list that a rule's ports stand for. */
export function portListOf(ports: Ports): PortList {
  if (ports.kind === 'any') return { name: '*', wildcard: true, ranges: [] };
  const ranges = mergeRanges(ports.matches.flatMap(rangesOfMatch));
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

/** Classes of the identities under these lists (sorted by name, no wildcards). */
export function identityClasses(
  lists: readonly PeerList[],
  identities: readonly IdentityRow[],
  index: LabelIndex,
): Classes<IdentityClass> {
  const signatures: number[][] = identities.map(() => []);
  lists.forEach((list, number) => {
    for (const position of membersOf(list, index)) signatures[position]?.push(number);
  });
  const groups = new Map<string, { readonly lists: readonly number[]; readonly members: IdentityRow[] }>();
  groups.set('', { lists: [], members: [] });
  identities.forEach((row, position) => {
    const signature = signatures[position] ?? [];
    const key = signature.join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { lists: signature, members: [row] });
    else group.members.push(row);
  });
  const named = [...groups.values()].map((group) => ({
    lists: group.lists,
    value: {
      name: className(group.lists, lists),
      members: group.members.map((row) => row.id).sort((a, b) => a - b),
    },
  }));
  return ordered(named, lists);
}

/** Classes of the flat port index under these lists (sorted by name, no wildcards). */
export function portClasses(lists: readonly PortList[]): Classes<PortClass> {
  const edges: { readonly at: number; readonly list: number; readonly opens: boolean }[] = [];
  lists.forEach((list, number) => {
    for (const [first, last] of list.ranges) {
      edges.push({ at: first, list: number, opens: true }, { at: last + 1, list: number, opens: false });
    }
  });
  edges.sort((a, b) => a.at - b.at);
  const groups = new Map<string, { readonly lists: readonly number[]; readonly ranges: IndexRange[] }>();
  groups.set('', { lists: [], ranges: [] });
  const active = new Set<number>();
  let from = 0;
  const close = (to: number) => {
    if (to <= from) return;
    const covering = [...active].sort((a, b) => a - b);
    const key = covering.join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { lists: covering, ranges: [[from, to - 1]] });
    else group.ranges.push([from, to - 1]);
    from = to;
  };
  for (const edge of edges) {
    close(edge.at);
    if (edge.opens) active.add(edge.list);
    else active.delete(edge.list);
  }
  close(PORT_CLASS_ENTRIES);
  const named = [...groups.values()].map((group) => ({
    lists: group.lists,
    value: { name: className(group.lists, lists), ranges: mergeRanges(group.ranges) },
  }));
  return ordered(named, lists);
}

function className(numbers: readonly number[], lists: readonly { readonly name: string }[]): string {
  return nameOf(numbers.map((number) => lists[number]?.name ?? '').join(' & '), CLASS_NAME_LIMIT);
}

/** Sorts by name (the unnamed class of what no list means comes first) and inverts class → lists. */
function ordered<C extends { readonly name: string }>(
  named: readonly { readonly lists: readonly number[]; readonly value: C }[],
  lists: readonly { readonly name: string }[],
): Classes<C> {
  const sorted = [...named].sort((a, b) => compareText(a.value.name, b.value.name));
  const ofList = new Map<string, number[]>(lists.map((list) => [list.name, []]));
  sorted.forEach(({ lists: numbers }, position) => {
    for (const number of numbers) ofList.get(lists[number]?.name ?? '')?.push(position);
  });
  return { classes: sorted.map(({ value }) => value), ofList };
}
