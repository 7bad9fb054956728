/** What Kubernetes' NetworkPolicy means (policy.md §11), row by row. */
import test from 'ava';
import { allowedPeers, networkPolicy, policy, world } from './cases.ts';

const EVERYONE = 'client stranger node host world world6 metadata';
const WEB = 'podSelector: {matchLabels: {app: web}}';

/** Who may reach TCP port 80 of the subject, and whom the subject may reach there. */
const cases: readonly [what: string, spec: string, from: string, to: string][] = [
  ['without types and rules ingress is closed', WEB, '', EVERYONE],
  ['an empty podSelector is every pod of the namespace', 'podSelector: {}', '', EVERYONE],
  ['another namespace is never selected', 'podSelector: {matchLabels: {app: other}}', EVERYONE, EVERYONE],
  [
    'a namespace in podSelector means nothing',
    'podSelector: {matchLabels: {app: web, io.kubernetes.pod.namespace: wiki}}',
    '',
    EVERYONE,
  ],
  ['type Egress alone closes egress', `${WEB}, policyTypes: [Egress]`, EVERYONE, ''],
  ['both types close both', `${WEB}, policyTypes: [Ingress, Egress]`, '', ''],
  ['empty types are as if absent', `${WEB}, policyTypes: []`, '', EVERYONE],
  ['an egress rule without types closes ingress too', `${WEB}, egress: [{}]`, '', EVERYONE],
  ['an empty rule allows everybody', `${WEB}, ingress: [{}]`, EVERYONE, EVERYONE],
  ['an empty peer list allows everybody', `${WEB}, ingress: [{from: []}]`, EVERYONE, EVERYONE],
  [
    'rules of a type that is not listed count for nothing',
    `${WEB}, policyTypes: [Egress], ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}], egress: [{}]`,
    EVERYONE,
    EVERYONE,
  ],
  [
    'a podSelector is of the own namespace',
    `${WEB}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]`,
    'client',
    EVERYONE,
  ],
  [
    'an empty podSelector of a peer is the namespace',
    `${WEB}, ingress: [{from: [{podSelector: {}}]}]`,
    'client',
    EVERYONE,
  ],
  [
    'an empty namespaceSelector is every pod',
    `${WEB}, ingress: [{from: [{namespaceSelector: {}}]}]`,
    'client stranger',
    EVERYONE,
  ],
  [
    'a namespaceSelector finds labels of namespaces',
    `${WEB}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: wiki}}}]}]`,
    'stranger',
    EVERYONE,
  ],
  [
    'NotIn on namespaces finds pods only',
    `${WEB}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}}]}]`,
    'stranger',
    EVERYONE,
  ],
  [
    'both selectors together are ANDed',
    `${WEB}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}]`,
    '',
    EVERYONE,
  ],
  [
    'another cluster is asked for by its label',
    `${WEB}, ingress: [{from: [{podSelector: {matchLabels: {io.cilium.k8s.policy.cluster: other}}}]}]`,
    '',
    EVERYONE,
  ],
  [
    'several peers are alternatives',
    `${WEB}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 203.0.113.0/24}}]}]`,
    'client world',
    EVERYONE,
  ],
  [
    'an ipBlock alone adds no pods of the namespace',
    `${WEB}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]`,
    'node host world metadata',
    EVERYONE,
  ],
  [
    'an ipBlock has exceptions',
    `${WEB}, egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32, 10.0.0.0/8]}}]}]`,
    '',
    'world',
  ],
  [
    'ports and peers are ANDed',
    `${WEB}, ingress: [{from: [{podSelector: {}}], ports: [{port: 81}]}]`,
    '',
    EVERYONE,
  ],
  ['the protocol is TCP by default', `${WEB}, ingress: [{ports: [{port: 80}]}]`, EVERYONE, EVERYONE],
  ['UDP is another protocol', `${WEB}, ingress: [{ports: [{port: 80, protocol: UDP}]}]`, '', EVERYONE],
  ['a range has two ends', `${WEB}, ingress: [{ports: [{port: 79, endPort: 80}]}]`, EVERYONE, EVERYONE],
  [
    'a port that is absent is every port of TCP',
    `${WEB}, ingress: [{ports: [{protocol: TCP}]}]`,
    EVERYONE,
    EVERYONE,
  ],
  ['an empty port list is every port', `${WEB}, ingress: [{ports: []}]`, EVERYONE, EVERYONE],
];
for (const [what, spec, from, to] of cases) {
  test(`NetworkPolicy – ${what}`, (t) => {
    const given = world(networkPolicy(spec));
    t.is(allowedPeers(given, 'ingress', 'TCP:80'), from, 'ingress');
    t.is(allowedPeers(given, 'egress', 'TCP:80'), to, 'egress');
  });
}

