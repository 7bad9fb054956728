/** RE2 syntax, as RE2's page of syntax lists it, against what JavaScript makes of the translation. */
import test from 'ava';
import fc from 'fast-check';
import { re2, wholeRe2 } from '#kit/re2';

const cases: readonly [text: string, matches: readonly string[], others: readonly string[]][] = [
  ['/public/.*', ['/public/', '/public/a?b=c'], ['/x/public/', '/public/\n']],
  ['GET|HEAD', ['GET', 'HEAD'], ['GETHEAD', 'get']],
  ['(?i)www\\.a\\.io', ['www.a.io', 'WWW.A.io'], ['wwwxa.io']],
  ['a(?i)b|c', ['ab', 'aB', 'C', 'c'], ['Ab', 'aC']],
  ['(?i:a)b', ['ab', 'Ab'], ['aB']],
  ['(?i)a(?-i)b', ['Ab'], ['AB']],
  ['(?s).', ['\n', 'a'], ['']],
  ['(?m)a$\n^b', ['a\nb'], ['ab']],
  ['(?U)a+', ['aaa'], ['']],
  ['(?P<name>x)(?<other>y)', ['xy'], ['x']],
  ['[[:alpha:]]+[[:digit:]]', ['ab1'], ['1', 'a']],
  ['[^[:space:]]', ['a'], [' ', '\t']],
  ['[[:^digit:]x]', ['a', 'x'], ['1']],
  ['[\\d_]+', ['1_2'], ['a']],
  ['[\\Da]', ['a', 'b'], ['1']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a-]', ['a', '-'], ['b']],
  ['[a\\-z]', ['a', '-', 'z'], ['b']],
  ['[\\x41-\\x43]', ['A', 'C'], ['D']],
  ['[a-c&&b]', ['a', '&'], ['d']],
  ['\\s', [' ', '\t'], ['\u00a0', '\v']],
  ['\\w', ['a', '_'], ['é']],
  ['\\pL\\p{Greek}\\P{Greek}\\p{^Lu}', ['aαaa'], ['1αaa', 'aaαa', 'aααa', 'aαaA']],
  ['\\Aa\\z', ['a'], ['b']],
  ['\\Qa.b\\E.', ['a.bx'], ['axbx']],
  ['\\Q*', ['*'], ['a']],
  ['\\x{1F600}\\101\\07', ['\u{1F600}A\u0007'], []],
  ['\\/\\_\\-\\"\\@', ['/_-"@'], []],
  ['a{2,3}', ['aa', 'aaa'], ['a', 'aaaa']],
  ['a{2,}b{0}', ['aa'], ['ab']],
  ['a{,2}', ['a{,2}'], ['aa']],
  ['{a}]', ['{a}]'], []],
  ['a??b*?', ['', 'abb'], ['ba']],
  ['', [''], ['a']],
  ['(?:(?:a{2}){5}){100}', ['a'.repeat(1000)], ['a'.repeat(999)]],
  ['(?i)ab*\\p{Lu}c', ['ABBxC', 'aéC'], ['abab1c']],
  ['a|', ['a', ''], ['b']],
  ['(|a)b', ['b', 'ab'], ['a']],
];
for (const [text, matches, others] of cases) {
  test(`re2 – ${JSON.stringify(text)}`, (t) => {
    const pattern = wholeRe2(text);
    for (const value of matches) t.true(pattern.test(value), JSON.stringify(value));
    for (const value of others) t.false(pattern.test(value), JSON.stringify(value));
  });
}

const refused = [
  '(?=a)',
  '(?!a)',
  '(?<=a)',
  '(?<!a)',
  '(a)\\1',
  '\\k<a>',
  '(?>a)',
  '[a',
  '(a',
  'a)',
  '*a',
  'a**',
  '[[:what:]]',
  '\\',
  'a{1001}',
  '(?:(?:a{10}){10,}){11}',
  '(?:a{0,30}b?){34}',
  '[b-a]',
  '\\p{Nothing}',
  '\\u0041',
  '\\cA',
];
for (const text of refused) {
  test(`re2 – ${text} is refused`, (t) => {
    t.true('fault' in re2(text));
  });
}

for (const [what, text, says] of [
  ['of thousands of signs', 'a'.repeat(4097), /4097 characters, the limit is 4096/],
  ['of groups in groups', `${'('.repeat(1001)}${')'.repeat(1001)}`, /no deeper than 1000/],
] as const) {
  test(`re2 – an expression ${what} is refused, and why`, (t) => {
    const found = re2(text);
    t.regex('fault' in found ? found.fault : '', says);
  });
}

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test(`re2 – any text is translated or refused, never anything else (seed ${seed})`, (t) => {
  const signs = 'ab1(){}[]|*+?.^$\\-:,<>=!PpQEdDiUsx&~/#'.split('');
  const text = fc.array(fc.constantFrom(...signs), { maxLength: 12 }).map((all) => all.join(''));
  fc.assert(
    fc.property(text, (one) => {
      const found = re2(one);
      return 'fault' in found ? found.fault !== '' : new RegExp(found.source, 'u').test('a') !== undefined;
    }),
    { seed, numRuns: 5000 },
  );
  t.pass();
});

test(`re2 – text in quotes means itself (seed ${seed})`, (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('\\')),
      (one) => wholeRe2(`\\Q${one}\\E`).test(one),
    ),
    { seed },
  );
  t.pass();
});
