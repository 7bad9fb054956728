import test from 'ava';
import fc from 'fast-check';
import type { Identity } from '#model';
import {
  movePorts,
  itemsOf,
  overlayIdentities,
  overlayPorts,
  type PortRange,
  settleSegments,
  unsettledPorts,
} from '../../../src/datapath/classes.ts';

const END = 24;

/** The numbers of a small index, port by port, as ranges. */
function rangesOf(numbers: readonly number[]): PortRange[] {
  const ranges: PortRange[] = [];
  numbers.forEach((number, at) => {
    const last = ranges.at(-1);
    if (last?.number === number) ranges[ranges.length - 1] = { ...last, last: at };
    else ranges.push({ first: at, last: at, number });
  });
  return ranges;
}

const index = fc.array(fc.nat(3), { minLength: END, maxLength: END });

test('overlayPorts – segments are exactly the ports that share a number and a class', (t) => {
  fc.assert(
    fc.property(index, index, (before, after) => {
      const classes = [0, 1, 2, 3].map((c) => ({
        name: `${c}`,
        ranges: rangesOf(after).flatMap((r) => (r.number === c ? [[r.first, r.last] as const] : [])),
      }));
      const segments = overlayPorts(rangesOf(before), classes);
      const seen = new Map<number, string>();
      for (const { from, to, weight, items } of segments) {
        let n = 0;
        for (const { first, last } of items)
          for (let p = first; p <= last; p++, n++) seen.set(p, `${from}>${to}`);
        if (n !== weight) throw new Error('weight is wrong');
      }
      before.forEach((from, p) => {
        if (seen.get(p) !== `${from}>${after[p]}`) throw new Error(`port ${p}: ${seen.get(p)}`);
      });
    }),
  );
  t.pass();
});

test('overlayPorts – a gap or an overlap between classes is a defect that shows', (t) => {
  const all = [{ first: 0, last: 9, number: 0 }];
  t.throws(() => overlayPorts(all, [{ name: '', ranges: [[0, 4]] }]), { message: /end at index 5/ });
  t.throws(
    () =>
      overlayPorts(all, [
        {
          name: '',
          ranges: [
            [0, 4],
            [6, 9],
          ],
        },
      ]),
    { message: /index 5/ },
  );
  t.throws(
    () =>
      overlayPorts(all, [
        {
          name: '',
          ranges: [
            [0, 4],
            [4, 9],
          ],
        },
      ]),
    { message: /index 5/ },
  );
});

test('unsettledPorts – a number that lies in its class alone stays, others are told with all that lies on them', (t) => {
  const segment = (from: number, to: number) => ({ from, to, weight: 1, items: [] });
  const before = new Map([
    [1, 4],
    [2, 5],
    [3, 6],
    [8, 7],
  ]);
  const { unsettled, segments } = unsettledPorts(
    [segment(1, 4), segment(2, 5), segment(2, 6), segment(3, 5), segment(9, 0)],
    before,
  );
  t.deepEqual([...unsettled], [2, 3, 9, 8]);
  t.deepEqual(
    segments.map(({ from, to }) => [from, to]),
    [
      [2, 5],
      [2, 6],
      [3, 5],
      [9, 0],
    ],
  );
});

test('movePorts – the same as writing numbers port by port', (t) => {
  fc.assert(
    fc.property(index, fc.array(fc.boolean(), { minLength: END, maxLength: END }), (before, moved) => {
      const after = before.map((n, p) => (moved[p] ? 9 : n));
      const parts = rangesOf(before.map((n, p) => (moved[p] ? 10 + n : n)))
        .filter((r) => r.number >= 10)
        .map((r) => ({ ...r, number: 9 }));
      const got = movePorts(rangesOf(before), parts);
      if (JSON.stringify(got) !== JSON.stringify(rangesOf(after))) throw new Error(JSON.stringify(got));
    }),
  );
  t.pass();
});

test('overlayIdentities – newcomers, those that stay and those gone are told apart', (t) => {
  const known = new Map([
    [1, 0],
    [2, 5],
    [3, 5],
    [4, 6],
  ]);
  const classes = [
    { name: '', members: [1, 9] as Identity[] },
    { name: 'a', members: [2] as Identity[] },
    { name: 'b', members: [3, 8] as Identity[] },
  ];
  const axis = { weights: new Map(), positions: new Map() };
  const { segments, added, gone } = overlayIdentities({ known, axis }, classes);
  t.deepEqual(added, [
    [9, 0],
    [8, 2],
  ]);
  t.deepEqual(gone, [4]);
  t.deepEqual(
    segments.map(({ from, to, items }) => [from, to, items]),
    [
      [0, 0, [1]],
      [5, 1, [2]],
      [5, 2, [3]],
    ],
  );
});

test('overlayIdentities – of classes that stay only those are looked at who come, go or move', (t) => {
  // Before: 1 and 2 in class a on number 5, 3 and 4 in b on 6, 7 gone but still on 6; now 2 is in b, 4 gone, 9 new.
  const known = new Map([
    [1, 5],
    [2, 5],
    [3, 6],
    [4, 6],
    [7, 6],
  ]);
  const axis = {
    weights: new Map([
      [0, 0],
      [5, 2],
      [6, 3],
      [7, 9],
    ]),
    positions: new Map([
      [0, 0],
      [5, 1],
      [6, 2],
      [7, 3],
    ]),
  };
  const classesOf = (a: readonly number[], b: readonly number[]) => [
    { name: '', members: [] as Identity[] },
    { name: 'a', members: a as Identity[] },
    { name: 'b', members: b as Identity[] },
  ];
  const now = classesOf([1], [2, 3, 9]);
  const base = { identityClasses: classesOf([1, 2], [3, 4]), gone: [7] };
  const { unsettled, segments, added, gone } = overlayIdentities({ known, axis }, now, base);
  t.deepEqual(added, [[9, 2]]);
  t.deepEqual(
    gone.toSorted((a, b) => a - b),
    [4, 7],
  );
  t.deepEqual([...unsettled], [5, 6]);
  const told = segments.map((s) => [s.from, s.to, s.weight, itemsOf(s, now, known)]);
  t.deepEqual(told, [
    [5, 2, 1, [2]],
    [5, 1, 1, [1]],
    [6, 2, 1, [3]],
  ]);
});

test('settleSegments – the heaviest part of a number keeps it, a pinned number keeps its position, one left by all has none', (t) => {
  const segment = (from: number, to: number, weight: number) => ({ from, to, weight, items: [] });
  const segments = [segment(5, 1, 2), segment(5, 2, 7), segment(0, 3, 9), segment(0, 0, 1)];
  const unsettled = new Set([5, 0, 6]);
  const { positions, moving } = settleSegments({ unsettled, segments }, new Map([[0, 0]]));
  t.deepEqual(
    [...positions],
    [
      [5, 2],
      [0, 0],
      [6, undefined],
    ],
  );
  t.deepEqual(
    moving.map((s) => [s.from, s.to]),
    [
      [5, 1],
      [0, 3],
    ],
  );
});
