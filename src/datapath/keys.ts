/** Bytes of the keys that maps of addresses are looked up by. */
import { type Cidr, type Ip, parseCidr, parseIp } from '#kit/ip';
import { MerlonError } from '#kit/errors';
import { writeFailsafeKey, writeLpm4Key, writeLpm6Key, FAILSAFE_KEY_SIZE } from '#wire/bpf';

/** The address of a row. Errors: ADDRESS_SYNTAX. */
export function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new MerlonError('ADDRESS_SYNTAX', `${text} is not an IP address`);
  return ip;
}

/** An address of the kernel's, 4 or 16 bytes. */
export function ipOfBytes(bytes: Uint8Array): Ip {
  return { family: bytes.length === 4 ? 4 : 6, bytes: bytes.slice() };
}

/** The prefix of a row; an address alone is a host prefix. Errors: ADDRESS_SYNTAX. */
export function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr !== undefined) return cidr;
  const ip = ipOf(text);
  return { ip, length: ip.bytes.length * 8 };
}

export function isHost({ ip, length }: Cidr): boolean {
  return length === ip.bytes.length * 8;
}

/** `::ffff:a.b.c.d` of an IPv4 address, an IPv6 address as it is: 16 bytes. */
export function mappedBytes({ family, bytes }: Ip): Uint8Array {
  if (family === 6) return bytes;
  const mapped = new Uint8Array(16);
  mapped.fill(0xff, 10, 12);
  mapped.set(bytes, 12);
  return mapped;
}

/** Length of a prefix within the 128 bits of `mappedBytes`. */
export function mappedLength({ ip, length }: Cidr): number {
  return ip.family === 4 ? 96 + length : length;
}

/** Key of the prefix tries of the ipcache. */
export function lpmKey({ ip, length }: Cidr): Uint8Array {
  const view = new DataView(new ArrayBuffer(ip.family === 4 ? 8 : 20));
  if (ip.family === 6) writeLpm6Key(view, 0, { prefixlen: length, addr: ip.bytes });
  else
    writeLpm4Key(view, 0, {
      prefixlen: length,
      addr: new DataView(ip.bytes.buffer, ip.bytes.byteOffset).getUint32(0),
    });
  return new Uint8Array(view.buffer);
}

/** Key of a failsafe peer: 32 bits of slot, direction and group come before the address. */
export function failsafeKey(slot: number, inbound: boolean, group: number, peer: Cidr): Uint8Array {
  const view = new DataView(new ArrayBuffer(FAILSAFE_KEY_SIZE));
  writeFailsafeKey(view, 0, {
    prefixlen: 32 + mappedLength(peer),
    slot,
    inbound: inbound ? 1 : 0,
    group,
    addr: mappedBytes(peer.ip),
  });
  return new Uint8Array(view.buffer);
}
