import test from 'ava';
import fc from 'fast-check';
import { Arena, type Span } from '../../../src/datapath/arena.ts';

const WORDS = 512;

test('Arena – spans never overlap, and what is given back can be taken again whole', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 90 })), { maxLength: 80 }),
      (steps) => {
        const arena = new Arena(WORDS);
        const held: Span[] = [];
        const owner = new Int32Array(WORDS).fill(-1);
        steps.forEach(([takes, n], step) => {
          if (!takes) {
            const span = held.splice(n % Math.max(1, held.length), 1)[0];
            if (span === undefined) return;
            arena.give(span);
            owner.fill(-1, span.offset, span.offset + span.words);
            return;
          }
          const span = arena.take(n);
          if (span === undefined) return;
          if (owner.subarray(span.offset, span.offset + span.words).some((o) => o >= 0))
            throw new Error(`span ${span.offset}+${span.words} is in use`);
          if (span.words < n || span.offset % 8 !== 0) throw new Error('too short or not aligned');
          owner.fill(step, span.offset, span.offset + span.words);
          held.push(span);
        });
        if (arena.used !== owner.filter((o) => o >= 0).length) throw new Error('used is wrong');
        for (const span of held) arena.give(span);
        if (arena.largestFree !== WORDS) throw new Error('free spans are not joined');
      },
    ),
  );
  t.pass();
});

test('Arena – a span that does not fit is refused and changes nothing', (t) => {
  const arena = new Arena(64);
  t.truthy(arena.take(40));
  t.is(arena.take(32), undefined);
  t.is(arena.used, 40);
  t.truthy(arena.take(24));
});

test('Arena – adopted spans are taken out of what is free', (t) => {
  const arena = new Arena(64);
  t.deepEqual(arena.reserve(18, 4), { offset: 16, words: 8 });
  t.is(arena.reserve(20, 1), undefined);
  t.deepEqual(arena.take(16), { offset: 0, words: 16 });
  t.deepEqual(arena.take(8), { offset: 24, words: 8 });
});

test('Arena – giving the same span back twice is a defect that shows', (t) => {
  const arena = new Arena(64);
  const span = arena.take(8) as Span;
  arena.give(span);
  t.throws(() => arena.give(span), { instanceOf: RangeError });
});
