import test from 'ava';
import { Rest } from '../../../src/agent/rest.ts';

const MB = 1024 * 1024;

test('Rest – collects when the heap has grown by half and more, and measures from what was left', (t) => {
  let used = 20 * MB;
  let left = 0;
  let collections = 0;
  const collect = () => {
    collections += 1;
    used = left;
  };
  using rest = new Rest({ usedBytes: () => used, collect }, 1 << 30);
  const after = (bytes: number, remains: number): number => {
    [used, left] = [bytes * MB, remains * MB];
    rest.look();
    return collections;
  };
  t.is(after(37, 20), 0, 'not yet');
  t.is(after(39, 30), 1);
  t.is(after(50, 30), 1, 'more is in use now');
  t.is(after(60, 15), 2);
  t.is(after(15, 15), 2);
  t.is(after(10, 10), 2, 'it became less by itself');
  t.is(after(24, 10), 3);
});

test('Rest – V8 is at hand', (t) => {
  using rest = new Rest();
  t.notThrows(() => rest.look());
});
