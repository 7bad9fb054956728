/**
 * Endpoints on a real node. This process stands in the node's namespace, as an agent does.
 *
 *   blue ─ eth0 ── lxc… node lxc… ── eth0 ─ red
 *                        └ eth0 ── outside
 */
import { constants } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { until } from '#kit/async';
import type { MerlonError } from '#kit/errors';
import { type LabelSet, labelSet } from '#kit/labels';
import {
  type EndpointOptions,
  type EndpointRequest,
  Endpoints,
  endpointTable,
  GRACE_MS,
  restoreSysctls,
} from '#endpoint';
import { type Host, type Topology, topology } from '#lab';
import type { EndpointRow, Identity, LinkRow, WorkloadRow } from '#model';
import { closeFd, NAMESPACE, openFd, setns } from '#native';
import { NetdevSource, netdevTables } from '#netdev';
import { Database, type FakeClock, fakeClock, systemClock, type Table } from '#table';

type Name = 'node' | 'outside' | 'blue' | 'red';

interface Restart extends Pick<EndpointOptions, 'beforeUp' | 'inForce'> {
  /** Default true. */
  readonly manifestsRead?: boolean;
}

/** The parts of an agent that endpoints need. */
interface World extends AsyncDisposable {
  readonly net: Topology<Name>;
  readonly endpoints: Endpoints;
  readonly table: Table<EndpointRow>;
  readonly links: Table<LinkRow>;
  readonly workloads: Table<WorkloadRow>;
  readonly db: Database;
  readonly clock: FakeClock;
  readonly stateDir: string;
  readonly problems: MerlonError[];
  /** Of the problems those that are not over, by topic. */
  readonly told: ReadonlyMap<string, string>;
  /** Ends the endpoints' part and begins it anew from disk, with empty tables. */
  restart(how?: Restart): Promise<World>;
}

const signal = AbortSignal.timeout(900_000);
const soon = <T>(what: string, check: () => T | undefined | false | Promise<T | undefined | false>) =>
  until(check, { signal, timeoutMs: 60_000, what });

async function begin(
  net: Topology<Name>,
  stateDir: string,
  own: AsyncDisposableStack,
  how: Restart = {},
): Promise<World> {
  const db = new Database({ clock: systemClock });
  const tables = netdevTables(db);
  const table = endpointTable(db);
  const workloads = db.table<WorkloadRow>({ name: 'workloads', key: (row) => row.key, sources: ['files'] });
  if (how.manifestsRead !== false) workloads.source('files').markSynced();
  const clock = fakeClock();
  const problems: MerlonError[] = [];
  const told = new Map<string, string>();
  const running = new AsyncDisposableStack();
  own.use(running);
  running.use(new NetdevSource({ db, tables }));
  const numbers = new Map<string, Identity>();
  const identityOf = ({ key }: LabelSet): Identity => {
    const number = numbers.get(key) ?? ((256 + numbers.size) as Identity);
    numbers.set(key, number);
    return number;
  };
  const options: EndpointOptions = {
    db,
    endpoints: table,
    ...tables,
    workloads,
    stateDir,
    clock,
    identityOf,
    onProblem: (problem, topic) => {
      problems.push(problem);
      if (topic !== undefined) told.set(topic, problem.message);
    },
    onOver: (topic) => void told.delete(topic),
    ...(how.beforeUp === undefined ? {} : { beforeUp: how.beforeUp }),
    ...(how.inForce === undefined ? {} : { inForce: how.inForce }),
  };
  const endpoints = await Endpoints.open(options);
  running.use(endpoints);
  return {
    net,
    endpoints,
    table,
    links: tables.links,
    workloads,
    db,
    clock,
    stateDir,
    problems,
    told,
    restart: async (how) => {
      await running.disposeAsync();
      return begin(net, stateDir, own, how);
    },
    [Symbol.asyncDispose]: () => own.disposeAsync(),
  };
}

