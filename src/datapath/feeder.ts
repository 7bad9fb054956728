/**
 * Sets and removes exact addresses of the ipcache through a kernel program that walks an array of
 * instructions in shared memory: values of present keys change in place, by one store, and an entry costs
 * 60 to 110 ns instead of a system call.
 */
import { MerlonError } from '#kit/errors';
import { formatIp, type Ip } from '#kit/ip';
import { type Fd, testRun } from '#native';
import { IPCACHE_ENTRY, IPCACHE_OP, IPCACHE_OP_SIZE } from '#wire/bpf';

const FAILED = 0xffff;
const ENTRY = IPCACHE_OP.entry;

/** One instruction. */
export interface Feed {
  readonly ip: Ip;
  /** Absent: remove. */
  readonly value?: { readonly identity: number; readonly flags: number };
}

export class IpcacheFeeder {
  readonly #program: Fd;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #room: number;

  /** `ops`: the mapped array of instructions. */
  constructor(program: Fd, ops: ArrayBuffer, room: number) {
    this.#program = program;
    this.#bytes = new Uint8Array(ops);
    this.#view = new DataView(ops);
    this.#room = room;
  }

  /** Carries out instructions in their order. Errors: KERNEL_MAP_FULL names the first that did not fit. */
  feed(feeds: readonly Feed[]): void {
    for (let first = 0; first < feeds.length; first += this.#room) {
      const count = Math.min(this.#room, feeds.length - first);
      for (let i = 0; i < count; i++) this.#write(i * IPCACHE_OP_SIZE, feeds[first + i] as Feed);
      testRun(this.#program, { ctxIn: Uint32Array.of(count) });
      for (let i = 0; i < count; i++) this.#check(i * IPCACHE_OP_SIZE, feeds[first + i] as Feed);
    }
  }

  #write(at: number, { ip, value }: Feed): void {
    const view = this.#view;
    this.#bytes.fill(0, at, at + IPCACHE_OP_SIZE);
    this.#bytes.set(ip.bytes, at + IPCACHE_OP.addr);
    view.setUint32(at + IPCACHE_OP.prefixlen, ip.bytes.length * 8, true);
    view.setUint8(at + IPCACHE_OP.family, ip.family);
    view.setUint8(at + IPCACHE_OP.remove, value === undefined ? 1 : 0);
    view.setUint32(at + ENTRY + IPCACHE_ENTRY.identity, value?.identity ?? 0, true);
    view.setUint32(at + ENTRY + IPCACHE_ENTRY.flags, value?.flags ?? 0, true);
  }

  #check(at: number, { ip, value }: Feed): void {
    // A removal that failed found nothing to remove.
    if (value === undefined || this.#view.getUint16(at + IPCACHE_OP.done, true) !== FAILED) return;
    throw new MerlonError('KERNEL_MAP_FULL', `the ipcache has no room for ${formatIp(ip)}`);
  }
}
