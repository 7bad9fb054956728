/**
 * The way of a packet without a record over one node, stage by stage in the order of the datapath
 * (host-firewall.md HF-1.2), up to the one that decides: frame, addresses, built-ins, flow table, failsafe,
 * policy. A packet between an endpoint and the node has one hook and two subjects; one between two endpoints
 * has two hooks.
 */
import { cidrContainsIp, formatIp, type Ip, ipEquals, parseCidrOrIp } from '#kit/ip';
import { type Direction, type FailsafeRow, PROTOCOL_ICMP, PROTOCOL_ICMP6, protocolName } from '#model';
import type { CaseVerdict } from './case.ts';
import { icmpv6OnNode, icmpv6OnPod } from './icmpv6.ts';

/** What a node does besides policy. */
export interface NodeFacts {
  /** Of the host firewall. */
  readonly mode: 'enforce' | 'audit' | 'failsafe' | 'off';
  /** Directions of the node, and endpoints, whose refusals are only reported. */
  readonly hostAudit: readonly Direction[];
  readonly auditedEndpoints: readonly number[];
  readonly failsafe: readonly FailsafeRow[];
  readonly builtins: {
    readonly dhcp: boolean;
    readonly fragNeeded: boolean;
    readonly icmp6Redirect: boolean;
  };
  /** Whether a proxy serves what policy hands over. */
  readonly hasProxy: boolean;
  /** Devices that lead out of the machine, and those of endpoints by their numbers. */
  readonly devices: readonly string[];
  readonly endpointDevices: Readonly<Record<number, string>>;
}

/** A packet as far as it is known: what is only asked about has no source port, flags or hop limit. */
export interface Packet {
  /** Undefined: somebody without an address, as `entity:world`. */
  readonly source: Ip | undefined;
  readonly destination: Ip | undefined;
  readonly protocol: number;
  /** Of the destination, or the type of ICMP. */
  readonly port: number | undefined;
  readonly sourcePort?: number;
  readonly icmpCode?: number;
  /** As events have them: `SYN,ACK`. */
  readonly tcpFlags?: string;
  /** By which it came or leaves. */
  readonly device?: string;
}

/** Policy's word on one subject. */
export interface SubjectVerdict {
  readonly subject: 'host' | 'endpoint';
  readonly name: string;
  readonly direction: 'ingress' | 'egress';
  /** Whether a policy selects it in this direction that is more than staged. */
  readonly selected: boolean;
  /** Whether any policy is asked in this direction. */
  readonly enforced: boolean;
  readonly verdict: CaseVerdict;
  /** Why it refuses, or would but for audit (flow-api.md §4.8). */
  readonly reason?: string;
}

export type StageName = 'frame' | 'addresses' | 'built-in' | 'flow' | 'failsafe' | 'policy';

export interface Stage {
  readonly stage: StageName;
  readonly outcome: 'goes on' | 'passes' | 'dropped';
  readonly what: string;
  /** Of the catalogue, when it is dropped. */
  readonly reason?: string;
  /** Position in the list of subjects whose policy is asked here. */
  readonly subject?: number;
}

export interface Hook {
  /** `host ingress`, `host egress`, `pod ingress`, `pod egress`. */
  readonly hook: string;
  readonly where: string;
  readonly stages: readonly Stage[];
  readonly verdict: CaseVerdict;
}

/** One hook's question. */
export interface HookQuestion {
  readonly kind: 'host' | 'pod';
  /** Seen from the owner of the hook: the node at an external device, the endpoint at its own. */
  readonly direction: 'ingress' | 'egress';
  readonly where: string;
  readonly packet: Packet;
  /** The endpoint first. */
  readonly subjects: readonly SubjectVerdict[];
  readonly node: NodeFacts;
  /** What the flow table says of the two ends, for people. */
  readonly record?: string;
}

type Decide = (question: HookQuestion) => readonly Stage[];

