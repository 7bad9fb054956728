/**
 * The table of pains (policy.md §17), row by row: what merlon tells of a policy that walks into one, or why
 * advice is not the answer and where the answer is proved.
 */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FindingCode } from '#model';
import { parseManifest, DEFAULT_PARSE_OPTIONS } from '#model/parse';
import { cluster, codesOf, findings, head, network } from './lint-world.ts';

const root = join(import.meta.dirname, '../../..');
const web = 'endpointSelector: {matchLabels: {app: web}}';
const open = 'fromEntities: [ingress, remote-node, world]';
const anyName = '{toPorts: [{ports: [{port: "53", protocol: UDP}], rules: {dns: [{matchPattern: "*"}]}}]}';
const http = (rules: string) =>
  `toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [${rules}]}}]`;

type Row =
  /** A policy that is accepted, and what is told of it. */
  | { readonly code: FindingCode; readonly text: string }
  /** A policy that is refused, and how. */
  | { readonly refused: RegExp; readonly text: string }
  /** A file that shows it, and what it says there. */
  | { readonly why: string; readonly file: string; readonly says: string };

const rows: readonly (readonly [row: number, ...Row[]])[] = [
  [
    1,
    {
      code: 'deny-only-default-deny',
      text: `${head}spec: {${web}, egressDeny: [{toCIDR: [169.254.169.254/32]}]}`,
    },
    {
      why: 'what becomes default deny is previewed',
      file: 'test/unit/cases/closings.test.ts',
      says: 'closings –',
    },
  ],
  [2, { code: 'empty-rule', text: `${head}spec: {${web}, ingress: [{}]}` }],
  [
    3,
    {
      code: 'selects-nothing',
      text: `${head}spec: {endpointSelector: {matchLabels: {app: wbe}}, ingress: [{${open}}]}`,
    },
    {
      code: 'peers-select-nothing',
      text: `${head}spec: {${web}, ingress: [{fromEndpoints: [{matchLabels: {app: bd}}]}]}`,
    },
    {
      why: 'a running node waits for them first',
      file: 'test/unit/agent/grace.test.ts',
      says: 'becomes a condition and a warning only after its time',
    },
  ],
  [
    4,
    {
      code: 'fqdn-without-dns-rule',
      text: `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: c.io}]}]}`,
    },
    {
      code: 'fqdn-without-dns-egress',
      text: `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: c.io}]}]}`,
    },
  ],
  [
    5,
    {
      why: 'such a rule selects nobody',
      file: 'test/golden/cases/4-names-services.yaml',
      says: 'no Service is nobody, with ports too',
    },
    {
      code: 'peers-select-nothing',
      text: `${head}spec: {${web}, egress: [{toServices: [{k8sService: {serviceName: gone, namespace: shop}}]}]}`,
    },
  ],
  [
    6,
    {
      code: 'service-port',
      text: `${head}spec: {${web}, ingress: [{${open}, toPorts: [{ports: [{port: "8000", protocol: TCP}]}]}]}`,
    },
  ],
  [
    7,
    {
      refused: /cannot select peers by DNS name/,
      text: `${head}spec: {${web}, egressDeny: [{toFQDNs: [{matchName: c.io}]}]}`,
    },
  ],
  [
    8,
    {
      code: 'fqdn-shared-address',
      text: `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: a.io}]}, ${anyName}]}`,
    },
  ],
  // Retention and its metric belong to the proxy that learns names; while there is none, that is what is told.
  [
    9,
    {
      code: 'proxy-unavailable',
      text: `${head}spec: {${web}, egress: [{toFQDNs: [{matchName: a.io}]}, ${anyName}]}`,
    },
  ],
  [
    10,
    {
      code: 'wildcard-depth',
      text: `${head}spec: {${web}, egress: [{toFQDNs: [{matchPattern: "*.c.io"}]}, ${anyName}]}`,
    },
  ],
  [
    11,
    {
      code: 'dns-search-refused',
      text: `${head}spec: {${web}, egress: [${anyName.replace('matchPattern: "*"', 'matchName: c.io')}]}`,
    },
  ],
  [
    12,
    {
      code: 'cidr-covers-nodes',
      text: `${network}spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.0.0/24}}]}]}`,
    },
    { code: 'cidr-covers-pods', text: `${head}spec: {${web}, egress: [{toCIDR: [10.0.0.0/16]}]}` },
  ],
  [
    13,
    { code: 'apiserver-by-cidr', text: `${head}spec: {${web}, egress: [{toCIDR: [203.0.113.6/32]}]}` },
    {
      code: 'apiserver-by-service',
      text: `${head}spec: {${web}, egress: [{toServices: [{k8sService: {serviceName: kubernetes, namespace: default}}]}]}`,
    },
  ],
  [
    14,
    {
      code: 'empty-peer-list',
      text: `${head}spec: {${web}, ingress: [{fromEndpoints: [], toPorts: [{ports: [{port: "80"}]}]}]}`,
    },
  ],
  [15, { code: 'gateway-not-admitted', text: `${head}spec: {${web}, ingress: [{fromEndpoints: [{}]}]}` }],
  [
    16,
    { code: 'infrastructure-selected', text: `${cluster}spec: {endpointSelector: {}, ingress: [{${open}}]}` },
  ],
  [
    17,
    { refused: /cannot have NodeSelector/, text: `${head}spec: {nodeSelector: {}, ingress: [{${open}}]}` },
    { why: 'what is refused is a state', file: 'test/netns/bad-input.test.ts', says: 'did you mean' },
  ],
  [
    18,
    { code: 'http-path-query', text: `${head}spec: {${web}, ingress: [{${open}, ${http('{path: /a}')}}]}` },
    {
      code: 'http-unescaped-query',
      text: `${head}spec: {${web}, ingress: [{${open}, ${http('{path: "/a?b=.*"}')}}]}`,
    },
    { code: 'http-anchor', text: `${head}spec: {${web}, ingress: [{${open}, ${http('{path: ^/a.*}')}}]}` },
    {
      code: 'http-unescaped-dot',
      text: `${head}spec: {${web}, ingress: [{${open}, ${http('{host: a.io}')}}]}`,
    },
    {
      code: 'http-never-matches',
      text: `${head}spec: {${web}, ingress: [{${open}, ${http('{path: a.*}')}}]}`,
    },
  ],
  [
    19,
    {
      code: 'l7-ineffective',
      text: `${head}spec: {${web}, ingress: [{${open}}, {${open}, ${http('{method: GET}')}}]}`,
    },
  ],
  [
    20,
    {
      code: 'conflict',
      text: `${head}spec: {${web}, ingress: [{${open}, toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{}]}}, {ports: [{port: "80", protocol: TCP}], rules: {kafka: [{}]}}]}]}`,
    },
  ],
  [
    21,
    { why: 'failsafe lets people back in', file: 'test/unit/hostfw/failsafe.test.ts', says: 'SSH is open' },
    {
      code: 'failsafe-wider',
      text: `${cluster}spec: {nodeSelector: {}, ingress: [{fromCIDR: [198.18.0.0/16], toPorts: [{ports: [{port: "22"}]}]}]}`,
    },
  ],
  [
    22,
    {
      code: 'only-remote-cluster',
      text: `${head}spec: {${web}, egress: [{toEndpoints: [{matchLabels: {app: far}}]}]}`,
    },
  ],
  [
    23,
    {
      code: 'filtered-label',
      text: `${head}spec: {${web}, ingress: [{fromEndpoints: [{matchLabels: {pod-template-hash: x}}]}]}`,
    },
  ],
  [
    24,
    {
      code: 'named-port-ambiguous',
      text: `${head}spec: {${web}, egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: http, protocol: TCP}]}]}]}`,
    },
  ],
  [25, { why: 'documented', file: 'docs/findings.md', says: 'no order' }],
  [
    26,
    {
      why: 'the last complete rule set stays',
      file: 'test/unit/datapath/policy.test.ts',
      says: 'POLICY_NO_ROOM',
    },
  ],
  [
    27,
    {
      code: 'policy-types-mismatch',
      text: `${network}spec: {podSelector: {}, policyTypes: [Ingress], egress: [{}]}`,
    },
  ],
  [
    28,
    {
      code: 'foreign-namespace',
      text: `${head}spec: {endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: wiki}}, ingress: [{${open}}]}`,
    },
    {
      code: 'selects-nothing',
      text: `${head}spec: {endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: wiki}}, ingress: [{${open}}]}`,
    },
  ],
  [
    29,
    {
      code: 'infrastructure-selected',
      text: `${cluster}spec: {endpointSelector: {matchExpressions: [{key: io.kubernetes.pod.namespace, operator: DoesNotExist}]}, ingress: [{${open}}]}`,
    },
  ],
  [
    30,
    {
      code: 'port-rule-without-ports',
      text: `${head}spec: {${web}, ingress: [{toPorts: [{rules: {http: [{}]}}]}]}`,
    },
  ],
];

for (const [row, ...answers] of rows) {
  for (const answer of answers) {
    const what = 'code' in answer ? answer.code : 'refused' in answer ? 'refused' : answer.why;
    test(`pain ${row} – ${what}`, (t) => {
      if ('code' in answer) {
        const codes = codesOf(findings(answer.text));
        t.true(codes.includes(answer.code), codes.join());
      } else if ('refused' in answer) {
        const problems = parseManifest(answer.text, DEFAULT_PARSE_OPTIONS).flatMap((one) => one.problems);
        t.true(
          problems.some(({ message }) => answer.refused.test(message)),
          JSON.stringify(problems),
        );
      } else t.true(readFileSync(join(root, answer.file), 'utf8').includes(answer.says));
    });
  }
}

test('pains – every row of the table is answered', (t) => {
  t.deepEqual(
    rows.map(([row]) => row),
    Array.from({ length: 30 }, (_, i) => i + 1),
  );
});
