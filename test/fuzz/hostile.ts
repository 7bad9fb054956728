/** Documents that are made to hurt whoever reads them: each with a name, as bytes. */

const head =
  'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: b}\nspec:\n  endpointSelector: {}\n';
const policy = (rest: string) => `${head}${rest}`;
const MIB = 1024 * 1024;
/** As often as fits into a file of the largest size. */
const fill = (text: string, around = 512) =>
  text.repeat(Math.floor((MIB - around) / Buffer.byteLength(text)));
const counted = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join('');

const laughs = (levels: number) =>
  counted(
    levels,
    (i) =>
      `a${i + 1}: &a${i + 1} [${Array(10)
        .fill(i === 0 ? 'lol' : `*a${i}`)
        .join(', ')}]\n`,
  );

const texts: Readonly<Record<string, () => string>> = {
  'nothing at all': () => '',
  'only a comment': () => fill('# no\n'),
  'aliases of aliases, nine levels': () => laughs(9),
  'aliases of aliases, sixty levels': () => laughs(60),
  'one alias very often': () =>
    `a: &a [${Array(1000).fill('x').join()}]\nb: [${Array(100_000).fill('*a').join()}]`,
  'an alias of itself': () => 'a: &a [*a]',
  'an alias of nothing': () => policy('  ingress: *x'),
  'anchors without end': () => fill('- &a x\n'),
  'the merge key': () => policy('  <<: *x\n  ingress: [{}]'),
  'the merge key with its map': () => `x: &x {a: b}\n${policy('  <<: *x\n  ingress: [{}]')}`,
  'brackets without end': () => fill('['),
  'braces without end': () => fill('{a: '),
  'closing brackets': () => fill(']'),
  'brackets in a policy': () => policy(`  ingress: ${'['.repeat(100_000)}`),
  'indentation without end': () => counted(1400, (i) => `${' '.repeat(i)}a:\n`),
  'lists in lists': () => fill('- '),
  'question marks': () => fill('? '),
  'complex keys': () => policy('  ? [a, b]\n  : c'),
  'a map as a key': () => '{{a: b}: c}',
  'a list of words': () => policy(`  ingress:\n${fill('  - a\n')}`),
  'a list in one line': () => policy(`  ingress: [${fill('a,')}]`),
  'rules without end': () => policy(`  ingress:\n${fill('  - {}\n')}`),
  'ports without end': () => policy(`  ingress: [{toPorts: [{ports: [${fill('{port: "1"},')}]}]}]`),
  'port rules without end': () => policy(`  ingress: [{toPorts: [${fill('{ports: [{port: "1"}]},')}]}]`),
  'prefixes without end': () =>
    policy(
      `  ingress: [{fromCIDR: [${counted(55_000, (i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32,`)}]}]`,
    ),
  'exceptions without end': () =>
    policy(
      `  egress: [{toCIDRSet: [{cidr: 10.0.0.0/8, except: [${counted(50_000, (i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}/32,`)}]}]}]`,
    ),
  'labels without end': () =>
    policy(`  ingress: [{fromEndpoints: [{matchLabels: {${counted(70_000, (i) => `l${i}: "${i}",`)}}}]}]`),
  'values without end': () =>
    policy(
      `  ingress: [{fromEndpoints: [{matchExpressions: [{key: a, operator: In, values: [${counted(100_000, (i) => `v${i},`)}]}]}]}]`,
    ),
  'wrong ports without end': () => policy(`  ingress: [{toPorts: [{ports: [${fill('{port: x y},')}]}]}]`),
  'unknown annotations without end': () =>
    policy('  ingress: [{}]').replace(
      'namespace: b',
      `namespace: b, annotations: {${counted(25_000, (i) => `merlon.io/a${i}: "",`)}}`,
    ),
  'rules as many as one object may have': () => policy(`  ingress: [${'{},'.repeat(49_000)}]`),
  'unknown fields without end': () => policy(counted(80_000, (i) => `  f${i}: 1\n`)),
  'one field a hundred thousand times': () => policy(fill('  log: {}\n')),
  'one unknown field of a mebibyte': () => policy(`  ${fill('x')}: 1`),
  'one word of a mebibyte': () => policy(`  ingress: [{fromEntities: [${fill('w')}]}]`),
  'one port of a mebibyte': () => policy(`  ingress: [{toPorts: [{ports: [{port: "${fill('9')}"}]}]}]`),
  'one name of a mebibyte': () => policy(`  egress: [{toFQDNs: [{matchName: "${fill('a.')}"}]}]`),
  'one pattern of a mebibyte': () => policy(`  egress: [{toFQDNs: [{matchPattern: "${fill('*a')}"}]}]`),
  stars: () => policy(`  egress: [{toFQDNs: [{matchPattern: "${'*a'.repeat(127)}"}]}]`),
  'one expression of a mebibyte': () =>
    policy(
      `  ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{path: "${fill('(a')}"}]}}]}]`,
    ),
  'an expression of brackets': () =>
    policy(
      `  ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{path: "${'('.repeat(50_000)}${')'.repeat(50_000)}"}]}}]}]`,
    ),
  'expressions without end': () =>
    policy(
      `  ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [${counted(
        12_000,
        (i) => `{path: '/(?i)[\\pL\\p{Han}]+${i}'},`,
      )}]}}]}]`,
    ),
  'expressions that are wrong': () =>
    policy(
      `  ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [${fill('{path: "(?:(?:a{1000}){1000}){1000}"},')}]}}]}]`,
    ),
  'an expression of repetitions': () =>
    policy(
      `  ingress: [{toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{path: "${'(a*)*'.repeat(1000)}{1000}{1000}"}]}}]}]`,
    ),
  'one label value of a mebibyte': () =>
    policy(`  ingress: [{fromEndpoints: [{matchLabels: {a: "${fill('v')}"}}]}]`),
  'one plain text over many lines': () => `a: ${fill('word\n  ')}`,
  'a quote that never ends': () => `a: "${fill('x')}`,
  'a text in blocks': () => `a: |\n${fill('  x\n')}`,
  'a text folded': () => `a: >\n${fill('  x\n\n')}`,
  escapes: () => `a: "${fill('\\u0041')}"`,
  'keys that are written twice': () => `{${fill('a: 1,')}}`,
  'keys without end': () => `{${counted(100_000, (i) => `k${i}: 1,`)}}`,
  'keys of every object': () => policy('  __proto__: {}\n  constructor: 1\n  toString: 2\n  ingress: [{}]'),
  'labels of every object': () =>
    policy(
      '  ingress: [{fromEndpoints: [{matchLabels: {__proto__: a, constructor: b, hasOwnProperty: c}}]}]',
    ),
  'documents without end': () => fill('---\n'),
  'documents with content': () => fill('--- a\n'),
  'policies as many as one file may have': () =>
    counted(
      4990,
      (i) =>
        `---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p${i}}\nspec: {endpointSelector: {}, ingress: [{}]}\n`,
    ),
  'ends of documents': () => fill('...\n'),
  directives: () => `%YAML 9.9\n%TAG ! tag:x,2000:\n---\n${policy('  ingress: [{}]')}`,
  'directives without end': () => fill('%TAG !a! tag:x\n'),
  'a tag of a function': () => policy('  ingress: !!js/function "x"'),
  'a tag of bytes': () => policy('  ingress: !!binary AAAA'),
  'a tag of a set': () => policy('  ingress: !!set {a, b}'),
  'a tag of an ordered map': () => policy('  ingress: !!omap [a: b]'),
  'a tag of a time': () => policy('  ingress: !!timestamp 2001-01-01'),
  'a tag of one’s own': () => policy('  ingress: !mine [{}]'),
  'a tag as an address': () => policy('  ingress: !<tag:evil,2000:x> [{}]'),
  'a tag without end': () => `!<${fill('a')}> b`,
  'a text said to be a number': () => policy('  ingress: !!int "x"'),
  'a list said to be a map': () => policy('  ingress: !!map [a]'),
  'large numbers': () =>
    policy(
      `  ingress: [{toPorts: [{ports: [{port: 1e400}, {port: ${'9'.repeat(5000)}}, {port: .inf}, {port: .nan}, {port: -0}, {port: 0x1F}, {port: 0o17}]}]}]`,
    ),
  'carriage returns and line feeds': () =>
    policy('  ingress: [{fromEntities: [nobody]}]').replaceAll('\n', '\r\n'),
  'carriage returns alone': () => policy('  ingress: [{fromEntities: [nobody]}]').replaceAll('\n', '\r'),
  tabs: () => policy('\tingress: [{}]'),
  'a mark of byte order': () => `\uFEFF${policy('  ingress: [{fromEntities: [nobody]}]')}`,
  'marks of byte order inside': () => policy('  \uFEFFingress: [{}]'),
  NUL: () => policy('  ingress: [{fromEntities: ["a\0b"]}]'),
  'NUL alone': () => fill('\0'),
  'signs of control': () =>
    policy(`  ingress: [{fromEntities: ["${counted(31, (i) => String.fromCharCode(i + 1))}"]}]`),
  'halves of signs': () => policy('  ingress: [{fromEntities: ["\\ud800"]}]'),
  'signs that turn direction': () => policy('  ingress: [{fromEntities: ["\u202eworld"]}]'),
  'lines of Unicode': () => policy('  ingress: [{fromEntities: ["a\u2028b\u2029c\u0085d"]}]'),
  'a file that is too large': () => 'a'.repeat(MIB + 1),
  'JSON in JSON': () => `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
  'JSON of a list': () => `[${fill('{},')}{}]`,
  'JSON that ends too soon': () => `{"apiVersion":"cilium.io/v2","kind":`,
  'a number as the whole': () => '42',
  'null as the whole': () => 'null',
  'a list as the whole': () => '[1, 2]',
  'null everywhere': () => 'apiVersion: null\nkind: null\nmetadata: null\nspec: null',
  'null items': () =>
    policy(
      '  ingress: [null, {fromEndpoints: [null], toPorts: [null]}]\n  egress: [{toCIDR: [null], toFQDNs: [null]}]',
    ),
};

const bytes: Readonly<Record<string, () => Uint8Array>> = {
  'no UTF-8': () =>
    Buffer.concat([
      Buffer.from(policy('  ingress: [{fromEntities: ["')),
      Buffer.from([0xc3, 0x28, 0xff]),
      Buffer.from('"]}]'),
    ]),
  'UTF-16': () =>
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(policy('  ingress: [{}]'), 'utf16le')]),
  'half a sign at the end': () =>
    Buffer.concat([Buffer.from(policy('  ingress: [{}]\n# ')), Buffer.from([0xe2, 0x82])]),
  'an executable': () =>
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0x3e, 0]),
};

/** Name → bytes of the file. */
export const HOSTILE: ReadonlyMap<string, () => Uint8Array> = new Map([
  ...Object.entries(texts).map(([name, text]) => [name, () => Buffer.from(text())] as const),
  ...Object.entries(bytes),
]);
