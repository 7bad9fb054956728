/**
 * A node for test runs: the compiled programs with maps of their own, unpinned, in a namespace of this
 * process, and hand-made tables. Nothing of the agent's is used, so that the two are checked against one
 * picture, not against each other.
 *
 *     wire (external, MAC_OWN)  192.0.2.1/24      2001:db8::1/64
 *     pod0 (pod device)         10.0.0.2          2001:db8:1::2      endpoint 7, identity POD
 */
import {
  ATTACH,
  closeFd,
  closeObject,
  type Fd,
  iterCreate,
  linkCreate,
  loadObject,
  mapCreate,
  mapDelete,
  mapFd,
  mapInitialValue,
  mapLookup,
  mapNextKey,
  mapUpdate,
  mapView,
  NAMESPACE,
  netnsCreate,
  type Obj,
  objectMaps,
  objectPrograms,
  objectVariables,
  openObject,
  possibleCpus,
  programFd,
  readFd,
  progInfo,
  reuseMap,
  setInnerMap,
  setMapMaxEntries,
  setns,
  testRun,
} from '#native';
import * as wire from '#wire/bpf';
import { PROGRAMS } from '#wire/programs';
import { compileAddon, compileBpf } from '../../deploy/compile.ts';
import { address } from './builder.ts';
import { askLocalTable, forgetDrops } from './memories.ts';
import { buildNetwork } from './network.ts';
import { RingReader } from './ring.ts';
import { patchUnproven, unprovenEntries } from './unproven.ts';
import { ARENA_WORDS, PolicyTables } from './policy-tables.ts';
import {
  AUDITED_BELOW,
  difference,
  type Outcome,
  type ProgramName,
  type RunOptions,
  FLOW_TABLES,
  OBJECTS,
  FRAG_TABLES,
  IDENTITY,
  LOCAL_BYTES,
  mapped,
  NODE,
  PEER,
  POD,
  type Slot,
  UNPROVEN_BYTES,
} from './world.ts';

export * from './world.ts';

const RING_SIZE = 1 << 20;
const RING_TYPE = 27;
const SLOT = { wire: 1, pod: 2 } as const;

/** Compiles what the fixture loads. */
export async function prepare(): Promise<void> {
  await compileAddon();
  if (OBJECTS === undefined) await compileBpf();
}

const u32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);

export class Fixture {
  readonly #objects: Obj[] = [];
  readonly #maps = new Map<string, Fd>();
  readonly #programs = new Map<string, Fd>();
  readonly #views = new Map<string, DataView>();
  readonly #ring: Fd;
  readonly #policy = new PolicyTables((name, length) => this.view(name, length));
  /** Index of the external device, and of the pod's. */
  readonly wire: number;
  readonly pod: number;

  #hasDropped = true;
  readonly #settings: Readonly<Record<string, number | bigint>>;

