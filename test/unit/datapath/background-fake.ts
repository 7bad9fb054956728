/** A thread that answers requests for grace periods, but dies of its first ones: as many as `deaths` says. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ToWorker } from '../../../src/datapath/background.ts';

const { deaths } = workerData as { readonly deaths: SharedArrayBuffer };
const left = new Int32Array(deaths);
parentPort?.on('message', ({ id }: ToWorker) => {
  if (Atomics.sub(left, 0, 1) > 0) throw new Error('the fake dies');
  parentPort?.postMessage({ kind: 'grace', id });
});
parentPort?.postMessage({ kind: 'ready' });
