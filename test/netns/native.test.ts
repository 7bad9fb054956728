/** The addon against the real kernel: objects, maps, memory, rings, test runs, threads. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import fc from 'fast-check';
import { until } from '#kit/async';
import {
  ATTACH,
  BPF_EXIST,
  BPF_NOEXIST,
  batchCursor,
  bootId,
  bpfStatsEnable,
  closeFd,
  closeObject,
  dupFd,
  type Fd,
  flock,
  iterCreate,
  LOCK,
  LOG_STATS,
  linkCreate,
  linkInfo,
  loadObject,
  mapCreate,
  mapDelete,
  mapDeleteBatch,
  mapDrainBatch,
  mapFd,
  mapFreeze,
  mapInfo,
  mapInitialValue,
  mapLookup,
  mapLookupBatch,
  mapMemory,
  mapNextKey,
  mapUpdate,
  mapUpdateBatch,
  mapView,
  objectMaps,
  objectPrograms,
  objectVariables,
  openFd,
  openObject,
  possibleCpus,
  programFd,
  programLog,
  progInfo,
  readFd,
  reuseMap,
  ringView,
  setInnerMap,
  setMapMaxEntries,
  testRun,
  unwatch,
  viewRelease,
  watch,
} from '#native';
import { OBJECT, frame, load, prepare, u32, u64, waiting } from './native-kit.ts';

const HASH = 1;
const ARRAY = 2;
const PERCPU_ARRAY = 6;
const RINGBUF = 27;
const MMAPABLE = 1 << 10;

test.before(prepare);

test('openObject – tells maps, programs and settings before anything is in the kernel', (t) => {
  const object = openObject(OBJECT);
  const maps = objectMaps(object);
  t.deepEqual(
    maps.find(({ name }) => name === 'table'),
    { name: 'table', type: HASH, keySize: 4, valueSize: 8, maxEntries: 16, flags: 0, isInternal: false },
  );
  t.true(maps.find(({ name }) => name === '.rodata')?.isInternal);
  t.like(
    objectPrograms(object).find(({ name }) => name === 'pass'),
    { section: 'xdp.frags', type: 6, expectedAttachType: ATTACH.xdp, isAutoload: true },
  );
  const wide = objectVariables(object).find(({ name }) => name === 'cfg_wide');
  t.like(wide, { section: '.rodata', size: 8 });
  t.is(new DataView(mapInitialValue(object, '.rodata')).getBigUint64(wide?.offset ?? 0, true), 2n);
  closeObject(object);
  t.throws(() => objectMaps(object), { instanceOf: TypeError, message: 'object must be open' });
});

test('loadObject – settings and sizes written before load are the loaded ones', (t) => {
  const object = load(t, (o) => {
    const answer = objectVariables(o).find(({ name }) => name === 'cfg_answer');
    new DataView(mapInitialValue(o, '.rodata')).setUint32(answer?.offset ?? 0, 40, true);
    setMapMaxEntries(o, 'table', 100);
  });
  t.is(testRun(programFd(object, 'change'), { dataIn: frame() }).retval, 42);
  t.is(mapInfo(mapFd(object, 'table')).maxEntries, 100);
});

test('loadObject – a refused program is named, with the verifier’s last lines and its whole log', (t) => {
  const object = openObject(OBJECT);
  const error = t.throws(() => loadObject(object)) as Error & { code: string; errno: number; log: string };
  t.like(error, { code: 'EACCES', errno: 13, syscall: 'bpf_object__load' });
  t.regex(error.message, /load object native\b/);
  t.regex(error.message, /prog 'broken': BPF program load failed/);
  t.regex(error.message, /invalid access to packet/);
  t.regex(error.log, /R\d invalid mem access|invalid access to packet/);
  closeObject(object);
});

test('loadObject – statistics of each program on demand', (t) => {
  const object = load(t, undefined, LOG_STATS);
  t.regex(programLog(object, 'first'), /verification time \d+ usec/);
  t.regex(programLog(object, 'walk'), /processed \d+ insns/);
  const plain = load(t);
  t.is(programLog(plain, 'first'), '');
  const info = progInfo(programFd(object, 'first'));
  t.like(info, { name: 'first', type: 3 });
  t.is(info.tag, progInfo(programFd(plain, 'first')).tag);
  t.true(info.verifiedInstructions > 0 && info.jitedBytes > 0);
});

test('reuseMap – two objects share one map, which outlives both', (t) => {
  const shared = mapCreate({ type: HASH, name: 'table', keySize: 4, valueSize: 8, maxEntries: 16 });
  mapUpdate(shared, u32(1), u64(11n));
  const [a, b] = [load(t, (o) => reuseMap(o, 'table', shared)), load(t, (o) => reuseMap(o, 'table', shared))];
  t.is(mapInfo(mapFd(a, 'table')).id, mapInfo(mapFd(b, 'table')).id);
  closeObject(a);
  closeObject(b);
  const out = u64(0n);
  t.true(mapLookup(shared, u32(1), out));
  t.is(out[0], 11n);
  closeFd(shared);
});

test('reuseMap – a map of another layout is refused by name', (t) => {
  const other = mapCreate({ type: HASH, name: 'table', keySize: 4, valueSize: 16, maxEntries: 16 });
  const error = t.throws(() => load(t, (o) => reuseMap(o, 'table', other)));
  t.regex(error.message, /map table is declared as type 1, key 4, value 8, .* value 16/);
  closeFd(other);
});

test('map elements – absence is a value, refusal an error', (t) => {
  const fd = mapCreate({ type: HASH, name: 'elements', keySize: 4, valueSize: 8, maxEntries: 2 });
  const out = u64(0n);
  t.false(mapLookup(fd, u32(1), out));
  t.false(mapDelete(fd, u32(1)));
  t.false(mapNextKey(fd, null, u32(0)));
  t.false(mapUpdate(fd, u32(1), u64(1n), BPF_EXIST));
  t.true(mapUpdate(fd, u32(1), u64(1n), BPF_NOEXIST));
  t.false(mapUpdate(fd, u32(1), u64(2n), BPF_NOEXIST));
  t.true(mapLookup(fd, u32(1).buffer, new DataView(out.buffer)));
  t.is(out[0], 1n);
  t.true(mapUpdate(fd, u32(2), u64(2n)));
  t.throws(() => mapUpdate(fd, u32(3), u64(3n)), {
    code: 'E2BIG',
    message: /^BPF_MAP_UPDATE_ELEM on map elements \(descriptor \d+\): .* \(E2BIG\)$/,
  });
  mapFreeze(fd);
  t.throws(() => mapUpdate(fd, u32(1), u64(3n)), { code: 'EPERM' });
  closeFd(fd);
  t.throws(() => mapLookup(fd, u32(1), out), { code: 'EBADF' });
});

const wrong: readonly [what: string, call: (fd: Fd) => void, message: RegExp][] = [
  ['short key', (fd) => mapLookup(fd, new Uint8Array(3), u64(0n)), /key must be of 4 bytes or more/],
  ['short value', (fd) => mapUpdate(fd, u32(1), u32(1)), /value must be of 8 bytes or more/],
  ['short result', (fd) => mapLookup(fd, u32(1), u32(1)), /out must be of 8 bytes or more/],
  ['short batch', (fd) => mapUpdateBatch(fd, u32(1), u64(1n), 2), /keys must be of 8 bytes or more/],
  ['text for a buffer', (fd) => mapLookup(fd, 'k' as never, u64(0n)), /key must be an ArrayBuffer/],
  ['fraction for a number', () => closeFd(1.5), /fd must be an integer in range/],
  ['negative descriptor', () => mapLookup(-1, u32(1), u64(0n)), /fd must be an integer in range/],
  ['foreign handle', () => closeObject({} as never), /object must be a handle/],
  ['handle of another kind', (fd) => unwatch(openObject(OBJECT) as never) ?? fd, /handle must be a handle/],
  [
    'long name',
    () => mapCreate({ type: 1, name: 'x'.repeat(16), keySize: 4, valueSize: 4, maxEntries: 1 }),
    /shorter/,
  ],
];
for (const [what, call, message] of wrong) {
  test(`arguments – refused: ${what}`, (t) => {
    const fd = mapCreate({ type: HASH, name: 'm', keySize: 4, valueSize: 8, maxEntries: 2 });
    t.throws(() => call(fd), { instanceOf: TypeError, code: 'ERR_INVALID_ARG_TYPE', message });
    closeFd(fd);
  });
}

test('map elements – a reused descriptor number is another map', (t) => {
  const small = mapCreate({ type: ARRAY, name: 'small', keySize: 4, valueSize: 8, maxEntries: 1 });
  t.true(mapLookup(small, u32(0), new Uint8Array(8)));
  closeFd(small);
  const large = mapCreate({ type: ARRAY, name: 'large', keySize: 4, valueSize: 4096, maxEntries: 1 });
  t.is(large, small);
  t.throws(() => mapLookup(large, u32(0), new Uint8Array(8)), { instanceOf: TypeError });
  closeFd(large);
});

test('map elements – per-CPU values have room for every possible CPU', (t) => {
  const fd = mapCreate({ type: PERCPU_ARRAY, name: 'percpu', keySize: 4, valueSize: 12, maxEntries: 1 });
  t.throws(() => mapLookup(fd, u32(0), new Uint8Array(16 * possibleCpus() - 1)), { instanceOf: TypeError });
  t.true(mapLookup(fd, u32(0), new Uint8Array(16 * possibleCpus())));
  closeFd(fd);
});

/** Every element of a hash of u32 → u64, read in chunks. */
function dump(fd: Fd, chunk: number): Map<number, bigint> {
  const cursor = batchCursor(4);
  const keys = new Uint32Array(chunk);
  const values = new BigUint64Array(chunk);
  const all = new Map<number, bigint>();
  while (!cursor.isDone) {
    const n = mapLookupBatch(fd, cursor, keys, values, chunk);
    for (let i = 0; i < n; i += 1) all.set(keys[i] ?? 0, values[i] ?? 0n);
  }
  return all;
}