  /** `sizes`: entries of maps that shall differ from the sources' least; `settings`: load-time constants. */
  constructor(
    sizes: Readonly<Record<string, number>> = {},
    settings: Readonly<Record<string, number | bigint>> = {},
  ) {
    this.#settings = settings;
    setns(netnsCreate(), NAMESPACE.network);
    [this.wire, this.pod] = buildNetwork();
    this.#ring = mapCreate({
      type: RING_TYPE,
      name: 'ring',
      keySize: 0,
      valueSize: 0,
      maxEntries: RING_SIZE,
    });
    for (const name of Object.keys(PROGRAMS)) this.#load(name, sizes);
    for (const stage of Object.keys(wire.STAGE)) this.setStage(stage as keyof typeof wire.STAGE);
    mapUpdate(this.map('events'), u32(0), u32(this.#ring));
    this.#world();
  }

  #load(name: string, sizes: Readonly<Record<string, number>>): void {
    const object = openObject(`${OBJECTS ?? 'build/bpf'}/${name}.bpf.o`);
    this.#objects.push(object);
    for (const map of objectMaps(object)) {
      const size = sizes[map.name] ?? SIZES[map.name];
      if (size !== undefined) setMapMaxEntries(object, map.name, size);
      const known = this.#maps.get(map.name);
      if (known !== undefined) reuseMap(object, map.name, known);
      else if (map.name === 'events') setInnerMap(object, 'events', this.#ring);
    }
    this.#configure(object, { cfg_ring_shift: 31, ...this.#settings });
    loadObject(object);
    for (const map of objectMaps(object))
      if (!map.isInternal && !this.#maps.has(map.name)) this.#maps.set(map.name, mapFd(object, map.name));
    for (const { name: program } of objectPrograms(object))
      this.#programs.set(program, programFd(object, program));
  }

  #configure(object: Obj, values: Readonly<Record<string, number | bigint>>): void {
    const variables = objectVariables(object).filter(({ section }) => section === '.rodata');
    const section = objectMaps(object).find((map) => map.isInternal && map.name.endsWith('.rodata'));
    if (section === undefined) return;
    const view = new DataView(mapInitialValue(object, section.name));
    for (const { name, offset, size } of variables) {
      const value = values[name];
      if (value === undefined) continue;
      if (size === 8) view.setBigUint64(offset, BigInt(value), true);
      else if (size === 4) view.setUint32(offset, Number(value), true);
      else if (size === 2) view.setUint16(offset, Number(value), true);
      else view.setUint8(offset, Number(value));
    }
  }

  /** Addresses, identities, devices and the endpoint of the picture above. */
  #world(): void {
    askLocalTable(this.view('local_buckets', LOCAL_BYTES));
    for (const text of [NODE.v4, NODE.v6]) {
      this.setLocal(text);
      this.setIdentity(text, IDENTITY.host);
    }
    for (const text of [PEER.v4, PEER.v6]) this.setIdentity(text, IDENTITY.peer);
    for (const text of [POD.v4, POD.v6]) this.setIdentity(text, IDENTITY.pod, wire.IPCACHE_ENDPOINT);
    this.setDevice(this.wire, { kind: wire.DEVICE_KIND.EXTERNAL, slot: SLOT.wire });
    this.setDevice(1, { kind: wire.DEVICE_KIND.EXTERNAL, slot: SLOT.wire }); // XDP runs say loopback
    this.setDevice(this.pod, { kind: wire.DEVICE_KIND.POD, slot: SLOT.pod, endpoint: 1 });
    const endpoint = this.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
    const at = wire.ENDPOINT_SIZE;
    endpoint.setUint32(at + wire.ENDPOINT.id, 7, true);
    endpoint.setUint32(at + wire.ENDPOINT.identity, IDENTITY.pod, true);
    endpoint.setUint32(at + wire.ENDPOINT.ruleset, 1, true);
    endpoint.setUint32(at + wire.ENDPOINT.ifindex, this.pod, true);
    new Uint8Array(endpoint.buffer).set(address(POD.v4).bytes, at + wire.ENDPOINT.addr4);
    new Uint8Array(endpoint.buffer).set(address(POD.v6).bytes, at + wire.ENDPOINT.addr6);
    this.live.setUint32(wire.LIVE_STATE.clock, 1, true);
    this.live.setUint32(wire.LIVE_STATE.interest, 0xff, true);
  }

  map(name: string): Fd {
    const fd = this.#maps.get(name);
    if (fd === undefined) throw new Error(`no map ${name}`);
    return fd;
  }

  program(name: string): Fd {
    const fd = this.#programs.get(name);
    if (fd === undefined) throw new Error(`no program ${name}`);
    return fd;
  }

  setStage(name: keyof typeof wire.STAGE): void {
    mapUpdate(this.map('stages'), u32(wire.STAGE[name]), u32(this.program(`stage_${name.toLowerCase()}`)));
  }

  programInfo(name: string): ReturnType<typeof progInfo> {
    return progInfo(this.program(name));
  }

  /** A mapped array; `length` in bytes, rounded up to pages by the kernel. */
  view(name: string, length: number): DataView {
    let view = this.#views.get(name);
    if (view === undefined) {
      view = new DataView(mapView(this.map(name), Math.ceil(length / 4096) * 4096));
      this.#views.set(name, view);
    }
    return view;
  }

  get live(): DataView {
    return this.view('live', wire.LIVE_STATE_SIZE);
  }

  setLocal(text: string): void {
    const { family, bytes } = address(text);
    mapUpdate(this.map(`local_addrs${family}`), bytes, new Uint8Array(wire.LOCAL_ADDR_SIZE));
  }

  removeLocal(text: string): void {
    const { family, bytes } = address(text);
    mapDelete(this.map(`local_addrs${family}`), bytes);
  }

  setIdentity(text: string, identity: number, flags = 0): void {
    const { family, bytes } = address(text);
    const value = new Uint8Array(wire.IPCACHE_ENTRY_SIZE);
    new DataView(value.buffer).setUint32(0, identity, true);
    new DataView(value.buffer).setUint32(4, flags, true);
    mapUpdate(this.map(`ipcache_host${family}`), bytes, value);
  }

  setPrefix(text: string, length: number, identity: number): void {
    const { family, bytes } = address(text);
    const value = new Uint8Array(wire.IPCACHE_ENTRY_SIZE);
    new DataView(value.buffer).setUint32(0, identity, true);
    mapUpdate(this.map(`ipcache_net${family}`), Uint8Array.of(...u32(length), ...bytes), value);
  }

  setDevice(ifindex: number, o: { kind: number; slot: number; endpoint?: number; flags?: number }): void {
    const view = this.view('devices', 65536 * wire.DEVICE_SIZE);
    const at = ifindex * wire.DEVICE_SIZE;
    view.setUint16(at + wire.DEVICE.kind, o.kind, true);
    view.setUint16(at + wire.DEVICE.slot, o.slot, true);
    view.setUint32(at + wire.DEVICE.flags, o.flags ?? 0, true);
    view.setUint32(at + wire.DEVICE.endpoint, o.endpoint ?? 0, true);
  }

  /** A prefix an endpoint may send from; `length` counts bits of the mapped address. */
  setEndpointPrefix(endpoint: number, text: string, length: number): void {
    const key = new Uint8Array(wire.ENDPOINT_PREFIX_KEY_SIZE);
    const view = new DataView(key.buffer);
    view.setUint32(wire.ENDPOINT_PREFIX_KEY.prefixlen, 32 + length, true);
    view.setUint32(wire.ENDPOINT_PREFIX_KEY.endpoint, endpoint, true);
    key.set(mapped(text), wire.ENDPOINT_PREFIX_KEY.addr);
    mapUpdate(this.map('endpoint_prefix'), key, u32(1));
  }

  setVlan(ifindex: number, id: number, proto = 0x8100): void {
    const key = new Uint8Array(wire.VLAN_KEY_SIZE);
    const view = new DataView(key.buffer);
    view.setUint32(0, ifindex, true);
    view.setUint16(4, proto);
    view.setUint16(6, id, true);
    mapUpdate(this.map('vlans'), key, u32(1));
  }

  /** Fills a slot of a rule set: 0 is the host's. */
  setSlot(ruleset: number, index: number, slot: Slot): void {
    this.#policy.setSlot(ruleset, index, slot);
  }

  /** The control word: of the host by default, else of the rule set given. */
  setControl(o: {
    active?: number;
    fallback?: number;
    state?: keyof typeof wire.CONTROL_STATE;
    mode?: keyof typeof wire.CONTROL_MODE;
    deadlineNs?: bigint;
    modeUntilNs?: bigint;
    ruleset?: number;
  }): void {
    const word =
      BigInt(o.active ?? 0) |
      (BigInt(o.fallback ?? 0) << BigInt(wire.CONTROL_FALLBACK_SHIFT)) |
      (BigInt(wire.CONTROL_STATE[o.state ?? 'CONFIRMED']) << BigInt(wire.CONTROL_STATE_SHIFT)) |
      (BigInt(wire.CONTROL_MODE[o.mode ?? 'ENFORCE']) << BigInt(wire.CONTROL_MODE_SHIFT));
    if (o.ruleset !== undefined) {
      this.view('rulesets', 64 * wire.RULESET_SIZE).setBigUint64(o.ruleset * wire.RULESET_SIZE, word, true);
      return;
    }
    const view = this.view('hostfw_control', wire.HOSTFW_CONTROL_SIZE);
    view.setBigUint64(wire.HOSTFW_CONTROL.deadline_boot_ns, o.deadlineNs ?? 0n, true);
    view.setBigUint64(wire.HOSTFW_CONTROL.mode_until_boot_ns, o.modeUntilNs ?? 0n, true);
    view.setBigUint64(wire.HOSTFW_CONTROL.control, word, true);
  }

  /** One failsafe rule of group 1 upward: `port` is an index as FAILSAFE_PORT_* count. */
  setFailsafe(o: {
    slot?: number;
    inbound: boolean;
    port: number;
    group: number;
    peer: string;
    length: number;
  }): void {
    const ports = this.view('failsafe_port', wire.HOST_SLOTS * 2 * wire.FAILSAFE_PORTS);
    const slot = o.slot ?? 0;
    ports.setUint8((slot * 2 + (o.inbound ? 1 : 0)) * wire.FAILSAFE_PORTS + o.port, o.group);
    const key = new Uint8Array(wire.FAILSAFE_KEY_SIZE);
    const view = new DataView(key.buffer);
    view.setUint32(wire.FAILSAFE_KEY.prefixlen, 32 + o.length, true);
    view.setUint8(wire.FAILSAFE_KEY.slot, slot);
    view.setUint8(wire.FAILSAFE_KEY.inbound, o.inbound ? 1 : 0);
    view.setUint16(wire.FAILSAFE_KEY.group, o.group, true);
    key.set(mapped(o.peer), wire.FAILSAFE_KEY.addr);
    const entry = new DataView(new ArrayBuffer(wire.FAILSAFE_ENTRY_SIZE));
    wire.writeFailsafeEntry(entry, 0, { ifindex: 0, entry: 1, family: o.peer.includes(':') ? 6 : 4 });
    mapUpdate(this.map('failsafe'), key, entry);
  }

  clearFailsafe(): void {
    const ports = this.view('failsafe_port', wire.HOST_SLOTS * 2 * wire.FAILSAFE_PORTS);
    new Uint8Array(ports.buffer).fill(0);
  }

  /** The logical clock moves; `addr`: so does its bucket's time; `wide`: the one of all prefixes. */
  advanceEpoch(o: { bucket?: number; wide?: boolean } = {}): void {
    const now = this.live.getUint32(wire.LIVE_STATE.clock, true) + 1;
    this.live.setUint32(wire.LIVE_STATE.clock, now, true);
    if (o.bucket !== undefined) this.live.setUint32(wire.LIVE_STATE.epoch + 4 * o.bucket, now, true);
    if (o.wide === true) this.live.setUint32(wire.LIVE_STATE.epoch_wide, now, true);
  }

  /** All keys and values of a table. */
  entries(name: string, keySize: number, valueSize: number): { key: Uint8Array; value: Uint8Array }[] {
    if (name.startsWith('unproven')) return unprovenEntries(this.view(name, UNPROVEN_BYTES), keySize);
    const found: { key: Uint8Array; value: Uint8Array }[] = [];
    let last: Uint8Array | null = null;
    for (;;) {
      const key: Uint8Array = new Uint8Array(keySize);
      if (!mapNextKey(this.map(name), last, key)) return found;
      const value = new Uint8Array(valueSize);
      if (mapLookup(this.map(name), key, value)) found.push({ key, value });
      last = key;
    }
  }

  /** The records of every flow table, with the table's name. */
  flows(): { table: string; key: Uint8Array; flow: wire.Flow; value: Uint8Array }[] {
    return FLOW_TABLES.flatMap(([table, keySize, valueSize]) =>
      this.entries(table, keySize, valueSize).map(({ key, value }) => ({
        table,
        key,
        value,
        flow: wire.readFlow(new DataView(value.buffer)),
      })),
    );
  }

  /** One whole walk of the table's collector. */
  collect(table: string): void {
    const name = `flow_gc_${table.slice('flow_'.length)}`;
    const link = linkCreate(this.program(name), 0, ATTACH.traceIter, { iterMapFd: this.map(table) });
    const walk = iterCreate(link);
    const out = new Uint8Array(256);
    while (readFd(walk, out) > 0);
    closeFd(walk);
    closeFd(link);
  }

  /** Rewrites a record in place, as the clock or a neighbour would. */
  patchFlow(table: string, key: Uint8Array, value: Uint8Array): void {
    if (table.startsWith('unproven')) patchUnproven(this.view(table, UNPROVEN_BYTES), key, value);
    else mapUpdate(this.map(table), key, value);
  }

  /** No flows, no fragments, no events, no failsafe; tables of policy stay. */
  reset(): void {
    for (const [table, keySize, valueSize] of [...FLOW_TABLES, ...FRAG_TABLES])
      if (table.startsWith('unproven')) new Uint8Array(this.view(table, UNPROVEN_BYTES).buffer).fill(0);
      else for (const { key } of this.entries(table, keySize, valueSize)) mapDelete(this.map(table), key);
    this.clearFailsafe();
    this.live.setBigUint64(wire.LIVE_STATE.overflow_used, 0n, true);
    mapUpdate(this.map('event_limits'), u32(0), new Uint8Array(wire.EVENT_LIMIT_SIZE));
    this.forgetDrops();
    this.#events();
  }

  /** What was told of refusals: the next one of each tuple makes an event again. */
  forgetDrops(): void {
    forgetDrops(this.map('drop_reports'));
    this.#hasDropped = false;
  }

  /** Sum over CPUs of a counter. */
  #perCpu(map: string, index: number, valueSize: number): number {
    const out = new Uint8Array(possibleCpus() * valueSize);
    mapLookup(this.map(map), u32(index), out);
    const view = new DataView(out.buffer);
    let sum = 0n;
    for (let at = 0; at < out.length; at += valueSize) sum += view.getBigUint64(at, true);
    return Number(sum);
  }

  stats(): Record<string, number> {
    return Object.fromEntries(
      Object.entries(wire.STAT).map(([name, index]) => [name, this.#perCpu('stat_count', index, 8)]),
    );
  }

  /** By reason; `below` 128: what audit let pass instead. */
  drops(below = 0): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const [name, reason] of Object.entries(wire.DROP_REASON).filter(([, r]) => r >= below))
      for (const slot of [0, SLOT.wire, SLOT.pod])
        sum[name] =
          (sum[name] ?? 0) + this.#perCpu('drop_count', slot * 256 + reason - below, wire.DROP_COUNTER_SIZE);
    return sum;
  }

  ruleCount(origin: number): wire.RuleCounter {
    const out = new Uint8Array(possibleCpus() * wire.RULE_COUNTER_SIZE);
    mapLookup(this.map('rule_count'), u32(origin), out);
    const view = new DataView(out.buffer);
    const each = Array.from({ length: possibleCpus() }, (_, i) =>
      wire.readRuleCounter(view, i * wire.RULE_COUNTER_SIZE),
    );
    const sum = (pick: (c: wire.RuleCounter) => bigint) => each.map(pick).reduce((a, b) => a + b, 0n);
    return {
      packets: sum((c) => c.packets),
      bytes: sum((c) => c.bytes),
      flows: sum((c) => c.flows),
      last_hit: each.map((c) => c.last_hit).reduce((a, b) => (a > b ? a : b), 0n),
    };
  }

  #reader: RingReader | undefined;

  /** The records written since the last call. */
  #events(): wire.Event[] {
    this.#reader ??= new RingReader(this.#ring, RING_SIZE);
    return this.#reader.take();
  }

  /** Runs one frame through a program. */
  run(name: ProgramName, dataIn: Uint8Array<ArrayBuffer>, o: RunOptions = {}): Outcome {
    const statsBefore = this.stats();
    const dropsBefore = this.drops();
    const auditedBefore = this.drops(AUDITED_BELOW);
    this.#events();
    if (o.remembersDrops !== true && this.#hasDropped) this.forgetDrops();
    const isXdp = name === 'xdp_host';
    const result = testRun(this.program(name), {
      dataIn,
      repeat: o.repeat ?? 1,
      ...(isXdp ? {} : { ctxIn: this.#context(name, o) }),
    });
    const passes = isXdp ? 2 : 0xffffffff;
    const verdict = result.retval >>> 0 === passes ? 'pass' : 'drop';
    const events = this.#events();
    this.#hasDropped ||= verdict === 'drop' || events.some(({ reason }) => reason !== 0);
    const context = result.ctxOut ?? new Uint8Array(16);
    return {
      verdict,
      mark: new DataView(context.buffer).getUint32(8, true),
      drops: difference(dropsBefore, this.drops()),
      audited: difference(auditedBefore, this.drops(AUDITED_BELOW)),
      stats: difference(statsBefore, this.stats()),
      events,
      isUnchanged: Buffer.from(result.dataOut ?? []).equals(Buffer.from(dataIn)),
      durationNs: result.durationNs,
    };
  }

  /** Only the verdict: for many frames, of which the counters are read once. */
  send(name: ProgramName, dataIn: Uint8Array<ArrayBuffer>, o: RunOptions = {}): 'pass' | 'drop' {
    const { retval } = testRun(this.program(name), { dataIn, ctxIn: this.#context(name, o), dataOutSize: 0 });
    return retval >>> 0 === 0xffffffff ? 'pass' : 'drop';
  }

  #context(name: ProgramName, o: RunOptions): Uint8Array {
    const context = new Uint8Array(192);
    const view = new DataView(context.buffer);
    const device = o.device ?? (name.startsWith('pod') ? this.pod : this.wire);
    const isTcIngress = name.startsWith('host_ingress') || name === 'pod_egress';
    view.setUint32(8, o.mark ?? 0, true);
    view.setUint32(36, o.cameBy ?? (isTcIngress ? device : 0), true);
    view.setUint32(40, device, true);
    view.setUint32(164, o.gsoSegs ?? 0, true);
    view.setUint32(176, o.gsoSize ?? 0, true);
    return context;
  }

  close(): void {
    for (const object of this.#objects) closeObject(object);
    closeFd(this.#ring);
  }
}

/** Enough for the rule sets of a whole test file: nothing is freed. */
const SIZES: Readonly<Record<string, number>> = { arena: ARENA_WORDS };
