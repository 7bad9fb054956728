/**
 * A node for test runs: the compiled programs with maps of their own, unpinned, in a namespace of this
 * process, and hand-made tables. Nothing of the agent's is used, so that the two are checked against one
 * picture, not against each other.
 *
 *     wire (external, MAC_OWN)  192.0.2.1/24      2001:db8::1/64
 *     pod0 (pod device)         10.0.0.2          2001:db8:1::2      endpoint 7, identity POD
 */
import { execFileSync } from 'node:child_process';
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
  objectVariables,
  openObject,
  possibleCpus,
  programFd,
  readFd,
  progInfo,
  reuseMap,
  ringView,
  setInnerMap,
  setMapMaxEntries,
  setns,
  testRun,
} from '#native';
import * as wire from '#wire/bpf';
import { compileAddon, compileBpf } from '../../deploy/compile.ts';
import { address, MAC_OWN } from './builder.ts';

export const IDENTITY = { host: 1, peer: 4001, other: 4002, pod: 4003, world4: 9, world6: 10 } as const;
export const NODE = { v4: '192.0.2.1', v6: '2001:db8::1' } as const;
export const POD = { v4: '10.0.0.2', v6: '2001:db8:1::2' } as const;
export const PEER = { v4: '192.0.2.9', v6: '2001:db8::9' } as const;
export const OTHER = { v4: '198.51.100.7', v6: '2001:db8:2::7' } as const;

const RING_SIZE = 1 << 20;
const RING_TYPE = 27;
const SLOT = { wire: 1, pod: 2 } as const;

export type ProgramName =
  | 'host_ingress'
  | 'host_egress'
  | 'host_ingress_l3'
  | 'host_egress_l3'
  | 'pod_ingress'
  | 'pod_egress'
  | 'xdp_host';

/** One line of a hand-made matrix; absent fields match anything. Later lines win. */
export interface Rule {
  readonly identity?: number;
  /** Index into the flat array of ports (`tcpPort`, `PORT_CLASS_*`). */
  readonly port?: number;
  readonly verdict: keyof typeof wire.VERDICT;
  readonly origin?: number;
  readonly flags?: number;
}

/** The rules of one direction; absent: the direction is open. */
export interface Rules {
  readonly lines: readonly Rule[];
  readonly flags?: number;
}

export interface Slot {
  readonly generation: number;
  readonly ingress?: Rules;
  readonly egress?: Rules;
}

export const tcpPort = (port: number): number => wire.PORT_CLASS_TCP + port;
export const udpPort = (port: number): number => wire.PORT_CLASS_UDP + port;

export interface RunOptions {
  /** Device the packet came in by before this hook: 0 = made here. Ingress hooks: their own. */
  readonly cameBy?: number;
  readonly gsoSize?: number;
  readonly gsoSegs?: number;
  readonly mark?: number;
  readonly repeat?: number;
}

/** What one run did. */
export interface Outcome {
  readonly verdict: 'pass' | 'drop';
  /** Reason and number of drops counted on the device, by catalogue name. */
  readonly drops: Readonly<Record<string, number>>;
  /** Counters that moved, by name. */
  readonly stats: Readonly<Record<string, number>>;
  readonly events: readonly wire.Event[];
  readonly isUnchanged: boolean;
  readonly durationNs: number;
}

/** Compiles what the fixture loads. */
export async function prepare(): Promise<void> {
  await compileAddon();
  await compileBpf();
}

function ipCommand(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** IPv4 is mapped, as keys of both families have it. */
export function mapped(text: string): Uint8Array {
  const { family, bytes } = address(text);
  if (family === 6) return bytes;
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes);
}

const u32 = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);

export class Fixture {
  readonly #objects: Obj[] = [];
  readonly #maps = new Map<string, Fd>();
  readonly #programs = new Map<string, Fd>();
  readonly #views = new Map<string, DataView>();
  readonly #ring: Fd;
  #arenaNext = 0;
  readonly #classes = new Map<number, number>();
  readonly #ports = new Map<number, number>();
  /** Index of the external device, and of the pod's. */
  readonly wire: number;
  readonly pod: number;

