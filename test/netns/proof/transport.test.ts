/**
 * What transports do that a firewall must not break: large frames, resets and SYNs that mean nothing, ports
 * used again, fragments, and ICMP errors. The world is that of bed.ts; default deny is on throughout.
 */
import test, { type ExecutionContext } from 'ava';
import type { FlowView } from '#api/client';
import { until } from '#kit/async';
import type { Host, LabStream } from '#lab';
import { ethernet, ip, tcp } from '../../packet/builder.ts';
import {
  address,
  bed,
  type Bed,
  carried,
  ECHO,
  FAMILIES,
  type Family,
  hostPolicy,
  podPolicy,
  ports,
  testSignal,
} from './bed.ts';
import {
  AF_INET,
  AF_INET6,
  bulk,
  linkOf,
  PATIENCE_MS,
  setBigTcp,
  SOCK_DGRAM,
  SOCK_RAW,
  SOCK_STREAM,
  Socket,
  Wire,
} from './raw.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 20 };

/** 80 both ways, echo both ways, the rest closed. */
const EIGHTY = hostPolicy('eighty', {
  ingress: [
    { fromEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') },
    { fromEntities: ['all'], icmps: ECHO },
  ],
  egress: [
    { toEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') },
    { toEntities: ['all'], icmps: ECHO },
  ],
});

let nextId = 1000;

/** An echo request of `size` bytes; whether all of them came back. */
async function pings(
  host: Host,
  to: string,
  size: number,
  { id = nextId++, patienceMs = PATIENCE_MS } = {},
): Promise<boolean> {
  const isV6 = to.includes(':');
  using socket = new Socket(host, isV6 ? AF_INET6 : AF_INET, SOCK_RAW, isV6 ? 58 : 1);
  const request = Uint8Array.from({ length: size }, (_, at) => at & 0xff);
  request.set([isV6 ? 128 : 8, 0, 0, 0, id >> 8, id & 0xff, 0, 1]);
  if (!isV6) {
    let sum = 0;
    for (let at = 0; at < size; at += 2) sum += ((request[at] ?? 0) << 8) | (request[at + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    request.set([(~sum >> 8) & 0xff, ~sum & 0xff], 2);
  }
  socket.send(request, [to, 0]);
  const [type, at] = isV6 ? [129, 0] : [0, 20];
  const reply = await socket.next(patienceMs, (m) => m[at] === type && m[at + 5] === (id & 0xff));
  return reply?.length === size + (isV6 ? 0 : 20);
}

test('MTU 9000 – XDP and policy see frames in parts, and bulk passes', async (t) => {
  await using b = await bed({
    name: 'mtu',
    mtu: 9000,
    config: { xdp: { mode: 'native' } },
    manifests: { 'eighty.yaml': [EIGHTY] },
  });
  await Promise.all(
    [b.node, b.peer].flatMap((host) => [host.serveTcp(80), host.serveUdp(80), host.serveTcp(81)]),
  );
  const eth0 = (await b.status()).devices.find(({ name }) => name === 'eth0');
  t.true(
    eth0?.hooks.some(({ hook }) => hook.includes('xdp')),
    JSON.stringify(eth0?.hooks),
  );
  for (const family of FAMILIES) {
    const [node, peer] = [address('node', family), address('peer', family)];
    await bulk(b.peer, node, 80, 8 << 20);
    await bulk(b.node, peer, 80, 8 << 20);
    t.is(await b.peer.probeUdp(node, 80, { payload: 'x'.repeat(8900) }), 'open', `IPv${family}: one frame`);
    t.true(await pings(b.peer, node, 8900), `IPv${family}: one frame of ICMP`);
    t.is(await b.peer.probeTcp(node, 81, { timeoutMs: 300 }), 'timeout', `IPv${family}: refused early`);
    t.is(await b.node.probeTcp(peer, 81, { timeoutMs: 300 }), 'timeout');
  }
});

test('BIG TCP – segments over 64 KiB pass under policy, both families', async (t) => {
  await using b = await bed({ name: 'bigtcp', pods: ['red'], manifests: { 'eighty.yaml': [EIGHTY] } });
  for (const host of [b.node, b.peer]) await setBigTcp(host, 190_000);
  await Promise.all([b.node.serveTcp(80), b.peer.serveTcp(80)]);
  for (const family of FAMILIES) {
    using wire = await Wire.open(b.node);
    wire.room(256 << 20);
    await bulk(b.peer, address('node', family), 80, 16 << 20);
    await bulk(b.node, address('peer', family), 80, 16 << 20);
    const most = Math.max(...wire.lengths());
    t.true(most > 66_000, `IPv${family}: the largest segment was ${most} bytes`);
  }
  t.is((await b.drops())['INVALID'] ?? 0, 0, JSON.stringify(await b.drops()));
});

/** The record of a stream's connection. */
async function recordOf(b: Bed, stream: LabStream): Promise<FlowView | undefined> {
  const [found] = await b.flows((f) => f.initiator.port === stream.sourcePort && f.protocol === 'TCP');
  return found;
}

interface Forged {
  readonly stream: LabStream;
  readonly family: Family;
  readonly from: 'peer' | 'node';
}

async function forge(
  b: Bed,
  wire: Wire,
  { stream, family, from }: Forged,
  as: 'initiator' | 'responder',
  flags: string,
) {
  const other = from === 'peer' ? 'node' : 'peer';
  const [src, dst] = as === 'initiator' ? ([from, other] as const) : ([other, from] as const);
  const [sport, dport] = as === 'initiator' ? [stream.sourcePort, 80] : [80, stream.sourcePort];
  const { address: mac } = await linkOf(b.host(dst));
  // A sequence number half the space away is in nobody's window.
  wire.send(
    ethernet({ src: wire.mac, dst: mac }),
    ip({ src: address(src, family), dst: address(dst, family) }),
    tcp({ src: sport, dst: dport, flags, seq: (Date.now() + 0x8000_0000) >>> 0 }),
  );
}

test('forged – a reset or a SYN in nobody’s window ends and shortens no connection', async (t) => {
  await using b = await bed({
    name: 'forged',
    config: { 'bpf-ct-timeout-regular-tcp-fin': 1, 'bpf-ct-timeout-regular-tcp-syn': 1 },
    manifests: { 'eighty.yaml': [EIGHTY] },
  });
  await Promise.all([b.node.serveTcp(80), b.peer.serveTcp(80)]);
  using fromPeer = await Wire.open(b.peer);
  using fromNode = await Wire.open(b.node);
  const live = await Promise.all(
    FAMILIES.flatMap((family) =>
      (['peer', 'node'] as const).map(async (from) => {
        const to = address(from === 'peer' ? 'node' : 'peer', family);
        const busy = { stream: await b.host(from).stream({ kind: 'tcp', to, port: 80 }), family, from };
        // This one says nothing until long after the reset: the record has run out by then.
        const idle = {
          stream: await b.host(from).stream({ kind: 'tcp', to, port: 80, intervalMs: 9000 }),
          family,
          from,
        };
        return { busy, idle, from };
      }),
    ),
  );
  for (const { busy, from } of live) {
    await carried(busy.stream, 10);
    const before = await recordOf(b, busy.stream);
    t.is(before?.state, 'established');
    for (let at = 0; at < 20; at++) {
      await forge(b, from === 'peer' ? fromPeer : fromNode, busy, 'initiator', 'S');
      await carried(busy.stream, 1);
    }
    const after = await recordOf(b, busy.stream);
    t.deepEqual([after?.state, after?.flow], ['established', before?.flow]);
    t.true(Date.parse(after?.expires ?? '') > Date.now() + 7_000_000, 'SYNs shorten nothing');
  }
  for (const { busy, idle, from } of live) {
    const [near, far] = from === 'peer' ? [fromPeer, fromNode] : [fromNode, fromPeer];
    for (const one of [busy, idle]) {
      await forge(b, near, one, 'initiator', 'R');
      await forge(b, far, one, 'responder', 'RA');
    }
    await carried(busy.stream, 10);
    t.is((await recordOf(b, busy.stream))?.state, 'established', 'traffic after it revives the record');
  }
  for (const { busy, idle } of live) {
    await carried(idle.stream, 1);
    for (const { stream } of [busy, idle]) {
      const { lost, error, received } = await stream.stop();
      t.deepEqual([lost, error, received > 0], [[], undefined, true]);
    }
  }
});

test('ports – one that is used again at once begins a new connection', async (t) => {
  await using b = await bed({ name: 'reuse', manifests: { 'eighty.yaml': [EIGHTY] } });
  await Promise.all([b.node.serveHttp(80), b.peer.serveHttp(80)]);
  const request = new TextEncoder().encode('GET / HTTP/1.0\r\n\r\n');
  /** The server closes first, or a reset ends it: its port is free at once. */
  const once = async (from: Host, to: string, isReset: boolean): Promise<boolean> => {
    const isV6 = to.includes(':');
    using socket = new Socket(from, isV6 ? AF_INET6 : AF_INET, SOCK_STREAM);
    socket.bind(isV6 ? '::' : '0.0.0.0', 4000).connect(to, 80);
    await until(() => socket.isEstablished || undefined, { ...limits, what: 'a connection' });
    socket.send(request);
    if (isReset) socket.resetOnClose();
    else await socket.next(PATIENCE_MS, (m) => m.length === 0);
    return true;
  };
  for (const family of FAMILIES)
    for (const [from, to] of [
      ['peer', 'node'],
      ['node', 'peer'],
    ] as const)
      for (let round = 0; round < 10; round++) {
        t.true(
          await once(b.host(from), address(to, family), round % 2 === 1),
          `IPv${family} from the ${from}, round ${round}`,
        );
      }
});

test('echo – two that ask each other under one identifier are both answered', async (t) => {
  const out = { egress: [{ toEntities: ['all'], icmps: ECHO }] };
  await using b = await bed({
    name: 'echo',
    manifests: {
      'out.yaml': [hostPolicy('out', { ingress: [{ fromEntities: ['all'], icmps: ECHO }], ...out })],
    },
  });
  for (const family of FAMILIES) {
    t.true(await pings(b.peer, address('node', family), 64, { id: 1 }), `IPv${family}: the peer`);
    t.true(await pings(b.node, address('peer', family), 64, { id: 1 }), `IPv${family}: the node, meanwhile`);
    t.true(await pings(b.peer, address('node', family), 64, { id: 1 }), `IPv${family}: the peer again`);
  }
});

test('fragments – large pings and datagrams pass where small ones do, both ways', async (t) => {
  await using b = await bed({
    name: 'frag',
    pods: ['red'],
    manifests: {
      'eighty.yaml': [
        EIGHTY,
        podPolicy(
          'red',
          { app: 'red' },
          {
            ingress: [{ fromEntities: ['all'], toPorts: ports('80/UDP') }],
            egress: [{ toEntities: ['all'], toPorts: ports('80/UDP') }],
          },
        ),
      ],
    },
  });
  const all = ['node', 'peer', 'red'] as const;
  await Promise.all(all.flatMap((name) => [b.host(name).serveUdp(80), b.host(name).serveUdp(81)]));
  const payload = 'x'.repeat(9000);
  for (const family of FAMILIES)
    for (const [from, to] of [
      ['peer', 'node'],
      ['node', 'peer'],
      ['peer', 'red'],
      ['red', 'peer'],
    ] as const) {
      const what = `IPv${family} from ${from} to ${to}`;
      const [host, where] = [b.host(from), address(to, family)];
      t.is(await host.probeUdp(where, 80, { payload }), 'open', what);
      t.is(await host.probeUdp(where, 81, { payload, timeoutMs: 200 }), 'timeout', `${what}, closed`);
      const isPod = from === 'red' || to === 'red';
      const patience = isPod ? { patienceMs: 500 } : {};
      t.is(await pings(host, where, 20_000, patience), !isPod, `${what}, ping`);
    }
  const { INVALID = 0, INVALID_FRAG = 0 } = await b.drops();
  t.deepEqual([INVALID, INVALID_FRAG], [0, 0]);
});

const IP_MTU_DISCOVER = { 4: [0, 10], 6: [41, 23] } as const;
const DO_NOT_FRAGMENT = 2;

/** Sends large datagrams that must not be cut until the socket has learnt that they are too large. */
async function learnsMtu(host: Host, to: string, family: Family): Promise<true> {
  using socket = new Socket(host, family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM);
  const [level, name] = IP_MTU_DISCOVER[family];
  socket.set(level, name, DO_NOT_FRAGMENT).connect(to, 80);
  // A refusal of the datagrams that fit comes as an error of the socket, too.
  const isTold = () => {
    try {
      socket.send(new Uint8Array(1400));
      return undefined;
    } catch (e) {
      return (e as NodeJS.ErrnoException).code === 'EMSGSIZE' || undefined;
    }
  };
  return await until(isTold, { ...limits, what: 'the path MTU' });
}

async function errorsReach(t: ExecutionContext, b: Bed, from: 'node' | 'red'): Promise<void> {
  const host = b.host(from);
  const gone = { 4: '198.51.100.99', 6: '2001:db8:7::99' } as const;
  await b.host('router').ip(`route add prohibit ${gone[4]}/32`);
  await b.host('router').mustExec('ip', ['-6', 'route', 'add', 'prohibit', `${gone[6]}/128`]);
  for (const family of FAMILIES) {
    const what = `IPv${family} to ${from}`;
    t.is(
      await host.probeUdp(address('peer', family), 80),
      'refused',
      `${what}: port unreachable of the peer`,
    );
    t.is(
      await host.probeUdp(address('far', family), 80),
      'refused',
      `${what}: the same from behind the router`,
    );
    const { outcome, error } = await host.attempt({ proto: 'udp', to: gone[family], port: 80 });
    t.is(outcome, 'unreachable', `${what}: a router in the middle says so (${error})`);
    // The answer may come while connect(2) still holds the socket; the next SYN's answer is heard.
    t.is(await host.probeTcp(gone[family], 80), 'unreachable', `${what}: over TCP`);
    t.true(await learnsMtu(host, address('far', family), family), `${what}: too large for the path`);
  }
  // And a connection over that path carries bulk.
  await b.host('far').serveTcp(80);
  for (const family of FAMILIES) await bulk(host, address('far', family), 80, 4 << 20);
}

for (const from of ['node', 'red'] as const)
  test(`ICMP errors – reach the sockets of the ${from === 'red' ? 'pod' : 'node'} under default deny`, async (t) => {
    const eightyOut = {
      ingress: [{}],
      egress: [{ toEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') }],
    };
    await using b = await bed({
      name: `errors${from}`,
      pods: ['red'],
      manifests: { 'out.yaml': [hostPolicy('out', eightyOut), podPolicy('red', { app: 'red' }, eightyOut)] },
    });
    for (const [name, device] of [
      ['router', 'eth1'],
      ['far', 'eth0'],
    ] as const)
      await b.host(name).ip(`link set ${device} mtu 1280`);
    await errorsReach(t, b, from);
  });
