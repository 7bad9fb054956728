/**
 * Our netlink against the kernel, with `ip` as the oracle.
 *
 *   a ── eth0 ── b
 */
import { constants } from 'node:fs';
import test from 'ava';
import fc from 'fast-check';
import { until } from '#kit/async';
import { formatIp, parseIp } from '#kit/ip';
import { type Host, topology } from '#lab';
import { closeFd, openFd } from '#native';
import {
  IFA_F,
  type Netlink,
  type NetlinkEvent,
  openNetlink,
  RT_SCOPE,
  RT_TABLE,
  RT_TYPE,
  refusalCode,
} from '#netlink';

const signal = AbortSignal.timeout(900_000);

const canonical = (text: string) => {
  const ip = parseIp(text);
  return ip && formatIp(ip);
};

interface World extends AsyncDisposable {
  readonly a: Host;
  readonly b: Host;
  readonly nl: Netlink;
  readonly netnsFd: number;
  readonly otherFd: number;
}

async function world(): Promise<World> {
  const own = new AsyncDisposableStack();
  const net = await topology({
    name: 'netlink',
    hosts: ['a', 'b'],
    links: [
      {
        ends: [
          { host: 'a', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
          { host: 'b', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
        ],
      },
    ],
  });
  own.use(net);
  const { a, b } = net.hosts;
  const [netnsFd, otherFd] = [a, b].map((host) => openFd(host.netns, constants.O_RDONLY)) as [number, number];
  own.defer(() => closeFd(netnsFd));
  own.defer(() => closeFd(otherFd));
  const nl = own.use(openNetlink({ netnsFd }));
  return { a, b, nl, netnsFd, otherFd, [Symbol.asyncDispose]: () => own.disposeAsync() };
}

interface IpLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly address?: string;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string; readonly info_slave_kind?: string };
}

interface IpAddress {
  readonly ifindex: number;
  readonly addr_info: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
  }[];
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly scope?: string;
  readonly table?: string;
  readonly type?: string;
}

test('links – as ip tells them', async (t) => {
  await using w = await world();
  await w.a.ip(
    'link add br0 type bridge',
    'link add v0 type veth peer name v1',
    'link set v0 master br0 mtu 1400 up',
    'link add vx type vxlan id 5 dstport 4789 local 192.0.2.1',
    'link add mv link eth0 type macvlan mode bridge',
    'tuntap add dev tun0 mode tun',
  );
  const byIndex = new Map(w.nl.links().map((link) => [link.ifindex, link]));
  const told = await w.a.ipJson<IpLink>('link');
  t.is(byIndex.size, told.length);
  for (const { ifindex, ifname, mtu, address, flags, master, linkinfo } of told) {
    const link = byIndex.get(ifindex);
    t.like(link, {
      name: ifname,
      mtu,
      kind: linkinfo?.info_kind ?? '',
      masterKind: linkinfo?.info_slave_kind ?? '',
    });
    t.is(link?.address, address ?? '', ifname);
    t.is(link?.isUp, flags.includes('UP'), ifname);
    t.is(link?.hasCarrier, flags.includes('LOWER_UP'), ifname);
    t.is(byIndex.get(link?.master ?? 0)?.name, master, ifname);
    t.deepEqual(w.nl.link(ifname), link, 'one by its name');
    t.deepEqual(w.nl.link(ifindex), link, 'one by its index');
  }
  t.like(w.nl.link('tun0'), { type: 65534, address: '' });
  t.is(w.nl.link('mv')?.parent, w.nl.link('eth0')?.ifindex);
  t.is(w.nl.link('none'), undefined);
});

