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

export class LocalAddresses {
  readonly #maps: DatapathMaps;

  constructor(maps: DatapathMaps) {
    this.#maps = maps;
  }

  update(row: LocalAddressRow): void {
    const ip = ipOf(row.address);
    const value = new DataView(new ArrayBuffer(LOCAL_ADDR_SIZE));
    writeLocalAddr(value, 0, { flags: 0, ifindex: row.ifindex });
    mapUpdate(this.#fd(ip), ip.bytes, value, BPF_NOEXIST);
  }

  delete(row: LocalAddressRow): void {
    const ip = ipOf(row.address);
    mapDelete(this.#fd(ip), ip.bytes);
  }

  /** Removes what no row names; adds what the kernel lacks. */
  prune(rows: readonly LocalAddressRow[]): void {
    const wanted = new Set(rows.map((row) => row.address));
    for (const [address, bytes, fd] of this.#present()) if (!wanted.has(address)) mapDelete(fd, bytes);
    for (const row of rows) this.update(row);
  }

  #fd(ip: Ip): Fd {
    return this.#maps.fd(ip.family === 4 ? 'local_addrs4' : 'local_addrs6');
  }

  *#present(): Iterable<[address: string, bytes: Uint8Array, fd: Fd]> {
    for (const [name, size] of [
      ['local_addrs4', 4],
      ['local_addrs6', 16],
    ] as const) {
      const fd = this.#maps.fd(name);
      for (const key of keysOf(fd, size)) yield [formatIp(ipOfBytes(key)), key, fd];
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
