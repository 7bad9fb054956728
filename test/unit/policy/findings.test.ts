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
    ['proxy-conflict', 'proxy-conflict'],
  ],
  ['names that nobody learns', policy(fqdn), true, ['fqdn-without-dns-rule']],
  ['nothing with a DNS rule beside it', policy(fqdn, 'names') + policy(dns, 'dns'), true, []],
  [
    'a DNS rule of other subjects does not help',
    policy(fqdn, 'names') + policy(dns, 'dns').replace('app: web', 'app: client'),
    true,
    ['fqdn-without-dns-rule'],
  ],
  ['names of subjects that are not there', policy(fqdn).replace('app: web', 'app: none'), true, []],
];
for (const [what, text, has, codes] of cases) {
  test(`findings – ${what}`, (t) => {
    const given = world(text);
    const { compiled } = compileWorld(given);
    const found = findingsOf({ ...given, compiled, hasProxy: has, hasAuth: has });
    t.deepEqual(
      found.map((finding) => finding.code),
      codes,
    );
    for (const finding of found) t.true(finding.at.line !== undefined && finding.message.includes('shop/'));
  });
}
