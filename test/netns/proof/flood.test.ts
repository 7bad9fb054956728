/**
 * More than a table holds, and more than anybody meant: floods of spoofed packets to open ports, SYN cookies
 * under egress default deny, and ten times the table's size of connections while the agent is dead. The
 * world is that of bed.ts.
 */
import test from 'ava';
import { until } from '#kit/async';
import type { Host } from '#lab';
import { ethernet, frame, ip, tcp, udp } from '../../packet/builder.ts';
import {
  address,
  bed,
  type Bed,
  carried,
  FAMILIES,
  type Family,
  hostPolicy,
  ports,
  testSignal,
} from './bed.ts';
import {
  AF_INET,
  AF_INET6,
  linkOf,
  mapCount,
  sealed,
  snmp,
  SOCK_DGRAM,
  SOCK_STREAM,
  Socket,
  Wire,
} from './raw.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 5 };

/** 80 and 53 are open to everybody; the node may begin nothing. */
const SERVER = hostPolicy('server', {
  ingress: [{ fromEntities: ['all'], toPorts: ports('80/TCP', '53/UDP') }],
  egress: [{}],
});

type Kind = 'syn' | 'ack' | 'udp';

/** Frames that differ in their source alone: `count` addresses and ports that nobody has. */
function* spoofed(wire: Wire, mac: string, family: Family, kind: Kind, count: number) {
  const own = family === 4 ? '10.9.0.0' : '2001:db8:bad::';
  const layers = {
    syn: tcp({ src: 1, dst: 80, flags: 'S', seq: 7 }),
    ack: tcp({ src: 1, dst: 80, flags: 'A', seq: 8, ack: 0x1234_5678 }),
    udp: udp({ src: 1, dst: 53, data: 16 }),
  };
  const bytes = frame(
    ethernet({ src: wire.mac, dst: mac }),
    ip({ src: own, dst: address('node', family) }),
    layers[kind],
  );
  const view = new DataView(bytes.buffer);
  const [end, l4] = family === 4 ? [30, 34] : [38, 54];
  for (let at = 1; at <= count; at++) {
    view.setUint16(end - 2, at);
    view.setUint16(l4, 1024 + (at % 60_000));
    yield sealed(bytes);
  }
}

const TABLES = ['flow_tcp4', 'flow_tcp6', 'flow_any4', 'flow_any6'] as const;
const tables = ({ dirs }: Bed) =>
  Object.fromEntries(TABLES.map((name) => [name, mapCount(dirs.bpfRoot, name)]));

const FLOOD = 20_000;

