import test from 'ava';
import { formatCidr } from '#kit/ip';
import type { FailsafeRow } from '#model';
import { groupFailsafe } from '../../../src/datapath/failsafe.ts';

const row = (entry: number, over: Partial<FailsafeRow>): FailsafeRow => ({
  entry,
  direction: 'in',
  protocol: 6,
  port: 22,
  endPort: 22,
  cidrs: ['0.0.0.0/0'],
  device: '',
  why: '',
  ...over,
});
const ifindexOf = (device: string) => ({ eth0: 2, eth1: 3 })[device];
const shape = (rows: readonly FailsafeRow[], direction: 'in' | 'out' = 'in') => {
  const { groups, ports } = groupFailsafe(rows, direction, ifindexOf);
  return [...ports].map(([index, key]) => [
    index,
    (groups.get(key) ?? []).map((p) => `${formatCidr(p.cidr)}@${p.ifindex}#${p.entry}`),
  ]);
};

test('groupFailsafe – ports of the same entries share a group, directions are apart', (t) => {
  const rows = [
    row(1, { port: 22, endPort: 23 }),
    row(2, { direction: 'out', protocol: 17, port: 53, endPort: 53 }),
  ];
  t.is(groupFailsafe(rows, 'in', ifindexOf).groups.size, 1);
  t.deepEqual(shape(rows), [
    [22, ['0.0.0.0/0@0#1']],
    [23, ['0.0.0.0/0@0#1']],
  ]);
  t.deepEqual(shape(rows, 'out'), [[65536 + 53, ['0.0.0.0/0@0#2']]]);
});

test('groupFailsafe – protocols without ports stand under their number', (t) => {
  t.deepEqual(shape([row(1, { protocol: 1, port: 0, endPort: 0 })]), [[131072 + 1, ['0.0.0.0/0@0#1']]]);
});

test('groupFailsafe – a wide prefix on any device is not hidden by a longer one on a single device', (t) => {
  const rows = [row(1, { cidrs: ['10.0.0.0/8'] }), row(2, { cidrs: ['10.1.0.0/16'], device: 'eth0' })];
  t.deepEqual(shape(rows), [[22, ['10.0.0.0/8@0#1', '10.1.0.0/16@0#2']]]);
});

test('groupFailsafe – what cannot be expressed is refused', (t) => {
  const two = [row(1, { device: 'eth0' }), row(2, { device: 'eth1' })];
  t.throws(() => shape(two), { message: /0\.0\.0\.0\/0 on two devices/ });
  t.throws(() => shape([row(7, { device: 'eth9' })]), { message: /entry 7 names device eth9/ });
});
