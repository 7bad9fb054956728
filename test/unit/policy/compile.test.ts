/** What the output is made of: shared rule sets, classes no finer than needed, match kinds, the room there is. */
import test from 'ava';
import { parseCidr } from '#kit/ip';
import { labelSet } from '#kit/labels';
import { type Identity, type IdentityRow, type Policy, type Rule, STANDALONE_POLICY_CONFIG } from '#model';
import { type CompileInput, compile, judge, type MatchKind, selectionsOf } from '#policy';
import { clusterPolicy, flow, type PeerName, policy, type Service, world } from './cases.ts';
import { compileWorld } from './compiled-world.ts';

const kinds: readonly [what: string, spec: string, peer: PeerName, service: Service, match: MatchKind][] = [
  ['no policy', 'egress: [{}]', 'world', 'TCP:80', 'none'],
  ['default deny', 'ingress: [{}]', 'world', 'TCP:80', 'none'],
  [
    'an allow that nobody wrote',
    'enableDefaultDeny: {ingress: false}, ingress: [{}]',
    'world',
    'TCP:80',
    'all',
  ],
  ['everybody and everything', 'ingress: [{fromEntities: [all]}]', 'world', 'TCP:80', 'all'],
  ['a peer', 'ingress: [{fromEntities: [world]}]', 'world', 'TCP:80', 'L3-only'],
  ['a port', 'ingress: [{toPorts: [{ports: [{port: "80"}]}]}]', 'world', 'TCP:80', 'L4-only'],
  ['an ICMP type', 'ingress: [{icmps: [{fields: [{type: 8}]}]}]', 'world', 'ICMP:8', 'L4-only'],
  [
    'a protocol',
    'ingress: [{toPorts: [{ports: [{port: "0", protocol: TCP}]}]}]',
    'world',
    'TCP:80',
    'proto-only',
  ],
  [
    'a port beside a protocol',
    'ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}, {port: "0", protocol: UDP}]}]}]',
    'world',
    'TCP:80',
    'L4-only',
  ],
  [
    'a peer and a port',
    'ingress: [{fromEntities: [world], toPorts: [{ports: [{port: "80"}]}]}]',
    'world',
    'TCP:80',
    'L3-L4',
  ],
  [
    'a peer and a protocol',
    'ingress: [{fromEntities: [world], toPorts: [{ports: [{port: "0", protocol: TCP}]}]}]',
    'world',
    'TCP:80',
    'L3-proto',
  ],
  [
    'a peer in one rule, a port in another: the port is closer',
    'ingress: [{fromEntities: [world]}, {toPorts: [{ports: [{port: "80"}]}]}]',
    'world',
    'TCP:80',
    'L4-only',
  ],
];
for (const [what, spec, peer, service, match] of kinds) {
  test(`match kind – ${what} is ${match}`, (t) => {
    t.is(compileWorld(world(policy(spec))).cellOf(flow('ingress', peer, service)).match, match);
  });
}

test('compile – a rule’s log mark reaches its cells', (t) => {
  const { cellOf } = compileWorld(world(policy('log: {value: watched}, ingress: [{fromEntities: [world]}]')));
  t.true(cellOf(flow('ingress', 'world', 'TCP:80')).log);
  t.false(cellOf(flow('ingress', 'host', 'TCP:80')).log);
});

test('compile – subjects of equal policy share one rule set, others do not', (t) => {
  const all = clusterPolicy('endpointSelector: {}, ingress: [{fromEntities: [cluster]}]', 'all');
  const { compiled } = compileWorld(world(all + policy('egress: [{}]', 'web')));
  t.is(compiled.endpoints.get(2), compiled.endpoints.get(3));
  t.not(compiled.endpoints.get(1), compiled.endpoints.get(2));
  t.is(compiled.ruleSets.length, 2);
});

test('compile – policies that select nobody here make no classes', (t) => {
  const elsewhere = clusterPolicy(
    'endpointSelector: {matchLabels: {app: absent}}, ingress: [{fromCIDR: [10.0.0.0/8], toPorts: [{ports: [{port: "80"}]}]}]',
  );
  const { compiled } = compileWorld(world(elsewhere));
  t.deepEqual(
    compiled.identityClasses.map((c) => c.name),
    [''],
  );
  t.deepEqual(
    compiled.portClasses.map((c) => c.name),
    [''],
  );
});

test('compile – the class of the unknown identity is there, first, and means rules for everyone only', (t) => {
  const { compiled } = compileWorld(
    world(policy('ingress: [{fromEntities: [world]}, {toPorts: [{ports: [{port: "80"}]}]}]')),
  );
  t.is(compiled.identityClasses[0]?.name, '');
  t.is(judge(compiled, 1, 'ingress', 0 as Identity, 6, 80).verdict, 'allow');
  t.is(judge(compiled, 1, 'ingress', 4_000_000_000 as Identity, 6, 81).verdict, 'default-deny');
});

