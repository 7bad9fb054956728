/**
 * Sets and removes exact addresses of the ipcache through a kernel program that walks an array of
 * instructions in shared memory: values of present keys change in place, by one store, and an entry costs
 * 60 to 110 ns instead of a system call.
 */
import { MerlonError } from '#kit/errors';
import { formatIp, type Ip, ipv4FromNumber } from '#kit/ip';
import { type Fd, testRun } from '#native';
import { IPCACHE_ENTRY, IPCACHE_OP, IPCACHE_OP_SIZE } from '#wire/bpf';

const FAILED = 0xffff;
/** `remove` in the word that begins with the family. */
const REMOVE = 1 << (8 * (IPCACHE_OP.remove - IPCACHE_OP.family));

/** One instruction: an exact address of either family, and what it shall be. */
export interface Feed {
  /** IPv4 address as a number; -1: `ip` has the address. */
  readonly addr4: number;
  readonly ip: Ip | undefined;
  readonly identity: number;
  readonly flags: number;
}

const WORDS = IPCACHE_OP_SIZE / 4;
const IDENTITY_WORD = (IPCACHE_OP.entry + IPCACHE_ENTRY.identity) / 4;
const FLAGS_WORD = (IPCACHE_OP.entry + IPCACHE_ENTRY.flags) / 4;
const LENGTH_WORD = IPCACHE_OP.prefixlen / 4;
const KIND_WORD = IPCACHE_OP.family / 4;

export class IpcacheFeeder {
  readonly #program: Fd;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  readonly #room: number;

  /** `ops`: the mapped array of instructions. */
  constructor(program: Fd, ops: ArrayBuffer, room: number) {
    this.#program = program;
    this.#bytes = new Uint8Array(ops);
    this.#words = new Uint32Array(ops);
    this.#halves = new Uint16Array(ops);
    this.#room = room;
  }

  /** Sets these addresses, in their order. Errors: KERNEL_MAP_FULL names the first that did not fit. */
  set(feeds: readonly Feed[]): void {
    this.#run(feeds, 0, (i, feed) => {
      if (this.#halves[(i * IPCACHE_OP_SIZE + IPCACHE_OP.done) / 2] !== FAILED) return;
      const text = formatIp(feed.ip ?? ipv4FromNumber(feed.addr4));
      throw new MerlonError('KERNEL_MAP_FULL', `the ipcache has no room for ${text}`);
    });
  }

  /** Removes these addresses; one that is not there is none the less gone. */
  remove(feeds: readonly Feed[]): void {
    this.#run(feeds, REMOVE, () => undefined);
  }

  #run(feeds: readonly Feed[], kind: number, check: (i: number, feed: Feed) => void): void {
    for (let first = 0; first < feeds.length; first += this.#room) {
      const count = Math.min(this.#room, feeds.length - first);
      for (let i = 0; i < count; i++) this.#write(i, feeds[first + i] as Feed, kind);
      testRun(this.#program, { ctxIn: Uint32Array.of(count) });
      for (let i = 0; i < count; i++) check(i, feeds[first + i] as Feed);
    }
  }

  #write(i: number, feed: Feed, kind: number): void {
    const words = this.#words;
    const at = i * WORDS;
    for (let w = 0; w < WORDS; w++) words[at + w] = 0;
    const { addr4, ip } = feed;
    if (ip === undefined) {
      // Network order, as the CPU loads it.
      words[at] = (addr4 << 24) | ((addr4 & 0xff00) << 8) | ((addr4 >>> 8) & 0xff00) | (addr4 >>> 24);
      words[at + KIND_WORD] = 4 | kind;
      words[at + LENGTH_WORD] = 32;
    } else {
      this.#bytes.set(ip.bytes, at * 4);
      words[at + KIND_WORD] = ip.family | kind;
      words[at + LENGTH_WORD] = ip.bytes.length * 8;
    }
    words[at + IDENTITY_WORD] = feed.identity;
    words[at + FLAGS_WORD] = feed.flags;
  }
}
