/**
 * Records of this node's endpoints, and which rule set each has. A record is ready once it has both an
 * address and a rule set; until then the datapath refuses its packets. Index 0 is the host endpoint.
 */
import { MerlonError } from '#kit/errors';
import { formatHex, formatMac, parseMac } from '#kit/bytes';
import { type Cidr, formatCidrOrIp } from '#kit/ip';
import type { EndpointRow, Identity, KernelEndpoint } from '#model';
import { mapDelete, mapUpdate } from '#native';
import {
  ENDPOINT,
  ENDPOINT_AUDIT,
  ENDPOINT_PREFIX_KEY_SIZE,
  ENDPOINT_PREFIXES,
  ENDPOINT_READY,
  ENDPOINT_SIZE,
  readEndpoint,
  readEndpointPrefixKey,
  writeEndpoint,
  writeEndpointPrefixKey,
} from '#wire/bpf';
import { cidrOf, ipOfBytes, isHost, mappedBytes, mappedLength } from './keys.ts';
import type { DatapathMaps } from './maps.ts';
import { Numbers } from './numbers.ts';
import type { EndpointRulesets } from './rulesets.ts';
import { keysOf } from './addrs.ts';

const RULESET = ENDPOINT.ruleset / 4;
const FLAGS = ENDPOINT.flags / 4;
/** What stands before an IPv4 address that is mapped. */
const MAPPED = formatHex(mappedBytes({ family: 4, bytes: new Uint8Array(4) }).subarray(0, 12));

export class Endpoints implements EndpointRulesets {
  readonly #maps: DatapathMaps;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #indexes: Numbers;
  /** Endpoint id → index of its record. */
  readonly #index = new Map<number, number>();
  readonly #rulesets = new Map<number, number>();
  readonly #rows = new Map<number, EndpointRow>();
  readonly #prefixes = new Map<number, readonly Cidr[]>();
  /** Ids whose records stay as they are, though no row names them. */
  #kept: ReadonlySet<number> = new Set();
  /** Indexes of removed endpoints may be used again after a grace period. */
  readonly #afterGrace: (then: () => void) => void;

  constructor(maps: DatapathMaps, afterGrace: (then: () => void) => void) {
    this.#maps = maps;
    this.#afterGrace = afterGrace;
    const memory = maps.view('endpoints');
    this.#words = new Uint32Array(memory);
    this.#view = new DataView(memory);
    this.#indexes = new Numbers(1, maps.get('endpoints').maxEntries);
  }

