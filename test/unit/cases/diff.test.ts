/** Differences: every tuple whose verdict differs is reported, none that does not. */
import test from 'ava';
import fc from 'fast-check';
import {
  type Difference,
  diffPolicies,
  type DiffSide as Side,
  type NodeWorld,
  representativeWorlds,
  textChanges,
  viewOf,
} from '#cases';
import { NO_FACTS, type Policy, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import { type Cell, portIndex } from '#policy';
import type { World } from '#oracle';
import { randomFlow } from '../policy/flows.ts';
import { randomWorld } from '../policy/generate.ts';

const FLOWS_A_WORLD = 60;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

const isOpen = (verdict: string) => verdict !== 'deny' && verdict !== 'default-deny';

/** Two sets over one world: other policies, and in half of the worlds other groups, services, names and labels. */
function randomSides(worldSeed: number): readonly [world: World, before: Side, after: Side] {
  const world = randomWorld(worldSeed);
  const half = Math.ceil(world.policies.length / 2);
  const { facts = NO_FACTS, nodeLabels } = randomWorld(worldSeed + 1);
  const then = worldSeed % 2 === 0 ? { facts, nodeLabels } : {};
  return [
    world,
    { policies: world.policies.slice(0, half + 1) },
    { policies: world.policies.slice(1), ...then },
  ];
}

test(`diff – reports a tuple exactly when its verdict differs (seed ${seed})`, (t) => {
  t.timeout(60_000);
  const kinds = new Map<string, number>();
  const add = (kind: string) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const [world, before, after] = randomSides(worldSeed);
      const endpoints = world.endpoints.map((row) => ({ ...row, name: `pod/${row.id}` }));
      const given: NodeWorld = { ...world, node: 'here', endpoints };
      const found = diffPolicies(given, before, after);
      const sides = [
        { ...given, ...before },
        { ...given, ...after },
      ] as const;
      const [a, b] = [viewOf(sides[0], sides[1]), viewOf(sides[1], sides[0])];
      const plain = viewOf(sides[1]);
      for (let i = 0; i < FLOWS_A_WORLD; i++) {
        // Flows aim at the rules of one side or of the other.
        const aim = i % 2 === 0 ? { ...world, ...before } : { ...world, ...after };
        const { subject, direction, peer, protocol, port } = randomFlow(aim, worldSeed + 7919 * i);
        const { identity } = a.identityOf(peer);
        const cellA = a.judge(subject, direction, identity, protocol, port);
        const then = b.identityOf(peer).identity;
        // Judged without the prefixes of the other side: that they are told apart must change nothing.
        const cellB = plain.judge(subject, direction, plain.identityOf(peer).identity, protocol, port);
        const [was, is] = [cellA, cellB].map(wordOf) as [string, string];
        const isEqual = was === is && cellA.auth === cellB.auth && cellA.proxy?.id === cellB.proxy?.id;
        const index = portIndex(protocol, port);
        const reports = found.filter(
          ({ direction: d, exact }) =>
            d === direction &&
            exact.subjects.includes(subject) &&
            exact.peers.some(([was, is]) => was === identity && is === then) &&
            exact.ranges.some(([first, last]) => first <= index && index <= last),
        );
        const want = isOpen(was) === isOpen(is) && (isEqual || !isOpen(was)) ? 'same' : kindOf(was, is);
        add(want);
        const got = reports.map((r) => `${r.kind} ${r.before.verdict} ${r.after.verdict}`).join();
        if (got !== (want === 'same' ? '' : `${want} ${was} ${is}`)) {
          throw new Error(`${was} → ${is}, ${want}: ${JSON.stringify(reports)}`);
        }
      }
    }),
    { seed, numRuns: 80, includeErrorInReport: true },
  );
  for (const kind of ['same', 'opened', 'closed', 'changed']) {
    t.true((kinds.get(kind) ?? 0) > 20, `${kind}: ${kinds.get(kind)}`);
  }
});

/** What staged policies would refuse passes, and is told apart. */
const wordOf = ({ verdict, staged }: Cell): string =>
  verdict === 'allow' && ['deny', 'default-deny'].includes(staged?.verdict ?? '') ? 'audit' : verdict;

const kindOf = (was: string, is: string): Difference['kind'] =>
  isOpen(was) && isOpen(is) ? 'changed' : isOpen(is) ? 'opened' : 'closed';

const policies = (spec: string): readonly Policy[] =>
  spec === ''
    ? []
    : parsePolicies(`
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: rule}
spec: {nodeSelector: {}, ${spec}}
`);

const node = viewWorld();

function viewWorld(): NodeWorld {
  const world = randomWorld(1);
  return {
    ...world,
    node: 'here',
    policies: [],
    endpoints: [],
    nodes: [],
    config: {
      ...world.config,
      enforcement: 'default',
      hostFirewall: true,
      ipv4: true,
      ipv6: false,
      cidrMatchNodes: false,
    },
  };
}

const line = ({ kind, subjects, direction, peers, ports }: Difference): string =>
  `${kind} ${direction} ${subjects.join()} ${peers.join()} ${ports.join()}`;

