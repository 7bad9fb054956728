/** The trie against a list that is searched from end to end. */
import test from 'ava';
import fc from 'fast-check';
import type { Cidr, Ip } from '#kit/ip';
import { cidrContainsIp, cidrCovers, cidrEquals, cidrOf, compareCidr, ipFromBytes } from '#kit/ip';
import { Lpm } from '#kit/lpm';

class LinearLpm<V> {
  entries: { cidr: Cidr; value: V }[] = [];

  set(cidr: Cidr, value: V): void {
    this.delete(cidr);
    this.entries.push({ cidr, value });
    this.entries.sort((a, b) => compareCidr(a.cidr, b.cidr));
  }

  delete(cidr: Cidr): boolean {
    const before = this.entries.length;
    this.entries = this.entries.filter((e) => !cidrEquals(e.cidr, cidr));
    return this.entries.length < before;
  }

  covering(cidr: Cidr) {
    const found = this.entries.filter((e) => cidrCovers(e.cidr, cidr));
    return found.sort((a, b) => b.cidr.length - a.cidr.length);
  }

  covered(cidr: Cidr) {
    return this.entries.filter((e) => cidrCovers(cidr, e.cidr));
  }

  lookup(ip: Ip) {
    const found = this.entries.filter((e) => cidrContainsIp(e.cidr, ip));
    return found.sort((a, b) => b.cidr.length - a.cidr.length)[0];
  }
}

/** Few distinct bits, so that prefixes nest and meet; both families. */
const cidr = fc.tuple(fc.boolean(), fc.nat(15), fc.nat(15), fc.nat(128)).map(([six, high, low, n]) => {
  const bytes = new Uint8Array(six ? 16 : 4);
  bytes[0] = high << 4;
  bytes[bytes.length - 1] = low;
  return cidrOf(ipFromBytes(bytes) as Ip, six ? n : Math.min(n, 32));
});
const shortCidr = cidr.map((c) => cidrOf(c.ip, c.length % 6));
const someCidr = fc.oneof(cidr, shortCidr);
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('set' as const), cidr: someCidr }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), cidr: someCidr }) },
);

test('Lpm – agrees with a list in lookup, covering, covered and order', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(someCidr, { maxLength: 10 }), (steps, probes) => {
      const trie = new Lpm<number>();
      const list = new LinearLpm<number>();
      steps.forEach((s, i) => {
        if (s.kind === 'set') {
          trie.set(s.cidr, i);
          list.set(s.cidr, i);
        } else {
          t.is(trie.delete(s.cidr), list.delete(s.cidr));
        }
        t.is(trie.size, list.entries.length);
      });
      t.deepEqual([...trie], list.entries);
      for (const probe of [...probes, ...steps.map((s) => s.cidr)]) {
        t.deepEqual(trie.lookup(probe.ip), list.lookup(probe.ip));
        t.deepEqual(trie.covering(probe), list.covering(probe));
        t.deepEqual([...trie.covered(probe)], list.covered(probe));
        t.is(trie.get(probe), list.entries.find((e) => cidrEquals(e.cidr, probe))?.value);
      }
    }),
    { numRuns: 300 },
  );
});

test('Lpm – clear leaves nothing', (t) => {
  const trie = new Lpm<string>();
  trie.set(cidrOf(ipFromBytes(new Uint8Array(4)) as Ip, 0), 'all');
  trie.clear();
  t.is(trie.size, 0);
  t.deepEqual([...trie], []);
  t.is(trie.lookup(ipFromBytes(new Uint8Array(4)) as Ip), undefined);
});
