/** Deny, allow and what they match: the decision table of policy.md §9, enforcement modes, exceptions, ports. */
import test from 'ava';
import type { PolicyConfig } from '#model';
import { asker, clusterPolicy, flow, type PeerName, policy, type Service, world } from './cases.ts';

const ALLOWS = `ingress: [
  {fromEndpoints: [{matchLabels: {app: client}}]},
  {toPorts: [{ports: [{port: "80", protocol: TCP}, {port: "81", protocol: TCP}]}]}]`;

const table: readonly [deny: string, on81: string, on80: string, ping: string][] = [
  ['', 'allow', 'allow', 'allow'],
  ['ingressDeny: [{toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]', 'allow', 'deny', 'allow'],
  ['ingressDeny: [{fromEndpoints: [{matchLabels: {app: client}}]}]', 'deny', 'deny', 'deny'],
  [
    'ingressDeny: [{fromEndpoints: [{matchLabels: {app: client}}]}, {toPorts: [{ports: [{port: "80"}]}]}]',
    'deny',
    'deny',
    'deny',
  ],
];
for (const [deny, on81, on80, ping] of table) {
  test(`precedence – client with L3 and L4 allows and ${deny === '' ? 'no deny' : deny}`, (t) => {
    const both = policy(ALLOWS, 'allow') + (deny === '' ? '' : policy(deny, 'deny'));
    const ask = asker(world(both));
    t.is(ask(flow('ingress', 'client', 'TCP:81')).verdict, on81);
    t.is(ask(flow('ingress', 'client', 'TCP:80')).verdict, on80);
    t.is(ask(flow('ingress', 'client', 'ICMP:8')).verdict, ping);
  });
}

type Row = readonly [
  what: string,
  spec: string,
  peer: PeerName,
  service: Service,
  verdict: string,
  rules: string,
];

const ingress: readonly Row[] = [
  [
    'a wide deny beats a narrow allow',
    'ingressDeny: [{fromCIDR: ["203.0.0.0/8"]}], ingress: [{fromCIDR: ["203.0.113.9/32"]}]',
    'world',
    'TCP:80',
    'deny',
    'shop/rule/0/ingressDeny/0',
  ],
  [
    'a narrow deny is a hole in a wide allow',
    'ingressDeny: [{fromCIDR: ["203.0.113.9/32"]}], ingress: [{fromEntities: [world]}]',
    'world',
    'TCP:80',
    'deny',
    'shop/rule/0/ingressDeny/0',
  ],
  [
    'and only a hole',
    'ingressDeny: [{fromCIDR: ["203.0.113.9/32"]}], ingress: [{fromEntities: [world]}]',
    'metadata',
    'TCP:80',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'a denied range removes its ports, first',
    'ingressDeny: [{toPorts: [{ports: [{port: "80", endPort: 90, protocol: TCP}]}]}], ingress: [{fromEntities: [all]}]',
    'world',
    'TCP:80',
    'deny',
    'shop/rule/0/ingressDeny/0',
  ],
  [
    'a denied range removes its ports, last',
    'ingressDeny: [{toPorts: [{ports: [{port: "80", endPort: 90, protocol: TCP}]}]}], ingress: [{fromEntities: [all]}]',
    'world',
    'TCP:90',
    'deny',
    'shop/rule/0/ingressDeny/0',
  ],
  [
    'and not the one below',
    'ingressDeny: [{toPorts: [{ports: [{port: "80", endPort: 90, protocol: TCP}]}]}], ingress: [{fromEntities: [all]}]',
    'world',
    'TCP:79',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'nor the one above',
    'ingressDeny: [{toPorts: [{ports: [{port: "80", endPort: 90, protocol: TCP}]}]}], ingress: [{fromEntities: [all]}]',
    'world',
    'TCP:91',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'a protocol-wide deny removes all its ports',
    'ingressDeny: [{toPorts: [{ports: [{port: "0", protocol: UDP}]}]}], ingress: [{fromEntities: [all]}]',
    'world',
    'UDP:53',
    'deny',
    'shop/rule/0/ingressDeny/0',
  ],
  [
    'and no other protocol',
    'ingressDeny: [{toPorts: [{ports: [{port: "0", protocol: UDP}]}]}], ingress: [{fromEntities: [all]}]',
    'world',
    'TCP:53',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'ports exclude ICMP',
    'ingress: [{toPorts: [{ports: [{port: "0", protocol: ANY}]}]}]',
    'world',
    'ICMP:8',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'ANY is SCTP too',
    'ingress: [{toPorts: [{ports: [{port: "80", protocol: ANY}]}]}]',
    'world',
    'SCTP:80',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'ANY is not VRRP',
    'ingress: [{toPorts: [{ports: [{port: "0", protocol: ANY}]}]}]',
    'world',
    'VRRP',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'a rule without ports covers every protocol',
    'ingress: [{fromEntities: [world]}]',
    'world',
    '47',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'icmps allow their type',
    'ingress: [{icmps: [{fields: [{family: IPv4, type: 8}]}]}]',
    'world',
    'ICMP:8',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'icmps allow no other type',
    'ingress: [{icmps: [{fields: [{family: IPv4, type: 8}]}]}]',
    'world',
    'ICMP:0',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'icmps allow no other family',
    'ingress: [{icmps: [{fields: [{family: IPv4, type: 8}]}]}]',
    'world',
    'ICMPv6:8',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'an unknown port is in no range',
    'ingress: [{toPorts: [{ports: [{port: "1", endPort: 65535, protocol: UDP}]}]}]',
    'world',
    'UDP:?',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'an unknown port is of its protocol',
    'ingress: [{toPorts: [{ports: [{port: "0", protocol: UDP}]}]}]',
    'world',
    'UDP:?',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'an unknown port is allowed where ports do not matter',
    'ingress: [{fromEntities: [world]}]',
    'world',
    'UDP:?',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'port 0 is in no range',
    'ingress: [{toPorts: [{ports: [{port: "0", endPort: 100, protocol: TCP}]}]}]',
    'world',
    'TCP:0',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'port 0 is of its protocol',
    'ingress: [{toPorts: [{ports: [{port: "0", protocol: TCP}]}]}]',
    'world',
    'TCP:0',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'all rules that allow are named',
    'ingress: [{fromEntities: [world]}, {fromCIDR: ["203.0.113.0/24"]}, {toPorts: [{ports: [{port: "80"}]}]}]',
    'world',
    'TCP:80',
    'allow',
    'shop/rule/0/ingress/0,shop/rule/0/ingress/1,shop/rule/0/ingress/2',
  ],
];
for (const [what, spec, peer, service, verdict, rules] of ingress) {
  test(`precedence – ${what}`, (t) => {
    const got = asker(world(policy(spec)))(flow('ingress', peer, service));
    t.is(got.verdict, verdict);
    t.is(got.rules.join(), rules);
  });
}

