/** Port classes, cut where lists come and go, against their twin: cut anew. */
import test from 'ava';
import fc from 'fast-check';
import { rowChanges } from '#kit/rows';
import { type PortList, portListOf, PortPartition } from '../../../src/policy/classes.ts';

/** Few ports, so that lists share cuts, and ranges between two cuts come back with another length. */
const range = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }))
  .map(([a, b]) => ({ kind: 'ports', protocol: 6, first: Math.min(a, b), last: Math.max(a, b) }) as const);
const list = fc
  .array(range, { minLength: 1, maxLength: 3 })
  .map((matches) => portListOf({ kind: 'list', matches }));
const listOf = (first: number, last: number) =>
  portListOf({ kind: 'list', matches: [{ kind: 'ports', protocol: 6, first, last }] });
const lists = fc.uniqueArray(list, { maxLength: 5, selector: ({ name }) => name });

const sorted = (partition: PortPartition, gone: readonly PortList[], come: readonly PortList[]) =>
  partition
    .update({ gone, come })
    .classes.filter(({ ranges, name }) => ranges.length > 0 || name === '')
    .map(({ name, ranges }) => `${name}: ${ranges.join(' ')}`)
    .sort();

test('PortPartition – whatever lists come and go, classes are as cut anew', (t) => {
  fc.assert(
    fc.property(fc.array(lists, { minLength: 2, maxLength: 6 }), (steps) => {
      const carried = new PortPartition();
      const known = new Map<string, PortList>();
      let before: readonly PortList[] = [];
      for (const step of steps) {
        // Of one name, one object: as long as a list is in use it does not come again.
        const now = step.map((one) => before.find(({ name }) => name === one.name) ?? one);
        const { gone, come } = rowChanges(before, now);
        for (const { name } of gone) known.delete(name);
        for (const one of come) known.set(one.name, one);
        const want = sorted(new PortPartition(), [], [...known.values()]);
        const got = sorted(carried, gone, come);
        if (got.join('\n') !== want.join('\n')) throw new Error(`${got.join('\n')}\n\n${want.join('\n')}`);
        before = now;
      }
    }),
    { numRuns: 500 },
  );
  t.pass();
});

test('PortPartition – a range cut again where it began, whose end is gone, is stated anew', (t) => {
  const partition = new PortPartition();
  const [whole, first, last] = [listOf(3, 8), listOf(3, 4), listOf(6, 8)];
  const before = sorted(partition, [], [whole, first, last]);
  t.true(before.includes('TCP:3-8: 5,5'), before.join('\n'));
  const after = sorted(partition, [first, last], [listOf(1, 4)]);
  t.true(after.includes('TCP:3-8: 5,8'), after.join('\n'));
});
