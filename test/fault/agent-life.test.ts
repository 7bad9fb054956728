/**
 * Whatever befalls the agent, no verdict changes: traffic of every kind runs through the event. And when it
 * goes for good, nothing of it stays. The world is that of test/netns/proof/bed.ts.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { DeviceView } from '#api/client';
import { until } from '#kit/async';
import { merlon } from '#lab';
import { closeFd, linkIds, mapIds, mapInfo, objGet, progIds } from '#native';
import { ethernet, frame, ip, udp } from '../packet/builder.ts';
import {
  address,
  bed,
  type Bed,
  carried,
  ECHO,
  FAMILIES,
  hostPolicy,
  podPolicy,
  ports,
  PROGRAM,
  testSignal,
} from '../netns/proof/bed.ts';
import { linkOf, sealed, Wire } from '../netns/proof/raw.ts';
import { type Kind, traffic } from '../netns/proof/traffic.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 20 };

const RACK = ['192.0.2.0/24', '2001:db8::/64'];

const POLICIES = [
  hostPolicy('node', {
    ingress: [
      { fromEntities: ['all'], toPorts: ports('80/TCP', '90/TCP', '53/UDP') },
      { fromCIDR: RACK, icmps: ECHO },
    ],
    egress: [{ toEntities: ['all'], toPorts: ports('80/TCP', '53/UDP') }],
  }),
  podPolicy(
    'red',
    { app: 'red' },
    {
      ingress: [{ fromEndpoints: [{ matchLabels: { app: 'blue' } }], toPorts: ports('80/TCP', '53/UDP') }],
      egress: [{ toEndpoints: [{ matchLabels: { app: 'blue' } }], toPorts: ports('80/TCP') }],
    },
  ),
];

const KINDS: readonly Kind[] = [
  { name: 'connection to the node', from: 'peer', to: 'node', kind: 'tcp', port: 80, expect: 'open' },
  {
    name: 'replies of the node alone',
    from: 'far',
    to: 'node',
    kind: 'tcp',
    port: 90,
    push: true,
    expect: 'open',
  },
  { name: 'datagrams to the node', from: 'far', to: 'node', kind: 'udp', port: 53, expect: 'open' },
  { name: 'connection of the node', from: 'node', to: 'peer', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'datagrams of the node', from: 'node', to: 'peer', kind: 'udp', port: 53, expect: 'open' },
  { name: 'connection between pods', from: 'blue', to: 'red', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'new to the node', from: 'peer', to: 'node', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'new datagrams to the node', from: 'far', to: 'node', kind: 'udp-new', port: 53, expect: 'open' },
  { name: 'new of the node', from: 'node', to: 'peer', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'new between pods', from: 'blue', to: 'red', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'echo', from: 'peer', to: 'node', kind: 'icmp-new', expect: 'open' },
  { name: 'refused to the node', from: 'peer', to: 'node', kind: 'tcp-new', port: 81, expect: 'timeout' },
  { name: 'refused datagrams', from: 'peer', to: 'node', kind: 'udp-new', port: 54, expect: 'timeout' },
  { name: 'refused of the node', from: 'node', to: 'peer', kind: 'tcp-new', port: 81, expect: 'timeout' },
  { name: 'refused to the pod', from: 'peer', to: 'red', kind: 'tcp-new', port: 80, expect: 'timeout' },
  { name: 'refused echo', from: 'far', to: 'node', kind: 'icmp-new', expect: 'timeout' },
];

const isOfPods = ({ from, to }: Kind): boolean =>
  [from, to].some((host) => host === 'red' || host === 'blue');

async function serve(b: Bed): Promise<void> {
  const { node, peer } = b;
  const red = b.host('red');
  await Promise.all([
    ...[node, peer, red].flatMap((host) => [host.serveTcp(80), host.serveTcp(81)]),
    ...[node, peer].flatMap((host) => [host.serveUdp(53), host.serveUdp(54)]),
    node.serveTcp(90, { mode: 'push', intervalMs: 10 }),
  ]);
}

const make = async (name: string, config: Readonly<Record<string, unknown>> = {}): Promise<Bed> => {
  const b = await bed({ name, config, pods: ['red', 'blue'], manifests: { 'all.yaml': POLICIES } });
  await serve(b);
  return b;
};

const hooksOf = (devices: readonly DeviceView[]) =>
  devices.flatMap(({ name, hooks }) => hooks.map((hook) => ({ device: name, ...hook })));

test('life – through signals, stops, kills, restarts and reloads no verdict changes', async (t) => {
  await using b = await make('life');
  const all = await traffic(b, KINDS);
  await all.through('SIGHUP', async () => b.agent.notify('SIGHUP'));
  await all.through('reload with another configuration', () => b.configure({ labels: { rack: 'north' } }));
  await all.through('SIGSTOP', async () => b.agent.notify('SIGSTOP'), 30);
  await all.through('SIGCONT', async () => b.agent.notify('SIGCONT'));
  const before = hooksOf((await b.status()).devices);
  await all.through('SIGTERM', async () => t.is(await b.agent.stop(), 0));
  await all.through('start', () => b.start());
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'), 30);
  await all.through('start over the dead', () => b.start());
  const after = hooksOf((await b.status()).devices);
  t.deepEqual(
    after.map(({ device, hook, linkId }) => [device, hook, linkId]),
    before.map(({ device, hook, linkId }) => [device, hook, linkId]),
    'the links are the same',
  );
  t.true(after.length >= 6);
  t.true(
    after.every(({ programId }, at) => programId !== before[at]?.programId),
    'and hold new programs',
  );
  await all.judge(t);
});

test('life – policies that change while it is dead are in force after the start, and nothing else changes', async (t) => {
  await using b = await make('lifechange', { xdp: { mode: 'native' } });
  const all = await traffic(b, KINDS);
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
  const more = hostPolicy('more', { ingress: [{ fromEntities: ['all'], toPorts: ports('82/TCP') }] });
  await b.node.serveTcp(82);
  for (const family of FAMILIES)
    t.is(await b.peer.probeTcp(address('node', family), 82, { timeoutMs: 300 }), 'timeout');
  await all.through('a policy is added', () => b.apply({ 'more.yaml': [more] }));
  await all.through('start', () => b.start());
  for (const family of FAMILIES) t.is(await b.peer.probeTcp(address('node', family), 82), 'open');
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
  await all.through('the policy is removed', () => b.apply({ 'more.yaml': undefined }));
  for (const family of FAMILIES) t.is(await b.peer.probeTcp(address('node', family), 82), 'open', 'still');
  await all.through('start', () => b.start());
  for (const family of FAMILIES)
    t.is(await b.peer.probeTcp(address('node', family), 82, { timeoutMs: 300 }), 'timeout');
  await all.judge(t);
});

test('life – prefixes that policies begin and cease to name while it is dead are judged as before until the switch', async (t) => {
  const byPrefix = hostPolicy('node', {
    ingress: [
      { fromCIDR: ['192.0.2.0/24', '2001:db8::/32'], toPorts: ports('80/TCP', '90/TCP', '53/UDP') },
      { fromCIDR: ['198.51.100.0/24'], toPorts: ports('90/TCP', '53/UDP') },
      { fromCIDR: RACK, icmps: ECHO },
    ],
    egress: [{ toCIDR: ['192.0.2.0/24', '2001:db8::/32'], toPorts: ports('80/TCP', '53/UDP') }],
  });
  // So many that the switch comes long after the first of them is known.
  const many = Array.from({ length: 3000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
  const narrow = ['192.0.2.0/28', '198.51.100.0/28', '2001:db8::/60', '2001:db8:1::/64'];
  const more = hostPolicy('more', {
    ingress: [{ fromCIDR: [...narrow, ...many], toPorts: ports('82/TCP') }],
  });
  await using b = await bed({
    name: 'lifeprefix',
    pods: ['red', 'blue'],
    manifests: { 'all.yaml': [byPrefix] },
  });
  await serve(b);
  const all = await traffic(
    b,
    KINDS.filter((kind) => !isOfPods(kind)),
  );
  for (const policies of [[more], undefined]) {
    await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
    await all.through('the prefixes change', () => b.apply({ 'more.yaml': policies }));
    await all.through('start', () => b.start());
  }
  await all.judge(t);
});

test('life – stopped beside a flood of what is refused: no packet waits for it', async (t) => {
  await using b = await make('lifeflood');
  using wire = await Wire.open(b.host('router'));
  const { address: mac } = await linkOf(b.node);
  const all = await traffic(b, KINDS);
  const before = (await b.drops())['POLICY_DENIED'] ?? 0;
  await all.through('SIGSTOP', async () => b.agent.notify('SIGSTOP'), 1);
  const refused = FAMILIES.map((family) =>
    sealed(
      frame(
        ethernet({ src: wire.mac, dst: mac }),
        ip({ src: address('far', family), dst: address('node', family) }),
        udp({ src: 9, dst: 9, data: 32 }),
      ),
    ),
  );
  const FLOOD = 40_000;
  await all.through('a flood', async () => {
    for (let sent = 0; sent < FLOOD; sent += 2) {
      for (const bytes of refused) wire.sendBytes(bytes);
      if (sent % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  });
  await all.through('SIGCONT', async () => b.agent.notify('SIGCONT'));
  const counted = ((await b.drops())['POLICY_DENIED'] ?? 0) - before;
  t.true(counted >= FLOOD, `every one is counted: ${counted}`);
  const { events } = await b.status();
  t.true(events.lost + events.suppressed > 0, 'and what was not told is told to be missing');
  await all.judge(t);
});

for (const isLate of [false, true])
  test(`life – the first start ${isLate ? 'without' : 'with'} policies picks up what runs, and cuts what they refuse`, async (t) => {
    await using b = await bed({
      name: 'lifefirst',
      isAgentStarted: false,
      manifests: isLate ? {} : { 'all.yaml': POLICIES },
    });
    await serve(b);
    const open = KINDS.filter((kind) => kind.expect === 'open' && !isOfPods(kind));
    const all = await traffic(b, open);
    const refused = await Promise.all(
      FAMILIES.flatMap((family) => [
        b.peer.stream({ kind: 'tcp', to: address('node', family), port: 81, intervalMs: 10 }),
        b.node.stream({ kind: 'tcp', to: address('peer', family), port: 81, intervalMs: 10 }),
      ]),
    );
    await Promise.all(refused.map((stream) => carried(stream, 5)));
    await all.through('the first start', () => b.start());
    if (isLate) await all.through('the first policies', () => b.apply({ 'all.yaml': POLICIES }));
    const cut = await Promise.all(refused.map((stream) => stream.report()));
    await all.goesOn(30);
    for (const [at, stream] of refused.entries())
      t.true((await stream.report()).received <= (cut[at]?.received ?? 0) + 1, 'it is cut');
    const flows = await b.flows((f) => f.initiator.ip === address('node', 4) && f.responder.port === 80);
    t.true(
      flows.some((f) => f.direction === 'out'),
      'who began is known of what was there before',
    );
    await all.judge(t);
  });

test('life – killed in the middle of changes, again and again', async (t) => {
  await using b = await make('lifekill');
  const all = await traffic(b, KINDS);
  for (let round = 0; round < 5; round++) {
    const change = hostPolicy('churn', {
      ingress: [
        { fromCIDR: [`10.${round}.0.0/16`, '192.0.2.128/25'], toPorts: ports(`${1000 + round}-2000/TCP`) },
      ],
    });
    await all.through(`change and kill ${round}`, async () => {
      const applied = b.apply({ 'churn.yaml': [change] }).catch(() => undefined); // it dies of it
      // Each round at a later moment of the change, which takes some 50 ms.
      await Promise.race([applied, setTimeout(round * 12)]);
      await b.agent.kill('SIGKILL');
      await applied;
    });
    await all.through(`start ${round}`, () => b.start());
  }
  await all.judge(t);
});

test('life – a state directory without room costs memory: policies go on changing, and a start enforces', async (t) => {
  await using b = await make('lifefull');
  const all = await traffic(b, KINDS);
  const { stateDir } = b.dirs;
  await b.agent.stop();
  using mounted = new DisposableStack();
  cpSync(stateDir, `${stateDir}.kept`, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', stateDir]);
  mounted.defer(() => execFileSync('umount', ['--lazy', stateDir]));
  cpSync(`${stateDir}.kept`, stateDir, { recursive: true });
  t.throws(() => writeFileSync(join(stateDir, 'room'), new Uint8Array(1 << 20)), { code: 'ENOSPC' });
  await all.through('start', () => b.start());
  const told = async () => (await b.status()).degraded.filter(({ code }) => code === 'STATE_WRITE').length;
  t.true((await told()) > 0, 'status says so');
  const more = hostPolicy('more', { ingress: [{ fromEntities: ['all'], toPorts: ports('82/TCP') }] });
  await b.node.serveTcp(82);
  await all.through('a policy is added', () => b.apply({ 'more.yaml': [more] }));
  for (const family of FAMILIES) t.is(await b.peer.probeTcp(address('node', family), 82), 'open');
  t.regex(b.agent.said, /No space left|no space left|ENOSPC/);
  await all.judge(t);
});

test('life – a link that somebody took away is missed in `devices`, and back after a reload', async (t) => {
  await using b = await make('lifelink');
  const device = (await b.status()).devices.find(({ kind, selected }) => kind === 'external' && selected);
  if (device === undefined) return t.fail('no device is selected');
  const find = async () => (await b.status()).devices.find(({ ifindex }) => ifindex === device.ifindex);
  t.is((await find())?.unprotected, false);
  unlinkSync(join(b.dirs.bpfRoot, 'links', `ingress_${device.ifindex}`));
  const without = await find();
  t.is(without?.hooks.length, device.hooks.length - 1);
  t.is(without?.unprotected, true);
  const { code } = await b.agent.merlon(['reload']);
  t.is(code, 0);
  const back = await until(async () => ((await find())?.unprotected === false ? true : undefined), {
    ...limits,
    what: 'programs on the device again',
  });
  t.true(back);
});

/** What the node looks like to itself, its sysctls included. */
async function faceOf({ node }: Bed): Promise<Readonly<Record<string, string>>> {
  const commands = {
    links: 'ip -o link | sed "s/ state [A-Z]*//"',
    addresses: 'ip -o addr | sed "s/ *valid_lft.*//"',
    routes: 'ip route show table all | sort',
    routes6: 'ip -6 route show table all | grep -v "^multicast" | sed "s/ expires [0-9]*sec//" | sort',
    rules: 'ip rule; ip -6 rule',
    qdiscs: 'tc qdisc show',
    filters:
      'for d in $(ls /sys/class/net); do tc filter show dev $d ingress; tc filter show dev $d egress; done',
    sysctls:
      'grep -rs . /proc/sys/net/ipv4 /proc/sys/net/ipv6 | grep -v -e /neigh/ -e random -e tcp_fastopen | sort',
  };
  const pairs = Object.entries(commands).map(
    async ([name, command]) => [name, await node.mustExec('sh', ['-c', command])] as const,
  );
  return Object.fromEntries(await Promise.all(pairs));
}

