/** The first field that failed, in words that tell a typing error from a fact that is missing. */
import test from 'ava';
import { CaseRun, explain, readCase } from '#cases';

const CASE = `
name: what explain says of rules that do not match
cidrGroups:
  - {name: partners, labels: {tier: gold}, cidrs: [198.51.100.0/24]}
services:
  - {name: shop/db, ports: [{port: 5432}], backends: [192.0.2.7]}
dns:
  - {name: api.example.org, ips: [192.0.2.1, 192.0.2.2], by: shop/web}
endpoints:
  - {name: shop/web, labels: {app: web}, ips: [10.0.0.1], namedPorts: {http: 8080/TCP}}
  - {name: shop/old, labels: {app: old}, ips: [10.0.0.2], namedPorts: {http: 80/TCP}}
policies:
  - apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      endpointSelector: {matchLabels: {app: web}}
      egress:
RULES
      ingress:
        - {toPorts: [{ports: [{port: http, protocol: TCP}]}]}
        - {toPorts: [{ports: [{port: metrics, protocol: TCP}]}]}
expect: []
`;

/** Why each rule of a direction says nothing of a packet of `shop/web` with an address outside. */
function failures(rules: readonly string[], direction: 'ingress' | 'egress'): readonly string[] {
  const text = CASE.replace('RULES', () => rules.map((rule) => `        - ${rule}`).join('\n'));
  const read = readCase(text, 'case.yaml', () => {
    throw new Error('it names no file');
  });
  if (read.case === undefined) throw new Error(read.problems.map((one) => one.message).join('\n'));
  const run = new CaseRun(read.case.world, read.case.policies);
  const [party, web] = ['203.0.113.9', 'shop/web'].map((name) => run.party(name));
  if (party === undefined || web === undefined) throw new Error('no such party');
  const [from, to] = direction === 'egress' ? [web, party] : [party, web];
  const [result] = run.results({
    from,
    to,
    protocol: 6,
    port: 443,
    icmpCode: undefined,
    ct: 'new',
    request: undefined,
    direction,
  });
  const [side] = result?.sides ?? [];
  if (side === undefined) throw new Error('nobody was asked');
  return explain(side).policies.flatMap(({ rules: steps }) =>
    steps.map(({ failed }) => `${failed?.field}: ${failed?.why}`),
  );
}

const EGRESS: readonly (readonly [name: string, rule: string, why: string])[] = [
  [
    'a name that was answered',
    '{toFQDNs: [{matchPattern: "*.Example.org"}]}',
    'toFQDNs: *.example.org is known as 192.0.2.1, 192.0.2.2, which is not the peer',
  ],
  [
    'a name that nobody asked for',
    '{toFQDNs: [{matchName: db.example.org}]}',
    'toFQDNs: no address has been learnt for db.example.org: no DNS answer for it was seen',
  ],
  [
    'a group that is there',
    '{toCIDRSet: [{cidrGroupRef: partners}]}',
    'toCIDRSet: no prefix of partners means the peer',
  ],
  [
    'a group by its labels',
    '{toCIDRSet: [{cidrGroupSelector: {matchLabels: {tier: gold}}}]}',
    'toCIDRSet: no prefix of partners means the peer',
  ],
  [
    'a group that is not there',
    '{toCIDRSet: [{cidrGroupRef: partner}]}',
    'toCIDRSet: there is no CiliumCIDRGroup for cidrgroup:io.cilium.policy.cidrgroupname/partner Exists',
  ],
  [
    'a Service with other addresses',
    '{toServices: [{k8sService: {serviceName: db, namespace: shop}}]}',
    'toServices: Service shop/db: 192.0.2.7/32 does not mean the peer',
  ],
  [
    'a Service that is not there',
    '{toServices: [{k8sService: {serviceName: dp, namespace: shop}}]}',
    'toServices: Service shop/dp is not there or has no address',
  ],
  [
    'a port name that means two numbers',
    '{toPorts: [{ports: [{port: http, protocol: TCP}]}]}',
    'toPorts: TCP/443 is not TCP/http (80 or 8080, so it means none)',
  ],
];

for (const [name, rule, why] of EGRESS) {
  test(`${name} – the reason says so`, (t) => t.deepEqual(failures([rule], 'egress'), [why]));
}

test('a port name of the subject – its number, or that it has none', (t) => {
  t.deepEqual(failures(['{toEntities: [none]}'], 'ingress'), [
    'toPorts: TCP/443 is not TCP/http (8080)',
    'toPorts: TCP/443 is not TCP/metrics (nobody has a port of this name)',
  ]);
});
