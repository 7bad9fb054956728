/**
 * The thread beside the main loop: waits for grace periods and drains the rings, so that neither ever makes
 * a request wait. Speaks by messages only (`background.ts` is its other end).
 */
import { parentPort, workerData } from 'node:worker_threads';
import { errorMessage } from '#kit/errors';
import { ATTACH, closeFd, iterCreate, linkCreate, mapUpdate, readFd, watch } from '#native';
import type { FromWorker, ToWorker, WorkerSetup } from './background.ts';
import { Collector, TURN_MS, type Walk } from './gc.ts';
import { RingReader, SLOT_BYTES } from './ring.ts';

const setup = workerData as WorkerSetup;
const port = parentPort;
if (port === null) throw new Error('datapath-worker is a worker');

/** Records per message at most: 768 KiB. */
const BATCH = 8192;
/** Rings wake their reader once in 64 records; the rest is fetched by this timer. */
const POLL_MS = 20;

const readers = setup.rings.map((ring) => new RingReader(ring.fd, ring.bytes));
const send = (message: FromWorker, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);

const slots = new BigUint64Array((BATCH * SLOT_BYTES) / 8);

/** Everything that is there, in batches; between two batches the loop turns. */
function drain(): void {
  let count = 0;
  for (const reader of readers) count += reader.drain(slots, count, BATCH);
  if (count === 0) return;
  const records = new Uint8Array(slots.slice(0, (count * SLOT_BYTES) / 8).buffer);
  send({ kind: 'events', count, records }, [records.buffer]);
  if (count === BATCH) setImmediate(drain);
}

for (const ring of setup.rings) watch(ring.fd, drain);
setInterval(() => {
  if (readers.some((reader) => reader.hasRecords)) drain();
}, POLL_MS);

/** A pass is a descriptor of the iterator's link. */
function walkOf({ mapFd, program, ...walk }: WorkerSetup['walks'][number]): Walk {
  const link = linkCreate(program, 0, ATTACH.traceIter, { iterMapFd: mapFd });
  const begin = () => {
    const fd = iterCreate(link);
    return { read: (out: Uint8Array) => readFd(fd, out), close: () => closeFd(fd) };
  };
  return { ...walk, begin };
}

try {
  const collector = new Collector(
    setup.walks.map(walkOf),
    (pass) => send({ kind: 'pass', pass }),
    () => performance.now(),
  );
  const timer = setInterval(() => {
    try {
      collector.turn();
    } catch (e) {
      clearInterval(timer);
      send({ kind: 'problem', what: `collecting expired flows has stopped: ${errorMessage(e)}` });
    }
  }, TURN_MS);
} catch (e) {
  send({ kind: 'problem', what: `expired flows are not collected: ${errorMessage(e)}` });
}

const key = new Uint32Array(1);
const inner = Uint32Array.of(setup.grace.inner);
port.on('message', (message: ToWorker) => {
  if (message.kind !== 'grace') return;
  try {
    mapUpdate(setup.grace.outer, key, inner);
    send({ kind: 'grace', id: message.id });
  } catch (e) {
    send({ kind: 'grace', id: message.id, error: String(e) });
  }
});
send({ kind: 'ready' });
