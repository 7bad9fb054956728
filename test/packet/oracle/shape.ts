/** The frame of a flow's first packet, in one of the shapes that packets come in. */
import { formatIp } from '#kit/ip';
import type { Random } from '../../unit/policy/random.ts';
import {
  authentication,
  destinationOptions,
  ethernet,
  fragment6,
  frame,
  hopByHop,
  icmp,
  ipv4,
  ipv6,
  type Layer,
  raw,
  routing,
  sctp,
  tcp,
  udp,
} from '../builder.ts';
import { ICMP, type Routed } from './route.ts';

export interface Shape {
  readonly fragment: 'none' | 'first' | 'later';
  readonly hasExtensions: boolean;
  /** TCP: a plain SYN, else an acknowledgement out of nowhere. */
  readonly isSyn: boolean;
  readonly sourcePort: number;
  /** Of a fragmented datagram. */
  readonly id: number;
  readonly hopLimit: number;
}

const TCP = 6;
const UDP = 17;
const SCTP = 132;
/** Below stand ports that mean something to the node (DHCP). */
const FIRST_PORT = 1024;

let fragmentId = 0;

export function randomShape({ flow }: Routed, random: Random): Shape {
  const { protocol, port, peer } = flow;
  const hasPorts = [TCP, UDP, SCTP, ICMP[peer.family]].includes(protocol);
  const isUnknown = hasPorts && port === undefined;
  fragmentId = (fragmentId + 1) % 65536;
  return {
    fragment: isUnknown ? 'later' : hasPorts && random.chance(8) ? 'first' : 'none',
    hasExtensions: peer.family === 6 && random.chance(25),
    isSyn: random.chance(85),
    sourcePort: random.between(FIRST_PORT, 65535),
    id: fragmentId,
    hopLimit: random.chance(50) ? 255 : 64,
  };
}

/** Whether it begins a record, and with which ports. */
export function recordPorts({ flow }: Routed, shape: Shape): readonly [number, number] | undefined {
  const { protocol, port } = flow;
  if (shape.fragment === 'later') return undefined;
  if ([TCP, UDP, SCTP].includes(protocol)) return [shape.sourcePort, port ?? 0];
  if (protocol === ICMP[flow.peer.family])
    return isRequest(protocol, port) ? [shape.sourcePort, shape.sourcePort] : undefined;
  return [0, 0];
}

function isRequest(protocol: number, type: number | undefined): boolean {
  return protocol === 1 ? type === 8 || type === 13 : type === 128;
}

function transport({ flow }: Routed, { isSyn, sourcePort: src }: Shape): Layer {
  const { protocol, port: dst = 0, peer } = flow;
  if (protocol === TCP) return tcp({ src, dst, flags: isSyn ? 'S' : 'A', data: 20 });
  if (protocol === UDP) return udp({ src, dst, data: 24 });
  if (protocol === SCTP) return frameOf(sctp({ src, dst }), 24);
  if (protocol === ICMP[peer.family])
    return icmp({ protocol: ICMP[peer.family], type: dst, id: src, data: 24 });
  return raw(new Uint8Array(32), { protocol });
}

/** A layer with some bytes behind it, as one. */
function frameOf(layer: Layer, size: number): Layer {
  return {
    ...layer,
    encode: (payload, next) => layer.encode(raw(new Uint8Array(size)).encode(payload, undefined), next),
  };
}

const EXTENSIONS: readonly (() => Layer)[] = [
  () => destinationOptions(1),
  () => routing(2),
  () => authentication(),
];

/** The frame; `as` another fragment of the same datagram. */
export function frameOfFlow(
  routed: Routed,
  shape: Shape,
  random: Random,
  as = shape.fragment,
): Uint8Array<ArrayBuffer> {
  const { flow, source, destination } = routed;
  const [src, dst] = [formatIp(source), formatIp(destination)];
  const l4 = as === 'later' ? raw(new Uint8Array(40), { protocol: flow.protocol }) : transport(routed, shape);
  const offset = as === 'later' ? 64 : 0;
  const more = as !== 'none';
  if (flow.peer.family === 4) {
    return frame(ethernet(), ipv4({ src, dst, ttl: shape.hopLimit, id: shape.id, offset, more }), l4);
  }
  const first = shape.hasExtensions && random.chance(50) ? [hopByHop(random.below(2))] : [];
  const extensions = shape.hasExtensions ? random.many(1, 3, () => random.pick(EXTENSIONS)()) : [];
  const fragment = as === 'none' ? [] : [fragment6({ id: shape.id, offset, more })];
  return frame(
    ethernet(),
    ipv6({ src, dst, hopLimit: shape.hopLimit }),
    ...first,
    ...extensions,
    ...fragment,
    l4,
  );
}

/** A further packet of the connection, whole and without extensions; `isReply`: from the other side. */
export function followUp(routed: Routed, shape: Shape, isReply: boolean): Uint8Array<ArrayBuffer> {
  const { flow, source, destination } = routed;
  const [src, dst] = [formatIp(source), formatIp(destination)];
  const ends = isReply ? { src: dst, dst: src } : { src, dst };
  const l3 = flow.peer.family === 4 ? ipv4({ ...ends }) : ipv6({ ...ends });
  return frame(ethernet(), l3, followUpTransport(routed, shape, isReply));
}

function followUpTransport(routed: Routed, shape: Shape, isReply: boolean): Layer {
  const { protocol, port = 0, peer } = routed.flow;
  const ports = isReply ? { src: port, dst: shape.sourcePort } : { src: shape.sourcePort, dst: port };
  if (protocol === TCP) return tcp({ ...ports, flags: 'A', data: 20 });
  if (protocol === UDP) return udp({ ...ports, data: 24 });
  if (protocol === SCTP) return frameOf(sctp(ports), 24);
  if (protocol !== ICMP[peer.family]) return transport(routed, shape);
  const answer = protocol === 1 ? (port === 8 ? 0 : 14) : 129;
  const type = isReply ? answer : port;
  return icmp({ protocol: ICMP[peer.family], type, id: shape.sourcePort, data: 24 });
}
