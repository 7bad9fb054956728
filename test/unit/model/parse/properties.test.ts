import test from 'ava';
import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { join } from 'node:path';
import type { Policy } from '#model';
import { parsePolicies, printPolicy } from '#model/parse';
import { ccnp, cnp, policyOf, read } from './read.ts';

const examples = join(import.meta.dirname, '../../../../deploy/examples');

/** A policy without its places: what must survive printing. */
function meaning({ at, warnings, ...policy }: Policy): unknown {
  const specs = policy.specs.map((s) => ({ ...s, rules: s.rules.map(({ at: _, ...rule }) => rule) }));
  return { ...policy, specs };
}

const key = fc.constantFrom(
  'app',
  'k8s:tier',
  'any:zone',
  'reserved:host',
  'cidr:10.0.0.0/8',
  'io.kubernetes.pod.namespace',
  'container:image',
);
const value = fc.constantFrom('a', 'b-c', 'x.y_z');
const selector = fc.record(
  {
    matchLabels: fc.dictionary(
      key.filter((k) => !/^(reserved|cidr)/.test(k)),
      value,
      { maxKeys: 2 },
    ),
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({
          key: key.filter((k) => !/^(reserved|cidr)/.test(k)),
          operator: fc.constantFrom('In', 'NotIn'),
          values: fc.array(value, { minLength: 1, maxLength: 3 }),
        }),
        fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
      ),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
);
const cidr = fc.constantFrom('10.0.0.0/8', '0.0.0.0/0', '::/0', 'fd00::/8', '192.0.2.1/32');
const cidrSet = fc.constantFrom(
  { cidr: '10.0.0.0/8' },
  { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.0.0/16'] },
  { cidr: 'fd00::/8', except: ['fd00:1::/32'] },
);
const entity = fc.constantFrom('all', 'world', 'host', 'remote-node', 'cluster', 'none');
const portItem = fc.oneof(
  fc.record({
    port: fc.integer({ min: 0, max: 65535 }).map(String),
    protocol: fc.constantFrom('TCP', 'UDP', 'SCTP', 'ANY'),
  }),
  fc.record({
    port: fc.integer({ min: 1, max: 1000 }).map(String),
    endPort: fc.integer({ min: 0, max: 65535 }),
    protocol: fc.constantFrom('TCP', 'UDP'),
  }),
  fc.constant({ port: '0', protocol: 'VRRP' }),
);
const icmpItem = fc.record({
  family: fc.constantFrom('IPv4', 'IPv6'),
  type: fc.integer({ min: 0, max: 255 }),
});

function ruleOf(direction: 'from' | 'to'): fc.Arbitrary<object> {
  const list = <T>(item: fc.Arbitrary<T>) => fc.array(item, { maxLength: 3 });
  const peers = fc.oneof(
    fc.constant({}),
    list(selector).map((v) => ({ [`${direction}Endpoints`]: v })),
    list(cidr).map((v) => ({ [`${direction}CIDR`]: v })),
    list(cidrSet).map((v) => ({ [`${direction}CIDRSet`]: v })),
    list(entity).map((v) => ({ [`${direction}Entities`]: v })),
  );
  const ports = fc.oneof(
    fc.constant({}),
    list(portItem).map((v) => ({ toPorts: [{ ports: v }] })),
    fc.array(icmpItem, { minLength: 1, maxLength: 3 }).map((v) => ({ icmps: [{ fields: v }] })),
  );
  return fc.tuple(peers, ports).map(([a, b]) => ({ ...a, ...b }));
}

const sections = fc.record(
  {
    ingress: fc.array(ruleOf('from'), { minLength: 1, maxLength: 3 }),
    ingressDeny: fc.array(ruleOf('from'), { minLength: 1, maxLength: 2 }),
    egress: fc.array(ruleOf('to'), { minLength: 1, maxLength: 3 }),
    egressDeny: fc.array(ruleOf('to'), { minLength: 1, maxLength: 2 }),
    enableDefaultDeny: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }, { requiredKeys: [] }),
  },
  { requiredKeys: ['ingress'] },
);

test('print – a printed policy reads back as the same policy', async (t) => {
  t.timeout(600_000);
  await turn(); // what a test says reaches the runner between two turns only
  fc.assert(
    fc.property(sections, selector, fc.constantFrom('pod', 'wide', 'node'), (rules, subject, kind) => {
      const spec = JSON.stringify({
        [kind === 'node' ? 'nodeSelector' : 'endpointSelector']: subject,
        ...rules,
      });
      const policy = policyOf(kind === 'pod' ? cnp(spec) : ccnp(spec));
      const [again] = parsePolicies(printPolicy(policy));
      t.deepEqual(meaning(again as Policy), meaning(policy));
    }),
    { numRuns: 200 },
  );
});

