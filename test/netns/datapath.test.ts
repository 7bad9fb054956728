/**
 * The datapath's control on a real kernel: what it enforces, that it outlives its process, how it is taken
 * over and how it goes.
 *
 *   node ── eth0 ── peer
 */
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import test from 'ava';
import { uninstall } from '#datapath';
import { until } from '#kit/async';
import type { Host } from '#lab';
import { closeFd, mapLookup, mapUpdate, objGet } from '#native';
import { DROP_REASON, INSTANCE, INSTANCE_SIZE, MERLON_SCHEMA } from '#wire/bpf';

import {
  bed,
  enforce,
  judgesAsToldBy,
  NODE,
  opened,
  PEER,
  PROCESS,
  Process,
  programsOn,
  start,
  WORLD,
} from './datapath-bed.ts';

const signal = AbortSignal.timeout(900_000);

test('datapath – judges, outlives SIGKILL, is taken over without a switch, goes without a trace', async (t) => {
  await using b = await bed();
  const first = await opened(b.node);
  await enforce(first, b.ifindex);
  await judgesAsToldBy(t, b);
  const reasons = await until(
    async () => {
      const seen = await first.call<number[]>('reasons');
      return seen.includes(DROP_REASON.POLICY_DENIED) && seen;
    },
    { signal, timeoutMs: 60_000, what: 'events' },
  );
  t.true(reasons.length > 0);
  const flows =
    await first.call<{ initiator: { ip: string; identity: number }; direction: string }[]>('flows');
  t.true(flows.some((f) => f.initiator.ip === PEER[4] && f.initiator.identity === 4 && f.direction === 'in'));
  const before = await first.call<{ generations: unknown; instance: string }>('status');
  const hooks = await first.call<{ hook: string; linkId: number; programId: number }[]>('hooks', b.ifindex);
  t.deepEqual(
    hooks.map((h) => h.hook),
    ['tcx ingress', 'tcx egress'],
  );

  const stages = () => readdirSync(`${b.bpfRoot}/stages`);
  const [old] = stages();

  await first.kill();
  await judgesAsToldBy(t, b);

  const second = await opened(b.node);
  t.is(stages().length, 2, 'the programs of before keep the stages that they go on to');
  await judgesAsToldBy(t, b);
  const after = await second.call<{ generations: unknown[]; instance: string }>('status');
  t.is(after.instance, before.instance);
  const applied = await second.call<{ switched: string[]; kept: number }>('apply', WORLD);
  t.deepEqual([applied.switched, applied.kept], [[], 1]);
  await second.call('device', b.ifindex);
  const newer = await second.call<{ linkId: number; programId: number }[]>('hooks', b.ifindex);
  t.deepEqual(
    newer.map((h) => h.linkId),
    hooks.map((h) => h.linkId),
    'the links are the same',
  );
  t.true(
    newer.every((h, i) => h.programId !== hooks[i]?.programId),
    'with new programs in them',
  );
  await until(async () => stages().length === 1, { signal, timeoutMs: 60_000, what: 'old stages to go' });
  t.false(stages().includes(old ?? ''), 'then the old stages go');
  await judgesAsToldBy(t, b);

  t.throws(() => uninstall({ bpfRoot: b.bpfRoot }), { message: /another agent is at work/ });
  second.child.stdin?.end();
  await once(second.child, 'exit');
  await judgesAsToldBy(t, b);

  const { links } = uninstall({ bpfRoot: b.bpfRoot });
  t.is(links, 2);
  t.false(existsSync(b.bpfRoot));
  t.deepEqual(await programsOn(b), []);
  t.is(await b.peer.probeTcp(NODE[4], 8081), 'open');
  t.deepEqual(uninstall({ bpfRoot: b.bpfRoot }), { links: 0, filters: 0, pins: 0 }, 'twice is harmless');
});

