import test from 'ava';
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import type { Cidr, Ip } from '#kit/ip';
import {
  cidrContainsIp,
  cidrCovers,
  cidrOf,
  cidrOverlaps,
  cidrSubtract,
  compareCidr,
  formatCidr,
  formatCidrOrIp,
  formatIp,
  ipBits,
  ipEquals,
  ipFromBytes,
  ipv4FromNumber,
  ipv4ToNumber,
  parseCidr,
  parseCidrOrIp,
  parseIp,
  parseIpv4,
  unmapIp,
} from '#kit/ip';

const accepted: readonly [text: string, canonical: string][] = [
  ['0.0.0.0', '0.0.0.0'],
  ['255.255.255.255', '255.255.255.255'],
  ['192.0.2.1', '192.0.2.1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['2001:DB8::0001', '2001:db8::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['::ffff:c000:201', '::ffff:192.0.2.1'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
];
for (const [text, canonical] of accepted) {
  test(`parseIp – ${text} is ${canonical}`, (t) => {
    const ip = parseIp(text);
    t.truthy(ip);
    t.is(formatIp(ip as Ip), canonical);
  });
}

const refused = [
  '',
  '1',
  '1.2.3',
  '1.2.3.',
  '.1.2.3',
  '1..2.3',
  '1.2.3.4.',
  '1.2.3.4.5',
  '256.1.1.1',
  '01.2.3.4',
  '1.2.3.00',
  '1.2.3.4 ',
  ' 1.2.3.4',
  '0x1.2.3.4',
  '1.2.3.-4',
  '٣.2.3.4',
  ':',
  ':::',
  '1:',
  ':1',
  '1::2::3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4::5:6:7:8',
  '12345::',
  'g::',
  'fe80::1%eth0',
  '[::1]',
  '::1.2.3',
  '::1.2.3.4:5',
  '::01.2.3.4',
  '1:2:3:4:5:6:7:1.2.3.4',
  '1.2.3.4::',
  '::1/64',
];
for (const text of refused) {
  test(`parseIp – "${text}" is no address`, (t) => t.is(parseIp(text), undefined));
}

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Groups are often zero, so that runs of zeros of every length and place come up. */
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((g) => [g >> 8, g & 255])));
const ip = fc.oneof(ipv4, ipv6).map((bytes) => ipFromBytes(bytes) as Ip);
const cidr = fc.tuple(ip, fc.nat(128)).map(([i, n]) => cidrOf(i, Math.min(n, ipBits(i))));
/** Prefixes of 10.0.0.0/24, dense enough to overlap. */
const closeCidr = fc
  .tuple(fc.nat(255), fc.integer({ min: 22, max: 32 }))
  .map(([last, n]) => cidrOf(ipv4FromNumber(0x0a000000 + last), n));

function oracleOf(i: Ip): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.fromByteArray([...i.bytes]);
}

test('formatIp – agrees with ipaddr.js and reads back', (t) => {
  fc.assert(
    fc.property(ip, (i) => {
      const oracle = oracleOf(i);
      const text = formatIp(i);
      if (!(oracle instanceof ipaddr.IPv6 && oracle.isIPv4MappedAddress())) {
        t.is(text, oracle instanceof ipaddr.IPv6 ? oracle.toRFC5952String() : oracle.toString());
      }
      t.deepEqual(parseIp(text), i);
    }),
  );
});

test('parseIp – agrees with ipaddr.js on text that looks like an address', (t) => {
  const piece = fc.oneof(
    fc.constantFrom(':', '::', '.', '0', '00', 'ffff', '255', '256', '1.2.3.4', '/', '%'),
    fc.stringMatching(/^[0-9a-f]{1,5}$/),
  );
  const text = fc.array(piece, { maxLength: 16 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (s) => {
      const mine = parseIp(s);
      const isOracle =
        ipaddr.IPv4.isValidFourPartDecimal(s) || (ipaddr.IPv6.isValid(s) && !s.includes('%') && isStrict(s));
      t.is(mine !== undefined, isOracle, s);
      // ipaddr.js takes an IPv4-compatible address (RFC 4291 §2.5.5.1) for a mapped one.
      if (mine === undefined || /^::[\d.]+$/.test(s)) return;
      t.deepEqual([...mine.bytes], ipaddr.parse(s).toByteArray());
    }),
    { numRuns: 2000 },
  );
});

/** ipaddr.js reads groups of five digits and dotted tails with leading zeros; RFC 4291 does not. */
function isStrict(s: string): boolean {
  const tail = s.slice(s.lastIndexOf(':') + 1);
  const groups = s.split(':').filter((g) => !g.includes('.'));
  if (groups.some((g) => g.length > 4)) return false;
  return !tail.includes('.') || ipaddr.IPv4.isValidFourPartDecimal(tail);
}

test('parseIpv4 – the number is that of the bytes', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (n) => {
      const i = ipv4FromNumber(n);
      t.is(parseIpv4(formatIp(i)), n);
      t.is(ipv4ToNumber(i), n);
    }),
  );
});

