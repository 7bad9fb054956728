/**
 * Takes everything off the kernel, without an agent: first what hangs in a packet's way (links, filters,
 * copies that no pin holds), then maps, then folders. The other way round, programs would drop on missing
 * maps. Idempotent; afterwards no program, pin or filter of ours remains.
 */
import { existsSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { closeFd, fdById, linkDetach, linkIds, linkInfo, mapInfo, mapView, viewRelease } from '#native';
import { INSTANCE } from '#wire/bpf';
import { keysOf } from './addrs.ts';
import { detachFilter, detachPin, isOfInstance, linkPins } from './attach.ts';
import { FolderLock } from './instance.ts';
import { mapPins, pinnedInstances, withPin } from './pins.ts';

/** What was there and is no more. */
export interface Uninstalled {
  readonly links: number;
  readonly filters: number;
  readonly pins: number;
}

/** Devices that carry programs of ours, by pin or by record. */
export function judgedDevices(bpfRoot: string): readonly number[] {
  if (!existsSync(bpfRoot)) return [];
  const pinned = linkPins(`${bpfRoot}/links`).map(({ ifindex }) => ifindex);
  return [...new Set([...pinned, ...recordedDevices(bpfRoot)])];
}

const LINK_TYPES_OF_DEVICES = new Set([6, 11]);

/** Errors: INSTANCE_LOCKED (an agent is running), KERNEL_*. */
export function uninstall(opts: { readonly bpfRoot: string }): Uninstalled {
  const { bpfRoot } = opts;
  if (!existsSync(bpfRoot)) return { links: 0, filters: 0, pins: 0 };
  using _lock = new FolderLock(bpfRoot);
  const id = pinnedInstances(bpfRoot)[0]?.getBigUint64(INSTANCE.id, true);
  let links = 0;
  for (const { hook, ifindex } of linkPins(`${bpfRoot}/links`))
    if (detachPin(`${bpfRoot}/links/${hook}_${ifindex}`)) links++;
  if (id !== undefined) links += detachUnpinned(id);
  const filters = id === undefined ? 0 : detachFilters(bpfRoot, id);
  let pins = 0;
  for (const folder of ['links', 'progs', 'stages', 'maps']) pins += removePins(`${bpfRoot}/${folder}`);
  rmdirIfEmpty(bpfRoot);
  return { links, filters, pins };
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

/** Filters stand on the devices that have a record, in the maps of whatever layout. */
function detachFilters(bpfRoot: string, id: bigint): number {
  let count = 0;
  for (const ifindex of recordedDevices(bpfRoot))
    for (const side of ['ingress', 'egress'] as const)
      if (detachFilter(ifindex, side, (progId) => isOfInstance(progId, id))) count++;
  return count;
}

function recordedDevices(bpfRoot: string): ReadonlySet<number> {
  const found = new Set<number>();
  for (const { name, path } of mapPins(bpfRoot))
    if (name === 'devices')
      withPin(path, (fd) => {
        const { maxEntries, valueSize } = mapInfo(fd);
        const memory = mapView(fd, Math.ceil((maxEntries * valueSize) / 4096) * 4096, false);
        const words = new BigUint64Array(memory);
        for (let ifindex = 1; ifindex < maxEntries; ifindex++)
          if (words[(ifindex * valueSize) / 8] !== 0n) found.add(ifindex);
        viewRelease(memory);
      });
    else if (name === 'devices_high')
      withPin(path, (fd) => {
        for (const key of keysOf(fd, 4)) found.add(new DataView(key.buffer).getUint32(0, true));
      });
  return found;
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
