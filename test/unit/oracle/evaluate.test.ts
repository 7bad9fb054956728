/** The oracle alone: what policy.md says, flow by flow, without any compiled table beside it. */
import test from 'ava';
import { parseCidr, parseIp } from '#kit/ip';
import { labelSet, parseLabel } from '#kit/labels';
import { type PeerSelector, type Policy, type PortMatch, type Rule, STANDALONE_POLICY_CONFIG } from '#model';
import { type Evaluation, evaluate, type Flow, type World } from '#oracle';

const labels = (...texts: string[]) =>
  labelSet(texts.map((text) => parseLabel(text)).filter((l) => l !== undefined));

function rule(id: string, part: Partial<Rule>): Rule {
  return {
    id,
    at: {},
    direction: 'ingress',
    verdict: 'allow',
    tier: 0,
    priority: 0,
    peers: { kind: 'any' },
    ports: { kind: 'any' },
    ...part,
  };
}

function policyWith(rules: readonly Rule[], part: Partial<Policy['specs'][number]> = {}): Policy {
  return {
    key: 'CiliumNetworkPolicy/shop/p',
    kind: 'CiliumNetworkPolicy',
    namespace: 'shop',
    name: 'p',
    at: {},
    source: 'directory',
    contentHash: '1',
    specs: [
      {
        index: 0,
        subject: { kind: 'endpoints', selector: { requirements: [] } },
        defaultDeny: { ingress: true, egress: false },
        rules,
        ...part,
      },
    ],
  };
}

function world(rules: readonly Rule[], part: Partial<World> = {}): World {
  return {
    policies: rules.length === 0 ? [] : [policyWith(rules)],
    endpoints: [
      { id: 1, addresses: ['10.244.0.1'], labels: labels('k8s:app=web') },
      {
        id: 2,
        addresses: ['10.244.0.2', '10.250.0.0/24'],
        labels: labels('k8s:app=client', 'container:app=other'),
      },
    ],
    nodes: [{ name: 'b', cluster: 'default', addresses: ['10.0.0.2'], labels: labels() }],
    localAddresses: ['10.0.0.1'],
    nodeLabels: labels('node:role=worker'),
    config: STANDALONE_POLICY_CONFIG,
    ...part,
  };
}

function from(address: string, part: Partial<Flow> = {}): Flow {
  const peer = parseIp(address);
  if (peer === undefined) throw new Error(`no address: ${address}`);
  return { subject: 1, direction: 'ingress', peer, protocol: 6, port: 80, ...part };
}

const list = (...selectors: PeerSelector[]) => ({ peers: { kind: 'list', selectors } }) as const;
const ports = (...matches: PortMatch[]) => ({ ports: { kind: 'list', matches } }) as const;
function cidr(text: string, ...except: string[]): PeerSelector {
  const parsed = [text, ...except].map((one) => parseCidr(one)).filter((c) => c !== undefined);
  const [outer, ...holes] = parsed;
  if (outer === undefined) throw new Error(`no prefix: ${text}`);
  return { kind: 'cidr', cidr: outer, except: holes };
}
const app = (value: string, source = 'any'): PeerSelector => ({
  kind: 'labels',
  selector: { requirements: [{ source, key: 'app', operator: 'In', values: [value] }] },
});

test('oracle – without policy everything is open', (t) => {
  t.deepEqual(evaluate(world([]), from('203.0.113.1')), { verdict: 'allow', rules: [], enforced: false });
});

const peers: readonly [what: string, selector: PeerSelector, reached: readonly string[]][] = [
  [
    'a prefix finds the outside, nodes and the host, never endpoints',
    cidr('10.0.0.0/8'),
    ['10.0.0.1', '10.0.0.2', '10.9.9.9'],
  ],
  ['an except is no member', cidr('10.0.0.0/8', '10.9.0.0/16', '10.0.0.2/32'), ['10.0.0.1']],
  ['labels find endpoints by any source', app('client'), ['10.244.0.2', '10.250.0.7']],
  ['a label of another source counts for any', app('other'), ['10.244.0.2', '10.250.0.7']],
  ['a source is exact', app('other', 'k8s'), []],
  ['the host', { kind: 'entity', entity: 'host' }, ['10.0.0.1']],
  ['other nodes', { kind: 'entity', entity: 'remote-node' }, ['10.0.0.2']],
  ['the world', { kind: 'entity', entity: 'world' }, ['10.9.9.9', '2001:db8::1']],
  ['one family of it', { kind: 'entity', entity: 'world-ipv6' }, ['2001:db8::1']],
];
const addresses = ['10.0.0.1', '10.0.0.2', '10.9.9.9', '10.244.0.2', '10.250.0.7', '2001:db8::1'];
for (const [what, selector, reached] of peers) {
  test(`oracle – peers: ${what}`, (t) => {
    const given = world([rule('r', list(selector))]);
    t.deepEqual(
      addresses.filter((a) => evaluate(given, from(a)).verdict === 'allow'),
      reached,
    );
  });
}

