/** What changed between two lists, and sorted lists that follow. */
import test from 'ava';
import fc from 'fast-check';
import { hasChanges, NO_CHANGES, patchSorted, rowChanges } from '#kit/rows';

const [a, b, c, d] = ['a', 'b', 'c', 'd'];
const cases: readonly [what: string, before: string[], after: string[], gone: string[], come: string[]][] = [
  ['nothing', [a, b], [a, b], [], []],
  ['one at the end', [a, b], [a, b, c], [], [c]],
  ['one at the start', [b, c], [a, b, c], [], [a]],
  ['one in the middle', [a, c], [a, b, c], [], [b]],
  ['one that goes', [a, b, c], [a, c], [b], []],
  ['one in place of another', [a, b, c], [a, d, c], [b], [d]],
  ['an order', [a, b, c], [c, a, b], [], []],
  ['everything', [a, b], [c, d], [a, b], [c, d]],
  ['all that was', [a, b], [], [a, b], []],
];

for (const [what, before, after, gone, come] of cases)
  test(`rows – a change of ${what}`, (t) => {
    const changes = rowChanges(before, after);
    t.deepEqual(changes, { gone, come });
    t.is(hasChanges(changes), gone.length + come.length > 0);
  });

test('rows – a patched list is the sorted list of what is there', (t) => {
  const list = fc.uniqueArray(fc.nat(40));
  fc.assert(
    fc.property(list, list, (before, after) => {
      const ascending = (x: number, y: number): number => x - y;
      const got = patchSorted(before.toSorted(ascending), rowChanges(before, after), ascending);
      t.deepEqual(got, after.toSorted(ascending));
    }),
  );
});

test('rows – a long list with few changes, too, where one row takes the place of another of its order', (t) => {
  const rows = fc.uniqueArray(fc.nat(9999), { minLength: 80, maxLength: 200 });
  const few = fc.array(fc.nat(9999), { maxLength: 4 });
  fc.assert(
    fc.property(rows, few, few, (numbers, gone, come) => {
      const byNumber = (x: { readonly n: number }, y: { readonly n: number }): number => x.n - y.n;
      const before = numbers.map((n) => ({ n })).sort(byNumber);
      const left = new Set(gone.map((i) => before[i % before.length]));
      const taken = new Set(before.filter((row) => !left.has(row)).map(({ n }) => n));
      const fresh = [...new Set([...come, ...[...left].map((row) => row?.n ?? 0)])].filter(
        (n) => !taken.has(n),
      );
      const after = [...before.filter((row) => !left.has(row)), ...fresh.map((n) => ({ n }))].sort(byNumber);
      const got = patchSorted(before, rowChanges(before, after), byNumber);
      t.is(got.length, after.length);
      t.true(got.every((row, i) => row === after[i]));
    }),
  );
});

test('rows – without changes a list stays the same object', (t) => {
  const list = [1, 2, 3];
  t.is(
    patchSorted(list, NO_CHANGES, (x, y) => x - y),
    list,
  );
});
