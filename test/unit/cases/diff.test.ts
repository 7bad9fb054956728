/** Differences: every tuple whose verdict differs is reported, none that does not. */
import test from 'ava';
import fc from 'fast-check';
import {
  type Difference,
  diffPolicies,
  type NodeWorld,
  representativeWorlds,
  textChanges,
  viewOf,
} from '#cases';
import { NO_FACTS, type Policy, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import { portIndex } from '#policy';
import { randomFlow } from '../policy/flows.ts';
import { randomWorld } from '../policy/generate.ts';

const FLOWS_A_WORLD = 60;
const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

const isOpen = (verdict: string) => verdict !== 'deny' && verdict !== 'default-deny';

test(`diff – reports a tuple exactly when its verdict differs (seed ${seed})`, (t) => {
  let differing = 0;
  let same = 0;
  fc.assert(
    fc.property(fc.integer(), (worldSeed) => {
      const world = randomWorld(worldSeed);
      const endpoints = world.endpoints.map((row) => ({ ...row, name: `pod/${row.id}` }));
      const given: NodeWorld = { ...world, node: 'here', endpoints };
      const half = Math.ceil(world.policies.length / 2);
      const before = world.policies.slice(0, half + 1);
      const after = world.policies.slice(1);
      const found = diffPolicies(given, before, after);
      const [a, b] = [
        viewOf({ ...given, policies: before }, after),
        viewOf({ ...given, policies: after }, before),
      ];
      for (let i = 0; i < FLOWS_A_WORLD; i++) {
        const { subject, direction, peer, protocol, port } = randomFlow(world, worldSeed + 7919 * i);
        const { identity } = a.identityOf(peer);
        const [cellA, cellB] = [a, b].map((view) => view.judge(subject, direction, identity, protocol, port));
        const [was, is] = [cellA?.verdict ?? '', cellB?.verdict ?? ''];
        const isEqual = was === is && cellA?.auth === cellB?.auth && cellA?.proxy?.id === cellB?.proxy?.id;
        const index = portIndex(protocol, port);
        const reports = found.filter(
          ({ direction: d, exact }) =>
            d === direction &&
            exact.subjects.includes(subject) &&
            exact.identities.includes(identity) &&
            exact.ranges.some(([first, last]) => first <= index && index <= last),
        );
        const want = isOpen(was) === isOpen(is) && (isEqual || !isOpen(was)) ? 0 : 1;
        if (want === 1) differing++;
        else same++;
        if (
          reports.length !== want ||
          reports.some((r) => r.before.verdict !== was || r.after.verdict !== is)
        ) {
          throw new Error(`${was} → ${is}: ${JSON.stringify(reports)}`);
        }
      }
    }),
    { seed, numRuns: 60, includeErrorInReport: true },
  );
  t.true(differing > 100, `${differing} tuples differed`);
  t.true(same > 100, `${same} tuples did not`);
});

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
    t.deepEqual(diffPolicies(node, policies(before), policies(after)).map(line), [...want]);
  });
}

test('diff – the first policy of a direction closes everything it does not name', (t) => {
  const found = diffPolicies(node, [], policies('ingress: [{fromCIDR: [10.0.0.0/8]}]'));
  t.is(found.length, 1);
  t.is(found[0]?.kind, 'closed');
  t.deepEqual(found[0]?.peers, ['anyone']);
  t.deepEqual(found[0]?.exceptPeers, ['10.0.0.0/8']);
  t.deepEqual(found[0]?.after.by, ['rule/0']);
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

test('diff – without a world, pods stand for every combination of labels', (t) => {
  const [before, after] = [pods('role: front', 80), pods('role: back', 80)];
  const around = { config: STANDALONE_POLICY_CONFIG, facts: NO_FACTS, endpoints: [] };
  const { worlds, isComplete, summarise } = representativeWorlds([...before, ...after], around);
  t.true(isComplete);
  const found = worlds.flatMap((world) => diffPolicies(world, before, after));
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
  t.deepEqual(textChanges(pods('role: front', 80), pods('role: front', 80)), []);
  const [change] = textChanges(pods('role: front', 80), pods('role: front', 81));
  t.is(change?.change, 'changed');
  t.deepEqual(
    change?.lines.map((text) => text.replace(/ +/, ' ')),
    ['- - port: "80"', '+ - port: "81"'],
  );
  t.is(textChanges([], pods('role: front', 80))[0]?.change, 'added');
  t.is(textChanges(pods('role: front', 80), [])[0]?.change, 'removed');
});
