/**
 * Longest prefix match: prefix → value, both families in one object. A path-compressed binary trie; a node
 * without value exists only where two branches part. Cost grows with the number of enclosing prefixes
 * (at most 32 or 128), never with the number of entries.
 *
 *        10.0.0.0/8 = a
 *        /            \
 *   10.1.0.0/16 = b   (10.128.0.0/9)      no value: the branches part here
 *                      /          \
 *            10.130.0.0/16 = c   10.192.0.0/16 = d
 */
import type { Cidr, Ip } from './ip.ts';
import { commonPrefixLength, hostCidr } from './ip.ts';

/** One entry. */
export interface LpmEntry<V> {
  readonly cidr: Cidr;
  readonly value: V;
}

interface Node<V> {
  readonly bytes: Uint8Array;
  readonly length: number;
  entry: LpmEntry<V> | undefined;
  low: Node<V> | undefined;
  high: Node<V> | undefined;
}

/** Map from prefixes to values with longest-prefix lookup. */
export class Lpm<V> {
  #ipv4: Node<V> | undefined;
  #ipv6: Node<V> | undefined;
  #size = 0;

  /** How many entries. */
  get size(): number {
    return this.#size;
  }

  #root(family: 4 | 6): Node<V> | undefined {
    return family === 4 ? this.#ipv4 : this.#ipv6;
  }

  #setRoot(family: 4 | 6, node: Node<V> | undefined): void {
    if (family === 4) this.#ipv4 = node;
    else this.#ipv6 = node;
  }

  /** Adds the entry or replaces its value. */
  set(cidr: Cidr, value: V): void {
    const entry = { cidr, value };
    this.#setRoot(cidr.ip.family, this.#insert(this.#root(cidr.ip.family), entry));
  }

  #insert(node: Node<V> | undefined, entry: LpmEntry<V>): Node<V> {
    const { bytes } = entry.cidr.ip;
    const { length } = entry.cidr;
    if (node === undefined) {
      this.#size++;
      return leaf(entry);
    }
    const common = Math.min(commonPrefixLength(node.bytes, bytes), node.length, length);
    if (common < node.length) {
      this.#size++;
      const above = common === length ? leaf(entry) : branch<V>(bytes, common);
      link(above, node);
      if (above.entry === undefined) link(above, leaf(entry));
      return above;
    }
    if (common === length) {
      if (node.entry === undefined) this.#size++;
      node.entry = entry;
    } else if (bitAt(bytes, common)) {
      node.high = this.#insert(node.high, entry);
    } else {
      node.low = this.#insert(node.low, entry);
    }
    return node;
  }

  /** Removes the entry of exactly this prefix; whether there was one. */
  delete(cidr: Cidr): boolean {
    const before = this.#size;
    this.#setRoot(cidr.ip.family, this.#remove(this.#root(cidr.ip.family), cidr));
    return this.#size < before;
  }

  #remove(node: Node<V> | undefined, cidr: Cidr): Node<V> | undefined {
    if (node === undefined || !nodeCovers(node, cidr)) return node;
    if (node.length === cidr.length) {
      if (node.entry !== undefined) this.#size--;
      node.entry = undefined;
    } else if (bitAt(cidr.ip.bytes, node.length)) {
      node.high = this.#remove(node.high, cidr);
    } else {
      node.low = this.#remove(node.low, cidr);
    }
    if (node.entry !== undefined || (node.low !== undefined && node.high !== undefined)) return node;
    return node.low ?? node.high;
  }

  /** Removes everything. */
  clear(): void {
    this.#ipv4 = undefined;
    this.#ipv6 = undefined;
    this.#size = 0;
  }

  /** Value of exactly this prefix. */
  get(cidr: Cidr): V | undefined {
    let node = this.#root(cidr.ip.family);
    while (node !== undefined && nodeCovers(node, cidr)) {
      if (node.length === cidr.length) return node.entry?.value;
      node = bitAt(cidr.ip.bytes, node.length) ? node.high : node.low;
    }
    return undefined;
  }

  /** The entry with the longest prefix that contains the address. */
  lookup(ip: Ip): LpmEntry<V> | undefined {
    const bits = ip.bytes.length * 8;
    let best: LpmEntry<V> | undefined;
    let node = this.#root(ip.family);
    while (node !== undefined && commonPrefixLength(node.bytes, ip.bytes) >= node.length) {
      if (node.entry !== undefined) best = node.entry;
      if (node.length === bits) break;
      node = bitAt(ip.bytes, node.length) ? node.high : node.low;
    }
    return best;
  }

  /** Every entry that encloses the prefix, itself included, longest first. */
  covering(cidr: Cidr): LpmEntry<V>[] {
    const found: LpmEntry<V>[] = [];
    let node = this.#root(cidr.ip.family);
    while (node !== undefined && nodeCovers(node, cidr)) {
      if (node.entry !== undefined) found.push(node.entry);
      if (node.length === cidr.length) break;
      node = bitAt(cidr.ip.bytes, node.length) ? node.high : node.low;
    }
    return found.reverse();
  }

  /** Every entry that contains the address, longest first. */
  coveringIp(ip: Ip): LpmEntry<V>[] {
    return this.covering(hostCidr(ip));
  }

  /** Every entry inside the prefix, itself included, in canonical order. */
  *covered(cidr: Cidr): Generator<LpmEntry<V>, void, undefined> {
    let node = this.#root(cidr.ip.family);
    while (node !== undefined && node.length < cidr.length && nodeCovers(node, cidr)) {
      node = bitAt(cidr.ip.bytes, node.length) ? node.high : node.low;
    }
    if (node === undefined || node.length < cidr.length) return;
    if (commonPrefixLength(node.bytes, cidr.ip.bytes) >= cidr.length) yield* entriesOf(node);
  }

  /** All entries in canonical order: IPv4 first, then by address, an enclosing prefix before what it covers. */
  *[Symbol.iterator](): Generator<LpmEntry<V>, void, undefined> {
    if (this.#ipv4 !== undefined) yield* entriesOf(this.#ipv4);
    if (this.#ipv6 !== undefined) yield* entriesOf(this.#ipv6);
  }
}

function leaf<V>(entry: LpmEntry<V>): Node<V> {
  return { bytes: entry.cidr.ip.bytes, length: entry.cidr.length, entry, low: undefined, high: undefined };
}

function branch<V>(bytes: Uint8Array, length: number): Node<V> {
  return { bytes, length, entry: undefined, low: undefined, high: undefined };
}

function link<V>(above: Node<V>, below: Node<V>): void {
  if (bitAt(below.bytes, above.length)) above.high = below;
  else above.low = below;
}

/** Only the first `node.length` bits of a node's bytes count: a branch borrows those of one of its entries. */
function nodeCovers<V>(node: Node<V>, cidr: Cidr): boolean {
  return node.length <= cidr.length && commonPrefixLength(node.bytes, cidr.ip.bytes) >= node.length;
}

function bitAt(bytes: Uint8Array, index: number): boolean {
  return (((bytes[index >> 3] as number) >> (7 - (index & 7))) & 1) === 1;
}

/** Depth first with a stack of its own: nested generators would cost a hop per level and entry. */
function* entriesOf<V>(root: Node<V>): Generator<LpmEntry<V>, void, undefined> {
  const stack = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.entry !== undefined) yield node.entry;
    if (node.high !== undefined) stack.push(node.high);
    if (node.low !== undefined) stack.push(node.low);
  }
}
