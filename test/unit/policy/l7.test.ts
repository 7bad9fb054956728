/** What is asked of proxies (policy.md §6, §8.2, §9.4 to §9.7) and of identities (§4.7): merged, cell by cell. */
import test from 'ava';
import type { L7Request, PolicyConfig } from '#model';
import { permits } from '#policy';
import { evaluate, type Flow } from '#oracle';
import { clusterPolicy, flow, policy, world } from './cases.ts';
import { compileWorld } from './compiled-world.ts';

const http = (method: string, path: string, headers: Readonly<Record<string, string>> = {}): L7Request => ({
  http: { method, path, host: 'shop', headers },
});
const kafka = (apiKey: string, ...topics: readonly string[]): L7Request => ({ kafka: { apiKey, topics } });

const PORT = 'ports: [{port: "80", protocol: TCP}]';
const DNS_PORT = 'ports: [{port: "53"}]';
const client = (rest: string) => `{fromEndpoints: [{matchLabels: {app: client}}], ${rest}}`;
const get = `toPorts: [{${PORT}, rules: {http: [{method: GET}]}}]`;

/** What the tables say of a flow, the oracle agreeing: a verdict, or what the proxy does with the request. */
function ask(text: string, asked: Flow, request?: L7Request, config: Partial<PolicyConfig> = {}): string {
  const given = world(text, config);
  const cell = compileWorld(given).cellOf(asked);
  const want = evaluate(given, request === undefined ? asked : { ...asked, request });
  const parser = cell.proxy?.parser;
  const permitted =
    cell.proxy !== undefined && request !== undefined ? permits(cell.proxy, request) : undefined;
  const said = [cell.verdict, cell.origin.join(), cell.auth, parser, permitted].join(' ');
  const meant = [want.verdict, want.rules.join(), want.auth, want.parser, want.permitted].join(' ');
  if (said !== meant) throw new Error(`tables say ${said}, oracle ${meant}`);
  if (cell.verdict !== 'redirect') return cell.verdict;
  return permitted === undefined ? `redirect ${parser}` : permitted ? 'passes' : 'refused';
}

const IN = (peer: 'client' | 'stranger' | 'host' | 'world', port = 80) =>
  flow('ingress', peer, `TCP:${port}`);
const OUT = (service = 'UDP:53') => flow('egress', 'world', service);

