import test from 'ava';
import fc from 'fast-check';
import { type Label, labelSet } from '#kit/labels';
import { matches, matchesRequirement, type Requirement, selectorOf } from '#model';

const pod = labelSet([
  { source: 'k8s', key: 'app', value: 'web' },
  { source: 'container', key: 'app', value: 'nginx' },
  { source: 'k8s', key: 'tier', value: '' },
]);
const cidr4 = labelSet([
  { source: 'cidr', key: '10.0.0.1/32', value: '' },
  { source: 'reserved', key: 'world-ipv4', value: '' },
]);
const cidr6 = labelSet([{ source: 'cidr', key: 'fd00--1/128', value: '' }]);
const r = (
  source: string,
  key: string,
  operator: Requirement['operator'],
  ...values: string[]
): Requirement => ({
  source,
  key,
  operator,
  values,
});

const cases: readonly [what: string, requirement: Requirement, labels: typeof pod, want: boolean][] = [
  ['In finds a listed value', r('k8s', 'app', 'In', 'db', 'web'), pod, true],
  ['In of another source finds nothing', r('cni', 'app', 'In', 'web'), pod, false],
  ['any finds the value of every source', r('any', 'app', 'In', 'nginx'), pod, true],
  ['In finds an empty value', r('k8s', 'tier', 'In', ''), pod, true],
  ['NotIn holds where the key is absent', r('any', 'zone', 'NotIn', 'a'), pod, true],
  ['NotIn holds for another value', r('k8s', 'app', 'NotIn', 'db'), pod, true],
  ['NotIn fails for a listed value', r('any', 'app', 'NotIn', 'nginx'), pod, false],
  ['Exists asks for the key only', r('any', 'tier', 'Exists'), pod, true],
  ['Exists of another source fails', r('node', 'tier', 'Exists'), pod, false],
  ['DoesNotExist is its opposite', r('any', 'zone', 'DoesNotExist'), pod, true],
  ['cidr keys match by containment', r('cidr', '10.0.0.0/24', 'Exists'), cidr4, true],
  ['cidr keys match equal prefixes', r('cidr', '10.0.0.1/32', 'In', ''), cidr4, true],
  ['cidr keys do not match wider ones', r('cidr', '10.0.0.0/33', 'Exists'), cidr4, false],
  ['cidr keys outside do not match', r('cidr', '10.0.1.0/24', 'DoesNotExist'), cidr4, true],
  ['cidr keys of IPv6 match in both spellings', r('cidr', 'fd00::/16', 'Exists'), cidr6, true],
  ['cidr keys of IPv6 may have dashes', r('cidr', 'fd00--/16', 'Exists'), cidr6, true],
  ['families never mix', r('cidr', '::/0', 'Exists'), cidr4, false],
];
for (const [what, requirement, labels, want] of cases) {
  test(`selector – ${what}`, (t) => t.is(matchesRequirement(requirement, labels), want));
}

const label: fc.Arbitrary<Label> = fc.record({
  source: fc.constantFrom('k8s', 'container', 'reserved'),
  key: fc.constantFrom('a', 'b', 'c'),
  value: fc.constantFrom('', 'x', 'y'),
});
const requirement: fc.Arbitrary<Requirement> = fc.record({
  source: fc.constantFrom('any', 'k8s', 'container'),
  key: fc.constantFrom('a', 'b'),
  operator: fc.constantFrom('In' as const, 'NotIn' as const, 'Exists' as const, 'DoesNotExist' as const),
  values: fc.array(fc.constantFrom('', 'x', 'y', 'z'), { minLength: 1, maxLength: 3 }),
});

test('selector – the canonical form of a selector matches the same', (t) => {
  fc.assert(
    fc.property(
      fc.array(requirement, { maxLength: 5 }),
      fc.array(label, { maxLength: 5 }),
      (list, labels) => {
        const set = labelSet(labels);
        const canonical = selectorOf(list);
        t.is(matches(canonical, set), matches({ requirements: list }, set));
        t.deepEqual(selectorOf([...list].reverse()), canonical);
      },
    ),
  );
});

test('selector – NotIn and DoesNotExist are the opposites of In and Exists', (t) => {
  const opposite = { In: 'NotIn', NotIn: 'In', Exists: 'DoesNotExist', DoesNotExist: 'Exists' } as const;
  fc.assert(
    fc.property(requirement, fc.array(label, { maxLength: 5 }), (one, labels) => {
      const other = { ...one, operator: opposite[one.operator] };
      t.not(matchesRequirement(one, labelSet(labels)), matchesRequirement(other, labelSet(labels)));
    }),
  );
});
