/** What a proxy is told of a cell, as data (policy.md §9.4 to §9.7): what is left when rules have been merged. */
import test from 'ava';
import { evaluate } from '#oracle';
import { flow, policy, world } from './cases.ts';
import { compileWorld } from './compiled-world.ts';

const PORT = 'ports: [{port: "80", protocol: TCP}]';
const client = (rest: string) => `{fromEndpoints: [{matchLabels: {app: client}}], ${rest}}`;
const get = `toPorts: [{${PORT}, rules: {http: [{method: GET}]}}]`;

test('proxy rules – equal rules have equal ids, in whatever order they are written', (t) => {
  const of = (rules: string) => {
    const { compiled } = compileWorld(
      world(policy(`ingress: [{toPorts: [{${PORT}, rules: {http: [${rules}]}}]}]`)),
    );
    return [...compiled.proxyRules.keys()];
  };
  t.deepEqual(of('{method: GET}, {method: POST}'), of('{method: POST}, {method: GET}, {method: GET}'));
  t.notDeepEqual(of('{method: GET}'), of('{method: POST}'));
  t.regex(of('{method: GET}')[0] ?? '', /^#[0-9a-f]{32}$/);
});

test('proxy rules – a conflict names both rules', (t) => {
  const given = world(
    policy(`ingress: [{${get}}]`, 'one') +
      policy(`ingress: [{toPorts: [{${PORT}, rules: {kafka: [{}]}}]}]`, 'two'),
  );
  const [rules] = [...compileWorld(given).compiled.proxyRules.values()].filter(
    (r) => r.parser === 'conflict',
  );
  t.deepEqual(rules?.conflict, ['shop/one/0/ingress/0', 'shop/two/0/ingress/0']);
});

test('proxy rules – where everything passes, the proxy is still told of the headers to edit', (t) => {
  const edited = '{headerMatches: [{name: x, value: y, mismatch: ADD}]}';
  const given = world(
    policy(
      `ingress: [{toPorts: [{${PORT}, rules: {http: [{method: GET}, ${edited}]}}]}, {toPorts: [{${PORT}}]}]`,
    ),
  );
  const [rules] = [...compileWorld(given).compiled.proxyRules.values()];
  t.true(rules?.wildcard);
  const told = rules?.alternatives.flatMap(({ l7 }) => (l7?.kind === 'http' ? l7.rules : []));
  t.deepEqual(
    told?.flatMap(({ headerMatches }) => headerMatches.map(({ mismatch }) => mismatch)),
    ['ADD'],
  );
});

test('proxy rules – where one rule asks nothing of requests, nothing is said of those of the others', (t) => {
  const tls = `toPorts: [{${PORT}, serverNames: [a.io], terminatingTLS: {secret: {name: s}}`;
  const given = world(policy(`egress: [{${tls}, rules: {http: [{method: GET}]}}]}, {${tls}}]}]`));
  const [rules] = [...compileWorld(given).compiled.proxyRules.values()];
  t.deepEqual(rules?.alternatives, [{ serverNames: ['a.io'] }]);
});

test('proxy rules – a proxy is told of the rules for its parser alone', (t) => {
  const others = client(`toPorts: [{${PORT}, rules: {kafka: [{topic: a}]}}]`);
  const { cellOf } = compileWorld(world(policy(`ingress: [{${get}}, ${others}]`)));
  t.deepEqual(
    cellOf(flow('ingress', 'client', 'TCP:80')).proxy?.alternatives.map(({ l7 }) => l7?.kind),
    ['http'],
  );
});

const listener = (priority: string) =>
  `toPorts: [{${PORT}, listener: {envoyConfig: {name: config}, name: one${priority}}}]`;
const names = `toPorts: [{${PORT}, serverNames: [a.io]}]`;
const dns = `toPorts: [{${PORT}, rules: {dns: [{matchName: b.io}]}}]`;
const secret = `toPorts: [{${PORT}, originatingTLS: {secret: {name: one}}}]`;

for (const [kind, others, tls] of [
  ['a listener', listener(''), names],
  ['DNS', dns, secret],
] as const) {
  test(`proxy rules – for one selector and port ${kind} and TLS exclude each other`, (t) => {
    const given = world(policy(`egress: [{${others}}]`, 'one') + policy(`egress: [{${tls}}]`, 'two'));
    const [rules] = [...compileWorld(given).compiled.proxyRules.values()].filter(
      ({ parser }) => parser === 'conflict',
    );
    t.deepEqual(rules?.conflict, ['shop/one/0/egress/0', 'shop/two/0/egress/0']);
  });
}

test('proxy rules – a listener is told nothing of the names that rules for others ask for', (t) => {
  const own = `{toEndpoints: [{matchLabels: {app: client}}], ${listener(', priority: 1')}}`;
  const { cellOf } = compileWorld(world(policy(`egress: [${own}, {${names}}]`)));
  const { proxy } = cellOf(flow('egress', 'client', 'TCP:80'));
  t.is(proxy?.parser, 'crd');
  t.deepEqual(proxy?.alternatives, [{ serverNames: [] }]);
});

test('proxy rules – a Service without selector and the prefix that it stands for are one selector', (t) => {
  const at = { at: {}, source: 'directory', contentHash: '', namespace: 'shop' };
  const given = world(
    policy(`egress: [{toCIDR: [203.0.113.9/32], ${dns}}]`, 'one') +
      policy(`egress: [{toServices: [{k8sService: {serviceName: far, namespace: shop}}], ${get}}]`, 'two'),
    {},
    {
      services: [{ ...at, key: 'shop/far', name: 'far', labels: {}, selector: undefined }],
      endpointSlices: [
        { ...at, key: 'shop/far-1', name: 'far-1', service: 'far', addresses: ['203.0.113.9'] },
      ],
    },
  );
  const asked = flow('egress', 'world', 'TCP:80');
  t.is(compileWorld(given).cellOf(asked).proxy?.parser, 'conflict');
  t.is(evaluate(given, asked).parser, 'conflict');
});