test('datapath – programs for devices without Ethernet header are loaded when there is one', async (t) => {
  await using b = await bed();
  const datapath = await opened(b.node);
  await enforce(datapath, b.ifindex);
  const loaded = async () => {
    const { programs } = await datapath.call<{ programs: { name: string }[] }>('status');
    return programs.map(({ name }) => name).filter((name) => name.startsWith('host_'));
  };
  t.deepEqual(await loaded(), ['host_ingress', 'host_egress']);
  await b.node.mustExec('ip', ['tuntap', 'add', 'mode', 'tun', 'name', 'bare']);
  const [link] = await b.node.ipJson<{ ifindex: number }>('link', 'show', 'dev', 'bare');
  await datapath.call('layer3', link?.ifindex);
  t.deepEqual(
    (await datapath.call<{ program: string }[]>('hooks', link?.ifindex)).map(({ program }) => program),
    ['host_ingress_l3', 'host_egress_l3'],
  );
  t.deepEqual(await loaded(), ['host_ingress', 'host_egress', 'host_ingress_l3', 'host_egress_l3']);
  await judgesAsToldBy(t, b);
  datapath.child.stdin?.end();
  await once(datapath.child, 'exit');
  uninstall({ bpfRoot: b.bpfRoot });
});

test('datapath – a second agent, and one of another namespace, are refused with a sentence', async (t) => {
  await using b = await bed();
  const first = await opened(b.node);
  const second = await (await start(b.node)).reply();
  t.is(second.error, 'INSTANCE_LOCKED');
  first.child.stdin?.end();
  await once(first.child, 'exit');
  const { stateDir } = b.node.dirs as NonNullable<Host['dirs']>;
  const child = b.peer.spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', PROCESS, b.bpfRoot, stateDir],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  t.is((await new Process(child).reply()).error, 'INSTANCE_OTHER_NETNS');
  uninstall({ bpfRoot: b.bpfRoot });
});

test('datapath – a copy of ours that no pin holds is detached, other programs stay', async (t) => {
  await using b = await bed();
  const first = await opened(b.node);
  await enforce(first, b.ifindex);
  await first.kill();
  // Without its pin the link dies with its last descriptor, so the pin is moved away, not removed.
  const [pin] = readdirSync(`${b.bpfRoot}/links`).filter((name) => name.startsWith('ingress'));
  mkdirSync(`${b.bpfRoot}/progs`, { recursive: true });
  renameSync(`${b.bpfRoot}/links/${pin}`, `${b.bpfRoot}/progs/stray`);
  const second = await opened(b.node);
  await enforce(second, b.ifindex);
  t.deepEqual(await programsOn(b), ['host_ingress', 'host_egress']);
  await judgesAsToldBy(t, b);
  await second.kill();
  uninstall({ bpfRoot: b.bpfRoot });
});

test('datapath – identities and classes change beside traffic, and no packet is judged wrongly', async (t) => {
  await using b = await bed();
  const datapath = await opened(b.node);
  await enforce(datapath, b.ifindex);
  const streams = await Promise.all([
    b.peer.stream({ kind: 'tcp', to: NODE[4], port: 8080, intervalMs: 1 }),
    b.peer.stream({ kind: 'tcp', to: NODE[6], port: 8080, intervalMs: 1 }),
    b.peer.stream({ kind: 'tcp-new', to: NODE[4], port: 8080, intervalMs: 5 }),
    b.peer.stream({ kind: 'tcp-new', to: NODE[4], port: 8081, intervalMs: 5, timeoutMs: 300 }),
  ]);
  await datapath.call('churn', [WORLD, 250, 40]);
  const reports = await Promise.all(streams.map((s) => s.stop()));
  for (const { lost, error, received } of reports.slice(0, 2)) {
    t.deepEqual([lost, error], [[], undefined]);
    t.true(received > 100);
  }
  const outcomes = reports.slice(2).map((r) => [...new Set(r.phases.map((p) => p.outcome))]);
  t.deepEqual(outcomes, [['open'], ['timeout']]);
  const { problems } = await datapath.call<{ problems: string[] }>('status');
  t.deepEqual(problems, []);
  await datapath.kill();
  uninstall({ bpfRoot: b.bpfRoot });
});

