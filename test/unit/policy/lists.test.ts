/** What empty, absent and null lists mean (policy.md §7), and default deny on pods and on the host (§8, HF-5.1). */
import test from 'ava';
import { allowedPeers, clusterPolicy, policy, world } from './cases.ts';

const EVERYONE = 'client stranger node host world world6 metadata';

/** Who may reach TCP port 80 of the subject, and whom the subject may reach there. */
const cases: readonly [what: string, spec: string, from: string, to: string][] = [
  ['a rule without peer and port closes the direction', 'ingress: [{}]', '', EVERYONE],
  ['an empty peer list allows nobody', 'ingress: [{fromEndpoints: []}]', '', EVERYONE],
  [
    'an empty peer list with ports allows nobody',
    'ingress: [{fromEndpoints: [], toPorts: [{ports: [{port: "80"}]}]}]',
    '',
    EVERYONE,
  ],
  ['an empty CIDR list allows nobody', 'ingress: [{fromCIDR: []}]', '', EVERYONE],
  ['an empty CIDR set allows nobody', 'ingress: [{fromCIDRSet: []}]', '', EVERYONE],
  ['an empty entity list allows nobody', 'ingress: [{fromEntities: []}]', '', EVERYONE],
  ['an empty selector means the namespace', 'ingress: [{fromEndpoints: [{}]}]', 'client', EVERYONE],
  ['an empty deny rule closes the direction and denies nothing', 'ingressDeny: [{}]', '', EVERYONE],
  [
    'an empty deny rule leaves what others allow',
    'ingressDeny: [{}], ingress: [{fromEntities: [world]}]',
    'world world6 metadata',
    EVERYONE,
  ],
  ['an empty egress deny rule closes egress', 'egressDeny: [{}]', EVERYONE, ''],
  ['the entity all is everyone', 'ingress: [{fromEntities: [all]}]', EVERYONE, EVERYONE],
  ['the entity none is nobody', 'ingress: [{fromEntities: [none]}]', '', EVERYONE],
  [
    'ports without peers mean any peer',
    'ingress: [{toPorts: [{ports: [{port: "80"}]}]}]',
    EVERYONE,
    EVERYONE,
  ],
  [
    'other ports without peers close the rest',
    'ingress: [{toPorts: [{ports: [{port: "81"}]}]}]',
    '',
    EVERYONE,
  ],
  ['an empty toPorts is as if absent', 'ingress: [{fromEndpoints: [{}], toPorts: []}]', 'client', EVERYONE],
  [
    'a port rule without ports allows nothing',
    'ingress: [{fromEntities: [all], toPorts: [{ports: []}]}]',
    '',
    EVERYONE,
  ],
  ['empty icmps are as if absent', 'ingress: [{fromEndpoints: [{}], icmps: []}]', 'client', EVERYONE],
  ['null for a list is as if absent', 'ingress: [{fromEndpoints: [{}], toPorts: null}]', 'client', EVERYONE],
  [
    'an empty section beside another leaves its direction open',
    'ingress: [], egress: [{toEntities: [world]}]',
    EVERYONE,
    'world world6 metadata',
  ],
  [
    'enableDefaultDeny without rules has no effect on pods',
    'enableDefaultDeny: {ingress: true}, egress: [{toEntities: [all]}]',
    EVERYONE,
    EVERYONE,
  ],
  [
    'without default deny a deny rule still acts',
    'enableDefaultDeny: {egress: false}, egressDeny: [{toCIDR: ["169.254.169.254/32"]}]',
    EVERYONE,
    'client stranger node host world world6',
  ],
  [
    'deny-only policies switch to default deny',
    'egressDeny: [{toCIDR: ["169.254.169.254/32"]}]',
    EVERYONE,
    '',
  ],
  [
    'a CIDR finds nodes and the outside, never pods',
    'ingress: [{fromCIDR: ["0.0.0.0/0"]}]',
    'node host world metadata',
    EVERYONE,
  ],
  [
    'an except is a hole in its own entry only',
    'ingress: [{fromCIDRSet: [{cidr: "0.0.0.0/0", except: ["203.0.113.0/24", "10.0.0.0/8"]}, {cidr: "10.0.0.2/32"}]}]',
    'node metadata',
    EVERYONE,
  ],
  [
    'an except of a deny denies less, but allows nothing',
    'ingressDeny: [{fromCIDRSet: [{cidr: "0.0.0.0/0", except: ["203.0.113.0/24"]}]}], ingress: [{fromCIDR: ["169.254.169.254/32"]}]',
    '',
    EVERYONE,
  ],
];
for (const [what, spec, from, to] of cases) {
  test(`lists – ${what}`, (t) => {
    const given = world(policy(spec));
    t.is(allowedPeers(given, 'ingress', 'TCP:80'), from, 'ingress');
    t.is(allowedPeers(given, 'egress', 'TCP:80'), to, 'egress');
  });
}

/** The same for the node; policies that select it by label. */
const hostCases: readonly [what: string, spec: string, from: string, to: string][] = [
  ['no policy leaves both directions open', '', EVERYONE, EVERYONE],
  [
    'an allow closes its direction',
    'nodeSelector: {}, ingress: [{fromEntities: [remote-node]}]',
    'node',
    EVERYONE,
  ],
  [
    'enableDefaultDeny alone switches a direction without rules',
    'nodeSelector: {}, enableDefaultDeny: {ingress: true}, egress: [{toEntities: [all]}]',
    '',
    EVERYONE,
  ],
  [
    'enableDefaultDeny false keeps a direction open, but for denies',
    'nodeSelector: {}, enableDefaultDeny: {ingress: false}, ingressDeny: [{fromCIDR: ["203.0.113.0/24"]}]',
    'client stranger node host world6 metadata',
    EVERYONE,
  ],
  [
    'another node is not selected',
    'nodeSelector: {matchLabels: {role: control}}, ingress: [{}]',
    EVERYONE,
    EVERYONE,
  ],
  ['endpoint selectors never select nodes', 'endpointSelector: {}, ingress: [{}]', EVERYONE, EVERYONE],
];
for (const [what, spec, from, to] of hostCases) {
  test(`lists – on the host ${what}`, (t) => {
    const given = world(spec === '' ? '' : clusterPolicy(spec));
    t.is(allowedPeers(given, 'ingress', 'TCP:80', 'host'), from, 'ingress');
    t.is(allowedPeers(given, 'egress', 'TCP:80', 'host'), to, 'egress');
  });
}
