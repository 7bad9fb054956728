/**
 * What no socket of Node's can do, by the addon, in any namespace: frames as they are, sockets with options,
 * and the contents of pinned maps.
 */
import { closeSync, constants, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '#kit/async';
import { type Ip, parseIp } from '#kit/ip';
import type { Host } from '#lab';
import {
  batchCursor,
  bind,
  closeFd,
  connect,
  getsockopt,
  mapInfo,
  mapLookupBatch,
  objGet,
  recv,
  send,
  setsockopt,
  socketIn,
} from '#native';
import { frame as layered, type Layer } from '../../packet/builder.ts';
import { unprovenEntries } from '../../packet/unproven.ts';

/** Kernel numbers of linux/socket.h, if_packet.h, in.h, in6.h and tcp.h. */
export const AF_INET = 2;
export const AF_INET6 = 10;
const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
const ETH_P_ALL = 3;
export const SOL_SOCKET = 1;
export const SO_BROADCAST = 6;
export const SO_BINDTODEVICE = 25;
const SO_LINGER = 13;
const SO_RCVBUFFORCE = 33;
/** How long what must come may take; only what does not come costs it. */
export const PATIENCE_MS = 15_000;
const TCP_INFO = 11;
const TCP_ESTABLISHED = 1;
const MSG_TRUNC = 0x20;

export function ipOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new TypeError(`no address: ${text}`);
  return ip;
}

