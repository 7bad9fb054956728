/** Advice: each code is provoked, and silent where it does not apply. */
import test from 'ava';
import { FINDINGS } from '#model';
import { cluster, codesOf, findings, head, network, objectCodes } from './lint-world.ts';

const web = 'endpointSelector: {matchLabels: {app: web}}';
const node = 'nodeSelector: {matchLabels: {role: worker}}';
const port = (name: string) => `toPorts: [{ports: [{port: ${name}, protocol: TCP}]}]`;
const http = (rules: string) =>
  `toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [${rules}]}}]`;
const dns = (rules: string) => `toPorts: [{ports: [{port: "53", protocol: UDP}], rules: {dns: [${rules}]}}]`;
const anyName = `{${dns('{matchPattern: "*"}')}}`;
const open = `fromEntities: [ingress, remote-node, world]`;

/** Codes beside `proxy-unavailable`, which every rule with layer 7 has while nobody serves it. */
const cases: readonly [text: string, want: readonly string[]][] = [
  [`${head}spec: {${web}, ingress: [{${open}}]}`, []],

  // who is selected
  [`${head}spec: {endpointSelector: {matchLabels: {app: wbe}}, ingress: [{${open}}]}`, ['selects-nothing']],
  // A pod of another cluster is nobody's subject here.
  [`${head}spec: {endpointSelector: {matchLabels: {app: far}}, ingress: [{${open}}]}`, ['selects-nothing']],
  [
    `${cluster}spec: {nodeSelector: {matchLabels: {role: master}}, ingress: [{${open}}]}`,
    ['selects-nothing'],
  ],
  [
    `${head}spec: {endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: wiki}}, ingress: [{${open}}]}`,
    ['foreign-namespace', 'selects-nothing'],
  ],
  [
    `${head}spec: {endpointSelector: {matchLabels: {"k8s:io.kubernetes.pod.namespace": wiki}}, ingress: [{${open}}]}`,
    ['foreign-namespace'],
  ],
  [`${cluster}spec: {endpointSelector: {}, ingress: [{${open}}]}`, ['infrastructure-selected']],
  [
    `${cluster}spec: {endpointSelector: {}, egress: [{toEntities: [all]}], egressDeny: [{toCIDR: [169.254.169.254/32]}]}`,
    [],
  ],
  [
    `${cluster}spec: {endpointSelector: {matchExpressions: [{key: io.kubernetes.pod.namespace, operator: NotIn, values: [x]}]}, ingress: [{${open}}]}`,
    ['infrastructure-selected'],
  ],
  [
    `${cluster}spec: {endpointSelector: {matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]}, ingress: [{${open}}]}`,
    [],
  ],
  [`${cluster}spec: {endpointSelector: {matchLabels: {"reserved:health": ""}}, ingress: [{${open}}]}`, []],
  ...[
    'io.kubernetes.pod.namespac',
    'io.cilium.k8s.namespace.label.team',
    'io.cilium.k8s.namespace.labels',
    'kubernetes.io/metadata.name',
  ].map((key): (typeof cases)[number] => [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{matchExpressions: [{key: ${key}, operator: DoesNotExist}]}]}]}`,
    ['namespace-label-typo'],
  ]),
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{matchExpressions: [{key: io.cilium.k8s.namespace.labels.team, operator: DoesNotExist}]}]}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{matchExpressions: [{key: pod-template-hash, operator: DoesNotExist}]}]}]}`,
    ['filtered-label'],
  ],

  // default deny
  [`${head}spec: {${web}, egressDeny: [{toCIDR: [169.254.169.254/32]}]}`, ['deny-only-default-deny']],
  [
    `${head}spec: {${web}, enableDefaultDeny: {egress: false}, egressDeny: [{toCIDR: [169.254.169.254/32]}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, enableDefaultDeny: {egress: true}, ingress: [{${open}}]}`,
    ['default-deny-without-rules'],
  ],
  [`${head}spec: {${web}, egress: [{}]}`, ['empty-rule']],
  [`${head}spec: {${web}, enableDefaultDeny: {egress: false}, egressDeny: [{}]}`, ['empty-rule']],
  [`${network}spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}`, []],
  [
    `${network}spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{}], ingress: [{}]}`,
    ['policy-types-mismatch'],
  ],

  // peers
  [`${head}spec: {${web}, egress: [{toEndpoints: [], ${port('"80"')}}]}`, ['empty-peer-list']],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{matchLabels: {app: databse}}]}]}`,
    ['peers-select-nothing'],
  ],
  [`${head}spec: {${web}, egress: [{toCIDRSet: [{cidrGroupRef: partner}]}]}`, ['peers-select-nothing']],
  [`${head}spec: {${web}, egress: [{toCIDRSet: [{cidrGroupRef: partners}]}]}`, []],
  [
    `${head}spec: {${web}, egress: [{toServices: [{k8sService: {serviceName: wb, namespace: shop}}]}]}`,
    ['peers-select-nothing'],
  ],
  [`${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: far}}]}]}`, ['only-remote-cluster']],
  [
    `${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: far, io.cilium.k8s.policy.cluster: other}}]}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: database, io.cilium.k8s.policy.cluster: none}}]}]}`,
    ['peers-select-nothing'],
  ],
  [`${head}spec: {${web}, ingress: [{fromEntities: [all]}]}`, ['everything-from-world']],
  [`${head}spec: {${web}, ingress: [{${open}}, {fromEntities: [all], ${port('"80"')}}]}`, []],
  [`${head}spec: {${web}, egress: [{toCIDR: [192.168.0.0/24]}]}`, ['cidr-covers-nodes']],
  [`${head}spec: {${web}, egress: [{toCIDR: [10.0.0.0/16]}]}`, ['cidr-covers-pods']],
  [`${head}spec: {${web}, egress: [{toCIDRSet: [{cidr: 10.0.0.0/16, except: [10.0.0.0/24]}]}]}`, []],
  [
    `${head}spec: {${web}, egress: [{toCIDRSet: [{cidr: 198.18.0.0/24, except: [198.18.0.0/16]}]}]}`,
    ['except-covers-all'],
  ],
  [
    `${head}spec: {${web}, egress: [{toServices: [{k8sService: {serviceName: kubernetes, namespace: default}}]}]}`,
    ['apiserver-by-service', 'peers-select-nothing'],
  ],
  [`${head}spec: {${web}, egress: [{toCIDR: [203.0.113.6/32]}]}`, ['apiserver-by-cidr']],
  [`${head}spec: {${web}, egress: [{toCIDR: [192.168.1.1/32]}]}`, ['apiserver-by-cidr', 'cidr-covers-nodes']],
  [`${head}spec: {${web}, egress: [{toCIDR: [0.0.0.0/0]}]}`, []],
  [`${head}spec: {${web}, ingress: [{fromEndpoints: [{}]}]}`, ['gateway-not-admitted']],

  [
    `${head}spec: {endpointSelector: {matchLabels: {app: wbe}}, egress: [{toCIDR: [10.0.0.0/16, 192.168.0.0/24]}]}`,
    ['selects-nothing'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{matchLabels: {"reserved:unmanaged": "", zone: b}}]}]}`,
    [],
  ],

  // ports
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEntities: [world], toPorts: [{}]}]}`,
    ['port-rule-without-ports'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEntities: [host], toPorts: [{ports: [{port: "80", endPort: 79}]}]}]}`,
    ['end-port-ignored'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEntities: [host], ${port('dns')}}]}`,
    ['named-port-unknown'],
  ],
  [`${head}spec: {${web}, egress: [{toEntities: [world], ${port('http')}}]}`, ['named-port-ambiguous']],
  [`${head}spec: {${web}, ingress: [{${open}}, {fromEntities: [host], ${port('http')}}]}`, []],
  [`${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${port('"8000"')}}]}`, ['service-port']],
  [`${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${port('"8080"')}}]}`, []],
  [
    `${head}spec: {endpointSelector: {matchLabels: {app: database}}, ingress: [{${open}}, {fromEndpoints: [{}], ${port('"7000"')}}]}`,
    [],
  ],
  [
    `${head}spec: {endpointSelector: {matchLabels: {app: database}}, egress: [{toEndpoints: [{matchLabels: {app: web}}], ${port('"8000"')}}]}`,
    ['service-port'],
  ],
  [
    `${head}spec: {endpointSelector: {matchLabels: {app: web}}, egress: [{toEndpoints: [{matchLabels: {app: database}}], ${port('"8000"')}}]}`,
    [],
  ],

  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], toPorts: [{ports: [{port: "7999", endPort: 8001, protocol: TCP}]}]}]}`,
    [],
  ],

  // what is decided
  [
    `${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: database}}]}], egressDeny: [{toEntities: [cluster]}]}`,
    ['shadowed-by-deny'],
  ],
  [
    `${head}spec: {${web}, egress: [{toEndpoints: [{}]}], egressDeny: [{toEndpoints: [{matchLabels: {app: database}}]}]}`,
    [],
  ],
  [
    `${cluster}spec: {${node}, ingress: [{fromCIDR: [198.18.0.0/16], ${port('"22"')}}]}`,
    ['failsafe-wider', 'host-port-forgotten'],
  ],
  [`${cluster}spec: {${node}, ingress: [{fromEntities: [all]}]}`, ['everything-from-world']],
  ...hostCases(),
  [
    `${cluster}spec: {${node}, enableDefaultDeny: {ingress: false}, ingressDeny: [{fromCIDR: [198.18.0.0/16]}]}`,
    ['failsafe-wider'],
  ],
  [
    `${cluster.replace('metadata: {', 'metadata: {annotations: {merlon.io/enforcement: audit}, ')}spec: {${node}, ingress: [{fromEntities: [all]}]}`,
    ['everything-from-world', 'staged'],
  ],

  [
    `${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: database}}], icmps: [{fields: [{type: EchoRequest}]}]}], egressDeny: [{toEntities: [cluster], icmps: [{fields: [{type: EchoRequest}]}]}]}`,
    ['shadowed-by-deny'],
  ],

  // DNS names
  [
    `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: c.io}]}]}`,
    ['fqdn-without-dns-egress', 'fqdn-without-dns-rule'],
  ],
  // Whoever is proxied at port 53 may ask.
  [
    `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: c.io}]}, {toPorts: [{ports: [{port: "53", protocol: TCP}], listener: {name: a, envoyConfig: {name: b}}}]}]}`,
    ['fqdn-without-dns-rule', 'proxy-unavailable'],
  ],
  [
    `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: c.io}]}, {toEntities: [cluster], toPorts: [{ports: [{port: "53"}]}]}]}`,
    ['fqdn-without-dns-rule'],
  ],
  [`${head}spec: {${web}, egress: [{toFQDNs: [{matchName: c.io}]}, ${anyName}]}`, []],
  [`${head}spec: {${web}, egress: [{toFQDNs: [{matchName: a.io}]}, ${anyName}]}`, ['fqdn-shared-address']],
  [`${head}spec: {${web}, egress: [{toFQDNs: [{matchName: a.io}, {matchName: b.io}]}, ${anyName}]}`, []],
  [`${head}spec: {${web}, egress: [{toFQDNs: [{matchPattern: "*.c.io"}]}, ${anyName}]}`, ['wildcard-depth']],
  [
    `${head}spec: {${web}, egress: [{toFQDNs: [{matchPattern: "*.c.io"}, {matchName: c.io}]}, ${anyName}]}`,
    [],
  ],
  [`${head}spec: {${web}, egress: [{${dns('{matchPattern: "*.svc.cluster.local"}')}}]}`, ['wildcard-depth']],
  [`${head}spec: {${web}, egress: [{${dns('{matchPattern: "**.cluster.local"}')}}]}`, []],
  [`${head}spec: {${web}, egress: [{${dns('{matchName: c.io}')}}]}`, ['dns-search-refused']],
  [`${head}spec: {${web}, egress: [{${dns('{matchName: a.b.c.d.io}')}}]}`, ['dns-search-refused']],
  [`${head}spec: {${web}, egress: [{${dns('{matchName: a.b.c.d.e.io}')}}]}`, []],
  [`${head}spec: {${web}, egress: [{${dns('{matchName: c.io}, {matchPattern: "**.cluster.local"}')}}]}`, []],

  // layer 7
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{matchLabels: {app: database}}], ${http('{path: /a/b}')}}]}`,
    ['http-path-query'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{path: "/a(\\\\?.*)?"}')}}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{path: "/list?page=.*"}')}}]}`,
    ['http-unescaped-query'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{path: "/colou?r/.*"}, {path: "/items/?"}, {path: "/a[?]b=1"}, {path: "/a\\\\?b=1"}, {path: "/\\\\d?b=.*"}')}}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{method: POST, path: "/pkg[.]Cars/Open"}')}}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{host: api.io}')}}]}`,
    ['http-unescaped-dot'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{path: "^/a/.*$"}')}}]}`,
    ['http-anchor'],
  ],
  [
    `${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{method: get}, {path: "a/.*"}')}}]}`,
    ['http-never-matches'],
  ],
  [`${head}spec: {${web}, ingress: [{${open}}, {fromEndpoints: [{}], ${http('{path: "a|/b/.*"}')}}]}`, []],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world, ingress]}, {fromEntities: [world], ${http('{method: GET}')}}]}`,
    ['l7-ineffective'],
  ],
  [
    `${head}spec: {${web}, enableDefaultDeny: {ingress: false}, ingress: [{fromEntities: [world], ${http('{method: GET}')}}]}`,
    ['l7-ineffective'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [ingress]}, {fromEntities: [world], ${http('{method: GET}')}}]}`,
    [],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world, ingress]}, {fromEntities: [world], ${http('{headers: [X-Team]}')}}]}`,
    ['l7-ineffective'],
  ],
  // That the local host may always come is no news.
  [`${head}spec: {${web}, ingress: [{${open}}, {fromEntities: [host], ${http('{method: GET}')}}]}`, []],
  // Rules that let everything pass by themselves lose nothing; the DNS proxy asks rules of its port alone.
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world, ingress]}, {fromEntities: [world], ${http('{}')}}]}`,
    [],
  ],
  [`${head}spec: {${web}, egress: [{toEntities: [world]}, ${anyName}]}`, []],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [ingress]}, {fromEntities: [world], toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}, {ports: [{port: "80", protocol: TCP}], rules: {kafka: [{topic: a}]}}]}]}`,
    ['conflict'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [ingress, world], authentication: {mode: required}}]}`,
    ['auth-unavailable'],
  ],
];

