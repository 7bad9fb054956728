/**
 * Failsafe: port → group, group and peer → entry (HF-6.1). Every slot of the host endpoint gets the same
 * content, so that no switch of policy ever finds it missing. A changed group gets another number: its peers
 * first, then the ports that name it, and the peers of numbers nobody names any more after a grace period.
 */
import { formatHex } from '#kit/bytes';
import { MerlonError } from '#kit/errors';
import { type Cidr, cidrCovers, formatCidr } from '#kit/ip';
import type { FailsafeRow } from '#model';
import { mapDelete, mapLookup, mapUpdate } from '#native';
import {
  DIRECTION,
  FAILSAFE_ENTRY_SIZE,
  FAILSAFE_KEY_SIZE,
  FAILSAFE_PORT_PROTO,
  FAILSAFE_PORT_TCP,
  FAILSAFE_PORT_UDP,
  FAILSAFE_PORTS,
  HOST_SLOTS,
  writeFailsafeEntry,
} from '#wire/bpf';
import { keysOf } from './addrs.ts';
import { cidrOf, failsafeKey } from './keys.ts';
import type { DatapathMaps } from './maps.ts';

const TCP = 6;
const UDP = 17;
const GROUPS = 256;

/** One peer of a group. */
interface Peer {
  readonly cidr: Cidr;
  readonly ifindex: number;
  readonly entry: number;
}

/** What one direction shall hold: groups by content, and the group of each port. */
export interface FailsafeGroups {
  readonly groups: ReadonlyMap<string, readonly Peer[]>;
  /** Port index → key of its group. */
  readonly ports: ReadonlyMap<number, string>;
}

/** Ports with the same rows share a group. Errors: CONFIG_CONFLICT, NOT_FOUND (a device that is not there). */
export function groupFailsafe(
  rows: readonly FailsafeRow[],
  direction: FailsafeRow['direction'],
  ifindexOf: (device: string) => number | undefined,
): FailsafeGroups {
  const byPort = new Map<number, FailsafeRow[]>();
  for (const row of rows) {
    if (row.direction !== direction) continue;
    for (const index of portIndexes(row)) {
      const list = byPort.get(index);
      if (list === undefined) byPort.set(index, [row]);
      else list.push(row);
    }
  }
  const groups = new Map<string, readonly Peer[]>();
  const ports = new Map<number, string>();
  for (const [index, list] of byPort) {
    const key = list.map((row) => JSON.stringify([row.entry, row.cidrs, row.device])).join();
    if (!groups.has(key)) groups.set(key, peersOf(list, ifindexOf));
    ports.set(index, key);
  }
  if (groups.size >= GROUPS)
    throw new MerlonError(
      'CONFIG_CONFLICT',
      `failsafe entries form ${groups.size} groups of ports, ${GROUPS - 1} fit`,
    );
  return { groups, ports };
}

function* portIndexes(row: FailsafeRow): Iterable<number> {
  const base =
    row.protocol === TCP ? FAILSAFE_PORT_TCP : row.protocol === UDP ? FAILSAFE_PORT_UDP : undefined;
  if (base === undefined) yield FAILSAFE_PORT_PROTO + row.protocol;
  else for (let port = row.port; port <= row.endPort; port++) yield base + port;
}

/** A prefix without device makes all longer ones pass on any device, too: the trie finds only the longest. */
function peersOf(
  rows: readonly FailsafeRow[],
  ifindexOf: (device: string) => number | undefined,
): readonly Peer[] {
  const peers = rows.flatMap((row) => {
    const ifindex = row.device === '' ? 0 : ifindexOf(row.device);
    if (ifindex === undefined)
      throw new MerlonError(
        'NOT_FOUND',
        `failsafe entry ${row.entry} names device ${row.device}, which is not there`,
      );
    return row.cidrs.map((text): Peer => ({ cidr: cidrOf(text), ifindex, entry: row.entry }));
  });
  const byPrefix = new Map<string, Peer>();
  for (const peer of peers) {
    const open = peers.find((p) => p.ifindex === 0 && cidrCovers(p.cidr, peer.cidr));
    const seen = byPrefix.get(formatCidr(peer.cidr));
    if (open === undefined && seen !== undefined && seen.ifindex !== peer.ifindex)
      throw new MerlonError(
        'CONFIG_CONFLICT',
        `failsafe allows ${formatCidr(peer.cidr)} on two devices by two entries`,
      );
    byPrefix.set(formatCidr(peer.cidr), { ...peer, ifindex: open === undefined ? peer.ifindex : 0 });
  }
  return [...byPrefix.values()];
}

