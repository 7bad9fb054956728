/**
 * Peers that are found by what is known beside labels and CIDRs: groups of prefixes (policy.md §4.1), names
 * (§4.4), Services (§4.5), cloud groups (§4.6), nodes by label (§3.4), the API server (§4.3).
 */
import test from 'ava';
import { canonicalName, fqdnMatches, type PolicyConfig, type PolicyFacts } from '#model';
import { allowedPeers, policy, world } from './cases.ts';

const row = { at: {}, source: 'directory', contentHash: '' };
const group = (name: string, cidrs: readonly string[], env = 'prod') => ({
  ...row,
  name,
  cidrs,
  labels: { env },
});
const service = (
  key: string,
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>> = {},
) => ({ ...row, key, namespace: key.split('/')[0] ?? '', name: key.split('/')[1] ?? '', labels, selector });
const slice = (key: string, addresses: readonly string[]) => ({
  ...row,
  key: `${key}-1`,
  namespace: key.split('/')[0] ?? '',
  name: `${key.split('/')[1]}-1`,
  service: key.split('/')[1] ?? '',
  addresses,
});
const GROUPS: Partial<PolicyFacts> = {
  cidrGroups: [
    group('docs', ['203.0.113.0/24', '2001:db8::/32']),
    group('link', ['169.254.0.0/16'], 'dev'),
    group('all', ['0.0.0.0/0'], 'wide'),
  ],
};
const SERVICES: Partial<PolicyFacts> = {
  services: [
    service('shop/api', { app: 'client' }, { tier: 'front' }),
    service('wiki/api', { app: 'client' }),
    service('shop/legacy', undefined),
  ],
  endpointSlices: [slice('shop/legacy', ['203.0.113.9', '10.244.0.2'])],
};
const NAMES: Partial<PolicyFacts> = {
  names: [
    { name: 'api.example.com', address: '203.0.113.9' },
    { name: 'cdn.example.com', address: '203.0.113.9' },
    { name: 'v6.example.com', address: '2001:db8::9' },
    { name: 'pod.example.com', address: '10.244.0.2' },
    { name: 'node.example.com', address: '10.0.0.2' },
  ],
};
const AWS: Partial<PolicyFacts> = {
  cloudGroups: [
    {
      provider: 'aws',
      id: 'sg-1',
      name: 'web',
      region: 'eu',
      labels: { team: 'a' },
      addresses: ['203.0.113.9'],
    },
    { provider: 'aws', id: 'sg-2', name: 'web', region: 'us', labels: {}, addresses: ['169.254.169.254'] },
  ],
};
const NONE: Partial<PolicyConfig> = { cidrMatchNodes: false };