test('addLink, changeLink, deleteLink – a veth with its peer elsewhere, renamed, in a bridge, gone', async (t) => {
  await using w = await world();
  using other = openNetlink({ netnsFd: w.otherFd });
  const peer = { name: 'inner', netnsFd: w.otherFd, mtu: 1400, address: '02:00:00:00:00:02' };
  w.nl.addLink({ name: 'outer', kind: 'veth', mtu: 1400, address: '02:00:00:00:00:01', isUp: true, peer });
  w.nl.addLink({ name: 'br0', kind: 'bridge', isUp: true });
  const outer = w.nl.link('outer');
  t.like(outer, { kind: 'veth', mtu: 1400, address: '02:00:00:00:00:01', isUp: true, hasCarrier: false });
  t.like(other.link('inner'), {
    mtu: 1400,
    address: '02:00:00:00:00:02',
    isUp: false,
    parent: outer?.ifindex,
  });
  const { ifindex } = outer ?? { ifindex: 0 };
  w.nl.changeLink(ifindex, { isUp: false });
  w.nl.changeLink(ifindex, {
    name: 'renamed',
    mtu: 1300,
    master: w.nl.link('br0')?.ifindex ?? 0,
    isUp: true,
  });
  t.like(w.nl.link(ifindex), { name: 'renamed', mtu: 1300, isUp: true, masterKind: 'bridge' });
  w.nl.changeLink(ifindex, { master: 0 });
  t.like(w.nl.link(ifindex), { master: 0, masterKind: '' });
  w.nl.changeLink(ifindex, { netnsFd: w.otherFd });
  t.is(w.nl.link('renamed'), undefined);
  t.is(other.link('renamed')?.kind, 'veth');
  other.deleteLink(other.link('inner')?.ifindex ?? 0);
  t.is(other.link('renamed'), undefined, 'its other end goes with it');
});

test('addresses – added, listed, deleted, both families', async (t) => {
  await using w = await world();
  const ifindex = w.nl.link('eth0')?.ifindex ?? 0;
  w.nl.addAddress({ ifindex, address: '198.51.100.1', prefixLength: 32 });
  w.nl.addAddress({
    ifindex,
    address: 'fe80::77',
    prefixLength: 64,
    scope: RT_SCOPE.link,
    flags: IFA_F.noDad,
  });
  w.nl.addAddress({ ifindex: 1, address: '2001:db8:ffff::1', prefixLength: 128 });
  const told = (await w.a.ipJson<IpAddress>('addr')).flatMap((link) =>
    link.addr_info.map((i) => `${link.ifindex} ${i.local}/${i.prefixlen} ${i.scope}`),
  );
  const scopes: Readonly<Record<number, string>> = { 0: 'global', 253: 'link', 254: 'host' };
  const ours = w.nl.addresses().map((a) => `${a.ifindex} ${a.address}/${a.prefixLength} ${scopes[a.scope]}`);
  t.deepEqual(ours.sort(), told.sort());
  w.nl.addAddress({ ifindex, address: '198.51.100.1', prefixLength: 32 }, 'replace');
  const again = t.throws(() => w.nl.addAddress({ ifindex, address: '198.51.100.1', prefixLength: 32 }));
  t.is(refusalCode(again), 'EEXIST');
  t.regex(again.message, /^cannot add address 198\.51\.100\.1\/32 to link \d+: EEXIST/);
  w.nl.deleteAddress({ ifindex, address: '198.51.100.1', prefixLength: 32 });
  const gone = t.throws(() => w.nl.deleteAddress({ ifindex, address: '198.51.100.1', prefixLength: 32 }));
  t.is(refusalCode(gone), 'EADDRNOTAVAIL');
});