const byKey = ([a]: readonly [number, bigint], [b]: readonly [number, bigint]) => a - b;

test('batches – equal a Map after any updates and deletions, in chunks of any size', (t) => {
  const fd = mapCreate({ type: HASH, name: 'batch', keySize: 4, valueSize: 8, maxEntries: 4096 });
  const entry = fc.tuple(fc.nat({ max: 500 }), fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }));
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 300 }), fc.integer({ min: 64, max: 400 }), (entries, chunk) => {
      const twin = new Map(entries);
      mapUpdateBatch(fd, u32(...entries.map(([k]) => k)), u64(...entries.map(([, v]) => v)), entries.length);
      t.deepEqual(new Map([...dump(fd, chunk)].sort(byKey)), new Map([...twin].sort(byKey)));
      const gone = [...twin.keys()].filter((k) => k % 3 === 0);
      mapDeleteBatch(fd, u32(...gone), gone.length);
      for (const k of gone) twin.delete(k);
      t.deepEqual(new Map([...dump(fd, chunk)].sort(byKey)), new Map([...twin].sort(byKey)));
      const cursor = batchCursor(4);
      let drained = 0;
      while (!cursor.isDone) {
        drained += mapDrainBatch(fd, cursor, new Uint32Array(chunk), new BigUint64Array(chunk), chunk);
      }
      t.is(drained, twin.size);
      t.is(dump(fd, chunk).size, 0);
    }),
    { numRuns: 50 },
  );
  closeFd(fd);
});

