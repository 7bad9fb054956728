/** Errors of peers outside of labels and CIDRs, and the objects that policies refer to. */
import test from 'ava';
import { cnp, policyOf, problemsOf, read, ruleWords } from './read.ts';

const egress = (peers: string) => cnp(`{endpointSelector: {}, egress: [{${peers}}]}`);

const errors: readonly [what: string, text: string, error: RegExp][] = [
  [
    'nodes without the option',
    egress('toNodes: [{}]'),
    /can only be applied when the "enable-node-selector-labels" flag is set/,
  ],
  [
    'both ways to name a service',
    egress('toServices: [{k8sService: {serviceName: a}, k8sServiceSelector: {selector: {}}}]'),
    /one of k8sService/,
  ],
  ['no way to name a service', egress('toServices: [{}]'), /one of k8sService/],
  ['a service without name', egress('toServices: [{k8sService: {namespace: a}}]'), /serviceName is missing/],
  [
    'a service with an empty name',
    egress('toServices: [{k8sService: {serviceName: ""}}]'),
    /serviceName is empty/,
  ],
  [
    'a service selector without selector',
    egress('toServices: [{k8sServiceSelector: {}}]'),
    /selector is missing/,
  ],
  ['an empty list of services', egress('toServices: []'), /an empty list/],
  ['an empty list of names', egress('toFQDNs: []'), /an empty list/],
  ['an empty list of groups', egress('toGroups: []'), /an empty list/],
  ['a star in matchName', egress('toFQDNs: [{matchName: "*.a.io"}]'), /Invalid characters in MatchName/],
  ['a bad pattern', egress('toFQDNs: [{matchPattern: "a/b"}]'), /Invalid characters in MatchPattern/],
  [
    'a name that is too long',
    egress(`toFQDNs: [{matchName: ${'a'.repeat(256)}}]`),
    /Invalid characters in MatchName/,
  ],
  [
    'name and pattern',
    egress('toFQDNs: [{matchName: a.io, matchPattern: "*"}]'),
    /only one of MatchName or MatchPattern/,
  ],
  ['neither name nor pattern', egress('toFQDNs: [{}]'), /one of matchName and matchPattern/],
  [
    'names beside CIDRs',
    egress('toFQDNs: [{matchName: a.io}], toCIDR: [10.0.0.0/8]'),
    /combining .* is not supported/,
  ],
  [
    'groups without a provider',
    egress('toGroups: [{aws: {securityGroupsIds: [a]}}]'),
    /no provider is registered/,
  ],
  ['a group name that is none', egress('toCIDRSet: [{cidrGroupRef: "A b"}]'), /is no name of a group/],
  [
    'a bad exception of a group',
    egress('toCIDRSet: [{cidrGroupRef: a, except: [x]}]'),
    /unable to parse CIDR/,
  ],
  [
    'two ways to name prefixes',
    egress('toCIDRSet: [{cidrGroupRef: a, cidr: 10.0.0.0/8}]'),
    /more than one of/,
  ],
  [
    'a group selector with a source',
    egress('toCIDRSet: [{cidrGroupSelector: {matchLabels: {"k8s:a": b}}}]'),
    /invalid label selector/,
  ],
];
for (const [what, text, error] of errors) {
  test(`peers – refused: ${what}`, (t) => {
    const found = problemsOf(text);
    t.is(found.length, 1);
    t.regex(found[0] ?? '', error);
    t.regex(found[0] ?? '', /^t\.yaml:1:\d+: /);
  });
}

test('peers – what is written is what is meant', (t) => {
  const words = (peers: string) =>
    policyOf(egress(peers), { nodeSelectorLabels: true, cloudGroupProviders: ['aws'] }).specs[0]?.rules.map(
      ruleWords,
    )[0];
  t.is(words('toFQDNs: [{matchPattern: "*.A.io."}]'), 'allow egress (fqdn *.a.io) any');
  t.is(
    words('toServices: [{k8sService: {serviceName: a}}]'),
    'allow egress (service ["*",{"name":"a"},"default"]) any',
  );
  t.is(
    words('toNodes: [{matchLabels: {a: b}}]'),
    'allow egress (any:a In (b) & k8s:io.cilium.k8s.policy.cluster In (default) & reserved:remote-node Exists) any',
  );
  t.is(
    words('toCIDRSet: [{cidrGroupRef: g, except: [10.0.0.0/8]}]'),
    'allow egress (groups{cidrgroup:io.cilium.policy.cidrgroupname/g Exists} -10.0.0.0/8) any',
  );
  t.is(
    words('toGroups: [{aws: {securityGroupsIds: [b, a]}}]'),
    'allow egress (aws [["a","b"],[],null,{}]) any',
  );
});

test('CiliumCIDRGroup – bad prefixes are left out with a warning, Cilium’s own labels too', (t) => {
  const [object] = read(
    '{apiVersion: cilium.io/v2, kind: CiliumCIDRGroup, metadata: {name: g, labels: {env: prod, io.cilium.x: y}}, spec: {externalCIDRs: [10.1.2.3/8, nonsense]}}',
  );
  const found = object?.value?.kind === 'cidrGroup' ? object.value.cidrGroup : undefined;
  t.deepEqual([found?.name, found?.cidrs, found?.labels], ['g', ['10.0.0.0/8'], { env: 'prod' }]);
  t.is(object?.warnings.length, 1);
});

test('Service and EndpointSlice – what policy needs is read, the rest is known', (t) => {
  const [service, slice] = read(`
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop, labels: {tier: front}}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}], type: ClusterIP, clusterIP: 10.96.0.7}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-1, namespace: shop, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.0.0.7], conditions: {ready: true}}, {addresses: [10.0.0.8]}]
`);
  t.deepEqual(service?.value?.kind === 'service' && service.value.service.selector, { app: 'web' });
  t.deepEqual(slice?.value?.kind === 'endpointSlice' && slice.value.endpointSlice.addresses, [
    '10.0.0.7',
    '10.0.0.8',
  ]);
  for (const spec of ['{ports: [{port: 80}]}', '{selector: {}, ports: [{port: 80}]}']) {
    const [plain] = read(
      `{apiVersion: v1, kind: Service, metadata: {name: api, namespace: shop}, spec: ${spec}}`,
    );
    t.is(plain?.value?.kind === 'service' && plain.value.service.selector, undefined, spec);
  }
  const noLabel =
    '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}, addressType: IPv4}';
  t.regex(problemsOf(noLabel)[0] ?? '', /kubernetes.io\/service-name is missing/);
});