const matches: readonly [
  what: string,
  match: PortMatch,
  flows: readonly (readonly [number, number | undefined])[],
][] = [
  [
    'a range has its ends',
    { kind: 'ports', protocol: 6, first: 80, last: 90 },
    [
      [6, 80],
      [6, 90],
    ],
  ],
  [
    'a protocol has every port and the unknown one',
    { kind: 'protocol', protocol: 6 },
    [
      [6, 0],
      [6, 79],
      [6, 80],
      [6, 90],
      [6, 91],
      [6, undefined],
    ],
  ],
  ['a type is one type of one family', { kind: 'icmp', family: 4, type: 8 }, [[1, 8]]],
  ['a range from 0 has no port 0', { kind: 'ports', protocol: 6, first: 0, last: 79 }, [[6, 79]]],
];
const asked: readonly (readonly [number, number | undefined])[] = [
  [6, 0],
  [6, 79],
  [6, 80],
  [6, 90],
  [6, 91],
  [6, undefined],
  [17, 80],
  [1, 8],
  [1, 0],
  [58, 8],
  [1, undefined],
];
for (const [what, match, reached] of matches) {
  test(`oracle – ports: ${what}`, (t) => {
    const given = world([rule('r', ports(match))]);
    const allowed = asked.filter(
      ([protocol, port]) => evaluate(given, from('203.0.113.1', { protocol, port })).verdict === 'allow',
    );
    t.deepEqual(allowed, reached);
  });
}

const orders: readonly [
  what: string,
  rules: readonly Rule[],
  verdict: Evaluation['verdict'],
  ids: readonly string[],
][] = [
  ['deny beats allow', [rule('a', {}), rule('d', { verdict: 'deny' })], 'deny', ['d']],
  [
    'an earlier tier beats a later deny',
    [rule('a', {}), rule('d', { verdict: 'deny', tier: 1 })],
    'allow',
    ['a'],
  ],
  [
    'a lower priority number beats a deny after it',
    [rule('a', { priority: 1 }), rule('d', { verdict: 'deny', priority: 2 })],
    'allow',
    ['a'],
  ],
  [
    'a pass leaves the rest of its tier out',
    [rule('p', { verdict: 'pass' }), rule('d', { verdict: 'deny', priority: 1 }), rule('a', { tier: 1 })],
    'allow',
    ['a'],
  ],
  [
    'a pass of the same priority loses',
    [rule('p', { verdict: 'pass' }), rule('d', { verdict: 'deny' })],
    'deny',
    ['d'],
  ],
  [
    'a pass with nothing after it leaves the default',
    [rule('p', { verdict: 'pass' })],
    'default-deny',
    ['shop/p/0'],
  ],
  ['allows are named together', [rule('b', {}), rule('a', {})], 'allow', ['a', 'b']],
];
for (const [what, rules, verdict, ids] of orders) {
  test(`oracle – order: ${what}`, (t) => {
    const got = evaluate(world(rules), from('203.0.113.1'));
    t.is(got.verdict, verdict);
    t.deepEqual(got.rules, ids);
  });
}

test('oracle – a rule of the other direction says nothing', (t) => {
  const got = evaluate(world([rule('r', { direction: 'egress', verdict: 'deny' })]), from('203.0.113.1'));
  t.false(got.enforced);
});

test('oracle – endpoints without resolved labels are enforced in both directions', (t) => {
  const init = { id: 1, addresses: ['10.244.0.1'], labels: labels('reserved:init') };
  const got = evaluate(world([], { endpoints: [init] }), from('203.0.113.1', { direction: 'egress' }));
  t.deepEqual(got, { verdict: 'default-deny', rules: ['reserved:init'], enforced: true });
});

test('oracle – an unknown peer is meant by rules for everyone only', (t) => {
  const everyone: Rule[] = [rule('r', list({ kind: 'entity', entity: 'all' }))];
  const others: Rule[] = [rule('r', list({ kind: 'entity', entity: 'world' }, cidr('0.0.0.0/0')))];
  t.is(evaluate(world(everyone), from('10.0.0.1', { peer: 'unknown' })).verdict, 'allow');
  t.is(evaluate(world(others), from('10.0.0.1', { peer: 'unknown' })).verdict, 'default-deny');
});

test('oracle – a peer known by labels is what its address would be', (t) => {
  const given = world([rule('r', list(cidr('10.0.0.0/8', '10.9.0.0/16')))]);
  for (const [key, verdict] of [
    ['10.1.0.0/16', 'allow'],
    ['10.9.0.0/24', 'default-deny'],
    ['192.168.0.0/16', 'default-deny'],
  ] as const) {
    const peer = labels(`cidr:${key}`, 'reserved:world-ipv4');
    t.is(evaluate(given, from('10.0.0.1', { peer })).verdict, verdict, key);
  }
});

test('oracle – an endpoint’s prefix is the endpoint, the longest of several', (t) => {
  const endpoints = [
    { id: 1, addresses: ['10.244.0.1'], labels: labels('k8s:app=web') },
    { id: 2, addresses: ['10.250.0.0/16'], labels: labels('k8s:app=wide') },
    { id: 3, addresses: ['10.250.7.0/24'], labels: labels('k8s:app=narrow') },
  ];
  const given = world([rule('r', list(app('narrow')))], { endpoints });
  const allowed = ['10.250.6.1', '10.250.7.1'].filter((a) => evaluate(given, from(a)).verdict === 'allow');
  t.deepEqual(allowed, ['10.250.7.1']);
});
