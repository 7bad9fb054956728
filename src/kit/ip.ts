/**
 * IP addresses and prefixes. A value is plain data: family and bytes in network order; the host bits of a
 * prefix are zero. Text is strict: no leading zeros, no zone ids, no white space, no short forms of IPv4.
 * Benchmark: test/bench/kit.bench.ts.
 */
import { compareBytes, equalBytes, hexDigit } from './bytes.ts';

/** An address: 4 bytes or 16. An IPv4-mapped IPv6 address stays family 6; see `unmapIp`. */
export interface Ip {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** A prefix; the bits of `ip` after `length` are zero. */
export interface Cidr {
  readonly ip: Ip;
  readonly length: number;
}

const DOT = 46;
const COLON = 58;

/** The address written in `text`; undefined when it is none. */
export function parseIp(text: string): Ip | undefined {
  const value = parseIpv4(text);
  if (value >= 0) return ipv4FromNumber(value);
  const bytes = parseIpv6(text);
  return bytes === undefined ? undefined : { family: 6, bytes };
}

/** The IPv4 address written in `text` as an unsigned 32-bit number, or -1; allocates nothing. */
export function parseIpv4(text: string): number {
  const end = text.length;
  return end < 7 || end > 15 ? -1 : scanIpv4(text, 0);
}

/** IPv4 text from `start` to the end of `text`, as a number or -1. */
function scanIpv4(text: string, start: number): number {
  const end = text.length;
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0 || ++dots > 3) return -1;
      value = value * 256 + octet;
      octet = -1;
      continue;
    }
    const digit = code - 48;
    if (digit < 0 || digit > 9 || octet === 0) return -1;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

/** The 16 bytes of IPv6 text (RFC 4291 §2.2, all three forms), or undefined. */
function parseIpv6(text: string): Uint8Array | undefined {
  const end = text.length;
  if (end < 2 || end > 45) return undefined;
  const bytes = new Uint8Array(16);
  let at = 0; // next byte to write
  let gap = -1; // where `::` stands in bytes
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return undefined;
    gap = 0;
    i = 2;
  }
  while (i < end) {
    if (at === 16) return undefined;
    const start = i;
    let group = 0;
    let code = 0;
    for (; i < end; i++) {
      code = text.charCodeAt(i);
      const digit = hexDigit(code);
      if (digit < 0) break;
      group = group * 16 + digit;
    }
    if (i < end && code === DOT) {
      const tail = at <= 12 ? scanIpv4(text, start) : -1;
      if (tail < 0) return undefined;
      setU32(bytes, at, tail);
      at += 4;
      break;
    }
    if (i === start || i - start > 4) return undefined;
    bytes[at++] = group >> 8;
    bytes[at++] = group;
    if (i === end) break;
    if (code !== COLON || ++i === end) return undefined;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return undefined;
      gap = at;
      i++;
    }
  }
  if (gap < 0) return at === 16 ? bytes : undefined;
  if (at === 16) return undefined; // `::` must stand for at least one group
  bytes.copyWithin(16 - (at - gap), gap, at);
  bytes.fill(0, gap, 16 - (at - gap));
  return bytes;
}

function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** An unsigned 32-bit number as an IPv4 address. */
export function ipv4FromNumber(value: number): Ip {
  const bytes = new Uint8Array(4);
  setU32(bytes, 0, value);
  return { family: 4, bytes };
}

/** An IPv4 address as an unsigned 32-bit number; undefined for IPv6. */
export function ipv4ToNumber(ip: Ip): number | undefined {
  if (ip.family !== 4) return undefined;
  const [a, b, c, d] = ip.bytes as unknown as [number, number, number, number];
  return a * 2 ** 24 + ((b << 16) | (c << 8) | d);
}

/** An address of 4 or 16 bytes in network order, copied; undefined for any other length. */
export function ipFromBytes(bytes: Uint8Array): Ip | undefined {
  if (bytes.length === 4) return { family: 4, bytes: Uint8Array.from(bytes) };
  if (bytes.length === 16) return { family: 6, bytes: Uint8Array.from(bytes) };
  return undefined;
}

/** Whether the address is IPv4-mapped IPv6 (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2). */
function isIpv4Mapped(ip: Ip): boolean {
  if (ip.family === 4) return false;
  for (let i = 0; i < 10; i++) if (ip.bytes[i] !== 0) return false;
  return ip.bytes[10] === 0xff && ip.bytes[11] === 0xff;
}

/** The IPv4 address inside an IPv4-mapped one; any other address as it is. */
export function unmapIp(ip: Ip): Ip {
  return isIpv4Mapped(ip) ? { family: 4, bytes: ip.bytes.slice(12) } : ip;
}

/** The one text of an address: dotted IPv4, RFC 5952 for IPv6 (mapped addresses end in dotted form, §5). */
export function formatIp(ip: Ip): string {
  const { bytes } = ip;
  if (ip.family === 4) return formatIpv4(bytes, 0);
  if (isIpv4Mapped(ip)) return `::ffff:${formatIpv4(bytes, 12)}`;
  const [gapStart, gapEnd] = longestZeroRun(bytes);
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === gapStart) {
      text += '::';
      group = gapEnd - 1;
      continue;
    }
    if (group > 0 && group !== gapEnd) text += ':';
    text += (((bytes[2 * group] as number) << 8) | (bytes[2 * group + 1] as number)).toString(16);
  }
  return text;
}