test('datapath – failsafe passes above policy and follows its list', async (t) => {
  await using b = await bed();
  const datapath = await opened(b.node);
  const entry = { entry: 1, direction: 'in', protocol: 6, port: 8081, endPort: 8081, device: '', why: '' };
  await datapath.call('failsafe', [{ ...entry, cidrs: ['192.0.2.0/24'] }]);
  await enforce(datapath, b.ifindex);
  const comesTo = async (...want: readonly ('open' | 'timeout')[]) => {
    for (const [at, to] of [NODE[4], NODE[6]].entries()) {
      const patience = want[at] === 'open' ? {} : { timeoutMs: 400 };
      t.is(await b.peer.probeTcp(to, 8081, patience), want[at] ?? 'open', to);
    }
  };
  await comesTo('open', 'timeout');
  await datapath.call('failsafe', [{ ...entry, cidrs: ['2001:db8::/64'] }]);
  await comesTo('timeout', 'open');
  await datapath.call('failsafe', []);
  await comesTo('timeout', 'timeout');
  await datapath.kill();
  uninstall({ bpfRoot: b.bpfRoot });
});

/** Renames the pins of maps as if another release had made them. */
function ageMaps(bpfRoot: string, which: (name: string) => boolean) {
  for (const pin of readdirSync(`${bpfRoot}/maps`)) {
    const [name = ''] = pin.split('@');
    if (which(name)) renameSync(`${bpfRoot}/maps/${pin}`, `${bpfRoot}/maps/${name}@00000000`);
  }
}

test('datapath – maps of another layout enforce until a policy stands in new ones, then go', async (t) => {
  await using b = await bed();
  const first = await opened(b.node);
  await enforce(first, b.ifindex);
  const before = await first.call<{ instance: string; generations: { generation: number }[] }>('status');
  await first.kill();
  ageMaps(b.bpfRoot, (name) => !name.startsWith('ring') && name !== 'events');

  const second = await opened(b.node);
  const early = await t.throwsAsync(second.call('device', b.ifindex));
  t.regex(early?.message ?? '', /^INSTANCE_UPGRADE: device .* keeps the programs of another release/);
  await t.throwsAsync(second.call('deleteDevice', b.ifindex), { message: /^INSTANCE_UPGRADE/ });
  t.is(await second.call('pruneDevices', []), 0);
  await judgesAsToldBy(t, b);
  const during = await second.call<{ instance: string; troubles: string[] }>('status');
  t.is(during.instance, before.instance, 'the instance goes on');
  t.true(during.troubles.some((line) => line.includes('another release')));
  await enforce(second, b.ifindex);
  await judgesAsToldBy(t, b);
  const after = await second.call<{ troubles: string[]; generations: { generation: number }[] }>('status');
  t.deepEqual(after.troubles, []);
  t.true((after.generations[0]?.generation ?? 0) > (before.generations[0]?.generation ?? 0));
  t.deepEqual(
    readdirSync(`${b.bpfRoot}/maps`).filter((pin) => pin.endsWith('@00000000')),
    [],
  );
  t.deepEqual(await programsOn(b), ['host_ingress', 'host_egress']);
  await second.kill();
  uninstall({ bpfRoot: b.bpfRoot });
});

test('datapath – pins of a newer schema are refused and go on enforcing', async (t) => {
  await using b = await bed();
  const first = await opened(b.node);
  await enforce(first, b.ifindex);
  await first.kill();
  const [pin] = readdirSync(`${b.bpfRoot}/maps`).filter((name) => name.startsWith('instance@'));
  const fd = objGet(`${b.bpfRoot}/maps/${pin}`);
  const instance = new DataView(new ArrayBuffer(INSTANCE_SIZE));
  mapLookup(fd, new Uint32Array(1), instance);
  instance.setUint32(INSTANCE.schema, MERLON_SCHEMA + 1, true);
  mapUpdate(fd, new Uint32Array(1), instance);
  closeFd(fd);
  const pins = readdirSync(`${b.bpfRoot}/maps`);
  const second = await (await start(b.node)).reply();
  t.is(second.error, 'INSTANCE_SCHEMA');
  t.regex(second.message ?? '', /a newer release pinned maps of schema 2, .*they go on enforcing$/);
  t.deepEqual(readdirSync(`${b.bpfRoot}/maps`), pins, 'nothing was made');
  await judgesAsToldBy(t, b);
  t.is(uninstall({ bpfRoot: b.bpfRoot }).links, 2, 'they can still be taken off');
});