/** Goes through the stages of one hook. */
export function pathOf(question: HookQuestion): Hook {
  const { kind, direction, where, subjects } = question;
  const stages: Stage[] = [];
  for (const decide of kind === 'host' ? HOST_STAGES : POD_STAGES) {
    stages.push(...decide(question));
    if (stages.at(-1)?.outcome !== 'goes on') break;
  }
  const last = stages.at(-1);
  const asked = stages.flatMap(({ subject }) => (subject === undefined ? [] : [subjects[subject]?.verdict]));
  const passed = asked.includes('audit') ? 'audit' : asked.includes('redirect') ? 'redirect' : 'allow';
  return {
    hook: `${kind} ${direction}`,
    where,
    stages,
    verdict: last?.outcome === 'dropped' ? 'deny' : passed,
  };
}

const on = (stage: StageName, what: string): Stage => ({ stage, outcome: 'goes on', what });
const pass = (stage: StageName, what: string): Stage => ({ stage, outcome: 'passes', what });
const drop = (stage: StageName, reason: string, what: string): Stage => ({
  stage,
  outcome: 'dropped',
  what,
  reason,
});

const frame: Decide = ({ direction, packet, node }) => {
  if (node.mode === 'off') return [pass('frame', 'the host firewall is off: nothing is judged here')];
  const { source, destination } = packet;
  if (direction === 'egress') return [on('frame', 'made by the node itself')];
  if (source !== undefined && isMartian(packet, source))
    return [drop('frame', 'MARTIAN', `${formatIp(source)} cannot come over a wire`)];
  if (source !== undefined && destination !== undefined && ipEquals(source, destination))
    return [drop('frame', 'LAND', 'source and destination are the same')];
  const flags = packet.tcpFlags?.split(',') ?? [];
  if (packet.tcpFlags !== undefined && areInvalid(flags))
    return [drop('frame', 'INVALID_TCP_FLAGS', `no TCP sends the flags ${packet.tcpFlags || '(none)'}`)];
  return [on('frame', 'well formed')];
};

function isMartian({ protocol, sourcePort, port }: Packet, { family, bytes }: Ip): boolean {
  const [first = 0] = bytes;
  const isZero = bytes.every((byte) => byte === 0);
  if (family === 6) return first === 0xff || bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
  if (first === 0) return !(isZero && (protocol === IGMP || isDhcp(4, protocol, sourcePort, port)));
  return first === 127 || first >= 224;
}

const IGMP = 2;
const TCP = 6;
const UDP = 17;
const SCTP = 132;

