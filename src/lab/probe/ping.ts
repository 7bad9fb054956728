/**
 * ICMP echo. Node has no raw sockets; the addon's carry it. Loaded only when something is pinged, so that a
 * prober without the addon does all else.
 */
import net from 'node:net';
import type { Outcome } from '../protocol.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW = 3;
const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const ECHO = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;

let nextId = process.pid & 0xffff;

/** struct sockaddr_in or sockaddr_in6 without port. The scope id of `fe80::1%eth0` is not known here. */
function sockaddr(address: string, bytes: Uint8Array): Uint8Array {
  const isV6 = net.isIPv6(address);
  const out = new Uint8Array(isV6 ? 28 : 16);
  // sa_family is in the machine's order; every machine merlon runs on is little-endian.
  out[0] = isV6 ? AF_INET6 : AF_INET;
  out.set(bytes, isV6 ? 8 : 4);
  return out;
}

/** The one's complement sum of RFC 1071; the kernel fills in that of ICMPv6. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function echoRequest(family: 4 | 6, id: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([ECHO[family].request, 0, 0, 0, id >> 8, id & 0xff, 0, 1]);
  const sum = family === 4 ? checksum(bytes) : 0;
  bytes.set([sum >> 8, sum & 0xff], 2);
  return bytes;
}

/** Whether `packet` answers request `id`; IPv4 raw sockets show the IP header too. */
function isReply(family: 4 | 6, id: number, packet: Uint8Array): boolean {
  const at = family === 4 ? ((packet[0] ?? 0) & 0x0f) * 4 : 0;
  const [type, , , , high = 0, low = 0] = packet.subarray(at);
  return type === ECHO[family].reply && ((high << 8) | low) === id;
}

interface Echo {
  readonly outcome: Outcome;
  readonly error?: string;
}

/** Sends one echo request from `source` and waits for its reply. */
export async function echo(to: string, source: string, timeoutMs: number): Promise<Echo> {
  const [native, { parseIp }] = await Promise.all([import('#native'), import('#kit/ip')]);
  const bytesOf = (text: string) => parseIp(text)?.bytes ?? new Uint8Array();
  const family = net.isIPv6(to) ? 6 : 4;
  const id = nextId++ & 0xffff;
  const fd = native.socketIn(
    -1,
    family === 6 ? AF_INET6 : AF_INET,
    SOCK_RAW,
    family === 6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
  );
  const buffer = new Uint8Array(2048);
  const take = (): Echo | undefined => {
    try {
      for (let got = native.recv(fd, buffer); got >= 0; got = native.recv(fd, buffer)) {
        if (isReply(family, id, buffer.subarray(0, got))) return { outcome: 'open' };
      }
      return undefined;
    } catch (e) {
      return { outcome: 'unreachable', error: (e as NodeJS.ErrnoException).code ?? String(e) };
    }
  };
  try {
    native.bind(fd, sockaddr(source, bytesOf(source)));
    native.connect(fd, sockaddr(to, bytesOf(to)));
    return await new Promise<Echo>((resolve) => {
      const finish = (ending: Echo) => {
        clearTimeout(timer);
        native.unwatch(watched);
        resolve(ending);
      };
      const timer = setTimeout(() => finish({ outcome: 'timeout' }), timeoutMs);
      const watched = native.watch(fd, () => {
        const ending = take();
        if (ending !== undefined) finish(ending);
      });
      try {
        native.send(fd, echoRequest(family, id));
      } catch (e) {
        finish({ outcome: 'unreachable', error: (e as NodeJS.ErrnoException).code ?? String(e) });
      }
    });
  } finally {
    native.closeFd(fd);
  }
}
