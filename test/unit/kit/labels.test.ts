import test from 'ava';
import fc from 'fast-check';
import type { Label } from '#kit/labels';
import {
  formatLabel,
  getLabel,
  getLabels,
  labelKeyProblem,
  labelSet,
  labelValueProblem,
  nearestLabel,
  parseLabel,
  parseSelectorKey,
} from '#kit/labels';

const parsed: readonly [text: string, want: Label | undefined][] = [
  ['k8s:app=web', { source: 'k8s', key: 'app', value: 'web' }],
  ['app=web', { source: 'unspec', key: 'app', value: 'web' }],
  ['reserved:host', { source: 'reserved', key: 'host', value: '' }],
  ['$host', { source: 'reserved', key: 'host', value: '' }],
  ['reserved.host', { source: 'reserved', key: 'host', value: '' }],
  ['k8s:app=', { source: 'k8s', key: 'app', value: '' }],
  ['k8s:a/b.c=x=y', { source: 'k8s', key: 'a/b.c', value: 'x=y' }],
  ['k8s:a:b=c', { source: 'k8s', key: 'a:b', value: 'c' }],
  ['url=http://x', { source: 'unspec', key: 'url', value: 'http://x' }],
  ['cidr:10.0.0.0/8', { source: 'cidr', key: '10.0.0.0/8', value: '' }],
  ['', undefined],
  ['=x', undefined],
  [':a', undefined],
  ['k8s:', undefined],
  ['k8s:=x', undefined],
  ['$', undefined],
];
for (const [text, want] of parsed) {
  test(`parseLabel – "${text}" ${want === undefined ? 'is no label' : `is ${formatLabel(want)}`}`, (t) => {
    t.deepEqual(parseLabel(text), want);
  });
}

test('parseSelectorKey – a key without source means every source', (t) => {
  t.deepEqual(parseSelectorKey('app'), { source: 'any', key: 'app' });
  t.deepEqual(parseSelectorKey('any:app'), { source: 'any', key: 'app' });
  t.deepEqual(parseSelectorKey('k8s:app'), { source: 'k8s', key: 'app' });
  t.deepEqual(parseSelectorKey('$host'), { source: 'reserved', key: 'host' });
});

const l = (text: string) => parseLabel(text) as Label;

test('labelSet – order of writing does not matter, the later of equal keys counts', (t) => {
  const a = labelSet([l('k8s:b=2'), l('container:z=1'), l('k8s:a=1')]);
  t.is(a.key, 'container:z=1;k8s:a=1;k8s:b=2');
  t.deepEqual(labelSet([l('k8s:a=1'), l('k8s:b=2'), l('container:z=1')]), a);
  t.is(labelSet([l('k8s:a=1'), l('k8s:a=2')]).key, 'k8s:a=2');
  t.deepEqual(labelSet([]), { labels: [], key: '' });
});

test('labelSet – a value cannot pass for another label', (t) => {
  t.not(labelSet([l('a=x;k8s:role=admin')]).key, labelSet([l('a=x'), l('k8s:role=admin')]).key);
});

const word = fc.string({ unit: fc.constantFrom('a', 'b', ';', '=', '\\', ':'), minLength: 1, maxLength: 4 });
const label = fc.record({ source: word, key: word, value: word });

test('labelSet – equal keys mean equal labels', (t) => {
  fc.assert(
    fc.property(fc.array(label, { maxLength: 3 }), fc.array(label, { maxLength: 3 }), (a, b) => {
      const [x, y] = [labelSet(a), labelSet(b)];
      t.is(x.key === y.key, JSON.stringify(x.labels) === JSON.stringify(y.labels));
    }),
    { numRuns: 2000 },
  );
});

test('getLabel – any in the selector matches every source, never the reverse', (t) => {
  const set = labelSet([l('k8s:app=web'), l('container:app=db'), l('any:odd=1')]);
  t.is(getLabel(set, 'k8s', 'app')?.value, 'web');
  t.is(getLabel(set, 'any', 'app')?.value, 'db');
  t.deepEqual(
    getLabels(set, 'any', 'app').map((x) => x.value),
    ['db', 'web'],
  );
  t.is(getLabel(set, 'k8s', 'odd'), undefined);
  t.is(getLabel(set, 'node', 'app'), undefined);
});

test('nearestLabel – same key first, then the whole text', (t) => {
  const known = ['k8s:app=frontend', 'k8s:app=backend', 'k8s:role=frontend'];
  t.is(nearestLabel('k8s:app=frontned', known), 'k8s:app=frontend');
  t.is(nearestLabel('k8s:ap=backend', known), 'k8s:app=backend');
  t.is(nearestLabel('k8s:zone=1', known), undefined);
});

const keys: readonly [key: string, isGood: boolean][] = [
  ['app', true],
  ['app.kubernetes.io/name', true],
  ['A_b-c.d', true],
  ['', false],
  ['-a', false],
  ['a b', false],
  ['UPPER.io/name', false],
  ['/name', false],
  ['example.com/', false],
  ['x'.repeat(63), true],
  [`${'y'.repeat(64)}.io/x`, true],
  ['x'.repeat(64), false],
];
for (const [key, isGood] of keys) {
  test(`labelKeyProblem – "${key}" is ${isGood ? 'a key' : 'refused'}`, (t) => {
    t.is(labelKeyProblem(key) === undefined, isGood);
  });
}

test('labelValueProblem – empty or a name of at most 63', (t) => {
  t.deepEqual(['', 'v1.2', 'x'.repeat(63)].map(labelValueProblem), [undefined, undefined, undefined]);
  for (const bad of ['x'.repeat(64), 'a b', '.a', 'a/b']) t.truthy(labelValueProblem(bad));
});
