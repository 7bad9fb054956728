/**
 * The flat index of protocols, ports and ICMP types, as the datapath's port-class array has it: TCP, UDP and
 * SCTP ports, ICMP types, ICMPv6 types, then one entry a protocol number for packets whose ports are unknown
 * (protocols without ports, later fragments without a record). A test compares it with the datapath's own.
 */
import { assertNever, MerlonError } from '#kit/errors';
import type { PortMatch, Ports } from '#model';

/** First entries of each part (bpf/types.h PORT_CLASS_*). */
const PORT_CLASS_TCP = 0;
const PORT_CLASS_UDP = 65536;
const PORT_CLASS_SCTP = 131072;
const PORT_CLASS_ICMP = 196608;
const PORT_CLASS_ICMP6 = 196864;
const PORT_CLASS_PROTO = 197120;
export const PORT_CLASS_ENTRIES = 197376;

/** IANA protocol numbers of what has ports or types. */
const PROTO = { ICMP: 1, TCP: 6, UDP: 17, ICMP6: 58, SCTP: 132 } as const;

/** An inclusive range of the flat index. */
export type IndexRange = readonly [first: number, last: number];

/** Where a protocol's ports or types stand, and how many there are; undefined when it has neither. */
function partOf(protocol: number): { readonly base: number; readonly size: number } | undefined {
  switch (protocol) {
    case PROTO.TCP:
      return { base: PORT_CLASS_TCP, size: 65536 };
    case PROTO.UDP:
      return { base: PORT_CLASS_UDP, size: 65536 };
    case PROTO.SCTP:
      return { base: PORT_CLASS_SCTP, size: 65536 };
    case PROTO.ICMP:
      return { base: PORT_CLASS_ICMP, size: 256 };
    case PROTO.ICMP6:
      return { base: PORT_CLASS_ICMP6, size: 256 };
    default:
      return undefined;
  }
}

/** The entry that a packet reads; `port` is the destination port or the ICMP type, undefined when unknown. */
export function portIndex(protocol: number, port: number | undefined): number {
  const part = partOf(protocol);
  if (part === undefined || port === undefined) return PORT_CLASS_PROTO + protocol;
  return part.base + port;
}

/** What an entry of the flat index stands for; the inverse of `portIndex`. */
export function portOfIndex(index: number): { readonly protocol: number; readonly port: number | undefined } {
  for (const protocol of [PROTO.TCP, PROTO.UDP, PROTO.SCTP, PROTO.ICMP, PROTO.ICMP6]) {
    const part = partOf(protocol);
    if (part !== undefined && index >= part.base && index < part.base + part.size) {
      return { protocol, port: index - part.base };
    }
  }
  return { protocol: index - PORT_CLASS_PROTO, port: undefined };
}

/** The entries that a rule's ports cover, as written, one match after another. */
export function rangesOf(ports: Ports): readonly IndexRange[] {
  return ports.kind === 'any' ? [] : ports.matches.flatMap(rangesOfMatch);
}

/**
 * The entries that one port match covers. Port 0 is no port that a rule could name (HF-2.9); a whole protocol
 * covers it, and packets whose ports are unknown too.
 */
function rangesOfMatch(match: PortMatch): readonly IndexRange[] {
  switch (match.kind) {
    case 'ports': {
      const part = partOf(match.protocol);
      if (part === undefined || part.size !== 65536) {
        throw new MerlonError('INTERNAL', `protocol ${match.protocol} has no ports`);
      }
      const first = Math.max(match.first, 1);
      return first > match.last ? [] : [[part.base + first, part.base + match.last]];
    }
    case 'name':
      return []; // resolved before; a name that is left means nothing
    case 'protocol': {
      const part = partOf(match.protocol);
      const unknown: IndexRange = [PORT_CLASS_PROTO + match.protocol, PORT_CLASS_PROTO + match.protocol];
      return part === undefined ? [unknown] : [[part.base, part.base + part.size - 1], unknown];
    }
    case 'icmp': {
      const index = (match.family === 4 ? PORT_CLASS_ICMP : PORT_CLASS_ICMP6) + match.type;
      return [[index, index]];
    }
    default:
      return assertNever(match);
  }
}

/** The same entries as ascending, disjoint, non-adjacent ranges. */
export function mergeRanges(ranges: Iterable<IndexRange>): IndexRange[] {
  const merged: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const previous = merged.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged;
}
