import { Writable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import stringWidth from 'string-width';
import { shortLabels, shortName } from '../../../src/cli/labels.ts';
import { age, type Column, type Format, Output, parseFormat, size, table } from '../../../src/cli/output.ts';
import { loadWidths, textWidth, withWidths } from '../../../src/cli/width.ts';
import { place, rulesText, shortPlace } from '../../../src/cli/place.ts';

interface Row {
  readonly name: string;
  readonly n: number;
}
const columns: readonly Column<Row>[] = [
  { title: 'NAME', cell: (r) => r.name, wraps: true },
  { title: 'N', cell: (r) => String(r.n), align: 'right' },
];

test('table – columns are as wide as their widest cell, without blanks at the end of a line', (t) => {
  const text = table(
    [
      { name: 'a', n: 5 },
      { name: 'bcd', n: 12345 },
    ],
    columns,
  );
  t.is(text, 'NAME      N\na         5\nbcd   12345\n');
});

test.serial(
  'widths – plain text needs no help; the first that does is made anew with true widths',
  async (t) => {
    const wide = () => table([{ name: '日本', n: 1 }], columns);
    t.is(textWidth('plain – …'), 9);
    t.is(await withWidths(() => 'plain'), 'plain');
    t.is(await withWidths(wide), 'NAME  N\n日本  1\n');
    await loadWidths();
    t.is(textWidth('日本'), 4);
    t.is(textWidth('\u001b[1mbold\u001b[22m'), 4);
  },
);

test('table – ten thousand rows, and letters that take two columns', async (t) => {
  await loadWidths();
  const rows = Array.from({ length: 10_000 }, (_, n) => ({ name: `日本 ${n}`, n }));
  const lines = table(rows, columns).trimEnd().split('\n');
  t.is(lines.length, 10_001);
  t.is(new Set(lines.map((line) => stringWidth(line))).size, 1);
});

test('table – where the terminal is narrow, a cell is shortened first, then broken', (t) => {
  const shortened: readonly Column<Row>[] = [
    { title: 'WHERE', cell: () => '/etc/merlon/manifests.d/a.yaml:3', short: () => 'a.yaml:3' },
    ...columns,
  ];
  const rows = [{ name: 'one two three four five', n: 1 }];
  t.regex(table(rows, shortened), /manifests\.d\/a\.yaml:3 {2}one two three four five {2}1\n$/);
  t.is(
    table(rows, shortened, { width: 32 }),
    ['WHERE     NAME                 N', 'a.yaml:3  one two three four   1', '          five', ''].join('\n'),
  );
});

test('table – lines fit, and nothing of a cell is lost', async (t) => {
  await loadWidths();
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '/', ',', ' ', '日'), maxLength: 90 }), {
        maxLength: 5,
      }),
      fc.integer({ min: 24, max: 100 }),
      (names, width) => {
        const text = table(
          names.map((name) => ({ name, n: 1 })),
          columns,
          { width },
        );
        for (const line of text.split('\n')) t.true(stringWidth(line) <= width + 1);
        const kept = text.replace(/^.*\n/, '').replaceAll(/[ \n1]/g, '');
        t.is(kept, names.join('').replaceAll(' ', ''));
      },
    ),
  );
});

const text = async (
  format: Format,
  use: (output: Output) => Promise<void>,
): Promise<readonly [string, string]> => {
  const said = ['', ''] as [string, string];
  const stream = (at: 0 | 1) =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        said[at] += chunk.toString();
        done();
      },
    }) as unknown as NodeJS.WriteStream;
  await use(new Output(format, stream(0), stream(1)));
  return said;
};
const rows: readonly Row[] = [{ name: 'a', n: 1 }];
const formats: readonly [Format, string, string][] = [
  ['table', 'NAME  N\na     1\n', ''],
  ['json', '[\n  {\n    "name": "a",\n    "n": 1\n  }\n]\n', '[]\n'],
  ['yaml', '- name: a\n  n: 1\n', '[]\n'],
  ['jsonl', '{"name":"a","n":1}\n', ''],
];
for (const [format, some, none] of formats) {
  test(`rows – as ${format}, and with none the answer is empty and the sentence beside it`, async (t) => {
    t.deepEqual(await text(format, (o) => o.rows(rows, columns, 'nothing here')), [some, '']);
    const beside = format === 'table' ? 'nothing here\n' : '';
    t.deepEqual(await text(format, (o) => o.rows([], columns, 'nothing here')), [none, beside]);
  });
}