function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** First longest run of at least two zero groups, as [start, end) in groups; [-1, -1] when there is none. */
function longestZeroRun(bytes: Uint8Array): readonly [start: number, end: number] {
  let best: readonly [number, number] = [-1, -1];
  let bestLength = 1;
  for (let group = 0; group < 8; ) {
    let end = group;
    while (end < 8 && bytes[2 * end] === 0 && bytes[2 * end + 1] === 0) end++;
    if (end - group > bestLength) {
      best = [group, end];
      bestLength = end - group;
    }
    group = end + 1;
  }
  return best;
}

/** Same family, same bytes; an IPv4-mapped address differs from its IPv4 address. */
export function ipEquals(a: Ip, b: Ip): boolean {
  return equalBytes(a.bytes, b.bytes);
}

/** IPv4 before IPv6, then by bytes. */
function compareIp(a: Ip, b: Ip): number {
  return a.family - b.family || compareBytes(a.bytes, b.bytes);
}

/** Bits of an address of this family. */
export function ipBits(ip: Ip): 32 | 128 {
  return ip.family === 4 ? 32 : 128;
}

/** The prefix written in `text`; `/length` is required, host bits are masked. Undefined when it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const length = parsePrefixLength(text, slash + 1);
  if (ip === undefined || length < 0 || length > ipBits(ip)) return undefined;
  return cidrOf(ip, length);
}

/** Decimal number without sign or leading zeros from `start` to the end of `text`, or -1. */
function parsePrefixLength(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(start) === 48)) return -1;
  let length = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** Like `parseCidr`; a bare address stands for itself with full length. */
export function parseCidrOrIp(text: string): Cidr | undefined {
  if (text.includes('/')) return parseCidr(text);
  const ip = parseIp(text);
  return ip === undefined ? undefined : hostCidr(ip);
}

/** The prefix of one address. */
export function hostCidr(ip: Ip): Cidr {
  return { ip, length: ipBits(ip) };
}

/** The prefix of `length` bits around an address; its host bits are masked. RangeError outside 0 … 32 or 128. */
export function cidrOf(ip: Ip, length: number): Cidr {
  if (!(length >= 0 && length <= ipBits(ip))) throw new RangeError(`prefix length ${length}`);
  const bytes = Uint8Array.from(ip.bytes);
  const whole = length >> 3;
  if (whole < bytes.length) {
    bytes[whole] = (bytes[whole] as number) & (0xff00 >> (length & 7));
    bytes.fill(0, whole + 1);
  }
  return { ip: { family: ip.family, bytes }, length };
}

/** `address/length`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatIp(cidr.ip)}/${cidr.length}`;
}

/** `address/length`, or the bare address where the prefix is one address. */
export function formatCidrOrIp(cidr: Cidr): string {
  return cidr.length === ipBits(cidr.ip) ? formatIp(cidr.ip) : formatCidr(cidr);
}

/** How many leading bits of two byte strings of one length agree. */
export function commonPrefixLength(a: Uint8Array, b: Uint8Array): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  if (i === a.length) return i * 8;
  return i * 8 + Math.clz32((a[i] as number) ^ (b[i] as number)) - 24;
}

/** Whether the address lies in the prefix; never across families. */
export function cidrContainsIp(cidr: Cidr, ip: Ip): boolean {
  return cidr.ip.family === ip.family && commonPrefixLength(cidr.ip.bytes, ip.bytes) >= cidr.length;
}

/** Whether every address of `inner` lies in `outer`; a prefix covers itself. */
export function cidrCovers(outer: Cidr, inner: Cidr): boolean {
  return outer.length <= inner.length && cidrContainsIp(outer, inner.ip);
}

/** Whether the two share an address. */
export function cidrOverlaps(a: Cidr, b: Cidr): boolean {
  return a.length <= b.length ? cidrCovers(a, b) : cidrCovers(b, a);
}

/** Same prefix. */
export function cidrEquals(a: Cidr, b: Cidr): boolean {
  return a.length === b.length && ipEquals(a.ip, b.ip);
}

/** The canonical order: IPv4 first, then by address, an enclosing prefix before what it covers. */
export function compareCidr(a: Cidr, b: Cidr): number {
  return compareIp(a.ip, b.ip) || a.length - b.length;
}

/** The two halves of a prefix; undefined for a single address. */
function cidrHalves(cidr: Cidr): readonly [low: Cidr, high: Cidr] | undefined {
  if (cidr.length === ipBits(cidr.ip)) return undefined;
  const bytes = Uint8Array.from(cidr.ip.bytes);
  const index = cidr.length >> 3;
  bytes[index] = (bytes[index] as number) | (0x80 >> (cidr.length & 7));
  const length = cidr.length + 1;
  return [
    { ip: cidr.ip, length },
    { ip: { family: cidr.ip.family, bytes }, length },
  ];
}

/**
 * What remains of `cidr` without `except`: the fewest disjoint prefixes, in canonical order. Prefixes of
 * `except` outside `cidr` or of the other family take nothing away.
 */
export function cidrSubtract(cidr: Cidr, except: readonly Cidr[]): Cidr[] {
  const cutting = except.filter((e) => cidrOverlaps(cidr, e));
  if (cutting.length === 0) return [cidr];
  if (cutting.some((e) => cidrCovers(e, cidr))) return [];
  return (cidrHalves(cidr) ?? []).flatMap((half) => cidrSubtract(half, cutting));
}
