/** Single selectors against single label sets, without the indexes that find candidates for them. */
import test from 'ava';
import { labelSet } from '#kit/labels';
import { LABEL_CLUSTER, matches, type Requirement, STANDALONE_POLICY_CONFIG } from '#model';
import { cidrPoints, peerMatches, selectorMatches } from '../../../src/policy/match.ts';

/**
 * Keys of source `cidr` name prefixes: the compiler judges them by points, the oracle by labels. The labels of an
 * address inside the prefix that is asked for, and of one outside.
 */
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

test('prefix key – the world stands for all of its family, though it has no such label', (t) => {
  const labels = labelSet([{ source: 'reserved', key: 'world-ipv4', value: '' }]);
  const points = cidrPoints(labels, STANDALONE_POLICY_CONFIG);
  const isMeant = (key: string): boolean => {
    const requirement = { source: 'cidr', key, operator: 'Exists', values: [] } as const;
    return selectorMatches({ requirements: [requirement] }, labels, points);
  };
  t.deepEqual(['0.0.0.0/0', '10.0.0.0/8', '::/0'].map(isMeant), [true, false, false]);
});

test('entity – the cluster is the pods of this cluster alone', (t) => {
  const isMember = (value: string): boolean => {
    const labels = labelSet([{ source: 'k8s', key: LABEL_CLUSTER, value }]);
    const set = { labels, points: [] };
    return peerMatches({ kind: 'entity', entity: 'cluster' }, set, STANDALONE_POLICY_CONFIG);
  };
  t.true(isMember(STANDALONE_POLICY_CONFIG.clusterName));
  t.false(isMember('other'));
});

test('CIDR group – a label of another source makes no member', (t) => {
  const key = 'io.cilium.policy.cidrgroupname/office';
  const isMember = (source: string): boolean => {
    const labels = labelSet([
      { source, key, value: '' },
      { source: 'cidr', key: '10.0.0.1/32', value: '' },
    ]);
    const points = cidrPoints(labels, STANDALONE_POLICY_CONFIG);
    const absent = { source: 'cidrgroup', key: 'env', operator: 'DoesNotExist', values: [] } as const;
    const selector = { kind: 'cidrGroup', selector: { requirements: [absent] }, except: [] } as const;
    return peerMatches(selector, { labels, points }, STANDALONE_POLICY_CONFIG);
  };
  t.true(isMember('cidrgroup'));
  t.false(isMember('k8s'));
});