test('unmapIp – only mapped addresses become IPv4', (t) => {
  t.is(formatIp(unmapIp(parseIp('::ffff:192.0.2.1') as Ip)), '192.0.2.1');
  t.is(formatIp(unmapIp(parseIp('::fffe:192.0.2.1') as Ip)), '::fffe:c000:201');
  t.is(formatIp(unmapIp(parseIp('192.0.2.1') as Ip)), '192.0.2.1');
});

const cidrs: readonly [text: string, canonical: string | undefined][] = [
  ['10.1.2.3/8', '10.0.0.0/8'],
  ['10.1.2.3/32', '10.1.2.3/32'],
  ['10.1.2.3/0', '0.0.0.0/0'],
  ['2001:db8::1/33', '2001:db8::/33'],
  ['2001:db8::1/128', '2001:db8::1/128'],
  ['::/0', '::/0'],
  ['10.0.0.0', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0/33', undefined],
  ['10.0.0.0/08', undefined],
  ['10.0.0.0/+8', undefined],
  ['10.0.0.0/8/8', undefined],
  ['10.0.0.0/-1', undefined],
  ['::/129', undefined],
  ['10.0.0/8', undefined],
];
for (const [text, canonical] of cidrs) {
  test(`parseCidr – ${text} ${canonical === undefined ? 'is no prefix' : `is ${canonical}`}`, (t) => {
    const parsed = parseCidr(text);
    t.is(parsed && formatCidr(parsed), canonical);
  });
}

test('parseCidrOrIp – a bare address stands for itself', (t) => {
  t.is(formatCidr(parseCidrOrIp('10.0.0.1') as Cidr), '10.0.0.1/32');
  t.is(formatCidr(parseCidrOrIp('::1') as Cidr), '::1/128');
  t.is(formatCidrOrIp(parseCidrOrIp('::1') as Cidr), '::1');
  t.is(parseCidrOrIp('x'), undefined);
});

test('cidrContainsIp – agrees with ipaddr.js', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(cidr, closeCidr),
      fc.oneof(
        ip,
        closeCidr.map((c) => c.ip),
      ),
      (c, i) => {
        const same = c.ip.family === i.family;
        const want = same && (oracleOf(i) as ipaddr.IPv4).match(oracleOf(c.ip), c.length);
        t.is(cidrContainsIp(c, i), want);
      },
    ),
  );
});

test('cidrOf – masks, reads back, refuses lengths out of range', (t) => {
  fc.assert(
    fc.property(cidr, (c) => {
      t.deepEqual(parseCidr(formatCidr(c)), c);
      t.true(cidrCovers(c, c));
    }),
  );
  t.throws(() => cidrOf(ipv4FromNumber(0), 33), { instanceOf: RangeError });
});

test('cidrSubtract – an address remains exactly when it is inside and in no exception', (t) => {
  fc.assert(
    fc.property(closeCidr, fc.array(closeCidr, { maxLength: 5 }), (c, except) => {
      const rest = cidrSubtract(c, except);
      for (let last = 0; last < 1024; last += 1) {
        const i = ipv4FromNumber(0x0a000000 + last);
        const want = cidrContainsIp(c, i) && !except.some((e) => cidrContainsIp(e, i));
        if (rest.filter((r) => cidrContainsIp(r, i)).length !== (want ? 1 : 0)) t.fail(formatIp(i));
      }
      t.deepEqual(rest, rest.toSorted(compareCidr));
      t.false(
        rest.some((r, n) => isSibling(r, rest[n + 1])),
        'two halves would be one prefix',
      );
    }),
    { numRuns: 50 },
  );
});

function isSibling(a: Cidr, b: Cidr | undefined): boolean {
  if (b === undefined || a.length !== b.length || a.length === 0) return false;
  return formatCidr(cidrOf(a.ip, a.length - 1)) === formatCidr(cidrOf(b.ip, b.length - 1));
}

test('cidrSubtract – an IPv6 host out of everything leaves 128 prefixes', (t) => {
  const rest = cidrSubtract(parseCidr('::/0') as Cidr, [parseCidr('2001:db8::1/128') as Cidr]);
  t.is(rest.length, 128);
  t.false(rest.some((r) => cidrContainsIp(r, parseIp('2001:db8::1') as Ip)));
});

test('cidrOverlaps – exactly when one covers the other', (t) => {
  fc.assert(
    fc.property(closeCidr, closeCidr, (a, b) => {
      t.is(cidrOverlaps(a, b), cidrCovers(a, b) || cidrCovers(b, a));
    }),
  );
});

test('ipEquals – same family and bytes, as the same text means', (t) => {
  fc.assert(fc.property(ip, ip, (a, b) => t.is(ipEquals(a, b), formatIp(a) === formatIp(b))));
  t.true(ipEquals(parseIp('::1') as Ip, parseIp('0:0::1') as Ip));
  t.false(ipEquals(parseIp('::ffff:1.2.3.4') as Ip, parseIp('1.2.3.4') as Ip));
});
