/**
 * Local addresses by bucket: where at most one of them has a bucket, its record there spares programs the look-up in
 * `local_addrs4/6`. An address is in its table before its bucket says so, and leaves it after.
 */
import type { Ip } from '#kit/ip';
import { EPOCH_BUCKETS, LOCAL_BUCKET, LOCAL_BUCKET_SIZE, LOCAL_NONE, LOCAL_SEVERAL } from '#wire/bpf';
import { epochBucket } from './epoch.ts';
import { mappedBytes } from './keys.ts';

export class LocalBuckets {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** Addresses of each bucket, by their text. */
  readonly #held = new Map<number, Map<string, Ip>>();

  /** `memory`: the mapped `local_buckets`. */
  constructor(memory: ArrayBuffer) {
    this.#bytes = new Uint8Array(memory);
    this.#words = new Uint32Array(memory);
  }

  add(text: string, ip: Ip): void {
    const bucket = epochBucket(ip);
    const held = this.#held.get(bucket) ?? new Map<string, Ip>();
    this.#held.set(bucket, held.set(text, ip));
    this.#write(bucket);
  }

  remove(text: string, ip: Ip): void {
    const bucket = epochBucket(ip);
    const held = this.#held.get(bucket);
    if (held?.delete(text) === true && held.size === 0) this.#held.delete(bucket);
    this.#write(bucket);
  }

  /** Writes what memory has otherwise; how many buckets. */
  repair(): number {
    let repaired = 0;
    for (let bucket = 0; bucket < EPOCH_BUCKETS; bucket++) if (this.#write(bucket)) repaired++;
    return repaired;
  }

  /** Whether memory held something else. */
  #write(bucket: number): boolean {
    const held = [...(this.#held.get(bucket)?.values() ?? [])];
    const [only] = held;
    const at = bucket * LOCAL_BUCKET_SIZE;
    const state = (at + LOCAL_BUCKET.state) / 4;
    if (only === undefined || held.length > 1) {
      const then = only === undefined ? LOCAL_NONE : LOCAL_SEVERAL;
      return Atomics.exchange(this.#words, state, then) !== then;
    }
    const addr = mappedBytes(only);
    const isThere =
      this.#words[state] === only.family && addr.every((byte, i) => byte === this.#bytes[at + i]);
    if (isThere) return false;
    // While the address changes nobody may take half of it for one.
    Atomics.store(this.#words, state, LOCAL_SEVERAL);
    this.#bytes.set(addr, at + LOCAL_BUCKET.addr);
    Atomics.store(this.#words, state, only.family);
    return true;
  }
}
