/** Addresses and prefixes beside Node's own: nanoseconds each. Run: `node test/bench/kit.bench.ts`. */
import { isIP } from 'node:net';
import type { Cidr, Ip } from '#kit/ip';
import { cidrContainsIp, cidrOf, formatIp, ipFromBytes, parseCidr, parseIp, parseIpv4 } from '#kit/ip';
import { Lpm } from '#kit/lpm';

const COUNT = 1 << 16;
/** Results go here, so that the compiler cannot leave the work out. */
let sink = 0;

function measure(name: string, fn: (i: number) => number, floorNs?: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round++) {
    const start = performance.now();
    for (let i = 0; i < COUNT; i++) sink += fn(i);
    best = Math.min(best, ((performance.now() - start) * 1e6) / COUNT);
  }
  const ratio = floorNs === undefined ? '' : `  x${(best / floorNs).toFixed(2)}`;
  console.log(`${name.padEnd(44)} ${best.toFixed(0).padStart(6)} ns${ratio}`);
  return best;
}

const bytes = (i: number, size: number) =>
  Uint8Array.from({ length: size }, (_, n) => (Math.imul(i + 1, 0x9e3779b1 + n * 0x85ebca6b) >>> 13) & 255);
const v4 = Array.from({ length: COUNT }, (_, i) => ipFromBytes(bytes(i, 4)) as Ip);
const v6 = Array.from({ length: COUNT }, (_, i) => ipFromBytes(bytes(i, 16)) as Ip);
const text4 = v4.map(formatIp);
const text6 = v6.map(formatIp);
const cidrs = text4.map((text, i) => `${text}/${8 + (i % 25)}`);
const at = <T>(list: readonly T[], i: number) => list[i] as T;

const floor4 = measure('node:net isIP, IPv4', (i) => isIP(at(text4, i)));
measure('parseIpv4 (number)', (i) => parseIpv4(at(text4, i)), floor4);
measure('parseIp, IPv4', (i) => parseIp(at(text4, i))?.family ?? 0, floor4);
const floor6 = measure('node:net isIP, IPv6', (i) => isIP(at(text6, i)));
measure('parseIp, IPv6', (i) => parseIp(at(text6, i))?.family ?? 0, floor6);
measure('formatIp, IPv4', (i) => formatIp(at(v4, i)).length);
measure('formatIp, IPv6', (i) => formatIp(at(v6, i)).length);
measure('parseCidr, IPv4', (i) => parseCidr(at(cidrs, i))?.length ?? 0);
const ten = parseCidr('10.0.0.0/8') as Cidr;
measure('cidrContainsIp', (i) => (cidrContainsIp(ten, at(v4, i)) ? 1 : 0));

for (const size of [10, 10_000, COUNT]) {
  const lpm = new Lpm<number>();
  for (let i = 0; i < size; i++) lpm.set(cidrOf(at(v4, i), 12 + (i % 21)), i);
  measure(`Lpm.lookup among ${lpm.size}`, (i) => lpm.lookup(at(v4, i))?.value ?? 0);
}
if (sink === 0) throw new Error('nothing was measured');