test('batches – a failure tells how far it came', (t) => {
  const fd = mapCreate({ type: HASH, name: 'full', keySize: 4, valueSize: 8, maxEntries: 2 });
  const error = t.throws(() => mapUpdateBatch(fd, u32(1, 2, 3), u64(1n, 2n, 3n), 3), { code: 'E2BIG' });
  t.is((error as Error & { done: number }).done, 2);
  closeFd(fd);
});

test('mapView – memory is the map, seen by programs; Atomics publish; release empties it', (t) => {
  const object = load(t);
  const fd = mapFd(object, 'words');
  const view = mapView(fd, 64);
  const words = new BigUint64Array(view);
  Atomics.store(words, 0, 77n);
  const sum = u64(0n, 0n, 0n);
  testRun(programFd(object, 'peek'), { ctxIn: sum });
  t.is(sum[2], 77n);
  Atomics.store(new Uint16Array(view), 0, 5);
  Atomics.store(new Uint32Array(view), 1, 1);
  mapUpdate(fd, u32(3), u64(33n));
  t.deepEqual([...words.subarray(0, 4)], [(1n << 32n) | 5n, 0n, 0n, 33n]);
  viewRelease(view);
  t.is(words.length, 0);
  t.throws(() => mapView(mapFd(object, 'table'), 64), { code: 'ENOTSUPP' });
});

test('mapView – outlives its descriptor; read-only views and offsets hold', (t) => {
  const page = 4096;
  const fd = mapCreate({
    type: ARRAY,
    name: 'pages',
    keySize: 4,
    valueSize: 8,
    maxEntries: 1024,
    flags: MMAPABLE,
  });
  mapUpdate(fd, u32(512), u64(9n));
  const second = new BigUint64Array(mapView(fd, page, false, page));
  t.is(second[0], 9n);
  const all = new BigUint64Array(mapView(fd, 2 * page));
  closeFd(fd);
  all[512] = 10n;
  t.is(second[0], 10n);
});