test('datapath – a size that was changed counts as soon as nothing is enforced, else status says so', async (t) => {
  await using b = await bed();
  const sizeOf = async (p: Process) => {
    const status = await p.call<{ maps: { name: string; maxEntries: number }[]; troubles: string[] }>(
      'status',
    );
    const { maps, troubles } = status;
    return { entries: maps.find((m) => m.name === 'flow_tcp4')?.maxEntries, troubles };
  };
  const first = await opened(b.node);
  t.deepEqual(await sizeOf(first), { entries: 4096, troubles: [] });
  await first.kill();
  const second = await opened(b.node, { sizes: { flow_tcp4: 8192, arena: 32768 } });
  t.deepEqual(await sizeOf(second), { entries: 8192, troubles: [] });
  await enforce(second, b.ifindex);
  await second.kill();
  const third = await opened(b.node, { sizes: { flow_tcp4: 16384, arena: 32768 } });
  const { entries, troubles } = await sizeOf(third);
  t.is(entries, 8192);
  t.deepEqual(troubles, [
    'map flow_tcp4 keeps its size, not the 16384 entries now asked for, since it enforces; after `merlon uninstall` the next start has the new size',
  ]);
  await judgesAsToldBy(t, b);
  await third.kill();
  uninstall({ bpfRoot: b.bpfRoot });
});

const TAMPERINGS: readonly (readonly [what: string, found: RegExp])[] = [
  ['a cell', /^slot \d of the host$/],
  ['a row', /^slot \d of the host$/],
  ['a header', /^slot \d of the host$/],
  ['the word', /^the word that chooses the slot of the host$/],
  ['a class', /^\d+ entries of the class tables$/],
  ['a port class', /^\d+ entries of the class tables$/],
  ['a column', /^slot \d of the host$/],
  ['a page of classes', /^2 entries of the class tables$/],
  ['the class of a stranger', /^1 entries of the class tables$/],
  ['a record of a device', /^2 records of devices$/],
  ['an endpoint', /^1 endpoints$/],
  ['an endpoint’s prefix', /^1 endpoints$/],
  ['the node’s address', /^2 addresses of the node$/],
  ['the pins of maps', /^4 pins of maps$/],
  ['the mode', /^the mode of the host$/],
  ['an address', /^1 entries of the ipcache$/],
  ['a stranger', /^2 entries of the ipcache$/],
];

const REPAIRED = 'the kernel held something else than was written, and was repaired';

test('datapath – what somebody else writes into its maps is found, told and repaired', async (t) => {
  await using b = await bed();
  const datapath = await opened(b.node);
  await enforce(datapath, b.ifindex);
  const pod = {
    id: 1,
    identity: 8,
    ifindex: 9999,
    addresses: ['10.0.0.2', '10.0.0.3'],
    mac: '02:00:00:00:00:01',
  };
  await datapath.call('endpoints', [pod]);
  await datapath.call('settled');
  t.deepEqual(await datapath.call('verify'), []);
  const current = async () => (await datapath.call<{ current: string[] }>('status')).current;
  for (const [what, found] of TAMPERINGS) {
    await datapath.call('tamper', what);
    const sentences = await datapath.call<string[]>('verify');
    t.is(sentences.length, 1, `${what}: ${sentences.join('; ')}`);
    t.regex(sentences[0] ?? '', found, what);
    await datapath.call('settled');
    t.deepEqual(await current(), [`${REPAIRED}: ${sentences[0]}`]);
    t.deepEqual(await datapath.call('verify'), [], `${what} is repaired`);
    t.deepEqual(await current(), [], 'and told until a look finds nothing');
  }
  await judgesAsToldBy(t, b);
  const row = {
    entry: 1,
    direction: 'in',
    protocol: 6,
    port: 22,
    endPort: 22,
    cidrs: ['10.0.0.0/8'],
    device: '',
  };
  await datapath.call('failsafe', [row]);
  await datapath.call('tamper', 'a failsafe port');
  await datapath.call('failsafe', [row]);
  const { problems } = await datapath.call<{ problems: string[] }>('status');
  t.is(problems.length, TAMPERINGS.length + 1);
  t.regex(problems.at(-1) ?? '', /repaired: failsafe entries/);
  t.deepEqual(await current(), [`${REPAIRED}: failsafe entries`]);
  await datapath.call('failsafe', [row]);
  t.deepEqual(await current(), []);
  await judgesAsToldBy(t, b);
  await datapath.kill();
  uninstall({ bpfRoot: b.bpfRoot });
});