/** A topology whose pods have no network yet; the process moves into the node, and back when disposed. */
async function world(): Promise<World> {
  const own = new AsyncDisposableStack();
  const net = await topology<Name>({
    name: 'endpoint',
    hosts: { node: { isNode: true }, outside: {}, blue: {}, red: {} },
    links: [
      {
        ends: [
          { host: 'node', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
          {
            host: 'outside',
            addresses: ['192.0.2.2/24', '2001:db8::2/64'],
            gateways: ['192.0.2.1', '2001:db8::1'],
          },
        ],
      },
    ],
  });
  own.use(net);
  const home = openFd('/proc/self/ns/net', constants.O_RDONLY);
  const node = openFd(net.hosts.node.netns, constants.O_RDONLY);
  own.defer(() => {
    setns(home, NAMESPACE.network);
    closeFd(home);
    closeFd(node);
  });
  setns(node, NAMESPACE.network);
  const stateDir = await mkdtemp(join(tmpdir(), 'ml-endpoint-'));
  own.defer(() => rm(stateDir, { recursive: true }));
  return begin(net, stateDir, own);
}

const request = (host: Host, at: number, more: Partial<EndpointRequest> = {}): EndpointRequest => ({
  name: host.name,
  netns: host.netnsName,
  labels: [`app=${host.name}`],
  ips: [`10.0.0.${at}`, `fd00::${at}`],
  ...more,
});

/** What the node has of links, routes and neighbours beside its own device. */
async function traces(node: Host): Promise<string> {
  const outputs = ['link', 'addr', '-4 route', '-6 route', 'neigh show nud permanent'].map((what) =>
    node.mustExec('ip', ['-o', ...what.split(' ')]),
  );
  return (await Promise.all(outputs))
    .join('\n')
    .split('\n')
    .filter((line) => line.includes('lxc') || line.includes('10.0.0.') || line.includes('fd00::'))
    .join('\n');
}

// The process has one namespace, so one world at a time.
test.serial('add – two endpoints and the node reach each other, both families', async (t) => {
  await using w = await world();
  const { blue, red, node, outside } = w.net.hosts;
  const made = [await w.endpoints.add(request(blue, 5)), await w.endpoints.add(request(red, 6))];
  t.like(made[0], { id: 1, name: 'blue', namespace: 'default', state: 'ready', netns: blue.netns });
  t.like(made[1], { id: 2, addresses: ['10.0.0.6', 'fd00::6'] });
  t.true(made.every(({ device }) => /^lxc[0-9a-f]{11}$/.test(device)));
  t.not(made[0]?.netnsCookie, made[1]?.netnsCookie);
  t.regex(made[0]?.labels.key ?? '', /k8s:app=blue/);
  t.regex(made[0]?.labels.key ?? '', /k8s:io.kubernetes.pod.namespace=default/);
  await Promise.all([blue, red, node, outside].map((host) => host.serveTcp(80)));
  for (const [from, name, to] of [
    [blue, 'red', '10.0.0.6'],
    [red, 'blue', 'fd00::5'],
    [node, 'blue', '10.0.0.5'],
    [node, 'red', 'fd00::6'],
    [blue, 'node', '192.0.2.1'],
    [red, 'node', '2001:db8::1'],
    [blue, 'outside', '192.0.2.2'],
    [blue, 'outside', '2001:db8::2'],
    [outside, 'blue', '10.0.0.5'],
    [outside, 'red', 'fd00::6'],
  ] as const) {
    t.is(await from.probeTcp(to, 80), 'open', `${from.name} → ${name} ${to}`);
    t.is(await from.ping(to), 'open', `${from.name} pings ${name} ${to}`);
  }
  const seen = await blue.serveTcp(81);
  t.is(await red.probeTcp('fd00::5', 81, { payload: 'x' }), 'open'); // the echo: it has been accepted
  t.is((await seen.report()).peers[0]?.ip, 'fd00::6', 'the source address is the endpoint’s own');
  const neighbours = await blue.ipJson<{ dst: string; state: string[]; lladdr: string }>(
    'neigh',
    'show',
    'nud',
    'permanent',
  );
  t.deepEqual(neighbours.map(({ dst }) => dst).sort(), ['169.254.1.1', 'fe80::1']);
});

test.serial('add – a second time is the same endpoint, repaired; anything else is refused', async (t) => {
  await using w = await world();
  const { blue, red, node } = w.net.hosts;
  const first = await w.endpoints.add(request(blue, 5));
  await node.ip(`route del 10.0.0.5/32 dev ${first.device}`, `neigh flush dev ${first.device} nud permanent`);
  t.deepEqual(await w.endpoints.add(request(blue, 5)), first);
  await node.serveTcp(80);
  t.is(await blue.probeTcp('192.0.2.1', 80), 'open');
  const cases: readonly [what: string, request: EndpointRequest, code: MerlonError['code'], text: RegExp][] =
    [
      [
        'other labels',
        request(blue, 5, { labels: ['app=x'] }),
        'ENDPOINT_EXISTS',
        /already, with other labels/,
      ],
      ['other addresses', request(blue, 7), 'ENDPOINT_EXISTS', /with the addresses 10\.0\.0\.5, fd00::5/],
      [
        'its namespace under another name',
        request(blue, 7, { name: 'b2' }),
        'ENDPOINT_EXISTS',
        /belongs to endpoint default\/blue/,
      ],
      [
        'an address that is taken',
        request(red, 5),
        'ENDPOINT_ADDRESS',
        /10\.0\.0\.5 belongs to endpoint default\/blue/,
      ],
      [
        'an address of the node',
        request(red, 6, { ips: ['192.0.2.1'] }),
        'ENDPOINT_ADDRESS',
        /address of this node/,
      ],
      ['the node’s own namespace', request(node, 6), 'NETNS_NOT_FOUND', /the node's own namespace/],
      [
        'no namespace',
        request(red, 6, { netns: 'ml-none' }),
        'NETNS_NOT_FOUND',
        /there is no network namespace ml-none/,
      ],
      ['a file', request(red, 6, { netns: '/etc/hostname' }), 'NETNS_NOT_FOUND', /is no network namespace/],
      [
        'a namespace with a network',
        request(w.net.hosts.outside, 6),
        'ENDPOINT_DEVICE',
        /has a device eth0 already/,
      ],
    ];
  for (const [what, wanted, code, text] of cases) {
    const e = await t.throwsAsync(w.endpoints.add(wanted), { message: text }, what);
    t.is((e as MerlonError).code, code, what);
  }
  t.is(w.table.size, 1);
  t.deepEqual((await readdir(join(w.stateDir, 'endpoints'))).sort(), ['1.json', 'last-id']);
});

test.serial('add – a new device is down until it has its programs; a failure takes it back', async (t) => {
  await using w = await world();
  const { blue, node } = w.net.hosts;
  const seen: string[] = [];
  const look = async (row: EndpointRow) => {
    const [link] = await node.ipJson<{ flags: string[] }>('link', 'show', row.device);
    seen.push(`${row.state} ${link?.flags.includes('UP') ? 'up' : 'down'}`);
    if (seen.length === 1) throw new Error('the program does not load');
  };
  const held = await w.restart({ beforeUp: async (row) => look(row) });
  await t.throwsAsync(held.endpoints.add(request(blue, 5)), { message: 'the program does not load' });
  t.is(await traces(node), '');
  t.is(held.table.size, 0);
  t.like(await held.endpoints.add(request(blue, 5)), { state: 'ready', id: 2 });
  t.deepEqual(seen, ['waiting down', 'waiting down']);
  t.is(held.table.get(2)?.state, 'ready');
  t.is(await node.ping('10.0.0.5'), 'open');
});

test.serial('remove – leaves nothing, and gives back what the node was set to', async (t) => {
  await using w = await world();
  const { blue, node } = w.net.hosts;
  const forwarding = () =>
    node.mustExec('cat', ['/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv6/conf/eth0/accept_ra']);
  t.is(await forwarding(), '0\n1\n');
  await w.endpoints.add(request(blue, 5));
  t.is(await forwarding(), '1\n2\n', 'a forwarding node still hears router advertisements');
  t.not(await traces(node), '');
  await w.endpoints.remove('blue');
  t.is(await traces(node), '');
  t.is(w.table.size, 0);
  t.deepEqual(await readdir(join(w.stateDir, 'endpoints')), ['last-id']);
  t.deepEqual(
    (await blue.ipJson<{ ifname: string }>('link')).map(({ ifname }) => ifname),
    ['lo'],
  );
  await t.throwsAsync(w.endpoints.remove('blue'), { message: /no endpoint "blue"/ });
  await restoreSysctls(w.stateDir, (e) => t.fail(e.message));
  t.is(await forwarding(), '0\n1\n');
  const again = await w.endpoints.add(request(blue, 5));
  t.is(again.id, 2, 'an id is not given again at once');
});

/** How often the carrier of a host's device came or went. */
async function carrierChanges(host: Host): Promise<number | undefined> {
  const [link] = await host.ipJson<{ stats64: { tx: { carrier_changes: number } } }>(
    ...['-s', '-s', 'link', 'show', 'eth0'],
  );
  return link?.stats64.tx.carrier_changes;
}

test.serial('restart – endpoints come back with id and device, connections live on', async (t) => {
  await using w = await world();
  const { blue, red } = w.net.hosts;
  await w.endpoints.add(request(blue, 5));
  const before = await w.endpoints.add(request(red, 6));
  await blue.serveTcp(80);
  const stream = await red.stream({ kind: 'tcp', to: '10.0.0.5', port: 80 });
  const carriers = () => Promise.all([blue, red].map(carrierChanges));
  const changes = await carriers();
  t.true(changes.every((count) => (count ?? 0) > 0));
  const after = await w.restart();
  t.deepEqual(after.table.get(before.id), { ...before, identity: 257 as Identity });
  const report = await stream.stop();
  t.like(report, { lost: [], duplicates: 0, error: undefined });
  t.deepEqual(await carriers(), changes, 'and their links stayed up');
  t.true(report.received > 0);
  t.deepEqual(after.problems, []);
});

test.serial('restart – a damaged record costs that record', async (t) => {
  await using w = await world();
  const { blue, red } = w.net.hosts;
  await w.endpoints.add(request(blue, 5));
  await w.endpoints.add(request(red, 6));
  const path = join(w.stateDir, 'endpoints', '1.json');
  const text = await readFile(path, 'utf8');
  for (const bad of ['', '{"version":1,"content":', '[]', 'null', text.replace('"id":1', '"id":70000')]) {
    await writeFile(path, bad);
    const after = await w.restart();
    t.deepEqual(
      [...after.table.all()].map(({ name }) => name),
      ['red'],
      bad,
    );
    t.is(after.problems[0]?.code, 'STATE_CORRUPT');
    t.true((await readdir(join(w.stateDir, 'endpoints'))).includes('1.json.bad'));
  }
  const after = await w.restart();
  t.like(
    await after.endpoints.add(request(blue, 5)),
    { name: 'blue', state: 'ready' },
    'its device is adopted',
  );
});

test.serial(
  'namespace gone – disconnected, removed after the grace; its address is free at once',
  async (t) => {
    await using w = await world();
    const { blue, red, node } = w.net.hosts;
    const row = await w.endpoints.add(request(blue, 5));
    await w.endpoints.add(request(red, 6));
    // The lab's prober would keep the namespace alive; none was started in it.
    await node.mustExec('ip', ['netns', 'del', blue.netnsName]);
    await soon('the endpoint is disconnected', () => w.table.get(row.id)?.state === 'disconnected');
    t.regex(
      w.endpoints.problemOf('default/blue')?.message ?? '',
      /is disconnected: there is no network namespace/,
    );
    await w.clock.advance(GRACE_MS - 1);
    t.is(w.table.get(row.id)?.state, 'disconnected');
    t.deepEqual([...w.told.keys()], ['endpoint default/blue']);
    await w.clock.advance(1);
    await soon('the endpoint is removed', () => w.table.get(row.id) === undefined);
    await soon(
      'its record is removed',
      async () => !(await readdir(join(w.stateDir, 'endpoints'))).includes('1.json'),
    );
    t.is(w.table.size, 1);
    t.deepEqual([...w.told], [], 'and nothing is wrong any more');
  },
);

test.serial('namespace gone – whoever takes its address need not wait', async (t) => {
  await using w = await world();
  const { blue, red, node } = w.net.hosts;
  const row = await w.endpoints.add(request(blue, 5));
  await node.mustExec('ip', ['netns', 'del', blue.netnsName]);
  await soon('the endpoint is disconnected', () => w.table.get(row.id)?.state === 'disconnected');
  t.like(await w.endpoints.add(request(red, 5)), { id: 2, state: 'ready' });
  t.is(w.table.get(row.id), undefined);
});

test.serial('device deleted – made again while the namespace is there', async (t) => {
  await using w = await world();
  const { blue, node } = w.net.hosts;
  const row = await w.endpoints.add(request(blue, 5));
  await blue.serveTcp(80);
  await node.ip(`link del ${row.device}`);
  const again = await soon('there is another device', () => {
    const now = w.table.get(row.id);
    return now?.state === 'ready' && now.ifindex !== row.ifindex ? now : undefined;
  });
  t.is(again.device, row.device);
  t.is(await node.probeTcp('10.0.0.5', 80), 'open');
});

const WORKLOAD: WorkloadRow = {
  key: 'prod/vm',
  namespace: 'prod',
  name: 'vm',
  hostDevice: 'tap0',
  addresses: ['10.1.0.1', '10.1.1.0/24'],
  labels: labelSet([]),
  at: { file: 'vm.yaml', line: 1 },
  source: 'test',
  contentHash: '',
};

test.serial(
  'workload – its record lost, it is in force until its manifest restores or ends it',
  async (t) => {
    await using w = await world();
    await w.net.hosts.node.ip('link add tap0 type veth peer name tap1');
    w.db.write((txn) => w.workloads.put(txn, WORKLOAD));
    const { ifindex } = await soon('it is ready', () => w.table.get(1));
    const kernel = { id: 1, identity: 256 as Identity, ifindex, addresses: WORKLOAD.addresses, mac: '' };
    for (const labels of [WORKLOAD.labels, undefined])
      for (const isDescribed of [true, false]) {
        await rm(join(w.stateDir, 'endpoints', '1.json'), { force: true });
        const inForce = { endpoints: [kernel], labelsOf: () => labels };
        const after = await w.restart({ manifestsRead: false, inForce });
        t.like(after.table.get(1), {
          name: 'lost-1',
          ifindex,
          state: labels === undefined ? 'kept' : 'ready',
        });
        t.regex(after.told.get('endpoint default/lost-1') ?? '', /its Workload restores it/);
        await t.throwsAsync(after.endpoints.remove('1'), { message: /described by a manifest/ });
        after.db.write((txn) => {
          if (isDescribed) after.workloads.put(txn, WORKLOAD);
          after.workloads.source('files').markSynced(txn);
        });
        await soon('it is what the manifests say', () =>
          isDescribed ? after.table.get(1)?.name === 'vm' : after.table.size === 0,
        );
        t.is(after.told.size, 0);
      }
  },
);

test.serial('workload – an endpoint while its device is there, with one id', async (t) => {
  await using w = await world();
  const { node } = w.net.hosts;
  const row = WORKLOAD;
  w.db.write((txn) => w.workloads.put(txn, row));
  const problem = await soon('it waits', () => w.endpoints.problemOf('prod/vm'));
  t.is(problem.message, 'the node has no device tap0');
  t.is(problem.at?.file, 'vm.yaml');
  await node.ip('link add tap0 type veth peer name tap1');
  const ready = () =>
    soon('it is ready', () => [...w.table.by('name', 'prod/vm')].find(({ state }) => state === 'ready'));
  const first = await ready();
  t.like(first, { id: 1, device: 'tap0', addresses: row.addresses, netns: undefined });
  t.is(w.endpoints.problemOf('prod/vm'), undefined);
  await t.throwsAsync(w.endpoints.remove('vm'), { message: /described by a manifest/ });
  await node.ip('link del tap0');
  await soon('it is disconnected', () => w.table.get(1)?.state === 'disconnected');
  await w.clock.advance(GRACE_MS);
  await soon('its row is gone', () => w.table.get(1) === undefined);
  await node.ip('link add tap0 type veth peer name tap1');
  t.like(await ready(), { id: 1 });
  t.is(typeof w.endpoints.workloadsRevision, 'number');
  w.db.write((txn) => w.workloads.put(txn, { ...row, addresses: ['10.1.0.2'] }));
  t.is(w.endpoints.workloadsRevision, undefined, 'the change is on its way');
  const revision = await soon('the change has come', () => w.endpoints.workloadsRevision);
  t.is(w.table.get(1)?.addresses[0], '10.1.0.2');
  t.true(revision >= w.table.revision);
  const after = await w.restart({ manifestsRead: false });
  t.like(
    after.table.get(1),
    { name: 'vm', addresses: ['10.1.0.2'], state: 'ready' },
    'before the manifests are read',
  );
  after.db.write((txn) => after.workloads.source('files').markSynced(txn));
  await soon('its row is gone, since no manifest has it', () => after.table.size === 0);
});