const texts: readonly [what: string, before: string, after: string, want: readonly string[]][] = [
  [
    'nothing, when nothing changes',
    'ingress: [{fromCIDR: [10.0.0.0/8]}]',
    'ingress: [{fromCIDR: [10.0.0.0/8]}]',
    [],
  ],
  [
    'nothing, when the same is written otherwise',
    'ingress: [{fromCIDR: [10.0.0.0/8]}]',
    'ingress: [{fromCIDR: [10.0.0.0/9]}, {fromCIDR: [10.128.0.0/9]}]',
    [],
  ],
  [
    'the piece of a prefix that opens',
    'ingress: [{fromCIDR: [10.0.0.0/8]}]',
    'ingress: [{fromCIDR: [10.0.0.0/8, 192.168.0.0/16]}]',
    ['opened ingress node:here 192.168.0.0/16 any port'],
  ],
  [
    'a prefix less what is excepted',
    'ingress: [{fromEntities: [host]}]',
    'ingress: [{fromEntities: [host]}, {fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]}]',
    ['opened ingress node:here 10.0.0.0/8 except 10.1.0.0/16 any port'],
  ],
  [
    'the ports that close',
    'ingress: [{fromEntities: [all], toPorts: [{ports: [{port: "20", endPort: 30, protocol: TCP}]}]}]',
    'ingress: [{fromEntities: [all], toPorts: [{ports: [{port: "20", endPort: 21, protocol: TCP}]}]}]',
    ['closed ingress node:here anyone TCP/22-30'],
  ],
];
for (const [what, before, after, want] of texts) {
  test(`diff – tells ${what}`, (t) => {
    t.deepEqual(diffPolicies(node, { policies: policies(before) }, { policies: policies(after) }).map(line), [
      ...want,
    ]);
  });
}

test('diff – the first policy of a direction closes everything it does not name', (t) => {
  const found = diffPolicies(
    node,
    { policies: [] },
    { policies: policies('ingress: [{fromCIDR: [10.0.0.0/8]}]') },
  );
  t.is(found.length, 1);
  t.is(found[0]?.kind, 'closed');
  t.deepEqual(found[0]?.peers, ['anyone']);
  t.deepEqual(found[0]?.exceptPeers, ['10.0.0.0/8']);
  t.deepEqual(found[0]?.after.by, ['rule/0']);
});

test('diff – staging a policy changes to audit, promoting it closes', (t) => {
  const enforced = policies('ingress: [{fromCIDR: [10.0.0.0/8]}]');
  const staged = enforced.map((policy) => ({
    ...policy,
    contentHash: 'staged',
    specs: policy.specs.map((spec) => ({ ...spec, staged: true as const })),
  }));
  const told = (before: readonly Policy[], after: readonly Policy[]) =>
    diffPolicies(node, { policies: before }, { policies: after }).map((d) => [
      d.kind,
      d.before.verdict,
      d.after.verdict,
      d.after.by,
    ]);
  t.deepEqual(told([], staged), [['changed', 'allow', 'audit', ['rule/0']]]);
  t.deepEqual(told(staged, enforced), [['closed', 'audit', 'default-deny', ['rule/0']]]);
});

const pods = (peer: string, port: number): readonly Policy[] =>
  parsePolicies(`
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: rule, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress: [{fromEndpoints: [{matchLabels: {${peer}}}], toPorts: [{ports: [{port: "${port}", protocol: TCP}]}]}]
`);

const side = (peer: string, port: number) => ({ policies: pods(peer, port) });

test('diff – without a world, pods stand for every combination of labels', (t) => {
  const [before, after] = [pods('role: front', 80), pods('role: back', 80)];
  const around = { config: STANDALONE_POLICY_CONFIG, facts: NO_FACTS, endpoints: [] };
  const { worlds, isComplete, summarise } = representativeWorlds([...before, ...after], around);
  t.true(isComplete);
  const found = worlds.flatMap((world) => diffPolicies(world, { policies: before }, { policies: after }));
  t.deepEqual(
    found
      .map(({ kind, peers, subjects, ports }) => [kind, summarise(peers), summarise(subjects), ports])
      .sort(([a], [b]) => String(a).localeCompare(String(b))),
    [
      ['closed', ['shop{role=front}'], ['shop{app=web}'], ['TCP/80']],
      ['opened', ['shop{role=back}'], ['shop{app=web}'], ['TCP/80']],
    ],
  );
});

test('diff – the text shows what changed in the canonical form', (t) => {
  t.deepEqual(textChanges(side('role: front', 80), side('role: front', 80)), []);
  const [change] = textChanges(side('role: front', 80), side('role: front', 81));
  t.is(change?.change, 'changed');
  t.deepEqual(
    change?.lines.map((text) => text.replace(/ +/, ' ')),
    ['- - port: "80"', '+ - port: "81"'],
  );
  t.is(textChanges({ policies: [] }, side('role: front', 80))[0]?.change, 'added');
  t.is(textChanges(side('role: front', 80), { policies: [] })[0]?.change, 'removed');
});
