/**
 * Loads the compiled addon, at the first call of any function of this folder and not at import, so that
 * what never touches the kernel runs without it. `Addon` is the C side's table, positional and unchecked;
 * the other files of this folder are its face.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A buffer in memory: any view, or the ArrayBuffer itself. */
export type Bytes = ArrayBufferView | ArrayBuffer;

/** A file descriptor. Whoever got it closes it, with {@link closeFd} and nothing else. */
export type Fd = number;

declare const objectBrand: unique symbol;
declare const watchBrand: unique symbol;

/** An open BPF object. */
export interface Obj {
  readonly [objectBrand]: true;
}

/** A watched descriptor. */
export interface Watch {
  readonly [watchBrand]: true;
}

export interface ObjectMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Made by the compiler for global data: `.rodata`, `.bss`, `.data`, `.kconfig`. */
  readonly isInternal: boolean;
}

export interface ObjectProgram {
  readonly name: string;
  readonly section: string;
  /** BPF_PROG_TYPE_*. */
  readonly type: number;
  readonly expectedAttachType: number;
  readonly isAutoload: boolean;
  readonly instructions: number;
}

export interface ObjectVariable {
  /** Name of the map that holds it, `.rodata` for example. */
  readonly section: string;
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface MapInfo {
  readonly id: number;
  readonly type: number;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** 0 = the map has no BTF. */
  readonly btfId: number;
}

export interface ProgInfo {
  readonly id: number;
  readonly type: number;
  readonly name: string;
  /** Hash over the instructions, 16 hex digits: equal tags, equal bytecode (map identities aside). */
  readonly tag: string;
  readonly xlatedBytes: number;
  readonly jitedBytes: number;
  /** Instructions the verifier walked; 0 before Linux 5.16. */
  readonly verifiedInstructions: number;
  readonly loadedBootNs: bigint;
  /** Both count only while somebody holds {@link bpfStatsEnable}. */
  readonly runCount: bigint;
  readonly runTimeNs: bigint;
  readonly mapIds: readonly number[];
}

export interface LinkInfo {
  readonly id: number;
  /** BPF_LINK_TYPE_*: 3 cgroup, 4 iterator, 6 XDP, 11 tcx. */
  readonly type: number;
  readonly progId: number;
  /** Device of a tcx or XDP link; 0 once the device is gone or the link was detached. */
  readonly ifindex?: number;
  readonly attachType?: number;
  readonly cgroupId?: bigint;
  readonly mapId?: number;
}

export interface ProgQuery {
  /** Number of changes of this hook so far (tcx), for `expectedRevision`. */
  readonly revision: bigint;
  /** In order of execution; `linkId` is 0 for programs attached without a link. */
  readonly programs: readonly { readonly progId: number; readonly linkId: number }[];
}

export interface TestRunResult {
  /** What the program returned. */
  readonly retval: number;
  /** Nanoseconds a repetition, on average; includes the loop's own price. */
  readonly durationNs: number;
  readonly dataOut?: Uint8Array<ArrayBuffer>;
  readonly ctxOut?: Uint8Array<ArrayBuffer>;
}

export interface RingView {
  /** One page; the reader's position is its first 8 bytes. Writable. */
  readonly consumer: ArrayBuffer;
  /** One page; the writers' position is its first 8 bytes. */
  readonly producer: ArrayBuffer;
  /** The ring, mapped twice in a row: a record that wraps is contiguous. */
  readonly data: ArrayBuffer;
}

/** The functions of the C side. Each C function's comment names its arguments. */
export interface Addon {
  openObject(path: string): Obj;
  closeObject(object: Obj): void;
  objectMaps(object: Obj): ObjectMap[];
  objectPrograms(object: Obj): ObjectProgram[];
  objectVariables(object: Obj): ObjectVariable[];
  setMapMaxEntries(object: Obj, map: string, count: number): void;
  setMapValueSize(object: Obj, map: string, size: number): void;
  setMapFlags(object: Obj, map: string, flags: number): void;
  setMapAutocreate(object: Obj, map: string, isCreated: boolean): void;
  reuseMap(object: Obj, map: string, fd: Fd): void;
  setInnerMap(object: Obj, map: string, fd: Fd): void;
  mapInitialValue(object: Obj, map: string): ArrayBuffer;
  setAutoload(object: Obj, program: string, isLoaded: boolean): void;
  setProgramType(object: Obj, program: string, type: number, expectedAttachType: number): void;
  loadObject(object: Obj, logLevel: number): number;
  programLog(object: Obj, program: string): string;
  programFd(object: Obj, program: string): Fd;
  mapFd(object: Obj, map: string): Fd;

