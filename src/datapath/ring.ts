/**
 * Reads a BPF ring as memory: framing by `Atomics` over the mapped pages, records copied into slots of equal
 * size. Benchmark: test/bench/datapath/control.ts.
 */
import { ringView, type Fd } from '#native';

/** Bytes of a slot: an IPv6 record, the larger one. */
export const SLOT_BYTES = 96;
/** 8-byte words of a slot. */
const SLOT_WORDS = SLOT_BYTES / 8;

const BUSY = 0x80000000;
const DISCARDED = 0x40000000;
const LENGTH = 0x3fffffff;
const HEADER = 8;

/** The pages of a ring. Plain buffers in tests. */
export interface RingPages {
  readonly consumer: ArrayBuffer;
  readonly producer: ArrayBuffer;
  readonly data: ArrayBuffer;
}

/** The one reader of a ring. Positions are 64 bits in the kernel, of which the low 32 tell the way. */
export class RingReader {
  readonly #consumer: BigUint64Array;
  readonly #consumerLow: Uint32Array;
  readonly #producerLow: Uint32Array;
  readonly #headers: Int32Array;
  readonly #data: BigUint64Array;
  readonly #mask: number;

  constructor(ring: Fd | RingPages, size: number) {
    const pages = typeof ring === 'number' ? ringView(ring, size) : ring;
    this.#consumer = new BigUint64Array(pages.consumer, 0, 1);
    this.#consumerLow = new Uint32Array(pages.consumer, 0, 1);
    this.#producerLow = new Uint32Array(pages.producer, 0, 1);
    this.#headers = new Int32Array(pages.data);
    this.#data = new BigUint64Array(pages.data);
    this.#mask = size - 1;
  }

  get hasRecords(): boolean {
    return Atomics.load(this.#producerLow, 0) !== Atomics.load(this.#consumerLow, 0);
  }

  /**
   * Copies records (of whole 8-byte words) into `slots` from slot `first` on until it has `capacity`, the ring is empty, or a record
   * is still being written. Returns how many; longer records are cut, shorter ones zero-filled.
   */
  drain(slots: BigUint64Array, first: number, capacity: number): number {
    const headers = this.#headers;
    const data = this.#data;
    const start = this.#consumerLow[0] as number;
    const end = Atomics.load(this.#producerLow, 0);
    let at = start;
    let count = 0;
    while (at !== end && first + count < capacity) {
      const offset = at & this.#mask;
      const header = Atomics.load(headers, offset >>> 2);
      if ((header & BUSY) !== 0) break;
      const length = header & LENGTH;
      if ((header & DISCARDED) === 0) {
        // Word by word: `set` of a sub-array costs seven times as much at this size.
        const to = (first + count) * SLOT_WORDS;
        const from = (offset + HEADER) >>> 3;
        const words = Math.min(length >>> 3, SLOT_WORDS);
        for (let i = 0; i < words; i++) slots[to + i] = data[from + i] as bigint;
        for (let i = words; i < SLOT_WORDS; i++) slots[to + i] = 0n;
        count++;
      }
      at = (at + ((length + HEADER + 7) & ~7)) >>> 0;
    }
    if (at !== start) {
      const moved = BigInt((at - start) >>> 0);
      Atomics.store(this.#consumer, 0, (this.#consumer[0] as bigint) + moved);
    }
    return count;
  }
}
