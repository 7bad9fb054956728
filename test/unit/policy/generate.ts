/**
 * Random worlds and policies, from a small vocabulary of labels and addresses so that rules overlap. Reused,
 * with the flows of `flows.ts`, by every test that compares two evaluations of policy.
 */
import { type Cidr, cidrContainsIp, formatCidr, parseCidr } from '#kit/ip';
import { type Label, labelSet } from '#kit/labels';
import type {
  CloudGroupSelector,
  Direction,
  Entity,
  NamedPort,
  NodeRow,
  Peers,
  PeerSelector,
  Policy,
  PolicyConfig,
  PolicyFacts,
  PolicySpec,
  PortMatch,
  Ports,
  Requirement,
  Rule,
  Selector,
} from '#model';
import type { World, WorldEndpoint } from '#oracle';
import { randomConfig } from './generate-config.ts';
import { randomNetworkPolicy, type Vocabulary } from './generate-network-policy.ts';
import { NAMES, PATTERNS, proxyPorts, randomProxy } from './generate-proxy.ts';
import { Random } from './random.ts';

const APPS = ['web', 'db', 'cache'];
const TIERS = ['front', 'back'];
const NAMESPACES = ['red', 'blue'];
const NAMESPACE_KEY = 'io.kubernetes.pod.namespace';
const CLUSTER_KEY = 'io.cilium.k8s.policy.cluster';

/** Prefixes that enclose one another, pods, nodes and local addresses. */
export const PREFIXES = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.0.0.0/16',
  '10.0.0.0/24',
  '10.0.0.0/30',
  '10.0.0.2/32',
  '10.244.0.0/16',
  '10.244.0.2/32',
  '192.168.0.0/16',
  '192.168.7.0/24',
  '192.168.7.128/25',
  '169.254.169.254/32',
  '203.0.113.0/24',
  '203.0.113.64/26',
  '::/0',
  '2001:db8::/32',
  '2001:db8:0:1::/64',
  '2001:db8:0:1::7/128',
  'fd00::/8',
  'fd00:10::/32',
  'fd00:244::/64',
];

const ENTITIES: readonly Entity[] = [
  'all',
  'world',
  'world-ipv4',
  'world-ipv6',
  'host',
  'remote-node',
  'cluster',
  'kube-apiserver',
  'init',
  'health',
  'ingress',
  'unmanaged',
  'none',
];

/** Protocols with ports (some more often), and without ports or types. */
export const WITH_PORTS = [6, 6, 6, 17, 17, 132];
export const WITHOUT_PORTS = [2, 47, 50, 89, 103, 112];
/** Ports that rules and flows like. */
export const EDGE_PORTS = [0, 1, 22, 80, 443, 8080, 65534, 65535];

const label = (source: string, key: string, value: string): Label => ({ source, key, value });

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`no prefix: ${text}`);
  return parsed;
}

/** Longer prefixes of the vocabulary that lie in this one. */
function insideOf(outer: Cidr): readonly Cidr[] {
  return PREFIXES.map(cidr).filter((c) => c.length > outer.length && cidrContainsIp(outer, c.ip));
}

/** A world: nodes, endpoints, policies, options. Equal seeds give equal worlds. */
export function randomWorld(seed: number): World {
  const random = new Random(seed);
  const config = randomConfig(random);
  const tiered = random.chance(12);
  const world: World = {
    config,
    endpoints: random.many(2, 4, (i) => randomEndpoint(random, i, config)),
    nodes: random.many(1, 3, (i) => randomNode(random, i)),
    localAddresses: ['10.0.0.1', '192.168.7.1', 'fd00:10::1', ...(random.chance(30) ? ['fe80::1'] : [])],
    nodeLabels: labelSet([
      label('node', 'role', random.pick(['worker', 'control'])),
      label('node', 'zone', random.pick(['a', 'b'])),
    ]),
    policies: random.many(1, 5, (i) =>
      random.chance(12) ? randomNetworkPolicy(random, i, WORDS) : randomPolicy(random, i, tiered),
    ),
    facts: randomFacts(random),
  };
  return random.chance(30) ? { ...world, audit: randomAudit(random, world) } : world;
}

function randomAudit(random: Random, { endpoints }: World): NonNullable<World['audit']> {
  return {
    host: (['ingress', 'egress'] as const).filter(() => random.chance(60)),
    endpoints: endpoints.map(({ id }) => id).filter(() => random.chance(50)),
  };
}

const WORDS: Vocabulary = {
  namespaces: NAMESPACES,
  labels: [
    ['app', APPS],
    ['tier', TIERS],
  ],
  prefixes: PREFIXES.map((text) => ({ cidr: text, inside: insideOf(cidr(text)).map(formatCidr) })),
  portNames: ['http', 'metrics', 'admin'],
};

