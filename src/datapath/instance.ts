/**
 * Whose pins these are (the pinned one-entry map `instance`), and that only one agent works on them at a
 * time. "Ours" is decided by the instance id, which also stands in the programs' read-only data. The number
 * that generations and logical times come from is kept there, too, so that it only ever grows.
 */
import { randomBytes } from 'node:crypto';
import { constants, mkdirSync } from 'node:fs';
import { MerlonError } from '#kit/errors';
import { bootId, closeFd, flock, LOCK, mapLookup, mapUpdate, netnsCookie, openFd, type Fd } from '#native';
import { INSTANCE, INSTANCE_SIZE, MERLON_SCHEMA, readInstance, writeInstance } from '#wire/bpf';

const KEY = new Uint32Array(1);

/** Locks a folder for this process; a bpffs takes no regular files, but its folders can be locked. */
export class FolderLock implements Disposable {
  readonly #fd: Fd;

  /** Errors: INSTANCE_LOCKED. */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#fd = openFd(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    if (flock(this.#fd, LOCK.exclusive | LOCK.nonBlocking)) return;
    closeFd(this.#fd);
    throw new MerlonError('INSTANCE_LOCKED', `another agent is at work on ${folder}`);
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}

/** What the pinned map says, and the machine-wide counter in it. */
export class Instance {
  readonly #fd: Fd;
  readonly #bytes = new Uint8Array(INSTANCE_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly id: bigint;
  /** The pins were there before this start, of the same boot. */
  readonly isAdopted: boolean;

  /** `before`: the instance that these pins belong to, of whatever layout (`checkPins`). */
  constructor(fd: Fd, before: DataView | undefined) {
    this.#fd = fd;
    mapLookup(fd, KEY, this.#bytes);
    const found = readInstance(this.#view);
    this.isAdopted = found.id !== 0n || before !== undefined;
    if (found.id === 0n) {
      writeInstance(this.#view, 0, {
        ...found,
        id: before?.getBigUint64(INSTANCE.id, true) ?? randomBytes(8).readBigUInt64LE() | 1n,
        netns_cookie: netnsCookie(),
        boot_id: bootId(),
        schema: MERLON_SCHEMA,
        generation: before?.getUint32(INSTANCE.generation, true) ?? 1,
        clock: before?.getUint32(INSTANCE.clock, true) ?? 1,
      });
      this.#save();
    }
    this.id = this.#view.getBigUint64(INSTANCE.id, true);
  }

  /** The next number of the counter that generations come from. */
  nextGeneration(): number {
    return this.#next(INSTANCE.generation);
  }

  /** Keeps the highest logical time. */
  saveClock(clock: number): void {
    this.#view.setUint32(INSTANCE.clock, clock, true);
    this.#save();
  }

  get clock(): number {
    return this.#view.getUint32(INSTANCE.clock, true);
  }

  get generation(): number {
    return this.#view.getUint32(INSTANCE.generation, true);
  }

  /** Never gives out a number up to this one. */
  advanceTo(generation: number): void {
    if (generation <= this.generation) return;
    this.#view.setUint32(INSTANCE.generation, generation, true);
    this.#save();
  }

  #next(field: number): number {
    const next = (this.#view.getUint32(field, true) + 1) >>> 0 || 1;
    this.#view.setUint32(field, next, true);
    this.#save();
    return next;
  }

  #save(): void {
    mapUpdate(this.#fd, KEY, this.#bytes);
  }
}
