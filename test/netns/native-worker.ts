/** The worker of `native.test.ts`: loads an object of its own, watches a ring, and tells when it was woken. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  loadObject,
  mapFd,
  mapUpdate,
  mapView,
  openObject,
  programFd,
  ringView,
  setAutoload,
  testRun,
  watch,
} from '#native';

const { object: path, ring, words }: { object: string; ring: number; words: number } = workerData;
const object = openObject(path);
setAutoload(object, 'broken', false);
loadObject(object);
mapUpdate(mapFd(object, 'rings'), Uint32Array.of(0), Uint32Array.of(ring));
const { consumer, producer } = ringView(ring, 4096);
const shown = new BigUint64Array(mapView(words, 64));
watch(ring, () => {
  const written = Atomics.load(new BigUint64Array(producer), 0);
  Atomics.store(new BigUint64Array(consumer), 0, written);
  shown[0] = 1n;
  parentPort?.postMessage('woken');
});
parentPort?.on('message', () => testRun(programFd(object, 'tell'), { dataIn: new Uint8Array(64) }));
parentPort?.postMessage('ready');