const GROUPS = ['office', 'partner', 'cdn'];
const SERVICES = ['api', 'legacy'];
/** Addresses outside, of nodes, of pods, of the node itself. */
export const ADDRESSES = [
  '203.0.113.7',
  '203.0.113.65',
  '192.168.7.130',
  '2001:db8:0:1::7',
  '10.0.0.2',
  '10.0.0.1',
  '10.244.0.2',
  '198.51.100.9',
];

/** What policies refer to; some of it is there. */
function randomFacts(random: Random): PolicyFacts {
  const row = { at: {}, source: 'directory', contentHash: '' };
  return {
    cidrGroups: GROUPS.filter(() => random.chance(75)).map((name) => ({
      ...row,
      name,
      labels: { env: random.pick(['prod', 'dev']) },
      cidrs: random.many(1, 3, () => random.pick(PREFIXES)),
    })),
    services: SERVICES.filter(() => random.chance(85)).flatMap((name) =>
      NAMESPACES.filter(() => random.chance(70)).map((namespace) => ({
        ...row,
        key: `${namespace}/${name}`,
        namespace,
        name,
        labels: { app: random.pick(APPS) },
        selector: name === 'api' ? { app: random.pick(APPS) } : undefined,
      })),
    ),
    endpointSlices: NAMESPACES.map((namespace) => ({
      ...row,
      key: `${namespace}/legacy-1`,
      namespace,
      name: 'legacy-1',
      service: 'legacy',
      addresses: random.many(0, 2, () => random.pick(ADDRESSES)),
    })),
    names: random.many(0, 6, () => ({ name: random.pick(NAMES), address: random.pick(ADDRESSES) })),
    cloudGroups: random.many(0, 2, (i) => ({
      provider: 'aws',
      id: `sg-${i}`,
      name: random.pick(['front', 'back']),
      region: 'eu-1',
      labels: { team: random.pick(['x', 'y']) },
      addresses: random.many(0, 3, () => random.pick(ADDRESSES)),
    })),
    apiservers: random.chance(30) ? [random.pick(ADDRESSES)] : [],
  };
}

function randomEndpoint(random: Random, index: number, config: PolicyConfig): WorldEndpoint {
  const isInit = random.chance(4);
  const own = isInit
    ? [label('reserved', 'init', '')]
    : [
        label('k8s', 'app', random.pick(APPS)),
        label('k8s', 'tier', random.pick(TIERS)),
        label('k8s', NAMESPACE_KEY, random.pick(NAMESPACES)),
        label('k8s', CLUSTER_KEY, config.clusterName),
        ...(random.chance(15) ? [label('container', 'app', random.pick(APPS))] : []),
      ];
  const addresses = [`10.244.0.${index + 2}`, `fd00:244::${index + 2}`];
  if (random.chance(15)) addresses.push(`10.244.${index + 1}.0/24`);
  const namedPorts = random.many(0, 2, () => randomNamedPort(random));
  return { id: index + 1, addresses, labels: labelSet(own), namedPorts };
}

/** Names with one number, with several, and with none that anybody has. */
const PORT_NAMES = WORDS.portNames;

function randomNamedPort(random: Random): NamedPort {
  const name = random.pick(PORT_NAMES);
  const port = random.chance(70) ? (name === 'http' ? 8080 : 443) : random.pick([80, 9090]);
  return { name, protocol: random.pick([6, 6, 17]), port };
}

function randomNode(random: Random, index: number): NodeRow {
  const labels = [label('node', 'role', random.pick(['worker', 'control']))];
  if (random.chance(25)) labels.push(label('reserved', 'kube-apiserver', ''));
  return {
    name: `node-${index}`,
    cluster: random.chance(80) ? 'default' : 'other',
    addresses: [`10.0.0.${index + 2}`, `fd00:10::${index + 2}`],
    labels: labelSet(labels),
  };
}

function randomPolicy(random: Random, index: number, tiered: boolean): Policy {
  const namespace = random.chance(60) ? random.pick(NAMESPACES) : undefined;
  const kind = namespace === undefined ? 'CiliumClusterwideNetworkPolicy' : 'CiliumNetworkPolicy';
  const name = `policy-${index}`;
  const prefix = namespace === undefined ? name : `${namespace}/${name}`;
  const specs = random.many(1, 2, (specIndex) =>
    randomSpec(random, specIndex, `${prefix}/${specIndex}`, namespace, tiered),
  );
  // Only host policies are staged, as a whole.
  const isStaged = specs.every(({ subject }) => subject.kind === 'node') && random.chance(20);
  return {
    key: `${kind}/${namespace ?? ''}/${name}`,
    kind,
    namespace,
    name,
    at: {},
    source: 'directory',
    contentHash: String(random.below(2 ** 31)),
    specs: isStaged ? specs.map((spec) => ({ ...spec, staged: true as const })) : specs,
  };
}