/** Beside what failsafe lets in; `rest` are all ports that nobody may reach. */
function hostCases(): typeof cases {
  const rest = ['host-port-forgotten'];
  const ssh = (cidrs: string, ports = port('"22"')) =>
    `${cluster}spec: {${node}, ingress: [{${cidrs}, ${ports}}]}`;
  return [
    [ssh('fromCIDR: [0.0.0.0/0]'), ['failsafe-wider', ...rest]],
    [ssh('fromCIDR: [0.0.0.0/0, "::/0"]'), rest],
    [
      ssh('fromCIDRSet: [{cidr: 0.0.0.0/0, except: [10.0.0.0/8]}, {cidr: "::/0"}]'),
      ['failsafe-wider', ...rest],
    ],
    [ssh('fromEntities: [world]'), rest],
    [ssh('fromEntities: [cluster]'), ['failsafe-wider', ...rest]],
    [ssh('fromCIDR: [198.18.0.0/16]', port('"0"')), ['failsafe-wider', ...rest]],
    [ssh('fromCIDR: [198.18.0.0/16]', 'toPorts: [{ports: [{port: "0", protocol: UDP}]}]'), rest],
    [ssh('fromCIDR: [198.18.0.0/16]', port('"23"')), rest],
    // The last port of an entry's range, and the one behind it.
    [ssh('fromCIDR: [198.18.0.0/16]', port('"2380"')), ['failsafe-wider', ...rest]],
    [ssh('fromCIDR: [198.18.0.0/16]', port('"2381"')), rest],
    [
      `${cluster}spec: {${node}, egress: [{toCIDR: [198.18.0.0/16], toPorts: [{ports: [{port: "53", protocol: UDP}]}]}]}`,
      ['failsafe-wider'],
    ],
    [
      `${cluster}spec: {${node}, egress: [{toCIDR: [192.0.2.0/24], toPorts: [{ports: [{port: "53", protocol: UDP}]}]}]}`,
      [],
    ],
    [
      `${cluster}spec: {${node}, enableDefaultDeny: {ingress: false}, ingressDeny: [{fromCIDR: [198.18.0.0/16], toPorts: [{ports: [{port: "23"}]}]}]}`,
      [],
    ],
  ];
}

