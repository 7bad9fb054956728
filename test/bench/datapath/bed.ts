/**
 * The product's own datapath, opened in this process's network namespace and attached to two devices, `near`
 * to the outside and `pod` to a pod. Everything lies in namespaces of this process (network, mounts), so it
 * goes with it, however it ends.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { openDatapath, type Datapath } from '#datapath';
import { labelSet } from '#kit/labels';
import {
  ATTACH,
  batchCursor,
  type Fd,
  mapDrainBatch,
  mapInfo,
  mapLookup,
  mapLookupBatch,
  mapUpdate,
  progInfo,
  progQuery,
  fdById,
  closeFd,
  viewRelease,
} from '#native';
import { EVENT_LIMIT_SIZE, MAPS, STAGES, UNPROVEN_SET_SIZE, UNPROVEN_WAYS } from '#wire/bpf';
import type { Place } from './packets.ts';
import { NODE, POD_ENDPOINT, type World } from './world.ts';

/** As the prototypes that the targets come from: 100,000 flows lie in a table of so many. */
const FLOWS = 524_288;
/** Holds the events of one run, should the reader lag. */
const RING_BYTES = 1 << 25;
/** Events without limit; a scenario that wants one sets it (`limitEvents`). */
const UNLIMITED = { cfg_event_rate: 4_000_000_000, cfg_event_burst: 4_000_000_000 };

const ip = (...lines: string[]) => {
  for (const line of lines) execFileSync('ip', line.split(' '));
};

/** Makes the devices, addresses and routes. Tells where each device is. */
function makeDevices(): { readonly near: Place; readonly pod: Place } {
  ip('link set lo up', 'link add near type veth peer name far', 'link add pod type veth peer name inside');
  for (const name of ['near', 'far', 'pod', 'inside']) ip(`link set ${name} up`);
  ip(
    `addr add ${NODE[4]}/24 dev near`,
    `-6 addr add ${NODE[6]}/64 dev near nodad`,
    `route add 203.0.113.0/24 via 192.0.2.254 dev near`,
    `route add 10.64.0.0/10 via 192.0.2.254 dev near`,
    `-6 route add 2001:db8::/32 via 2001:db8:2::ff dev near`,
  );
  execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  const links: { ifname: string; ifindex: number; address: string }[] = JSON.parse(
    execFileSync('ip', ['-j', 'link'], { encoding: 'utf8' }),
  );
  const place = (name: string): Place => {
    const link = links.find(({ ifname }) => ifname === name);
    if (link === undefined) throw new Error(`no device ${name}`);
    const mac = new Uint8Array(Buffer.from(link.address.replaceAll(':', ''), 'hex'));
    return { ifindex: link.ifindex, ingressIfindex: link.ifindex, mac };
  };
  return { near: place('near'), pod: place('pod') };
}

/** Ids of the programs in an array of programs; none of another map. */
function stagesOf(mapId: number): readonly number[] {
  const fd = fdById('map', mapId);
  try {
    if (mapInfo(fd).type !== MAPS.stages.type) return [];
    const id = new Uint32Array(1);
    return Array.from({ length: STAGES }, (_, i) =>
      mapLookup(fd, Uint32Array.of(i), id) ? (id[0] ?? 0) : 0,
    );
  } finally {
    closeFd(fd);
  }
}

export class Bed implements AsyncDisposable {
  readonly near: Place;
  readonly pod: Place;
  readonly datapath: Datapath;

  private constructor(places: { near: Place; pod: Place }, datapath: Datapath) {
    this.near = places.near;
    this.pod = places.pod;
    this.datapath = datapath;
  }

  /** `root`: the bpffs of this process's mount namespace; the folder above it takes files. `objects`: where the programs lie, if not in the build. */
  static async open(root: string, objects?: string): Promise<Bed> {
    const places = makeDevices();
    const datapath = await openDatapath({
      bpfRoot: join(root, 'merlon'),
      stateDir: mkdtempSync(join(root, '../state-')),
      settings: UNLIMITED,
      sizes: { flow_tcp4: FLOWS, flow_tcp6: FLOWS, rulesets: 64 },
      ...(objects === undefined ? {} : { objects }),
      ringBytes: RING_BYTES,
      xdpMode: 'native',
      ifindexOf: () => undefined,
      onEvents: () => {},
      onProblem: (sentence, err) => console.error(sentence, err),
    });
    const bed = new Bed(places, datapath);
    await bed.#attach();
    return bed;
  }

