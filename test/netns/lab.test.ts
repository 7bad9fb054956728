/**
 * The lab itself.
 *
 *   a ─── router ─── lan ─┬─ b
 *                         └─ c
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import test from 'ava';
import { until } from '#kit/async';
import { mustRun, run, sweepLab, type Topology, topology } from '#lab';

const signal = AbortSignal.timeout(900_000);

const spec = {
  name: 'labtest',
  hosts: { a: {}, router: { forward: true, isNode: true, loopback: ['203.0.113.1/32'] }, b: {}, c: {} },
  links: [
    {
      ends: [
        { host: 'a', addresses: ['10.1.0.2/24', 'fd01::2/64'], gateways: ['10.1.0.1', 'fd01::1'] },
        { host: 'router', addresses: ['10.1.0.1/24', 'fd01::1/64'] },
      ],
    },
    {
      lan: 'lan',
      ports: [
        { host: 'router', addresses: ['10.2.0.1/24', 'fd02::1/64'] },
        { host: 'b', addresses: ['10.2.0.2/24', 'fd02::2/64'], gateways: ['10.2.0.1', 'fd02::1'] },
        { host: 'c', addresses: ['10.2.0.3/24', 'fd02::3/64'], gateways: ['10.2.0.1', 'fd02::1'] },
      ],
    },
  ],
} as const;

const build = (): Promise<Topology<'a' | 'b' | 'c' | 'router'>> => topology(spec);

/** What carries the prefix anywhere on the machine. */
async function leftovers(prefix: string): Promise<readonly string[]> {
  const dirs = ['/run/netns', '/run/merlon-lab', '/sys/fs/bpf', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
  const found = await Promise.all(
    dirs.map(async (dir) => (await readdir(dir).catch(() => [])).filter((name) => name.startsWith(prefix))),
  );
  return found.flat();
}

test('topology – probes reach servers through a router and a bridge, both families', async (t) => {
  await using net = await build();
  const { a, b, c, router } = net.hosts;
  await Promise.all([b.serveTcp(80), b.serveUdp(53), c.serveHttp(8080, { body: 'hello' })]);
  for (const to of [b.ipv4, b.ipv6]) {
    t.is(await a.probeTcp(to, 80), 'open', `tcp ${to}`);
    t.is(await a.probeTcp(to, 81), 'refused', `closed tcp ${to}`);
    t.is(await a.probeTcp(to, 80, { payload: 'x' }), 'open', `tcp echo ${to}`);
    t.is(await a.probeUdp(to, 53), 'open', `udp ${to}`);
    t.is(await a.probeUdp(to, 54), 'refused', `closed udp ${to}`);
    t.is(await a.ping(to), 'open', `ping ${to}`);
  }
  for (const to of [c.ipv4, c.ipv6])
    t.like(await a.http(to, 8080), { outcome: 'open', status: 200, body: 'hello' });
  t.is(await a.ping('203.0.113.1'), 'open', 'an address on the loopback device');
  t.is(await router.probeTcp('198.51.100.1', 80), 'unreachable', 'no route');
});

test('attempt – tells its own five-tuple, answered or not', async (t) => {
  await using net = await build();
  const { a, b } = net.hosts;
  const server = await b.serveTcp(80);
  const open = await a.attempt({ proto: 'tcp', to: b.ipv6, port: 80, payload: 'x' });
  t.like(open, { outcome: 'open', source: 'fd01::2' });
  t.deepEqual((await server.report()).peers, [{ ip: open.source, port: open.sourcePort }]);
  t.like(await a.attempt({ proto: 'tcp', to: b.ipv4, port: 80, fromPort: 4242, payload: 'x' }), {
    outcome: 'open',
    sourcePort: 4242,
  });
  t.is((await server.report()).peers[1]?.port, 4242);
  await net.link('lan').cut();
  const silent = await a.attempt({ proto: 'udp', to: b.ipv4, port: 80, timeoutMs: 50 });
  t.like(silent, { outcome: 'timeout', source: '10.1.0.2', port: 80 });
  t.true(silent.sourcePort >= 32_768);
});

test('attempts – a thousand at once, each with its own outcome', async (t) => {
  await using net = await build();
  const { a, b } = net.hosts;
  await Promise.all([b.serveTcp(80), b.serveUdp(80)]);
  const wanted = Array.from({ length: 1000 }, (_, at) => ({
    proto: at & 1 ? ('udp' as const) : ('tcp' as const),
    to: at & 2 ? b.ipv4 : b.ipv6,
    port: at & 4 ? 80 : 81,
    // Closed UDP ports may stay silent.
    timeoutMs: at & 4 || !(at & 1) ? 60_000 : 1000,
  }));
  const results = await a.attempts(wanted);
  // A host sends at most so many ICMP errors a second: of closed UDP ports some stay silent.
  const wrong = results.filter(({ outcome, port, proto }, at) => {
    if (port !== wanted[at]?.port) return true;
    if (port === 80) return outcome !== 'open';
    return outcome !== 'refused' && !(proto === 'udp' && outcome === 'timeout');
  });
  t.deepEqual(wrong, []);
});

test('stream – records through a cut: what was lost, and how long it was silent', async (t) => {
  await using net = await build();
  const { a, b } = net.hosts;
  await Promise.all([
    b.serveTcp(80),
    b.serveUdp(80),
    b.serveUdp(90, { mode: 'push' }),
    b.serveTcp(90, { mode: 'push' }),
  ]);
  const start = () =>
    Promise.all([
      a.stream({ kind: 'udp', to: b.ipv4, port: 80 }),
      a.stream({ kind: 'tcp', to: b.ipv6, port: 80 }),
      a.stream({ kind: 'udp', to: b.ipv4, port: 90, push: true }),
      a.stream({ kind: 'tcp', to: b.ipv4, port: 90, push: true }),
      a.stream({ kind: 'tcp-new', to: b.ipv4, port: 80, intervalMs: 20, timeoutMs: 500 }),
    ]);
  const running = async (streams: Awaited<ReturnType<typeof start>>, count: number) =>
    until(
      async () =>
        (await Promise.all(streams.map((s) => s.report()))).every(({ received }) => received >= count) ||
        undefined,
      { signal, timeoutMs: 60_000, what: `every stream has ${count} records` },
    );
  const calm = await start();
  await running(calm, 30);
  for (const stream of calm) {
    const report = await stream.stop();
    t.deepEqual([report.lost, report.duplicates, report.error], [[], 0, undefined], JSON.stringify(report));
  }
  const cut = await start();
  await running(cut, 10);
  await net.link('lan').cut('b');
  const [udp] = cut;
  const fresh = cut[4];
  const last = async () => (await fresh.report()).phases.at(-1)?.outcome;
  await until(async () => (await udp.report()).longestGapMs > 500 && (await last()) === 'timeout', {
    signal,
    timeoutMs: 60_000,
    what: 'silence',
  });
  await net.link('lan').heal('b');
  const before = (await udp.report()).received;
  await until(async () => (await udp.report()).received > before + 5 && (await last()) === 'open', {
    signal,
    timeoutMs: 60_000,
    what: 'echoes',
  });
  const [udpReport, tcpReport, , , freshReport] = await Promise.all(cut.map((stream) => stream.stop()));
  t.true((udpReport?.lost.length ?? 0) > 10, 'datagrams of the cut are lost');
  // A loaded machine makes small gaps of its own.
  t.true(Math.max(0, ...(udpReport?.gaps ?? []).map((gap) => gap.ms)) >= 500);
  t.deepEqual(tcpReport?.lost, [], 'TCP sends again');
  t.true((tcpReport?.longestGapMs ?? 0) >= 400);
  // One of the calm times may be late, too, on a machine that has much to do.
  const outcomes = freshReport?.phases.map(({ outcome }) => outcome) ?? [];
  t.deepEqual([outcomes[0], ...new Set(outcomes), outcomes.at(-1)], ['open', 'open', 'timeout', 'open']);
});

test('link – carrier, loss of a share', async (t) => {
  await using net = await build();
  const { a, b, router } = net.hosts;
  await b.serveUdp(80);
  t.is(await a.probeUdp(b.ipv4, 80), 'open'); // the neighbours know each other, whatever is lost from now on
  await net.link('lan').lose(0.5, 'b');
  const attempts = Array.from({ length: 200 }, () => ({
    proto: 'udp' as const,
    to: b.ipv4,
    port: 80,
    timeoutMs: 2000,
  }));
  const open = (await a.attempts(attempts)).filter(({ outcome }) => outcome === 'open').length;
  t.true(open > 10 && open < 120, `a quarter of 200 come through: ${open}`);
  await net.link('lan').heal('b');
  await net.link('lan').slow(8, 'b');
  const slow = await a.attempts(
    Array.from({ length: 4 }, () => ({
      proto: 'udp' as const,
      to: b.ipv4,
      port: 80,
      payload: 'x'.repeat(600),
      timeoutMs: 60_000,
    })),
  );
  t.true(
    slow.some(({ outcome, ms }) => outcome === 'open' && ms > 300),
    'what does not fit the bucket waits',
  );
  await net.link('a-router').carrier(false);
  const state = async () =>
    (await a.ipJson<{ ifname: string; operstate: string }>('link')).find(({ ifname }) => ifname === 'eth0')
      ?.operstate;
  await until(async () => (await state()) === 'DOWN', { signal, timeoutMs: 60_000, what: 'no carrier' });
  await net.link('a-router').carrier(true);
  await until(async () => (await state()) === 'UP', { signal, timeoutMs: 60_000, what: 'carrier' });
  t.is(await router.probeUdp(router.ipv4, 9), 'refused');
});

test('topology – disposing leaves nothing, running programs included', async (t) => {
  const net = await build();
  const { router } = net.hosts;
  await mustRun(['mkdir', '-p', `${router.dirs?.bpfRoot}/maps`]);
  const sleeper = router.spawn('sleep', ['1000'], { stdio: 'ignore' });
  const end = once(sleeper, 'exit');
  await net.hosts.a.serveTcp(80);
  t.true((await leftovers(net.prefix)).length > 5);
  await net[Symbol.asyncDispose]();
  await end;
  t.deepEqual(await leftovers(net.prefix), []);
});

test('sweepLab – takes what a killed owner left, and nothing of the living', async (t) => {
  await using mine = await build();
  const program = `
    import { topology } from '#lab';
    const net = await topology({ name: 'orphan', hosts: { n: { isNode: true } } });
    net.hosts.n.spawn('sleep', ['1000'], { stdio: 'ignore', detached: true }).unref();
    console.log(net.prefix);
    await new Promise((resolve) => setTimeout(resolve, 100_000));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [prefix] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  t.true((await leftovers(prefix)).length >= 2);
  const swept = await sweepLab();
  t.false(
    swept.some((one) => one.prefix === prefix),
    'its owner lives',
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  await sweepLab(); // another test's start may have swept it already
  t.deepEqual(await leftovers(prefix), []);
  t.true((await leftovers(mine.prefix)).length > 0);
  t.is(await mine.hosts.a.ping('10.1.0.1'), 'open');
});

test('topology – a description that cannot be is refused before anything is made', async (t) => {
  const wrong = { hosts: ['a'], links: [{ ends: [{ host: 'a' }, { host: 'z' as 'a' }] }] } as const;
  await t.throwsAsync(topology(wrong), { message: /names host z, which is not there/ });
  const before = await readdir('/run/merlon-lab');
  const bad = {
    name: 'bad',
    hosts: ['a', 'b'],
    links: [{ ends: [{ host: 'a', addresses: ['10.0.0.300/24'] }, { host: 'b' }] }],
  } as const;
  await t.throwsAsync(topology(bad), { message: /10\.0\.0\.300/ });
  const after = (await readdir('/run/merlon-lab')).filter(
    (name) => name.startsWith('ml-bad-') && !before.includes(name),
  );
  t.deepEqual(after, []);
});

test('exec – in the namespace, with bpffs and cgroup visible', async (t) => {
  await using net = await build();
  const { router } = net.hosts;
  t.is((await run(['readlink', `/proc/self/ns/net`])).code, 0);
  const inside = await router.mustExec('sh', [
    '-c',
    'readlink /proc/self/ns/net; stat -f -c %T /sys/fs/bpf; cat /proc/self/cgroup',
  ]);
  const [ns, type] = inside.split('\n');
  t.not(ns, (await mustRun(['readlink', '/proc/self/ns/net'])).trim());
  t.is(type, 'bpf_fs');
  if (router.dirs?.cgroupRoot !== undefined) t.regex(inside, new RegExp(`^0::/.*${net.prefix}-router$`, 'm'));
  t.is((await router.exec('false')).code, 1);
});
