/**
 * Tiers, priorities and the verdict *pass* (policy.md §1, §13.5), which no front end sets yet: compiled tables and
 * the oracle, rule by rule.
 */
import test from 'ava';
import { labelSet } from '#kit/labels';
import type { Policy, PortMatch, ProxyRules, Rule } from '#model';
import { evaluate, type World } from '#oracle';
import { conflictsOf } from '#policy';
import { world } from './cases.ts';
import { compileWorld } from './compiled-world.ts';

type Part = Partial<Omit<Rule, 'id'>>;

const tcp = (first: number, last = first): Rule['ports'] => {
  const match: PortMatch = { kind: 'ports', protocol: 6, first, last };
  return { kind: 'list', matches: [match] };
};
const proxy = (kind: 'http' | 'kafka'): ProxyRules => ({ serverNames: [], l7: { kind, rules: [] } });
const onlyWorld: Rule['peers'] = { kind: 'list', selectors: [{ kind: 'entity', entity: 'world' }] };

function worldOf(parts: readonly Part[], isClosed = true): World {
  const rules = parts.map(
    (part, i): Rule => ({
      id: `r${i}`,
      at: {},
      direction: 'ingress',
      verdict: 'allow',
      tier: 1,
      priority: 0,
      peers: { kind: 'any' },
      ports: { kind: 'any' },
      ...part,
    }),
  );
  const policy: Policy = {
    key: 'CiliumNetworkPolicy/shop/tiers',
    kind: 'CiliumNetworkPolicy',
    namespace: 'shop',
    name: 'tiers',
    at: {},
    source: 'test',
    contentHash: JSON.stringify(parts),
    specs: [
      {
        index: 0,
        subject: { kind: 'endpoints', selector: { requirements: [] } },
        defaultDeny: { ingress: isClosed, egress: false },
        rules,
      },
    ],
  };
  return { ...world(''), policies: [policy] };
}

const WORLD = labelSet([{ source: 'reserved', key: 'world-ipv4', value: '' }]);

/** Port → verdict and the rules that say so. */
const cases: readonly [what: string, parts: readonly Part[], want: Readonly<Record<number, string>>][] = [
  ['a lower tier number comes first', [{ tier: 0 }, { verdict: 'deny' }], { 80: 'allow r0' }],
  ['also for a deny', [{ verdict: 'deny', tier: 0 }, {}], { 80: 'deny r0' }],
  [
    'a lower priority number comes first',
    [{ priority: 2, verdict: 'deny' }, { priority: 1 }],
    { 80: 'allow r1' },
  ],
  [
    'a deny before an allow of one priority',
    [{ priority: 1 }, { priority: 1, verdict: 'deny' }],
    { 80: 'deny r1' },
  ],
  [
    'what a tier says nothing about goes on to the next',
    [
      { tier: 0, ports: tcp(80) },
      { tier: 1, verdict: 'deny' },
    ],
    { 80: 'allow r0', 81: 'deny r1' },
  ],
  ['a pass goes on to the next tier', [{ tier: 0, verdict: 'pass' }, { tier: 1 }], { 80: 'allow r1' }],
  [
    'and leaves the rest of its own tier out',
    [{ tier: 0, verdict: 'pass' }, { tier: 0, priority: 1, verdict: 'deny' }, { tier: 1 }],
    { 80: 'allow r2' },
  ],
  [
    'but only where it matches',
    [{ tier: 0, verdict: 'pass', ports: tcp(80) }, { tier: 0, priority: 1, verdict: 'deny' }, { tier: 1 }],
    { 80: 'allow r2', 81: 'deny r1' },
  ],
  [
    'and only for whom',
    [
      { tier: 0, verdict: 'pass', peers: { kind: 'list', selectors: [{ kind: 'entity', entity: 'host' }] } },
      { tier: 0, priority: 1, verdict: 'deny' },
      { tier: 1 },
    ],
    { 80: 'deny r1' },
  ],
  [
    'an allow of its priority comes before it',
    [{ tier: 0 }, { tier: 0, verdict: 'pass' }, { verdict: 'deny' }],
    { 80: 'allow r0' },
  ],
  ['so does a deny', [{ tier: 0, verdict: 'deny' }, { tier: 0, verdict: 'pass' }, {}], { 80: 'deny r0' }],
  [
    'a rule of a higher priority comes before it',
    [{ tier: 0, priority: 1, verdict: 'pass' }, { tier: 0, verdict: 'deny', ports: tcp(80) }, {}],
    { 80: 'deny r1', 81: 'allow r2' },
  ],
  [
    'a pass in the last tier leaves the default',
    [{ tier: 2, verdict: 'pass' }],
    { 80: 'default-deny tiers' },
  ],
  [
    'passes of two tiers lead to the third',
    [
      { tier: 0, verdict: 'pass' },
      { tier: 1, verdict: 'pass' },
      { tier: 2, verdict: 'deny', ports: tcp(1, 80) },
    ],
    { 80: 'deny r2', 81: 'default-deny tiers' },
  ],
  [
    'allows of one priority decide together, those below do not',
    [
      { tier: 0, ports: tcp(80) },
      { tier: 0, peers: onlyWorld },
      { tier: 0, priority: 1 },
    ],
    { 80: 'allow r0 r1', 81: 'allow r1' },
  ],
  [
    'a redirect counts in its own priority alone',
    [
      { tier: 0, ports: tcp(80) },
      { tier: 1, ports: tcp(80, 81), proxy: proxy('http') },
    ],
    { 80: 'allow r0', 81: 'redirect r1' },
  ],
  [
    'so does authentication',
    [
      { tier: 0, ports: tcp(80) },
      { tier: 1, auth: 'required' },
    ],
    { 80: 'allow r0', 81: 'auth r1' },
  ],
];
for (const [what, parts, want] of cases) {
  test(`tiers – ${what}`, (t) => {
    const given = worldOf(parts);
    const { cellOf } = compileWorld(given);
    for (const [port, words] of Object.entries(want)) {
      const flow = {
        subject: 1,
        direction: 'ingress',
        peer: WORLD,
        protocol: 6,
        port: Number(port),
      } as const;
      const { verdict, origin } = cellOf(flow);
      t.is([verdict, ...origin].join(' ').replace('shop/tiers/0', 'tiers'), words, port);
      const { verdict: wanted, rules } = evaluate(given, flow);
      t.is([wanted, ...rules].join(' ').replace('shop/tiers/0', 'tiers'), words, `oracle, ${port}`);
    }
  });
}

test('tiers – without default deny a pass in the last tier is open', (t) => {
  const given = worldOf([{ tier: 2, verdict: 'pass' }], false);
  const flow = { subject: 1, direction: 'ingress', peer: WORLD, protocol: 6, port: 80 } as const;
  t.is(compileWorld(given).cellOf(flow).verdict, 'allow');
  t.is(evaluate(given, flow).verdict, 'allow');
});

test('tiers – rules of different tiers or priorities exclude nothing', (t) => {
  const http: Part = { ports: tcp(80), proxy: proxy('http') };
  const kafka: Part = { ports: tcp(80), proxy: proxy('kafka') };
  t.is(conflictsOf(worldOf([http, { ...kafka, tier: 2 }])).size, 0);
  t.is(conflictsOf(worldOf([http, { ...kafka, priority: 1 }])).size, 0);
  t.is(conflictsOf(worldOf([http, kafka])).size, 3);
});