/** Kernel objects of the node's instance: ids of its maps, and of programs and links on its devices. */
async function objectsOf(b: Bed) {
  const root = join(b.dirs.bpfRoot, 'maps');
  const maps = readdirSync(root).map((pin) => {
    const fd = objGet(join(root, pin));
    const { id } = mapInfo(fd);
    closeFd(fd);
    return id;
  });
  const hooks = hooksOf((await b.status()).devices);
  return { maps, programs: hooks.map((h) => h.programId), links: hooks.map((h) => h.linkId ?? 0) };
}

async function isGone(t: ExecutionContext, objects: Awaited<ReturnType<typeof objectsOf>>): Promise<void> {
  const left = () => ({
    maps: mapIds().filter((id) => objects.maps.includes(id)),
    programs: progIds().filter((id) => objects.programs.includes(id)),
    links: linkIds().filter((id) => objects.links.includes(id)),
  });
  const none = { maps: [], programs: [], links: [] };
  // The kernel frees them after a grace period.
  await until(() => Object.values(left()).flat().length === 0 || undefined, {
    ...limits,
    what: 'no objects',
  }).catch(() => {});
  t.deepEqual(left(), none);
}

test('uninstall – refused while the agent lives, and changes nothing then', async (t) => {
  await using b = await make('unalive');
  const all = await traffic(b, KINDS);
  await all.through('uninstall', async () => {
    const { code, stderr } = await b.uninstall();
    t.not(code, 0);
    t.regex(stderr, /^merlon: .*another agent/m);
    t.is(stderr.trim().split('\n').length <= 2, true, 'one sentence and its remedy');
  });
  await all.judge(t);
});

