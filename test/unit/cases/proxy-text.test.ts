/** What a proxy is asked, rule by rule: each mark is that of the whole where there is one rule. */
import test from 'ava';
import type { L7Request, L7Rules } from '#model';
import { proxySteps } from '../../../src/cases/proxy-text.ts';

const rule = (l7: L7Rules | undefined, serverNames: readonly string[] = []) => ({
  ...{ id: 'x', parser: 'http' as const, wildcard: false },
  alternatives: [{ ...(l7 === undefined ? {} : { l7 }), serverNames }],
});
const plain = { headers: [], headerMatches: [] };
const http = (request: Partial<NonNullable<L7Request['http']>>): L7Request => ({
  http: { method: 'GET', path: '/', host: '', headers: {}, ...request },
});

const cases: readonly [
  what: string,
  rules: ReturnType<typeof rule>,
  request: L7Request | undefined,
  steps: ReturnType<typeof proxySteps>,
][] = [
  [
    'HTTP, by everything that it asks',
    rule({
      kind: 'http',
      rules: [
        {
          ...{ method: 'GET', path: '/a.*', host: 'a\\.io' },
          headers: [{ name: 'x-team', value: 'shop' }],
          headerMatches: [{ name: 'x-id' }, { name: 'x-log', mismatch: 'LOG' }],
        },
        { ...plain, method: 'POST' },
        plain,
      ],
    }),
    http({ method: 'POST' }),
    [
      { rule: 'GET /a.*, host a\\.io, header x-team: shop, header x-id', matches: false },
      { rule: 'POST', matches: true },
      { rule: 'any request', matches: true },
    ],
  ],
  [
    'nothing is marked where no request is asked about',
    rule({ kind: 'http', rules: [{ ...plain, path: '/a' }] }),
    undefined,
    [{ rule: '/a' }],
  ],
  [
    'Kafka',
    rule({ kind: 'kafka', rules: [{ role: 'produce', topic: 'a' }, { apiKey: 'fetch', apiVersion: 2 }, {}] }),
    { kafka: { apiKey: 'produce', topics: ['b'] } },
    [
      { rule: 'role produce, topic a', matches: false },
      { rule: 'apiKey fetch, apiVersion 2', matches: false },
      { rule: 'any request', matches: true },
    ],
  ],
  [
    'DNS',
    rule({ kind: 'dns', rules: ['a.io', '*.b.io'] }),
    { dns: 'x.b.io' },
    [
      { rule: 'a.io', matches: false },
      { rule: '*.b.io', matches: true },
    ],
  ],
  [
    'a parser of its own, and one that asks nothing',
    rule({ kind: 'l7proto', parser: 'p', rules: [{ cmd: 'READ', file: 'a' }] }),
    { l7: { cmd: 'READ', file: 'b' } },
    [{ rule: 'cmd READ, file a', matches: false }],
  ],
  [
    'server names alone, and beside others',
    rule(undefined, ['a.io', '*.b.io']),
    { sni: 'b.io' },
    [{ rule: 'server name a.io or *.b.io', matches: false }],
  ],
  [
    'a rule with a server name',
    rule({ kind: 'http', rules: [plain] }, ['a.io']),
    { ...http({}), sni: 'a.io' },
    [{ rule: 'any request, server name a.io', matches: true }],
  ],
];
for (const [what, rules, request, steps] of cases) {
  test(`proxy – ${what}`, (t) => t.deepEqual(proxySteps(rules, request), steps));
}
