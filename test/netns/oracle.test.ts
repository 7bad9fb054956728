/**
 * The oracle against real sockets: random worlds on a node with a neighbour of many addresses and four pods in
 * namespaces of their own; who reaches whom must be what rules and addresses say, for every subject on the way.
 *
 *     peer (nodes, prefixes, the world) ── eth0 ── node ── eth1 … eth4 ── pod1 … pod4
 */
import test from 'ava';
import { type Ip, parseIp } from '#kit/ip';
import { type Attempt, type Host, topology } from '#lab';
import { evaluate, type Flow, type World } from '#oracle';
import { Bed, ENDPOINTS, WIRE_ADDRESSES } from '../packet/oracle/bed.ts';
import { endpointAt, isLocal } from '../packet/oracle/route.ts';
import { type AddressFlow, randomFlow } from '../unit/policy/flows.ts';
import { randomWorld } from '../unit/policy/generate.ts';
import { Random } from '../unit/policy/random.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = 30;
const A_WORLD = 26;
/** Of a world; the rest are found among those that pass, if there are any. */
const MOST_REFUSED = 18;
/** A silent drop costs this, once a world: probes run beside each other. */
const TIMEOUT_MS = 700;
/** What should have passed gets a second chance on a busy machine; a refusal stays one. */
const PATIENCE_MS = 15_000;

/** Other nodes, members of prefixes that rules and excepts name, strangers. */
const NEIGHBOURS = [
  ...['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.130', '10.0.5.5', '10.7.7.7'],
  ...['192.168.7.5', '192.168.7.200', '192.168.9.9', '203.0.113.5', '203.0.113.70', '198.51.100.9'],
  ...['fd00:10::2', 'fd00:10::3', 'fd00:10::4', 'fd00:10::99', 'fd00:5::5'],
  ...['2001:db8::5', '2001:db8:0:1::5', '2001:db8:0:1::7', '2001:db8:ffff::9'],
];
const GATEWAY = '172.31.0.2';
/** IPv6 neighbours know one another by the link's own addresses. */
const LINK = { node: 'fe80::a', other: 'fe80::b' };
/** Every refused probe is to be heard of at once. */
const UNLIMITED = { 'net/ipv4/icmp_ratelimit': '0', 'net/ipv6/icmp/ratelimit': '0' };
const BY_NODE = [
  '10.0.0.1 dev eth0',
  'default via 10.0.0.1 dev eth0',
  `-6 default via ${LINK.node} dev eth0`,
];

const full = (address: string) => `${address}/${address.includes(':') ? 128 : 32}`;
const podAddresses = (id: number) => [`10.244.0.${id + 1}`, `fd00:244::${id + 1}`];

async function open() {
  await using stack = new AsyncDisposableStack();
  const pods = Object.fromEntries(
    ENDPOINTS.map((id) => [`pod${id}`, { routes: BY_NODE, sysctls: UNLIMITED }]),
  );
  const routes = [
    `${GATEWAY} dev eth0`,
    `default via ${GATEWAY} dev eth0`,
    `-6 default via ${LINK.other} dev eth0`,
    ...ENDPOINTS.flatMap((id) =>
      podAddresses(id).map((address) => `${address.includes(':') ? '-6 ' : ''}${full(address)} dev eth${id}`),
    ),
  ];
  const net = stack.use(
    await topology<string>({
      name: 'oraclenet',
      hosts: {
        node: { isNode: true, forward: true, routes, sysctls: UNLIMITED },
        peer: { routes: BY_NODE, loopback: NEIGHBOURS.map(full), sysctls: UNLIMITED },
        ...pods,
      },
      links: [
        {
          ends: [
            { host: 'node', addresses: [...WIRE_ADDRESSES, `${LINK.node}/64`] },
            { host: 'peer', addresses: [full(GATEWAY), `${LINK.other}/64`] },
          ],
        },
        ...ENDPOINTS.map((id) => ({
          ends: [
            { host: 'node', addresses: [`${LINK.node}/64`] },
            { host: `pod${id}`, addresses: [...podAddresses(id).map(full), `${LINK.other}/64`] },
          ] as const,
        })),
      ],
    }),
  );
  const { hosts } = net;
  const bed = await Bed.on(hosts['node'] as Host, { ipv4: true, ipv6: true }, stack.move());
  return { bed, hosts };
}

interface Probe {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly port: number;
  /** Everybody who judges the connection, first the sender's side. */
  readonly allowed: boolean;
  readonly why: string;
}

const ip = (text: string): Ip => parseIp(text) as Ip;