  async #attach(): Promise<void> {
    const { datapath, near, pod } = this;
    for (const address of Object.values(NODE)) datapath.addresses.update({ ifindex: near.ifindex, address });
    datapath.endpoints.update({
      ...POD_ENDPOINT,
      ifindex: pod.ifindex,
      device: 'pod',
      labels: labelSet([]),
      mac: '02:00:00:00:00:07',
      netns: undefined,
      netnsCookie: 0n,
      state: 'ready',
    });
    const device = {
      selected: true,
      reason: '',
      isLayer3: false,
      linkKind: 'veth',
      allowSelfSource: false,
      vlan: undefined,
    };
    datapath.devices.update({
      ...device,
      ifindex: near.ifindex,
      name: 'near',
      kind: 'external',
      endpoint: 0,
    });
    datapath.devices.update({
      ...device,
      ifindex: pod.ifindex,
      name: 'pod',
      kind: 'pod',
      endpoint: POD_ENDPOINT.id,
    });
  }

  /** Makes the kernel enforce this world's policy. */
  async enforce(world: World): Promise<void> {
    this.datapath.ipcache.prune(world.ipcache);
    await this.datapath.applyPolicy(world.compiled);
    await this.datapath.settled();
  }

  program(name: string): Fd {
    return this.datapath.programs.fd(name);
  }

  /**
   * Program name → tag of what hangs at the devices' hooks right now, as the kernel tells it, and of what those
   * go on to by tail call.
   */
  attachedTags(): ReadonlyMap<string, string> {
    const tags = new Map<string, string>();
    const note = (progId: number): void => {
      const fd = fdById('prog', progId);
      const { name, tag, mapIds } = progInfo(fd);
      closeFd(fd);
      if (tags.has(name)) return;
      tags.set(name, tag);
      for (const id of mapIds) stagesOf(id).forEach(note);
    };
    for (const { ifindex } of [this.near, this.pod])
      for (const type of [ATTACH.tcxIngress, ATTACH.tcxEgress])
        for (const { progId } of progQuery(ifindex, type).programs) note(progId);
    return tags;
  }

  /** With a limit no event is sent: the bucket will be full in a distant future. */
  limitEvents(isLimited: boolean): void {
    const fd = this.datapath.maps.fd('event_limits');
    const limit = new Uint8Array(EVENT_LIMIT_SIZE);
    new DataView(limit.buffer).setBigUint64(0, isLimited ? 1n << 62n : 0n, true);
    for (let i = 0; i < this.datapath.maps.rings.length; i++) mapUpdate(fd, Uint32Array.of(i), limit);
  }

  /** How many records a flow table holds; `isEmptied`: and takes them out. */
  countFlows(name: 'unproven4' | 'unproven6' | 'flow_tcp4' | 'flow_tcp6', isEmptied = false): number {
    if (name === 'unproven4' || name === 'unproven6') return this.#countUnproven(name, isEmptied);
    const chunk = 16_384;
    const keySize = name.endsWith('4') ? 16 : 40;
    const cursor = batchCursor(keySize);
    const keys = new Uint8Array(chunk * keySize);
    const values = new Uint8Array(chunk * 128);
    const take = isEmptied ? mapDrainBatch : mapLookupBatch;
    let count = 0;
    while (!cursor.isDone) count += take(this.datapath.maps.fd(name), cursor, keys, values, chunk);
    return count;
  }

  #countUnproven(name: 'unproven4' | 'unproven6', isEmptied: boolean): number {
    const memory = this.datapath.maps.view(name);
    const words = new BigUint64Array(memory);
    let count = 0;
    for (let set = 0; set < words.length - UNPROVEN_WAYS; set += UNPROVEN_SET_SIZE / 8)
      for (let at = set; at < set + UNPROVEN_WAYS; at++) {
        if (words[at] === 0n) continue;
        count++;
        if (isEmptied) words[at] = 0n;
      }
    viewRelease(memory);
    return count;
  }

  /** Nonzero counters: paths by name, drops by reason. */
  counters(): Readonly<Record<string, number>> {
    const found: Record<string, number> = {};
    for (const [name, n] of Object.entries(this.datapath.counters.stats()))
      if (n > 0n && name !== 'MAX') found[name] = Number(n);
    const drops = this.datapath.counters.drops(this.datapath.devices.bySlot());
    for (const { reason, packets } of drops)
      found[`DROP_${reason}`] = (found[`DROP_${reason}`] ?? 0) + Number(packets);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.datapath[Symbol.asyncDispose]();
  }
}
