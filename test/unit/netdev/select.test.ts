/** Selection of devices: every clause of HF-1.12 to HF-1.15. */
import test from 'ava';
import fc from 'fast-check';
import type { AddressRow, DeviceRow, LinkRow, RouteRow } from '#model';
import {
  devicePattern,
  requirePatterns,
  type SelectionConfig,
  selectDevices,
  unmatchedPatterns,
} from '#netdev';

const LOCAL = 255;
const MAIN = 254;

let nextIndex = 10;
const link = (name: string, more: Partial<LinkRow> = {}): LinkRow => ({
  ifindex: nextIndex++,
  name,
  type: 1,
  flags: 1,
  isUp: true,
  mtu: 1500,
  address: '02:00:00:00:00:01',
  kind: '',
  master: 0,
  masterKind: '',
  parent: 0,
  vlan: undefined,
  ...more,
});
const address = ({ ifindex }: LinkRow, text: string): AddressRow => ({
  ifindex,
  address: text,
  prefixLength: 24,
  scope: 0,
});
const route = ({ ifindex }: LinkRow, prefix: string, more: Partial<RouteRow> = {}): RouteRow => ({
  family: prefix.includes(':') ? 6 : 4,
  prefix,
  ifindex,
  gateway: '',
  table: MAIN,
  scope: 0,
  type: 1,
  ...more,
});

interface Case {
  readonly links: readonly LinkRow[];
  readonly addresses?: readonly AddressRow[];
  readonly routes?: readonly RouteRow[];
  readonly config?: Partial<SelectionConfig>;
}
const select = ({ links, addresses = [], routes = [], config }: Case): readonly DeviceRow[] =>
  selectDevices(links, addresses, routes, { patterns: [], ...config });

/** A case about its first link. Its outcome: kind, `selected` or `not`, reason. */
type Row = readonly [what: string, make: () => Case, want: string];

const up = (name: string, more: Partial<LinkRow> = {}, text = '192.0.2.1'): Case => {
  const one = link(name, more);
  return { links: [one], addresses: [address(one, text)] };
};
const routed = (name: string, more: Partial<LinkRow>, prefix: string, way: Partial<RouteRow> = {}): Case => {
  const one = link(name, more);
  return { links: [one], routes: [route(one, prefix, way)] };
};
const bridge = (port: Partial<LinkRow>, hasAddress = true): Case => {
  const one = link('vmbr0', { kind: 'bridge' });
  const member = link('port0', { master: one.ifindex, masterKind: 'bridge', ...port });
  return { links: [one, member], addresses: hasAddress ? [address(one, '192.0.2.1')] : [] };
};

