import test from 'ava';
import { Channel, Mutex, abortable, deadline, mapBounded, until } from '#kit/async';
import { backoffDelayMs, retry } from '#kit/backoff';
import { fakeClock, systemClock } from '#kit/clock';

const { signal: never } = new AbortController();

test('until – the first value that is neither undefined nor false', async (t) => {
  const clock = fakeClock();
  let looks = 0;
  const value = until(() => (++looks < 3 ? undefined : looks), {
    signal: never,
    timeoutMs: 1000,
    what: 'three looks',
    clock,
  });
  await clock.advance(20);
  t.is(await value, 3);
});

test('until – zero is a value', async (t) => {
  t.is(await until(() => 0, { signal: never, timeoutMs: 0, what: 'zero' }), 0);
});

test('until – names what it waited for when time is up, and looks once more at the end', async (t) => {
  const clock = fakeClock();
  let looks = 0;
  const waited = until(() => ++looks > 99, { signal: never, timeoutMs: 25, what: 'the moon rises', clock });
  const ended = t.throwsAsync(waited, { code: 'TIMEOUT', message: /25ms in vain until the moon rises/ });
  await clock.advance(25);
  await ended;
  t.is(looks, 4);
});

test('until – stops with the signal', async (t) => {
  const stop = new AbortController();
  const waited = until(() => false, { signal: stop.signal, timeoutMs: 60_000, what: 'nothing' });
  stop.abort(new Error('enough'));
  await t.throwsAsync(waited, { message: 'enough' });
});

test('deadline – aborts with the outer signal, and on its own', async (t) => {
  const outer = new AbortController();
  using both = deadline(60_000, 'a call', outer.signal);
  outer.abort(new Error('outer'));
  t.is(both.signal.reason.message, 'outer');
  using own = deadline(1, 'a call');
  await until(() => own.signal.aborted, { signal: never, timeoutMs: 60_000, what: 'it aborts' });
  t.is(own.signal.reason.code, 'TIMEOUT');
});

test('abortable – whatever comes first', async (t) => {
  const stop = new AbortController();
  t.is(await abortable(Promise.resolve(1), stop.signal), 1);
  const hanging = abortable(new Promise(() => {}), stop.signal);
  stop.abort(new Error('stop'));
  await t.throwsAsync(hanging, { message: 'stop' });
  await t.throwsAsync(abortable(Promise.resolve(1), stop.signal), { message: 'stop' });
});

test('Mutex – one at a time, in the order of asking, also after errors and departures', async (t) => {
  const mutex = new Mutex();
  const log: string[] = [];
  const stop = new AbortController();
  const held = await mutex.lock();
  const first = mutex.run(() => {
    log.push('first');
    throw new Error('x');
  });
  const leaver = mutex.run(() => log.push('leaver'), stop.signal);
  const second = mutex.run(async () => {
    await Promise.resolve();
    log.push('second');
  });
  stop.abort(new Error('left'));
  await t.throwsAsync(leaver, { message: 'left' });
  t.true(mutex.isLocked);
  held[Symbol.dispose]();
  held[Symbol.dispose](); // twice is once
  await t.throwsAsync(first, { message: 'x' });
  await second;
  t.deepEqual(log, ['first', 'second']);
  t.false(mutex.isLocked);
});

test('Channel – bounded, in order, nothing lost', async (t) => {
  const channel = new Channel<number>(2);
  t.true(channel.trySend(1));
  t.true(channel.trySend(2));
  t.false(channel.trySend(3));
  const waiting = channel.send(4, { signal: never });
  t.is(await channel.receive({ signal: never }), 1);
  t.true(await waiting);
  channel.close();
  const rest: number[] = [];
  for await (const item of channel) rest.push(item);
  t.deepEqual(rest, [2, 4]);
  t.false(channel.trySend(5));
});