test('row – a stream as YAML is one list', async (t) => {
  const [out] = await text('yaml', async (o) => {
    await o.row({ seq: 1 }, () => '');
    await o.row({ seq: 2 }, () => '');
  });
  t.is(out, '- seq: 1\n- seq: 2\n');
});

test('parseFormat – names the choices', (t) => {
  t.is(parseFormat('json'), 'json');
  t.throws(() => parseFormat('xml'), { message: /-o xml is not a format/ });
});

test('table – a word that is too long for its column is broken after a sign inside it', (t) => {
  const selector = '{any:app=web k8s:io.kubernetes.pod.namespace=shop}';
  const text = table([{ name: selector, n: 1 }], columns, { width: 24 });
  t.is(
    text,
    `NAME                   N
{any:app=web k8s:io.   1
kubernetes.pod.
namespace=shop}
`,
  );
});

const ages: readonly [number, string][] = [
  [-3, '0s'],
  [59, '59s'],
  [192, '3m12s'],
  [7500, '2h05m'],
  [4 * 86400 + 3 * 3600, '4d03h'],
];
for (const [seconds, want] of ages) test(`age – ${seconds} s is ${want}`, (t) => t.is(age(seconds), want));

const sizes: readonly [number, string][] = [
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [216 << 20, '216 MiB'],
];
for (const [bytes, want] of sizes) test(`size – ${bytes} is ${want}`, (t) => t.is(size(bytes), want));

const POD = [
  'k8s:app=web',
  'k8s:io.cilium.k8s.policy.cluster=default',
  'k8s:io.kubernetes.pod.namespace=default',
];
const labels: readonly [what: string, given: readonly string[], shown: readonly string[], name: string][] = [
  ['what the agent adds is left out', POD, ['k8s:app=web'], 'app=web'],
  [
    'a namespace of its own is not',
    ['k8s:io.kubernetes.pod.namespace=shop'],
    ['k8s:io.kubernetes.pod.namespace=shop'],
    'io.kubernetes.pod.namespace=shop',
  ],
  [
    'where nothing would be left, all are shown',
    POD.slice(1),
    POD.slice(1),
    'io.cilium.k8s.policy.cluster=default,io.kubernetes.pod.namespace=default',
  ],
  ['an entity needs no address', ['cidr:192.0.2.1/32', 'reserved:host'], ['reserved:host'], 'host'],
  [
    'a prefix says more than world',
    ['cidr:10.0.0.0/8', 'reserved:world-ipv4'],
    ['cidr:10.0.0.0/8'],
    'cidr:10.0.0.0/8',
  ],
  ['world alone is world', ['reserved:world-ipv4'], ['reserved:world-ipv4'], 'world-ipv4'],
  ['nobody has no name', [], [], ''],
];
for (const [what, given, shown, name] of labels) {
  test(`labels – ${what}`, (t) => {
    t.deepEqual(shortLabels(given), shown);
    t.is(shortName(given), name);
  });
}

test('place – whole, short, and of nobody', (t) => {
  const at = { file: '/etc/merlon/manifests.d/a.yaml', line: 3 };
  t.is(place(at), '/etc/merlon/manifests.d/a.yaml:3');
  t.is(shortPlace(at), 'a.yaml:3');
  t.is(place({}), '');
  t.is(rulesText([{ id: 'a/0', ...at }, { id: 'b/0' }], shortPlace), 'a/0 (a.yaml:3), b/0');
});
