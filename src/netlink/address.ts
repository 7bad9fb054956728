/** Addresses: struct ifaddrmsg and IFA_*. */
import { formatIp, ipFromBytes, parseIp } from '#kit/ip';
import { attributesOf, HOST_LE, type Message, MessageWriter, numberOf, viewOf } from './message.ts';
import { AF, IFA, RT_SCOPE } from './numbers.ts';

/** An address of a device. */
export interface Address {
  readonly ifindex: number;
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
}

export interface NewAddress {
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  readonly scope?: number;
  readonly flags?: number;
}

/** `undefined` bytes or a length that is no address give the unspecified text ``. */
export function addressText(bytes: Uint8Array | undefined): string {
  const ip = bytes === undefined ? undefined : ipFromBytes(bytes);
  return ip === undefined ? '' : formatIp(ip);
}

/** The bytes and AF_* of an address text. */
export function addressBytes(text: string): { readonly bytes: Uint8Array; readonly family: number } {
  const ip = parseIp(text);
  if (ip === undefined) throw new RangeError(`"${text}" is no IP address`);
  return { bytes: ip.bytes, family: ip.family === 4 ? AF.inet : AF.inet6 };
}

/** 4 or 6 of an AF_*; undefined for other families. */
export function familyOf(af: number): 4 | 6 | undefined {
  return af === AF.inet ? 4 : af === AF.inet6 ? 6 : undefined;
}

/** Reads an RTM_NEWADDR or RTM_DELADDR; undefined for families other than IP. */
export function parseAddress(message: Message): Address | undefined {
  const { body } = message;
  const view = viewOf(body);
  const family = body.length < 8 ? undefined : familyOf(view.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = attributesOf(body, 8);
  return {
    ifindex: view.getUint32(4, HOST_LE),
    family,
    // With a peer, IFA_ADDRESS is the peer's and IFA_LOCAL our own.
    address: addressText(attributes.get(IFA.local) ?? attributes.get(IFA.address)),
    prefixLength: view.getUint8(1),
    scope: view.getUint8(3),
    flags: numberOf(attributes.get(IFA.flags), view.getUint8(2)),
  };
}

export function dumpAddresses(): Uint8Array {
  return new MessageWriter().struct([
    [1, AF.unspec],
    [1, 0],
    [1, 0],
    [1, 0],
    [4, 0],
  ]).body;
}

/** For RTM_NEWADDR and RTM_DELADDR. */
export function encodeAddress(a: NewAddress): Uint8Array {
  const { bytes, family } = addressBytes(a.address);
  const writer = new MessageWriter().struct([
    [1, family],
    [1, a.prefixLength],
    [1, 0],
    [1, a.scope ?? RT_SCOPE.universe],
    [4, a.ifindex],
  ]);
  writer.bytes(IFA.local, bytes).bytes(IFA.address, bytes);
  if (a.flags !== undefined) writer.u32(IFA.flags, a.flags);
  return writer.body;
}
