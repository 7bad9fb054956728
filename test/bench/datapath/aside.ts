/** A thread for test runs beside which the main thread goes on working. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { type Fd, testRun } from '#native';

interface Order {
  readonly fd: Fd;
  readonly data: Uint8Array;
  readonly ctx: Uint8Array;
  readonly repeat: number;
}

interface Answer {
  readonly durationNs: number;
  readonly retval: number;
}

let thread: Worker | undefined;

/** Runs a program in the other thread. */
export async function testRunAside(order: Order): Promise<Answer> {
  if (thread === undefined) {
    thread = new Worker(new URL(import.meta.url));
    await once(thread, 'online');
    thread.unref();
  }
  thread.ref();
  thread.postMessage(order);
  const [answer] = (await once(thread, 'message')) as [Answer];
  thread.unref();
  return answer;
}

if (!isMainThread) {
  parentPort?.on('message', ({ fd, data, ctx, repeat }: Order) => {
    const { durationNs, retval } = testRun(fd, {
      dataIn: data,
      ctxIn: ctx,
      repeat,
      dataOutSize: 0,
      ctxOutSize: 0,
    });
    parentPort?.postMessage({ durationNs, retval } satisfies Answer);
  });
}
