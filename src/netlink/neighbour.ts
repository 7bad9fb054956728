/** Neighbours: struct ndmsg and NDA_*. */
import { formatHex, parseMac } from '#kit/bytes';
import { addressBytes, addressText, familyOf } from './address.ts';
import { attributesOf, HOST_LE, type Message, MessageWriter, viewOf } from './message.ts';
import { AF, NDA, NUD } from './numbers.ts';

export interface Neighbour {
  readonly ifindex: number;
  readonly family: 4 | 6;
  readonly address: string;
  /** Empty while it is not known. */
  readonly mac: string;
  /** NUD_*. */
  readonly state: number;
  /** NTF_*. */
  readonly flags: number;
}

export interface NewNeighbour {
  readonly ifindex: number;
  readonly address: string;
  readonly mac?: string;
  /** Default permanent. */
  readonly state?: number;
  readonly flags?: number;
}

/** Reads an RTM_NEWNEIGH or RTM_DELNEIGH; undefined for other families (bridge forwarding entries). */
export function parseNeighbour(message: Message): Neighbour | undefined {
  const { body } = message;
  const view = viewOf(body);
  const family = body.length < 12 ? undefined : familyOf(view.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = attributesOf(body, 12);
  return {
    ifindex: view.getInt32(4, HOST_LE),
    family,
    address: addressText(attributes.get(NDA.dst)),
    mac: formatHex(attributes.get(NDA.lladdr) ?? new Uint8Array(), ':'),
    state: view.getUint16(8, HOST_LE),
    flags: view.getUint8(10),
  };
}

const ndmsg = (family: number, ifindex: number, state: number, flags: number): MessageWriter =>
  new MessageWriter().struct([
    [1, family],
    [1, 0],
    [2, 0],
    [4, ifindex],
    [2, state],
    [1, flags],
    [1, 0],
  ]);

export function dumpNeighbours(): Uint8Array {
  return ndmsg(AF.unspec, 0, 0, 0).body;
}

/** For RTM_NEWNEIGH and RTM_DELNEIGH. */
export function encodeNeighbour(n: NewNeighbour): Uint8Array {
  const { bytes, family } = addressBytes(n.address);
  const writer = ndmsg(family, n.ifindex, n.state ?? NUD.permanent, n.flags ?? 0).bytes(NDA.dst, bytes);
  if (n.mac !== undefined) {
    const mac = parseMac(n.mac);
    if (mac === undefined) throw new RangeError(`"${n.mac}" is no MAC address`);
    writer.bytes(NDA.lladdr, mac);
  }
  return writer.body;
}
