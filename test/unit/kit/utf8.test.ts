/** Texts of files, and where they are none. */
import test from 'ava';
import { decodeUtf8, type Utf8 } from '#kit/utf8';

const cases: readonly [what: string, bytes: readonly (number | string)[], want: Utf8][] = [
  ['nothing', [], { text: '' }],
  ['signs of every length', ['aé€😀'], { text: 'aé€😀' }],
  ['a mark of byte order goes', [0xef, 0xbb, 0xbf, 'a'], { text: 'a' }],
  ['a byte that begins nothing', ['a: b\nc: ', 0xff, 'd'], { line: 2, column: 4 }],
  ['a sign that breaks off', ['é\n', 0xc3, '('], { line: 2, column: 1 }],
  ['a sign that ends too soon', ['a\n\nb', 0xe2, 0x82], { line: 3, column: 2 }],
  ['the first of several', [0xff, '\n', 0xff], { line: 1, column: 1 }],
  ['UTF-16', [0xff, 0xfe, 'a', 0], { line: 1, column: 1 }],
  ['half of a pair of surrogates', ['a', 0xed, 0xa0, 0x80], { line: 1, column: 2 }],
];
for (const [what, parts, want] of cases) {
  test(`utf8 – ${what}`, (t) => {
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(typeof part === 'string' ? part : [part])));
    t.deepEqual(decodeUtf8(bytes), want);
  });
}