/** Manifests that fuzzing starts from. */
const seeds = readdirSync(join(examples, 'policies')).map((f) =>
  readFileSync(join(examples, 'policies', f), 'utf8'),
);
const scraps = [
  '[',
  '{',
  '}',
  ']',
  ': ',
  '- ',
  '\n',
  '\t',
  '*a',
  '&a ',
  '!!str ',
  '"',
  "'",
  '|\n',
  '>\n',
  '---\n',
  '...\n',
  '? ',
  '<<: ',
  '#',
  '%YAML 1.1\n',
  '\u0000',
  '\ufeff',
  '\ud800',
  '0x10',
  '~',
  'null',
  '1e999',
  '2026-01-01',
  '__proto__: ',
  'constructor: ',
];

/** A text with parts cut, doubled and scraps put in. */
const mutated = fc
  .tuple(
    fc.constantFrom(...seeds),
    fc.array(
      fc.tuple(
        fc.nat(),
        fc.nat(40),
        fc.oneof(fc.constantFrom(...scraps), fc.string({ maxLength: 8 })),
        fc.boolean(),
      ),
      { minLength: 1, maxLength: 8 },
    ),
  )
  .map(([seed, edits]) =>
    edits.reduce((text, [at, cut, scrap, doubles]) => {
      const i = at % (text.length + 1);
      const part = text.slice(i, i + cut);
      return text.slice(0, i) + scrap + (doubles ? part + part : '') + text.slice(i + cut);
    }, seed),
  );

test('parse – whatever the text, every object has a value or a problem with a place', async (t) => {
  t.timeout(600_000);
  await turn(); // what a test says reaches the runner between two turns only
  fc.assert(
    fc.property(mutated, (text) => {
      for (const object of read(text)) {
        t.is(object.value === undefined, object.problems.length > 0);
        for (const { at, message } of object.problems) {
          t.true((at.line ?? 0) >= 1 && (at.column ?? 0) >= 1, message);
          t.true(message.length < 500, message);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('parse – random JSON is refused with a place', async (t) => {
  t.timeout(600_000);
  await turn();
  fc.assert(
    fc.property(fc.json(), (text) => {
      for (const object of read(text)) t.true(object.problems.length > 0);
    }),
    { numRuns: 300 },
  );
});

/** Texts that are small, or within the limit, and made to be expensive. */
const hostile: readonly [what: string, text: string][] = [
  ['deep lists', '['.repeat(100_000)],
  ['deep maps', '{a: '.repeat(100_000)],
  ['deep blocks', Array.from({ length: 500 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ['deep block lists', '- '.repeat(50_000)],
  [
    'laughing aliases',
    [
      'a: &a [x, x, x, x, x, x, x, x, x, x]',
      ...'bcdefghij'
        .split('')
        .map((c, i) => `${c}: &${c} [${Array(10).fill(`*${'abcdefghij'[i]}`).join(', ')}]`),
    ].join('\n'),
  ],
  [
    'many keys',
    `{${Array.from({ length: 100_000 }, (_, i) => `k${i}: ${i % 10}`).join(',')}}`.slice(0, 1_000_000),
  ],
  ['many rules', cnp(`{endpointSelector: {}, ingress: [${Array(60_000).fill('{x: 1}').join(',')}]}`)],
  ['many documents', 'a: 1\n---\n'.repeat(20_000)],
  [
    'many anchors',
    `{${Array.from({ length: 30_000 }, (_, i) => `a${i}: &x${i} 1, b${i}: *x${i}`).join(', ')}}`.slice(
      0,
      1_000_000,
    ),
  ],
  ['one long line', `a: ${'x'.repeat(1_000_000)}`],
  ['one long key', `${'x'.repeat(1000)}: 1`],
  ['many comments', '# x\n'.repeat(200_000)],
  ['many quotes', '"'.repeat(500_000)],
];
for (const [what, text] of hostile) {
  test(`parse – ends in good time on ${what}`, async (t) => {
    t.timeout(120_000);
    await turn();
    const objects = read(text);
    t.true(objects.every((o) => o.value === undefined && o.problems.length > 0 && o.problems.length <= 50));
  });
}

test('parse – aliases that repeat a little are read', (t) => {
  const text = cnp('{endpointSelector: &s {matchLabels: {a: b}}, ingress: [{fromEndpoints: [*s, *s]}]}');
  t.is(policyOf(text).specs[0]?.rules.length, 1);
});