test('NetworkPolicy – a missing port of TCP leaves ICMP closed', (t) => {
  t.is(
    allowedPeers(world(networkPolicy(`${WEB}, ingress: [{ports: [{protocol: TCP}]}]`)), 'ingress', 'ICMP:8'),
    '',
  );
});

test('NetworkPolicy – a deny of another kind wins, and equal names stay apart', (t) => {
  const both = networkPolicy(`${WEB}, ingress: [{}]`) + policy('ingressDeny: [{fromEntities: [host]}]');
  t.is(allowedPeers(world(both), 'ingress', 'TCP:80'), 'client stranger node world world6 metadata');
});

/** Port names (policy.md §5.2). The subject has http 8080, shared 9000 and dns 5353/UDP; the client shares http only. */
const names: readonly [
  what: string,
  text: string,
  direction: 'ingress' | 'egress',
  service: string,
  open: boolean,
][] = [
  [
    'at ingress it is the subject’s own port',
    networkPolicy(`${WEB}, ingress: [{ports: [{port: http}]}]`),
    'ingress',
    'TCP:8080',
    true,
  ],
  [
    'no other port is meant',
    networkPolicy(`${WEB}, ingress: [{ports: [{port: http}]}]`),
    'ingress',
    'TCP:80',
    false,
  ],
  [
    'the protocol must be the same',
    networkPolicy(`${WEB}, ingress: [{ports: [{port: dns}]}]`),
    'ingress',
    'TCP:5353',
    false,
  ],
  [
    'an unknown name never widens',
    networkPolicy(`${WEB}, ingress: [{ports: [{port: nothing}]}]`),
    'ingress',
    'TCP:80',
    false,
  ],
  [
    'at egress it is the number all agree on',
    networkPolicy(`${WEB}, egress: [{ports: [{port: http}]}]`),
    'egress',
    'TCP:8080',
    true,
  ],
  [
    'at egress two numbers mean none',
    networkPolicy(`${WEB}, egress: [{ports: [{port: shared}]}]`),
    'egress',
    'TCP:9000',
    false,
  ],
  [
    'at ingress two numbers elsewhere do not matter',
    networkPolicy(`${WEB}, ingress: [{ports: [{port: shared}]}]`),
    'ingress',
    'TCP:9000',
    true,
  ],
  [
    'names are lower-cased',
    policy('ingress: [{toPorts: [{ports: [{port: HTTP, protocol: TCP}]}]}]'),
    'ingress',
    'TCP:8080',
    true,
  ],
  [
    'ANY finds the protocol that has the name',
    policy('ingress: [{toPorts: [{ports: [{port: dns}]}]}]'),
    'ingress',
    'UDP:5353',
    true,
  ],
  ['0x10 is a name', policy('ingress: [{toPorts: [{ports: [{port: "0x10"}]}]}]'), 'ingress', 'TCP:16', false],
];
for (const [what, text, direction, service, open] of names) {
  test(`port name – ${what}`, (t) => {
    t.is(allowedPeers(world(text), direction, service), open ? EVERYONE : '');
  });
}

test('port name – a deny by a name that is ambiguous denies nothing', (t) => {
  const text = policy('egressDeny: [{toPorts: [{ports: [{port: shared}]}]}], egress: [{toEntities: [all]}]');
  t.is(allowedPeers(world(text), 'egress', 'TCP:9000'), EVERYONE);
});

test('port name – the host has none of its own', (t) => {
  const text = `---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: h}
spec: {nodeSelector: {}, ingress: [{toPorts: [{ports: [{port: http}]}]}]}
`;
  t.is(allowedPeers(world(text), 'ingress', 'TCP:8080', 'host'), '');
});
