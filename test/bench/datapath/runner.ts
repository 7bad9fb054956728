/**
 * One program under measurement, behind its wrapper: an own copy of the wrapper whose only tail call leads
 * to the program, so that nothing is exchanged between the rounds of a run.
 */
import {
  closeFd,
  closeObject,
  dupFd,
  type Fd,
  loadObject,
  mapFd,
  mapUpdate,
  mapView,
  objectVariables,
  openObject,
  programFd,
  setAutoload,
  testRun,
  viewRelease,
} from '#native';
import { testRunAside } from './aside.ts';

/** Programs of wrap.bpf.c. */
export const WRAPPERS = ['wrap_plain', 'wrap_flows4', 'wrap_flows6'] as const;
export type Wrapper = (typeof WRAPPERS)[number];

/** Which flows a run's packets belong to. */
export interface Walk {
  readonly flows: number;
  readonly isRandom: boolean;
  readonly isPeerSource: boolean;
  /** Host order; of IPv6 the last 32 bits. */
  readonly firstAddress: number;
  /** So many flows, as a power of two, share an address. */
  readonly portBits: number;
}

/** What a test run is given. */
export interface Frame {
  readonly data: Uint8Array;
  readonly ctx: Uint8Array;
}

/** What a wrapper returns when its tail call led nowhere (TC_ACT_PIPE). */
const LED_NOWHERE = 3;

const POSITION = 8 / 4;

export class Runner implements Disposable {
  readonly #fd: Fd;
  /** The kernel empties a tail-call table when user space lets go of it. */
  readonly #table: Fd;
  readonly #walk: DataView;
  readonly #frame: Frame;
  constructor(objectPath: string, wrapper: Wrapper, target: Fd, frame: Frame, walk?: Walk) {
    this.#frame = frame;
    const object = openObject(objectPath);
    try {
      for (const name of WRAPPERS) setAutoload(object, name, name === wrapper);
      loadObject(object);
      mapUpdate(mapFd(object, 'target'), Uint32Array.of(0), Uint32Array.of(target));
      this.#table = dupFd(mapFd(object, 'target'));
      this.#fd = dupFd(programFd(object, wrapper));
      this.#walk = variableView(object, 'walk');
    } finally {
      closeObject(object);
    }
    if (walk !== undefined) this.setWalk(walk);
  }

  setWalk(walk: Walk): void {
    const { flows, isRandom, isPeerSource, firstAddress, portBits } = walk;
    this.#walk.setBigUint64(0, 88172645463325252n, true);
    const words = [flows - 1, flows, isRandom ? 1 : 0, isPeerSource ? 1 : 0, firstAddress, portBits];
    words.forEach((word, i) => this.#walk.setUint32(8 + 4 * i, word, true));
  }

  /** The next ordered walk begins with this flow. */
  seek(flow: number): void {
    const flows = this.#walk.getUint32(12, true);
    this.#walk.setUint32(4 * POSITION, (flow + flows - 1) % flows, true);
  }

  /** Nanoseconds a repetition, of the loop, wrapper and program together. */
  run(repeat: number): number {
    const { data, ctx } = this.#frame;
    const { durationNs, retval } = testRun(this.#fd, {
      dataIn: data,
      ctxIn: ctx,
      repeat,
      dataOutSize: 0,
      ctxOutSize: 0,
    });
    if (retval === LED_NOWHERE) throw new Error('the wrapper called no program');
    return durationNs;
  }

  /** As `run`, in another thread. */
  async runAside(repeat: number): Promise<number> {
    const { durationNs, retval } = await testRunAside({ fd: this.#fd, ...this.#frame, repeat });
    if (retval === LED_NOWHERE) throw new Error('the wrapper called no program');
    return durationNs;
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
    closeFd(this.#table);
    viewRelease(this.#walk.buffer as ArrayBuffer);
  }
}

const PAGE = 4096;

/** A global variable of a loaded object as memory. */
export function variableView(object: ReturnType<typeof openObject>, name: string): DataView {
  const variable = objectVariables(object).find((one) => one.name === name);
  if (variable === undefined) throw new Error(`the object has no variable ${name}`);
  const fd = mapFd(object, variable.section);
  return new DataView(mapView(fd, PAGE), variable.offset, variable.size);
}
