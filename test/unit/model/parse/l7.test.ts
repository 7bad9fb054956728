/** Errors of layer 7, TLS, listeners and authentication (policy.md §6, §15); what is written is what is meant. */
import test from 'ava';
import { parsePolicies, printPolicy } from '#model/parse';
import { ccnp, cnp, policyOf, problemsOf } from './read.ts';

const TCP = 'ports: [{port: "80", protocol: TCP}]';
const ingress = (rest: string) => cnp(`{endpointSelector: {}, ingress: [{toPorts: [{${rest}}]}]}`);
const egress = (rest: string) => cnp(`{endpointSelector: {}, egress: [{toPorts: [{${rest}}]}]}`);
const host = (direction: string, rest: string) =>
  ccnp(`{nodeSelector: {}, ${direction}: [{toPorts: [{${rest}}]}]}`);

const errors: readonly [what: string, text: string, error: RegExp][] = [
  [
    'HTTP on UDP',
    ingress('ports: [{port: "80", protocol: UDP}], rules: {http: [{}]}'),
    /L7 rules can only apply to TCP \(not UDP\)/,
  ],
  [
    'HTTP on any protocol',
    ingress('ports: [{port: "80"}], rules: {http: [{}]}'),
    /L7 rules can only apply to TCP/,
  ],
  [
    'HTTP on port 0',
    ingress('ports: [{port: "0", protocol: TCP}], rules: {http: [{}]}'),
    /L7 rules can not be used when a port is 0/,
  ],
  [
    'HTTP on a range from port 0',
    ingress('ports: [{port: "0", endPort: 443, protocol: TCP}], rules: {http: [{}]}'),
    /L7 rules can not be used when a port is 0/,
  ],
  [
    'DNS at ingress',
    ingress('ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}'),
    /DNS rules are not allowed on ingress/,
  ],
  ['DNS without ports', egress('rules: {dns: [{matchPattern: "*"}]}'), /port 53 must be specified/],
  [
    'DNS on every port',
    egress('ports: [{port: "0", protocol: UDP}], rules: {dns: [{matchPattern: "*"}]}'),
    /port 53 must be specified/,
  ],
  [
    'DNS on a range',
    egress('ports: [{port: "53", endPort: 54}], rules: {dns: [{matchPattern: "*"}]}'),
    /DNS rules do not support port ranges/,
  ],
  ['two parsers', ingress(`${TCP}, rules: {http: [{}], kafka: [{}]}`), /multiple L7 protocol/],
  ['l7 alone', ingress(`${TCP}, rules: {l7: [{a: b}]}`), /'l7' may only be specified when a 'l7proto'/],
  ['an empty key', ingress(`${TCP}, rules: {l7proto: x, l7: [{"": b}]}`), /empty key/],
  [
    'server names beside HTTP',
    ingress(`${TCP}, serverNames: [a.io], rules: {http: [{}]}`),
    /ServerNames are not allowed with L7 rules without TLS termination/,
  ],
  ['an empty server name', ingress(`${TCP}, serverNames: [""]`), /empty server name/],
  ['no server name at all', ingress(`${TCP}, serverNames: []`), /at least one entry/],
  ['a star inside a server name', ingress(`${TCP}, serverNames: ["a.*.io"]`), /is no server name/],
  [
    'a listener at ingress',
    ingress(`${TCP}, listener: {name: l, envoyConfig: {name: c}}`),
    /Listener is not allowed on ingress/,
  ],
  [
    'a listener with HTTP',
    egress(`${TCP}, listener: {name: l, envoyConfig: {name: c}}, rules: {http: [{}]}`),
    /Listener is not allowed with L7 rules/,
  ],
  ['a listener without config', egress(`${TCP}, listener: {name: l}`), /needs envoyConfig and name/],
  [
    'a priority out of range',
    egress(`${TCP}, listener: {name: l, priority: 101, envoyConfig: {name: c}}`),
    /100/,
  ],
  [
    'a namespaced listener for the cluster',
    ccnp(
      `{endpointSelector: {}, egress: [{toPorts: [{${TCP}, listener: {name: l, envoyConfig: {kind: CiliumEnvoyConfig, name: c}}}]}]}`,
    ),
    /cluster-wide policy cannot use a CiliumEnvoyConfig/,
  ],
  [
    'a header without name',
    ingress(`${TCP}, rules: {http: [{headerMatches: [{value: a}]}]}`),
    /Header name missing/,
  ],
  [
    'an unknown action',
    ingress(`${TCP}, rules: {http: [{headerMatches: [{name: a, mismatch: DROP}]}]}`),
    /Invalid header action "DROP"/,
  ],
  ['a bad expression', ingress(`${TCP}, rules: {http: [{path: "("}]}`), /is no regular expression/],
  [
    'a secret without name',
    ingress(`${TCP}, terminatingTLS: {secret: {namespace: a}}`),
    /Secret name missing/,
  ],
  ['TLS without secret', ingress(`${TCP}, terminatingTLS: {}`), /Secret name missing/],
  [
    'role and key',
    ingress(`${TCP}, rules: {kafka: [{role: produce, apiKey: fetch}]}`),
    /cannot set both Role and APIKey/,
  ],
  ['an unknown role', ingress(`${TCP}, rules: {kafka: [{role: read}]}`), /invalid Kafka role "read"/],
  ['an unknown request', ingress(`${TCP}, rules: {kafka: [{apiKey: read}]}`), /invalid Kafka apiKey "read"/],
  ['a bad topic', ingress(`${TCP}, rules: {kafka: [{topic: "a/b"}]}`), /invalid Kafka topic/],
  ['a bad version', ingress(`${TCP}, rules: {kafka: [{apiVersion: x}]}`), /invalid Kafka apiVersion/],
  [
    'HTTP on the host at ingress',
    host('ingress', `${TCP}, rules: {http: [{}]}`),
    /L7 policy is not supported on host ingress yet/,
  ],
  [
    'HTTP on the host at egress',
    host('egress', `${TCP}, rules: {http: [{}]}`),
    /L7 protocol http is not supported on host egress yet/,
  ],
  [
    'server names on the host',
    host('egress', `${TCP}, serverNames: [a.io]`),
    /L7 protocol serverNames is not supported on host egress yet/,
  ],
  ['an unknown mode', cnp('{endpointSelector: {}, ingress: [{authentication: {mode: maybe}}]}'), /maybe/],
  [
    'layer 7 in a deny rule',
    cnp(`{endpointSelector: {}, ingressDeny: [{toPorts: [{${TCP}, rules: {http: [{}]}}]}]}`),
    /rules/,
  ],
  [
    'authentication in a deny rule',
    cnp('{endpointSelector: {}, ingressDeny: [{authentication: {mode: required}}]}'),
    /authentication/,
  ],
];
for (const [what, text, error] of errors) {
  test(`l7 – refused: ${what}`, (t) => {
    const found = problemsOf(text);
    t.is(found.length, 1, found.join('\n'));
    t.regex(found[0] ?? '', error);
    t.regex(found[0] ?? '', /^t\.yaml:1:\d+: /);
  });
}

