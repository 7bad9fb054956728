/**
 * Collectors on real tables: what they take, what they leave, under which pressure. No packets and no agent:
 * records are written, collectors are run, records are looked for.
 */
import test, { type ExecutionContext } from 'ava';
import { pinFolder } from '#lab';
import {
  ATTACH,
  closeFd,
  iterCreate,
  linkCreate,
  mapLookup,
  mapNextKey,
  mapUpdate,
  monotonicNs,
  readFd,
} from '#native';
import * as wire from '#wire/bpf';
import { FLOW, LIVE_STATE, MAPS, type MapName, TABLE_USE } from '#wire/bpf';
import { FLOW_TABLES, FlowTables } from '../../../src/datapath/flow-tables.ts';
import { kernelHz } from '../../../src/datapath/hz.ts';
import { Programs } from '../../../src/datapath/load.ts';
import { DatapathMaps } from '../../../src/datapath/maps.ts';
import { mapSizes } from '../../../src/datapath/sizes.ts';

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ENTRIES = 4096;
/** Objects compiled elsewhere, for tests of the tests. */
const OBJECTS = process.env['MERLON_OBJECTS'];

/** Maps and collectors of their own; HZ is the host's. */
async function bed() {
  const overrides = Object.fromEntries(FLOW_TABLES.map(({ table }) => [table, ENTRIES]));
  const sizes = mapSizes({
    memoryBytes: 2 ** 30,
    cpus: 1,
    rings: 1,
    overrides: { ...overrides, ipcache_host4: 64, ipcache_host6: 64, arena: 4096, rule_count: 64 },
  });
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await pinFolder('collect'));
  const maps = stack.use(new DatapathMaps(path, sizes, 4096));
  const programs = stack.use(new Programs());
  const hz = await kernelHz();
  const settings = { cfg_hz: hz, cfg_hz_reciprocal: Math.floor(2 ** 32 / hz) };
  programs.load('gc', maps, settings, OBJECTS === undefined ? {} : { folder: OBJECTS });
  const live = maps.view('live');
  const now = () => Number(monotonicNs() / 1_000_000_000n);
  return {
    maps,
    live,
    bytes: new Uint8Array(live),
    words: new Uint32Array(live),
    now,
    /** Writes a record that was last seen `idle` seconds ago. */
    put(table: MapName, port: number, protocol: number, idle: number, flags = 0) {
      const key = keyOf(table, port, protocol);
      const value = new DataView(new ArrayBuffer(MAPS[table].valueSize));
      value.setUint32(FLOW.last_seen, now() - idle, true);
      value.setUint16(FLOW.flags, flags, true);
      mapUpdate(maps.fd(table), key, value);
    },
    has: (table: MapName, port: number, protocol: number) =>
      mapLookup(maps.fd(table), keyOf(table, port, protocol), new Uint8Array(MAPS[table].valueSize)),
    /** One whole walk; bytes it answered. */
    collect(table: MapName): number {
      const { collector } = FLOW_TABLES.find((t) => t.table === table) ?? { collector: '' };
      const link = linkCreate(programs.fd(collector), 0, ATTACH.traceIter, { iterMapFd: maps.fd(table) });
      const iter = iterCreate(link);
      let sum = 0;
      for (let n = readFd(iter, new Uint8Array(64)); n > 0; n = readFd(iter, new Uint8Array(64))) sum += n;
      closeFd(iter);
      closeFd(link);
      return sum;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

type Bed = Awaited<ReturnType<typeof bed>>;

/** The key of a made-up connection. */
function keyOf(table: MapName, port: number, protocol: number): Uint8Array {
  const { keySize } = MAPS[table];
  const key = new Uint8Array(keySize);
  const ports = keySize === 16 ? 8 : 32;
  key.set([10, 0, port >> 8, port & 255], 0);
  key.set([port >> 8, port & 255, 0, 80, protocol], ports);
  return key;
}

interface Case {
  readonly what: string;
  readonly protocol: number;
  readonly idle: number;
  readonly flags?: number;
  /** The least pressure under which it goes; `never`, or `expired`: without any. */
  readonly goes: 'expired' | 'high' | 'severe' | 'never';
}

const BOTH_CLOSED = wire.FLOW_FIN_INIT | wire.FLOW_FIN_RESP | wire.FLOW_SEEN_REPLY;

const CASES: readonly Case[] = [
  { what: 'an attempt without answer, 66 s', protocol: TCP, idle: 66, goes: 'expired' },
  { what: 'an attempt without answer, 30 s', protocol: TCP, idle: 30, goes: 'high' },
  { what: 'an attempt without answer, 15 s', protocol: TCP, idle: 15, goes: 'never' },
  { what: 'established', protocol: TCP, idle: 5000, flags: wire.FLOW_SEEN_REPLY, goes: 'never' },
  { what: 'found by its socket', protocol: TCP, idle: 5000, flags: wire.FLOW_SEEDED, goes: 'never' },
  { what: 'closed on both sides, 16 s', protocol: TCP, idle: 16, flags: BOTH_CLOSED, goes: 'expired' },
  { what: 'closed on both sides, 7 s', protocol: TCP, idle: 7, flags: BOTH_CLOSED, goes: 'high' },
  { what: 'closed just now', protocol: TCP, idle: 0, flags: BOTH_CLOSED, goes: 'never' },
  {
    what: 'closed on one side',
    protocol: TCP,
    idle: 60,
    flags: wire.FLOW_FIN_INIT | wire.FLOW_SEEN_REPLY,
    goes: 'never',
  },
  { what: 'one-way UDP, 66 s', protocol: UDP, idle: 66, goes: 'expired' },
  { what: 'one-way UDP, 8 s', protocol: UDP, idle: 8, goes: 'severe' },
  { what: 'one-way UDP, 2 s', protocol: UDP, idle: 2, goes: 'never' },
  { what: 'answered UDP, 60 s', protocol: UDP, idle: 60, flags: wire.FLOW_SEEN_REPLY, goes: 'never' },
  { what: 'an echo request, 8 s', protocol: ICMP, idle: 8, goes: 'severe' },
  { what: 'another protocol, 60 s', protocol: 47, idle: 60, goes: 'never' },
];

const RANK = { expired: 0, high: 1, severe: 2, never: 3 } as const;

function survivors(b: Bed, table: (protocol: number) => MapName, level: 0 | 1 | 2): string[] {
  for (const t of FLOW_TABLES) b.bytes[LIVE_STATE.pressure + t.number] = level;
  CASES.forEach((c, i) => b.put(table(c.protocol), i, c.protocol, c.idle, c.flags));
  const tables = new Set(CASES.map((c) => table(c.protocol)));
  for (const name of tables) b.collect(name);
  // What goes early is claimed by one walk and deleted by the next.
  for (const name of tables) b.collect(name);
  return CASES.filter((c, i) => b.has(table(c.protocol), i, c.protocol)).map((c) => c.what);
}

for (const [family, level] of [4, 6].flatMap((f) =>
  [0, 1, 2].map((l) => [f as 4 | 6, l as 0 | 1 | 2] as const),
))
  test(`collector – IPv${family}, pressure ${level}: takes what it should and nothing else`, async (t) => {
    await using b = await bed();
    const table = (protocol: number): MapName => `flow_${protocol === TCP ? 'tcp' : 'any'}${family}`;
    const want = CASES.filter((c) => RANK[c.goes] > level).map((c) => c.what);
    t.deepEqual(survivors(b, table, level), want);
  });

test('collector – a record claimed for lack of room that a packet has seen meanwhile lives on', async (t) => {
  await using b = await bed();
  b.bytes[LIVE_STATE.pressure + wire.FLOW_TABLE.ANY4] = 2;
  b.put('flow_any4', 1, UDP, 8);
  b.put('flow_any4', 2, UDP, 8);
  b.collect('flow_any4');
  t.true(b.has('flow_any4', 1, UDP), 'claimed, not deleted');
  const value = new DataView(new ArrayBuffer(MAPS.flow_any4.valueSize));
  mapLookup(b.maps.fd('flow_any4'), keyOf('flow_any4', 1, UDP), value);
  t.is(value.getUint32(FLOW.last_seen, true), wire.FLOW_DEAD);
  // The packet was on its way when the record was claimed: it stores its sight over the claim.
  b.put('flow_any4', 1, UDP, 0);
  b.collect('flow_any4');
  t.true(b.has('flow_any4', 1, UDP));
  t.false(b.has('flow_any4', 2, UDP));
});

test('collector – the pressure of a table is that of no other', async (t) => {
  await using b = await bed();
  for (const pressed of ['flow_tcp4', 'flow_tcp6', 'flow_any4', 'flow_any6'] as const) {
    for (const { table, number } of FLOW_TABLES)
      b.bytes[LIVE_STATE.pressure + number] = table === pressed ? 2 : 0;
    const protocol = pressed.startsWith('flow_tcp') ? TCP : UDP;
    b.put(pressed, 1, protocol, 30);
    b.collect(pressed);
    b.collect(pressed);
    t.false(b.has(pressed, 1, protocol), pressed);
  }
});

test('collector – every expired record of a full table goes in one walk', async (t) => {
  await using b = await bed();
  for (let i = 0; i < ENTRIES - 100; i++) b.put('flow_tcp4', i, TCP, i % 2 === 0 ? 100 : 1);
  t.is(b.collect('flow_tcp4') > 0, true);
  b.collect('flow_tcp4');
  const left = Array.from({ length: ENTRIES - 100 }, (_, i) => i).filter((i) => b.has('flow_tcp4', i, TCP));
  t.is(left.length, (ENTRIES - 100) / 2);
  t.true(left.every((i) => i % 2 === 1));
});

for (const family of [4, 6] as const)
  test(`collector – IPv${family}: an unproven record goes when it has waited for a minute, each is met`, async (t) => {
    await using b = await bed();
    const table = `unproven${family}` as const;
    const idle = [1, 30, 59, 64, 100, 8000];
    const set = new DataView(new ArrayBuffer(wire.UNPROVEN_SET_SIZE));
    idle.forEach((seconds, way) => {
      const at = wire.UNPROVEN_SET.place + way * wire.UNPROVEN_SIZE;
      new Uint8Array(set.buffer).set(keyOf(`flow_tcp${family}`, way, TCP), at + wire.UNPROVEN.key4);
      set.setUint32(at + FLOW.last_seen, b.now() - seconds, true);
      set.setBigUint64(wire.UNPROVEN_SET.word + 8 * way, (BigInt(way) << 33n) | (1n << 32n) | 1n, true);
    });
    const bytes = new Uint8Array(set.buffer);
    for (const index of [0, 7, ENTRIES - 1]) mapUpdate(b.maps.fd(table), Uint32Array.of(index), bytes);
    t.is(b.collect(table), 3 * idle.length, 'a byte a record');
    t.is(b.collect(table), 9);
    mapLookup(b.maps.fd(table), Uint32Array.of(7), bytes);
    const left = idle.map((_, way) => set.getBigUint64(wire.UNPROVEN_SET.word + 8 * way, true) !== 0n);
    t.deepEqual(left, [true, true, true, false, false, false]);
  });

/** Bookkeeping over the real tables; `during` runs while the grace period is waited for. */
function flowTables(b: Bed, during: () => void, warnings: string[] = []) {
  return new FlowTables({
    live: b.live,
    fd: (table) => b.maps.fd(table),
    grace: { wait: async () => during() },
    onWarning: (sentence) => warnings.push(sentence),
    onProblem: (_topic, sentence) => warnings.push(sentence),
    onOver: () => undefined,
  });
}

const USE = LIVE_STATE.overflow_used / 4;

async function usedAfter(t: ExecutionContext, during: (b: Bed) => void): Promise<number | undefined> {
  await using b = await bed();
  b.words[USE] = TABLE_USE.USED;
  b.put('overflow4', 1, TCP, 100);
  b.collect('overflow4');
  t.false(mapNextKey(b.maps.fd('overflow4'), null, new Uint8Array(16)));
  let seen: number | undefined;
  const tables = flowTables(b, () => {
    seen = b.words[USE];
    during(b);
  });
  await tables.checkEmpty('overflow4', USE);
  t.is(seen, TABLE_USE.CHECKING, 'packets still ask the table');
  return b.words[USE];
}

test('FlowTables – a table found empty is not asked any more', async (t) => {
  t.is(await usedAfter(t, () => undefined), TABLE_USE.EMPTY);
});

test('FlowTables – an entry made by who had read that the table is used keeps it so', async (t) => {
  const late = (b: Bed) => b.put('overflow4', 2, TCP, 0);
  t.is(await usedAfter(t, late), TABLE_USE.USED);
});

test('FlowTables – who inserts meanwhile and says so is not contradicted', async (t) => {
  const inserter = (b: Bed) => (b.words[USE] = TABLE_USE.USED);
  t.is(await usedAfter(t, inserter), TABLE_USE.USED);
});

test('FlowTables – pressure is published, told once, and unproven records share it', async (t) => {
  await using b = await bed();
  const warnings: string[] = [];
  const tables = flowTables(b, () => undefined, warnings);
  const pass = (table: string, entries: number) => ({ table, entries, capacity: 1000, isOver: true });
  const levels = () => [...b.bytes.subarray(LIVE_STATE.pressure, LIVE_STATE.pressure + FLOW_TABLES.length)];
  tables.note(pass('flow_any6', 870));
  tables.note(pass('flow_any6', 880));
  t.deepEqual(levels(), [0, 0, 0, 1, 1, 1, 0, 0]);
  t.deepEqual(warnings, [
    'flow table flow_any6 is 87 % full: closed connections and attempts without an answer go early',
  ]);
  tables.note(pass('flow_any6', 990));
  t.deepEqual(levels(), [0, 0, 0, 2, 2, 2, 0, 0]);
  t.is(tables.troubles().length, 1);
  tables.note(pass('flow_any6', 10));
  t.deepEqual(levels(), [0, 0, 0, 0, 0, 0, 0, 0]);
  t.deepEqual(tables.troubles(), []);
  t.is(warnings.length, 2);
});
