import test from 'ava';
import { problemsOf, read } from './read.ts';

const knp = (spec: string) =>
  `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p, namespace: shop}, spec: ${spec}}`;

const errors: readonly [what: string, spec: string, error: RegExp][] = [
  ['an unknown field', '{podSelector: {}, ingres: []}', /unknown key ingres|ingres/],
  ['an unknown type', '{podSelector: {}, policyTypes: [ingress]}', /unknown policy type "ingress"/],
  ['a peer without anything', '{podSelector: {}, ingress: [{from: [{}]}]}', /a peer needs podSelector/],
  [
    'ipBlock beside a selector',
    '{podSelector: {}, ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]}',
    /ipBlock cannot stand beside a selector/,
  ],
  ['an ipBlock without cidr', '{podSelector: {}, ingress: [{from: [{ipBlock: {}}]}]}', /cidr is missing/],
  [
    'a bad cidr',
    '{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}',
    /unable to parse CIDR/,
  ],
  [
    'an exception outside',
    '{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/8]}}]}]}',
    /does not contain/,
  ],
  [
    'an unknown protocol',
    '{podSelector: {}, ingress: [{ports: [{port: 1, protocol: ICMP}]}]}',
    /invalid protocol: "ICMP"/,
  ],
  ['port 0', '{podSelector: {}, ingress: [{ports: [{port: 0}]}]}', /unable to parse port: 0/],
  [
    'a port that is too large',
    '{podSelector: {}, ingress: [{ports: [{port: 70000}]}]}',
    /unable to parse port/,
  ],
  [
    'a range that runs backwards',
    '{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 79}]}]}',
    /endPort 79 is below port 80/,
  ],
  ['endPort alone', '{podSelector: {}, ingress: [{ports: [{endPort: 79}]}]}', /endPort stands without port/],
  [
    'endPort with a name',
    '{podSelector: {}, ingress: [{ports: [{port: http, endPort: 79}]}]}',
    /cannot stand beside a port name/,
  ],
  ['a source before a key', '{podSelector: {matchLabels: {"k8s:a": b}}}', /invalid label selector/],
];
for (const [what, spec, error] of errors) {
  test(`NetworkPolicy – refused: ${what}`, (t) => {
    const found = problemsOf(knp(spec));
    t.is(found.length, 1);
    t.regex(found[0] ?? '', error);
    t.regex(found[0] ?? '', /^t\.yaml:1:\d+: /);
  });
}

test('NetworkPolicy – spec is required, specs is unknown', (t) => {
  t.regex(
    problemsOf('{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}}')[0] ?? '',
    /spec is missing/,
  );
  const text =
    '{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: {podSelector: {}}, specs: []}';
  t.regex(problemsOf(text)[0] ?? '', /specs/);
});

test('NetworkPolicy – a rule that its types leave out is warned about', (t) => {
  const [object] = read(knp('{podSelector: {}, policyTypes: [Egress], ingress: [{}]}'));
  t.deepEqual(
    object?.warnings.map((w) => w.message),
    ['spec.ingress: the ingress rules count for nothing: policyTypes does not list Ingress'],
  );
});

test('Workload – named ports are read, and wrong ones refused', (t) => {
  const workload = (ports: string) =>
    `{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: w}, spec: {hostDevice: veth0, addresses: [10.0.0.5], namedPorts: ${ports}}}`;
  const [object] = read(workload('{http: 8080/TCP, dns: 53/udp, web: 80}'));
  t.deepEqual(object?.value?.kind === 'workload' && object.value.workload.namedPorts, [
    { name: 'dns', protocol: 17, port: 53 },
    { name: 'http', protocol: 6, port: 8080 },
    { name: 'web', protocol: 6, port: 80 },
  ]);
  for (const bad of [
    '{http: 0/TCP}',
    '{http: 80/ICMP}',
    '{http: x}',
    '{"80": 80}',
    '{HTTP: 80}',
    '{http: }',
  ]) {
    t.regex(problemsOf(workload(bad))[0] ?? '', /port/, bad);
  }
});
