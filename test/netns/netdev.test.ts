/**
 * Tables of links, addresses and routes follow the kernel.
 *
 *   node ── eth0 ── peer
 */
import { constants } from 'node:fs';
import test from 'ava';
import { until } from '#kit/async';
import { type Host, topology } from '#lab';
import { closeFd, openFd } from '#native';
import { localAddresses, NetdevSource, type NetdevTables, netdevTables, selectDevices } from '#netdev';
import { openNetlink } from '#netlink';
import { Database, systemClock } from '#table';

const signal = AbortSignal.timeout(900_000);
const soon = <T>(what: string, check: () => T | undefined | false) =>
  until(check, { signal, timeoutMs: 60_000, what, intervalMs: 2 });

interface World extends AsyncDisposable {
  readonly node: Host;
  readonly peer: Host;
  readonly db: Database;
  readonly tables: NetdevTables;
  readonly source: NetdevSource;
  readonly netnsFd: number;
}

async function world(receiveBuffer?: number): Promise<World> {
  const own = new AsyncDisposableStack();
  const net = await topology({
    name: 'netdev',
    hosts: ['node', 'peer'],
    links: [
      {
        ends: [
          {
            host: 'node',
            addresses: ['192.0.2.1/24', '2001:db8::1/64'],
            gateways: ['192.0.2.2', '2001:db8::2'],
          },
          { host: 'peer', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
        ],
      },
    ],
  });
  own.use(net);
  const netnsFd = openFd(net.hosts.node.netns, constants.O_RDONLY);
  own.defer(() => closeFd(netnsFd));
  const db = new Database({ clock: systemClock, validate: true });
  const tables = netdevTables(db);
  const size = receiveBuffer === undefined ? {} : { receiveBuffer };
  const source = own.use(new NetdevSource({ db, tables, netnsFd, ...size }));
  return {
    ...net.hosts,
    db,
    tables,
    source,
    netnsFd,
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  };
}

const names = ({ tables }: World) => [...tables.links.all()].map(({ name }) => name).sort();
const link = ({ tables }: World, name: string) => [...tables.links.all()].find((row) => row.name === name);

/** What the tables hold, against a fresh listing of the kernel's. */
function differences({ tables, netnsFd }: World): readonly string[] {
  using nl = openNetlink({ netnsFd });
  const kernel = [
    ...nl.links().map((l) => `link ${l.ifindex} ${l.name} ${l.isUp} ${l.mtu} ${l.master}`),
    ...nl.addresses().map((a) => `address ${a.ifindex} ${a.address}/${a.prefixLength}`),
    ...nl
      .routes()
      .filter(({ table, type }) => table >= 254 && type <= 2)
      .flatMap((r) => r.nextHops.map((hop) => `route ${r.table} ${r.prefix} ${hop.ifindex} ${hop.gateway}`)),
  ];
  const ours = [
    ...[...tables.links.all()].map((l) => `link ${l.ifindex} ${l.name} ${l.isUp} ${l.mtu} ${l.master}`),
    ...[...tables.addresses.all()].map((a) => `address ${a.ifindex} ${a.address}/${a.prefixLength}`),
    ...[...tables.routes.all()].map((r) => `route ${r.table} ${r.prefix} ${r.ifindex} ${r.gateway}`),
  ];
  const missing = [...new Set(kernel)].filter((row) => !ours.includes(row)).map((row) => `missing ${row}`);
  return [...missing, ...ours.filter((row) => !kernel.includes(row)).map((row) => `left ${row}`)];
}

const agree = (w: World) =>
  soon('the tables agree with the kernel', () => differences(w).length === 0 || undefined).catch(
    (e: unknown) => {
      throw new Error(differences(w).join('\n'), { cause: e });
    },
  );

test('source – synced with its first listing in the tables', async (t) => {
  await using w = await world();
  t.true([w.tables.links, w.tables.addresses, w.tables.routes].every(({ isSynced }) => isSynced));
  t.deepEqual(names(w), ['eth0', 'lo']);
  t.deepEqual(differences(w), []);
  const devices = selectDevices(w.tables.links.all(), w.tables.addresses.all(), w.tables.routes.all(), {
    patterns: [],
  });
  t.deepEqual(
    devices.map(({ name, kind, selected, reason }) => [name, kind, selected, reason]),
    [
      ['lo', 'none', false, 'is the loopback device'],
      ['eth0', 'external', true, 'has a default route'],
    ],
  );
  const local = localAddresses(w.tables.addresses.all(), w.tables.routes.all()).map(({ address }) => address);
  for (const address of ['192.0.2.1', '2001:db8::1', '127.0.0.1', '::1'])
    t.true(local.includes(address), address);
});

test('source – hot-plug, rename, enslave, delete', async (t) => {
  await using w = await world();
  await w.node.ip('link add v0 type veth peer name v1', 'link add br0 type bridge');
  await soon('they are there', () => link(w, 'v0') && link(w, 'v1') && link(w, 'br0'));
  await w.node.ip('link set v0 name renamed', 'link set renamed master br0 mtu 1400 up');
  const row = await soon(
    'it is a port',
    () => link(w, 'renamed')?.masterKind === 'bridge' && link(w, 'renamed'),
  );
  t.like(row, { mtu: 1400, isUp: true, kind: 'veth' });
  t.is(link(w, 'v0'), undefined);
  await w.node.ip('link del renamed');
  await soon('both ends are gone', () => !link(w, 'renamed') && !link(w, 'v1'));
  await agree(w);
});

test('source – addresses and routes come and go, those too that the kernel removes in silence', async (t) => {
  await using w = await world();
  await w.node.ip('link add v0 type veth peer name v1', 'link set v0 up', 'link set v1 up');
  await w.node.ip('addr add 10.5.0.1/24 dev v0', 'addr add 2001:db8:5::1/64 dev v0 nodad');
  await w.node.ip('route add 10.6.0.0/16 via 10.5.0.9', 'route add 10.7.0.0/16 via 10.5.0.9 src 10.5.0.1');
  await soon(
    'the routes are there',
    () => w.tables.routes.size > 0 && [...w.tables.routes.all()].some((r) => r.prefix === '10.7.0.0/16'),
  );
  await agree(w);
  const { ifindex = 0 } = link(w, 'v0') ?? {};
  t.true([...w.tables.addresses.by('device', ifindex)].length >= 2);
  await w.node.ip('link set v0 down');
  await soon(
    'its IPv4 routes are gone',
    () => ![...w.tables.routes.by('device', ifindex)].some((r) => r.prefix === '10.6.0.0/16'),
  );
  await agree(w);
  await w.node.ip('link del v0');
  await soon('its addresses are gone', () => [...w.tables.addresses.by('device', ifindex)].length === 0);
  t.is([...w.tables.routes.by('device', ifindex)].length, 0);
  await agree(w);
});

test('source – a device moved elsewhere is gone here', async (t) => {
  await using w = await world();
  await w.node.ip('link add v0 type veth peer name v1');
  await soon('it is there', () => link(w, 'v0'));
  await w.node.ip(`link set v0 netns ${w.peer.netnsName}`);
  await soon('it is gone', () => link(w, 'v0') === undefined);
  t.true(names(w).includes('v1'));
  await w.node.ip('link del v1');
  await agree(w);
});

test('source – after lost events everything is read anew', async (t) => {
  await using w = await world(2048);
  using nl = openNetlink({ netnsFd: w.netnsFd });
  // This thread floods and so cannot read: the queue of a few kilobytes overflows for certain.
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 200; at++)
      nl.addAddress({ ifindex: 1, address: `10.9.${round}.${at}`, prefixLength: 32 });
    for (let at = 0; at < 190; at++)
      nl.deleteAddress({ ifindex: 1, address: `10.9.${round}.${at}`, prefixLength: 32 });
    await soon('the loss is noticed', () => w.source.resyncs > round);
    await agree(w);
  }
  const left = [...w.tables.addresses.all()].filter(({ address }) => address.startsWith('10.9.'));
  t.is(left.length, 30);
});

test('source – agrees with the kernel after a flood from several writers', async (t) => {
  await using w = await world(64 << 10);
  const lines = (writer: number) =>
    Array.from({ length: 300 }, (_, at) => [
      `addr add 10.${writer}.${at >> 8}.${at & 255}/32 dev lo`,
      ...(at % 3 === 0 ? [`addr del 10.${writer}.${at >> 8}.${at & 255}/32 dev lo`] : []),
      ...(at % 50 === 0 ? [`link add f${writer}x${at} type bridge`, `link set f${writer}x${at} up`] : []),
      ...(at % 100 === 0 ? [`link del f${writer}x${at}`] : []),
    ]).flat();
  await Promise.all([20, 21, 22].map((writer) => w.node.ip(...lines(writer))));
  await agree(w);
  t.log(`${w.source.resyncs} resyncs`);
  t.is([...w.tables.addresses.all()].filter(({ address }) => /^10\.2[012]\./.test(address)).length, 600);
});