function randomSpec(
  random: Random,
  index: number,
  prefix: string,
  namespace: string | undefined,
  tiered: boolean,
): PolicySpec {
  const isNode = namespace === undefined && random.chance(50);
  const rules = (['ingress', 'egress'] as const).flatMap((direction) =>
    random.chance(70) ? random.many(1, 4, (i) => randomRule(random, direction, i, prefix, tiered)) : [],
  );
  const denies = (direction: Direction) =>
    rules.some((rule) => rule.direction === direction) ? random.chance(80) : random.chance(12);
  return {
    index,
    subject: isNode
      ? { kind: 'node', selector: { requirements: random.many(0, 1, () => nodeRequirement(random)) } }
      : { kind: 'endpoints', selector: subjectSelector(random, namespace) },
    defaultDeny: { ingress: denies('ingress'), egress: denies('egress') },
    rules,
  };
}

function nodeRequirement(random: Random): Requirement {
  return {
    source: 'any',
    key: 'role',
    operator: 'In',
    values: [random.pick(['worker', 'control', 'worker'])],
  };
}

function subjectSelector(random: Random, namespace: string | undefined): Selector {
  const requirements = random.many(0, 1, () => podRequirement(random));
  if (namespace !== undefined) {
    requirements.push({ source: 'k8s', key: NAMESPACE_KEY, operator: 'In', values: [namespace] });
  }
  return { requirements };
}

function podRequirement(random: Random): Requirement {
  const [key, values] = random.pick([
    ['app', APPS],
    ['tier', TIERS],
  ] as const);
  const source = random.weighted([6, () => 'any'], [3, () => 'k8s'], [1, () => 'container']);
  const operator = random.weighted<Requirement['operator']>(
    [6, () => 'In'],
    [2, () => 'NotIn'],
    [1, () => 'Exists'],
    [1, () => 'DoesNotExist'],
  );
  const needsValues = operator === 'In' || operator === 'NotIn';
  return { source, key, operator, values: needsValues ? random.many(1, 2, () => random.pick(values)) : [] };
}

function randomRule(
  random: Random,
  direction: Direction,
  index: number,
  prefix: string,
  tiered: boolean,
): Rule {
  const verdict = random.weighted<Rule['verdict']>(
    [54, () => 'allow'],
    [46, () => 'deny'],
    [tiered ? 25 : 0, () => 'pass'],
  );
  const section = verdict === 'deny' ? `${direction}Deny` : direction;
  const allows = verdict === 'allow';
  const proxy = allows && random.chance(27) ? randomProxy(random, direction) : undefined;
  return {
    id: `${prefix}/${section}/${index}`,
    at: {},
    direction,
    verdict,
    tier: tiered ? random.below(3) : 0,
    priority: tiered ? random.below(3) : 0,
    peers: proxy !== undefined && random.chance(40) ? { kind: 'any' } : randomPeers(random),
    ports: proxy === undefined ? randomPorts(random) : proxyPorts(random, proxy),
    ...(proxy === undefined ? {} : { proxy }),
    ...(allows && random.chance(24)
      ? { auth: random.pick(['disabled', 'required', 'test-always-fail'] as const) }
      : {}),
    ...(random.chance(5) ? { log: 'watched' } : {}),
  };
}

function randomPeers(random: Random): Peers {
  if (random.chance(25)) return { kind: 'any' };
  if (random.chance(3)) return { kind: 'list', selectors: [] };
  return { kind: 'list', selectors: random.many(1, 3, () => randomSelector(random)) };
}

function randomSelector(random: Random): PeerSelector {
  return random.weighted<PeerSelector>(
    [45, () => randomCidrSelector(random)],
    [26, () => ({ kind: 'entity', entity: random.pick(ENTITIES) })],
    [28, () => ({ kind: 'labels', selector: peerSelector(random) })],
    [3, () => reservedSelector(random)],
    [2, () => ({ kind: 'labels', selector: { requirements: [podRequirement(random)] } })],
    [2, () => prefixKeySelector(random)],
    [7, () => randomGroup(random)],
    [9, () => ({ kind: 'fqdn', pattern: random.pick(PATTERNS) })],
    [6, () => randomService(random)],
    [3, () => randomCloudGroup(random)],
    [5, () => nodesSelector(random)],
  );
}