/** Whether this process has a mapping of exactly `length` bytes. */
function isMapped(length: number): boolean {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('bpf-map'))
    .some((line) => {
      const [from = '0', to = '0'] = (line.split(' ')[0] ?? '').split('-');
      return Number.parseInt(to, 16) - Number.parseInt(from, 16) === length;
    });
}

test('mapView – a view that nobody holds is unmapped', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const length = 777 * 4096;
  const spec = { type: ARRAY, name: 'view', keySize: 4, valueSize: 8, flags: MMAPABLE };
  const fd = mapCreate({ ...spec, maxEntries: length / 8 });
  (() => t.is(mapView(fd, length).byteLength, length))();
  t.true(isMapped(length));
  const check = () => {
    collect();
    return !isMapped(length);
  };
  await t.notThrowsAsync(until(check, { ...waiting, what: 'the view is collected' }));
  closeFd(fd);
});

test('map of maps – rings of any size go in, the pattern is set before load', (t) => {
  const ring = mapCreate({ type: RINGBUF, name: 'ring', keySize: 0, valueSize: 0, maxEntries: 8192 });
  const object = load(t, (o) => setInnerMap(o, 'rings', ring));
  t.true(mapUpdate(mapFd(object, 'rings'), u32(0), u32(ring)));
  const out = u32(0);
  t.true(mapLookup(mapFd(object, 'rings'), u32(0), out));
  t.is(out[0], mapInfo(ring).id);
  t.true(mapMemory(ring) >= 8192);
  closeFd(ring);
});

/** Takes every finished record out of a ring. */
function drain({ consumer, producer, data }: ReturnType<typeof ringView>): bigint[][] {
  const mask = BigInt(data.byteLength / 2 - 1);
  const read = new BigUint64Array(consumer);
  const written = Atomics.load(new BigUint64Array(producer), 0);
  const records: bigint[][] = [];
  let at = read[0] ?? 0n;
  while (at < written) {
    const offset = Number(at & mask);
    const header = Atomics.load(new Uint32Array(data), offset / 4);
    if (header >>> 31 === 1) break;
    const length = header & 0x3fffffff;
    if ((header & 0x40000000) === 0) records.push([...new BigUint64Array(data, offset + 8, length / 8)]);
    at += BigInt(8 + ((length + 7) & ~7));
  }
  Atomics.store(read, 0, at);
  return records;
}

test('ring – wakes the loop, frames records, skips the discarded, wraps', async (t) => {
  const ring = mapCreate({ type: RINGBUF, name: 'ring', keySize: 0, valueSize: 0, maxEntries: 4096 });
  const object = load(t);
  mapUpdate(mapFd(object, 'rings'), u32(0), u32(ring));
  const view = ringView(ring, 4096);
  const got: bigint[][] = [];
  const handle = watch(ring, (events) => {
    t.is(events & 1, 1);
    got.push(...drain(view));
  });
  t.throws(() => watch(ring, () => undefined), { code: 'EEXIST' });
  t.throws(() => closeFd(ring), { code: 'EBUSY' });
  for (let round = 0; round < 10; round += 1) {
    for (let i = 0; i < 50; i += 1) testRun(programFd(object, 'tell'), { dataIn: frame(i), dataOutSize: 0 });
    await until(() => got.length === 50 * (round + 1), { ...waiting, what: 'all records have come' });
  }
  t.deepEqual(
    got.map(([first]) => Number(first)),
    Array.from({ length: 500 }, (_, i) => i % 50),
  );
  unwatch(handle);
  unwatch(handle);
  closeFd(ring);
});

