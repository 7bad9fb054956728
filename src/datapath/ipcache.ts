/**
 * Addresses and prefixes → identities. Host addresses stand in hashes, where a present key must never be
 * written over (a lookup meanwhile could miss it, and a missed address would be judged as world): the feeding
 * program inserts new keys and changes present ones in place. A kernel that refuses that program has its
 * entries written over, which status says. Shorter prefixes stand in tries, which
 * may be written over. Order of a call: what is added or changed first, then what is removed, then the
 * clock and the buckets of all addresses that changed hands.
 */
import type { IpcacheRow } from '#model';
import { type Cidr, formatCidr, type Ip } from '#kit/ip';
import { batchCursor, mapDelete, mapLookup, mapLookupBatch, mapUpdate, type Fd } from '#native';
import { IPCACHE_ENDPOINT, IPCACHE_ENTRY_SIZE, IPCACHE_NODE, type MapName } from '#wire/bpf';
import type { Epochs } from './epoch.ts';
import type { IpcacheFeeder } from './feeder.ts';
import { cidrOf, ipOfBytes, isHost, lpmKey } from './keys.ts';
import { keysOf } from './addrs.ts';
import type { DatapathMaps } from './maps.ts';

/** What the kernel holds of one prefix. */
export interface IpcacheValue {
  readonly identity: number;
  readonly flags: number;
}

interface Change {
  readonly prefix: string;
  readonly cidr: Cidr;
  readonly value: IpcacheValue;
}

export class Ipcache {
  readonly #maps: DatapathMaps;
  readonly #epochs: Epochs;
  readonly #feeder: IpcacheFeeder | undefined;
  /** Canonical prefix → what memory holds. */
  readonly #held = new Map<string, IpcacheValue>();
  /** How many prefixes lead to each identity. */
  readonly #uses = new Map<number, number>();

  constructor(maps: DatapathMaps, epochs: Epochs, feeder: IpcacheFeeder | undefined) {
    this.#maps = maps;
    this.#epochs = epochs;
    this.#feeder = feeder;
  }

