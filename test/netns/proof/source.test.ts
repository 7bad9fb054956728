/**
 * Sources that are not what they say: a pod with another's address, the wire with one of this node's; and
 * what has an odd source by right: the node's own multicast, a macvlan neighbour, DHCP, a fresh address.
 * The world is that of bed.ts.
 */
import test from 'ava';
import type { EventView } from '#api/client';
import { until } from '#kit/async';
import { ethernet, ip, raw, udp } from '../../packet/builder.ts';
import { address, bed, type Bed, FAMILIES, hostPolicy, ports, testSignal } from './bed.ts';
import {
  AF_INET,
  AF_INET6,
  ipOf,
  linkOf,
  SO_BINDTODEVICE,
  SO_BROADCAST,
  SOCK_DGRAM,
  Socket,
  SOL_SOCKET,
  Wire,
} from './raw.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 20 };

/** Closed both ways, but for echo servers on 80. */
const CLOSED = hostPolicy('closed', {
  ingress: [{ fromEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') }],
  egress: [{ toEntities: ['all'], toPorts: ports('80/TCP', '80/UDP') }],
});

/** Refusals by policy that the node has told. */
async function denied(b: Bed): Promise<readonly EventView[]> {
  const { stdout } = await b.agent.merlon(['events', '--verdict', 'DENIED', '-o', 'jsonl']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as EventView);
}

async function dropped(b: Bed, reason: string, from: number): Promise<number> {
  const now = await until(
    async () => {
      const count = (await b.drops())[reason] ?? 0;
      return count > from && count;
    },
    { ...limits, what: `a drop of ${reason}` },
  );
  return now - from;
}

test('pods – one that takes the address of another is heard by nobody', async (t) => {
  await using b = await bed({ name: 'spoofpod', pods: ['red', 'blue'] });
  const red = b.host('red');
  await Promise.all([b.peer.serveUdp(80), b.node.serveUdp(80)]);
  const before = (await b.drops())['INVALID_SOURCE_IP'] ?? 0;
  for (const family of FAMILIES) {
    const own = address('red', family);
    const stolen = address('blue', family);
    await red.ip(`addr add ${stolen}/${family === 4 ? '32' : '128 nodad'} dev eth0`);
    for (const to of ['peer', 'node'] as const) {
      const where = address(to, family);
      t.is(await red.probeUdp(where, 80, { from: own }), 'open', `with its own address to ${where}`);
      t.is(
        await red.probeUdp(where, 80, { from: stolen, timeoutMs: 200 }),
        'timeout',
        `with ${stolen} to ${where}`,
      );
    }
  }
  t.is(await dropped(b, 'INVALID_SOURCE_IP', before), 4, 'every one of them is counted');
});

test('wire – the source of the node itself and that of a pod are refused', async (t) => {
  const own = { 4: '203.0.113.1', 6: '2001:db8:113::1' } as const;
  await using b = await bed({
    name: 'spoofwire',
    pods: ['red'],
    node: { loopback: [`${own[4]}/32`, `${own[6]}/128`] },
  });
  using wire = await Wire.open(b.peer);
  const { address: mac } = await linkOf(b.node);
  const before = await b.drops();
  const spoof = (src: string, family: 4 | 6) =>
    wire.send(
      ethernet({ src: wire.mac, dst: mac }),
      ip({ src, dst: address('node', family) }),
      udp({ src: 1000, dst: 80, data: 16 }),
    );
  const { peer } = b;
  const noPorts = await Promise.all(FAMILIES.map((family) => peer.probeUdp(address('node', family), 81)));
  t.deepEqual(noPorts, ['refused', 'refused'], 'nothing is closed by policy here');
  await b.apply({ 'closed.yaml': [CLOSED] });
  for (const family of FAMILIES) spoof(own[family], family);
  t.is(await dropped(b, 'SPOOFED_LOCAL_SOURCE', before['SPOOFED_LOCAL_SOURCE'] ?? 0), 2);
  for (const family of FAMILIES) spoof(address('red', family), family);
  t.is(await dropped(b, 'INVALID_SOURCE_IP', before['INVALID_SOURCE_IP'] ?? 0), 2);
  t.deepEqual(
    await b.flows((f) => [...FAMILIES.map((family) => own[family] as string)].includes(f.initiator.ip)),
    [],
  );
});

test('multicast – the node hears itself, whatever its policy says about others', async (t) => {
  await using b = await bed({ name: 'mcast', manifests: { 'closed.yaml': [CLOSED] } });
  const groups = { 4: '239.1.2.3', 6: 'ff05::123' } as const;
  const join = async (family: 4 | 6, where: 'node' | 'peer', port: number) => {
    const host = b.host(where);
    const { ifindex } = await linkOf(host);
    const index = new Uint8Array(Int32Array.of(ifindex).buffer);
    const group = ipOf(groups[family]).bytes;
    const socket = new Socket(host, family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM);
    socket.bind(family === 4 ? '0.0.0.0' : '::', port);
    if (family === 4) {
      const local = ipOf(address(where, 4)).bytes;
      socket.set(0, 32, local).set(0, 35, Uint8Array.of(...group, ...local)); // IP_MULTICAST_IF, IP_ADD_MEMBERSHIP
    } else {
      socket.set(41, 17, index).set(41, 20, Uint8Array.of(...group, ...index)); // IPV6_MULTICAST_IF, IPV6_JOIN_GROUP
    }
    return socket;
  };
  for (const family of FAMILIES) {
    using mine = await join(family, 'node', 80);
    using closed = await join(family, 'node', 5353);
    using other = await join(family, 'peer', 80);
    using deaf = await join(family, 'peer', 5353);
    const text = new TextEncoder().encode('hello, group');
    mine.send(text, [groups[family], 80]);
    t.deepEqual(await mine.next(), text, `IPv${family}: the node's own comes back`);
    t.deepEqual(await other.next(), text, `IPv${family}: and reaches the neighbour`);
    other.send(text, [groups[family], 80]);
    t.deepEqual(await mine.next(), text, `IPv${family}: what policy allows comes from the wire`);
    deaf.send(text, [groups[family], 5353]);
    // The device's counter also has the peer's group reports (IGMP, MLD), which come when they like.
    const refused = await until(
      async () => {
        const all = await denied(b);
        const found = all.filter(({ destination: d }) => d.ip === groups[family] && d.port === 5353);
        return found.length > 0 && found;
      },
      { ...limits, what: `a refusal of ${groups[family]}:5353` },
    );
    t.is(refused.length, 1, 'what it does not allow is told once');
    t.is(await closed.next(50), undefined, `IPv${family}: and not delivered`);
  }
  t.is((await b.drops())['SPOOFED_LOCAL_SOURCE'] ?? 0, 0);
});

test('macvlan – a neighbour that sends through the parent is not the node', async (t) => {
  const nothing = hostPolicy('nothing', { ingress: [{}], egress: [{}] });
  await using b = await bed({ name: 'macvlan' });
  const guest = b.host('blue');
  await b.node.ip(`link add link eth0 name mv0 netns ${guest.netnsName} type macvlan mode bridge`);
  await guest.ip(
    'link set mv0 up',
    'addr add 192.0.2.50/24 dev mv0',
    'addr add 2001:db8::50/64 dev mv0 nodad',
  );
  await Promise.all([b.peer.serveTcp(80), b.peer.serveUdp(80), guest.serveTcp(80)]);
  await b.apply({ 'nothing.yaml': [nothing] });
  for (const family of FAMILIES) {
    const to = address('peer', family);
    const from = family === 4 ? '192.0.2.50' : '2001:db8::50';
    t.is(await guest.probeTcp(to, 80, { from, payload: 'x' }), 'open', `IPv${family}: out`);
    t.is(await guest.probeUdp(to, 80, { from }), 'open', `IPv${family}: out, UDP`);
    t.is(await b.peer.probeTcp(from, 80, { payload: 'x' }), 'open', `IPv${family}: in`);
    t.is(
      await b.node.probeTcp(to, 80, { timeoutMs: 200 }),
      'timeout',
      `IPv${family}: the node itself is closed`,
    );
  }
  t.deepEqual(await b.flows((f) => f.initiator.ip.endsWith('.50') || f.initiator.ip.endsWith(':50')), []);
});

for (const isForwarding of [false, true]) {
  test(`local_by_fib – an address nobody has told yet is judged, forwarding ${isForwarding ? 'on' : 'off'}`, async (t) => {
    await using b = await bed({
      name: 'fib',
      node: { forward: isForwarding },
      manifests: { 'closed.yaml': [CLOSED] },
    });
    const fresh = { 4: '192.0.2.77', 6: '2001:db8::77' } as const;
    await Promise.all([b.node.serveTcp(80), b.node.serveTcp(81)]);
    await b.agent.kill('SIGKILL');
    await b.node.ip(`addr add ${fresh[4]}/24 dev eth0`, `addr add ${fresh[6]}/64 dev eth0 nodad`);
    for (const family of FAMILIES) {
      t.is(await b.peer.probeTcp(fresh[family], 80, { payload: 'x' }), 'open', `IPv${family}: allowed`);
      t.is(await b.peer.probeTcp(fresh[family], 81, { timeoutMs: 300 }), 'timeout', `IPv${family}: refused`);
    }
    await b.start();
    const { paths } = await b.counters();
    t.true((paths['local_by_fib'] ?? 0) >= 4, JSON.stringify(paths));
    for (const family of FAMILIES) {
      t.is(
        await b.peer.probeTcp(fresh[family], 80, { payload: 'x' }),
        'open',
        `IPv${family}: allowed, known`,
      );
      t.is(
        await b.peer.probeTcp(fresh[family], 81, { timeoutMs: 300 }),
        'timeout',
        `IPv${family}: refused, known`,
      );
    }
  });
}

test('DHCP – leases are asked for and given under default deny', async (t) => {
  await using b = await bed({ name: 'dhcp', manifests: { 'closed.yaml': [CLOSED] } });
  const eth0 = new TextEncoder().encode('eth0\0');
  const ends = {
    4: { any: '0.0.0.0', client: 68, server: 67 },
    6: { any: '::', client: 546, server: 547 },
  } as const;
  const text = new TextEncoder().encode('lease, please');
  for (const family of FAMILIES) {
    const { any, client, server } = ends[family];
    const domain = family === 4 ? AF_INET : AF_INET6;
    using asks = new Socket(b.node, domain, SOCK_DGRAM).set(SOL_SOCKET, SO_BROADCAST, 1);
    using gives = new Socket(b.peer, domain, SOCK_DGRAM).set(SOL_SOCKET, SO_BROADCAST, 1);
    asks.set(SOL_SOCKET, SO_BINDTODEVICE, eth0).bind(any, client);
    gives.set(SOL_SOCKET, SO_BINDTODEVICE, eth0).bind(any, server);
    const [node, peer] = await Promise.all([linkOf(b.node), linkOf(b.peer)]);
    if (family === 6) {
      // All-DHCP-Relay-Agents-and-Servers; answered to the client's link-local address.
      gives.set(
        41,
        20,
        Uint8Array.of(...ipOf('ff02::1:2').bytes, ...new Uint8Array(Int32Array.of(peer.ifindex).buffer)),
      );
      asks.send(text, ['ff02::1:2', server, node.ifindex]);
    } else {
      asks.send(text, ['255.255.255.255', server]);
    }
    t.deepEqual(await gives.next(), text, `IPv${family}: the question`);
    gives.send(text, [family === 4 ? '255.255.255.255' : address('node', 6), client]);
    t.deepEqual(await asks.next(), text, `IPv${family}: the answer`);
    gives.send(text, [address('node', family), client]);
    t.deepEqual(await asks.next(), text, `IPv${family}: the renewal's answer`);
  }
  t.is((await b.drops())['POLICY_DENIED'] ?? 0, 0);
});

interface Route {
  readonly gateway?: string;
  readonly expires?: number;
}

test('router advertisements – the default route outlives forwarding and default deny', async (t) => {
  await using b = await bed({
    name: 'ra',
    manifests: { 'closed.yaml': [CLOSED] },
    node: { sysctls: { 'net/ipv6/conf/default/accept_ra': '1', 'net/ipv6/conf/all/accept_ra': '1' } },
  });
  using wire = await Wire.open(b.host('router'));
  const acceptRa = async () =>
    (await b.node.mustExec('cat', ['/proc/sys/net/ipv6/conf/eth0/accept_ra'])).trim();
  /** A router's word that it is one for so many seconds. */
  const advertise = (seconds: number) =>
    wire.send(
      ethernet({ src: wire.mac, dst: '33:33:00:00:00:01' }),
      ip({ src: 'fe80::1234', dst: 'ff02::1', ttl: 255 }),
      raw([134, 0, 0, 0, 64, 0, seconds >> 8, seconds & 0xff, 0, 0, 0, 0, 0, 0, 0, 0], { protocol: 58 }),
    );
  const routeFor = (seconds: number) =>
    until(
      async () => {
        const routes = await b.node.ipJson<Route>('-6', 'route', 'show', 'default', 'proto', 'ra');
        return routes.find(({ expires = 0 }) => expires > seconds - 20 && expires <= seconds);
      },
      { ...limits, what: `a default route for ${seconds} seconds` },
    );
  t.is(await acceptRa(), '1');
  advertise(1800);
  t.is((await routeFor(1800)).gateway, 'fe80::1234');
  await b.addPod('red');
  const forwarding = await b.node.mustExec('cat', ['/proc/sys/net/ipv6/conf/all/forwarding']);
  t.is(forwarding.trim(), '1', 'a node with pods forwards');
  t.is(await acceptRa(), '2', 'and takes advertisements all the same');
  await routeFor(1800);
  advertise(900);
  await routeFor(900);
  t.is((await b.drops())['FORBIDDEN_ICMP6'] ?? 0, 0);
});
