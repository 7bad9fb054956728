/**
 * What is pinned under `<bpf-root>/maps`, read before anything is opened or made: whose it is, of which
 * schema, whether it enforces, and what is of another layout than this release's.
 */
import { existsSync, readdirSync } from 'node:fs';
import { MerlonError } from '#kit/errors';
import { closeFd, type Fd, mapInfo, mapLookup, netnsCookie, objGet } from '#native';
import { INSTANCE, MERLON_SCHEMA } from '#wire/bpf';

/** A pinned map: `<name>@<layout>`. */
export interface MapPin {
  readonly path: string;
  readonly name: string;
  readonly layout: string;
}

/** Fields of `struct instance` up to here keep their places in every schema. */
const INSTANCE_FIXED = INSTANCE.clock + 4;

export function mapPins(bpfRoot: string): readonly MapPin[] {
  const folder = `${bpfRoot}/maps`;
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((file) => {
    const [name, layout] = file.split('@');
    return name === undefined || layout === undefined ? [] : [{ path: `${folder}/${file}`, name, layout }];
  });
}

/** The pinned object's descriptor; undefined when nothing is pinned there. */
export function getPin(path: string): Fd | undefined {
  try {
    return objGet(path);
  } catch (e) {
    if ((e as { code?: string }).code === 'ENOENT') return undefined;
    throw e;
  }
}

/** Runs `fn` with the pinned object's descriptor; undefined when nothing is pinned there. */
export function withPin<T>(path: string, fn: (fd: Fd) => T): T | undefined {
  const fd = getPin(path);
  if (fd === undefined) return undefined;
  try {
    return fn(fd);
  } finally {
    closeFd(fd);
  }
}

/** Contents of the pinned `instance` maps that have been filled in, that of the highest generation first. */
export function pinnedInstances(bpfRoot: string): readonly DataView[] {
  const found = mapPins(bpfRoot).flatMap(({ name, path }) => {
    const value = name === 'instance' ? withPin(path, readOnlyEntry) : undefined;
    return value === undefined || value.getBigUint64(INSTANCE.id, true) === 0n ? [] : [value];
  });
  const generation = (view: DataView) => view.getUint32(INSTANCE.generation, true);
  return found.toSorted((a, b) => generation(b) - generation(a));
}

function readOnlyEntry(fd: Fd): DataView | undefined {
  const { keySize, valueSize } = mapInfo(fd);
  if (keySize !== 4 || valueSize < INSTANCE_FIXED) return undefined;
  const value = new DataView(new ArrayBuffer(Math.ceil(valueSize / 8) * 8));
  mapLookup(fd, new Uint32Array(1), value);
  return value;
}

/**
 * May this release work on these pins? What it cannot read goes on enforcing as it is. Returns the instance
 * to go on with. Errors: INSTANCE_OTHER_NETNS, INSTANCE_SCHEMA.
 */
export function checkPins(bpfRoot: string): DataView | undefined {
  const instances = pinnedInstances(bpfRoot);
  for (const view of instances) {
    const schema = view.getUint32(INSTANCE.schema, true);
    if (view.getBigUint64(INSTANCE.netns_cookie, true) !== netnsCookie())
      throw new MerlonError('INSTANCE_OTHER_NETNS', 'these pins enforce in another network namespace');
    if (schema > MERLON_SCHEMA)
      throw new MerlonError(
        'INSTANCE_SCHEMA',
        `a newer release pinned maps of schema ${schema}, this one reads ${MERLON_SCHEMA}; they go on enforcing`,
      );
  }
  return instances[0];
}