  /** Reads what an earlier process left. */
  adopt(): void {
    for (const [name, keySize] of HOSTS)
      for (const [key, value] of dumpHash(this.#maps.fd(name), keySize)) {
        const cidr = { ip: ipOfBytes(key), length: keySize * 8 };
        this.#hold(formatCidr(cidr), value);
      }
    for (const [name, keySize] of NETS)
      for (const key of keysOf(this.#maps.fd(name), keySize)) {
        const length = new DataView(key.buffer).getUint32(0, true);
        this.#hold(formatCidr({ ip: ipOfBytes(key.subarray(4)), length }), { identity: 0, flags: -1 });
      }
  }

  /** Entries of the kernel, as far as this process wrote or found them. */
  get held(): ReadonlyMap<string, IpcacheValue> {
    return this.#held;
  }

  /** Reads every entry out of the kernel's maps; a prefix that goes away meanwhile may be left out. */
  read(): Map<string, IpcacheValue> {
    const found = new Map<string, IpcacheValue>();
    for (const [name, keySize] of HOSTS)
      for (const [key, value] of dumpHash(this.#maps.fd(name), keySize))
        found.set(formatCidr({ ip: ipOfBytes(key), length: keySize * 8 }), value);
    const value = new Uint32Array(IPCACHE_ENTRY_SIZE / 4);
    for (const [name, keySize] of NETS) {
      const fd = this.#maps.fd(name);
      for (const key of keysOf(fd, keySize)) {
        if (!mapLookup(fd, key, value)) continue;
        const length = new DataView(key.buffer).getUint32(0, true);
        const cidr = { ip: ipOfBytes(key.subarray(4)), length };
        found.set(formatCidr(cidr), { identity: value[0] as number, flags: value[1] as number });
      }
    }
    return found;
  }

  /** Whether any prefix leads to this identity. */
  uses(identity: number): boolean {
    return (this.#uses.get(identity) ?? 0) > 0;
  }

  /** Sets these rows; their prefixes are canonical text. Errors: KERNEL_MAP_FULL and others of the map, with nothing removed. */
  update(rows: readonly IpcacheRow[]): void {
    this.#apply(rows, []);
  }

  /** Removes these prefixes. */
  remove(prefixes: readonly string[]): void {
    this.#apply([], prefixes);
  }

  /** Makes the kernel hold exactly these rows: changes first, then removals. */
  prune(rows: readonly IpcacheRow[]): void {
    const wanted = new Set(rows.map((row) => row.prefix));
    this.#apply(
      rows,
      [...this.#held.keys()].filter((prefix) => !wanted.has(prefix)),
    );
  }

  #apply(rows: readonly IpcacheRow[], removed: readonly string[]): void {
    const changes: Change[] = [];
    for (const row of rows) {
      const flags = (row.isEndpoint ? IPCACHE_ENDPOINT : 0) | (row.isNode ? IPCACHE_NODE : 0);
      const held = this.#held.get(row.prefix);
      if (held !== undefined && held.identity === row.identity && held.flags === flags) continue;
      changes.push({
        prefix: row.prefix,
        cidr: cidrOf(row.prefix),
        value: { identity: row.identity, flags },
      });
    }
    const gone = removed.filter((prefix) => this.#held.has(prefix)).map(cidrOf);
    this.#setHosts(changes.filter((change) => isHost(change.cidr)));
    for (const { cidr, value } of changes)
      if (!isHost(cidr)) mapUpdate(this.#netFd(cidr.ip), lpmKey(cidr), entry(value));
    this.#removeHosts(gone.filter(isHost));
    for (const cidr of gone) if (!isHost(cidr)) mapDelete(this.#netFd(cidr.ip), lpmKey(cidr));
    for (const { prefix, value } of changes) this.#hold(prefix, value);
    for (const prefix of removed) this.#hold(prefix, undefined);
    const touched = [...changes.map((c) => c.cidr), ...gone];
    if (touched.length === 0) return;
    const isWide = touched.some((cidr) => !isHost(cidr)) || touched.length > WIDE_FROM;
    this.#epochs.advance(isWide ? [] : touched.map((cidr) => cidr.ip), isWide);
  }

  #setHosts(changes: readonly Change[]): void {
    if (this.#feeder !== undefined)
      return this.#feeder.feed(changes.map(({ cidr, value }) => ({ ip: cidr.ip, value })));
    for (const { cidr, value } of changes) mapUpdate(this.#hostFd(cidr.ip), cidr.ip.bytes, entry(value));
  }

  #removeHosts(gone: readonly Cidr[]): void {
    if (this.#feeder !== undefined) return this.#feeder.feed(gone.map(({ ip }) => ({ ip })));
    for (const { ip } of gone) mapDelete(this.#hostFd(ip), ip.bytes);
  }

  #hold(prefix: string, value: IpcacheValue | undefined): void {
    const before = this.#held.get(prefix);
    if (before !== undefined) this.#uses.set(before.identity, (this.#uses.get(before.identity) ?? 1) - 1);
    if (value === undefined) {
      this.#held.delete(prefix);
      return;
    }
    this.#held.set(prefix, value);
    this.#uses.set(value.identity, (this.#uses.get(value.identity) ?? 0) + 1);
  }

  #hostFd(ip: Ip): Fd {
    return this.#maps.fd(ip.family === 4 ? 'ipcache_host4' : 'ipcache_host6');
  }

  #netFd(ip: Ip): Fd {
    return this.#maps.fd(ip.family === 4 ? 'ipcache_net4' : 'ipcache_net6');
  }
}

const HOSTS: readonly (readonly [MapName, number])[] = [
  ['ipcache_host4', 4],
  ['ipcache_host6', 16],
];
const NETS: readonly (readonly [MapName, number])[] = [
  ['ipcache_net4', 8],
  ['ipcache_net6', 20],
];
/** From so many addresses on, one wide epoch costs less than their buckets. */
const WIDE_FROM = 4096;

function entry({ identity, flags }: IpcacheValue): Uint8Array {
  const bytes = new Uint8Array(IPCACHE_ENTRY_SIZE);
  new Uint32Array(bytes.buffer, 0, 2).set([identity, flags]);
  return bytes;
}

/** Keys and identities of a hash, in batches. */
function* dumpHash(fd: Fd, keySize: number): Iterable<[key: Uint8Array, value: IpcacheValue]> {
  const chunk = 4096;
  const cursor = batchCursor(keySize);
  const keys = new Uint8Array(chunk * keySize);
  const values = new Uint32Array((chunk * IPCACHE_ENTRY_SIZE) / 4);
  while (!cursor.isDone) {
    const n = mapLookupBatch(fd, cursor, keys, values, chunk);
    for (let i = 0; i < n; i++) {
      const at = (i * IPCACHE_ENTRY_SIZE) / 4;
      const value = { identity: values[at] as number, flags: values[at + 1] as number };
      yield [keys.slice(i * keySize, (i + 1) * keySize), value];
    }
  }
}