test('watch – what the callback throws is an uncaught exception, and the watch goes on', async (t) => {
  const script = `
    import { watch, unwatch, socketIn, send, bind, sockName } from '#native';
    const fd = socketIn(-1, 1, 2, 0);
    bind(fd, Uint8Array.of(1, 0));
    const name = new Uint8Array(110);
    const length = sockName(fd, name);
    let n = 0;
    const handle = watch(fd, () => { n += 1; if (n === 2) unwatch(handle); throw new Error('round ' + n); });
    process.on('uncaughtException', (e) => console.log(e.message));
    send(fd, Uint8Array.of(1), name.subarray(0, length));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  t.is(out, 'round 1\nround 2\n');
});

test('iterator – walks the elements of the map it was made for', (t) => {
  const object = load(t);
  const table = mapFd(object, 'table');
  mapUpdateBatch(table, u32(1, 2, 3), u64(10n, 20n, 30n), 3);
  const link = linkCreate(programFd(object, 'walk'), 0, ATTACH.traceIter, { iterMapFd: table });
  t.is(linkInfo(link).mapId, mapInfo(table).id);
  for (const _ of [1, 2]) {
    const iter = iterCreate(link);
    const out = new Uint32Array(64);
    const pairs: [number, number][] = [];
    for (let n = readFd(iter, out); n > 0; n = readFd(iter, out)) {
      for (let i = 0; i < n / 4; i += 2) pairs.push([out[i] ?? 0, out[i + 1] ?? 0]);
    }
    t.deepEqual(
      pairs.sort(([a], [b]) => a - b),
      [
        [1, 10],
        [2, 20],
        [3, 30],
      ],
    );
    closeFd(iter);
  }
  closeFd(link);
});

test('testRun – frame, context and answer go in and out', (t) => {
  const object = load(t);
  const change = programFd(object, 'change');
  const ctxIn = new Uint32Array(48);
  ctxIn[2] = 21;
  const one = testRun(change, { dataIn: frame(5), ctxIn });
  t.is(one.retval, 3);
  t.is(one.dataOut?.[0], 6);
  t.is(new Uint32Array(one.ctxOut?.buffer ?? new ArrayBuffer(12))[2], 42);
  const many = testRun(change, { dataIn: frame(5), repeat: 10, dataOutSize: 0 });
  t.is(many.dataOut, undefined);
  t.is(testRun(programFd(object, 'pass'), { dataIn: new Uint8Array(14) }).retval, 2);
  t.throws(() => testRun(change, { dataIn: new Uint8Array(10) }), { code: 'EINVAL', message: /10 bytes/ });
  t.throws(() => testRun(change, { dataIn: frame(), dataOutSize: 10 }), { code: 'ENOSPC' });
});

test('testRun – a syscall program writes its context back', (t) => {
  const object = load(t);
  const sum = u64(40n, 2n, 0n);
  t.is(testRun(programFd(object, 'add'), { ctxIn: sum }).retval, 7);
  t.deepEqual([...sum], [40n, 2n, 42n]);
});

test('system – a lock is somebody’s; a duplicate is the same; a boot has an id', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ml-b'));
  const path = join(folder, 'lock');
  const flags = constants.O_RDWR | constants.O_CREAT;
  const [a, b] = [openFd(path, flags), openFd(path, flags)];
  t.true(flock(a, LOCK.exclusive | LOCK.nonBlocking));
  t.false(flock(b, LOCK.exclusive | LOCK.nonBlocking));
  t.true(flock(dupFd(a), LOCK.unlock));
  t.true(flock(b, LOCK.exclusive | LOCK.nonBlocking));
  t.throws(() => openFd(join(folder, 'none'), constants.O_RDONLY), { code: 'ENOENT', message: /none/ });
  t.is(bootId().length, 16);
  rmSync(folder, { recursive: true });
});

test('statistics – runs are counted while somebody asks', (t) => {
  const object = load(t);
  const change = programFd(object, 'change');
  const stats = bpfStatsEnable();
  testRun(change, { dataIn: frame(), repeat: 100 });
  closeFd(stats);
  t.is(progInfo(change).runCount, 100n);
});

test('worker threads – load, map and watch on their own, and may be ended in the middle', async (t) => {
  for (let i = 0; i < 5; i += 1) {
    const ring = mapCreate({ type: RINGBUF, name: 'ring', keySize: 0, valueSize: 0, maxEntries: 4096 });
    const words = mapCreate({
      type: ARRAY,
      name: 'words',
      keySize: 4,
      valueSize: 8,
      maxEntries: 8,
      flags: MMAPABLE,
    });
    const workerData = { object: OBJECT, ring, words };
    const worker = new Worker(new URL('./native-worker.ts', import.meta.url), { workerData });
    t.deepEqual(await once(worker, 'message'), ['ready']);
    worker.postMessage('run');
    t.deepEqual(await once(worker, 'message'), ['woken']);
    await worker.terminate();
    const out = u64(0n);
    mapLookup(words, u32(0), out);
    t.is(out[0], 1n);
    closeFd(ring);
    closeFd(words);
  }
});