/** What stood in the maps after the last change. */
interface Written {
  readonly meaning: string;
  readonly ports: Uint8Array;
  /** Keys and entries in hexadecimal. */
  readonly peers: ReadonlyMap<string, string>;
}

export class Failsafe {
  readonly #maps: DatapathMaps;
  readonly #ports: Uint8Array;
  readonly #ifindexOf: (device: string) => number | undefined;
  readonly #wait: () => Promise<void>;
  readonly #onLook: (isIntact: boolean) => void;
  #rows = new Map<number, FailsafeRow>();
  #written: Written | undefined;

  constructor(
    maps: DatapathMaps,
    ifindexOf: (device: string) => number | undefined,
    wait: () => Promise<void>,
    onLook: (isIntact: boolean) => void,
  ) {
    this.#maps = maps;
    this.#ports = new Uint8Array(maps.view('failsafe_port'));
    this.#ifindexOf = ifindexOf;
    this.#wait = wait;
    this.#onLook = onLook;
  }

  /** Makes these the entries in force, all at once for each port; nothing is stored when they are already. */
  async set(rows: readonly FailsafeRow[]): Promise<void> {
    const wanted = (['out', 'in'] as const).map((d) => groupFailsafe(rows, d, this.#ifindexOf));
    const fd = this.#maps.fd('failsafe');
    const meaning = JSON.stringify(wanted.map(({ groups, ports }) => [[...groups], [...ports]]));
    if (this.#written?.meaning === meaning) {
      const isIntact = this.#isIntact(this.#written);
      this.#onLook(isIntact);
      if (isIntact) return;
    }
    const present = keysOf(fd, FAILSAFE_KEY_SIZE);
    const used = new Set(present.map((key) => new DataView(key.buffer).getUint16(6, true)));
    const kept = new Map<string, string>();
    const numbers = wanted.map(({ groups }, d) => {
      const free = freeNumbers(used);
      const inbound = d === DIRECTION.INGRESS;
      return new Map(
        [...groups].map(([key, peers]) => {
          const number = free.next().value;
          if (number === undefined)
            throw new MerlonError('KERNEL_MAP_FULL', 'no failsafe group number is free');
          for (let slot = 0; slot < HOST_SLOTS; slot++)
            for (const { cidr, ifindex, entry } of peers) {
              const at = failsafeKey(slot, inbound, number, cidr);
              const value = new DataView(new ArrayBuffer(FAILSAFE_ENTRY_SIZE));
              writeFailsafeEntry(value, 0, { ifindex, entry, family: cidr.ip.family });
              mapUpdate(fd, at, value);
              kept.set(formatHex(at), formatHex(new Uint8Array(value.buffer)));
            }
          return [key, number] as const;
        }),
      );
    });
    wanted.forEach(({ ports }, d) => this.#storePorts(d, ports, numbers[d] as ReadonlyMap<string, number>));
    this.#rows = new Map(rows.map((row) => [row.entry, row]));
    await this.#wait();
    for (const key of present) if (!kept.has(formatHex(key))) mapDelete(fd, key);
    this.#written = { meaning, ports: this.#ports.slice(), peers: kept };
  }

  /** Does the kernel hold what was written? */
  #isIntact({ ports, peers }: Written): boolean {
    if (Buffer.compare(ports, this.#ports) !== 0) return false;
    const fd = this.#maps.fd('failsafe');
    const value = new Uint8Array(FAILSAFE_ENTRY_SIZE);
    const keys = keysOf(fd, FAILSAFE_KEY_SIZE);
    return (
      keys.length === peers.size &&
      keys.every((key) => mapLookup(fd, key, value) && peers.get(formatHex(key)) === formatHex(value))
    );
  }

  /** Entries in force. */
  rows(): readonly FailsafeRow[] {
    return [...this.#rows.values()];
  }

  #storePorts(
    direction: number,
    ports: ReadonlyMap<number, string>,
    numbers: ReadonlyMap<string, number>,
  ): void {
    for (let slot = 0; slot < HOST_SLOTS; slot++) {
      const base = (slot * 2 + direction) * FAILSAFE_PORTS;
      for (let index = 0; index < FAILSAFE_PORTS; index++) {
        const group = numbers.get(ports.get(index) ?? '') ?? 0;
        if (this.#ports[base + index] !== group) Atomics.store(this.#ports, base + index, group);
      }
    }
  }
}

function* freeNumbers(used: ReadonlySet<number>): Generator<number, undefined> {
  for (let n = 1; n < GROUPS; n++) if (!used.has(n)) yield n;
  return undefined;
}
