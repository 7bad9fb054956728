import test from 'ava';
import fc from 'fast-check';
import { Numbers } from '../../../src/datapath/numbers.ts';
import { Origins, ORIGIN_NONE, ORIGIN_OTHER } from '../../../src/datapath/origins.ts';

test('Numbers – the lowest free number comes next, none is out twice', (t) => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20)), { maxLength: 60 }), (steps) => {
      const numbers = new Numbers(1, 12);
      const out = new Set<number>();
      for (const give of steps) {
        const free = Array.from({ length: 11 }, (_, i) => i + 1).filter((n) => !out.has(n));
        if (numbers.left !== free.length) throw new Error('left is wrong');
        if (give === null) {
          const got = numbers.take();
          if (got !== free[0]) throw new Error(`${got} instead of ${free[0]}`);
          if (got !== undefined) out.add(got);
        } else {
          const n = [...out][give % Math.max(1, out.size)];
          if (n === undefined) continue;
          out.delete(n);
          numbers.give(n);
        }
      }
    }),
  );
  t.pass();
});

test('Numbers – adopted numbers are out, the gaps between them are free', (t) => {
  const numbers = new Numbers(1, 10);
  numbers.reserve([2, 5]);
  t.deepEqual([numbers.take(), numbers.take(), numbers.take(), numbers.take()], [1, 3, 4, 6]);
  t.is(numbers.highestAfter(2), 8);
});

test('Origins – a set keeps its number, also over a restart', (t) => {
  const origins = new Origins(16);
  const a = origins.idOf(['a', 'b']);
  const b = origins.idOf(['c']);
  t.is(origins.idOf(['a', 'b']), a);
  t.is(origins.idOf([]), ORIGIN_NONE);
  t.deepEqual(origins.rulesOf(a), ['a', 'b']);
  const again = new Origins(16);
  again.restore(JSON.parse(JSON.stringify(origins.save())));
  t.is(again.idOf(['c']), b);
  t.not(again.idOf(['d']), a);
});

test('Origins – numbers nobody holds are used again last, longest rested first, and announced', (t) => {
  const origins = new Origins(5);
  const [a, b, c] = ['a', 'b', 'c'].map((rule): number => {
    const id = origins.idOf([rule]);
    origins.retain([id]);
    return id;
  }) as [number, number, number];
  t.is(origins.idOf(['d']), ORIGIN_OTHER, 'all in use');
  t.is(origins.shared, 1);
  origins.release([b]);
  origins.release([a]);
  const reused: number[] = [];
  t.is(origins.idOf(['b']), b, 'a resting set still has its number');
  t.is(
    origins.idOf(['e'], (id) => reused.push(id)),
    b,
  );
  t.deepEqual(reused, [b]);
  t.deepEqual(origins.rulesOf(c), ['c']);
});

test('Origins – a number that memory holds but no file explains gets no other meaning', (t) => {
  const origins = new Origins(8);
  origins.avoid(4);
  t.is(origins.idOf(['a']), 5);
});