test('routes – as ip tells them, in every table', async (t) => {
  await using w = await world();
  await w.a.ip(
    'route add 10.1.0.0/16 nexthop via 192.0.2.2 weight 1 nexthop via 192.0.2.3 weight 5',
    'route add default via 192.0.2.2',
    'route add blackhole 10.9.0.0/16',
    'route add 10.2.0.0/16 via inet6 2001:db8::2 dev eth0',
    'route add 10.3.0.0/16 via 192.0.2.2 table 2004',
    'route add local 10.4.0.0/16 dev lo table local',
    'route add 2001:db8:1::/48 via 2001:db8::2',
  );
  const scopes: Readonly<Record<number, string>> = { 0: 'global', 253: 'link', 254: 'host', 255: 'nowhere' };
  const types = Object.entries(RT_TYPE);
  for (const [family, flag] of [
    [4, '-4'],
    [6, '-6'],
  ] as const) {
    const told = (
      await w.a.ipJson<IpRoute & { via?: { host: string }; nexthops?: readonly IpRoute[] }>(
        flag,
        'route',
        'show',
        'table',
        'all',
      )
    ).flatMap((r) =>
      (r.nexthops ?? [r]).map((hop) =>
        [
          r.dst,
          r.type ?? 'unicast',
          hop.dev ?? '',
          hop.gateway ?? r.via?.host ?? '',
          r.table ?? 'main',
          family === 4 ? (r.scope ?? 'global') : '',
        ].join(' '),
      ),
    );
    const names = new Map(w.nl.links().map(({ ifindex, name }) => [ifindex, name]));
    const tables: Readonly<Record<number, string>> = { 254: 'main', 255: 'local' };
    const ours = w.nl
      .routes()
      .filter((r) => r.family === family)
      .flatMap((r) =>
        r.nextHops.map((hop) =>
          [
            r.prefix === '0.0.0.0/0' || r.prefix === '::/0'
              ? 'default'
              : r.prefix.replace(family === 4 ? /\/32$/ : /\/128$/, ''),
            types.find(([, number]) => number === r.type)?.[0],
            names.get(hop.ifindex) ?? '',
            hop.gateway,
            tables[r.table] ?? String(r.table),
            family === 4 ? scopes[r.scope] : '',
          ].join(' '),
        ),
      );
    t.deepEqual(ours.sort(), told.sort());
  }
  t.deepEqual(
    w.nl.routes(2004).map(({ prefix }) => prefix),
    ['10.3.0.0/16'],
  );
  t.deepEqual(w.nl.routes(4711), [], 'a table that was never used');
  const ifindex = w.nl.link('eth0')?.ifindex ?? 0;
  w.nl.addRoute({
    prefix: '10.7.0.0/16',
    ifindex,
    gateway: '203.0.113.1',
    isOnLink: true,
    table: 70_000,
    mtu: 1300,
  });
  t.like(w.nl.routes(70_000)[0], { prefix: '10.7.0.0/16', table: 70_000 });
  t.regex(
    await w.a.mustExec('ip', ['route', 'show', 'table', '70000']),
    /via 203\.0\.113\.1 dev eth0 onlink mtu 1300/,
  );
  w.nl.deleteRoute({ prefix: '10.7.0.0/16', ifindex, table: 70_000 });
  t.deepEqual(w.nl.routes(70_000), []);
  const refused = t.throws(() => w.nl.addRoute({ prefix: '10.8.0.0/16', ifindex, gateway: '203.0.113.1' }));
  t.regex(refused.message, /ENETUNREACH: Nexthop has invalid gateway/, 'in the kernel’s own words');
});

test('neighbours and rules – added, listed, deleted', async (t) => {
  await using w = await world();
  const ifindex = w.nl.link('eth0')?.ifindex ?? 0;
  for (const address of ['192.0.2.77', '2001:db8::77']) {
    w.nl.addNeighbour({ ifindex, address, mac: '02:00:00:00:00:77' });
    t.like(
      w.nl.neighbours().find((n) => n.address === address),
      { mac: '02:00:00:00:00:77', state: 0x80 },
    );
    const told = await w.a.ipJson<{ dst: string }>('neigh', 'show', 'nud', 'permanent');
    t.true(told.some(({ dst }) => dst === address));
    w.nl.deleteNeighbour({ ifindex, address });
    t.false(w.nl.neighbours().some((n) => n.address === address && n.state === 0x80));
  }
  for (const family of [4, 6] as const) {
    const rule = { family, priority: 9, table: 2004, mark: 0x200, markMask: 0xf00 };
    w.nl.addRule(rule);
    t.like(
      w.nl.rules().find((r) => r.family === family && r.priority === 9),
      rule,
    );
    t.regex(
      await w.a.mustExec('ip', [`-${family}`, 'rule']),
      /9:\s+from all fwmark 0x200\/0xf00 lookup 2004/,
    );
    t.is(refusalCode(t.throws(() => w.nl.addRule(rule))), 'EEXIST');
    w.nl.deleteRule(rule);
    t.false(w.nl.rules().some((r) => r.priority === 9 && r.family === family));
  }
  t.is(w.nl.rules().find((r) => r.priority === 0)?.table, RT_TABLE.local);
});

