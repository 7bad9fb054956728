/**
 * The programs that go on where a hook's own ends, by tail call (`enum stage`). Each load has an array of its
 * own, pinned as `stages/<map id>`: what programs of an earlier load go on to stays theirs, of their layout, for
 * as long as one of them hangs anywhere. The kernel empties such an array with its last pin and descriptor, so
 * the pin outlives the agent.
 */
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { MerlonError } from '#kit/errors';
import { closeFd, type Fd, fdById, mapCreate, mapInfo, mapUpdate, objPin, progInfo } from '#native';
import { MAPS, STAGE } from '#wire/bpf';
import { withPin } from './pins.ts';

/** An array of an earlier load. */
interface Earlier {
  readonly path: string;
  readonly id: number;
}

export class Stages {
  /** Whoever made this closes it. */
  readonly fd: Fd;
  /** Its pin. */
  readonly path: string;
  #earlier: readonly Earlier[];

  /** Errors: KERNEL_NO_BPFFS. */
  constructor(bpfRoot: string) {
    const folder = `${bpfRoot}/stages`;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#earlier = readdirSync(folder).flatMap((name) => {
      const path = `${folder}/${name}`;
      const id = withPin(path, (fd) => mapInfo(fd).id);
      return id === undefined ? [] : [{ path, id }];
    });
    const { type, keySize, valueSize, maxEntries } = MAPS.stages;
    this.fd = mapCreate({ type, name: 'stages', keySize, valueSize, maxEntries });
    this.path = `${folder}/${mapInfo(this.fd).id}`;
    try {
      objPin(this.fd, this.path);
    } catch (cause) {
      closeFd(this.fd);
      throw new MerlonError('KERNEL_NO_BPFFS', `map stages cannot be pinned as ${this.path}`, { cause });
    }
  }

  /** Puts every stage in its place. Before that no program of this load may hang anywhere. */
  fill(fdOf: (program: string) => Fd): void {
    for (const [name, index] of Object.entries(STAGE))
      mapUpdate(this.fd, Uint32Array.of(index), Uint32Array.of(fdOf(`stage_${name.toLowerCase()}`)));
  }

  /** Arrays of earlier loads are still there. */
  get hasEarlier(): boolean {
    return this.#earlier.length > 0;
  }

  /**
   * Lets go of the arrays that none of these attached programs goes on to. A packet may still be on its way
   * through a program that was just replaced: `afterGrace` runs what it is given when none is.
   */
  release(attached: Iterable<number>, afterGrace: (then: () => void) => void): void {
    const inUse = new Set([...attached].flatMap(mapsOf));
    const idle = this.#earlier.filter(({ id }) => !inUse.has(id));
    if (idle.length === 0) return;
    this.#earlier = this.#earlier.filter(({ id }) => inUse.has(id));
    afterGrace(() => {
      for (const { path } of idle) unlinkSync(path);
    });
  }
}

function mapsOf(programId: number): readonly number[] {
  const fd = fdById('prog', programId);
  try {
    return progInfo(fd).mapIds;
  } finally {
    closeFd(fd);
  }
}
