import test from 'ava';
import { ccnp, cnp, policyOf, problemsOf, read, specOf, words } from './read.ts';

const NS = 'k8s:io.kubernetes.pod.namespace';
const CLUSTER = 'k8s:io.cilium.k8s.policy.cluster In (default)';
const SHOP = `${CLUSTER} & ${NS} In (shop)`;
const E = 'endpointSelector: {}';

/** Every row of the list-semantics table. */
const lists: readonly [what: string, text: string, want: string][] = [
  [
    'a section that is absent leaves its direction alone',
    cnp(`{${E}, egress: [{}]}`),
    'deny[egress]; allow egress () any',
  ],
  [
    'an empty section beside another leaves its direction alone',
    cnp(`{${E}, ingress: [], egress: [{}]}`),
    'deny[egress]; allow egress () any',
  ],
  [
    'an empty rule denies by default and allows nothing',
    cnp(`{${E}, ingress: [{}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'an empty fromEndpoints allows nothing',
    cnp(`{${E}, ingress: [{fromEndpoints: []}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'an empty fromEndpoints allows nothing with ports too',
    cnp(`{${E}, ingress: [{fromEndpoints: [], toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]}`),
    'deny[ingress]; allow ingress () (6:80)',
  ],
  [
    'an empty fromCIDR allows nothing',
    cnp(`{${E}, ingress: [{fromCIDR: []}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'an empty fromCIDRSet allows nothing',
    cnp(`{${E}, ingress: [{fromCIDRSet: []}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'an empty fromEntities allows nothing',
    cnp(`{${E}, ingress: [{fromEntities: []}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'an empty fromNodes allows nothing',
    cnp(`{${E}, ingress: [{fromNodes: []}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'an empty toEntities allows nothing with ports',
    cnp(`{${E}, egress: [{toEntities: [], toPorts: [{ports: [{port: "53", protocol: UDP}]}]}]}`),
    'deny[egress]; allow egress () (17:53)',
  ],
  [
    'an empty selector of a CNP means its namespace',
    cnp(`{${E}, ingress: [{fromEndpoints: [{}]}]}`),
    `deny[ingress]; allow ingress (${SHOP}) any`,
  ],
  [
    'an empty selector of a CCNP means all local pods',
    ccnp(`{${E}, ingress: [{fromEndpoints: [{}]}]}`),
    `deny[ingress]; allow ingress (${CLUSTER} & ${NS} Exists) any`,
  ],
  [
    'an empty deny rule denies by default but nothing itself',
    cnp(`{${E}, ingressDeny: [{}]}`),
    'deny[ingress]; deny ingress () any',
  ],
  ['an empty egress deny rule too', cnp(`{${E}, egressDeny: [{}]}`), 'deny[egress]; deny egress () any'],
  [
    'the entity all is everyone',
    cnp(`{${E}, ingress: [{fromEntities: [all]}]}`),
    'deny[ingress]; allow ingress (all) any',
  ],
  [
    'ports without a peer mean any peer',
    cnp(`{${E}, ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]}`),
    'deny[ingress]; allow ingress any (6:80)',
  ],
  [
    'an empty toPorts is as if absent',
    cnp(`{${E}, ingress: [{fromEntities: [host], toPorts: []}]}`),
    'deny[ingress]; allow ingress (host) any',
  ],
  [
    'an empty toPorts alone is an empty rule',
    cnp(`{${E}, ingress: [{toPorts: []}]}`),
    'deny[ingress]; allow ingress () any',
  ],
  [
    'a port rule without ports allows nothing',
    cnp(`{${E}, ingress: [{toPorts: [{ports: []}]}]}`),
    'deny[ingress]; allow ingress any ()',
  ],
  [
    'a port rule without anything allows nothing',
    cnp(`{${E}, ingress: [{fromEntities: [host], toPorts: [{}]}]}`),
    'deny[ingress]; allow ingress (host) ()',
  ],
  [
    'an empty port rule beside another adds nothing',
    cnp(`{${E}, ingress: [{toPorts: [{}, {ports: [{port: "1", protocol: UDP}]}]}]}`),
    'deny[ingress]; allow ingress any (17:1)',
  ],
  [
    'an empty icmps is as if absent',
    cnp(`{${E}, ingress: [{fromEntities: [host], icmps: []}]}`),
    'deny[ingress]; allow ingress (host) any',
  ],
  [
    'null for a list is an absent list',
    cnp(`{${E}, ingress: [{fromEndpoints: null, toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]}`),
    'deny[ingress]; allow ingress any (6:80)',
  ],
  [
    'null for a section is an absent section',
    cnp(`{${E}, ingress: null, egress: [{}]}`),
    'deny[egress]; allow egress () any',
  ],
  [
    'default deny of a pod without rules has no effect',
    cnp(`{${E}, egress: [{}], enableDefaultDeny: {ingress: true}}`),
    'deny[egress]; allow egress () any',
  ],
  [
    'default deny of a node without rules is meant',
    ccnp('{nodeSelector: {}, egress: [{}], enableDefaultDeny: {ingress: true}}'),
    'deny[ingress egress]; allow egress () any',
  ],
  [
    'default deny can be switched off',
    cnp(`{${E}, ingress: [{}], egressDeny: [{}], enableDefaultDeny: {egress: false}}`),
    'deny[ingress]; allow ingress () any; deny egress () any',
  ],
  [
    'an empty list of layer 7 rules restricts nothing',
    cnp(`{${E}, ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: []}}]}]}`),
    'deny[ingress]; allow ingress any (6:80)',
  ],
  [
    'the mode disabled of authentication is no authentication',
    cnp(`{${E}, ingress: [{fromEntities: [host], authentication: {mode: disabled}}]}`),
    'deny[ingress]; allow ingress (host) any',
  ],
  [
    'an empty fromRequires says nothing',
    cnp(`{${E}, ingress: [{fromRequires: [], fromEntities: [host]}]}`),
    'deny[ingress]; allow ingress (host) any',
  ],
];
for (const [what, text, want] of lists) {
  test(`lists as read – ${what}`, (t) => t.is(words(specOf(text)), want));
}

const ports = (list: string) => `{${E}, ingress: [{toPorts: [{ports: [${list}]}]}]}`;
const hostPorts = (list: string) => `{nodeSelector: {}, ingress: [{toPorts: [{ports: [${list}]}]}]}`;
const icmps = (list: string) => `{${E}, ingress: [{icmps: [{fields: [${list}]}]}]}`;
const matches: readonly [what: string, text: string, want: string][] = [
  ['without protocol means TCP, UDP and SCTP', cnp(ports('{port: "80"}')), '6:80 17:80 132:80'],
  ['ANY means the same', cnp(ports('{port: "80", protocol: ANY}')), '6:80 17:80 132:80'],
  ['the protocol in lower case', cnp(ports('{port: "53", protocol: udp}')), '17:53'],
  ['a port without quotes', cnp(ports('{port: 80, protocol: TCP}')), '6:80'],
  ['a range includes both ends', cnp(ports('{port: "1024", endPort: 65535, protocol: TCP}')), '6:1024-65535'],
  [
    'an endPort below the port means the port',
    cnp(ports('{port: "80", endPort: 79, protocol: TCP}')),
    '6:80',
  ],
  ['an endPort of 0 means the port', cnp(ports('{port: "80", endPort: 0, protocol: TCP}')), '6:80'],
  ['port 0 means all ports of the protocol', cnp(ports('{port: "0", protocol: SCTP}')), 'proto132'],
  [
    '0 to 65535 means all ports of the protocol',
    cnp(ports('{port: "0", endPort: 65535, protocol: TCP}')),
    'proto6',
  ],
  ['0 to something else is a range', cnp(ports('{port: "0", endPort: 80, protocol: TCP}')), '6:0-80'],
  ['VRRP takes port 0', cnp(ports('{port: "0", protocol: VRRP}')), 'proto112'],
  ['IGMP of a host policy takes no port', ccnp(hostPorts('{protocol: IGMP}')), 'proto2'],
  ['OSPF of a host policy', ccnp(hostPorts('{protocol: ospf}')), 'proto89'],
  [
    'a protocol number of a host policy',
    ccnp(hostPorts('{protocol: 50}, {protocol: "255"}')),
    'proto50 proto255',
  ],
  ['the number of TCP is TCP', ccnp(hostPorts('{protocol: 6, port: "22"}')), '6:22'],
  [
    'MLD of a host policy means its ICMPv6 types',
    ccnp(hostPorts('{protocol: MLD}')),
    'icmp6:130 icmp6:131 icmp6:132 icmp6:143',
  ],
  ['ICMP types of IPv4 by default', cnp(icmps('{type: 8}')), 'icmp4:8'],
  [
    'ICMP types by name',
    cnp(icmps('{type: EchoReply}, {family: IPv6, type: EchoRequest}')),
    'icmp4:0 icmp6:128',
  ],
  ['ICMP types as numbers in quotes', cnp(icmps('{type: "255", family: IPv6}')), 'icmp6:255'],
];
for (const [what, text, want] of matches) {
  test(`ports – ${what}`, (t) => t.is(words(specOf(text)), `deny[ingress]; allow ingress any (${want})`));
}

test('ports – are empty where extended protocols are on', (t) => {
  const spec = specOf(cnp(ports('{protocol: TCP}, {protocol: VRRP}')), { extendedIpProtocols: true });
  t.is(words(spec), 'deny[ingress]; allow ingress any (proto6 proto112)');
});

const from = (list: string) => `{${E}, ingress: [{${list}}]}`;
const peers: readonly [what: string, text: string, want: string][] = [
  ['a CIDR', cnp(from('fromCIDR: [10.1.2.3/8]')), '10.0.0.0/8'],
  ['an address is a CIDR of its own', cnp(from('fromCIDR: [10.1.2.3]')), '10.1.2.3/32'],
  [
    'a CIDR set with exceptions',
    cnp(from('fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.3.4/24]}]')),
    '10.0.0.0/8 -10.1.0.0/16 -10.2.3.0/24',
  ],
  [
    'entries are alternatives',
    cnp(from('fromEntities: [host, world-ipv6, none]')),
    'host | world-ipv6 | none',
  ],
  [
    'a key without source matches every source',
    cnp(from('fromEndpoints: [{matchLabels: {app: a}}]')),
    `any:app In (a) & ${SHOP}`,
  ],
  [
    'labels and expressions are all required',
    cnp(
      from(
        'fromEndpoints: [{matchLabels: {"k8s:a": x}, matchExpressions: [{key: b, operator: NotIn, values: [z, y]}, {key: c, operator: Exists}]}]',
      ),
    ),
    `any:b NotIn (y,z) & any:c Exists & k8s:a In (x) & ${SHOP}`,
  ],
  [
    'a reserved key is neither of a namespace nor of a cluster',
    cnp(from('fromEndpoints: [{matchLabels: {"reserved:host": ""}}]')),
    'reserved:host In ()',
  ],
  [
    '$host is a reserved key',
    cnp(from('fromEndpoints: [{matchExpressions: [{key: $host, operator: Exists}]}]')),
    'reserved:host Exists',
  ],
  [
    'another namespace stays',
    cnp(from('fromEndpoints: [{matchLabels: {io.kubernetes.pod.namespace: wiki}}]')),
    `any:io.kubernetes.pod.namespace In (wiki) & ${CLUSTER}`,
  ],
  [
    'a namespace in an expression stays',
    cnp(
      from(
        'fromEndpoints: [{matchExpressions: [{key: "k8s:io.kubernetes.pod.namespace", operator: Exists}]}]',
      ),
    ),
    `${CLUSTER} & ${NS} Exists`,
  ],
  [
    'a namespace label stands for a namespace in a CNP',
    cnp(from('fromEndpoints: [{matchLabels: {io.cilium.k8s.namespace.labels.team: a}}]')),
    `any:io.cilium.k8s.namespace.labels.team In (a) & ${CLUSTER}`,
  ],
  [
    'a cluster that is named stays',
    cnp(from('fromEndpoints: [{matchLabels: {io.cilium.k8s.policy.cluster: other}}]')),
    `any:io.cilium.k8s.policy.cluster In (other) & ${NS} In (shop)`,
  ],
  [
    'a namespace of a foreign source is no namespace',
    cnp(from('fromEndpoints: [{matchLabels: {"container:io.kubernetes.pod.namespace": wiki}}]')),
    `container:io.kubernetes.pod.namespace In (wiki) & ${SHOP}`,
  ],
  [
    'peers of init subjects are of no namespace',
    ccnp('{endpointSelector: {matchLabels: {"reserved:init": ""}}, ingress: [{fromEndpoints: [{}]}]}'),
    CLUSTER,
  ],
];
for (const [what, text, want] of peers) {
  test(`peers – ${what}`, (t) => t.is(words(specOf(text)), `deny[ingress]; allow ingress (${want}) any`));
}

test('peers – are of any cluster when the option says so', (t) => {
  const options = { policyDefaultLocalCluster: false };
  const spec = specOf(cnp(from('fromEndpoints: [{}]')), options);
  t.is(words(spec), `deny[ingress]; allow ingress (${NS} In (shop)) any`);
});

test('peers – warn where a negative selector would include the world', (t) => {
  const text = cnp(
    from(
      'fromEndpoints: [{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: NotIn, values: [a]}]}]',
    ),
  );
  t.regex(
    policyOf(text, { policyDefaultLocalCluster: false }).warnings?.[0]?.message ?? '',
    /also selects world/,
  );
  t.is(policyOf(text).warnings, undefined);
});

test('subject – a CNP selects in its own namespace, with a warning for another', (t) => {
  const { warnings, specs } = policyOf(
    cnp(
      '{endpointSelector: {matchLabels: {app: a, "k8s:io.kubernetes.pod.namespace": other}}, ingress: [{}]}',
    ),
  );
  t.deepEqual(
    specs[0]?.subject.selector.requirements.map((r) => `${r.source}:${r.key}=${r.values.join()}`),
    ['any:app=a', 'k8s:io.kubernetes.pod.namespace=shop'],
  );
  t.regex(warnings?.[0]?.message ?? '', /its own namespace shop only/);
});

test('subject – an unprefixed namespace key stays beside the own one', (t) => {
  const spec = specOf(
    cnp('{endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: other}}, ingress: [{}]}'),
  );
  t.is(spec.subject.selector.requirements.length, 2);
});

test('subject – a CCNP selects as written, endpoints or nodes', (t) => {
  const pods = specOf(ccnp('{endpointSelector: {}, ingress: [{}]}'));
  t.deepEqual(pods.subject, { kind: 'endpoints', selector: { requirements: [] } });
  const node = specOf(ccnp('{nodeSelector: {matchLabels: {role: worker}}, ingress: [{}]}'));
  const requirement = { source: 'any', key: 'role', operator: 'In' as const, values: ['worker'] };
  t.deepEqual(node.subject, { kind: 'node', selector: { requirements: [requirement] } });
});

test('policy – rule ids count sections, specs and namespaces as they are written', (t) => {
  const two = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: p}
spec: {endpointSelector: {}, ingress: [{}, {}]}
specs:
- {endpointSelector: {}, egressDeny: [{}]}
- {endpointSelector: {}, egress: [{}], ingressDeny: [{}]}
`;
  const ids = policyOf(two).specs.flatMap((s) => s.rules.map((r) => r.id));
  t.deepEqual(ids, [
    'default/p/0/ingress/0',
    'default/p/0/ingress/1',
    'default/p/1/egressDeny/0',
    'default/p/2/ingressDeny/0',
    'default/p/2/egress/0',
  ]);
  const only = ccnp('null').replace('spec: null', 'specs: [{nodeSelector: {}, ingress: [{}]}]');
  t.deepEqual(
    specOf(only).rules.map((r) => r.id),
    ['p/0/ingress/0'],
  );
});

test('policy – a rule knows the line of its list item', (t) => {
  const text = `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata:
  name: p
spec:
  nodeSelector: {}
  ingress:
    - fromEntities: [remote-node]
    -
      fromEntities: [host]
    - {}
`;
  t.deepEqual(
    specOf(text).rules.map((r) => r.at.line),
    [8, 10, 11],
  );
  t.deepEqual(specOf(text).rules[0]?.at, { file: 't.yaml', line: 8, column: 7, path: 'spec.ingress[0]' });
});

test('policy – log values come with every rule of the spec', (t) => {
  const spec = specOf(cnp(`{${E}, log: {value: seen}, ingress: [{}], egress: [{}]}`));
  t.deepEqual(
    spec.rules.map((r) => r.log),
    ['seen', 'seen'],
  );
});

test('policy – what an API server adds to an object is let through', (t) => {
  const text = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: p
  uid: 11111111-2222-3333-4444-555555555555
  generation: 3
  resourceVersion: "17"
  creationTimestamp: "2026-01-01T00:00:00Z"
  managedFields: []
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
  labels: {team: a}
spec: {endpointSelector: {}, description: x, labels: [{key: a, value: b, source: k8s}], ingress: [{}]}
status: {conditions: []}
`;
  t.deepEqual(problemsOf(text), []);
});

test('policy – its hash follows the meaning, not the layout', (t) => {
  const a = policyOf(cnp('{endpointSelector: {}, ingress: [{fromCIDR: [10.0.0.0/8]}]}'));
  const b = policyOf(
    `# moved\n\n${cnp('{endpointSelector: {matchLabels: {}}, ingress: [{fromCIDR: [10.1.0.0/8]}]}')}`,
  );
  const c = policyOf(cnp('{endpointSelector: {}, ingress: [{fromCIDR: [11.0.0.0/8]}]}'));
  t.is(a.contentHash, b.contentHash);
  t.not(a.contentHash, c.contentHash);
});

test('policy – separators without anything between are no documents', (t) => {
  const good = cnp('{endpointSelector: {}, ingress: [{}]}');
  t.deepEqual(problemsOf(`---\n# nothing\n---\n${good}\n---\n`), []);
  t.is(read(`---\n# nothing\n---\n${good}\n---\n`).length, 1);
  t.deepEqual(read('# only a comment\n'), []);
  t.deepEqual(read(''), []);
});

test('policy – JSON is read with positions as well', (t) => {
  const json = JSON.stringify(
    {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNetworkPolicy',
      metadata: { name: 'p' },
      spec: { endpointSelector: {}, ingress: [{}] },
    },
    null,
    '\t',
  );
  t.is(policyOf(json).specs[0]?.rules[0]?.at.line, 10);
});

const workload = (spec: string) =>
  `{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w, namespace: shop}, spec: ${spec}}`;

test('workload – carries its own labels and those of every pod', (t) => {
  const [object] = read(
    workload(
      '{hostDevice: veth1, addresses: [10.0.0.5, "fd00::/64", 10.9.9.9/24], labels: {app: a, io.kubernetes.pod.namespace: evil}}',
    ),
  );
  t.is(object?.value?.kind, 'workload');
  if (object?.value?.kind !== 'workload') return;
  const { workload: row } = object.value;
  t.is(row.key, 'shop/w');
  t.deepEqual(row.addresses, ['10.0.0.5', 'fd00::/64', '10.9.9.0/24']);
  t.is(
    row.labels.key,
    'k8s:app=a;k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop;k8s:io.cilium.k8s.policy.cluster=default;k8s:io.cilium.k8s.policy.serviceaccount=default;k8s:io.kubernetes.pod.namespace=shop',
  );
  t.is(object.warnings.length, 1);
});

test('manifest – a List is its items, as kubectl prints several objects', (t) => {
  const own = (name: string) => cnp(`{${E}, ingress: [{}]}`).replace('name: p,', `name: ${name},`);
  const objects = read(
    `{apiVersion: v1, kind: List, metadata: {resourceVersion: ""}, items: [${own('a')}, ${own('b')}]}`,
  );
  t.deepEqual(
    objects.map(({ name, value }) => [name, value?.kind]),
    [
      ['a', 'policy'],
      ['b', 'policy'],
    ],
  );
  const [alone] = read(own('a'));
  const hashOf = (object: (typeof objects)[number] | undefined) =>
    object?.value?.kind === 'policy' ? object.value.policy.contentHash : undefined;
  t.is(hashOf(objects[0]), hashOf(alone), 'it is the same policy as in a file of its own');
});

test('metadata – a name is as long as Kubernetes lets it be, whatever it consists of', (t) => {
  const named = (name: string) => cnp(`{${E}, ingress: [{}]}`).replace('name: p,', `name: ${name},`);
  t.deepEqual(problemsOf(named(`allow-${'x'.repeat(247)}`)), []);
  t.regex(problemsOf(named(`allow-${'x'.repeat(248)}`))[0] ?? '', /is no valid name/);
  const group = cnp(`{${E}, ingress: [{fromCIDRSet: [{cidrGroupRef: ${'g'.repeat(100)}}]}]}`);
  t.deepEqual(problemsOf(group), []);
});