/** A probe that asks about a flow of the world; undefined where sockets cannot. */
function probeOf(world: World, flow: AddressFlow, random: Random): Probe | undefined {
  const family = random.chance(50) ? 4 : 6;
  const echo = family === 4 ? 8 : 128;
  const isEcho = flow.protocol === 1 || flow.protocol === 58;
  const port = isEcho ? echo : (flow.port ?? 0);
  if (![1, 58, 6, 17].includes(flow.protocol) || port === 0 || [67, 68, 546, 547].includes(port))
    return undefined;
  const ofFamily = (list: readonly string[]) => list.filter((text) => ip(text).family === family);
  const pods = world.endpoints.flatMap(({ id }) => podAddresses(id));
  const local = WIRE_ADDRESSES.map((text) => text.replace(/\/.*/, ''));
  const own = flow.subject === 'host' ? local : podAddresses(flow.subject);
  const peers = [...NEIGHBOURS, ...pods, ...(flow.subject === 'host' ? [] : local)];
  const subject = random.pick(ofFamily(own));
  const peer = random.pick(ofFamily(peers).filter((text) => !own.includes(text)));
  const [from, to] = flow.direction === 'ingress' ? [peer, subject] : [subject, peer];
  const protocol = isEcho ? (family === 4 ? 1 : 58) : flow.protocol;
  const words = onTheWay(world, { from, to, protocol, port });
  return {
    from,
    to,
    protocol,
    port,
    allowed: words.every(({ verdict, audited }) => verdict === 'allow' || audited === true),
    why: words
      .map(
        ({ who, verdict, rules, audited }) =>
          `${who}: ${verdict}${audited ? ' audited' : ''} (${rules.join()})`,
      )
      .join(', '),
  };
}

function onTheWay(world: World, o: { from: string; to: string; protocol: number; port: number }) {
  const ends = [
    { own: ip(o.from), peer: ip(o.to), direction: 'egress' },
    { own: ip(o.to), peer: ip(o.from), direction: 'ingress' },
  ] as const;
  return ends.flatMap(({ own, peer, direction }) => {
    const subject: Flow['subject'] | undefined = isLocal(world, own) ? 'host' : endpointAt(world, own)?.id;
    if (subject === undefined) return [];
    const flow = { subject, direction, peer, protocol: o.protocol, port: o.port };
    return [{ who: `${subject} ${direction}`, ...evaluate(world, flow) }];
  });
}

const senderOf = (world: World, from: string): string => {
  if (isLocal(world, ip(from))) return 'node';
  const endpoint = endpointAt(world, ip(from));
  return endpoint === undefined ? 'peer' : `pod${endpoint.id}`;
};

/** Makes the probes; those that did not end as they must. */
async function unexpected(host: Host, probes: readonly Probe[], timeoutMs: number) {
  const results = await host.attempts(
    probes.map((probe) => attemptOf(probe, timeoutMs)),
    64,
  );
  return probes
    .map((probe, i) => ({ probe, outcome: results[i]?.outcome ?? 'unreachable' }))
    .filter(({ probe, outcome }) =>
      // Nobody listens: a refusal by the other end tells that the packet arrived, and that its answer did. What
      // the node's own egress drops, its sender may be told at once.
      (probe.allowed ? ['refused', 'open'] : ['timeout', 'unreachable']).every((want) => want !== outcome),
    );
}

const attemptOf = ({ from, to, protocol, port }: Probe, timeoutMs: number): Attempt => {
  const common = { to, from, timeoutMs };
  if (protocol === 1 || protocol === 58) return { ...common, proto: 'icmp' };
  return { ...common, proto: protocol === 6 ? 'tcp' : 'udp', port };
};

/** Worlds of both families whose addresses are those of the picture. */
function worldAt(random: Random): World {
  for (;;) {
    const world = randomWorld(random.below(2 ** 31));
    if (!world.config.ipv4 || !world.config.ipv6) continue;
    // Of prefixes routed to endpoints there is nobody to speak from.
    const endpoints = world.endpoints.map((one) => ({ ...one, addresses: podAddresses(one.id) }));
    return { ...world, endpoints };
  }
}

test(`oracle – sockets reach whom rules and addresses let them (seed ${seed})`, async (t) => {
  t.timeout(900_000);
  const { bed, hosts } = await open();
  await using _ = bed;
  const random = new Random(seed);
  const wrong: string[] = [];
  let [pairs, allowed] = [0, 0];
  for (let w = 0; w < WORLDS; w++) {
    const world = worldAt(random);
    await bed.enforce(world);
    const probes: Probe[] = [];
    for (let i = 0; i < 20 * A_WORLD && probes.length < A_WORLD; i++) {
      const probe = probeOf(world, randomFlow(world, random.below(2 ** 31)), random);
      if (probe === undefined) continue;
      const refused = probes.filter((one) => !one.allowed).length;
      if (probe.allowed || refused < MOST_REFUSED) probes.push(probe);
    }
    const bySender = Map.groupBy(probes, ({ from }) => senderOf(world, from));
    pairs += probes.length;
    allowed += probes.filter((probe) => probe.allowed).length;
    await Promise.all(
      [...bySender].map(async ([sender, list]) => {
        const host = hosts[sender] as Host;
        const first = await unexpected(host, list, TIMEOUT_MS);
        const late = first.filter(({ probe, outcome }) => probe.allowed && outcome === 'timeout');
        const again = await unexpected(
          host,
          late.map(({ probe }) => probe),
          PATIENCE_MS,
        );
        for (const { probe, outcome } of [...first.filter((one) => !late.includes(one)), ...again]) {
          const { from, to, protocol, port, why } = probe;
          wrong.push(`${from} → ${to} protocol ${protocol} port ${port}: ${outcome}; ${why}`);
        }
      }),
    );
  }
  t.log(`${pairs} pairs, ${allowed} allowed`);
  t.deepEqual(wrong.slice(0, 8), [], `${wrong.length} of ${pairs} pairs (seed ${seed})`);
  t.true(pairs >= 500);
  t.true(allowed > pairs / 5 && allowed < (4 * pairs) / 5, `${allowed} of ${pairs} allowed`);
  t.deepEqual(bed.problems, []);
});
