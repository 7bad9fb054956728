/** The order in which a datapath comes up: lock, maps, instance, programs, worker. */
import { totalmem } from 'node:os';
import { possibleCpus } from '#native';
import { Attachments, probeTcx } from './attach.ts';
import { Background } from './background.ts';
import { IpcacheFeeder } from './feeder.ts';
import { FLOW_TABLES, FlowTables, roomOf } from './flow-tables.ts';
import type { FlowTimeouts } from './flows.ts';
import { RECORDS_A_BYTE } from './gc.ts';
import { kernelHz } from './hz.ts';
import { FolderLock, Instance } from './instance.ts';
import { Programs, type Settings } from './load.ts';
import { createGraceMap, DatapathMaps } from './maps.ts';
import type { DatapathOptions } from './options.ts';
import { checkPins } from './pins.ts';
import { mapSizes } from './sizes.ts';
import { Upgrade } from './upgrade.ts';

const TIMEOUTS: FlowTimeouts = {
  tcpSyn: 60,
  tcp: 8000,
  tcpFin: 10,
  udp: 60,
  udpStream: 120,
  icmp: 60,
  generic: 600,
};
const RING_BYTES = 1 << 20;
/** CPUs per ring, as a power of two. */
const RING_SHIFT = 3;
/** For devices without Ethernet header: loaded when the first is selected. */
const LAYER3_PROGRAMS = ['host_ingress_l3', 'host_egress_l3'];

/** The parts that an open datapath is made of. */
export interface Opened {
  readonly instance: Instance;
  readonly maps: DatapathMaps;
  readonly programs: Programs;
  readonly attachments: Attachments;
  readonly background: Background;
  readonly timeouts: FlowTimeouts;
  readonly flowTables: FlowTables;
  readonly upgrade: Upgrade;
  /** The mapped `struct live_state`. */
  readonly live: Uint32Array;
}

/** Opens them; `stack` closes them again. Errors: INSTANCE_*, KERNEL_*. */
export async function openParts(opts: DatapathOptions, stack: AsyncDisposableStack): Promise<Opened> {
  const { bpfRoot } = opts;
  stack.use(new FolderLock(bpfRoot));
  const before = checkPins(bpfRoot);
  const cpus = possibleCpus();
  const rings = ((cpus - 1) >> RING_SHIFT) + 1;
  const { maxTcp, maxOther, sizes: overrides } = opts;
  const sizes = mapSizes({ memoryBytes: totalmem(), cpus, rings, maxTcp, maxOther, overrides });
  const maps = stack.use(new DatapathMaps(bpfRoot, sizes, opts.ringBytes ?? RING_BYTES));
  const instance = new Instance(maps.fd('instance'), before);
  const timeouts = { ...TIMEOUTS, ...opts.timeouts };
  const programs = stack.use(new Programs());
  const settings = { ...(await settingsFor(instance, maps, timeouts)), ...opts.settings };
  const folder = opts.objects === undefined ? {} : { folder: opts.objects };
  programs.load('flow', maps, settings, folder);
  programs.load('host', maps, settings, { ...folder, later: LAYER3_PROGRAMS });
  programs.load('pod', maps, settings, folder);
  if (opts.xdpMode !== 'off') programs.load('xdp', maps, settings, { ...folder, isOptional: true });
  programs.load('gc', maps, settings, { ...folder, isOptional: true });
  maps.stages.fill((name) => programs.fd(name));
  const attachments = new Attachments(bpfRoot, instance.id, opts.attach !== 'clsact' && probeTcx());
  const grace = createGraceMap();
  const setup = { grace, rings: maps.rings.map(({ fd, maxEntries }) => ({ fd, bytes: maxEntries })) };
  const live = maps.view('live');
  const onOver = opts.onOver ?? (() => undefined);
  const background = stack.use(
    new Background(
      { ...setup, walks: walksOf(maps, programs) },
      {
        onEvents: opts.onEvents,
        onProblem: opts.onProblem,
        onOver,
        onPass: (pass) => flowTables.note(pass),
      },
    ),
  );
  const flowTables = new FlowTables({
    live,
    fd: (table) => maps.fd(table),
    grace: background,
    onWarning: opts.onWarning ?? (() => undefined),
    onProblem: opts.onProblem,
    onOver,
  });
  return {
    instance,
    maps,
    programs,
    attachments,
    background,
    timeouts,
    flowTables,
    upgrade: new Upgrade(maps.foreign(), opts.onNotice ?? (() => undefined)),
    live: new Uint32Array(live),
  };
}

function walksOf(maps: DatapathMaps, programs: Programs) {
  return FLOW_TABLES.flatMap((row) => {
    const { table } = row;
    const program = programs.get(row.collector)?.fd;
    const { fd: mapFd, maxEntries } = maps.get(table);
    const capacity = roomOf(row, maxEntries);
    const recordsAByte = row.isUnproven ? 1 : RECORDS_A_BYTE;
    return program === undefined ? [] : [{ table, capacity, recordsAByte, mapFd, program }];
  });
}

/** The ipcache's feeder; undefined where the kernel refused it. */
export function feederOf(maps: DatapathMaps, programs: Programs): IpcacheFeeder | undefined {
  const program = programs.get('ipcache_feed');
  if (program === undefined) return undefined;
  return new IpcacheFeeder(program.fd, maps.view('ipcache_ops'), maps.get('ipcache_ops').maxEntries);
}

async function settingsFor(instance: Instance, maps: DatapathMaps, t: FlowTimeouts): Promise<Settings> {
  const hz = await kernelHz();
  return {
    cfg_instance_id: instance.id,
    cfg_hz: hz,
    cfg_hz_reciprocal: Math.floor(2 ** 32 / hz),
    cfg_ring_shift: RING_SHIFT,
    cfg_timeout_tcp_syn: t.tcpSyn,
    cfg_timeout_tcp: t.tcp,
    cfg_timeout_tcp_fin: t.tcpFin,
    cfg_timeout_udp: t.udp,
    cfg_timeout_udp_stream: t.udpStream,
    cfg_timeout_icmp: t.icmp,
    cfg_timeout_generic: t.generic,
    // Of the maps as they are: pinned ones keep their size.
    cfg_unproven_sets: Math.min(maps.get('unproven4').maxEntries, maps.get('unproven6').maxEntries),
  };
}
