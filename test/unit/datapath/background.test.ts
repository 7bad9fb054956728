import test from 'ava';
import { until } from '#kit/async';
import { Background, type WorkerSetup } from '../../../src/datapath/background.ts';

function bed(deaths: number) {
  const counter = new SharedArrayBuffer(4);
  new Int32Array(counter)[0] = deaths;
  const problems: string[] = [];
  const over: string[] = [];
  const background = new Background(
    { grace: { outer: 0, inner: 0 }, rings: [], walks: [], deaths: counter } as unknown as WorkerSetup,
    {
      onEvents: () => undefined,
      onPass: () => undefined,
      onProblem: (topic, what, err) => problems.push(`${topic}: ${what}: ${(err as Error).message}`),
      onOver: (topic) => over.push(topic),
    },
    { file: new URL('./background-fake.ts', import.meta.url), pauseMs: { first: 1, most: 8 } },
  );
  return { background, problems, over };
}

test('Background – a grace period is waited for across deaths of the thread, each of which is told', async (t) => {
  const { background, problems, over } = bed(3);
  await using _open = background;
  await background.ready;
  await background.wait();
  t.true(background.isAlive);
  t.deepEqual(
    problems,
    Array.from(
      { length: 3 },
      () => 'event thread: the thread that reads events has died and is started again: the fake dies',
    ),
  );
  const limits = { signal: new AbortController().signal, timeoutMs: 60_000, what: 'it has lived a while' };
  await until(() => over.includes('event thread'), limits);
});

test('Background – requests that come meanwhile share the next grace period', async (t) => {
  const { background, problems } = bed(0);
  await using _open = background;
  const order: number[] = [];
  await Promise.all([1, 2, 3].map(async (n) => background.wait().then(() => order.push(n))));
  t.deepEqual(order, [1, 2, 3]);
  t.deepEqual(problems, []);
});

test('Background – who still waits when it is closed is told so', async (t) => {
  const { background } = bed(1_000_000);
  const waiting = background.wait();
  const refused = t.throwsAsync(waiting, { message: 'the datapath is closed' });
  await background[Symbol.asyncDispose]();
  await refused;
  await t.throwsAsync(background.wait(), { message: 'the datapath is closed' });
});
