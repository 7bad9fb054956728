/**
 * Takes everything off the kernel, without an agent: first what hangs in a packet's way (links, filters,
 * copies that no pin holds), then maps, then folders. The other way round, programs would drop on missing
 * maps. Idempotent; afterwards no program, pin or filter of ours remains.
 */
import { existsSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { closeFd, fdById, linkDetach, linkIds, linkInfo, mapLookup, mapView, viewRelease } from '#native';
import { INSTANCE, INSTANCE_SIZE, MAPS } from '#wire/bpf';
import { detachFilter, detachPin, isOfInstance, linkPins } from './attach.ts';
import { FolderLock } from './instance.ts';
import { getPin, mapPin } from './maps.ts';

/** What was there and is no more. */
export interface Uninstalled {
  readonly links: number;
  readonly filters: number;
  readonly pins: number;
}

const LINK_TYPES_OF_DEVICES = new Set([6, 11]);

/** Errors: INSTANCE_LOCKED (an agent is running), KERNEL_*. */
export function uninstall(opts: { readonly bpfRoot: string }): Uninstalled {
  const { bpfRoot } = opts;
  if (!existsSync(bpfRoot)) return { links: 0, filters: 0, pins: 0 };
  using _lock = new FolderLock(bpfRoot);
  const id = instanceId(bpfRoot);
  let links = 0;
  for (const { hook, ifindex } of linkPins(`${bpfRoot}/links`))
    if (detachPin(`${bpfRoot}/links/${hook}_${ifindex}`)) links++;
  if (id !== undefined) links += detachUnpinned(id);
  const filters = id === undefined ? 0 : detachFilters(bpfRoot, id);
  let pins = 0;
  for (const folder of ['links', 'progs', 'maps']) pins += removePins(`${bpfRoot}/${folder}`);
  rmdirIfEmpty(bpfRoot);
  return { links, filters, pins };
}

function instanceId(bpfRoot: string): bigint | undefined {
  const fd = getPin(`${bpfRoot}/maps/${mapPin('instance')}`);
  if (fd === undefined) return undefined;
  const bytes = new DataView(new ArrayBuffer(INSTANCE_SIZE));
  mapLookup(fd, new Uint32Array(1), bytes);
  closeFd(fd);
  const id = bytes.getBigUint64(INSTANCE.id, true);
  return id === 0n ? undefined : id;
}

function detachUnpinned(id: bigint): number {
  let count = 0;
  for (const linkId of linkIds()) {
    let fd: number | undefined;
    try {
      fd = fdById('link', linkId);
      const info = linkInfo(fd);
      if (!LINK_TYPES_OF_DEVICES.has(info.type) || info.ifindex === 0 || !isOfInstance(info.progId, id))
        continue;
      linkDetach(fd);
      count++;
    } catch (e) {
      if ((e as { code?: string }).code !== 'ENOENT') throw e;
    } finally {
      if (fd !== undefined) closeFd(fd);
    }
  }
  return count;
}

/** Filters stand on the devices that have a record. */
function detachFilters(bpfRoot: string, id: bigint): number {
  const fd = getPin(`${bpfRoot}/maps/${mapPin('devices')}`);
  if (fd === undefined) return 0;
  const memory = mapView(fd, MAPS.devices.maxEntries * MAPS.devices.valueSize, false);
  closeFd(fd);
  const words = new BigUint64Array(memory);
  let count = 0;
  for (let ifindex = 1; ifindex < MAPS.devices.maxEntries; ifindex++) {
    if (words[2 * ifindex] === 0n) continue;
    for (const side of ['ingress', 'egress'] as const)
      if (detachFilter(ifindex, side, (progId) => isOfInstance(progId, id))) count++;
  }
  viewRelease(memory);
  return count;
}

function removePins(folder: string): number {
  if (!existsSync(folder)) return 0;
  const names = readdirSync(folder);
  for (const name of names) unlinkSync(`${folder}/${name}`);
  rmdirIfEmpty(folder);
  return names.length;
}

function rmdirIfEmpty(folder: string): void {
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}
