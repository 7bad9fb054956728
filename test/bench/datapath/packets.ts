/** Frames and contexts for test runs. Checksums are zero: the datapath leaves them to the kernel. */
import { parseIp } from '#kit/ip';
import type { Frame } from './runner.ts';

export type Family = 4 | 6;

export const SYN = 0x02;
export const ACK = 0x10;
export const SYN_ACK = SYN | ACK;
const PAYLOAD = 46;
const TCP = 6;

/** One TCP segment. */
export interface Segment {
  readonly source: string;
  readonly target: string;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly flags: number;
  readonly seq?: number;
  readonly ack?: number;
}

/** Where a frame is seen: the device, and the one it came in by (0: the node sends it). */
export interface Place {
  readonly ifindex: number;
  readonly ingressIfindex: number;
  readonly mac: Uint8Array;
}

const ETHERNET = 14;

/** The frame of a segment at a place; a SYN has no payload. */
export function frameOf(segment: Segment, place: Place): Frame {
  const source = bytesOf(segment.source);
  const target = bytesOf(segment.target);
  const family: Family = source.length === 4 ? 4 : 6;
  const header = family === 4 ? 20 : 40;
  const length = 20 + ((segment.flags & SYN) !== 0 ? 0 : PAYLOAD);
  const data = new Uint8Array(ETHERNET + header + length);
  const view = new DataView(data.buffer);
  data.set(place.mac, 0);
  data.set([2, 0, 0, 0, 0, 9], 6);
  view.setUint16(12, family === 4 ? 0x0800 : 0x86dd);
  if (family === 4) {
    view.setUint8(14, 0x45);
    view.setUint16(16, header + length);
    data.set([64, TCP], 22);
    data.set(source, 26);
    data.set(target, 30);
  } else {
    view.setUint8(14, 0x60);
    view.setUint16(18, length);
    data.set([TCP, 64], 20);
    data.set(source, 22);
    data.set(target, 38);
  }
  const tcp = ETHERNET + header;
  view.setUint16(tcp, segment.sourcePort);
  view.setUint16(tcp + 2, segment.targetPort);
  view.setUint32(tcp + 4, segment.seq ?? 1);
  view.setUint32(tcp + 8, segment.ack ?? 0);
  data.set([0x50, segment.flags], tcp + 12);
  view.setUint16(tcp + 14, 64240);
  return { data, ctx: contextOf(place) };
}

/** `struct __sk_buff` as far as its interface numbers. */
export function contextOf({
  ifindex,
  ingressIfindex,
}: Pick<Place, 'ifindex' | 'ingressIfindex'>): Uint8Array {
  const words = new Uint32Array(11);
  words[9] = ingressIfindex;
  words[10] = ifindex;
  return new Uint8Array(words.buffer);
}

function bytesOf(text: string): Uint8Array {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`${text} is no address`);
  return ip.bytes;
}
