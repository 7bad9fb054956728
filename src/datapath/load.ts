/**
 * Loads the compiled objects over maps that exist already, with this node's settings in their read-only
 * data. All programs are loaded and verified before the first is attached anywhere.
 */
import { fileURLToPath } from 'node:url';
import { MerlonError } from '#kit/errors';
import {
  closeFd,
  closeObject,
  dupFd,
  loadObject,
  mapInitialValue,
  objectMaps,
  objectPrograms,
  objectVariables,
  openObject,
  progInfo,
  programFd,
  reuseMap,
  setAutoload,
  type Fd,
  type Obj,
  type ProgInfo,
} from '#native';
import { MAPS, SETTINGS, type MapName, type SettingName } from '#wire/bpf';
import type { DatapathMaps } from './maps.ts';

/** Built objects, as seen from a source file and from a bundle alike. */
const OBJECTS = fileURLToPath(new URL('../../build/bpf/', import.meta.url));

export type Settings = Partial<Record<SettingName, number | bigint>>;

/** A loaded program. */
export interface Program {
  readonly name: string;
  readonly fd: Fd;
  readonly info: ProgInfo;
}

/** What was loaded. Owns the descriptors. */
export class Programs implements Disposable {
  readonly #programs = new Map<string, Program>();
  /** Milliseconds that loading each object took. */
  readonly loadMs: Record<string, number> = {};
  /** Objects that this kernel refused, with its reason: absent features. */
  readonly absent: { readonly object: string; readonly reason: string }[] = [];

  get(name: string): Program | undefined {
    return this.#programs.get(name);
  }

  /** The program's descriptor. Errors: KERNEL_LOAD when the kernel refused its object. */
  fd(name: string): Fd {
    const program = this.#programs.get(name);
    if (program === undefined) throw new MerlonError('KERNEL_LOAD', `program ${name} is not loaded`);
    return program.fd;
  }

  all(): Iterable<Program> {
    return this.#programs.values();
  }

  /**
   * Loads `<object>.bpf.o`. `isOptional`: a refusal is noted as an absent feature. `without`: programs to
   * leave out. Errors: KERNEL_LOAD with the verifier's last words.
   */
  load(
    object: string,
    maps: DatapathMaps,
    settings: Settings,
    opts: {
      readonly isOptional?: boolean;
      readonly without?: readonly string[];
      readonly folder?: string;
    } = {},
  ): void {
    const path = `${opts.folder ?? OBJECTS}/${object}.bpf.o`;
    let obj: Obj | undefined;
    try {
      obj = openObject(path);
      prepare(obj, maps, settings, opts.without ?? []);
      this.loadMs[object] = loadObject(obj).durationMs;
      for (const { name, isAutoload } of objectPrograms(obj)) {
        if (!isAutoload) continue;
        const fd = dupFd(programFd(obj, name));
        this.#programs.set(name, { name, fd, info: progInfo(fd) });
      }
    } catch (cause) {
      const reason = (cause as Error).message;
      if (opts.isOptional !== true)
        throw new MerlonError('KERNEL_LOAD', `${object}.bpf.o does not load: ${reason}`, { cause });
      this.absent.push({ object, reason });
    } finally {
      if (obj !== undefined) closeObject(obj);
    }
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#programs.values()) closeFd(fd);
    this.#programs.clear();
  }
}

function prepare(obj: Obj, maps: DatapathMaps, settings: Settings, without: readonly string[]): void {
  for (const { name, isInternal } of objectMaps(obj))
    if (!isInternal && name in MAPS) reuseMap(obj, name, maps.fd(name as MapName));
  for (const { section, name, offset, size } of objectVariables(obj)) {
    const value = settings[name as SettingName];
    if (value === undefined || !(name in SETTINGS)) continue;
    writeSetting(new DataView(mapInitialValue(obj, section)), offset, size, value);
  }
  for (const name of without) setAutoload(obj, name, false);
}

function writeSetting(view: DataView, offset: number, size: number, value: number | bigint): void {
  const n = BigInt(value);
  if (size === 8) view.setBigUint64(offset, n, true);
  else if (size === 4) view.setUint32(offset, Number(n), true);
  else if (size === 2) view.setUint16(offset, Number(n), true);
  else view.setUint8(offset, Number(n));
}