async function flood(b: Bed, wire: Wire, kinds: readonly Kind[]): Promise<void> {
  const { address: mac } = await linkOf(b.node);
  for (const family of FAMILIES)
    for (const kind of kinds) {
      let sent = 0;
      for (const bytes of spoofed(wire, mac, family, kind, FLOOD)) {
        wire.sendBytes(bytes);
        if (++sent % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
}

test('flood – spoofed SYN, blind ACK and UDP to open ports leave the proven tables empty', async (t) => {
  await using b = await bed({ name: 'flood', manifests: { 'server.yaml': [SERVER] } });
  await Promise.all([b.node.serveTcp(80), b.node.serveUdp(53)]);
  using wire = await Wire.open(b.host('router'));
  t.deepEqual(tables(b), { flow_tcp4: 0, flow_tcp6: 0, flow_any4: 0, flow_any6: 0 });
  const before = await snmp(b.node);
  // Whoever cannot hear the answer guesses what to acknowledge.
  await flood(b, wire, ['syn', 'ack', 'udp']);
  const after = await snmp(b.node);
  const grown = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
  t.true(grown('Tcp.InSegs') >= FLOOD, `the stack took the SYNs: ${grown('Tcp.InSegs')}`);
  t.true(grown('Tcp.OutSegs') >= 1000, `and answered: ${grown('Tcp.OutSegs')}`);
  t.true(grown('Udp.InDatagrams') + grown('Udp.RcvbufErrors') >= FLOOD - 100, 'and the datagrams');
  t.deepEqual(tables(b), { flow_tcp4: 0, flow_tcp6: 0, flow_any4: 0, flow_any6: 0 });
  t.true(mapCount(b.dirs.bpfRoot, 'unproven4') > 1000, 'they stand where the unproven stand');
  t.true(mapCount(b.dirs.bpfRoot, 'unproven6') > 1000);
  // Who answers is taken for what he is.
  for (const family of FAMILIES) {
    const to = address('node', family);
    t.is(await b.peer.probeTcp(to, 80, { payload: 'x' }), 'open');
    const stream = await b.peer.stream({ kind: 'udp', to, port: 53 });
    await carried(stream, 5);
    t.deepEqual((await stream.stop()).lost, []);
  }
  t.deepEqual(tables(b), { flow_tcp4: 1, flow_tcp6: 1, flow_any4: 1, flow_any6: 1 });
});

test('flood – those who are connected notice nothing', async (t) => {
  await using b = await bed({ name: 'floodlive', manifests: { 'server.yaml': [SERVER] } });
  await Promise.all([b.node.serveTcp(80), b.node.serveUdp(53)]);
  using wire = await Wire.open(b.host('router'));
  const streams = await Promise.all(
    FAMILIES.flatMap((family) => {
      const to = address('node', family);
      return [
        b.peer.stream({ kind: 'tcp', to, port: 80, intervalMs: 10 }),
        b.peer.stream({ kind: 'tcp-new', to, port: 81, intervalMs: 50, timeoutMs: 300 }),
      ];
    }),
  );
  const [first] = streams;
  if (first !== undefined) await carried(first, 10);
  await flood(b, wire, ['syn']);
  if (first !== undefined) await carried(first, 10);
  for (const [at, stream] of streams.entries()) {
    const { lost, error, phases, received } = await stream.stop();
    if (at % 2 === 0) t.deepEqual([lost, error, received > 20], [[], undefined, true]);
    else t.deepEqual([...new Set(phases.map(({ outcome }) => outcome))], ['timeout']);
  }
});

test('SYN cookies – who connects is answered under egress default deny', async (t) => {
  await using b = await bed({
    name: 'cookies',
    manifests: { 'server.yaml': [SERVER] },
    node: { sysctls: { 'net/ipv4/tcp_syncookies': '2' } },
  });
  await Promise.all([b.node.serveTcp(80), b.node.serveTcp(81)]);
  const attempts = FAMILIES.flatMap((family) =>
    Array.from({ length: 50 }, () => ({
      proto: 'tcp' as const,
      to: address('node', family),
      port: 80,
      payload: 'hello',
    })),
  );
  const outcomes = (await b.peer.attempts(attempts)).map(({ outcome }) => outcome);
  t.deepEqual([...new Set(outcomes)], ['open']);
  t.true((await cookies(b.node)) >= attempts.length, 'every one by a cookie');
  for (const family of FAMILIES) {
    t.is(await b.peer.probeTcp(address('node', family), 81, { timeoutMs: 300 }), 'timeout');
    t.is(await b.node.probeTcp(address('peer', family), 80, { timeoutMs: 300 }), 'timeout');
  }
  // Flow records close with their connections; none of them may have begun at the node.
  t.deepEqual(await b.flows((f) => f.direction === 'out'), []);
  using wire = await Wire.open(b.host('router'));
  const proven = mapCount(b.dirs.bpfRoot, 'flow_tcp4') + mapCount(b.dirs.bpfRoot, 'flow_tcp6');
  await flood(b, wire, ['syn']);
  // Those that closed may have gone meanwhile.
  t.true(mapCount(b.dirs.bpfRoot, 'flow_tcp4') + mapCount(b.dirs.bpfRoot, 'flow_tcp6') <= proven);
});

/** Connections that a cookie brought about. */
async function cookies(host: Host): Promise<number> {
  const [names = '', values = ''] = (await host.mustExec('cat', ['/proc/net/netstat'])).split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('SyncookiesRecv')]);
}

const SIZE = 4096;
const MANY = 10 * SIZE;
const SMALL = { 'hostfw.ct.maxTCP': SIZE, 'hostfw.ct.maxOther': SIZE };

/** Opens connections and lets each answer once; every hundredth stays open and is returned. */
async function connectMany(host: Host, to: string, port: number, count: number): Promise<readonly Socket[]> {
  const kept: Socket[] = [];
  const word = Uint8Array.of(1, 2, 3);
  for (let at = 0; at < count; at += 256) {
    const batch = Array.from({ length: Math.min(256, count - at) }, (_, i) =>
      new Socket(host, to.includes(':') ? AF_INET6 : AF_INET, SOCK_STREAM)
        .bind(to.includes(':') ? '::' : '0.0.0.0', 20_000 + at + i)
        .resetOnClose()
        .connect(to, port),
    );
    const waiting = new Set(batch);
    const all = (done: (s: Socket) => boolean) => () => {
      for (const socket of waiting) if (done(socket)) waiting.delete(socket);
      return waiting.size === 0 || undefined;
    };
    await until(
      all((s) => s.isEstablished),
      { ...limits, what: `connections from ${20_000 + at} on` },
    );
    for (const socket of batch) {
      waiting.add(socket);
      socket.send(word);
    }
    await until(
      all((s) => s.receive() !== undefined),
      { ...limits, what: `answers from ${20_000 + at} on` },
    );
    for (const [i, socket] of batch.entries()) {
      if ((at + i) % 100 === 0) kept.push(socket);
      else socket[Symbol.dispose]();
    }
  }
  return kept;
}

/** Sends a datagram, unless the socket has to tell of an ICMP error first: it tells of each by failing once. */
function isSent(socket: Socket, to: string, port: number): boolean {
  try {
    socket.send(Uint8Array.of(1), [to, port]);
    return true;
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw e;
    return false;
  }
}

for (const family of FAMILIES) {
  test(`full tables – the agent dead, ten times their size of TCP connections, none refused, IPv${family}`, async (t) => {
    await using b = await bed({
      name: `fulltcp${family}`,
      config: SMALL,
      manifests: { 'server.yaml': [SERVER] },
    });
    await Promise.all([b.node.serveTcp(80), b.node.serveTcp(81)]);
    const to = address('node', family);
    const early = await b.host('router').stream({ kind: 'tcp', to, port: 80 });
    await carried(early, 5);
    await b.agent.kill('SIGKILL');
    const kept = await connectMany(b.peer, to, 80, MANY);
    t.is(mapCount(b.dirs.bpfRoot, `flow_tcp${family}`), SIZE, 'the table is full');
    t.true(mapCount(b.dirs.bpfRoot, `overflow${family}`) > SIZE / 2, 'and has overflowed');
    for (const socket of kept) socket.send(Uint8Array.of(9));
    const answers = await Promise.all(kept.map((socket) => socket.next()));
    t.is(answers.filter((a) => a?.[0] !== 9).length, 0, 'those that stayed open are still answered');
    for (const socket of kept) socket[Symbol.dispose]();
    const { lost, error } = await early.stop();
    t.deepEqual([lost, error], [[], undefined], 'the one from before, too');
    t.is(await b.peer.probeTcp(to, 81, { timeoutMs: 300 }), 'timeout', 'what was refused is refused');
  });

  test(`full tables – the agent dead, ten times their size of datagrams out, none refused, IPv${family}`, async (t) => {
    const talker = hostPolicy('talker', {
      ingress: [{}],
      egress: [{ toEntities: ['all'], toPorts: ports('1024-65535/UDP') }],
    });
    await using b = await bed({
      name: `fulludp${family}`,
      config: SMALL,
      manifests: { 'talker.yaml': [talker] },
    });
    const to = address('peer', family);
    await b.peer.serveUdp(60_000);
    await b.agent.kill('SIGKILL');
    using socket = new Socket(b.node, family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM);
    socket.bind(address('node', family), 5000);
    const name = family === 4 ? 'Udp.NoPorts' : 'Udp6NoPorts';
    const before = (await snmp(b.peer))[name] ?? 0;
    for (let port = 1024; port < 1024 + MANY; port++) {
      while (!isSent(socket, to, port));
    }
    t.is(((await snmp(b.peer))[name] ?? 0) - before, MANY, 'every one has arrived');
    t.is(mapCount(b.dirs.bpfRoot, `flow_any${family}`), SIZE);
    // The newest stands in the overflow table, and is answered: no rule lets the answer in by itself.
    t.is(await b.node.probeUdp(to, 60_000), 'open');
    t.is(await b.node.probeUdp(to, 1000, { timeoutMs: 300 }), 'timeout', 'what was refused is refused');
  });
}
