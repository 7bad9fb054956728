/** The node's own addresses (HF-1.4). */
import test from 'ava';
import type { AddressRow, RouteRow } from '#model';
import { localAddresses } from '#netdev';

const address = (ifindex: number, text: string): AddressRow => ({
  ifindex,
  address: text,
  prefixLength: 24,
  scope: 0,
});
const route = (prefix: string, more: Partial<RouteRow> = {}): RouteRow => ({
  family: prefix.includes(':') ? 6 : 4,
  prefix,
  ifindex: 1,
  gateway: '',
  table: 255,
  scope: 254,
  type: 2,
  ...more,
});

const cases: readonly [
  what: string,
  addresses: AddressRow[],
  routes: RouteRow[],
  want: Record<string, number>,
][] = [
  [
    'of each device',
    [address(2, '192.0.2.1'), address(3, '2001:db8::1')],
    [],
    { '192.0.2.1': 2, '2001:db8::1': 3 },
  ],
  ['on two devices: of none', [address(2, 'fe80::1'), address(3, 'fe80::1')], [], { 'fe80::1': 0 }],
  [
    'twice on one device: of that',
    [address(2, '192.0.2.1'), address(2, '192.0.2.1')],
    [],
    { '192.0.2.1': 2 },
  ],
  [
    'local routes to one address',
    [],
    [route('198.51.100.7/32'), route('2001:db8::7/128')],
    { '198.51.100.7': 1, '2001:db8::7': 1 },
  ],
  ['no prefixes, no other routes', [], [route('127.0.0.0/8'), route('192.0.2.9/32', { type: 1 })], {}],
  [
    'a device’s address keeps its device',
    [address(4, '192.0.2.1')],
    [route('192.0.2.1/32')],
    { '192.0.2.1': 4 },
  ],
];
for (const [what, addresses, routes, want] of cases) {
  test(`localAddresses – ${what}`, (t) => {
    const found = localAddresses(addresses, routes).map(({ address: text, ifindex }) => [text, ifindex]);
    t.deepEqual(Object.fromEntries(found), want);
  });
}