  mapCreate(
    type: number,
    name: string,
    keySize: number,
    valueSize: number,
    maxEntries: number,
    flags: number,
    innerFd: Fd | undefined,
    extra: bigint | undefined,
  ): Fd;
  mapLookup(fd: Fd, key: Bytes, out: Bytes, flags: number): boolean;
  mapUpdate(fd: Fd, key: Bytes, value: Bytes, flags: number): boolean;
  mapDelete(fd: Fd, key: Bytes): boolean;
  mapNextKey(fd: Fd, key: Bytes | null, out: Bytes): boolean;
  mapUpdateBatch(fd: Fd, keys: Bytes, values: Bytes, count: number, flags: number): void;
  mapDeleteBatch(fd: Fd, keys: Bytes, count: number): void;
  mapLookupBatch(
    fd: Fd,
    cursor: Bytes,
    isFirst: boolean,
    keys: Bytes,
    values: Bytes,
    count: number,
    isDelete: boolean,
  ): number;
  mapFreeze(fd: Fd): void;
  mapView(fd: Fd, length: number, isWritable: boolean, offset: number): ArrayBuffer;
  ringView(fd: Fd, size: number): RingView;
  viewRelease(view: ArrayBuffer): void;

  mapInfo(fd: Fd): MapInfo;
  progInfo(fd: Fd): ProgInfo;
  linkInfo(fd: Fd): LinkInfo;
  mapIds(): number[];
  progIds(): number[];
  linkIds(): number[];
  mapById(id: number): Fd;
  progById(id: number): Fd;
  linkById(id: number): Fd;
  objPin(fd: Fd, path: string): void;
  objGet(path: string, flags: number): Fd;

  linkCreate(
    progFd: Fd,
    target: number,
    attachType: number,
    flags: number,
    relative: number | undefined,
    expectedRevision: bigint | undefined,
    iterMapFd: Fd | undefined,
  ): Fd;
  linkUpdate(linkFd: Fd, newProgFd: Fd, oldProgFd: Fd | undefined): void;
  linkDetach(linkFd: Fd): void;
  progQuery(target: number, attachType: number, flags: number, hasLinks: boolean): ProgQuery;
  tcAttach(ifindex: number, isIngress: boolean, progFd: Fd, priority: number, handle: number): number;
  tcDetach(ifindex: number, isIngress: boolean, priority: number, handle: number): boolean;
  tcQuery(ifindex: number, isIngress: boolean, priority: number, handle: number): number;

  testRun(
    progFd: Fd,
    dataIn: Bytes | undefined,
    dataOutSize: number,
    ctxIn: Bytes | undefined,
    ctxOutSize: number,
    repeat: number,
    flags: number,
    cpu: number,
    batch: number,
  ): TestRunResult;
  iterCreate(linkFd: Fd): Fd;
  bpfStatsEnable(): Fd;

  watch(fd: Fd, fn: (events: number) => void, events: number): Watch;
  unwatch(watch: Watch): void;
  watchRef(watch: Watch, isRef: boolean): void;

  socketIn(netnsFd: Fd, domain: number, type: number, protocol: number): Fd;
  bind(fd: Fd, address: Bytes): void;
  connect(fd: Fd, address: Bytes): void;
  sockName(fd: Fd, out: Bytes): number;
  send(fd: Fd, data: Bytes, address: Bytes | undefined, flags: number): number;
  recv(fd: Fd, out: Bytes, address: Bytes | undefined, flags: number): number;
  setsockopt(fd: Fd, level: number, name: number, value: Bytes): void;
  getsockopt(fd: Fd, level: number, name: number, out: Bytes): number;
  netnsCookie(netnsFd: Fd): bigint;
  netnsCreate(): Fd;

  openFd(path: string, flags: number, mode: number): Fd;
  closeFd(fd: Fd): void;
  dupFd(fd: Fd): Fd;
  readFd(fd: Fd, out: Bytes): number;
  writeFd(fd: Fd, data: Bytes): number;
  flock(fd: Fd, operation: number): boolean;
  mapMemory(fd: Fd): number;
  bootTimeNs(): bigint;
  monotonicNs(): bigint;
  setns(fd: Fd, nstype: number): void;
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  umount(target: string, flags: number): void;
  membarrier(command: number, flags: number): number;
  possibleCpus(): number;
  nothing(): void;
}

/** Beside the bundle as shipped, or in the build tree of a clone: the nearest folder upwards decides. */
const PLACES = ['merlon.node', 'native/merlon.node', 'build/native/merlon.node'];

function findAddon(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    for (const place of PLACES) {
      const path = join(folder, place);
      if (existsSync(path)) return path;
    }
    if (folder === dirname(folder)) break;
  }
  throw new Error(`merlon.node is not built: none at or above ${from}`);
}

let loaded: Addon | undefined;

/** The addon of this thread. */
export function addon(): Addon {
  if (loaded === undefined) {
    const self = fileURLToPath(import.meta.url);
    loaded = createRequire(self)(findAddon(dirname(self))) as Addon;
  }
  return loaded;
}
