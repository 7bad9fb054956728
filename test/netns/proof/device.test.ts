/**
 * Devices that flap, change their names, come and go, or are not there; and two agents on one machine. The
 * world is that of bed.ts.
 */
import { join } from 'node:path';
import test from 'ava';
import type { DeviceView } from '#api/client';
import { until } from '#kit/async';
import { merlon } from '#lab';
import { address, bed, type Bed, carried, FAMILIES, hostPolicy, ports, PROGRAM, testSignal } from './bed.ts';
import { type Kind, traffic } from './traffic.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 10 };

const EIGHTY = hostPolicy('eighty', {
  ingress: [{ fromEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') }],
  egress: [{ toEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') }],
});

const KINDS: readonly Kind[] = [
  { name: 'in', from: 'peer', to: 'node', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'out', from: 'node', to: 'peer', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'datagrams', from: 'peer', to: 'node', kind: 'udp', port: 80, expect: 'open' },
  { name: 'new', from: 'peer', to: 'node', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'refused', from: 'peer', to: 'node', kind: 'tcp-new', port: 81, expect: 'timeout' },
  { name: 'refused out', from: 'node', to: 'peer', kind: 'tcp-new', port: 81, expect: 'timeout' },
];

const serve = (b: Bed) =>
  Promise.all([b.node, b.peer].flatMap((host) => [host.serveTcp(80), host.serveUdp(80), host.serveTcp(81)]));

const device = async (b: Bed, name: string): Promise<DeviceView | undefined> =>
  (await b.status()).devices.find((one) => one.name === name);

const linksOf = (d: DeviceView | undefined) => d?.hooks.map(({ hook, linkId }) => `${hook} ${linkId}`) ?? [];

/** Waits until a device has programs on both hooks. */
const attached = (b: Bed, name: string) =>
  until(
    async () => {
      const found = await device(b, name);
      return (found?.hooks.length ?? 0) >= 2 && found;
    },
    { ...limits, what: `programs on ${name}` },
  );

test('flap – carrier and device go down and up: records and programs stay', async (t) => {
  await using b = await bed({ name: 'flap', manifests: { 'eighty.yaml': [EIGHTY] } });
  await serve(b);
  const streams = await Promise.all(
    FAMILIES.flatMap((family) => [
      b.peer.stream({ kind: 'tcp', to: address('node', family), port: 80 }),
      b.node.stream({ kind: 'tcp', to: address('peer', family), port: 80 }),
    ]),
  );
  await Promise.all(streams.map((s) => carried(s, 5)));
  const own = streams.map(({ sourcePort }) => sourcePort);
  const records = async () =>
    (await b.flows((f) => own.includes(f.initiator.port ?? 0))).map(
      ({ flow, initiator }) => `${initiator.port} ${flow}`,
    );
  const [before, links] = [(await records()).sort(), linksOf(await device(b, 'eth0'))];
  t.is(before.length, 4);
  await b.net.link('rack').carrier(false, 'node');
  await until(async () => (await streams[0]?.report())?.gaps.length, { ...limits, what: 'silence' });
  await b.net.link('rack').carrier(true, 'node');
  await Promise.all(streams.map((s) => carried(s, 5)));
  t.deepEqual((await records()).sort(), before);
  t.deepEqual(linksOf(await device(b, 'eth0')), links);
  // A device that goes down loses its IPv6 addresses and the routes through it.
  await b.node.ip('link set eth0 down');
  await b.node.ip('link set eth0 up', `addr add ${address('node', 6)}/64 dev eth0 nodad`);
  const refuses = async () => {
    for (const family of FAMILIES)
      t.is(await b.peer.probeTcp(address('node', family), 81, { timeoutMs: 300 }), 'timeout');
  };
  await refuses();
  t.deepEqual(linksOf(await device(b, 'eth0')), links, 'without a default route, too');
  await b.node.ip(`route add default via ${address('router', 4)}`);
  await Promise.all(streams.map((s) => carried(s, 5)));
  t.deepEqual((await records()).sort(), before);
  t.deepEqual(linksOf(await device(b, 'eth0')), links);
  await refuses();
  for (const stream of streams) {
    const { lost, error } = await stream.stop();
    t.deepEqual([lost, error], [[], undefined]);
  }
});

test('rename – traffic does not notice, the status does', async (t) => {
  await using b = await bed({ name: 'rename', manifests: { 'eighty.yaml': [EIGHTY] } });
  await serve(b);
  const all = await traffic(b, KINDS);
  const links = linksOf(await device(b, 'eth0'));
  t.is(links.length, 2);
  await all.through('rename', () => b.node.ip('link set eth0 name uplink'));
  const renamed = await until(() => device(b, 'uplink'), { ...limits, what: 'the new name' });
  t.deepEqual(linksOf(renamed), links);
  await all.judge(t);
});

test('hot-plug – a device has programs before it has addresses, and each time it comes again', async (t) => {
  await using b = await bed({
    name: 'hotplug',
    config: { devices: { patterns: ['eth+'] } },
    manifests: { 'eighty.yaml': [EIGHTY] },
  });
  await serve(b);
  const far = b.host('far');
  const ends = { 4: ['198.18.0.1', '198.18.0.2'], 6: ['2001:db8:18::1', '2001:db8:18::2'] } as const;
  let last: readonly string[] = [];
  for (let round = 0; round < 3; round++) {
    await b.node.ip(`link add eth7 type veth peer name eth7 netns ${far.netnsName}`);
    const links = linksOf(await attached(b, 'eth7'));
    t.notDeepEqual(links, last, 'new links: it is a new device');
    last = links;
    await far.ip(
      'link set eth7 up',
      ...FAMILIES.map((f) => `addr add ${ends[f][1]}/${f === 4 ? '24' : '64 nodad'} dev eth7`),
    );
    const trying = await Promise.all(
      FAMILIES.map((family) =>
        far.stream({ kind: 'tcp-new', to: ends[family][0], port: 81, intervalMs: 3, timeoutMs: 400 }),
      ),
    );
    await b.node.ip(
      'link set eth7 up',
      ...FAMILIES.map((f) => `addr add ${ends[f][0]}/${f === 4 ? '24' : '64 nodad'} dev eth7`),
    );
    // Its neighbour had an IPv6 address before there was a carrier, and may be deaf to solicitations a while.
    for (const family of FAMILIES)
      await until(async () => (await far.probeTcp(ends[family][0], 80, { payload: 'x' })) === 'open', {
        ...limits,
        what: `port 80 of ${ends[family][0]} answers`,
      });
    for (const stream of trying) {
      const { phases, received } = await stream.stop();
      const seen = new Set(phases.map(({ outcome }) => outcome));
      t.false(seen.has('open') || seen.has('refused') || seen.has('reset'), JSON.stringify(phases));
      t.is(received, 0);
      t.true(seen.has('timeout'));
    }
    await b.node.ip('link del eth7');
    await until(async () => (await device(b, 'eth7')) === undefined || undefined, {
      ...limits,
      what: 'it is gone',
    });
  }
  t.deepEqual((await b.status()).degraded, []);
});

test('patterns – one that matches nothing is told; with requireAll it is an error of the start', async (t) => {
  await using b = await bed({
    name: 'pattern',
    config: { devices: { patterns: ['eth+', 'nic7'] } },
    manifests: { 'eighty.yaml': [EIGHTY] },
  });
  await serve(b);
  const all = await traffic(b, KINDS);
  const { notEnforced } = await b.status();
  t.true(
    notEnforced.some(({ what, why }) => `${what} ${why}`.includes('nic7')),
    JSON.stringify(notEnforced),
  );
  await all.through('reload with requireAll', async () => {
    await b.configure({ devices: { patterns: ['eth+', 'nic7'], requireAll: true } }).catch(() => undefined);
  });
  await all.through('stop', () => b.agent.stop());
  const { configDir, stateDir, runDir, bpfRoot } = b.dirs;
  await all.through('start that is refused', async () => {
    const { code, stderr } = await merlon(
      b.node,
      PROGRAM,
      ['agent', '--config', join(configDir, 'merlon.yaml'), '--foreground'].concat([
        '--state-dir',
        stateDir,
        '--run-dir',
        runDir,
        '--bpf-root',
        bpfRoot,
      ]),
      { timeoutMs: 120_000 },
    );
    t.not(code, 0);
    t.regex(stderr, /no device matches nic7; there are .*eth0/);
  });
  await all.judge(t);
});

test('instances – two agents of two namespaces do not notice each other', async (t) => {
  await using one = await bed({ name: 'twoa', manifests: { 'eighty.yaml': [EIGHTY] } });
  await using other = await bed({ name: 'twob', manifests: { 'eighty.yaml': [EIGHTY] } });
  await Promise.all([serve(one), serve(other)]);
  const face = async () => {
    const { devices, instance } = await other.status();
    return { instance, hooks: devices.flatMap(({ hooks }) => hooks) };
  };
  const all = await traffic(other, KINDS);
  const before = await face();
  t.not((await one.status()).instance, before.instance);
  await all.through('the policy of one', () => one.apply({ 'eighty.yaml': undefined }));
  t.is(await one.peer.probeTcp(address('node', 4), 81), 'open');
  await all.through('the end of one', () => one.agent.kill('SIGKILL'));
  await all.through('the start of one', () => one.start());
  await all.through('the stop of one', () => one.agent.stop());
  await all.through('one is uninstalled', async () => {
    const { code, stderr } = await one.uninstall();
    t.is(code, 0, stderr);
  });
  t.deepEqual(await face(), before);
  await all.judge(t);
});

test('instances – an agent of another namespace is refused the pins of the first', async (t) => {
  await using b = await bed({ name: 'foreign', manifests: { 'eighty.yaml': [EIGHTY] } });
  await serve(b);
  const all = await traffic(b, KINDS);
  await all.through('stop', () => b.agent.stop());
  const { configDir, stateDir, runDir, bpfRoot } = b.dirs;
  await all.through('a start elsewhere', async () => {
    const words = ['agent', '--config', join(configDir, 'merlon.yaml'), '--state-dir', `${stateDir}-2`];
    const { code, stderr } = await b.peer.exec(
      PROGRAM,
      [...words, '--run-dir', `${runDir}-2`, '--bpf-root', bpfRoot, '--foreground'],
      { timeoutMs: 120_000 },
    );
    t.not(code, 0);
    t.regex(stderr, /these pins enforce in another network namespace/);
  });
  await all.judge(t);
});