const cases: readonly [
  what: string,
  spec: string,
  flow: Flow,
  request: L7Request | undefined,
  want: string,
][] = [
  ['an HTTP rule redirects', `ingress: [${client(get)}]`, IN('client'), undefined, 'redirect http'],
  ['what the rule names passes', `ingress: [${client(get)}]`, IN('client'), http('GET', '/x'), 'passes'],
  ['the rest is refused', `ingress: [${client(get)}]`, IN('client'), http('POST', '/x'), 'refused'],
  [
    'others never come to the proxy',
    `ingress: [${client(get)}]`,
    IN('stranger'),
    http('GET', '/x'),
    'default-deny',
  ],
  ['other ports are closed', `ingress: [${client(get)}]`, IN('client', 81), undefined, 'default-deny'],
  [
    'an empty list asks nothing',
    `ingress: [${client(`toPorts: [{${PORT}, rules: {http: []}}]`)}]`,
    IN('client'),
    undefined,
    'allow',
  ],
  [
    'an empty rule lets all pass the proxy',
    `ingress: [${client(`toPorts: [{${PORT}, rules: {http: [{}]}}]`)}]`,
    IN('client'),
    http('PUT', '/'),
    'passes',
  ],
  [
    'expressions hold for the whole value',
    `ingress: [{toPorts: [{${PORT}, rules: {http: [{path: "/a", method: "GET"}]}}]}]`,
    IN('client'),
    http('GET', '/a?q=1'),
    'refused',
  ],
  [
    'alternatives of an expression are anchored too',
    `ingress: [{toPorts: [{${PORT}, rules: {http: [{method: "GET|HEAD"}]}}]}]`,
    IN('client'),
    http('GETX', '/'),
    'refused',
  ],
  [
    'a header must be there',
    `ingress: [{toPorts: [{${PORT}, rules: {http: [{headers: ["X-Team: a"]}]}}]}]`,
    IN('client'),
    http('GET', '/', { 'x-team': 'a' }),
    'passes',
  ],
  [
    'with its value',
    `ingress: [{toPorts: [{${PORT}, rules: {http: [{headers: ["X-Team: a"]}]}}]}]`,
    IN('client'),
    http('GET', '/', { 'x-team': 'b' }),
    'refused',
  ],
  [
    'a header that is only logged does not refuse',
    `ingress: [{toPorts: [{${PORT}, rules: {http: [{headerMatches: [{name: x, value: y, mismatch: LOG}]}]}}]}]`,
    IN('client'),
    http('GET', '/'),
    'passes',
  ],
  [
    'a secret without value never matches',
    `ingress: [{toPorts: [{${PORT}, rules: {http: [{headerMatches: [{name: x, secret: {name: s}}]}]}}]}]`,
    IN('client'),
    http('GET', '/', { x: 'y' }),
    'refused',
  ],
  [
    'rules of one port are a union',
    `ingress: [${client(get)}, ${client(`toPorts: [{${PORT}, rules: {http: [{method: POST}]}}]`)}]`,
    IN('client'),
    http('POST', '/'),
    'passes',
  ],
  [
    'a plain rule of the port lets all pass, by the proxy',
    `ingress: [${client(get)}, {toPorts: [{${PORT}}]}]`,
    IN('client'),
    http('POST', '/'),
    'passes',
  ],
  [
    'and others come to no proxy',
    `ingress: [${client(get)}, {toPorts: [{${PORT}}]}]`,
    IN('world'),
    undefined,
    'allow',
  ],
  [
    'a rule for everybody redirects those of a plain rule',
    `ingress: [{${get}}, ${client(`toPorts: [{${PORT}}]`)}]`,
    IN('stranger'),
    undefined,
    'redirect http',
  ],
  [
    'a plain rule without ports lets all pass too',
    `ingress: [${client(get)}, ${client('')}]`,
    IN('client'),
    http('POST', '/'),
    'passes',
  ],
  [
    'a deny comes first',
    `ingress: [${client(get)}], ingressDeny: [{fromEndpoints: [{}]}]`,
    IN('client'),
    undefined,
    'deny',
  ],
  [
    'without default deny rules only look',
    `enableDefaultDeny: {ingress: false}, ingress: [${client(get)}]`,
    IN('client'),
    http('POST', '/'),
    'passes',
  ],
  [
    'and who no rule names is let be',
    `enableDefaultDeny: {ingress: false}, ingress: [${client(get)}]`,
    IN('world'),
    undefined,
    'allow',
  ],
  [
    'Kafka roles are sets of requests',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{role: produce, topic: t}]}}]}]`,
    IN('client'),
    kafka('metadata', 't'),
    'passes',
  ],
  [
    'of a role only',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{role: produce, topic: t}]}}]}]`,
    IN('client'),
    kafka('fetch', 't'),
    'refused',
  ],
  [
    'every topic must be allowed',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{role: produce, topic: t}]}}]}]`,
    IN('client'),
    kafka('produce', 't', 'u'),
    'refused',
  ],
  [
    'requests without topic ask for none',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{topic: t}]}}]}]`,
    IN('client'),
    kafka('apiversions'),
    'passes',
  ],
  [
    'a Kafka client is asked who it is',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{clientID: shop}]}}]}]`,
    IN('client'),
    { kafka: { apiKey: 'fetch', clientID: 'shop', topics: ['t'] } },
    'passes',
  ],
  [
    'another one is refused',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{clientID: shop}]}}]}]`,
    IN('client'),
    { kafka: { apiKey: 'fetch', clientID: 'wiki', topics: ['t'] } },
    'refused',
  ],
  [
    'a version of Kafka’s requests is one number',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{apiKey: fetch, apiVersion: 3}]}}]}]`,
    IN('client'),
    { kafka: { apiKey: 'fetch', apiVersion: 3, topics: ['t'] } },
    'passes',
  ],
  [
    'neither more nor less',
    `ingress: [{toPorts: [{${PORT}, rules: {kafka: [{apiKey: fetch, apiVersion: 3}]}}]}]`,
    IN('client'),
    { kafka: { apiKey: 'fetch', apiVersion: 4, topics: ['t'] } },
    'refused',
  ],
  [
    'server names redirect to TLS',
    `egress: [{toPorts: [{${PORT}, serverNames: ["*.a.io"]}]}]`,
    OUT('TCP:80'),
    { sni: 'x.a.io' },
    'passes',
  ],
  [
    'a client that names none is refused',
    `egress: [{toPorts: [{${PORT}, serverNames: ["*.a.io"]}]}]`,
    OUT('TCP:80'),
    {},
    'refused',
  ],
  [
    'server names are a union',
    `egress: [{toPorts: [{${PORT}, serverNames: [a.io]}]}, {toPorts: [{${PORT}, serverNames: [b.io]}]}]`,
    OUT('TCP:80'),
    { sni: 'b.io' },
    'passes',
  ],
  [
    'server names and HTTP behind TLS hold together',
    `egress: [{toPorts: [{${PORT}, serverNames: [a.io], terminatingTLS: {secret: {name: s}}, rules: {http: [{method: GET}]}}]}]`,
    OUT('TCP:80'),
    { ...http('GET', '/'), sni: 'b.io' },
    'refused',
  ],
  [
    'DNS rules name what may be asked',
    `egress: [{toPorts: [{${DNS_PORT}, rules: {dns: [{matchPattern: "*.a.io"}]}}]}]`,
    OUT(),
    { dns: 'X.a.io.' },
    'passes',
  ],
  [
    'and what may not',
    `egress: [{toPorts: [{${DNS_PORT}, rules: {dns: [{matchPattern: "*.a.io"}]}}]}]`,
    OUT(),
    { dns: 'b.io' },
    'refused',
  ],
  [
    'name and pattern of one entry are alternatives',
    `egress: [{toPorts: [{${DNS_PORT}, rules: {dns: [{matchName: a.io, matchPattern: "*.b.io"}]}}]}]`,
    OUT('TCP:53'),
    { dns: 'x.b.io' },
    'passes',
  ],
  [
    'a plain rule of the port frees the names',
    `egress: [{toPorts: [{${DNS_PORT}, rules: {dns: [{matchName: a.io}]}}]}, {toPorts: [{${DNS_PORT}}]}]`,
    OUT(),
    { dns: 'b.io' },
    'passes',
  ],
  [
    'a plain rule without ports does not',
    `egress: [{toPorts: [{${DNS_PORT}, rules: {dns: [{matchName: a.io}]}}]}, {toEntities: [world]}]`,
    OUT(),
    { dns: 'b.io' },
    'refused',
  ],
  [
    'a named parser compares fields',
    `ingress: [{toPorts: [{${PORT}, rules: {l7proto: echo, l7: [{cmd: get}]}}]}]`,
    IN('client'),
    { l7: { cmd: 'put' } },
    'refused',
  ],
  [
    'a listener judges for itself',
    `egress: [{toPorts: [{${PORT}, listener: {name: l, envoyConfig: {name: c}}}]}]`,
    OUT('TCP:80'),
    {},
    'passes',
  ],
  [
    'HTTP comes before Kafka of others',
    `ingress: [{${get}}, ${client(`toPorts: [{${PORT}, rules: {kafka: [{}]}}]`)}]`,
    IN('client'),
    undefined,
    'redirect http',
  ],
  [
    'a listener with priority comes before HTTP of others',
    `egress: [{${get}}, {toEntities: [world], toPorts: [{${PORT}, listener: {name: l, priority: 5, envoyConfig: {name: c}}}]}]`,
    OUT('TCP:80'),
    undefined,
    'redirect crd',
  ],
  [
    'two parsers for the same are a conflict, and nothing passes',
    `ingress: [{${get}}, {toPorts: [{${PORT}, rules: {kafka: [{}]}}]}]`,
    IN('client'),
    { ...http('GET', '/'), ...kafka('fetch') },
    'refused',
  ],
  [
    'two listeners of one priority are a conflict',
    `egress: [{toPorts: [{${PORT}, listener: {name: l, envoyConfig: {name: c}}}]}, {toPorts: [{${PORT}, listener: {name: m, envoyConfig: {name: c}}}]}]`,
    OUT('TCP:80'),
    {},
    'refused',
  ],
  [
    'of two listeners the lower number counts',
    `egress: [{toPorts: [{${PORT}, listener: {name: l, priority: 1, envoyConfig: {name: c}}}]}, {toPorts: [{${PORT}, listener: {name: m, priority: 2, envoyConfig: {name: c}}}]}]`,
    OUT('TCP:80'),
    {},
    'passes',
  ],
  [
    'TLS contexts that differ are a conflict',
    `egress: [{toPorts: [{${PORT}, terminatingTLS: {secret: {name: a}}}]}, {toPorts: [{${PORT}, terminatingTLS: {secret: {name: b}}}]}]`,
    OUT('TCP:80'),
    {},
    'refused',
  ],
  [
    'of what the proxy itself says, too',
    `egress: [{toPorts: [{${PORT}, originatingTLS: {secret: {name: a}}}]}, {toPorts: [{${PORT}, originatingTLS: {secret: {name: b}}}]}]`,
    OUT('TCP:80'),
    {},
    'refused',
  ],
  [
    'ports count as they are written, neighbours one by one',
    `ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}, {port: "81", protocol: TCP}], rules: {http: [{}]}}]}, {toPorts: [{${PORT}, rules: {kafka: [{}]}}]}]`,
    IN('client'),
    http('GET', '/'),
    'refused',
  ],
  [
    'a named parser comes before names of TLS of others',
    `ingress: [{toPorts: [{${PORT}, serverNames: [a.io]}]}, ${client(`toPorts: [{${PORT}, rules: {l7proto: echo}}]`)}]`,
    IN('client'),
    undefined,
    'redirect l7proto:echo',
  ],
  [
    'a listener judges names of TLS, too',
    `egress: [{toPorts: [{${PORT}, serverNames: [a.io], listener: {name: l, envoyConfig: {name: c}}}]}]`,
    OUT('TCP:80'),
    {},
    'passes',
  ],
  [
    'server names meet HTTP that TLS hides: a conflict',
    `egress: [{toPorts: [{${PORT}, serverNames: [a.io]}]}, {${get}}]`,
    OUT('TCP:80'),
    { ...http('GET', '/'), sni: 'a.io' },
    'refused',
  ],

  [
    'required: nobody has proved who they are',
    'ingress: [{fromEndpoints: [{}], authentication: {mode: required}}]',
    IN('client'),
    undefined,
    'auth',
  ],
  [
    'disabled asks nothing',
    'ingress: [{fromEndpoints: [{}], authentication: {mode: disabled}}]',
    IN('client'),
    undefined,
    'allow',
  ],
  [
    'a mode holds for narrower rules that say nothing',
    `ingress: [{fromEndpoints: [{}], authentication: {mode: required}}, {fromEndpoints: [{}], toPorts: [{${PORT}}]}]`,
    IN('client'),
    undefined,
    'auth',
  ],
  [
    'a narrower rule says otherwise',
    `ingress: [{fromEndpoints: [{}], authentication: {mode: required}}, {fromEndpoints: [{}], toPorts: [{${PORT}}], authentication: {mode: disabled}}]`,
    IN('client'),
    undefined,
    'allow',
  ],
  [
    'test-always-fail is the strictest',
    'ingress: [{fromEndpoints: [{}], authentication: {mode: required}}, {fromEndpoints: [{matchLabels: {app: client}}], authentication: {mode: test-always-fail}}]',
    IN('client'),
    undefined,
    'auth',
  ],
  [
    'it holds without default deny',
    'enableDefaultDeny: {ingress: false}, ingress: [{fromEndpoints: [{}], authentication: {mode: required}}]',
    IN('client'),
    undefined,
    'auth',
  ],
  [
    'who no rule names is not asked',
    'enableDefaultDeny: {ingress: false}, ingress: [{fromEndpoints: [{}], authentication: {mode: required}}]',
    IN('world'),
    undefined,
    'allow',
  ],
  [
    'a deny is a deny',
    'ingress: [{fromEndpoints: [{}], authentication: {mode: required}}], ingressDeny: [{fromEndpoints: [{}]}]',
    IN('client'),
    undefined,
    'deny',
  ],
];
for (const [what, spec, asked, request, want] of cases) {
  test(`l7 – ${what}`, (t) => t.is(ask(policy(spec), asked, request), want));
}

test('l7 – the local host comes to pods unasked and unrestricted, where it may come at all', (t) => {
  const text = policy(`ingress: [{${get}, authentication: {mode: required}}]`);
  t.is(ask(text, IN('host'), http('POST', '/'), { allowLocalhost: true }), 'passes');
  t.is(ask(text, IN('host'), http('POST', '/')), 'auth');
  t.is(ask(text, IN('client'), http('POST', '/'), { allowLocalhost: true }), 'auth');
  const denied = policy(`ingress: [{${get}}], ingressDeny: [{fromEntities: [host]}]`);
  t.is(ask(denied, IN('host'), undefined, { allowLocalhost: true }), 'deny');
});

test('l7 – a host policy may restrict names at egress', (t) => {
  const text = clusterPolicy(
    `nodeSelector: {}, egress: [{toPorts: [{${DNS_PORT}, rules: {dns: [{matchName: a.io}]}}]}]`,
  );
  t.is(ask(text, flow('egress', 'world', 'UDP:53', 'host'), { dns: 'b.io' }), 'refused');
});