test('Channel – a receiver that waits gets the item, one that left does not', async (t) => {
  const channel = new Channel<string>(1);
  const stop = new AbortController();
  const left = channel.receive({ signal: stop.signal });
  const stays = channel.receive({ signal: never });
  stop.abort(new Error('left'));
  await t.throwsAsync(left, { message: 'left' });
  channel.trySend('a');
  t.is(await stays, 'a');
  const last = channel.receive({ signal: never });
  channel.close();
  t.is(await last, undefined);
});

test('mapBounded – results in order, never more than the limit at once', async (t) => {
  let running = 0;
  let most = 0;
  const results = await mapBounded([3, 1, 2, 0], 2, async (n) => {
    most = Math.max(most, ++running);
    for (let i = 0; i < n; i++) await Promise.resolve();
    running--;
    return n * 10;
  });
  t.deepEqual(results, [30, 10, 20, 0]);
  t.is(most, 2);
});

test('backoffDelayMs – doubles to the bound, half of it random', (t) => {
  const b = { minMs: 100, maxMs: 1000 };
  t.deepEqual(
    [1, 2, 3, 4, 5, 5000].map((n) => backoffDelayMs(b, n, () => 0)),
    [100, 200, 400, 800, 1000, 1000],
  );
  t.is(backoffDelayMs(b, 1, () => 0.999999) >= 50, true);
  t.is(
    backoffDelayMs({ ...b, jitter: 0, factor: 3 }, 2, () => 0.9),
    300,
  );
});

test('retry – again after growing pauses, then the value', async (t) => {
  const clock = fakeClock();
  const times: number[] = [];
  const result = retry(
    async () => {
      times.push(clock.nowMs());
      if (times.length < 4) throw new Error('not yet');
      return 'done';
    },
    { signal: never, clock, random: () => 0, minMs: 10, maxMs: 1000 },
  );
  await clock.advance(1000);
  t.is(await result, 'done');
  t.deepEqual(times, [0, 10, 30, 70]);
});

test('retry – gives up with the last error: attempts used up, or not worth it', async (t) => {
  const clock = fakeClock();
  let tries = 0;
  const fail = async () => {
    throw new Error(`try ${++tries}`);
  };
  const opts = { signal: never, clock, random: () => 0, minMs: 1, maxMs: 1 };
  const ended = t.throwsAsync(retry(fail, { ...opts, attempts: 3 }), { message: 'try 3' });
  await clock.advance(10);
  await ended;
  await t.throwsAsync(retry(fail, { ...opts, isRetriable: () => false }), { message: 'try 4' });
});

test('retry – stops with the signal during a pause', async (t) => {
  const clock = fakeClock();
  const stop = new AbortController();
  const ended = t.throwsAsync(
    retry(() => Promise.reject(new Error('x')), {
      signal: stop.signal,
      clock,
      random: () => 0,
      minMs: 1000,
      maxMs: 1000,
    }),
    { message: 'stopped' },
  );
  await clock.advance(1);
  stop.abort(new Error('stopped'));
  await ended;
  t.is(clock.sleeping, 0);
});

test('fakeClock – sleepers wake in order of time, each seeing its own', async (t) => {
  const clock = fakeClock(5);
  const log: string[] = [];
  const nap = async (name: string, ms: number) => {
    await clock.sleep(ms, never);
    log.push(`${name}@${clock.nowMs()}`);
    if (name === 'a') await nap('c', 1);
  };
  const naps = Promise.all([nap('b', 20), nap('a', 10)]);
  t.is(clock.nextWakeMs, 15);
  await clock.advance(100);
  await naps;
  t.deepEqual(log, ['a@15', 'c@16', 'b@25']);
  t.is(clock.nowMs(), 105);
});

test('systemClock – a sleep ends early with the reason of its signal', async (t) => {
  const stop = new AbortController();
  const sleep = systemClock.sleep(60_000, stop.signal);
  stop.abort(new Error('awake'));
  await t.throwsAsync(sleep, { message: 'awake' });
  t.true(systemClock.nowMs() > 0);
});