  /** Takes up the records an earlier process left. */
  adopt(): void {
    for (let index = 1; index < this.#maps.get('endpoints').maxEntries; index++) {
      const { id, ruleset, flags } = readEndpoint(this.#view, index * ENDPOINT_SIZE);
      if (id === 0) continue;
      this.#index.set(id, index);
      if ((flags & ENDPOINT_READY) !== 0) this.#rulesets.set(id, ruleset);
    }
    this.#indexes.reserve(this.#index.values());
    for (const key of keysOf(this.#maps.fd('endpoint_prefix'), ENDPOINT_PREFIX_KEY_SIZE)) {
      const { prefixlen, endpoint, addr } = readEndpointPrefixKey(new DataView(key.buffer));
      const cidr = unmapped({ ip: ipOfBytes(addr), length: prefixlen - 32 });
      this.#prefixes.set(endpoint, [...(this.#prefixes.get(endpoint) ?? []), cidr]);
    }
  }

  rulesets(): ReadonlyMap<number, number> {
    return this.#rulesets;
  }

  setRuleset(id: number, ruleset: number): void {
    this.#rulesets.set(id, ruleset);
    const index = this.#index.get(id);
    if (index === undefined) return;
    const at = (index * ENDPOINT_SIZE) / 4;
    Atomics.store(this.#words, at + RULESET, ruleset);
    const flags = this.#words[at + FLAGS] as number;
    if ((flags & ENDPOINT_READY) === 0) Atomics.store(this.#words, at + FLAGS, flags | ENDPOINT_READY);
  }

  /** Index of an endpoint's record; 0 = none. */
  indexOf(id: number): number {
    return this.#index.get(id) ?? 0;
  }

  /** The rule set that the record in memory names; undefined where packets are refused for want of one. */
  rulesetInMemory(id: number): number | undefined {
    const index = this.#index.get(id);
    if (index === undefined) return undefined;
    const { flags, ruleset } = readEndpoint(this.#view, index * ENDPOINT_SIZE);
    return (flags & ENDPOINT_READY) === 0 ? undefined : ruleset;
  }

  /** Whether the record in memory lets pass what policy refuses. */
  isAuditedInMemory(id: number): boolean {
    const index = this.#index.get(id);
    return (
      index !== undefined && (readEndpoint(this.#view, index * ENDPOINT_SIZE).flags & ENDPOINT_AUDIT) !== 0
    );
  }

  /** Ids with a record. */
  ids(): Iterable<number> {
    return this.#index.keys();
  }

  /** Every record as it stands in memory. */
  records(): readonly KernelEndpoint[] {
    return [...this.#index].map(([id, index]) => {
      const record = readEndpoint(this.#view, index * ENDPOINT_SIZE);
      const addr4 = new Uint8Array(4);
      new DataView(addr4.buffer).setUint32(0, record.addr4);
      const hosts = [addr4, record.addr6].filter((bytes) => bytes.some((byte) => byte !== 0));
      const cidrs = hosts.map((bytes) => ({ ip: ipOfBytes(bytes), length: bytes.length * 8 }));
      return {
        id,
        identity: record.identity as Identity,
        ifindex: record.ifindex,
        addresses: [...cidrs, ...(this.#prefixes.get(index) ?? [])].map(formatCidrOrIp),
        mac: formatMac(record.mac),
        audit: (record.flags & ENDPOINT_AUDIT) !== 0,
      };
    });
  }

  /** Rule sets that stay because records that are kept name them. */
  keptRulesets(): ReadonlySet<number> {
    return new Set([...this.#kept].flatMap((id) => this.#rulesets.get(id) ?? []));
  }

  /** Errors: ENDPOINT_LIMIT. */
  update(row: EndpointRow): void {
    const index = this.#index.get(row.id) ?? this.#indexes.take();
    if (index === undefined) throw new MerlonError('ENDPOINT_LIMIT', 'no more endpoints fit on this node');
    const cidrs = row.addresses.map(cidrOf);
    const { first4, first6, more } = partsOf(cidrs);
    this.#setPrefixes(index, more);
    this.#rows.set(row.id, row);
    this.#write(index, this.#image(row, first4, first6, more.length > 0));
    this.#index.set(row.id, index);
  }

  /** Writes records anew that are not what was written; how many there were. */
  repair(): number {
    let repaired = 0;
    for (const row of this.#rows.values()) {
      const index = this.#index.get(row.id);
      if (index === undefined) continue;
      const { first4, first6, more } = partsOf(row.addresses.map(cidrOf));
      if (this.#write(index, this.#image(row, first4, first6, more.length > 0))) repaired++;
    }
    return repaired + this.#repairPrefixes();
  }

  #repairPrefixes(): number {
    const fd = this.#maps.fd('endpoint_prefix');
    const missing = new Map(
      [...this.#prefixes].flatMap(([index, cidrs]) =>
        cidrs.map((cidr) => prefixKey(index, cidr)).map((key) => [formatHex(key), key] as const),
      ),
    );
    let repaired = 0;
    for (const key of keysOf(fd, ENDPOINT_PREFIX_KEY_SIZE)) {
      if (missing.delete(formatHex(key))) continue;
      mapDelete(fd, key);
      repaired++;
    }
    for (const key of missing.values()) mapUpdate(fd, key, Uint32Array.of(1));
    return repaired + missing.size;
  }

  #image(
    row: EndpointRow,
    first4: Cidr | undefined,
    first6: Cidr | undefined,
    hasMore: boolean,
  ): Uint32Array {
    const ruleset = this.#rulesets.get(row.id);
    const image = new DataView(new ArrayBuffer(ENDPOINT_SIZE));
    writeEndpoint(image, 0, {
      id: row.id,
      identity: row.identity,
      ruleset: ruleset ?? 0,
      ifindex: row.ifindex,
      addr4: first4 === undefined ? 0 : new DataView(first4.ip.bytes.slice().buffer).getUint32(0),
      flags:
        (hasMore ? ENDPOINT_PREFIXES : 0) |
        (ruleset === undefined ? 0 : ENDPOINT_READY) |
        (row.audit === true ? ENDPOINT_AUDIT : 0),
      addr6: first6?.ip.bytes ?? new Uint8Array(16),
      mac: parseMac(row.mac) ?? new Uint8Array(6),
    });
    return new Uint32Array(image.buffer);
  }

  /** Word by word, the flags last: a packet that finds the record ready finds the rest of it, too. */
  #write(index: number, words: Uint32Array): boolean {
    const at = (index * ENDPOINT_SIZE) / 4;
    let isChanged = false;
    words.forEach((word, i) => {
      if (i === FLAGS || this.#words[at + i] === word) return;
      Atomics.store(this.#words, at + i, word);
      isChanged = true;
    });
    if (this.#words[at + FLAGS] === words[FLAGS]) return isChanged;
    Atomics.store(this.#words, at + FLAGS, words[FLAGS] as number);
    return true;
  }

  delete(row: Pick<EndpointRow, 'id'>): void {
    const index = this.#index.get(row.id);
    if (index === undefined) return;
    const at = (index * ENDPOINT_SIZE) / 4;
    Atomics.store(this.#words, at + FLAGS, 0);
    this.#index.delete(row.id);
    this.#rulesets.delete(row.id);
    this.#rows.delete(row.id);
    this.#afterGrace(() => {
      this.#setPrefixes(index, []);
      this.#words.fill(0, at, at + ENDPOINT_SIZE / 4);
      this.#indexes.give(index);
    });
  }

  /** Removes records that no row names, but for those to be kept. */
  prune(rows: readonly EndpointRow[], kept: ReadonlySet<number> = new Set()): void {
    this.#kept = kept;
    const wanted = new Set([...kept, ...rows.map((row) => row.id)]);
    for (const id of [...this.#index.keys()]) if (!wanted.has(id)) this.delete({ id });
    for (const row of rows) this.update(row);
  }

  #setPrefixes(index: number, prefixes: readonly Cidr[]): void {
    const fd = this.#maps.fd('endpoint_prefix');
    const keys = prefixes.map((cidr) => prefixKey(index, cidr));
    for (const key of keys) mapUpdate(fd, key, Uint32Array.of(1));
    const before = this.#prefixes.get(index) ?? [];
    const kept = new Set(keys.map((key) => formatHex(key)));
    for (const cidr of before) {
      const key = prefixKey(index, cidr);
      if (!kept.has(formatHex(key))) mapDelete(fd, key);
    }
    this.#prefixes.set(index, prefixes);
  }
}

/** The first address of each family stands in the record, everything else beside it. */
function partsOf(cidrs: readonly Cidr[]) {
  const first4 = cidrs.find((c) => c.ip.family === 4 && isHost(c));
  const first6 = cidrs.find((c) => c.ip.family === 6 && isHost(c));
  return { first4, first6, more: cidrs.filter((c) => c !== first4 && c !== first6) };
}

/** The prefix that `mappedBytes` and `mappedLength` were made of. */
function unmapped(cidr: Cidr): Cidr {
  const { bytes } = cidr.ip;
  const isMapped = cidr.length >= 96 && formatHex(bytes.subarray(0, 12)) === MAPPED;
  return isMapped ? { ip: ipOfBytes(bytes.subarray(12)), length: cidr.length - 96 } : cidr;
}

function prefixKey(endpoint: number, cidr: Cidr): Uint8Array {
  const view = new DataView(new ArrayBuffer(ENDPOINT_PREFIX_KEY_SIZE));
  const addr = mappedBytes(cidr.ip);
  writeEndpointPrefixKey(view, 0, { prefixlen: 32 + mappedLength(cidr), endpoint, addr });
  return new Uint8Array(view.buffer);
}