const rows: readonly Row[] = [
  ['a physical device with an address', () => up('eth0'), 'external selected has a global address'],
  ['… with an IPv6 address', () => up('eth0', {}, '2001:db8::1'), 'external selected has a global address'],
  ['down', () => up('eth0', { isUp: false }), 'external not is down'],
  ['loopback', () => up('lo', { type: 772 }, '10.0.0.1'), 'none not is the loopback device'],
  [
    'only IPv4 link-local',
    () => up('eth0', {}, '169.254.3.4'),
    'external not has neither a global address nor a global route',
  ],
  [
    'only IPv6 link-local',
    () => up('eth0', {}, 'fe80::1'),
    'external not has neither a global address nor a global route',
  ],
  [
    'nothing yet: attached ahead',
    () => ({ links: [link('eth0')] }),
    'external not has neither a global address nor a global route',
  ],
  [
    'a global route, no address',
    () => routed('eth0', {}, '10.0.0.0/8'),
    'external selected has a global route',
  ],
  [
    'a default route by a link-local gateway',
    () => routed('eth0', {}, '::/0', { gateway: 'fe80::1' }),
    'external selected has a global route',
  ],
  [
    'a route of link scope',
    () => routed('eth0', {}, '10.0.0.0/8', { scope: 253 }),
    'external not has neither a global address nor a global route',
  ],
  [
    'only the link-local prefix',
    () => routed('eth0', {}, 'fe80::/64'),
    'external not has neither a global address nor a global route',
  ],
  [
    'a route of the local table',
    () => routed('eth0', {}, '10.0.0.1/32', { table: LOCAL, type: 2 }),
    'external not has neither a global address nor a global route',
  ],
  ['a bond port', () => up('eth0', { master: 99, masterKind: 'bond' }), 'none not is a port of device 99'],
  [
    'a member of a VRF',
    () => up('eth0', { master: 99, masterKind: 'vrf' }),
    'external selected has a global address',
  ],
  ['a VRF itself', () => up('blue', { kind: 'vrf' }), 'none not is a VRF; its members are judged'],
  ['a bond', () => up('bond0', { kind: 'bond' }), 'external selected has a global address'],
  [
    'a VLAN',
    () => up('eth0.5', { kind: 'vlan', vlan: { id: 5, proto: 0x8100 } }),
    'external selected has a global address',
  ],
  ['a dummy', () => up('vip0', { kind: 'dummy' }), 'external selected has a global address'],
  [
    'an intermediate device',
    () => up('ifb0', { kind: 'ifb' }),
    'none not carries what other devices have received',
  ],
  [
    'a veth with an address',
    () => up('eth0', { kind: 'veth' }),
    'none not is a veth without a default route',
  ],
  [
    'a veth whose default route went, programs on it',
    () => {
      const { links, ...rest } = up('eth0', { kind: 'veth' });
      return { links, ...rest, config: { attached: new Set(links.map(({ ifindex }) => ifindex)) } };
    },
    'external selected had a default route',
  ],
  [
    '… and that is down',
    () => {
      const { links, ...rest } = up('eth0', { kind: 'veth', isUp: false });
      return { links, ...rest, config: { attached: new Set(links.map(({ ifindex }) => ifindex)) } };
    },
    'external not is down',
  ],
  [
    'a veth with a default route',
    () => routed('eth0', { kind: 'veth' }, '0.0.0.0/0'),
    'external selected has a default route',
  ],
  ['… in IPv6', () => routed('eth0', { kind: 'veth' }, '::/0'), 'external selected has a default route'],
  ['a bridge with a physical port', () => bridge({}), 'external selected has a global address'],
  ['… a bond as port', () => bridge({ kind: 'bond' }), 'external selected has a global address'],
  ['… a VLAN as port', () => bridge({ kind: 'vlan' }), 'external selected has a global address'],
  ['… but no address', () => bridge({}, false), 'external not is a bridge without an address'],
  [
    'a bridge of veths',
    () => bridge({ kind: 'veth' }),
    'none not is a bridge without a port that leads out of the machine',
  ],
  [
    'a bridge without ports',
    () => up('br0', { kind: 'bridge' }),
    'none not is a bridge without a port that leads out of the machine',
  ],
  ...'lxc1 cni0 docker0 veth1234 cali9 br-12ab virbr0 podman0 nerdctl0 kube-ipvs0 flannel.1 cilium_host merlon_wg0'
    .split(' ')
    .map(
      (name): Row => [
        `the name ${name}`,
        () => up(name),
        `none not name excluded (${name.replace(/^(lxc|cni|docker|veth|cali|br-|virbr|podman|nerdctl|kube-|flannel|cilium_|merlon_).*/, '$1*')})`,
      ],
    ),
  [
    'another pod prefix',
    () => ({ ...up('pod1'), config: { podPrefix: 'pod' } }),
    'none not name excluded (pod*)',
  ],
  [
    'an endpoint’s device',
    () => {
      const one = link('tap0');
      return { links: [one], config: { endpoints: new Map([[one.ifindex, 7]]) } };
    },
    'pod selected leads to endpoint 7',
  ],
  [
    '… as bridge port',
    () => {
      const one = link('tap0', { master: 9, masterKind: 'bridge' });
      return { links: [one], config: { endpoints: new Map([[one.ifindex, 7]]) } };
    },
    'pod selected leads to endpoint 7',
  ],
  ...[
    'wireguard 65534',
    'tun 65534',
    'ppp 512',
    'sit 776',
    'gre 778',
    'vti 768',
    'xfrm 65534',
    'ipoib 32',
  ].map((text): Row => {
    const [kind = '', type] = text.split(' ');
    return [
      `${kind} with an address`,
      () => up('x0', { kind, type: Number(type) }),
      'external selected has a global address',
    ];
  }),
  [
    'a pattern',
    () => ({ links: [link('eth7', { isUp: false })], config: { patterns: ['eth+'] } }),
    'external selected matches eth+',
  ],
  [
    'an exclusion before it',
    () => ({ ...up('eth3'), config: { patterns: ['!eth3', 'eth+'] } }),
    'none not excluded by !eth3',
  ],
  [
    'an exclusion after it',
    () => ({ ...up('eth3'), config: { patterns: ['eth+', '!eth3'] } }),
    'external selected matches eth+',
  ],
  [
    'no pattern matches',
    () => ({ ...up('ens1'), config: { patterns: ['eth+'] } }),
    'none not matches no pattern',
  ],
  [
    'only exclusions: the rest by the rule',
    () => ({ ...up('ens1'), config: { patterns: ['!eth3'] } }),
    'external selected has a global address',
  ],
  [
    'a pattern overrides an excluded name',
    () => ({ ...up('docker0'), config: { patterns: ['docker0'] } }),
    'external selected matches docker0',
  ],
  [
    'a pattern overrides a port',
    () => ({ ...up('eth0', { master: 9, masterKind: 'bond' }), config: { patterns: ['eth0'] } }),
    'external selected matches eth0',
  ],
  [
    'no pattern overrides lo',
    () => ({ ...up('lo', { type: 772 }), config: { patterns: ['lo', '+'] } }),
    'none not is the loopback device',
  ],
  [
    'no pattern makes an endpoint external',
    () => {
      const one = link('lxc0');
      return { links: [one], config: { patterns: ['+'], endpoints: new Map([[one.ifindex, 7]]) } };
    },
    'pod selected leads to endpoint 7',
  ],
];