  /** `sizes`: entries of maps that shall differ from the sources' least. */
  constructor(sizes: Readonly<Record<string, number>> = {}) {
    setns(netnsCreate(), NAMESPACE.network);
    [this.wire, this.pod] = this.#network();
    this.#ring = mapCreate({
      type: RING_TYPE,
      name: 'ring',
      keySize: 0,
      valueSize: 0,
      maxEntries: RING_SIZE,
    });
    for (const name of ['host', 'pod', 'xdp', 'gc']) this.#load(name, sizes);
    mapUpdate(this.map('events'), u32(0), u32(this.#ring));
    this.#world();
  }

  #network(): [number, number] {
    ipCommand('link', 'set', 'lo', 'up');
    for (const name of ['wire', 'pod0']) {
      ipCommand('link', 'add', name, 'address', MAC_OWN, 'type', 'veth', 'peer', 'name', `${name}-peer`);
      ipCommand('link', 'set', name, 'up');
      ipCommand('link', 'set', `${name}-peer`, 'up');
    }
    ipCommand('addr', 'add', `${NODE.v4}/24`, 'dev', 'wire');
    ipCommand('addr', 'add', `${NODE.v6}/64`, 'dev', 'wire', 'nodad');
    ipCommand('route', 'add', `${POD.v4}/32`, 'dev', 'pod0');
    ipCommand('-6', 'route', 'add', `${POD.v6}/128`, 'dev', 'pod0');
    ipCommand('route', 'add', 'default', 'via', '192.0.2.254', 'dev', 'wire');
    ipCommand('-6', 'route', 'add', 'default', 'via', '2001:db8::fe', 'dev', 'wire');
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    const links: { ifname: string; ifindex: number }[] = JSON.parse(ipCommand('-j', 'link'));
    const index = (name: string) => links.find(({ ifname }) => ifname === name)?.ifindex ?? 0;
    return [index('wire'), index('pod0')];
  }

  #load(name: string, sizes: Readonly<Record<string, number>>): void {
    const object = openObject(`build/bpf/${name}.bpf.o`);
    this.#objects.push(object);
    for (const map of objectMaps(object)) {
      const size = sizes[map.name] ?? SIZES[map.name];
      if (size !== undefined) setMapMaxEntries(object, map.name, size);
      const known = this.#maps.get(map.name);
      if (known !== undefined) reuseMap(object, map.name, known);
      else if (map.name === 'events') setInnerMap(object, 'events', this.#ring);
    }
    this.#configure(object, { cfg_ring_shift: 31 });
    loadObject(object);
    for (const map of objectMaps(object))
      if (!map.isInternal && !this.#maps.has(map.name)) this.#maps.set(map.name, mapFd(object, map.name));
    for (const program of programsOf(name)) this.#programs.set(program, programFd(object, program));
  }

  #configure(object: Obj, values: Readonly<Record<string, number>>): void {
    const variables = objectVariables(object).filter(({ section }) => section === '.rodata');
    const section = objectMaps(object).find((map) => map.isInternal && map.name.endsWith('.rodata'));
    if (section === undefined) return;
    const view = new DataView(mapInitialValue(object, section.name));
    for (const { name, offset, size } of variables) {
      const value = values[name];
      if (value === undefined) continue;
      if (size === 4) view.setUint32(offset, value, true);
      else if (size === 2) view.setUint16(offset, value, true);
      else view.setUint8(offset, value);
    }
  }

  /** Addresses, identities, devices and the endpoint of the picture above. */
  #world(): void {
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

  /** Class of an identity, column of a port: numbers are given in order of first use. */
  #class(identity: number): number {
    let number = this.#classes.get(identity);
    if (number === undefined) {
      number = this.#classes.size + 1;
      this.#classes.set(identity, number);
      const page = 1 + ((identity >> wire.IDENTITY_PAGE_BITS) % 60);
      this.#packed('identity_page', wire.IDENTITY_PAGES_TOP * 2, identity >> wire.IDENTITY_PAGE_BITS, page);
      const low = identity & ((1 << wire.IDENTITY_PAGE_BITS) - 1);
      this.#packed(
        'identity_class',
        (64 << wire.IDENTITY_PAGE_BITS) * 2,
        (page << wire.IDENTITY_PAGE_BITS) | low,
        number,
      );
    }
    return number;
  }

  #port(index: number): number {
    let number = this.#ports.get(index);
    if (number === undefined) {
      number = this.#ports.size + 1;
      this.#ports.set(index, number);
      this.#packed('port_class', wire.PORT_CLASS_ENTRIES * 2, index, number);
    }
    return number;
  }

  #packed(map: string, length: number, index: number, value: number): void {
    this.view(map, length).setUint16(index * 2, value, true);
  }

  #allocate(words: number): number {
    const at = this.#arenaNext;
    this.#arenaNext += words;
    return at;
  }

  /** Writes one direction's matrix into the arena. */
  #direction(view: DataView, at: number, rules: Rules | undefined): void {
    for (let i = 0; i < wire.RULESET_DIR_SIZE; i++) view.setUint8(at + i, 0);
    if (rules === undefined) return;
    const arena = this.view('arena', ARENA_WORDS * 8);
    for (const { identity, port } of rules.lines) {
      if (identity !== undefined) this.#class(identity);
      if (port !== undefined) this.#port(port);
    }
    const rows = this.#classes.size + 1;
    const columns = this.#ports.size + 1;
    const rowsAt = this.#allocate(Math.ceil(rows / 4));
    const columnsAt = this.#allocate(Math.ceil(columns / 4));
    const cellsAt = this.#allocate(rows * columns);
    for (let row = 0; row < rows; row++) arena.setUint16(rowsAt * 8 + row * 2, row, true);
    for (let column = 0; column < columns; column++)
      arena.setUint16(columnsAt * 8 + column * 2, column, true);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const line = rules.lines.findLast(
          ({ identity, port }) =>
            (identity === undefined || this.#class(identity) === row) &&
            (port === undefined || this.#port(port) === column),
        );
        wire.writePolicyCell(arena, (cellsAt + row * columns + column) * 8, {
          origin: line?.origin ?? 0,
          rs_port: 0,
          verdict: wire.VERDICT[line?.verdict ?? 'DEFAULT_DENY'],
          flags: line?.flags ?? wire.POLICY_MATCH.NONE,
        });
      }
    wire.writeRulesetDir(view, at, {
      rows: rowsAt,
      columns: columnsAt,
      cells: cellsAt,
      n_columns: columns,
      flags: wire.RSDIR_ENFORCED | (rules.flags ?? 0),
    });
  }

  /** Fills a slot of a rule set: 0 is the host's. */
  setSlot(ruleset: number, index: number, slot: Slot): void {
    const view = this.view('rulesets', 64 * wire.RULESET_SIZE);
    const at = ruleset * wire.RULESET_SIZE + wire.RULESET.slot + index * wire.RULESET_SLOT_SIZE;
    this.#direction(
      view,
      at + wire.RULESET_SLOT.dir + wire.DIRECTION.EGRESS * wire.RULESET_DIR_SIZE,
      slot.egress,
    );
    this.#direction(
      view,
      at + wire.RULESET_SLOT.dir + wire.DIRECTION.INGRESS * wire.RULESET_DIR_SIZE,
      slot.ingress,
    );
    view.setUint32(at + wire.RULESET_SLOT.generation, slot.generation, true);
    view.setUint16(at + wire.RULESET_SLOT.n_classes, this.#classes.size + 1, true);
    view.setUint16(at + wire.RULESET_SLOT.n_port_classes, this.#ports.size + 1, true);
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
    mapUpdate(this.map('failsafe'), key, new Uint8Array(wire.FAILSAFE_ENTRY_SIZE));
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
    mapUpdate(this.map(table), key, value);
  }

  /** No flows, no fragments, no events, no failsafe; tables of policy stay. */
  reset(): void {
    for (const [table, keySize, valueSize] of [...FLOW_TABLES, ...FRAG_TABLES])
      for (const { key } of this.entries(table, keySize, valueSize)) mapDelete(this.map(table), key);
    this.clearFailsafe();
    for (const at of [wire.LIVE_STATE.overflow_used, wire.LIVE_STATE.unproven_used])
      this.live.setBigUint64(at, 0n, true);
    mapUpdate(this.map('event_limits'), u32(0), new Uint8Array(wire.EVENT_LIMIT_SIZE));
    this.#events();
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

  drops(): Record<string, number> {
    const sum: Record<string, number> = {};
    for (const [name, reason] of Object.entries(wire.DROP_REASON))
      for (const slot of [0, SLOT.wire, SLOT.pod])
        sum[name] =
          (sum[name] ?? 0) + this.#perCpu('drop_count', slot * 256 + reason, wire.DROP_COUNTER_SIZE);
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

  #ringView: ReturnType<typeof ringView> | undefined;

  /** The records written since the last call. */
  #events(): wire.Event[] {
    this.#ringView ??= ringView(this.#ring, RING_SIZE);
    const { consumer, producer, data } = this.#ringView;
    const consumed = new BigUint64Array(consumer, 0, 1);
    const end = Number(new BigUint64Array(producer, 0, 1)[0]);
    const view = new DataView(data);
    const events: wire.Event[] = [];
    let at = Number(consumed[0]);
    while (at < end) {
      const length = view.getUint32(at % RING_SIZE, true) & 0x3fffffff;
      const record = new Uint8Array(wire.EVENT_SIZE);
      record.set(new Uint8Array(data, (at % RING_SIZE) + 8, Math.min(length, wire.EVENT_SIZE)));
      events.push(wire.readEvent(new DataView(record.buffer)));
      at += Math.ceil((length + 8) / 8) * 8;
    }
    consumed[0] = BigInt(at);
    return events;
  }

  /** Runs one frame through a program. */
  run(name: ProgramName, dataIn: Uint8Array<ArrayBuffer>, o: RunOptions = {}): Outcome {
    const statsBefore = this.stats();
    const dropsBefore = this.drops();
    this.#events();
    const isXdp = name === 'xdp_host';
    const result = testRun(this.program(name), {
      dataIn,
      repeat: o.repeat ?? 1,
      ...(isXdp ? {} : { ctxIn: this.#context(name, o) }),
    });
    const passes = isXdp ? 2 : 0xffffffff;
    return {
      verdict: result.retval >>> 0 === passes ? 'pass' : 'drop',
      drops: difference(dropsBefore, this.drops()),
      stats: difference(statsBefore, this.stats()),
      events: this.#events(),
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
    const device = name.startsWith('pod') ? this.pod : this.wire;
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

const ARENA_WORDS = 1 << 17;

/** Enough for the rule sets of a whole test file: nothing is freed. */
const SIZES: Readonly<Record<string, number>> = { arena: ARENA_WORDS };

const FLOW_TABLES: readonly (readonly [table: string, keySize: number, valueSize: number])[] = [
  ['flow_tcp4', wire.FLOW4_KEY_SIZE, wire.FLOW4_VALUE_SIZE],
  ['flow_any4', wire.FLOW4_KEY_SIZE, wire.FLOW4_VALUE_SIZE],
  ['unproven4', wire.FLOW4_KEY_SIZE, wire.UNPROVEN_VALUE_SIZE],
  ['overflow4', wire.FLOW4_KEY_SIZE, wire.FLOW4_VALUE_SIZE],
  ['flow_tcp6', wire.FLOW6_KEY_SIZE, wire.FLOW_SIZE],
  ['flow_any6', wire.FLOW6_KEY_SIZE, wire.FLOW_SIZE],
  ['unproven6', wire.FLOW6_KEY_SIZE, wire.UNPROVEN_VALUE_SIZE],
  ['overflow6', wire.FLOW6_KEY_SIZE, wire.FLOW_SIZE],
];
const FRAG_TABLES: typeof FLOW_TABLES = [
  ['frag4', wire.FRAG4_KEY_SIZE, wire.FRAG_VALUE_SIZE],
  ['frag6', wire.FRAG6_KEY_SIZE, wire.FRAG_VALUE_SIZE],
];

const PROGRAMS_OF: Readonly<Record<string, readonly string[]>> = {
  host: ['host_ingress', 'host_egress', 'host_ingress_l3', 'host_egress_l3'],
  pod: ['pod_ingress', 'pod_egress'],
  xdp: ['xdp_host'],
  gc: ['flow_gc_tcp4', 'flow_gc_tcp6', 'flow_gc_any4', 'flow_gc_any6', 'ipcache_feed', 'clock_sample'],
};
const programsOf = (object: string): readonly string[] => PROGRAMS_OF[object] ?? [];

function difference(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after)
      .map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      .filter(([, value]) => value !== 0),
  );
}
