/** What the tests of the addon share: the test object, and a namespace with a veth pair. */
import { execFileSync } from 'node:child_process';
import type { ExecutionContext } from 'ava';
import {
  bind,
  closeObject,
  type Fd,
  loadObject,
  mapLookup,
  NAMESPACE,
  netnsCreate,
  type Obj,
  openObject,
  possibleCpus,
  setAutoload,
  setns,
  socketIn,
} from '#native';
import { compileAddon, compileBpfFile } from '../../deploy/compile.ts';

/** `native.bpf.c`, compiled. */
export const OBJECT = 'build/test/native.bpf.o';
const AF_PACKET = 17;
const SOCK_RAW = 3;

export const u32 = (...n: number[]) => Uint32Array.of(...n);
export const u64 = (...n: bigint[]) => BigUint64Array.of(...n);

/** Bounds of `until` here. */
export const waiting = { signal: new AbortController().signal, timeoutMs: 60_000 };

/** Compiles what is needed. */
export async function prepare(): Promise<void> {
  await compileAddon();
  await compileBpfFile('test/netns/native.bpf.c', OBJECT);
}

/** Moves this process into a new namespace with a pair of devices; tells their ifindexes. */
export function enterPair(): { readonly near: number; readonly far: number } {
  setns(netnsCreate(), NAMESPACE.network);
  execFileSync('ip', ['link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far']);
  execFileSync('ip', ['link', 'set', 'near', 'up']);
  execFileSync('ip', ['link', 'set', 'far', 'up']);
  const links: { ifname: string; ifindex: number }[] = JSON.parse(
    execFileSync('ip', ['-j', 'link'], { encoding: 'utf8' }),
  );
  const index = (name: string) => links.find(({ ifname }) => ifname === name)?.ifindex ?? 0;
  return { near: index('near'), far: index('far') };
}

/** An Ethernet frame with an IPv4 header that nobody wants. */
export function frame(first = 0xff): Uint8Array {
  const bytes = new Uint8Array(64);
  bytes.fill(0xff, 0, 6);
  bytes[0] = first;
  bytes.set([2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0, 0, 50], 6);
  bytes.set([64, 17], 22);
  return bytes;
}

/** The test object, loaded but for the program that is refused. */
export function load(
  t: ExecutionContext,
  adjust: (object: Obj) => void = () => undefined,
  logLevel = 0,
): Obj {
  const object = openObject(OBJECT);
  t.teardown(() => closeObject(object));
  setAutoload(object, 'broken', false);
  adjust(object);
  loadObject(object, { logLevel });
  return object;
}

/** How often the test programs counted into entry `index` of `seen`, over all CPUs. */
export function seen(fd: Fd, index: number): number {
  const values = new Uint32Array(2 * possibleCpus());
  mapLookup(fd, u32(index), values);
  return values.filter((_, i) => i % 2 === 0).reduce((a, b) => a + b, 0);
}

/** A packet socket bound to a device; it receives only where a protocol is given. */
export function packetSocket(ifindex: number, protocol = 0): Fd {
  const fd = socketIn(-1, AF_PACKET, SOCK_RAW, protocol);
  const address = new DataView(new ArrayBuffer(20));
  address.setUint16(0, AF_PACKET, true);
  address.setUint16(2, protocol, true);
  address.setUint32(4, ifindex, true);
  bind(fd, address);
  return fd;
}
