/** What one record of the kernel says, in the words of people: `merlon events` (host-firewall.md §13). */
import { formatIp, ipFromBytes } from '#kit/ip';
import { protocolName } from '#model';
import { DROP_REASON, DROP_REASON_NAMES, type Event, EVENT_TYPE, readEvent, VERDICT } from '#wire/bpf';

export interface RuleRef {
  readonly id: string;
  readonly file?: string;
  readonly line?: number;
}

/** One end of a packet. */
export interface EndDescription {
  readonly ip: string;
  readonly port?: number;
  readonly identity: number;
  readonly labels: readonly string[];
}

export type VerdictWord = 'ALLOWED' | 'REDIRECTED' | 'DENIED' | 'AUDIT' | 'REVOKED' | 'DROPPED';

/** The rules that an event is about; where staged policies would decide otherwise, the other answer's, too. */
export interface OriginRefs {
  readonly rules: readonly RuleRef[];
  /** They let it pass; `rules` are those by which staged policies would not. */
  readonly enforced?: readonly RuleRef[];
  /** Staged policies would let it pass by these; `rules` refuse it. */
  readonly staged?: readonly RuleRef[];
}

/** An event as it is shown. Fields that say nothing are absent. */
export interface EventDescription extends OriginRefs {
  readonly seq: number;
  readonly time: string;
  readonly kind: 'verdict' | 'failsafe' | 'l7';
  readonly verdict: VerdictWord;
  readonly reason?: string;
  readonly direction: 'ingress' | 'egress';
  readonly device: string;
  readonly source: EndDescription;
  readonly destination: EndDescription;
  readonly proto: string;
  /** Of a frame that carries no IP. */
  readonly ethertype?: string;
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly tcpFlags?: string;
  readonly match: string;
  readonly generation: number;
  readonly flow?: string;
  readonly length: number;
  readonly suppressed?: number;
  readonly xdp?: boolean;
  /** It travels against its connection: policy judged the other way. */
  readonly reply?: boolean;
}

/** What the numbers in a record stand for, looked up when somebody reads it. */
export interface Names {
  labels(identity: number): readonly string[];
  origin(origin: number): OriginRefs;
  device(ifindex: number): string;
  /** Wall-clock nanoseconds since 1970 at monotonic time zero. */
  readonly wallOffsetNs: bigint;
}

const PROTO_ICMP = 1;
const PROTO_ICMP6 = 58;
const TCP_FLAG_NAMES = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];
const MATCH_NAMES = ['none', 'L3-Only', 'L3-L4', 'L4-Only', 'all', 'L3-Proto', 'Proto-Only'];

/** Bits of `event.flags` (bpf/types.h, EVENT_F_*). */
const FLAG = { ingress: 0x01, ipv6: 0x02, audit: 0x04, reply: 0x08, xdp: 0x10 } as const;

/** Refusals that policy gave; every other reason is a drop that is no verdict. */
const DENIED = new Set<number>([
  DROP_REASON.POLICY_DENIED,
  DROP_REASON.POLICY_DENY,
  DROP_REASON.AUTH_REQUIRED,
]);

/** The record at the beginning of `view`, as people read it. */
export function describe(view: DataView, seq: number, names: Names): EventDescription {
  const e = readEvent(view);
  const isIcmp = e.proto === PROTO_ICMP || e.proto === PROTO_ICMP6;
  const isOther = e.reason === DROP_REASON.UNSUPPORTED_L2;
  const hasPorts = !isOther && (e.sport !== 0 || e.dport !== 0);
  const [source, destination] = addresses(e);
  const end = (ip: string, port: number, identity: number): EndDescription => ({
    ip,
    ...(isIcmp || !hasPorts ? {} : { port }),
    identity,
    labels: names.labels(identity),
  });
  return {
    seq,
    time: timeText(e.time_ns + names.wallOffsetNs),
    kind: e.version >> 4 === EVENT_TYPE.FAILSAFE ? 'failsafe' : 'verdict',
    verdict: verdictWord(e),
    ...(e.reason === DROP_REASON.NONE ? {} : { reason: DROP_REASON_NAMES[e.reason] ?? String(e.reason) }),
    direction: (e.flags & FLAG.ingress) === 0 ? 'egress' : 'ingress',
    device: names.device(e.ifindex),
    source: end(source, e.sport, e.src_identity),
    destination: end(destination, e.dport, e.dst_identity),
    proto: protocolName(e.proto),
    ...(isOther ? { ethertype: `0x${e.dport.toString(16).padStart(4, '0')}` } : {}),
    // The type stands in the low byte of the source port's place, the code in its high byte.
    ...(isIcmp ? { icmpType: e.sport & 0xff, icmpCode: e.sport >> 8 } : {}),
    ...(e.tcp_flags === 0 ? {} : { tcpFlags: tcpFlags(e.tcp_flags) }),
    match: MATCH_NAMES[e.verdict >> 4] ?? 'unknown',
    ...(e.origin === 0 ? { rules: [] } : names.origin(e.origin)),
    generation: e.generation,
    ...(e.flow === 0 ? {} : { flow: e.flow.toString(16) }),
    length: e.length,
    ...(e.suppressed === 0 ? {} : { suppressed: e.suppressed }),
    ...((e.flags & FLAG.xdp) === 0 ? {} : { xdp: true }),
    ...((e.flags & FLAG.reply) === 0 ? {} : { reply: true }),
  };
}

/** Whether the record tells of a packet that did not pass, without describing the rest of it. */
export function isRefusal(view: DataView): boolean {
  const { reason, flags } = readEvent(view);
  return reason !== DROP_REASON.NONE && (flags & FLAG.audit) === 0;
}

function verdictWord(e: Event): VerdictWord {
  if ((e.flags & FLAG.audit) !== 0) return 'AUDIT';
  if (e.reason === DROP_REASON.FLOW_REVOKED) return 'REVOKED';
  if (DENIED.has(e.reason)) return 'DENIED';
  if (e.reason !== DROP_REASON.NONE) return 'DROPPED';
  return (e.verdict & 0x0f) === VERDICT.REDIRECT ? 'REDIRECTED' : 'ALLOWED';
}

function addresses(e: Event): readonly [source: string, destination: string] {
  if ((e.flags & FLAG.ipv6) !== 0) {
    return [ipv6(e.saddr6), ipv6(e.daddr6)];
  }
  return [ipv4(e.saddr4 ?? 0), ipv4(e.daddr4 ?? 0)];
}

function ipv6(bytes: Uint8Array | undefined): string {
  const ip = bytes === undefined ? undefined : ipFromBytes(bytes);
  return ip === undefined ? '::' : formatIp(ip);
}

function ipv4(n: number): string {
  return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

function tcpFlags(bits: number): string {
  return TCP_FLAG_NAMES.filter((_, i) => (bits & (1 << i)) !== 0).join(',');
}

/** RFC 3339 with nanoseconds. */
function timeText(ns: bigint): string {
  const ms = Number(ns / 1_000_000n);
  const rest = String(ns % 1_000_000n).padStart(6, '0');
  return `${new Date(ms).toISOString().slice(0, -1)}${rest}Z`;
}
