/** Another CPU: sends its frames over and over. */
import { workerData } from 'node:worker_threads';
import { type Fd, testRun } from '#native';

/** What a worker is given. */
export interface Sending {
  readonly fd: Fd;
  readonly ctx: Uint8Array;
  readonly frames: readonly Uint8Array<ArrayBuffer>[];
  readonly times: number;
}

const { fd, ctx, frames, times } = workerData as Sending;
for (let i = 0; i < times; i++)
  for (const dataIn of frames) testRun(fd, { dataIn, ctxIn: ctx, dataOutSize: 0, ctxOutSize: 0 });
