/**
 * Which way a flow takes on the node, who judges it there and what must come of it: the host firewall's spec
 * and the oracle, nothing compiled (HF-1.1, 1.2, 1.5, 1.18, 2.3, 9.2).
 */
import { labelSet } from '#kit/labels';
import { assertNever } from '#kit/errors';
import { type Cidr, cidrContainsIp, ipEquals, type Ip, parseCidrOrIp } from '#kit/ip';
import type { Direction } from '#model';
import { type Evaluation, evaluate, type Flow, type FlowPeer, type World } from '#oracle';
import type { Random } from '../../unit/policy/random.ts';
import type { AddressFlow } from '../../unit/policy/flows.ts';
import type { Program } from './bed.ts';

/** What one subject says. */
export interface Judgement extends Evaluation {
  readonly subject: Flow['subject'];
  readonly direction: Direction;
  readonly peer: FlowPeer;
}

/** What must happen. Of judgements the first refusal ends the matter; `pass` and `drop` are nobody's policy. */
export type Want =
  | { readonly kind: 'judged'; readonly by: readonly Judgement[] }
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop'; readonly reason: string };

/** A flow's first packet at one of the node's hooks. */
export interface Routed {
  readonly flow: AddressFlow;
  readonly program: Program;
  /** Endpoint whose device it is; 0 = the wire. */
  readonly device: number;
  readonly isForwarded: boolean;
  readonly source: Ip;
  readonly destination: Ip;
}

export const ICMP = { 4: 1, 6: 58 } as const;
/** Numbers that in IPv6 are no protocol but another header before it. */
const EXTENSION_HEADERS = [0, 43, 44, 51, 60];

