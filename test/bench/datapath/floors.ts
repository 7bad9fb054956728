/** The floors: fixed programs of floors.bpf.c, filled tables, and what one operation of each costs. */
import {
  closeObject,
  type Fd,
  loadObject,
  mapFd,
  mapUpdate,
  mapUpdateBatch,
  openObject,
  progInfo,
  programFd,
} from '#native';
import { ringView } from '#native';
import { type Frame, Runner, variableView } from './runner.ts';

/** A floor and how often its program does the operation. */
export interface Floor {
  readonly name: string;
  readonly operations: number;
  /** Repetitions of one run; a ring must hold them all. */
  readonly repeat?: number;
}

const ONCE = ['hash_random_16', 'hash_random_40', 'hash_random_16_write', 'hash_random_40_write'] as const;
const COSTLY = ['lru_insert_16', 'lru_insert_40', 'hash_insert_delete_16', 'fib_lookup'] as const;
const RING = ['ring_submit_64', 'ring_submit_96'] as const;
const SIXTEEN = [
  'hash_hit_4',
  'hash_hit_16',
  'hash_hit_40',
  'hash_miss_16',
  'lpm_hit',
  'array_lookup',
  'percpu_count',
  'helper_call',
  'ktime',
  'subprogram_call',
] as const;

export type FloorName = (typeof ONCE | typeof COSTLY | typeof RING | typeof SIXTEEN)[number];

export const FLOORS: readonly (Floor & { readonly name: FloorName })[] = [
  ...SIXTEEN.map((name) => ({ name, operations: 16, repeat: 20_000 })),
  ...ONCE.map((name) => ({ name, operations: 1 })),
  ...COSTLY.map((name) => ({ name, operations: 1, repeat: 100_000 })),
  ...RING.map((name) => ({ name, operations: 1 })),
];

const ENTRIES = 100_000;
const RING_BYTES = 1 << 25;

/** The loaded object. */
export class FloorPrograms implements Disposable {
  readonly #object: ReturnType<typeof openObject>;
  readonly #failures: DataView;
  readonly #ring: BigUint64Array[];

  constructor(path: string) {
    this.#object = openObject(path);
    try {
      loadObject(this.#object);
      this.#failures = variableView(this.#object, 'failures');
      const { consumer, producer } = ringView(mapFd(this.#object, 'ring'), RING_BYTES);
      this.#ring = [new BigUint64Array(consumer, 0, 1), new BigUint64Array(producer, 0, 1)];
      this.#fill('table4', 16, 128, 0);
      this.#fill('table6', 40, 104, 3);
      this.#fill('addresses', 4, 32, 0);
      // 10.64.0.0/10 and 10.0.0.0/8, in network order.
      for (const prefix of [
        [10, 0x400a],
        [8, 0x0a],
      ])
        mapUpdate(mapFd(this.#object, 'prefixes'), Uint32Array.from(prefix), new Uint8Array(32));
    } catch (error) {
      closeObject(this.#object);
      throw error;
    }
  }

  fd(name: FloorName | 'empty'): Fd {
    return programFd(this.#object, name);
  }

  /** Instructions of each program as the kernel runs them. */
  instructions(): Readonly<Record<string, number>> {
    const names = ['empty' as const, ...FLOORS.map((floor) => floor.name)].sort();
    return Object.fromEntries(names.map((name) => [name, progInfo(this.fd(name)).xlatedBytes / 8]));
  }

  runner(wrapPath: string, name: FloorName | 'empty', frame: Frame): Runner {
    return new Runner(wrapPath, 'wrap_plain', this.fd(name), frame);
  }

  /** Reads nothing and makes room. Throws when an operation did not do what it is to measure. */
  reset(): void {
    const [consumer, producer] = this.#ring as [BigUint64Array, BigUint64Array];
    Atomics.store(consumer, 0, Atomics.load(producer, 0));
    const failures = this.#failures.getBigUint64(0, true);
    if (failures !== 0n) throw new Error(`${failures} operations of a floor failed`);
  }

  /** Keys as KEY4 and KEY6 of the C make them; `word` is the one that differs. */
  #fill(map: string, keySize: number, valueSize: number, word: number): void {
    const keys = new Uint32Array((keySize / 4) * ENTRIES);
    for (let i = 0; i < ENTRIES; i++) {
      const at = (i * keySize) / 4;
      if (keySize === 16) keys.set([i, 0x0a000001, 80 | (1024 << 16), 6], at);
      else if (keySize === 40) keys.set([1, 2, 3, i, 5, 6, 7, 8, 80 | (1024 << 16), 6], at);
      else keys[at + word] = i;
    }
    mapUpdateBatch(mapFd(this.#object, map), keys, new Uint8Array(valueSize * ENTRIES), ENTRIES);
  }

  [Symbol.dispose](): void {
    closeObject(this.#object);
  }
}
