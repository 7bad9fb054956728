/**
 * What crossing into the kernel costs, each beside its floor in the same run: an empty call, map elements one
 * by one and in batches, test runs, ring records, codecs. Run as root: `node test/bench/native.bench.ts`.
 */
import {
  batchCursor,
  closeFd,
  closeObject,
  loadObject,
  mapCreate,
  mapFd,
  mapLookup,
  mapLookupBatch,
  mapUpdate,
  mapUpdateBatch,
  mapView,
  monotonicNs,
  openObject,
  possibleCpus,
  programFd,
  ringView,
  setAutoload,
  testRun,
} from '#native';
import { EVENT, EVENT_SIZE, readEvent } from '#wire/bpf';
import { compileAddon, compileBpfFile } from '../../deploy/compile.ts';

const HASH = 1;
const ARRAY = 2;
const RINGBUF = 27;
const MMAPABLE = 1 << 10;
const ENTRIES = 50_000;
const RING = 1 << 24;
const ROUNDS = 7;

/** Median nanoseconds of one of `count` operations that `fn` does. */
function measure(count: number, fn: () => void): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const from = process.hrtime.bigint();
    fn();
    return Number(process.hrtime.bigint() - from) / count;
  });
  return times.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
}

function report(name: string, ns: number, floor?: readonly [name: string, ns: number]): void {
  const ratio = floor === undefined ? '' : `   ${(ns / floor[1]).toFixed(2)} × ${floor[0]}`;
  console.log(`${name.padEnd(44)} ${ns.toFixed(1).padStart(9)} ns${ratio}`);
}

function repeat(count: number, fn: (i: number) => void): () => void {
  return () => {
    for (let i = 0; i < count; i += 1) fn(i);
  };
}

function benchCalls(): void {
  const empty = measure(1e6, repeat(1e6, possibleCpus));
  report('a call that reads one number', empty);
  report('monotonicNs', measure(1e6, repeat(1e6, monotonicNs)), ['call', empty]);
}

function benchMaps(): void {
  const fd = mapCreate({ type: HASH, name: 'bench', keySize: 4, valueSize: 8, maxEntries: ENTRIES });
  const keys = Uint32Array.from({ length: ENTRIES }, (_, i) => i);
  const values = new BigUint64Array(ENTRIES);
  const key = new Uint32Array(1);
  const value = new BigUint64Array(1);
  const update = measure(
    ENTRIES,
    repeat(ENTRIES, (i) => {
      key[0] = i;
      mapUpdate(fd, key, value);
    }),
  );
  const lookup = measure(
    ENTRIES,
    repeat(ENTRIES, (i) => {
      key[0] = i;
      mapLookup(fd, key, value);
    }),
  );
  report('mapUpdate, hash of 50,000', update);
  report(
    'mapUpdateBatch, an element',
    measure(ENTRIES, () => mapUpdateBatch(fd, keys, values, ENTRIES)),
    ['mapUpdate', update],
  );
  report('mapLookup, hash of 50,000', lookup);
  const batch = measure(ENTRIES, () => {
    const cursor = batchCursor(4);
    while (!cursor.isDone) mapLookupBatch(fd, cursor, keys, values, ENTRIES);
  });
  report('mapLookupBatch, an element', batch, ['mapLookup', lookup]);
  closeFd(fd);
}

function benchView(): void {
  const fd = mapCreate({
    type: ARRAY,
    name: 'view',
    keySize: 4,
    valueSize: 8,
    maxEntries: 4096,
    flags: MMAPABLE,
  });
  const words = new BigUint64Array(mapView(fd, 4096 * 8));
  const plain = measure(
    4096 * 100,
    repeat(4096 * 100, (i) => {
      words[i & 4095] = 7n;
    }),
  );
  report('plain store into a view', plain);
  const release = repeat(4096 * 100, (i) => void Atomics.store(words, i & 4095, 7n));
  report('Atomics.store into a view', measure(4096 * 100, release), ['plain', plain]);
  closeFd(fd);
}

/** The cheapest reader: headers only, or one field of each record. */
function drain(view: ReturnType<typeof ringView>, read: (offset: number) => void): number {
  const mask = RING - 1;
  const headers = new Uint32Array(view.data);
  const consumer = new BigUint64Array(view.consumer);
  const written = Number(Atomics.load(new BigUint64Array(view.producer), 0));
  let records = 0;
  let at = Number(consumer[0]);
  while (at < written) {
    const offset = at & mask;
    const header = Atomics.load(headers, offset >> 2);
    if (header >>> 31 === 1) break;
    read(offset + 8);
    records += 1;
    at += 8 + (((header & 0x3fffffff) + 7) & ~7);
  }
  Atomics.store(consumer, 0, BigInt(at));
  return records;
}

async function benchPrograms(): Promise<void> {
  const path = 'build/test/native.bpf.o';
  await compileBpfFile('test/netns/native.bpf.c', path);
  const object = openObject(path);
  setAutoload(object, 'broken', false);
  loadObject(object);
  const dataIn = new Uint8Array(64);
  const inside = testRun(programFd(object, 'first'), { dataIn, repeat: 100_000 }).durationNs;
  report('testRun, one of many repetitions', inside);
  const single = repeat(10_000, () => void testRun(programFd(object, 'first'), { dataIn }));
  report('testRun, a call of its own', measure(10_000, single), ['repetition', inside]);

  const ring = mapCreate({ type: RINGBUF, name: 'ring', keySize: 0, valueSize: 0, maxEntries: RING });
  mapUpdate(mapFd(object, 'rings'), Uint32Array.of(0), Uint32Array.of(ring));
  const view = ringView(ring, RING);
  const fill = () => testRun(programFd(object, 'tell'), { dataIn, repeat: 200_000, dataOutSize: 0 });
  const words = new Uint32Array(view.data);
  let sum = 0;
  const drained = (read: (offset: number) => void) => {
    const times = Array.from({ length: ROUNDS }, () => {
      fill();
      const from = process.hrtime.bigint();
      const records = drain(view, read);
      return Number(process.hrtime.bigint() - from) / records;
    });
    return times.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  };
  const headers = drained(() => undefined);
  report('ring, a record framed', headers);
  const field = drained((offset) => {
    sum += words[offset >> 2] ?? 0;
  });
  report('ring, a record framed and one field read', field, ['framed', headers]);
  closeFd(ring);
  closeObject(object);
  if (Number.isNaN(sum)) throw new Error('the ring held no numbers');
}

function benchCodecs(): void {
  const count = 1000;
  const view = new DataView(new ArrayBuffer(count * EVENT_SIZE));
  let sum = 0;
  const three = measure(
    count * 100,
    repeat(count * 100, (i) => {
      const at = (i % count) * EVENT_SIZE;
      sum += view.getUint8(at + EVENT.reason);
      sum += view.getUint32(at + EVENT.src_identity, true) + view.getUint16(at + EVENT.dport);
    }),
  );
  report('event, three fields by offset', three);
  const whole = repeat(count * 100, (i) => {
    sum += readEvent(view, (i % count) * EVENT_SIZE).reason;
  });
  report('event, readEvent', measure(count * 100, whole), ['three fields', three]);
  if (sum !== 0) throw new Error('an empty buffer has contents');
}

await compileAddon();
benchCalls();
benchMaps();
benchView();
await benchPrograms();
benchCodecs();