const cidr = (text: string): Cidr => {
  const parsed = parseCidrOrIp(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
};

/** An ICMP of the other family has no type that anybody knows. */
export function packetFlow(flow: AddressFlow): AddressFlow {
  const isForeign = flow.protocol === ICMP[flow.peer.family === 4 ? 6 : 4];
  return isForeign ? { ...flow, port: undefined } : flow;
}

export function isLocal({ localAddresses }: World, address: Ip): boolean {
  return localAddresses.some((text) => ipEquals(cidr(text).ip, address));
}

/** The endpoint that has the address, by its longest prefix; never an address of the node or another node. */
export function endpointAt(world: World, address: Ip): World['endpoints'][number] | undefined {
  const holds = (text: string) => cidrContainsIp(cidr(text), address);
  if (isLocal(world, address) || world.nodes.some((node) => node.addresses.some(holds))) return undefined;
  const length = (endpoint: World['endpoints'][number]) =>
    Math.max(-1, ...endpoint.addresses.filter(holds).map((text) => cidr(text).length));
  const best = world.endpoints.toSorted((a, b) => length(b) - length(a))[0];
  return best === undefined || length(best) < 0 ? undefined : best;
}

/** Addresses that mean this machine or nobody: where they lead the routing tables say. */
function isSpecial({ family, bytes }: Ip): boolean {
  const [first = 0, second = 0] = bytes;
  if (family === 4) return first === 0 || first === 127 || (first >= 240 && !isGroup({ family, bytes }));
  if (first === 0xfe && (second & 0xc0) === 0x80) return true;
  return bytes.subarray(0, 8).every((byte) => byte === 0);
}

/** Everybody, the node too. */
function isGroup({ family, bytes }: Ip): boolean {
  const [first = 0] = bytes;
  if (family === 6) return first === 0xff;
  return (first & 0xf0) === 0xe0 || bytes.every((byte) => byte === 0xff);
}

/** The world of the address's family, of which no prefix is known. */
function worldOf({ config }: World, { family }: Ip): FlowPeer {
  const key = config.ipv4 && config.ipv6 ? `world-ipv${family}` : 'world';
  return labelSet([{ source: 'reserved', key, value: '' }]);
}

/** Some address of the endpoint, of the family. */
function addressOf(endpoint: World['endpoints'][number], family: 4 | 6, random: Random): Ip {
  const own = cidr(random.pick(endpoint.addresses.filter((text) => cidr(text).ip.family === family)));
  const bytes = own.ip.bytes.slice();
  const last = bytes.length - 1;
  if (own.length < 8 * bytes.length) bytes[last] = random.below(256);
  return { family, bytes };
}

/** Sends the flow's first packet on its way; undefined where no such packet comes to a hook of ours. */
export function routeFlow(world: World, asked: AddressFlow, random: Random): Routed | undefined {
  const flow = packetFlow(asked);
  const { peer, direction } = flow;
  if (peer.family === 6 && EXTENSION_HEADERS.includes(flow.protocol)) return undefined;
  const local = world.localAddresses.map((text) => cidr(text).ip).filter((ip) => ip.family === peer.family);
  if (flow.subject === 'host') {
    const own = random.pick(local);
    const behind = endpointAt(world, peer);
    const isIngress = direction === 'ingress';
    const ends = isIngress ? { source: peer, destination: own } : { source: own, destination: peer };
    // By the wire an endpoint's address is a forgery; now and then one is sent.
    const device = behind === undefined || (isIngress && random.chance(15)) ? 0 : behind.id;
    const hook = device === 0 ? 'host' : 'pod';
    // At a pod's device the directions are the pod's.
    const program: Program = (hook === 'host') === isIngress ? `${hook}_ingress` : `${hook}_egress`;
    return { flow, program, device, isForwarded: false, ...ends };
  }
  const endpoint = world.endpoints.find(({ id }) => id === flow.subject);
  if (endpoint === undefined) return undefined;
  const own = addressOf(endpoint, peer.family, random);
  if (direction === 'ingress') {
    // Now and then somebody shows the node's address who is not the node.
    const isForwarded = !isLocal(world, peer) || random.chance(20);
    return { flow, program: 'pod_ingress', device: endpoint.id, isForwarded, source: peer, destination: own };
  }
  if (isSpecial(peer) && !isLocal(world, peer)) return undefined;
  return {
    flow,
    program: 'pod_egress',
    device: endpoint.id,
    isForwarded: false,
    source: own,
    destination: peer,
  };
}

/** The way of an answer to the flow; undefined where none comes that we would judge by its record. */
export function replyRoute(world: World, routed: Routed): Routed | undefined {
  const { program, source, destination } = routed;
  const turned = { ...routed, source: destination, destination: source };
  switch (program) {
    case 'host_ingress':
      return { ...turned, program: 'host_egress' };
    case 'host_egress':
      if (forgery(world, destination, source, routed.flow.protocol) !== undefined) return undefined;
      return { ...turned, program: 'host_ingress' };
    case 'pod_ingress':
      if (isLocal(world, source) ? routed.isForwarded : isSpecial(source) || isGroup(source))
        return undefined;
      return { ...turned, program: 'pod_egress', isForwarded: false };
    case 'pod_egress':
      if (isGroup(destination)) return undefined;
      return { ...turned, program: 'pod_ingress', isForwarded: !isLocal(world, destination) };
    case 'xdp_host':
      return undefined;
    default:
      return assertNever(program);
  }
}

/** What must come of it. */
export function wantOf(world: World, routed: Routed, hopLimit: number): Want {
  const { program, flow, source, destination, device } = routed;
  const judge = (subject: Flow['subject'], direction: Direction, peer: FlowPeer): Judgement => ({
    subject,
    direction,
    peer,
    ...evaluate(world, { ...flow, subject, direction, peer }),
  });
  const type6 = flow.protocol === ICMP[6] && flow.peer.family === 6 ? flow.port : undefined;
  if (program === 'host_ingress' || program === 'host_egress') {
    const direction = program === 'host_ingress' ? 'ingress' : 'egress';
    if (direction === 'ingress') {
      const bad = forgery(world, source, destination, flow.protocol);
      if (bad !== undefined) return { kind: 'drop', reason: bad };
    }
    const judged = judge('host', direction, direction === 'ingress' ? source : destination);
    const fixed = type6 === undefined || !judged.enforced ? undefined : fixedOnHost(type6, hopLimit);
    return fixed ?? { kind: 'judged', by: [judged] };
  }
  const fixed = type6 === undefined ? undefined : fixedOnPod(type6, hopLimit);
  if (fixed !== undefined) return fixed;
  if (![6, 17, 132, ICMP[flow.peer.family]].includes(flow.protocol))
    return { kind: 'drop', reason: 'UNKNOWN_L4' }; // pod policy has no word for it
  const isEgress = program === 'pod_egress';
  const other = isEgress ? destination : source;
  const isForged = routed.isForwarded && isLocal(world, other);
  const peer = isForged ? worldOf(world, other) : other;
  const by = [judge(device, isEgress ? 'egress' : 'ingress', peer)];
  if ((isLocal(world, other) && !isForged) || (isEgress && isGroup(other)))
    by.push(judge('host', isEgress ? 'ingress' : 'egress', isEgress ? source : destination));
  return { kind: 'judged', by };
}

/** Sources that the wire may not show. */
function forgery(world: World, source: Ip, destination: Ip, protocol: number): string | undefined {
  const { family, bytes } = source;
  const [first = 0] = bytes;
  const isZero = bytes.every((byte) => byte === 0);
  const isLoopback6 = family === 6 && bytes.every((byte, at) => byte === (at === 15 ? 1 : 0));
  if (family === 4 && first === 0 && !(isZero && protocol === 2)) return 'MARTIAN';
  if (family === 4 ? first === 127 || first >= 224 : first === 0xff || isLoopback6) return 'MARTIAN';
  if (ipEquals(source, destination)) return 'LAND';
  if (endpointAt(world, source) !== undefined) return 'INVALID_SOURCE_IP';
  return isLocal(world, source) ? 'SPOOFED_LOCAL_SOURCE' : undefined;
}

const NDP = [133, 134, 135, 136];
const MLD = [130, 131, 132, 143];
const PASSING = [1, 2, 3, 4, ...NDP, ...MLD, 138, 141, 142, 148, 149, 151, 152, 153];

/** HF-2.3 of a node that policy selects. */
function fixedOnHost(type: number, hopLimit: number): Want | undefined {
  if (type === 128 || type === 129) return undefined;
  if (type >= 133 && type <= 137 && hopLimit !== 255) return { kind: 'drop', reason: 'INVALID_NDP' };
  return PASSING.includes(type) ? { kind: 'pass' } : { kind: 'drop', reason: 'FORBIDDEN_ICMP6' };
}

/** HF-2.3 on a pod's device. */
function fixedOnPod(type: number, hopLimit: number): Want | undefined {
  if (type >= 133 && type <= 137 && hopLimit !== 255) return { kind: 'drop', reason: 'INVALID_NDP' };
  if (type === 137) return { kind: 'drop', reason: 'FORBIDDEN_ICMP6' };
  return NDP.includes(type) || MLD.includes(type) ? { kind: 'pass' } : undefined;
}

/** Whether the packet passes. */
export function passes(want: Want): boolean {
  if (want.kind !== 'judged') return want.kind === 'pass';
  return want.by.every(lets);
}

/** Whether one subject lets it pass, be it by audit. */
export function lets({ verdict, audited }: Judgement): boolean {
  return verdict === 'allow' || audited === true;
}