/** Whom the subject may reach at TCP port 80. */
const cases: readonly [
  what: string,
  peers: string,
  facts: Partial<PolicyFacts>,
  to: string,
  config?: Partial<PolicyConfig>,
][] = [
  ['a group is its prefixes', 'toCIDRSet: [{cidrGroupRef: docs}]', GROUPS, 'world world6'],
  ['an unknown group is nobody', 'toCIDRSet: [{cidrGroupRef: none}]', GROUPS, ''],
  ['no group at all is nobody', 'toCIDRSet: [{cidrGroupRef: docs}]', {}, ''],
  [
    'a group of everything finds nodes only in node-match mode',
    'toCIDRSet: [{cidrGroupRef: all}]',
    GROUPS,
    'node host world metadata',
  ],
  ['else it finds the outside', 'toCIDRSet: [{cidrGroupRef: all}]', GROUPS, 'world metadata', NONE],
  [
    'in pod-match mode it finds pods too',
    'toCIDRSet: [{cidrGroupRef: all}]',
    GROUPS,
    'client stranger world metadata',
    { cidrMatchNodes: false, cidrMatchPods: true },
  ],
  [
    'exceptions are cut out of a group',
    'toCIDRSet: [{cidrGroupRef: docs, except: [203.0.113.0/29]}]',
    GROUPS,
    'world world6',
  ],
  [
    'an exception may take all of one family',
    'toCIDRSet: [{cidrGroupRef: docs, except: [203.0.113.8/29]}]',
    GROUPS,
    'world6',
  ],
  [
    'groups are found by label',
    'toCIDRSet: [{cidrGroupSelector: {matchLabels: {env: dev}}}]',
    GROUPS,
    'metadata',
    NONE,
  ],
  [
    'the longest prefix says what a label is',
    'toCIDRSet: [{cidrGroupSelector: {matchLabels: {env: wide}}}]',
    GROUPS,
    '',
    NONE,
  ],
  [
    'NotIn finds prefixes of groups only',
    'toCIDRSet: [{cidrGroupSelector: {matchExpressions: [{key: env, operator: NotIn, values: [dev]}]}}]',
    GROUPS,
    'world world6',
    NONE,
  ],
  [
    'an empty selector finds every group',
    'toCIDRSet: [{cidrGroupSelector: {}}]',
    GROUPS,
    'world world6 metadata',
    NONE,
  ],

  [
    'a service with selector is its pods',
    'toServices: [{k8sService: {serviceName: api, namespace: shop}}]',
    SERVICES,
    'client',
  ],
  [
    'without namespace it is looked for in all',
    'toServices: [{k8sService: {serviceName: api}}]',
    SERVICES,
    'client stranger',
  ],
  [
    'services are found by label',
    'toServices: [{k8sServiceSelector: {selector: {matchLabels: {tier: front}}}}]',
    SERVICES,
    'client',
  ],
  [
    'a service without selector is its addresses, never pods',
    'toServices: [{k8sService: {serviceName: legacy}}]',
    SERVICES,
    'world',
  ],
  ['a service that is not there is nobody', 'toServices: [{k8sService: {serviceName: none}}]', SERVICES, ''],
  [
    'nobody stays nobody with ports',
    'toServices: [{k8sService: {serviceName: none}}], toPorts: [{ports: [{port: "80"}]}]',
    SERVICES,
    '',
  ],

  ['nothing learnt is nobody', 'toFQDNs: [{matchName: api.example.com}]', {}, ''],
  ['a name is the addresses learnt for it', 'toFQDNs: [{matchName: API.example.com.}]', NAMES, 'world'],
  ['names at one address are admitted together', 'toFQDNs: [{matchName: cdn.example.com}]', NAMES, 'world'],
  [
    'a pattern is all names it means',
    'toFQDNs: [{matchPattern: "*.example.com"}]',
    NAMES,
    'node world world6',
  ],
  ['pods and nodes carry no names', 'toFQDNs: [{matchPattern: "**"}]', NAMES, 'world world6', NONE],
  ['another name is another', 'toFQDNs: [{matchName: example.com}]', NAMES, ''],

  ['a cloud group by id', 'toGroups: [{aws: {securityGroupsIds: [sg-1]}}]', AWS, 'world'],
  ['a cloud group by name', 'toGroups: [{aws: {securityGroupsNames: [web]}}]', AWS, 'world metadata'],
  [
    'all that is given must hold',
    'toGroups: [{aws: {securityGroupsNames: [web], region: us}}]',
    AWS,
    'metadata',
  ],
  ['a cloud group by label', 'toGroups: [{aws: {labels: {team: a}}}]', AWS, 'world'],
  ['an empty cloud group is nobody', 'toGroups: [{aws: {securityGroupsIds: [sg-9]}}]', AWS, ''],

  [
    'nodes are found by label, never the local one',
    'toNodes: [{}]',
    {},
    'node',
    { nodeSelectorLabels: true },
  ],
  ['a label of the node', 'toNodes: [{matchLabels: {zone: b}}]', {}, 'node', { nodeSelectorLabels: true }],
  [
    'a label with its source',
    'toNodes: [{matchLabels: {"node:zone": b}}]',
    {},
    'node',
    { nodeSelectorLabels: true },
  ],
  ['another zone', 'toNodes: [{matchLabels: {zone: a}}]', {}, '', { nodeSelectorLabels: true }],

  [
    'an API server outside is of the world too',
    'toEntities: [kube-apiserver]',
    { apiservers: ['203.0.113.9'] },
    'world',
  ],
  ['an API server on a node', 'toEntities: [kube-apiserver]', { apiservers: ['10.0.0.2'] }, 'node'],
  ['an API server on this node', 'toEntities: [kube-apiserver]', { apiservers: ['10.0.0.1'] }, 'host'],
  [
    'the slices of default/kubernetes say where it is',
    'toEntities: [kube-apiserver]',
    { endpointSlices: [slice('default/kubernetes', ['169.254.169.254'])] },
    'metadata',
  ],
  ['world includes it', 'toEntities: [world]', { apiservers: ['203.0.113.9'] }, 'world world6 metadata'],

  ['pods are found by CIDR in pod-match mode only', 'toCIDR: [10.244.0.0/24]', {}, ''],
  ['pods by CIDR', 'toCIDR: [10.244.0.0/30]', {}, 'client stranger', { cidrMatchPods: true }],
  [
    'an exception spares a pod',
    'toCIDRSet: [{cidr: 10.244.0.0/24, except: [10.244.0.2/32]}]',
    {},
    'stranger',
    { cidrMatchPods: true },
  ],
];
for (const [what, peers, facts, to, config = {}] of cases) {
  test(`facts – ${what}`, (t) => {
    t.is(allowedPeers(world(policy(`egress: [{${peers}}]`), config, facts), 'egress', 'TCP:80'), to);
  });
}

