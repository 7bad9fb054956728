/** Keys of source `cidr`, which name prefixes: the compiler judges them by points, the oracle by labels. */
import test from 'ava';
import { labelSet } from '#kit/labels';
import { matches, type Requirement, STANDALONE_POLICY_CONFIG } from '#model';
import { cidrPoints, selectorMatches } from '../../../src/policy/match.ts';

/** The labels of an address inside the prefix that is asked for, and of one outside. */
const IN = labelSet([{ source: 'cidr', key: '10.0.0.1/32', value: '' }]);
const OUT = labelSet([{ source: 'cidr', key: '10.9.0.1/32', value: '' }]);

const cases: readonly [
  what: string,
  operator: Requirement['operator'],
  values: readonly string[],
  inside: boolean,
  outside: boolean,
][] = [
  ['Exists', 'Exists', [], true, false],
  ['DoesNotExist', 'DoesNotExist', [], false, true],
  ['In with the empty value that such labels have', 'In', [''], true, false],
  ['In with a value that none has', 'In', ['x'], false, false],
  ['NotIn with the empty value', 'NotIn', [''], false, true],
  ['NotIn with a value that none has', 'NotIn', ['x'], true, true],
];
for (const [what, operator, values, inside, outside] of cases) {
  test(`prefix key – ${what}`, (t) => {
    const selector = { requirements: [{ source: 'cidr', key: '10.0.0.0/24', operator, values }] };
    for (const [labels, want] of [
      [IN, inside],
      [OUT, outside],
    ] as const) {
      const points = cidrPoints(labels, STANDALONE_POLICY_CONFIG);
      t.is(selectorMatches(selector, labels, points), want, `compiler: ${labels.key}`);
      t.is(matches(selector, labels), want, `oracle: ${labels.key}`);
    }
  });
}