const modes: readonly [
  what: string,
  config: Partial<PolicyConfig>,
  policies: string,
  peer: PeerName,
  verdict: string,
  rules: string,
][] = [
  [
    'always closes what no policy selects',
    { enforcement: 'always' },
    '',
    'client',
    'default-deny',
    'enable-policy=always',
  ],
  [
    'always ignores enableDefaultDeny false',
    { enforcement: 'always' },
    policy('enableDefaultDeny: {ingress: false}, ingress: [{fromEntities: [host]}]'),
    'client',
    'default-deny',
    'enable-policy=always',
  ],
  [
    'never enforces nothing, deny included',
    { enforcement: 'never' },
    policy('ingressDeny: [{fromEntities: [all]}]'),
    'client',
    'allow',
    '',
  ],
  ['a denied direction is open without policy', {}, policy('egress: [{}]'), 'client', 'allow', ''],
  [
    'allow-localhost lets the host in',
    { allowLocalhost: true },
    policy('ingress: [{}]'),
    'host',
    'allow',
    'allow-localhost',
  ],
  [
    'allow-localhost lets no other node in',
    { allowLocalhost: true },
    policy('ingress: [{}]'),
    'node',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'an explicit deny wins over allow-localhost',
    { allowLocalhost: true },
    policy('ingressDeny: [{fromEntities: [all]}]'),
    'host',
    'deny',
    'shop/rule/0/ingressDeny/0',
  ],
  [
    'without allow-localhost the host is like others',
    {},
    policy('ingress: [{}]'),
    'host',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'without node matching a CIDR finds no node',
    { cidrMatchNodes: false },
    policy('ingress: [{fromCIDR: ["10.0.0.0/8"]}]'),
    'node',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'without node matching a CIDR finds not the host',
    { cidrMatchNodes: false },
    policy('ingress: [{fromCIDR: ["0.0.0.0/0"]}]'),
    'host',
    'default-deny',
    'shop/rule/0',
  ],
  [
    'the cluster is nodes and local pods',
    {},
    policy('ingress: [{fromEntities: [cluster]}]'),
    'stranger',
    'allow',
    'shop/rule/0/ingress/0',
  ],
  [
    'the cluster is not the world',
    {},
    policy('ingress: [{fromEntities: [cluster]}]'),
    'world',
    'default-deny',
    'shop/rule/0',
  ],
];
for (const [what, config, policies, peer, verdict, rules] of modes) {
  test(`enforcement – ${what}`, (t) => {
    const got = asker(world(policies, config))(flow('ingress', peer, 'TCP:80'));
    t.is(got.verdict, verdict);
    t.is(got.rules.join(), rules);
  });
}

test('enforcement – without the host firewall host policies are ignored', (t) => {
  const ask = asker(world(clusterPolicy('nodeSelector: {}, ingress: [{}]'), { hostFirewall: false }));
  t.is(ask(flow('ingress', 'world', 'TCP:22', 'host')).verdict, 'allow');
});

test('enforcement – always closes the host too', (t) => {
  const ask = asker(world('', { enforcement: 'always' }));
  t.is(ask(flow('ingress', 'world', 'TCP:22', 'host')).verdict, 'default-deny');
});
