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

export interface LoadOptions {
  readonly isOptional?: boolean;
  readonly later?: readonly string[];
  readonly folder?: string;
}

/** What was loaded. Owns the descriptors. */
export class Programs implements Disposable {
  readonly #programs = new Map<string, Program>();
  /** Loads what was left for later, by program. */
  readonly #later = new Map<string, () => void>();
  /** Milliseconds that loading each object took. */
  readonly loadMs: Record<string, number> = {};
  /** Objects that this kernel refused, with its reason: absent features. */
  readonly absent: { readonly object: string; readonly reason: string }[] = [];

  get(name: string): Program | undefined {
    return this.#programs.get(name);
  }

  /** The program, loaded now if it was left for later. Errors: KERNEL_LOAD. */
  need(name: string): Program {
    this.#later.get(name)?.();
    const program = this.#programs.get(name);
    if (program === undefined) throw new MerlonError('KERNEL_LOAD', `program ${name} is not loaded`);
    return program;
  }

  /** The program's descriptor. Errors: KERNEL_LOAD when the kernel refused its object. */
  fd(name: string): Fd {
    return this.need(name).fd;
  }

  all(): Iterable<Program> {
    return this.#programs.values();
  }

  /**
   * Loads `<object>.bpf.o`. `isOptional`: a refusal is noted as an absent feature. `later`: programs that are
   * loaded when one of them is needed; they cost as much as the rest together, and few machines have a use for
   * them. Errors: KERNEL_LOAD with the verifier's last words.
   */
  load(object: string, maps: DatapathMaps, settings: Settings, opts: LoadOptions = {}): void {
    const { later = [] } = opts;
    this.#load(object, maps, settings, opts, (name) => !later.includes(name));
    const rest = () => {
      for (const name of later) this.#later.delete(name);
      this.#load(object, maps, settings, opts, (name) => later.includes(name));
    };
    for (const name of later) this.#later.set(name, rest);
  }

  #load(
    object: string,
    maps: DatapathMaps,
    settings: Settings,
    opts: LoadOptions,
    isWanted: (program: string) => boolean,
  ): void {
    const path = `${opts.folder ?? OBJECTS}/${object}.bpf.o`;
    let obj: Obj | undefined;
    try {
      obj = openObject(path);
      prepare(obj, maps, settings, isWanted);
      this.loadMs[object] = (this.loadMs[object] ?? 0) + loadObject(obj).durationMs;
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

function prepare(
  obj: Obj,
  maps: DatapathMaps,
  settings: Settings,
  isWanted: (program: string) => boolean,
): void {
  for (const { name, isInternal } of objectMaps(obj))
    if (!isInternal && name in MAPS) reuseMap(obj, name, maps.fd(name as MapName));
  for (const { section, name, offset, size } of objectVariables(obj)) {
    const value = settings[name as SettingName];
    if (value === undefined || !(name in SETTINGS)) continue;
    writeSetting(new DataView(mapInitialValue(obj, section)), offset, size, value);
  }
  for (const { name } of objectPrograms(obj)) if (!isWanted(name)) setAutoload(obj, name, false);
}

function writeSetting(view: DataView, offset: number, size: number, value: number | bigint): void {
  const n = BigInt(value);
  if (size === 8) view.setBigUint64(offset, n, true);
  else if (size === 4) view.setUint32(offset, Number(n), true);
  else if (size === 2) view.setUint16(offset, Number(n), true);
  else view.setUint8(offset, Number(n));
}