test('facts – a denied service is resolved as an allowed one is', (t) => {
  const text = policy(
    'egressDeny: [{toServices: [{k8sService: {serviceName: api, namespace: shop}}]}], egress: [{toEntities: [all]}]',
  );
  t.is(
    allowedPeers(world(text, {}, SERVICES), 'egress', 'TCP:80'),
    'stranger node host world world6 metadata',
  );
  t.is(allowedPeers(world(text), 'egress', 'TCP:80'), 'client stranger node host world world6 metadata');
});

test('facts – a CIDR deny covers a name learnt inside it', (t) => {
  const text = policy('egressDeny: [{toCIDR: [203.0.113.0/24]}], egress: [{toFQDNs: [{matchPattern: "*"}]}]');
  t.is(allowedPeers(world(text, NONE, NAMES), 'egress', 'TCP:80'), 'world6');
});

/** policy.md §4.4. */
const patterns: readonly [pattern: string, matching: readonly string[], others: readonly string[]][] = [
  ['*.a.io', ['x.a.io'], ['a.io', 'x.y.a.io', 'xa.io']],
  ['*a.io', ['a.io', 'ba.io'], ['x.a.io']],
  ['**.a.io', ['x.a.io', 'x.y.a.io'], ['a.io', '.a.io']],
  ['sub*.a.io', ['sub.a.io', 'subx.a.io'], ['x.a.io', 'sub.x.a.io', 'su.a.io']],
  ['*', ['a', 'x.y.z', 'a.io.'], []],
  ['**', ['a', 'x.y.z'], []],
  ['a.io', ['a.io', 'A.IO', 'a.io.'], ['axio', 'a.io.x']],
  ['x.*.io', ['x.y.io', 'x..io'], ['x.y.z.io']],
  ['x.**.io', ['x.y.io'], ['x.y.z.io']],
  ['***.a.io', ['x.a.io', 'x.y.a.io'], ['a.io', '.a.io']],
  ['**.*.a.io', ['x.y.a.io', 'x.y.z.a.io'], ['x.a.io']],
  ['***', ['a', 'a.io', ''], []],
  ['*.', ['a', 'a.io'], []],
  ['*.*', ['a.io'], ['a', 'x.a.io']],
  ['a*b*c.io', ['abc.io', 'axbxc.io', 'abbc.io'], ['acb.io', 'abcx.io', 'ab.c.io', 'a$bc.io']],
  [`${'*a'.repeat(60)}b`, [`${'a'.repeat(62)}b`], ['a'.repeat(63)]],
];
for (const [pattern, matching, others] of patterns) {
  test(`fqdn – ${pattern}`, (t) => {
    for (const name of matching) t.true(fqdnMatches(canonicalName(pattern), name), name);
    for (const name of others) t.false(fqdnMatches(canonicalName(pattern), name), name);
  });
}
