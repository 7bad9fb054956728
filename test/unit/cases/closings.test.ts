/** What becomes default deny when policies are added: the preview of `merlon policy lint --world`. */
import test from 'ava';
import { CaseRun, closings, readCase } from '#cases';
import { parsePolicies } from '#model/parse';
import { cluster, head } from './lint-world.ts';

const read = readCase(
  `name: two nodes
config: {hostFirewall: true}
nodes: [{name: a, ips: [192.168.0.1]}, {name: b, ips: [192.168.0.2]}]
endpoints:
  - {name: shop/web, labels: {app: web}, node: a}
  - {name: shop/db, labels: {app: db}, node: b}
  # Of another cluster, whose node has the same name.
  - {name: shop/far, labels: {app: web}, node: a, cluster: far}
`,
  'world.yaml',
  () => ({ file: '', text: '' }),
);

const web = `${head}spec: {endpointSelector: {matchLabels: {app: web}}, ingress: [{fromEntities: [world]}]}`;

const cases: readonly [what: string, before: string, after: string, want: unknown][] = [
  ['nothing, of no change', web, web, []],
  ['a pod', '', web, [{ direction: 'ingress', endpoints: ['shop/web'], infrastructure: [], nodes: [] }]],
  [
    'who was not yet',
    web,
    web.replace('{matchLabels: {app: web}}', '{}'),
    [{ direction: 'ingress', endpoints: ['shop/db'], infrastructure: [], nodes: [] }],
  ],
  [
    'infrastructure of every node',
    web,
    `${cluster}spec: {endpointSelector: {}, egress: [{toEntities: [cluster]}]}`,
    [
      {
        direction: 'egress',
        endpoints: ['shop/db', 'shop/web'],
        infrastructure: ['a/health', 'b/health'],
        nodes: [],
      },
    ],
  ],
  [
    'nodes',
    '',
    `${cluster}spec: {nodeSelector: {}, ingress: [{}]}`,
    [{ direction: 'ingress', endpoints: [], infrastructure: [], nodes: ['a', 'b'] }],
  ],
  [
    'nothing where default deny is off',
    '',
    web.replace('ingress:', 'enableDefaultDeny: {ingress: false}, ingress:'),
    [],
  ],
];

for (const [what, before, after, want] of cases) {
  test(`closings – ${what}`, (t) => {
    if (read.case === undefined) throw new Error(JSON.stringify(read.problems));
    const { world } = read.case;
    const views = (text: string) => new CaseRun(world, text === '' ? [] : parsePolicies(text)).views();
    t.deepEqual(closings(views(before), views(after)), want);
  });
}
