import test from 'ava';
import { EventLog, read, type Reading, SLOT_BYTES } from '#flow';

/** Records whose first bytes count up from `first`. */
function records(first: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count * SLOT_BYTES);
  for (let i = 0; i < count; i += 1) new DataView(bytes.buffer).setUint32(i * SLOT_BYTES, first + i);
  return bytes;
}

const brief = (r: Reading): string =>
  r.kind === 'lost' ? `lost before ${r.before}` : `${r.seq}:${r.view.getUint32(0)}`;

async function all(log: EventLog, since?: number): Promise<string[]> {
  const found: string[] = [];
  const signal = new AbortController().signal;
  for await (const r of read(log, { since, follow: false, signal })) found.push(brief(r));
  return found;
}

test('EventLog – keeps the last ones and tells a reader what is gone', async (t) => {
  const log = new EventLog({ capacity: 4, firstSeq: 100 });
  t.deepEqual(await all(log), []);
  log.append(records(0, 3), 3);
  t.deepEqual(await all(log), ['100:0', '101:1', '102:2']);
  log.append(records(3, 3), 3);
  t.deepEqual(await all(log), ['102:2', '103:3', '104:4', '105:5']);
  t.deepEqual(await all(log, 100), ['lost before 102', '102:2', '103:3', '104:4', '105:5']);
  t.deepEqual(await all(log, 104), ['104:4', '105:5']);
});

test('read – following begins with what comes next, sees every append once, and ends with its signal', async (t) => {
  const log = new EventLog({ capacity: 8, firstSeq: 0 });
  log.append(records(0, 2), 2);
  const stop = new AbortController();
  const found: string[] = [];
  const reading = (async () => {
    for await (const r of read(log, { since: undefined, follow: true, signal: stop.signal })) {
      found.push(brief(r));
      if (found.length === 3) stop.abort();
    }
  })();
  await Promise.resolve();
  log.append(records(2, 1), 1);
  log.append(records(3, 2), 2);
  await reading;
  t.deepEqual(found, ['2:2', '3:3', '4:4']);
});

test('read – a follower that was overtaken is told, and goes on with the oldest that is kept', async (t) => {
  const log = new EventLog({ capacity: 2, firstSeq: 0 });
  log.append(records(0, 1), 1);
  const stop = new AbortController();
  const reader = read(log, { since: 0, follow: true, signal: stop.signal });
  t.is(brief((await reader.next()).value as Reading), '0:0');
  log.append(records(1, 5), 5);
  t.is(brief((await reader.next()).value as Reading), 'lost before 4');
  t.is(brief((await reader.next()).value as Reading), '4:4');
  await reader.return();
});