test('subscribe – what happens, in order', async (t) => {
  await using w = await world();
  const events: NetlinkEvent[] = [];
  using _ = w.nl.subscribe({
    groups: ['link', 'ipv4Address', 'ipv6Address', 'ipv4Route', 'ipv6Route', 'neighbour', 'ipv4Rule'],
    onEvents: (more) => void events.push(...more),
    onOverrun: () => t.fail('nothing was lost'),
  });
  await w.a.ip(
    'link add v0 type veth peer name v1',
    'link set v0 up',
    'link set v1 up',
    'addr add 10.5.0.1/24 dev v0',
  );
  await w.a.ip('route add 10.6.0.0/16 via 10.5.0.2', 'neigh add 10.5.0.9 lladdr 02:00:00:00:00:09 dev v0');
  await w.a.ip(
    'rule add pref 77 fwmark 1 table 77',
    'rule del pref 77',
    'addr del 10.5.0.1/24 dev v0',
    'link del v0',
  );
  const texts = () =>
    events.map((e) => {
      const sign = e.isGone ? '-' : '+';
      if (e.kind === 'link') return `${sign}link ${e.row.name}`;
      if (e.kind === 'address') return `${sign}address ${e.row.address}`;
      if (e.kind === 'route') return `${sign}route ${e.row.prefix}`;
      return e.kind === 'rule' ? `${sign}rule ${e.row.priority}` : `${sign}neighbour ${e.row.address}`;
    });
  await until(() => texts().includes('-link v0'), { signal, timeoutMs: 60_000, what: 'the link is gone' });
  const wanted = [
    '+link v0',
    '+address 10.5.0.1',
    '+route 10.6.0.0/16',
    '+neighbour 10.5.0.9',
    '+rule 77',
    '-rule 77',
    '-address 10.5.0.1',
    '-link v0',
  ];
  const seen = texts();
  t.deepEqual(
    [...wanted].sort((x, y) => seen.indexOf(x) - seen.indexOf(y)),
    wanted,
    seen.join('\n'),
  );
  t.true(wanted.every((text) => seen.includes(text)));
});

test('subscribe – a lost event is told once, and what the queue holds is thrown away', async (t) => {
  await using w = await world();
  let overruns = 0;
  using _ = w.nl.subscribe({
    groups: ['link'],
    onEvents: () => {},
    onOverrun: () => void overruns++,
    receiveBuffer: 4096,
  });
  // This thread is busy adding links, so nobody reads.
  for (let at = 0; at < 100; at++) w.nl.addLink({ name: `flood${at}`, kind: 'bridge' });
  await until(() => overruns > 0, { signal, timeoutMs: 60_000, what: 'the loss is told' });
  t.is(overruns, 1);
  t.is(w.nl.links().filter(({ name }) => name.startsWith('flood')).length, 100);
});

test('dump – thousands of rows, many datagrams', async (t) => {
  await using w = await world();
  await w.a.ip(
    ...Array.from(
      { length: 3000 },
      (_, at) => `route add 10.${100 + (at >> 8)}.${at & 255}.0/24 via 192.0.2.2`,
    ),
  );
  t.is(w.nl.routes().filter(({ prefix }) => prefix.startsWith('10.1')).length, 3000);
});

test('addresses – any address comes back as it was', async (t) => {
  await using w = await world();
  const v4 = fc
    .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.integer({ min: 1, max: 254 }))
    .filter(([a]) => a !== 127)
    .map((bytes) => bytes.join('.'));
  const v6 = fc
    .array(fc.nat(0xffff), { minLength: 6, maxLength: 6 })
    .map((words) => `2001:db8:${words.map((word) => word.toString(16)).join(':')}`);
  const address = fc.oneof(
    fc.tuple(v4, fc.integer({ min: 1, max: 32 })),
    fc.tuple(v6, fc.integer({ min: 1, max: 128 })),
  );
  const before = w.nl.addresses().length;
  fc.assert(
    fc.property(address, ([text, prefixLength]) => {
      const spec = { ifindex: 1, address: text, prefixLength };
      w.nl.addAddress(spec);
      const found = w.nl.addresses().find((a) => a.ifindex === 1 && a.address === canonical(text));
      w.nl.deleteAddress(spec);
      return found?.prefixLength === prefixLength && w.nl.addresses().length === before;
    }),
    { numRuns: 200 },
  );
  t.pass();
});