function ruleFor(i: number, cidrs: readonly string[], port: number): Rule {
  const selectors = cidrs.map((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new Error(`no prefix: ${text}`);
    return { kind: 'cidr', cidr, except: [] } as const;
  });
  return {
    id: `many/0/ingress/${i}`,
    at: {},
    direction: 'ingress',
    verdict: 'allow',
    tier: 0,
    priority: 0,
    peers: { kind: 'list', selectors },
    ports: { kind: 'list', matches: [{ kind: 'ports', protocol: 6, first: port, last: port }] },
  };
}

/** A host policy with these rules, over an identity for each prefix. */
function hostInput(rules: readonly Rule[], cidrs: readonly string[]): CompileInput {
  const host: Policy = {
    key: 'CiliumClusterwideNetworkPolicy//many',
    kind: 'CiliumClusterwideNetworkPolicy',
    namespace: undefined,
    name: 'many',
    at: {},
    source: 'directory',
    contentHash: '1',
    specs: [
      {
        index: 0,
        subject: { kind: 'node', selector: { requirements: [] } },
        defaultDeny: { ingress: true, egress: false },
        rules,
      },
    ],
  };
  const identities = cidrs.map(
    (key, i): IdentityRow => ({
      id: (16777216 + i) as Identity,
      labels: labelSet([
        { source: 'cidr', key, value: '' },
        { source: 'reserved', key: 'world-ipv4', value: '' },
      ]),
    }),
  );
  return {
    policies: [host],
    identities,
    endpoints: [],
    nodeLabels: labelSet([]),
    config: STANDALONE_POLICY_CONFIG,
  };
}

const prefixesOf = (count: number) => Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);

test('compile – lists whose prefixes read alike when joined are two lists', (t) => {
  const [one, other] = [
    ['0.0.0.0/1', '60.0.0.0/8'],
    ['0.0.0.0/16', '0.0.0.0/8'],
  ] as const;
  const compiled = compile(hostInput([ruleFor(0, one, 22), ruleFor(1, other, 23)], [...one, ...other]));
  const verdict = (identity: number, port: number) =>
    judge(compiled, 'host', 'ingress', (16777216 + identity) as Identity, 6, port).verdict;
  t.deepEqual(
    [verdict(1, 22), verdict(1, 23), verdict(3, 22), verdict(3, 23)],
    ['allow', 'default-deny', 'allow', 'allow'],
  );
});

test('compile – one rule of several that decide has the cell logged', (t) => {
  const both =
    policy('log: {value: watched}, ingress: [{fromEntities: [world]}]') +
    policy('ingress: [{fromEntities: [world]}]', 'quiet');
  t.true(compileWorld(world(both)).cellOf(flow('ingress', 'world', 'TCP:80')).log);
});

test('compile – a selector without requirements means everybody, those too that nobody knows', (t) => {
  const peers = {
    kind: 'list' as const,
    selectors: [{ kind: 'labels' as const, selector: { requirements: [] } }],
  };
  const compiled = compile(hostInput([{ ...ruleFor(0, [], 22), peers }], []));
  t.is(judge(compiled, 'host', 'ingress', 0 as Identity, 6, 22).verdict, 'allow');
  t.is(judge(compiled, 'host', 'ingress', 0 as Identity, 6, 23).verdict, 'default-deny');
});

test('compile – a rule with a thousand prefixes makes one class', (t) => {
  const cidrs = prefixesOf(1000);
  const { identityClasses, host } = compile(hostInput([ruleFor(0, cidrs, 22)], cidrs));
  t.is(identityClasses.length, 2);
  t.is(identityClasses[1]?.members.length, 1000);
  t.regex(identityClasses[1]?.name ?? '', /^#[0-9a-f]{32}$/, 'a long list has a short name');
  t.is(host.directions.ingress.matrix.length, 4);
});

test('compile – a table too large to build is refused, not built', (t) => {
  const cidrs = prefixesOf(3000);
  const rules = cidrs.map((cidr, i) => ruleFor(i, [cidr], i + 1));
  const error = t.throws(() => compile(hostInput(rules, cidrs)));
  t.regex(error.message, /3001 kinds of peers by 3001 kinds of ports apart, too many/);
});

test('selections – each policy’s endpoints, once each, and whether the node', (t) => {
  const given = world(
    policy('ingress: [{}]', 'web') +
      clusterPolicy('nodeSelector: {matchLabels: {role: worker}}, ingress: [{}]', 'node') +
      clusterPolicy('endpointSelector: {matchLabels: {app: client}}, ingress: [{}]', 'clients') +
      clusterPolicy('endpointSelector: {matchLabels: {app: absent}}, ingress: [{}]', 'nobody'),
  );
  t.deepEqual(selectionsOf(given), [
    { endpoints: [1], node: false },
    { endpoints: [], node: true },
    { endpoints: [2, 3], node: false },
    { endpoints: [], node: false },
  ]);
});
