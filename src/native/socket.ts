/**
 * Sockets that Node has not, also in other network namespaces. Addresses are raw struct sockaddr bytes;
 * `-1` means that the call would block. All sockets are non-blocking and closed on exec.
 */
import { addon, type Bytes, type Fd } from './addon.ts';

/** Opens a socket in the namespace behind `netnsFd`; -1 = the thread's own. Errors: `EPERM`, `EAFNOSUPPORT`. */
export function socketIn(netnsFd: Fd, domain: number, type: number, protocol: number): Fd {
  return addon().socketIn(netnsFd, domain, type, protocol);
}

/** Gives a socket its address. Errors: `EADDRINUSE`, `EPERM`, `ENODEV`. */
export function bind(fd: Fd, address: Bytes): void {
  addon().bind(fd, address);
}

/** Sets the peer of a socket. */
export function connect(fd: Fd, address: Bytes): void {
  addon().connect(fd, address);
}

/** Copies the socket's own address into `out` and returns its length. */
export function sockName(fd: Fd, out: Bytes): number {
  return addon().sockName(fd, out);
}

/** Sends one message, to `address` where given. Returns the bytes sent. Errors: `ENOBUFS`, `ENETDOWN`, … */
export function send(fd: Fd, data: Bytes, address?: Bytes, flags = 0): number {
  return addon().send(fd, data, address, flags);
}

/**
 * Receives one message into `out`; the sender's address goes into `address` where given. Returns its bytes;
 * with MSG_TRUNC (0x20) in `flags` the true length of a message that did not fit. Errors: `ENOBUFS` (netlink:
 * messages were lost, read everything anew).
 */
export function recv(fd: Fd, out: Bytes, address?: Bytes, flags = 0): number {
  return addon().recv(fd, out, address, flags);
}

/** Sets a socket option; a number is an `int`. */
export function setsockopt(fd: Fd, level: number, name: number, value: Bytes | number): void {
  addon().setsockopt(fd, level, name, typeof value === 'number' ? Int32Array.of(value) : value);
}

/** Copies a socket option into `out` and returns its length. */
export function getsockopt(fd: Fd, level: number, name: number, out: Bytes): number {
  return addon().getsockopt(fd, level, name, out);
}

/** The kernel's number of a network namespace (absent: the thread's own), unique per boot. Linux 5.14. */
export function netnsCookie(netnsFd: Fd = -1): bigint {
  return addon().netnsCookie(netnsFd);
}

/** Makes a new network namespace, which lives as long as its descriptor, a mount of it, or a process in it. */
export function netnsCreate(): Fd {
  return addon().netnsCreate();
}