function areInvalid(flags: readonly string[]): boolean {
  const known = flags.filter((flag) => ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'].includes(flag));
  if (known.includes('SYN')) return known.includes('FIN') || known.includes('RST');
  return known.length === 0 || (known.length === 3 && ['FIN', 'PSH', 'URG'].every((f) => known.includes(f)));
}

function isDhcp(
  family: 4 | 6 | undefined,
  protocol: number,
  sourcePort: number | undefined,
  port: number | undefined,
): boolean {
  const [client, server] = family === 6 ? [546, 547] : [68, 67];
  if (protocol !== UDP) return false;
  // A port that nobody told is the one that goes with the other.
  return (
    (port === server && (sourcePort ?? client) === client) ||
    (port === client && (sourcePort ?? server) === server)
  );
}

const familyOf = ({ source, destination }: Packet): 4 | 6 | undefined => (source ?? destination)?.family;

const hostBuiltin: Decide = ({ packet, subjects, node }) => {
  const { protocol, port, sourcePort } = packet;
  if (node.builtins.dhcp && isDhcp(familyOf(packet), protocol, sourcePort, port))
    return [pass('built-in', 'DHCP passes whatever the policy (hostfw.builtin.dhcp)')];
  const fragNeeded = fragNeededStage(packet, node);
  if (fragNeeded !== undefined) return [fragNeeded];
  const host = subjects.find(({ subject }) => subject === 'host');
  const isSelected = host?.selected === true || node.mode === 'failsafe';
  if (protocol === PROTOCOL_ICMP6 && port !== undefined && isSelected) {
    const fixed = icmpv6OnNode(port, node.builtins.icmp6Redirect);
    if (fixed !== undefined) return [fixedStage(fixed, port)];
  }
  return [on('built-in', 'none covers it')];
};

const podBuiltin: Decide = ({ packet, node }) => {
  const { protocol, port } = packet;
  if (protocol === PROTOCOL_ICMP6 && port !== undefined) {
    const fixed = icmpv6OnPod(port);
    if (fixed !== undefined) return [fixedStage(fixed, port)];
  }
  const fragNeeded = fragNeededStage(packet, node);
  if (fragNeeded !== undefined) return [fragNeeded];
  const icmp = familyOf(packet) === 6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP;
  if (![TCP, UDP, SCTP, icmp].includes(protocol))
    return [drop('built-in', 'UNKNOWN_L4', `pod policy has no word for ${protocolName(protocol)}`)];
  return [on('built-in', 'none covers it')];
};

function fixedStage(fixed: 'pass' | 'forbidden', type: number): Stage {
  return fixed === 'pass'
    ? pass('built-in', `ICMPv6 type ${type} passes whatever the policy: the link needs it`)
    : drop('built-in', 'FORBIDDEN_ICMP6', `ICMPv6 type ${type} is never let through`);
}

function fragNeededStage({ protocol, port, icmpCode }: Packet, { builtins }: NodeFacts): Stage | undefined {
  if (protocol !== PROTOCOL_ICMP || port !== 3 || icmpCode !== 4 || !builtins.fragNeeded) return undefined;
  return pass('built-in', '“fragmentation needed” passes whatever the policy (allow-icmp-frag-needed)');
}

const flow: Decide = ({ packet, record }) => {
  const isError =
    packet.port !== undefined &&
    ((packet.protocol === PROTOCOL_ICMP && [3, 5, 11, 12].includes(packet.port)) ||
      (packet.protocol === PROTOCOL_ICMP6 && packet.port < 5));
  const related = isError ? '; about a live connection it would pass as related' : '';
  return [on('flow', `${record ?? 'judged as new'}${related}`)];
};

const failsafe: Decide = ({ packet, subjects, node }) => {
  const position = subjects.findIndex(({ subject }) => subject === 'host');
  const host = subjects[position];
  if (host === undefined) return [];
  const found = failsafeOf(packet, host.direction, node.failsafe);
  if (found === undefined) return [on('failsafe', `no entry covers ${trafficText(packet)} here`)];
  const { entry, cidrs, why } = found;
  const peers = cidrs.length > 3 ? `${cidrs.slice(0, 3).join(', ')}, …` : cidrs.join(', ');
  return [pass('failsafe', `entry ${entry} lets it pass whatever the policy: ${why} (${peers})`)];
};

function trafficText({ protocol, port }: Packet): string {
  const name = protocolName(protocol);
  if (port === undefined) return name;
  return protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMP6
    ? `${name} type ${port}`
    : `${name}/${port}`;
}

/** The entry above policy that covers a packet; `direction` is the node's. */
function failsafeOf(
  packet: Packet,
  direction: 'ingress' | 'egress',
  rows: readonly FailsafeRow[],
): FailsafeRow | undefined {
  const { protocol, port, sourcePort } = packet;
  const peer = direction === 'ingress' ? packet.source : packet.destination;
  if (peer === undefined) return undefined;
  const own = direction === 'ingress' ? 'in' : 'out';
  const isPeer = ({ cidrs, device }: FailsafeRow) =>
    (device === '' || packet.device === undefined || device === packet.device) &&
    cidrs.some((text) => {
      const cidr = parseCidrOrIp(text);
      return cidr !== undefined && cidrContainsIp(cidr, peer);
    });
  const covers = (row: FailsafeRow, at: number | undefined): boolean => {
    if (row.protocol !== protocol || !isPeer(row)) return false;
    if (protocol === PROTOCOL_ICMP) return port === 8 || port === 0;
    if (protocol === PROTOCOL_ICMP6) return port === 128 || port === 129;
    if (![TCP, UDP].includes(protocol)) return true;
    return at !== undefined && row.port <= at && at <= row.endPort;
  };
  return (
    rows.find((row) => row.direction === own && covers(row, port)) ??
    rows.find((row) => row.direction !== own && covers(row, sourcePort) && mayAnswer(packet, row.direction))
  );
}

/** Ports that this machine asks from (bpf/config.h). */
const ASKING_PORTS = [32_768, 60_999] as const;

/** Could a packet, of which no record tells the direction, be an answer to what an entry lets pass? */
function mayAnswer({ protocol, port, sourcePort, tcpFlags }: Packet, entry: 'in' | 'out'): boolean {
  if (protocol === TCP) return /\b(ACK|RST)\b/.test(tcpFlags ?? '');
  if (protocol === UDP && entry === 'out') {
    const [first, last] = ASKING_PORTS;
    return port !== undefined && ((port >= first && port <= last) || port === sourcePort);
  }
  if (protocol === PROTOCOL_ICMP) return port === 0;
  if (protocol === PROTOCOL_ICMP6) return port === 129;
  return true;
}

const policyOf =
  (kind: SubjectVerdict['subject']): Decide =>
  ({ subjects, node }) => {
    const subject = subjects.findIndex((one) => one.subject === kind);
    const asked = subjects[subject];
    if (asked === undefined) return [];
    const who = `${asked.direction} of ${asked.name}`;
    if (kind === 'host' && node.mode === 'off') return [on('policy', `${who}: the host firewall is off`)];
    if (kind === 'host' && node.mode === 'failsafe')
      return [drop('policy', 'POLICY_DENIED', `${who}: in mode failsafe nothing else is taken`)];
    if (asked.verdict === 'deny')
      return [{ ...drop('policy', asked.reason ?? 'POLICY_DENIED', `${who}: refused`), subject }];
    const word = {
      allow: 'allowed',
      redirect: 'handed to a proxy',
      audit: `would be refused (${asked.reason ?? 'POLICY_DENIED'}), passes because it is in audit`,
    }[asked.verdict];
    return [{ ...on('policy', `${who}: ${asked.enforced ? word : 'no policy is asked, open'}`), subject }];
  };

/** Both judge what an endpoint and the node exchange; failsafe is the node's. */
const HOST_STAGES: readonly Decide[] = [frame, addressStage, hostBuiltin, flow, failsafe, policyOf('host')];
const POD_STAGES: readonly Decide[] = [
  addressStage,
  podBuiltin,
  flow,
  policyOf('endpoint'),
  nodeAtPod,
  policyOf('host'),
];

function addressStage({ kind, packet, direction, subjects }: HookQuestion): readonly Stage[] {
  const names = subjects.map(({ name }) => name).join(' and ');
  const text = (ip: Ip | undefined) => (ip === undefined ? 'somebody' : formatIp(ip));
  const ends = `${text(packet.source)} → ${text(packet.destination)}`;
  if (kind === 'pod') return [on('addresses', `${ends}: the policy of ${names}`)];
  const what = direction === 'ingress' ? 'delivered here' : 'sent from here';
  return [on('addresses', `${ends}: ${what}, so the policy of the node`)];
}

/** What the node lets pass above its policy, of an endpoint's packet. */
function nodeAtPod(question: HookQuestion): readonly Stage[] {
  const { subjects, packet, node } = question;
  if (!subjects.some(({ subject }) => subject === 'host')) return [];
  if (node.mode === 'off') return [];
  const { protocol, port, sourcePort } = packet;
  if (node.builtins.dhcp && isDhcp(familyOf(packet), protocol, sourcePort, port))
    return [pass('built-in', 'DHCP between an endpoint and the node: the node’s policy is not asked')];
  return failsafe(question);
}
