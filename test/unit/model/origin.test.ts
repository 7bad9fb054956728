import test from 'ava';
import { type Decided, originOf, originParts } from '#model';

const cases: readonly (readonly [what: string, cell: Decided, parts: object])[] = [
  ['one answer', { verdict: 'allow', origin: ['a/0'] }, { rules: ['a/0'] }],
  ['nobody', { verdict: 'allow', origin: [] }, { rules: [] }],
  [
    'what passes is about those who would refuse it',
    { verdict: 'allow', origin: ['a/0'], staged: { verdict: 'deny', origin: ['b/0', 'c/0'] } },
    { rules: ['b/0', 'c/0'], enforced: ['a/0'] },
  ],
  [
    'where nothing is enforced nobody lets it pass',
    { verdict: 'allow', origin: [], staged: { verdict: 'default-deny', origin: ['b/0'] } },
    { rules: ['b/0'], enforced: [] },
  ],
  [
    'what is refused is about those who do',
    { verdict: 'deny', origin: ['a/0'], staged: { verdict: 'allow', origin: ['b/0'] } },
    { rules: ['a/0'], staged: ['b/0'] },
  ],
  [
    'a default refuses, too',
    { verdict: 'default-deny', origin: ['a/0'], staged: { verdict: 'allow', origin: [] } },
    { rules: ['a/0'], staged: [] },
  ],
];
for (const [what, cell, parts] of cases)
  test(`origin – ${what}`, (t) => t.deepEqual(originParts(originOf(cell)) as object, parts));