/** A group by name, or groups by label; sometimes with exceptions. */
function randomGroup(random: Random): PeerSelector {
  const byName = (): Requirement => ({
    source: 'cidrgroup',
    key: `io.cilium.policy.cidrgroupname/${random.pick([...GROUPS, 'missing'])}`,
    operator: 'Exists',
    values: [],
  });
  const byLabel = (): Requirement => ({
    source: 'cidrgroup',
    key: 'env',
    operator: random.pick(['In', 'NotIn'] as const),
    values: [random.pick(['prod', 'dev'])],
  });
  const requirement = random.chance(60) ? byName() : byLabel();
  const except = random.chance(30) ? random.many(1, 2, () => cidr(random.pick(PREFIXES))) : [];
  return { kind: 'cidrGroup', selector: { requirements: [requirement] }, except };
}

function randomService(random: Random): PeerSelector {
  const namespace = random.chance(70) ? random.pick(NAMESPACES) : undefined;
  const selector: Selector = {
    requirements: [{ source: 'k8s', key: 'app', operator: 'In', values: [random.pick(APPS)] }],
  };
  const by = random.chance(70) ? { name: random.pick(SERVICES) } : { selector };
  return { kind: 'service', namespace, by, cluster: random.chance(80) ? 'default' : undefined };
}

function randomCloudGroup(random: Random): PeerSelector {
  const none = { ids: [], names: [], labels: {} };
  const asked = random.pick<Partial<CloudGroupSelector>>([
    { ids: ['sg-0'] },
    { names: ['front'] },
    { labels: { team: 'x' } },
    { ids: ['sg-0', 'sg-1'], names: ['back'] },
  ]);
  return {
    kind: 'cloudGroup',
    provider: 'aws',
    region: random.chance(60) ? undefined : random.pick(['eu-1', 'eu-2']),
    ...none,
    ...asked,
  };
}

/** As fromNodes is scoped. */
function nodesSelector(random: Random): PeerSelector {
  return {
    kind: 'labels',
    selector: {
      requirements: [
        ...random.many(0, 1, () => nodeRequirement(random)),
        { source: 'reserved', key: 'remote-node', operator: 'Exists', values: [] },
        { source: 'k8s', key: CLUSTER_KEY, operator: 'In', values: ['default'] },
      ],
    },
  };
}

/** Scoped as fromEndpoints is: to a namespace or to any, and to the local cluster. */
function peerSelector(random: Random): Selector {
  return {
    requirements: [
      ...random.many(0, 2, () => podRequirement(random)),
      random.chance(70)
        ? { source: 'k8s', key: NAMESPACE_KEY, operator: 'In', values: [random.pick(NAMESPACES)] }
        : { source: 'k8s', key: NAMESPACE_KEY, operator: 'Exists', values: [] },
      { source: 'k8s', key: CLUSTER_KEY, operator: 'In', values: [random.chance(90) ? 'default' : 'other'] },
    ],
  };
}

function reservedSelector(random: Random): PeerSelector {
  const key = random.pick(['host', 'remote-node', 'world-ipv4', 'init']);
  return {
    kind: 'labels',
    selector: { requirements: [{ source: 'reserved', key, operator: 'Exists', values: [] }] },
  };
}

function prefixKeySelector(random: Random): PeerSelector {
  const operator = random.pick(['Exists', 'DoesNotExist'] as const);
  return {
    kind: 'labels',
    selector: { requirements: [{ source: 'cidr', key: random.pick(PREFIXES), operator, values: [] }] },
  };
}

function randomCidrSelector(random: Random): PeerSelector {
  const outer = cidr(random.pick(PREFIXES));
  const inside = insideOf(outer);
  const except = random.chance(65) && inside.length > 0 ? random.many(1, 2, () => random.pick(inside)) : [];
  return { kind: 'cidr', cidr: outer, except };
}

function randomPorts(random: Random): Ports {
  if (random.chance(32)) return { kind: 'any' };
  if (random.chance(3)) return { kind: 'list', matches: [] };
  return { kind: 'list', matches: random.many(1, 3, () => randomMatch(random)) };
}

function randomMatch(random: Random): PortMatch {
  return random.weighted<PortMatch>(
    [60, () => randomRange(random)],
    [9, () => ({ kind: 'name', protocol: random.pick([6, 6, 17]), name: random.pick(PORT_NAMES) })],
    [12, () => ({ kind: 'protocol', protocol: random.pick([...WITH_PORTS, ...WITHOUT_PORTS, 1, 58]) })],
    [
      28,
      () => ({
        kind: 'icmp',
        family: random.pick([4, 6] as const),
        type: random.pick([0, 3, 8, 11, 128, 129, 255]),
      }),
    ],
  );
}

function randomRange(random: Random): PortMatch {
  const first = random.chance(70) ? random.pick(EDGE_PORTS) : random.below(65536);
  const width = random.weighted(
    [4, () => 0],
    [4, () => random.between(1, 20)],
    [2, () => random.between(1, 65535)],
  );
  return { kind: 'ports', protocol: random.pick(WITH_PORTS), first, last: Math.min(first + width, 65535) };
}
