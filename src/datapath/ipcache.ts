/**
 * Addresses and prefixes → identities. Host addresses stand in hashes, where a present key must never be
 * written over (a lookup meanwhile could miss it, and a missed address would be judged as world): the feeding
 * program inserts new keys and changes present ones in place. A kernel that refuses that program has its
 * entries written over, which status says. Shorter prefixes stand in tries, which
 * may be written over. Order of a call: what is added or changed first, then what is removed, then the
 * clock and the buckets of all addresses that changed hands.
 */
import type { Identity, IpcacheRow } from '#model';
import { type Cidr, formatCidr, type Ip, ipv4FromNumber, parseIpv4 } from '#kit/ip';
import { batchCursor, mapDelete, mapLookup, mapLookupBatch, mapUpdate, type Fd } from '#native';
import { IPCACHE_ENDPOINT, IPCACHE_ENTRY_SIZE, IPCACHE_NODE, type MapName } from '#wire/bpf';
import type { Epochs } from './epoch.ts';
import type { Feed, IpcacheFeeder } from './feeder.ts';
import { cidrOf, ipOfBytes, isHost, lpmKey } from './keys.ts';
import { keysOf } from './addrs.ts';
import type { DatapathMaps } from './maps.ts';

/** What the kernel holds of one prefix. */
export interface IpcacheValue {
  readonly identity: number;
  readonly flags: number;
}

/** What memory holds of one prefix, changed in place. */
interface Held {
  identity: number;
  flags: number;
}

/** A prefix on its way into the kernel. Most are IPv4 addresses: those need no more than a number. */
interface Change extends Feed {
  readonly prefix: string;
  /** Of a shorter prefix. */
  readonly net: Cidr | undefined;
  /** What is held of it now. */
  readonly held: Held | undefined;
}

/** Flags that no row has: what the kernel holds is not known, so it is written whatever is wanted. */
const NOT_KNOWN = -1;

export class Ipcache {
  readonly #maps: DatapathMaps;
  readonly #epochs: Epochs;
  readonly #feeder: IpcacheFeeder | undefined;
  /** Canonical prefix → what memory holds. */
  readonly #held = new Map<string, Held>();
  /** How many prefixes lead to each identity. */
  readonly #uses = new Map<number, number>();

  constructor(maps: DatapathMaps, epochs: Epochs, feeder: IpcacheFeeder | undefined) {
    this.#maps = maps;
    this.#epochs = epochs;
    this.#feeder = feeder;
  }

