/**
 * Devices: the record that programs read, then the programs, then (for a VLAN) the note on its parent that
 * tagged frames are judged here. Taking one off goes the other way round, so that no frame passes unjudged
 * on the parent while nobody judges it on the sub-device.
 */
import { formatHex } from '#kit/bytes';
import { errorMessage, MerlonError } from '#kit/errors';
import type { DeviceRow } from '#model';
import { BPF_NOEXIST, mapDelete, mapLookup, mapUpdate } from '#native';
import {
  DEVICE_ALLOW_SELF_SOURCE,
  DEVICE_KIND,
  DEVICE_SIZE,
  DEVICE_SLOTS,
  DEVICE_XDP,
  readDevice,
  VLAN_KEY_SIZE,
  writeDevice,
  writeVlanKey,
} from '#wire/bpf';
import { keysOf } from './addrs.ts';
import type { Attachments, Attached, Hook } from './attach.ts';
import type { Counters } from './counters.ts';
import type { Endpoints } from './endpoints.ts';
import type { Programs } from './load.ts';
import type { DatapathMaps } from './maps.ts';
import { Numbers } from './numbers.ts';
import type { Upgrade } from './upgrade.ts';

export type XdpMode = 'auto' | 'native' | 'generic' | 'off';

export interface DevicesDeps {
  readonly maps: DatapathMaps;
  readonly attachments: Attachments;
  readonly programs: Programs;
  readonly endpoints: Endpoints;
  readonly xdpMode: XdpMode;
  readonly counters: Counters;
  readonly upgrade: Upgrade;
  /** Runs it once no packet is on its way that was when this was called. */
  readonly afterGrace: (then: () => void) => void;
}

/** Interface numbers below this stand in an array. */
const ARRAY_END = 65536;

export class Devices {
  readonly #deps: DevicesDeps;
  readonly #words: BigUint64Array;
  readonly #halves: Uint32Array;
  readonly #view: DataView;
  readonly #slots = new Numbers(1, DEVICE_SLOTS);
  /** ifindex → index of its drop counters. */
  readonly #slotOf = new Map<number, number>();
  readonly #xdpRefusals = new Map<number, string>();
  readonly #vlanOf = new Map<number, Uint8Array>();
  /** Records as this process wrote them. */
  readonly #written = new Map<number, readonly [low: bigint, high: bigint]>();

  constructor(deps: DevicesDeps) {
    this.#deps = deps;
    const memory = deps.maps.view('devices');
    this.#words = new BigUint64Array(memory);
    this.#halves = new Uint32Array(memory);
    this.#view = new DataView(memory);
  }

