import test from 'ava';
import { Collector, type Pass, pressureOf } from '../../../src/datapath/gc.ts';

/** A table of `bytes` × 16 records whose reads cost `costMs` each, on a clock of its own. */
function bench(tables: readonly { bytes: number; costMs: number }[], capacity = 160_000) {
  let now = 0;
  const passes: Pass[] = [];
  const walked = tables.map(() => 0);
  let open = 0;
  const walks = tables.map(({ bytes, costMs }, i) => ({
    table: `t${i}`,
    capacity,
    recordsAByte: 16,
    begin: () => {
      let left = bytes;
      open++;
      return {
        read: (out: Uint8Array) => {
          now += costMs;
          const n = Math.min(left, out.length);
          left -= n;
          walked[i] = (walked[i] as number) + n;
          return n;
        },
        close: () => void open--,
      };
    },
  }));
  const collector = new Collector(
    walks,
    (pass) => passes.push(pass),
    () => now,
  );
  return {
    collector,
    passes,
    walked,
    advance: (ms: number) => (now += ms),
    open: () => open,
    now: () => now,
  };
}

test('Collector – a turn walks a hundredth of the table and no more', (t) => {
  const b = bench([{ bytes: 10_000, costMs: 0.1 }]);
  b.collector.turn();
  t.is(b.walked[0], 100);
  b.collector.turn();
  t.is(b.walked[0], 200);
});

test('Collector – a turn ends when its time is up, and who came short comes first next time', (t) => {
  const b = bench([
    { bytes: 10_000, costMs: 6 },
    { bytes: 10_000, costMs: 6 },
  ]);
  b.collector.turn();
  t.deepEqual(b.walked, [100, 0]);
  b.collector.turn();
  t.deepEqual(b.walked, [100, 100]);
  t.is(b.now(), 12);
});

test('Collector – a pass tells how much it met, closes, and the next waits its time', (t) => {
  const b = bench([{ bytes: 30, costMs: 0.1 }]);
  b.collector.turn();
  t.deepEqual(b.passes, [{ table: 't0', capacity: 160_000, entries: 480, isOver: true }]);
  t.is(b.open(), 0);
  b.collector.turn();
  t.is(b.passes.length, 1);
  b.advance(10_000);
  b.collector.turn();
  t.is(b.passes.length, 2);
});

test('pressureOf – 85 and 95 % are the steps', (t) => {
  const of = (entries: number) => pressureOf({ entries, capacity: 100 });
  t.deepEqual([of(84), of(85), of(94), of(95)], ['none', 'high', 'high', 'severe']);
});