for (const [text, want] of cases) {
  const title = text.split('spec: ')[1] ?? '';
  test(`lint – ${want.join(', ') || 'nothing'}: ${title}`, (t) => {
    const isAsking = /rules: \{/.test(text);
    t.deepEqual(codesOf(findings(text)), [...want, ...(isAsking ? ['proxy-unavailable'] : [])].sort());
  });
}

const others: readonly [code: string, found: () => readonly string[]][] = [
  [
    'host-firewall-off',
    () =>
      codesOf(findings(`${cluster}spec: {${node}, ingress: [{${open}}]}`, { config: 'hostFirewall: false' })),
  ],
  [
    'peers-beyond-cluster',
    () =>
      codesOf(
        findings(
          `${cluster}spec: {${node}, ingress: [{fromEndpoints: [{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: DoesNotExist}]}]}]}`,
          { config: 'hostFirewall: true, policyDefaultLocalCluster: false' },
        ),
      ),
  ],
  [
    'group-entry-ignored',
    () =>
      objectCodes(
        'apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: a}\nspec: {externalCIDRs: [x]}\n',
      ),
  ],
  [
    'network-policies-off',
    () =>
      objectCodes(
        'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {podSelector: {}}\n',
        { networkPolicies: false },
      ),
  ],
  [
    'service-not-balanced',
    () => objectCodes('apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n'),
  ],
  ...['address-repeated', 'label-overridden'].map((code): (typeof others)[number] => [
    code,
    () =>
      objectCodes(
        'apiVersion: merlon.io/v1\nkind: Workload\nmetadata: {name: a}\nspec: {hostDevice: v0, labels: {io.cilium.k8s.policy.cluster: x}, addresses: [10.0.0.1, 10.0.0.1]}\n',
      ),
  ]),
];

for (const [code, found] of others) {
  test(`lint – ${code}`, (t) => {
    t.true(found().includes(code), found().join());
  });
}

test('lint – every code of the catalogue has a case', (t) => {
  const seen = new Set([
    ...cases.flatMap(([, want]) => want),
    ...others.map(([code]) => code),
    'proxy-unavailable',
  ]);
  t.deepEqual(
    Object.keys(FINDINGS).filter((code) => !seen.has(code)),
    [],
  );
});

test('lint – a typing error in a label is answered with the nearest label', (t) => {
  for (const [written, meant] of [
    ['matchLabels: {app: databse}', 'app=database'],
    ['matchLabels: {ap: database}', 'app=database'],
    ['matchExpressions: [{key: ap, operator: Exists}]', 'app'],
  ]) {
    const [found] = findings(`${head}spec: {endpointSelector: {${written}}, ingress: [{${open}}]}`);
    t.true(found?.hint?.endsWith(`did you mean ${meant}?`), found?.hint);
  }
});

test('lint – names of DNS servers that a default deny comes to, and of failsafe entries', (t) => {
  const messages = (text: string) => findings(text).map(({ message }) => message);
  t.deepEqual(messages(`${cluster}spec: {endpointSelector: {}, egress: [{toEntities: [cluster]}]}`), [
    'default deny at egress also comes to health, ingress, init endpoints, and to the DNS servers kube-system/dns',
  ]);
  const host = `${cluster}spec: {${node}, egress: [{toCIDR: [198.18.0.0/16], toPorts: [{ports: [{port: "53", protocol: UDP}]}]}]}`;
  t.deepEqual(messages(host), [
    'spec.egress[0]: failsafe entry 2 (UDP/53 to 192.0.2.53/32) passes what rule would not: there the policy has no effect',
  ]);
});

test('lint – what a pattern leaves out', (t) => {
  const message = (pattern: string) =>
    findings(`${head}spec: {${web}, egress: [{toFQDNs: [{matchPattern: "${pattern}"}]}, ${anyName}]}`).find(
      ({ code }) => code === 'wildcard-depth',
    )?.message;
  t.is(message('*.c.io'), 'spec.egress[0]: *.c.io means neither c.io itself, nor x.y.c.io');
  t.is(message('**.c.io'), 'spec.egress[0]: **.c.io means names below c.io, not c.io itself');
  t.is(message('*'), undefined);
});

test('lint – a rule for anybody is shadowed, too', (t) => {
  const text = `${head}spec: {${web}, ingress: [{toPorts: [{ports: [{port: "80"}]}]}], ingressDeny: [{fromEntities: [all]}]}`;
  t.true(codesOf(findings(text)).includes('shadowed-by-deny'));
});

test('lint – what shadows a rule is named', (t) => {
  const [found] = findings(
    `${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: database}}]}], egressDeny: [{toEntities: [cluster]}]}`,
  );
  t.is(found?.message, 'spec.egress[0]: decides nothing: shop/rule/0/egressDeny/0 denies all of it');
});

test('lint – without a world nobody is missed, and what needs nobody is told', (t) => {
  const text = `${head}spec: {endpointSelector: {matchLabels: {app: nobody}}, egress: [{toEndpoints: [{matchLabels: {app: none}}]}], egressDeny: [{toEndpoints: [{}]}]}`;
  t.deepEqual(codesOf(findings(text, { isAlone: true })), ['shadowed-by-deny']);
});

test('lint – a namespace that is not the policy’s is told once', (t) => {
  for (const written of [
    'matchLabels: {"k8s:io.kubernetes.pod.namespace": wiki}',
    'matchExpressions: [{key: "k8s:io.kubernetes.pod.namespace", operator: In, values: [wiki]}]',
    'matchLabels: {io.kubernetes.pod.namespace: wiki}',
  ]) {
    const found = findings(`${head}spec: {endpointSelector: {${written}}, ingress: [{${open}}]}`);
    t.is(found.filter(({ code }) => code === 'foreign-namespace').length, 1, written);
  }
});

test('lint – without a world nobody is missing', (t) => {
  const nobody = 'matchLabels: {app: web}, matchExpressions: [{key: app, operator: NotIn, values: [web]}]';
  const text = `${head}spec: {endpointSelector: {${nobody}}, ingress: [{${open}}]}`;
  t.false(codesOf(findings(text, { isAlone: true })).includes('selects-nothing'));
  t.true(codesOf(findings(text)).includes('selects-nothing'));
});

test('lint – a policy in audit is advised as if it were enforced', (t) => {
  const audit = cluster.replace('metadata: {', 'metadata: {annotations: {merlon.io/enforcement: audit}, ');
  const ssh = `ingress: [{fromCIDR: [198.18.0.0/16], ${port('"23"')}}]`;
  const deny = `ingressDeny: [{fromEntities: [world]}]`;
  t.deepEqual(codesOf(findings(`${audit}spec: {${node}, ${ssh}}`)), ['host-port-forgotten', 'staged']);
  t.true(codesOf(findings(`${audit}spec: {${node}, ${ssh}, ${deny}}`)).includes('shadowed-by-deny'));
});