  /** Takes up the records an earlier process left. */
  adopt(): void {
    for (let ifindex = 1; ifindex < ARRAY_END; ifindex++) {
      if (this.#words[ifindex * 2] === 0n) continue;
      this.#slotOf.set(ifindex, readDevice(this.#view, ifindex * DEVICE_SIZE).slot);
    }
    const high = this.#deps.maps.fd('devices_high');
    const record = new DataView(new ArrayBuffer(DEVICE_SIZE));
    for (const key of keysOf(high, 4))
      if (mapLookup(high, key, record))
        this.#slotOf.set(new DataView(key.buffer).getUint32(0, true), readDevice(record).slot);
    this.#slots.reserve([...this.#slotOf.values()].filter((slot) => slot !== 0));
  }

  /** Programs on a device. */
  hooks(ifindex: number): readonly Attached[] {
    return this.#deps.attachments.on(ifindex);
  }

  /** Index of a device's counters; 0 is that of devices without one of their own. */
  slotOf(ifindex: number): number {
    return this.#slotOf.get(ifindex) ?? 0;
  }

  /** Interface of each counter index. */
  bySlot(): ReadonlyMap<number, number> {
    return new Map([...this.#slotOf].map(([ifindex, slot]) => [slot, ifindex]));
  }

  /**
   * Errors: KERNEL_ATTACH, KERNEL_LOAD, ENDPOINT_NOT_FOUND (its record is to come first), INSTANCE_UPGRADE (a
   * policy is to come first).
   */
  update(row: DeviceRow): void {
    // A candidate that is not selected yet has its programs ahead of its first address (HF-1.15).
    if (row.kind === 'none') return this.delete(row);
    const { endpoints, attachments, programs } = this.#deps;
    this.#refuseEarly(row.ifindex);
    const endpoint = row.kind === 'pod' ? endpoints.indexOf(row.endpoint) : 0;
    if (row.kind === 'pod' && endpoint === 0)
      throw new MerlonError('ENDPOINT_NOT_FOUND', `device ${row.name} has no endpoint yet`);
    const xdp = row.kind === 'external' ? this.#xdpModeFor(row) : undefined;
    this.#record(row, endpoint, xdp !== undefined);
    for (const [hook, name] of programsFor(row)) attachments.attach(row.ifindex, hook, programs.need(name));
    this.#attachXdp(row.ifindex, xdp);
    this.#noteVlan(row);
    this.#finishUpgrade();
  }

  /** XDP makes refusals cheaper and decides nothing that tcx would not: without it the device is judged as well. */
  #attachXdp(ifindex: number, mode: 'native' | 'generic' | undefined): void {
    const { attachments, programs, xdpMode } = this.#deps;
    const program = programs.get('xdp_host');
    this.#xdpRefusals.delete(ifindex);
    if (mode === undefined || program === undefined) {
      attachments.detach(ifindex, 'xdp');
      return;
    }
    try {
      attachments.attach(ifindex, 'xdp', program, mode);
    } catch (error) {
      // In `auto` a driver without native XDP is no fault; a mode that somebody asked for is.
      if (xdpMode !== 'auto') throw error;
      this.#xdpRefusals.set(ifindex, errorMessage(error));
    }
  }

  /** Why a device that would profit from XDP has none; undefined where it has it or needs none. */
  xdpRefusal(ifindex: number): string | undefined {
    return this.#xdpRefusals.get(ifindex);
  }

  /** Takes everything of ours off a device, also one that is gone. Errors: INSTANCE_UPGRADE. */
  delete({ ifindex }: Pick<DeviceRow, 'ifindex'>): void {
    this.#refuseEarly(ifindex);
    const vlan = this.#vlanOf.get(ifindex);
    if (vlan !== undefined) mapDelete(this.#deps.maps.fd('vlans'), vlan);
    this.#vlanOf.delete(ifindex);
    for (const hook of ['xdp', 'ingress', 'egress'] as const) this.#deps.attachments.detach(ifindex, hook);
    if (ifindex < ARRAY_END) Atomics.store(this.#words, ifindex * 2, 0n);
    else mapDelete(this.#deps.maps.fd('devices_high'), Uint32Array.of(ifindex));
    const slot = this.#slotOf.get(ifindex);
    this.#slotOf.delete(ifindex);
    this.#written.delete(ifindex);
    if (slot !== undefined && slot !== 0) this.#slots.give(slot);
  }

  /** Takes ours off every device that no row selects; returns the rows that have lost a program meanwhile. */
  prune(rows: readonly DeviceRow[]): readonly DeviceRow[] {
    const wanted = new Map(rows.filter((r) => r.kind !== 'none').map((r) => [r.ifindex, r]));
    const present = [...this.#deps.attachments.pinned().map((p) => p.ifindex), ...this.#slotOf.keys()];
    for (const ifindex of new Set(present))
      if (!wanted.has(ifindex) && !this.#mustWait(ifindex)) this.delete({ ifindex });
    const notes = new Set(
      [...wanted.values()]
        .map(vlanKey)
        .filter((k) => k !== undefined)
        .map((k) => formatHex(k)),
    );
    const fd = this.#deps.maps.fd('vlans');
    for (const key of keysOf(fd, VLAN_KEY_SIZE)) if (!notes.has(formatHex(key))) mapDelete(fd, key);
    this.#finishUpgrade();
    const { attachments } = this.#deps;
    const isWhole = (row: DeviceRow) =>
      programsFor(row).every(([hook]) => attachments.isAttached(row.ifindex, hook));
    return [...wanted.values()].filter((row) => !isWhole(row));
  }

  #mustWait(ifindex: number): boolean {
    const { upgrade, attachments } = this.#deps;
    return upgrade.isUnderWay && upgrade.mustWait(attachments.programsOn(ifindex));
  }

  /** What another release's programs enforce stays as it is while nothing of ours could take its place. */
  #refuseEarly(ifindex: number): void {
    if (!this.#mustWait(ifindex)) return;
    throw new MerlonError(
      'INSTANCE_UPGRADE',
      `device ${ifindex} keeps the programs of another release until a policy stands in the new maps`,
    );
  }

  /** What earlier programs stand on goes when none of them is on a device any more. */
  #finishUpgrade(): void {
    const { upgrade, maps, afterGrace, attachments } = this.#deps;
    if (!upgrade.isUnderWay && !maps.stages.hasEarlier) return;
    const devices = new Set([...attachments.pinned().map((p) => p.ifindex), ...this.#slotOf.keys()]);
    const attached = [...devices].flatMap((ifindex) => attachments.programsOn(ifindex));
    maps.stages.release(attached, afterGrace);
    upgrade.finish(attached);
  }

  #record(row: DeviceRow, endpoint: number, hasXdp: boolean): void {
    const slot = this.#slotOf.get(row.ifindex) ?? this.#newSlot();
    this.#slotOf.set(row.ifindex, slot);
    const image = new DataView(new ArrayBuffer(DEVICE_SIZE));
    writeDevice(image, 0, {
      kind: row.kind === 'pod' ? DEVICE_KIND.POD : DEVICE_KIND.EXTERNAL,
      slot,
      flags: (row.allowSelfSource ? DEVICE_ALLOW_SELF_SOURCE : 0) | (hasXdp ? DEVICE_XDP : 0),
      endpoint,
    });
    const [low = 0n, high = 0n] = new BigUint64Array(image.buffer);
    this.#written.set(row.ifindex, [low, high]);
    this.#store(row.ifindex, low, high);
  }

  /** Writes a record where memory holds another; whether it did. */
  #store(ifindex: number, low: bigint, high: bigint): boolean {
    if (ifindex >= ARRAY_END) {
      const fd = this.#deps.maps.fd('devices_high');
      const key = Uint32Array.of(ifindex);
      const present = new BigUint64Array(DEVICE_SIZE / 8);
      const isPresent = mapLookup(fd, key, present);
      // While a present key is written over, a packet may miss it: only when something has changed.
      if (isPresent && present[0] === low && present[1] === high) return false;
      mapUpdate(fd, key, BigUint64Array.of(low, high));
      return true;
    }
    const at = ifindex * 2;
    if (this.#words[at] === low && this.#words[at + 1] === high) return false;
    Atomics.store(this.#words, at + 1, high);
    Atomics.store(this.#words, at, low);
    return true;
  }

  /** Writes records and notes anew that are not what was written, and takes away strangers'; how many there were. */
  repair(): number {
    let repaired = 0;
    for (const [ifindex, [low, high]] of this.#written) if (this.#store(ifindex, low, high)) repaired++;
    for (let ifindex = 1; ifindex < ARRAY_END; ifindex++) {
      // Half of a record tells whether there is one; as a number it costs nothing to read.
      if (this.#halves[ifindex * 4] === 0 || this.#slotOf.has(ifindex)) continue;
      Atomics.store(this.#words, ifindex * 2, 0n);
      repaired++;
    }
    const vlans = this.#deps.maps.fd('vlans');
    for (const [ifindex, key] of this.#vlanOf) {
      const present = new Uint32Array(1);
      if (mapLookup(vlans, key, present) && present[0] === ifindex) continue;
      mapUpdate(vlans, key, Uint32Array.of(ifindex));
      repaired++;
    }
    return repaired;
  }

  #newSlot(): number {
    const slot = this.#slots.take() ?? 0;
    if (slot !== 0) this.#deps.counters.clearDrops(slot);
    return slot;
  }

  /** In `auto` only where real hardware is: XDP on a veth costs three quarters of its bulk throughput. */
  #xdpModeFor(row: DeviceRow): 'native' | 'generic' | undefined {
    const { xdpMode, programs } = this.#deps;
    if (xdpMode === 'off' || row.isLayer3 || programs.get('xdp_host') === undefined) return undefined;
    if (xdpMode !== 'auto') return xdpMode;
    // Asked of the link itself: /sys may show another network namespace's devices.
    return row.linkKind === '' ? 'native' : undefined;
  }

  #noteVlan(row: DeviceRow): void {
    const key = vlanKey(row);
    if (key === undefined) return;
    mapUpdate(this.#deps.maps.fd('vlans'), key, Uint32Array.of(row.ifindex), BPF_NOEXIST);
    this.#vlanOf.set(row.ifindex, key);
  }
}

/** Programs by hook. A pod's device shows its packets the other way round: what it sends comes in there. */
function programsFor(row: DeviceRow): readonly (readonly [Hook, string])[] {
  if (row.kind === 'pod')
    return [
      ['ingress', 'pod_egress'],
      ['egress', 'pod_ingress'],
    ];
  const variant = row.isLayer3 ? '_l3' : '';
  return [
    ['ingress', `host_ingress${variant}`],
    ['egress', `host_egress${variant}`],
  ];
}

function vlanKey(row: DeviceRow): Uint8Array | undefined {
  if (row.vlan === undefined) return undefined;
  const view = new DataView(new ArrayBuffer(VLAN_KEY_SIZE));
  writeVlanKey(view, 0, { ifindex: row.vlan.parent, proto: row.vlan.proto, id: row.vlan.id });
  return new Uint8Array(view.buffer);
}