for (const [what, make, want] of rows) {
  test(`selectDevices – ${what}`, (t) => {
    const [device] = select(make());
    t.is(`${device?.kind} ${device?.selected ? 'selected' : 'not'} ${device?.reason}`, want);
  });
}

test('selectDevices – a bridge’s port is not ours, and says whose it is', (t) => {
  t.is(select(bridge({}))[1]?.reason, 'is a port of vmbr0');
});

test('selectDevices – layer 3 by the link type', (t) => {
  const isLayer3 = (type: number) => select({ links: [link('x0', { type })] })[0]?.isLayer3;
  for (const type of [512, 519, 768, 769, 776, 778, 823, 65534]) t.true(isLayer3(type), String(type));
  for (const type of [1, 32, 772]) t.false(isLayer3(type), String(type));
});

test('selectDevices – VLAN, self source and endpoint are carried over', (t) => {
  const one = link('eth0.5', { kind: 'vlan', parent: 3, vlan: { id: 5, proto: 0x88a8 } });
  const [device] = select({ links: [one], config: { allowSelfSource: ['!eth1', 'eth+'] } });
  t.like(device, { vlan: { parent: 3, id: 5, proto: 0x88a8 }, allowSelfSource: true, endpoint: 0 });
  t.false(
    select({ links: [link('eth1')], config: { allowSelfSource: ['!eth1', 'eth+'] } })[0]?.allowSelfSource,
  );
});

test('requirePatterns – names what matches nothing and what there is', (t) => {
  const links = [link('eth0'), link('lo')];
  t.deepEqual(unmatchedPatterns(links, ['eth+', 'bond0', '!wlan0']), ['bond0']);
  t.notThrows(() => requirePatterns(links, ['eth+', '!wlan0']));
  const e = t.throws(() => requirePatterns(links, ['bond+', 'eth9']));
  t.is(e.message, 'no device matches bond+, eth9; there are eth0, lo');
});

const patterns: readonly [pattern: string, yes: readonly string[], no: readonly string[]][] = [
  ['eth0', ['eth0'], ['eth01', 'xeth0']],
  ['eth+', ['eth', 'eth0', 'eth0.5'], ['xeth0']],
  ['br-*', ['br-', 'br-1'], ['br', 'br0']],
  ['e*0', ['e0', 'eth0'], ['eth01']],
  ['a.b', ['a.b'], ['axb']],
  ['c+d', ['c+d'], ['ccd']],
];
for (const [text, yes, no] of patterns) {
  test(`devicePattern – ${text}`, (t) => {
    for (const name of yes) t.true(devicePattern(text).matches(name), name);
    for (const name of no) t.false(devicePattern(`!${text}`).matches(name), name);
    t.is(devicePattern(`!${text}`).excludes, true);
  });
}

test('devicePattern – as a backtracking matcher says', (t) => {
  const slow = (glob: string, name: string): boolean => {
    if (glob === '') return name === '';
    if (glob[0] === '*') return slow(glob.slice(1), name) || (name !== '' && slow(glob, name.slice(1)));
    return glob[0] === name[0] && slow(glob.slice(1), name.slice(1));
  };
  const text = fc
    .array(fc.constantFrom('a', 'b', '.', '-', '*'), { minLength: 1, maxLength: 6 })
    .map((l) => l.join(''));
  const name = fc.array(fc.constantFrom('a', 'b', '.', '-'), { maxLength: 8 }).map((l) => l.join(''));
  fc.assert(
    fc.property(text, name, (glob, given) => devicePattern(glob).matches(given) === slow(glob, given)),
    { numRuns: 2000 },
  );
  t.pass();
});
