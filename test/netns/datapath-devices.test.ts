/**
 * Where the datapath's programs hang: clsact where there is no tcx, XDP on a veth, both hooks of pod devices.
 *
 *   node ── eth0 ── peer          a ── eth0 ── node ── eth1 ── b
 */
import { existsSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { uninstall } from '#datapath';
import { type Host, topology } from '#lab';
import { bed, enforce, judgesAsToldBy, NODE, opened, PROCESS } from './datapath-bed.ts';

interface Attached {
  readonly hook: string;
  readonly programId: number;
}

const filters = async (host: Host, side: string) =>
  (await host.mustExec('tc', ['filter', 'show', 'dev', 'eth0', side])).match(/handle 0x6d6c host_\w+/g) ?? [];

/** Filters are found by interface number, so they are removed from inside the namespace. */
async function uninstalledFilters({ node, bpfRoot }: { node: Host; bpfRoot: string }): Promise<number> {
  const args = ['--disable-warning=ExperimentalWarning', PROCESS, '--uninstall', bpfRoot];
  return Number(await node.mustExec(process.execPath, args));
}

test('datapath – by clsact: judges, outlives its process, is replaced in place, goes without a trace', async (t) => {
  await using b = await bed();
  const options = { open: { attach: 'clsact' } };
  const first = await opened(b.node, options);
  await enforce(first, b.ifindex);
  const hooks = await first.call<Attached[]>('hooks', b.ifindex);
  t.deepEqual(
    hooks.map((h) => h.hook),
    ['clsact ingress', 'clsact egress'],
  );
  await judgesAsToldBy(t, b);
  await first.kill();
  await judgesAsToldBy(t, b);
  const second = await opened(b.node, options);
  await enforce(second, b.ifindex);
  const newer = await second.call<Attached[]>('hooks', b.ifindex);
  t.true(newer.every((h, i) => h.programId !== hooks[i]?.programId));
  t.deepEqual(await filters(b.node, 'ingress'), ['handle 0x6d6c host_ingress'], 'one filter, not two');
  t.deepEqual(await filters(b.node, 'egress'), ['handle 0x6d6c host_egress']);
  await judgesAsToldBy(t, b);
  await second.kill();
  t.is(await uninstalledFilters(b), 2);
  t.false(existsSync(b.bpfRoot));
  t.deepEqual(await filters(b.node, 'ingress'), []);
  t.is(await b.peer.probeTcp(NODE[4], 8081), 'open');
});

test('datapath – native XDP on a veth refuses a SYN before tcx sees it, and goes with the rest', async (t) => {
  await using b = await bed();
  const datapath = await opened(b.node, { open: { xdpMode: 'native' } });
  await enforce(datapath, b.ifindex);
  const hooks = await datapath.call<Attached[]>('hooks', b.ifindex);
  t.deepEqual(
    hooks.map((h) => h.hook),
    ['tcx ingress', 'tcx egress', 'xdp'],
  );
  const denied = async () => {
    const { stats } = await datapath.call<{ stats: { SYN_PRE_DENY: number } }>('counters');
    return stats.SYN_PRE_DENY;
  };
  const before = await denied();
  await judgesAsToldBy(t, b);
  t.true((await denied()) > before);
  await datapath.kill();
  await judgesAsToldBy(t, b);
  t.is(uninstall({ bpfRoot: b.bpfRoot }).links, 3);
  t.is(await b.peer.probeTcp(NODE[4], 8081), 'open');
});

const A = { 4: '10.1.0.2', 6: 'fd01::2' } as const;
const B = { 4: '10.2.0.2', 6: 'fd02::2' } as const;
const GATE = { A: { 4: '10.1.0.1', 6: 'fd01::1' }, B: { 4: '10.2.0.1', 6: 'fd02::1' } } as const;

async function pods() {
  const end = (host: 'a' | 'b', pod: typeof A | typeof B, gate: { 4: string; 6: string }) => ({
    ends: [
      { host: 'node', addresses: [`${gate[4]}/24`, `${gate[6]}/64`] },
      { host, addresses: [`${pod[4]}/24`, `${pod[6]}/64`], gateways: [gate[4], gate[6]] },
    ] as const,
  });
  return topology({
    name: 'pods',
    hosts: { node: { isNode: true, forward: true }, a: {}, b: {} },
    links: [end('a', A, GATE.A), end('b', B, GATE.B)],
  });
}

async function outcomes(t: ExecutionContext, from: Host, to: readonly string[], want: readonly string[]) {
  const attempts = to.flatMap((ip) => [8080, 8081].map((port) => ({ proto: 'tcp' as const, to: ip, port })));
  const patience = attempts.map((one, at) => (want[at] === 'timeout' ? { ...one, timeoutMs: 400 } : one));
  const found = (await from.attempts(patience)).map((r) => r.outcome);
  t.deepEqual(found, [...want], `${from.name} to ${to.join(', ')}`);
}

test('datapath – pods: both hooks judge pod to pod, pod to host and host to pod, and false sources go nowhere', async (t) => {
  await using net = await pods();
  const { node, a, b } = net.hosts;
  for (const host of [node, a, b]) for (const port of [8080, 8081]) await host.serveTcp(port);
  const links = await node.ipJson<{ ifname: string; ifindex: number; address: string }>('link', 'show');
  const deviceOf = (name: string) => links.find((l) => l.ifname === name)?.ifindex ?? 0;
  const datapath = await opened(node);
  const local = [GATE.A, GATE.B].flatMap((g, i) =>
    [g[4], g[6]].map((address) => ({ address, ifindex: deviceOf(`eth${i}`) })),
  );
  await datapath.call('addresses', local);
  await datapath.call('ipcache', [
    ...local.map(({ address }) => [address.includes(':') ? `${address}/128` : `${address}/32`, 1]),
    ...[`${A[4]}/32`, `${A[6]}/128`].map((prefix) => [prefix, 8, true]),
    ...[`${B[4]}/32`, `${B[6]}/128`].map((prefix) => [prefix, 12, true]),
  ]);
  const endpoint = (id: number, identity: number, device: string, addresses: readonly string[]) => ({
    id,
    identity,
    ifindex: deviceOf(device),
    addresses,
    mac: '02:00:00:00:00:01',
  });
  await datapath.call('endpoints', [
    endpoint(1, 8, 'eth0', [A[4], A[6]]),
    endpoint(2, 12, 'eth1', [B[4], B[6]]),
  ]);
  // Labels are identities modulo five: the node is 1, pod a 3, pod b 2.
  await datapath.call('apply', {
    identities: [1, 2, 8, 9, 10, 12],
    rules: [
      [{ labels: [2, 3], ports: [8080, 8080], verdict: 'allow' }],
      [{ labels: [1, 2, 3], ports: [8080, 8080], verdict: 'allow' }],
    ],
    endpoints: [
      [1, 1],
      [2, 1],
    ],
  });
  await datapath.call('pod', [deviceOf('eth0'), 1]);
  await datapath.call('pod', [deviceOf('eth1'), 2]);
  const hooks = await datapath.call<{ hook: string; program: string }[]>('hooks', deviceOf('eth0'));
  t.deepEqual(
    hooks.map(({ hook, program }) => `${hook} ${program}`),
    ['tcx ingress pod_egress', 'tcx egress pod_ingress'],
  );
  const asRuled = ['open', 'timeout', 'open', 'timeout'];
  await outcomes(t, a, [B[4], B[6]], asRuled);
  await outcomes(t, b, [A[4], A[6]], asRuled);
  await outcomes(t, a, [GATE.A[4], GATE.A[6]], asRuled);
  await outcomes(t, node, [A[4], B[6]], asRuled);
  await datapath.kill();
  await outcomes(t, a, [B[4], B[6]], asRuled);
  // Pod a takes an address that is not its own: nothing it sends from there arrives.
  await a.mustExec('ip', ['addr', 'flush', 'dev', 'eth0', 'scope', 'global']);
  await a.mustExec('ip', ['addr', 'add', '10.1.0.77/24', 'dev', 'eth0']);
  await a.mustExec('ip', ['route', 'replace', 'default', 'via', GATE.A[4]]);
  await outcomes(t, a, [B[4]], ['timeout', 'timeout']);
  const { bpfRoot = '' } = node.dirs ?? {};
  t.is(uninstall({ bpfRoot }).links, 4);
});