test('l7 – without the proxy every rule for it is refused', (t) => {
  const [problem] = problemsOf(ingress(`${TCP}, rules: {http: [{}]}`), { l7Proxy: false });
  t.regex(problem ?? '', /L7 policy is not supported since L7 proxy is not enabled/);
  const [empty] = problemsOf(ingress(`${TCP}, rules: {http: []}`), { l7Proxy: false });
  t.regex(empty ?? '', /L7 policy is not supported since L7 proxy is not enabled/);
});

test('l7 – a port rule that asks a proxy is a rule of its own, with the id of the whole', (t) => {
  const text = cnp(
    `{endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: "81"}]}, {${TCP}, rules: {http: [{method: GET}]}}, {ports: [{port: "82"}]}]}]}`,
  );
  const rules = policyOf(text).specs[0]?.rules ?? [];
  t.deepEqual(
    rules.map((r) => [r.id, r.ports.kind === 'list' && r.ports.matches.length, r.proxy?.l7?.kind]),
    [
      ['shop/p/0/ingress/0', 6, undefined],
      ['shop/p/0/ingress/0', 1, 'http'],
    ],
  );
});

for (const [what, text] of [
  [
    'HTTP',
    ingress(
      `${TCP}, rules: {http: [{path: /a, headers: ["X-A: b", c], headerMatches: [{name: d, mismatch: ADD}]}]}`,
    ),
  ],
  ['Kafka', ingress(`${TCP}, rules: {kafka: [{role: consume, topic: t}, {apiKey: Fetch, apiVersion: "2"}]}`)],
  [
    'DNS',
    egress(
      'ports: [{port: "53", protocol: UDP}], rules: {dns: [{matchPattern: "*.A.io"}, {matchName: b.io.}]}',
    ),
  ],
  ['a named parser', ingress(`${TCP}, rules: {l7proto: echo, l7: [{b: "1", a: "2"}]}`)],
  [
    'TLS',
    egress(
      `${TCP}, serverNames: ["**.a.io", b.io], terminatingTLS: {secret: {name: s}, certificate: c}, originatingTLS: {secret: {namespace: n, name: s}}`,
    ),
  ],
  ['a listener', egress(`${TCP}, listener: {name: l, priority: 3, envoyConfig: {name: c}}`)],
  [
    'authentication',
    cnp('{endpointSelector: {}, ingress: [{fromEndpoints: [{}], authentication: {mode: required}}]}'),
  ],
] as const) {
  test(`l7 – ${what} printed and read again is the same`, (t) => {
    const policy = policyOf(text);
    const [again] = parsePolicies(printPolicy(policy));
    t.is(again?.contentHash, policy.contentHash, printPolicy(policy));
  });
}
