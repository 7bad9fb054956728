/** Advice: each code is provoked once, and silent where it does not apply. */
import test from 'ava';
import { CaseRun, LINT_CODES, lint, readCase } from '#cases';
import { parsePolicies } from '#model/parse';

const world = `
name: a world
nodes: [{name: node-a, ips: [192.168.0.1], labels: {role: worker}}]
endpoints:
  - {name: shop/web, labels: {app: web}, ips: [10.0.0.1], node: node-a, namedPorts: {http: 80/TCP}}
  - {name: shop/db, labels: {app: database}, ips: [10.0.0.2], node: node-a, namedPorts: {http: 8080/TCP}}
`;

const head = 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: rule, namespace: shop}\n';
const cluster = 'apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: rule}\n';

function codes(text: string): readonly string[] {
  const policies = parsePolicies(text);
  const read = readCase(world, 'world.yaml', () => ({ file: '', text: '' }));
  if (read.case === undefined) throw new Error(JSON.stringify(read.problems));
  const views = new CaseRun(read.case.world, policies).views();
  return [...new Set(lint(policies, views).map((finding) => finding.code))];
}

const web = 'endpointSelector: {matchLabels: {app: web}}';
const port = (name: string) => `toPorts: [{ports: [{port: ${name}, protocol: TCP}]}]`;

const cases: readonly [text: string, want: readonly string[]][] = [
  [`${head}spec: {${web}, ingress: [{fromEndpoints: [{}]}]}`, []],
  [`${head}spec: {${web}, egressDeny: [{toCIDR: [169.254.169.254/32]}]}`, ['deny-only-default-deny']],
  [
    `${head}spec: {${web}, enableDefaultDeny: {egress: false}, egressDeny: [{toCIDR: [169.254.169.254/32]}]}`,
    [],
  ],
  [`${head}spec: {${web}, ingress: [{}]}`, ['empty-rule']],
  [`${head}spec: {${web}, ingress: [{fromEntities: [world], toPorts: [{}]}]}`, ['port-rule-without-ports']],
  [`${head}spec: {${web}, ingress: [{fromEntities: [all]}]}`, ['everything-from-world']],
  [
    `${head}spec: {endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: wiki}}, ingress: [{fromEntities: [world]}]}`,
    ['foreign-namespace', 'selects-nothing'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEndpoints: [{matchExpressions: [{key: pod-template-hash, operator: DoesNotExist}]}]}]}`,
    ['filtered-label'],
  ],
  [
    `${cluster}spec: {endpointSelector: {}, ingress: [{fromEntities: [cluster]}]}`,
    ['infrastructure-selected'],
  ],
  [
    `${head}spec: {${web}, egress: [{toServices: [{k8sService: {serviceName: kubernetes, namespace: default}}]}]}`,
    ['apiserver-by-service', 'never-decides'],
  ],
  [
    `${head}spec: {endpointSelector: {matchLabels: {app: wbe}}, ingress: [{fromEntities: [world]}]}`,
    ['selects-nothing'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEndpoints: [{matchLabels: {app: databse}}]}]}`,
    ['peers-select-nothing', 'never-decides'],
  ],
  [`${head}spec: {${web}, egress: [{toCIDR: [192.168.0.0/24]}]}`, ['cidr-covers-nodes']],
  [`${head}spec: {${web}, egress: [{toCIDR: [10.0.0.0/8]}]}`, ['cidr-covers-pods']],
  [`${head}spec: {${web}, egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [10.0.0.0/24]}]}]}`, []],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world], ${port('dns')}}]}`,
    ['named-port-unknown', 'never-decides'],
  ],
  [
    `${head}spec: {${web}, egress: [{toEntities: [world], ${port('http')}}]}`,
    ['named-port-ambiguous', 'never-decides'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEndpoints: [{matchLabels: {app: database}}]}], ingressDeny: [{fromEntities: [cluster]}]}`,
    ['never-decides'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world], toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}]}]}`,
    ['proxy-unavailable'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world], toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}, {ports: [{port: "80", protocol: TCP}], rules: {kafka: [{topic: a}]}}]}]}`,
    ['never-decides', 'proxy-unavailable', 'conflict'],
  ],
  [
    `${head}spec: {${web}, ingress: [{fromEntities: [world], authentication: {mode: required}}]}`,
    ['auth-unavailable'],
  ],
  [
    `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: a.io}]}]}`,
    ['never-decides', 'fqdn-without-dns-rule'],
  ],
];

for (const [text, want] of cases) {
  const title = text.split('spec: ')[1] ?? '';
  test(`lint – ${want.join(', ') || 'nothing'}: ${title}`, (t) => {
    t.deepEqual(codes(text), [...want]);
  });
}

test('lint – every code but the parser’s has a case', (t) => {
  const seen = new Set(cases.flatMap(([, want]) => want));
  const missing = Object.keys(LINT_CODES).filter((code) => !seen.has(code));
  t.deepEqual(missing, ['accepted-with-warning']);
});

test('lint – a typing error in a label is answered with the nearest label', (t) => {
  const read = readCase(world, 'world.yaml', () => ({ file: '', text: '' }));
  const policies = parsePolicies(
    `${head}spec: {endpointSelector: {matchLabels: {app: databse}}, ingress: [{fromEntities: [world]}]}`,
  );
  const views = read.case === undefined ? [] : new CaseRun(read.case.world, policies).views();
  t.regex(lint(policies, views)[0]?.hint ?? '', /did you mean app=database\?/);
});
