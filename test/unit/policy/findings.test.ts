/** What is told of policies that are accepted, but refuse or mean less than their author may expect. */
import test from 'ava';
import { findingsOf } from '#policy';
import { policy, world } from './cases.ts';
import { compileWorld } from './compiled-world.ts';

const TCP = 'ports: [{port: "80", protocol: TCP}]';
const http = `ingress: [{toPorts: [{${TCP}, rules: {http: [{method: GET}]}}]}]`;
const fqdn = 'egress: [{toFQDNs: [{matchName: a.io}]}]';
const dns = 'egress: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]}]';

const cases: readonly [what: string, text: string, has: boolean, codes: readonly string[]][] = [
  ['nothing of a plain policy', policy('ingress: [{fromEndpoints: [{}]}]'), false, []],
  ['a proxy that nobody serves', policy(http), false, ['proxy-unavailable']],
  ['nothing when one does', policy(http), true, []],
  [
    'authentication that nobody performs',
    policy('ingress: [{fromEndpoints: [{}], authentication: {mode: required}}]'),
    false,
    ['auth-unavailable'],
  ],
  [
    'nothing when it is disabled',
    policy('ingress: [{fromEndpoints: [{}], authentication: {mode: disabled}}]'),
    false,
    [],
  ],
  [
    'a conflict, on both policies',
    policy(http, 'one') + policy(`ingress: [{toPorts: [{${TCP}, rules: {kafka: [{}]}}]}]`, 'two'),
    true,
    ['conflict', 'conflict'],
  ],
  [
    'modes of authentication that differ, on both policies',
    policy('ingress: [{fromEndpoints: [{}], authentication: {mode: disabled}}]', 'one') +
      policy('ingress: [{fromEndpoints: [{}], authentication: {mode: test-always-fail}}]', 'two'),
    true,
    ['conflict', 'conflict'],
  ],
  ['names that nobody learns', policy(fqdn), true, ['fqdn-without-dns-egress', 'fqdn-without-dns-rule']],
  ['nothing with a DNS rule beside it', policy(fqdn, 'names') + policy(dns, 'dns'), true, []],
  [
    'a DNS rule of other subjects does not help',
    policy(fqdn, 'names') + policy(dns, 'dns').replace('app: web', 'app: client'),
    true,
    ['fqdn-without-dns-egress', 'fqdn-without-dns-rule'],
  ],
  [
    'names of subjects that are not there',
    policy(fqdn).replace('app: web', 'app: none'),
    true,
    ['selects-nothing'],
  ],
];
const worldCases: typeof cases = [
  ['deny rules alone', policy('egressDeny: [{toEntities: [world]}]'), true, ['deny-only-default-deny']],
  [
    'nothing when default deny is off',
    policy('enableDefaultDeny: {egress: false}, egressDeny: [{toEntities: [world]}]'),
    true,
    [],
  ],
  [
    'a port name with two numbers',
    policy('egress: [{toPorts: [{ports: [{port: shared, protocol: TCP}]}]}]'),
    true,
    ['named-port-ambiguous'],
  ],
  [
    'nothing at ingress',
    policy('ingress: [{toPorts: [{ports: [{port: shared, protocol: TCP}]}]}]'),
    true,
    [],
  ],
  ['a prefix over nodes', policy('egress: [{toCIDR: [10.0.0.0/24]}]'), true, ['cidr-covers-nodes']],
  [
    'nothing when they are cut out',
    policy('egress: [{toCIDRSet: [{cidr: 10.0.0.0/24, except: [10.0.0.0/29]}]}]'),
    true,
    [],
  ],
  [
    'a rule that a deny covers',
    policy('ingress: [{fromEndpoints: [{}]}], ingressDeny: [{fromEntities: [cluster]}]'),
    true,
    ['shadowed-by-deny'],
  ],
  ['an empty rule', policy('ingress: [{}]'), true, ['empty-rule']],
];
for (const [what, text, has, codes] of [...cases, ...worldCases]) {
  test(`findings – ${what}`, (t) => {
    const given = world(text, { cidrMatchNodes: false });
    const { compiled, identities } = compileWorld(given);
    const nodes = [{ world: given, compiled, identities }];
    const { policies, config, facts } = given;
    const all = [
      ...findingsOf({ policies, config, facts, nodes, isReal: true, hasProxy: has, hasAuth: has }),
    ];
    const found = all.flatMap(({ findings }) => findings);
    t.deepEqual(
      found.map((finding) => finding.code),
      codes,
    );
    for (const finding of found) t.true(finding.at.line !== undefined);
  });
}
