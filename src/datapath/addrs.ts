/**
 * The node's own addresses in `local_addrs4/6`: what is delivered here rather than forwarded. Programs ask
 * only whether an address is there, so present keys are never written over.
 */
import type { LocalAddressRow } from '#model';
import { formatIp, type Ip } from '#kit/ip';
import { BPF_NOEXIST, mapDelete, mapNextKey, mapUpdate, type Fd } from '#native';
import { LOCAL_ADDR_SIZE, writeLocalAddr } from '#wire/bpf';
import type { DatapathMaps } from './maps.ts';
import { ipOf, ipOfBytes } from './keys.ts';
import { LocalBuckets } from './local-buckets.ts';

export class LocalAddresses {
  readonly #maps: DatapathMaps;
  /** What was written, by address; programs ask for nothing but that it is there. */
  readonly #held = new Map<string, LocalAddressRow>();

  readonly #buckets: LocalBuckets;

  constructor(maps: DatapathMaps) {
    this.#maps = maps;
    this.#buckets = new LocalBuckets(maps.view('local_buckets'));
    for (const [address, bytes] of this.#present()) this.#buckets.add(address, ipOfBytes(bytes));
    this.#buckets.repair();
  }

  update(row: LocalAddressRow): void {
    this.#held.set(row.address, row);
    const ip = ipOf(row.address);
    const value = new DataView(new ArrayBuffer(LOCAL_ADDR_SIZE));
    writeLocalAddr(value, 0, { flags: 0, ifindex: row.ifindex });
    mapUpdate(this.#fd(ip), ip.bytes, value, BPF_NOEXIST);
    this.#buckets.add(row.address, ip);
  }

  delete(row: LocalAddressRow): void {
    this.#held.delete(row.address);
    this.#remove(row.address, ipOf(row.address));
  }

  /** Removes what no row names; adds what the kernel lacks. */
  prune(rows: readonly LocalAddressRow[]): void {
    const wanted = new Set(rows.map((row) => row.address));
    for (const address of this.#held.keys()) if (!wanted.has(address)) this.#held.delete(address);
    for (const [address, bytes] of this.#present())
      if (!wanted.has(address)) this.#remove(address, ipOfBytes(bytes));
    for (const row of rows) this.update(row);
  }

  /** Adds what was written and is gone, removes what was not; how many there were. */
  repair(): number {
    const missing = new Map(this.#held);
    let repaired = 0;
    for (const [address, bytes] of this.#present()) {
      if (missing.delete(address)) continue;
      this.#remove(address, ipOfBytes(bytes));
      repaired++;
    }
    for (const row of missing.values()) this.update(row);
    return repaired + missing.size + this.#buckets.repair();
  }

  /** From the bucket first: it may not promise what the table lacks. */
  #remove(address: string, ip: Ip): void {
    this.#buckets.remove(address, ip);
    mapDelete(this.#fd(ip), ip.bytes);
  }

  #fd(ip: Ip): Fd {
    return this.#maps.fd(ip.family === 4 ? 'local_addrs4' : 'local_addrs6');
  }

  *#present(): Iterable<[address: string, bytes: Uint8Array]> {
    for (const [name, size] of [
      ['local_addrs4', 4],
      ['local_addrs6', 16],
    ] as const) {
      const fd = this.#maps.fd(name);
      for (const key of keysOf(fd, size)) yield [formatIp(ipOfBytes(key)), key];
    }
  }
}

/** All keys of a map that may change meanwhile, collected first. */
export function keysOf(fd: Fd, size: number): Uint8Array[] {
  const keys: Uint8Array[] = [];
  let key = new Uint8Array(size);
  if (!mapNextKey(fd, null, key)) return keys;
  for (;;) {
    keys.push(key);
    const next = new Uint8Array(size);
    if (!mapNextKey(fd, key, next)) return keys;
    key = next;
  }
}
