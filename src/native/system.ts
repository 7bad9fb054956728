/** The few system calls that Node does not offer. */
import { readFileSync } from 'node:fs';
import { addon, type Bytes, type Fd } from './addon.ts';

/** Flags of {@link openFd} that `node:fs` has no name for. */
export const O_PATH = 0o10000000;

/** Opens a path, closed on exec. `flags` as in `fs.constants`, and {@link O_PATH}. */
export function openFd(path: string, flags: number, mode = 0o600): Fd {
  return addon().openFd(path, flags, mode);
}

/**
 * Closes a descriptor. Those of this module are closed so and not by `node:fs`: the addon forgets what it
 * knows of their maps. Errors: `EBADF`, `EBUSY` (watched).
 */
export function closeFd(fd: Fd): void {
  addon().closeFd(fd);
}

/** Another descriptor of the same thing, closed on exec. */
export function dupFd(fd: Fd): Fd {
  return addon().dupFd(fd);
}

/** Reads into `out`. Returns the bytes read, 0 at the end, -1 when it would block. */
export function readFd(fd: Fd, out: Bytes): number {
  return addon().readFd(fd, out);
}

/** Writes `data`. Returns the bytes written, -1 when it would block. */
export function writeFd(fd: Fd, data: Bytes): number {
  return addon().writeFd(fd, data);
}

/** flock(2) operations. */
export const LOCK = { shared: 1, exclusive: 2, nonBlocking: 4, unlock: 8 } as const;

/** Locks a file; false when `nonBlocking` was asked and somebody else holds it. Without it, it blocks. */
export function flock(fd: Fd, operation: number): boolean {
  return addon().flock(fd, operation);
}

/** CLOCK_BOOTTIME: counts suspend too. The datapath's deadlines are in it. */
export function bootTimeNs(): bigint {
  return addon().bootTimeNs();
}

/** CLOCK_MONOTONIC: what event records carry. */
export function monotonicNs(): bigint {
  return addon().monotonicNs();
}

/** The kernel's id of this boot, 16 bytes. */
export function bootId(): Uint8Array<ArrayBuffer> {
  const text = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  return new Uint8Array(Buffer.from(text.trim().replaceAll('-', ''), 'hex'));
}

/** CLONE_NEW* for {@link setns}. */
export const NAMESPACE = { mount: 0x20000, network: 0x40000000 } as const;

/**
 * Moves this thread into a namespace. Other threads, libuv's pool among them, stay where they are: only for
 * tests and for processes that have not begun work. Errors: `EINVAL`, `EPERM`.
 */
export function setns(fd: Fd, nstype: number): void {
  addon().setns(fd, nstype);
}

/** mount(2). For a bpffs: `mount('bpf', path, 'bpf')`. Errors: `EPERM`, `ENOENT`, `EBUSY`. */
export function mount(source: string, target: string, type: string, flags = 0, data = ''): void {
  addon().mount(source, target, type, flags, data);
}

/** umount2(2). Flags: MNT_DETACH 2. */
export function umount(target: string, flags = 0): void {
  addon().umount(target, flags);
}

/** membarrier(2). Waits for no BPF program unless `command` is MEMBARRIER_CMD_GLOBAL (1). */
export function membarrier(command: number, flags = 0): number {
  return addon().membarrier(command, flags);
}

/** How many CPUs a per-CPU value has room for. */
export function possibleCpus(): number {
  return addon().possibleCpus();
}
