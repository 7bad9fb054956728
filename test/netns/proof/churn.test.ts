/**
 * Ten thousand identity changes, and classes that split and merge, beside traffic: not one packet is judged
 * as world, or by a class half made. Everything goes the product's own way: configuration and manifests
 * that the agent reads again. The world is that of bed.ts.
 */
import test from 'ava';
import { address, bed, FAMILIES, hostPolicy, podPolicy, ports } from './bed.ts';
import { type Kind, traffic } from './traffic.ts';

const CHANGES = 10_000;
const PER_RELOAD = 500;

/** Nodes may come in, and nobody else: a peer judged as world for the time of one packet is refused. */
const NODES_ONLY = hostPolicy('nodes-only', {
  ingress: [{ fromEntities: ['remote-node'], toPorts: ports('80/TCP', '80/UDP') }],
  egress: [{ toEntities: ['remote-node'], toPorts: ports('80/TCP', '80/UDP') }],
});

const KINDS: readonly Kind[] = [
  { name: 'from the node', from: 'peer', to: 'node', kind: 'tcp', port: 80, intervalMs: 2, expect: 'open' },
  { name: 'datagrams', from: 'peer', to: 'node', kind: 'udp', port: 80, intervalMs: 2, expect: 'open' },
  { name: 'to the node', from: 'node', to: 'peer', kind: 'udp', port: 80, intervalMs: 2, expect: 'open' },
  { name: 'new', from: 'peer', to: 'node', kind: 'tcp-new', port: 80, intervalMs: 10, expect: 'open' },
  {
    name: 'new datagrams',
    from: 'peer',
    to: 'node',
    kind: 'udp-new',
    port: 80,
    intervalMs: 10,
    expect: 'open',
  },
  {
    name: 'new outwards',
    from: 'node',
    to: 'peer',
    kind: 'tcp-new',
    port: 80,
    intervalMs: 10,
    expect: 'open',
  },
  { name: 'world', from: 'far', to: 'node', kind: 'tcp-new', port: 80, intervalMs: 10, expect: 'timeout' },
  {
    name: 'world datagrams',
    from: 'far',
    to: 'node',
    kind: 'udp-new',
    port: 80,
    intervalMs: 10,
    expect: 'timeout',
  },
];

const peerNode = { name: 'peer', addresses: FAMILIES.map((family) => address('peer', family)) };

/** Nodes whose addresses come and go: those of round `round`. */
const others = (round: number) =>
  Array.from({ length: PER_RELOAD / 2 }, (_, at) => {
    const id = (round % 7) * 100 + at;
    return { name: `n${id}`, addresses: [`10.77.${id >> 8}.${id & 255}`, `2001:db8:77::${id.toString(16)}`] };
  });

test('identities – ten thousand changes beside traffic, none judged wrongly', async (t) => {
  await using b = await bed({
    name: 'churn',
    config: { nodes: [peerNode] },
    manifests: { 'nodes.yaml': [NODES_ONLY] },
  });
  await Promise.all([b.node, b.peer].flatMap((host) => [host.serveTcp(80), host.serveUdp(80)]));
  const all = await traffic(b, KINDS);
  let changes = 0;
  let known = new Set<string>();
  for (let round = 0; changes < CHANGES; round++) {
    const nodes = others(round);
    const now = new Set(nodes.flatMap(({ addresses }) => addresses));
    changes +=
      [...now].filter((ip) => !known.has(ip)).length + [...known].filter((ip) => !now.has(ip)).length;
    known = now;
    // The peer's place in the list changes, too; what it is does not.
    nodes.splice((round * 37) % nodes.length, 0, peerNode);
    await all.through(`round ${round}`, () => b.configure({ nodes }), 1);
  }
  t.true(changes >= CHANGES);
  await all.judge(t);
  const { degraded } = await b.status();
  t.deepEqual(degraded, []);
});

/** In each round the peer's prefix, and the ports, are cut into other pieces, by rules that do not concern it. */
const splits = (round: number) => {
  const bits = 26 + (round % 6);
  return hostPolicy('splits', {
    ingress: [
      {
        fromCIDR: [`192.0.2.0/${bits}`, `2001:db8::/${64 + (round % 60)}`],
        toPorts: ports(`${70 + (round % 20)}-99/TCP`),
      },
      { fromCIDR: [`192.0.2.${(round % 16) * 16}/28`], toPorts: ports(`${2000 + round}/UDP`) },
    ],
    ingressDeny: [
      { fromCIDR: [`192.0.2.0/${bits}`], toPorts: ports(`${3000 + round}-${4000 + round}/TCP`) },
      { fromEntities: ['world'], toPorts: ports(`${81 + (round % 5)}/TCP`) },
    ],
    egressDeny: [{ toCIDR: ['192.0.2.0/24'], toPorts: ports(`${90 + (round % 7)}/UDP`) }],
  });
};

const OPEN_80 = hostPolicy('open-80', {
  ingress: [{ fromCIDR: ['192.0.2.0/24', '2001:db8::/64'], toPorts: ports('80/TCP', '80/UDP') }],
  egress: [{ toCIDR: ['192.0.2.0/24', '2001:db8::/64'], toPorts: ports('80/TCP', '80/UDP') }],
});

test('classes – splits and merges beside traffic, none judged wrongly', async (t) => {
  const pods: readonly Kind[] = [
    { name: 'pods', from: 'blue', to: 'red', kind: 'udp', port: 80, intervalMs: 2, expect: 'open' },
    { name: 'pods, new', from: 'blue', to: 'red', kind: 'tcp-new', port: 80, intervalMs: 20, expect: 'open' },
    {
      name: 'pods, refused',
      from: 'blue',
      to: 'red',
      kind: 'tcp-new',
      port: 81,
      intervalMs: 20,
      expect: 'timeout',
    },
  ];
  await using b = await bed({
    name: 'classes',
    pods: ['red', 'blue'],
    manifests: {
      'open.yaml': [
        OPEN_80,
        podPolicy(
          'red',
          { app: 'red' },
          {
            ingress: [
              { fromEndpoints: [{ matchLabels: { app: 'blue' } }], toPorts: ports('80/TCP', '80/UDP') },
            ],
          },
        ),
      ],
    },
  });
  const hosts = [b.node, b.peer, b.host('red')];
  await Promise.all(hosts.flatMap((host) => [host.serveTcp(80), host.serveUdp(80), host.serveTcp(81)]));
  const all = await traffic(b, [...KINDS, ...pods]);
  for (let round = 0; round < 60; round++)
    await all.through(
      `round ${round}`,
      () => b.apply({ 'splits.yaml': round % 3 === 2 ? undefined : [splits(round)] }),
      1,
    );
  await all.judge(t);
});