test('uninstall – of the dead: nothing stays, and what was connected is not cut', async (t) => {
  await using b = await bed({ name: 'undead', isAgentStarted: false, manifests: { 'all.yaml': POLICIES } });
  const before = await faceOf(b);
  await b.start();
  for (const pod of ['red', 'blue'] as const) await b.addPod(pod);
  await serve(b);
  const open = KINDS.filter((kind) => kind.expect === 'open' && !isOfPods(kind));
  const all = await traffic(b, open);
  for (const family of FAMILIES)
    t.is(await b.peer.probeTcp(address('node', family), 81, { timeoutMs: 300 }), 'timeout');
  const objects = await objectsOf(b);
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
  await all.through('uninstall', async () => {
    const { code, stderr } = await b.uninstall(['--purge']);
    t.is(code, 0, stderr);
  });
  for (const family of FAMILIES) t.is(await b.peer.probeTcp(address('node', family), 81), 'open');
  await all.judge(t);
  await isGone(t, objects);
  const after = await faceOf(b);
  for (const [what, text] of Object.entries(before)) t.is(after[what], text, what);
  for (const path of [b.dirs.bpfRoot, b.dirs.stateDir, b.dirs.runDir]) t.false(existsSync(path), path);
  const again = await b.uninstall();
  t.is(again.code, 0, `twice is harmless: ${again.stderr}`);
});

test('instances – a second agent on one run directory is refused with a sentence', async (t) => {
  await using b = await make('second');
  const all = await traffic(b, KINDS);
  const { configDir, stateDir, runDir, bpfRoot } = b.dirs;
  const start = (run: string, root: string) =>
    merlon(
      b.node,
      PROGRAM,
      ['agent', '--config', join(configDir, 'merlon.yaml'), '--foreground'].concat([
        '--state-dir',
        stateDir,
        '--run-dir',
        run,
        '--bpf-root',
        root,
      ]),
      { timeoutMs: 120_000 },
    );
  await all.through('a second agent, same run directory', async () => {
    const { code, stderr } = await start(runDir, `${bpfRoot}-other`);
    t.not(code, 0);
    t.regex(stderr, /another agent runs with the run directory/);
  });
  await all.through('a second agent, same bpf root', async () => {
    const { code, stderr } = await start(`${runDir}-other`, bpfRoot);
    t.not(code, 0);
    t.regex(stderr, /another agent is at work on/);
  });
  t.true((await b.status()).ready);
  t.false(existsSync(`${bpfRoot}-other`));
  await all.judge(t);
});