  /** Reads what an earlier process left. */
  adopt(): void {
    for (const [prefix, value] of this.#entries()) this.#hold(prefix, value);
  }

  /** Entries of the kernel, as far as this process wrote or found them. */
  get held(): ReadonlyMap<string, IpcacheValue> {
    return this.#held;
  }

  /** Reads every entry out of the kernel's maps; a prefix that goes away meanwhile may be left out. */
  read(): Map<string, IpcacheValue> {
    return new Map(this.#entries());
  }

  *#entries(): Iterable<[prefix: string, value: IpcacheValue]> {
    for (const [name, keySize] of HOSTS)
      for (const [key, value] of dumpHash(this.#maps.fd(name), keySize))
        yield [formatCidr({ ip: ipOfBytes(key), length: keySize * 8 }), value];
    const value = new Uint32Array(IPCACHE_ENTRY_SIZE / 4);
    for (const [name, keySize] of NETS) {
      const fd = this.#maps.fd(name);
      for (const key of keysOf(fd, keySize)) {
        if (!mapLookup(fd, key, value)) continue;
        const length = new DataView(key.buffer).getUint32(0, true);
        const cidr = { ip: ipOfBytes(key.subarray(4)), length };
        yield [formatCidr(cidr), { identity: value[0] as number, flags: value[1] as number }];
      }
    }
  }

  /**
   * Reads the kernel's entries back, a few thousand at a time with `turn` in between, and repairs what is not
   * as it was written; how many there were. Strangers' entries are removed.
   */
  async repair(turn: () => Promise<void>): Promise<number> {
    const missing = new Set(this.#held.keys());
    const wrong = new Map<string, IpcacheValue>();
    let repaired = 0;
    let count = 0;
    for (const [prefix, value] of this.#entries()) {
      missing.delete(prefix);
      const held = this.#held.get(prefix);
      if (held === undefined || held.identity !== value.identity || held.flags !== value.flags)
        wrong.set(prefix, value);
      if (++count % REPAIR_SLICE !== 0) continue;
      repaired += this.#rewrite(wrong.keys());
      wrong.clear();
      await turn();
    }
    return repaired + this.#rewrite(wrong.keys()) + this.#rewrite(missing);
  }

  /** Writes what is held of these prefixes where the kernel holds something else now. */
  #rewrite(prefixes: Iterable<string>): number {
    const rows: IpcacheRow[] = [];
    const strays: string[] = [];
    for (const prefix of prefixes) {
      const held = this.#held.get(prefix);
      if (held?.flags === NOT_KNOWN) continue;
      const value = this.#lookup(cidrOf(prefix));
      if (held === undefined && value === undefined) continue;
      if (held !== undefined && held.identity === value?.identity && held.flags === value.flags) continue;
      if (held === undefined) strays.push(prefix);
      else {
        const { identity, flags } = held;
        const isEndpoint = (flags & IPCACHE_ENDPOINT) !== 0;
        rows.push({
          prefix,
          identity: identity as Identity,
          isEndpoint,
          isNode: (flags & IPCACHE_NODE) !== 0,
        });
      }
      this.#hold(prefix, { identity: held?.identity ?? 0, flags: NOT_KNOWN });
    }
    this.#apply(rows, strays);
    return rows.length + strays.length;
  }

  #lookup(cidr: Cidr): IpcacheValue | undefined {
    const value = new Uint32Array(IPCACHE_ENTRY_SIZE / 4);
    const [fd, key] = isHost(cidr)
      ? [this.#hostFd(cidr.ip), cidr.ip.bytes]
      : [this.#netFd(cidr.ip), lpmKey(cidr)];
    if (!mapLookup(fd, key, value)) return undefined;
    return { identity: value[0] as number, flags: value[1] as number };
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
    for (const { prefix, identity, isEndpoint, isNode } of rows) {
      const flags = (isEndpoint ? IPCACHE_ENDPOINT : 0) | (isNode ? IPCACHE_NODE : 0);
      const held = this.#held.get(prefix);
      if (held === undefined || held.identity !== identity || held.flags !== flags)
        changes.push(changeOf(prefix, identity, flags, held));
    }
    const gone: Change[] = [];
    for (const prefix of removed) {
      const held = this.#held.get(prefix);
      if (held !== undefined) gone.push(changeOf(prefix, 0, 0, held));
    }
    if (changes.length + gone.length === 0) return;
    try {
      this.#write(changes, gone);
    } catch (e) {
      for (const { prefix, identity } of changes) this.#hold(prefix, { identity, flags: NOT_KNOWN });
      throw e;
    } finally {
      this.#touch(changes, gone);
    }
    for (const change of changes) this.#hold(change.prefix, change, change.held);
    for (const { prefix } of gone) this.#hold(prefix, undefined);
  }

  #write(changes: readonly Change[], gone: readonly Change[]): void {
    const isHost = ({ net }: Change) => net === undefined;
    this.#setHosts(changes.every(isHost) ? changes : changes.filter(isHost));
    for (const { net, ...value } of changes)
      if (net !== undefined) mapUpdate(this.#netFd(net.ip), lpmKey(net), entry(value));
    this.#removeHosts(gone.every(isHost) ? gone : gone.filter(isHost));
    for (const { net } of gone) if (net !== undefined) mapDelete(this.#netFd(net.ip), lpmKey(net));
  }

  /** Flows of addresses that changed hands are judged again; what was half done counts as changed. */
  #touch(changes: readonly Change[], gone: readonly Change[]): void {
    const isNet = ({ net }: Change) => net !== undefined;
    const isWide = changes.length + gone.length > WIDE_FROM || changes.some(isNet) || gone.some(isNet);
    this.#epochs.advance(isWide ? [] : [...changes, ...gone].map(ipOfFeed), isWide);
  }

  #setHosts(changes: readonly Change[]): void {
    if (this.#feeder !== undefined) return this.#feeder.set(changes);
    for (const change of changes) {
      const ip = ipOfFeed(change);
      mapUpdate(this.#hostFd(ip), ip.bytes, entry(change));
    }
  }

  #removeHosts(gone: readonly Change[]): void {
    if (this.#feeder !== undefined) return this.#feeder.remove(gone);
    for (const change of gone) {
      const ip = ipOfFeed(change);
      mapDelete(this.#hostFd(ip), ip.bytes);
    }
  }

  #hold(prefix: string, value: IpcacheValue | undefined, before = this.#held.get(prefix)): void {
    if (before !== undefined) this.#uses.set(before.identity, (this.#uses.get(before.identity) ?? 1) - 1);
    if (value === undefined) {
      this.#held.delete(prefix);
      return;
    }
    const { identity, flags } = value;
    if (before === undefined) this.#held.set(prefix, { identity, flags });
    else Object.assign(before, { identity, flags });
    this.#uses.set(identity, (this.#uses.get(identity) ?? 0) + 1);
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
/** Entries that are read back between two turns of the loop. */
const REPAIR_SLICE = 4096;
/** From so many addresses on, one wide epoch costs less than their buckets. */
const WIDE_FROM = 4096;

function changeOf(prefix: string, identity: number, flags: number, held: Held | undefined): Change {
  const addr4 = prefix.endsWith('/32') ? parseIpv4(prefix.slice(0, -3)) : -1;
  if (addr4 >= 0) return { prefix, addr4, ip: undefined, net: undefined, identity, flags, held };
  const cidr = cidrOf(prefix);
  const [ip, net] = isHost(cidr) ? [cidr.ip, undefined] : [undefined, cidr];
  return { prefix, addr4: -1, ip, net, identity, flags, held };
}

function ipOfFeed({ addr4, ip }: Feed): Ip {
  return ip ?? ipv4FromNumber(addr4);
}

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
