/** Maps: creation, elements, batches, memory views. */
import { addon, type Bytes, type Fd, type MapInfo } from './addon.ts';

/** What a new map is. Sizes in bytes. */
export interface MapSpec {
  /** BPF_MAP_TYPE_*. */
  readonly type: number;
  /** Up to 15 characters, letters, digits, `_` and `.`. */
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_*. */
  readonly flags?: number;
  /** Pattern of the maps inside a map of maps. */
  readonly innerFd?: Fd;
  /** `map_extra`: hash functions of a bloom filter. */
  readonly extra?: bigint;
}

/** Update flags: write only where nothing is yet. */
export const BPF_NOEXIST = 1;
/** Update flags: write only where something is. */
export const BPF_EXIST = 2;

/** Creates a map. Errors: `EPERM`, `EINVAL`, `ENOMEM`, `E2BIG`. */
export function mapCreate(spec: MapSpec): Fd {
  const { type, name, keySize, valueSize, maxEntries, flags = 0, innerFd, extra } = spec;
  return addon().mapCreate(type, name, keySize, valueSize, maxEntries, flags, innerFd, extra);
}

/**
 * Copies the value of `key` into `out`; false when there is none. Values of per-CPU maps are
 * `round up to 8 (value size) × possible CPUs` bytes. Too short a buffer is a `TypeError`, never an overrun.
 */
export function mapLookup(fd: Fd, key: Bytes, out: Bytes, flags = 0): boolean {
  return addon().mapLookup(fd, key, out, flags);
}

/**
 * Writes a value; false only when BPF_NOEXIST or BPF_EXIST forbade it. Errors: `E2BIG` (full, or an index
 * beyond an array), `ENOMEM`, `EPERM` (frozen). A present key of a hash must not be written so while packets
 * look it up: the kernel exchanges the element, and a lookup meanwhile may miss it.
 */
export function mapUpdate(fd: Fd, key: Bytes, value: Bytes, flags = 0): boolean {
  return addon().mapUpdate(fd, key, value, flags);
}

/** Deletes a key; false when it was not there. Errors: `EINVAL` (arrays keep their entries). */
export function mapDelete(fd: Fd, key: Bytes): boolean {
  return addon().mapDelete(fd, key);
}

/** Copies the key after `key` (null: the first) into `out`; false after the last. */
export function mapNextKey(fd: Fd, key: Bytes | null, out: Bytes): boolean {
  return addon().mapNextKey(fd, key, out);
}

/**
 * Writes `count` elements in one call. Errors as {@link mapUpdate}, with the property `done`: how many were
 * written before the one that failed.
 */
export function mapUpdateBatch(fd: Fd, keys: Bytes, values: Bytes, count: number, flags = 0): void {
  addon().mapUpdateBatch(fd, keys, values, count, flags);
}

/** Deletes `count` keys in one call. Errors: `ENOENT` at a missing key, with `done` as above. */
export function mapDeleteBatch(fd: Fd, keys: Bytes, count: number): void {
  addon().mapDeleteBatch(fd, keys, count);
}

/** Where a batched walk stands. */
export interface BatchCursor {
  readonly position: Uint8Array;
  isFirst: boolean;
  isDone: boolean;
}

/** A walk from the beginning. `keySize` is the map's. */
export function batchCursor(keySize: number): BatchCursor {
  return { position: new Uint8Array(Math.max(keySize, 4)), isFirst: true, isDone: false };
}

function batch(fd: Fd, cursor: BatchCursor, keys: Bytes, values: Bytes, count: number, isDelete: boolean) {
  if (cursor.isDone) return 0;
  const n = addon().mapLookupBatch(fd, cursor.position, cursor.isFirst, keys, values, count, isDelete);
  cursor.isFirst = false;
  cursor.isDone = n < 0;
  return n < 0 ? -1 - n : n;
}

/**
 * Reads up to `count` elements into `keys` and `values`, moves the cursor on and returns how many; the last
 * chunk sets `cursor.isDone`. Errors: `ENOSPC` when one bucket of a hash holds more than `count` (take a
 * larger chunk and call again), `EINVAL` for types without batches.
 */
export function mapLookupBatch(
  fd: Fd,
  cursor: BatchCursor,
  keys: Bytes,
  values: Bytes,
  count: number,
): number {
  return batch(fd, cursor, keys, values, count, false);
}

/** As {@link mapLookupBatch}, and deletes what it read. */
export function mapDrainBatch(
  fd: Fd,
  cursor: BatchCursor,
  keys: Bytes,
  values: Bytes,
  count: number,
): number {
  return batch(fd, cursor, keys, values, count, true);
}

/** Forbids writes by system calls from here on; programs still write unless the map is BPF_F_RDONLY_PROG. */
export function mapFreeze(fd: Fd): void {
  addon().mapFreeze(fd);
}

/** What the kernel knows of the map behind a descriptor. */
export function mapInfo(fd: Fd): MapInfo {
  return addon().mapInfo(fd);
}

/** Kernel memory of a map in bytes (`memlock` of fdinfo; since 5.11 what is really allocated). */
export function mapMemory(fd: Fd): number {
  return addon().mapMemory(fd);
}

/**
 * An array map made with BPF_F_MMAPABLE as memory: `length` bytes from `offset`, which is a multiple of the
 * page size. The view keeps the map alive and stays valid after {@link closeFd}; collecting it unmaps,
 * `viewRelease` does so at once. It cannot be transferred to another thread: make one there from the
 * descriptor.
 *
 * Publishing to programs: fill in what they will read by plain stores, then store the word that leads them
 * there with `Atomics.store` over a BigUint64Array, Uint32Array or Uint16Array of the view. That is a
 * release store (`xchg` on x86-64, `stlr` on arm64); plain element stores order nothing on arm64.
 * `Atomics` work on views of an ArrayBuffer, a SharedArrayBuffer is not needed.
 *
 * Errors: `EINVAL` (not mmapable), `EPERM` (frozen and writable), `ENXIO`/`EINVAL` beyond the end.
 */
export function mapView(fd: Fd, length: number, isWritable = true, offset = 0): ArrayBuffer {
  return addon().mapView(fd, length, isWritable, offset);
}

/** Unmaps a view now. It and every typed array over it have length 0 afterwards. */
export function viewRelease(view: ArrayBuffer): void {
  addon().viewRelease(view);
}