/** struct sockaddr_in or sockaddr_in6. */
export function sockaddr(address: string, port: number, scope = 0): Uint8Array {
  const { family, bytes } = ipOf(address);
  const out = new Uint8Array(family === 6 ? 28 : 16);
  const view = new DataView(out.buffer);
  view.setUint16(0, family === 6 ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  out.set(bytes, family === 6 ? 8 : 4);
  if (family === 6) view.setUint32(24, scope, true);
  return out;
}

/** A socket in a host's namespace. Who opens it closes it, by `using`. */
export class Socket implements Disposable {
  readonly fd: number;

  constructor(host: Pick<Host, 'netns'>, domain: number, type: number, protocol = 0) {
    const netns = openSync(host.netns, constants.O_RDONLY);
    try {
      this.fd = socketIn(netns, domain, type, protocol);
    } finally {
      closeSync(netns);
    }
  }

  bind(address: string, port: number, scope = 0): this {
    bind(this.fd, sockaddr(address, port, scope));
    return this;
  }

  /** Begins to connect; the answer may come later. */
  connect(address: string, port: number): this {
    try {
      connect(this.fd, sockaddr(address, port));
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'EINPROGRESS') throw e;
    }
    return this;
  }

  set(level: number, name: number, value: Uint8Array | number): this {
    setsockopt(this.fd, level, name, value);
    return this;
  }

  /** Closing ends a connection by a reset. */
  resetOnClose(): this {
    return this.set(SOL_SOCKET, SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
  }

  /** Sends, again while the socket has no room. */
  send(data: Uint8Array, to?: readonly [address: string, port: number, scope?: number]): void {
    const endMs = performance.now() + PATIENCE_MS;
    while (send(this.fd, data, to === undefined ? undefined : sockaddr(...to)) < 0)
      if (performance.now() > endMs) throw new Error(`${data.length} bytes find no room`);
  }

  /** What has come, or undefined. */
  receive(size = 2048): Uint8Array | undefined {
    const buffer = new Uint8Array(size);
    const got = recv(this.fd, buffer);
    return got < 0 ? undefined : buffer.subarray(0, got);
  }

  /** The next message for which `wanted` holds; undefined when none comes in time. */
  async next(timeoutMs = PATIENCE_MS, wanted: (m: Uint8Array) => boolean = () => true, size = 65_536) {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      for (let m = this.receive(size); m !== undefined; m = this.receive(size)) if (wanted(m)) return m;
      if (performance.now() > endMs) return undefined;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  get isEstablished(): boolean {
    const info = new Uint8Array(8);
    getsockopt(this.fd, 6, TCP_INFO, info);
    return info[0] === TCP_ESTABLISHED;
  }

  [Symbol.dispose](): void {
    closeFd(this.fd);
  }
}

function sum16(bytes: Uint8Array, from: number, to: number, start = 0): number {
  let sum = start;
  for (let at = from; at < to; at += 2)
    sum += ((bytes[at] ?? 0) << 8) | (at + 1 < to ? (bytes[at + 1] ?? 0) : 0);
  return sum;
}

function folded(sum: number): number {
  let left = sum;
  while (left > 0xffff) left = (left & 0xffff) + (left >>> 16);
  return ~left & 0xffff;
}

const CHECKSUM_AT: Readonly<Record<number, number>> = { 6: 16, 17: 6, 58: 2, 1: 2 };

/** Fills in the checksums of an Ethernet frame without extension headers, in place. */
export function sealed<T extends Uint8Array>(bytes: T): T {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isV6 = view.getUint16(12) === 0x86dd;
  const l4 = 14 + (isV6 ? 40 : ((bytes[14] ?? 0) & 0xf) * 4);
  const protocol = bytes[isV6 ? 20 : 23] ?? 0;
  if (!isV6) {
    view.setUint16(24, 0);
    view.setUint16(24, folded(sum16(bytes, 14, l4)));
  }
  const at = CHECKSUM_AT[protocol];
  if (at === undefined || (!isV6 && (view.getUint16(20) & 0x3fff) !== 0)) return bytes;
  view.setUint16(l4 + at, 0);
  const pseudo =
    protocol === 1 ? 0 : sum16(bytes, isV6 ? 22 : 26, isV6 ? 54 : 34, protocol + bytes.length - l4);
  view.setUint16(l4 + at, folded(sum16(bytes, l4, bytes.length, pseudo)) || 0xffff);
  return bytes;
}

interface LinkInfo {
  readonly ifindex: number;
  readonly address: string;
}

export async function linkOf(host: Host, device = 'eth0'): Promise<LinkInfo> {
  const [link] = await host.ipJson<LinkInfo>('link', 'show', 'dev', device);
  if (link === undefined) throw new Error(`${host.name} has no ${device}`);
  return link;
}

const AF_NETLINK = 16;
const RTM_NEWLINK = 16;
const NLM_F_REQUEST_ACK = 5;
const NLMSG_ERROR = 2;
/** IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, and the same of IPv4, which `ip` of Debian 12 does not know. */
const SIZE_ATTRIBUTES = [41, 58, 63, 64];

/** Lets a device carry segments of up to `bytes`, both ways and both families. */
export async function setBigTcp(host: Host, bytes: number, device = 'eth0'): Promise<void> {
  const { ifindex } = await linkOf(host, device);
  const message = new Uint8Array(32 + 8 * SIZE_ATTRIBUTES.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, message.length, true);
  view.setUint16(4, RTM_NEWLINK, true);
  view.setUint16(6, NLM_F_REQUEST_ACK, true);
  view.setInt32(20, ifindex, true);
  for (const [at, attribute] of SIZE_ATTRIBUTES.entries()) {
    view.setUint16(32 + 8 * at, 8, true);
    view.setUint16(34 + 8 * at, attribute, true);
    view.setUint32(36 + 8 * at, bytes, true);
  }
  using socket = new Socket(host, AF_NETLINK, SOCK_RAW);
  socket.send(message);
  const answer = await socket.next();
  const reply = new DataView(answer?.buffer ?? new ArrayBuffer(20));
  if (reply.getUint16(4, true) !== NLMSG_ERROR || reply.getInt32(16, true) !== 0)
    throw new Error(`${host.name} takes no segments of ${bytes} bytes: ${reply.getInt32(16, true)}`);
}

/** Sends and hears frames at a host's device. */
export class Wire implements Disposable {
  readonly mac: string;
  readonly #socket: Socket;

  private constructor(socket: Socket, mac: string) {
    this.#socket = socket;
    this.mac = mac;
  }

  static async open(host: Host, device = 'eth0'): Promise<Wire> {
    const { ifindex, address } = await linkOf(host, device);
    const socket = new Socket(host, AF_PACKET, SOCK_RAW);
    const at = new Uint8Array(20);
    const view = new DataView(at.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, ETH_P_ALL);
    view.setInt32(4, ifindex, true);
    bind(socket.fd, at);
    return new Wire(socket, address);
  }

  /** Sends layers as one frame, its checksums filled in. */
  send(...layers: readonly Layer[]): void {
    this.sendBytes(sealed(layered(...layers)));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  hear(timeoutMs: number, wanted: (frame: Uint8Array) => boolean) {
    return this.#socket.next(timeoutMs, wanted);
  }

  /** Keeps up to so many bytes of what it hears until somebody listens. */
  room(bytes: number): void {
    this.#socket.set(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  }

  /** Lengths of the frames that passed by since the last call, as long as they were. */
  lengths(): readonly number[] {
    const found: number[] = [];
    const buffer = new Uint8Array(64);
    for (let n = recv(this.#socket.fd, buffer, undefined, MSG_TRUNC); n >= 0; ) {
      found.push(n);
      n = recv(this.#socket.fd, buffer, undefined, MSG_TRUNC);
    }
    return found;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** Number of elements in a pinned hash. */
export function mapCount(bpfRoot: string, name: string): number {
  const pin = readdirSync(join(bpfRoot, 'maps')).find((one) => one.startsWith(`${name}@`));
  if (pin === undefined) throw new Error(`no map ${name} is pinned below ${bpfRoot}`);
  const fd = objGet(join(bpfRoot, 'maps', pin));
  try {
    const { keySize, valueSize, maxEntries } = mapInfo(fd);
    const batch = Math.min(4096, maxEntries);
    const cursor = batchCursor(keySize);
    const keys = new Uint8Array(keySize * batch);
    const values = new Uint8Array(valueSize * batch);
    let count = 0;
    for (;;) {
      const got = mapLookupBatch(fd, cursor, keys, values, batch);
      count += name.startsWith('unproven')
        ? unprovenEntries(new DataView(values.buffer.slice(0, got * valueSize)), 0).length
        : got;
      if (cursor.isDone) return count;
    }
  } finally {
    closeFd(fd);
  }
}

/** What a host's stack has counted, by the names of /proc/net/snmp and snmp6 (`Udp.NoPorts`, `Udp6NoPorts`). */
export async function snmp(host: Host): Promise<Readonly<Record<string, number>>> {
  const found: Record<string, number> = {};
  const lines = (await host.mustExec('cat', ['/proc/net/snmp'])).trim().split('\n');
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [group, ...names] = (lines[at] ?? '').split(' ');
    const [, ...values] = (lines[at + 1] ?? '').split(' ');
    names.forEach((name, i) => (found[`${(group ?? '').replace(':', '')}.${name}`] = Number(values[i])));
  }
  for (const line of (await host.mustExec('cat', ['/proc/net/snmp6'])).trim().split('\n')) {
    const [name = '', value] = line.split(/\s+/);
    found[name] = Number(value);
  }
  return found;
}

/** Pushes `bytes` through an echo server and reads them back. */
export async function bulk(host: Host, to: string, port: number, bytes: number): Promise<void> {
  using socket = new Socket(host, to.includes(':') ? AF_INET6 : AF_INET, SOCK_STREAM);
  socket.connect(to, port);
  const limits = { signal: AbortSignal.timeout(900_000), timeoutMs: 5000, intervalMs: 1 };
  await until(() => socket.isEstablished || undefined, { ...limits, what: `a connection to ${to}` });
  const piece = new Uint8Array(1 << 20);
  const room = new Uint8Array(1 << 20);
  let sent = 0;
  let got = 0;
  const turn = () => {
    const before = sent + got;
    if (sent < bytes)
      sent += Math.max(0, send(socket.fd, piece.subarray(0, Math.min(piece.length, bytes - sent))));
    for (let n = recv(socket.fd, room); n > 0; n = recv(socket.fd, room)) got += n;
    return sent + got > before;
  };
  while (got < bytes) {
    if (turn()) await new Promise((resolve) => setImmediate(resolve));
    else await until(() => turn() || undefined, { ...limits, what: `more than ${got} of ${bytes} bytes` });
  }
}
