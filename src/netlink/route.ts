/** Routes: struct rtmsg and RTA_*. */
import { formatCidr, parseCidr } from '#kit/ip';
import { addressBytes, addressText, familyOf } from './address.ts';
import { attributesOf, HOST_LE, type Message, MessageWriter, numberOf, viewOf } from './message.ts';
import { AF, RT_PROTOCOL, RT_SCOPE, RT_TABLE, RT_TYPE, RTA, RTNH_F_ONLINK } from './numbers.ts';

/** One way out of a route. */
export interface NextHop {
  /** 0 = none (blackhole and its like). */
  readonly ifindex: number;
  /** Empty = on the link. */
  readonly gateway: string;
}

export interface Route {
  readonly family: 4 | 6;
  /** With length; `0.0.0.0/0` and `::/0` are default routes. */
  readonly prefix: string;
  readonly nextHops: readonly NextHop[];
  readonly table: number;
  readonly scope: number;
  readonly protocol: number;
  /** RTN_*. */
  readonly type: number;
  readonly priority: number;
}

export interface NewRoute {
  readonly prefix: string;
  readonly ifindex: number;
  readonly gateway?: string;
  readonly table?: number;
  readonly scope?: number;
  readonly protocol?: number;
  readonly type?: number;
  readonly priority?: number;
  readonly source?: string;
  readonly mtu?: number;
  /** The gateway is on the link although no route says so. */
  readonly isOnLink?: boolean;
}

/** An IPv4 route may go through an IPv6 gateway: RTA_VIA, u16 family and address. */
function gatewayOf(attributes: ReadonlyMap<number, Uint8Array>): string {
  const via = attributes.get(RTA.via);
  return via === undefined ? addressText(attributes.get(RTA.gateway)) : addressText(via.subarray(2));
}

/** struct rtnexthop: u16 length, u8 flags, u8 weight - 1, s32 ifindex; then attributes. */
function* nextHopsOf(bytes: Uint8Array): Generator<NextHop> {
  const view = viewOf(bytes);
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = view.getUint16(at, HOST_LE);
    if (length < 8 || at + length > bytes.length) return;
    const attributes = attributesOf(bytes.subarray(at + 8, at + length));
    yield { ifindex: view.getInt32(at + 4, HOST_LE), gateway: gatewayOf(attributes) };
    at += (length + 3) & ~3;
  }
}

/** Reads an RTM_NEWROUTE or RTM_DELROUTE; undefined for multicast routes, cache entries and other families. */
export function parseRoute(message: Message): Route | undefined {
  const { body } = message;
  if (body.length < 12) return undefined;
  const view = viewOf(body);
  const family = familyOf(view.getUint8(0));
  const isCached = (view.getUint32(8, HOST_LE) & 0x200) !== 0; // RTM_F_CLONED
  if (family === undefined || isCached) return undefined;
  const attributes = attributesOf(body, 12);
  const multipath = attributes.get(RTA.multipath);
  const one = { ifindex: numberOf(attributes.get(RTA.oif)), gateway: gatewayOf(attributes) };
  const none = family === 4 ? '0.0.0.0' : '::';
  return {
    family,
    prefix: `${addressText(attributes.get(RTA.dst)) || none}/${view.getUint8(1)}`,
    nextHops: multipath === undefined ? [one] : [...nextHopsOf(multipath)],
    table: numberOf(attributes.get(RTA.table), view.getUint8(4)),
    scope: view.getUint8(6),
    protocol: view.getUint8(5),
    type: view.getUint8(7),
    priority: numberOf(attributes.get(RTA.priority)),
  };
}

const rtmsg = (family: number, length: number, route: Partial<NewRoute>): MessageWriter =>
  new MessageWriter().struct([
    [1, family],
    [1, length],
    [1, 0],
    [1, 0],
    // Tables above 255 stand in RTA_TABLE only.
    [1, (route.table ?? RT_TABLE.main) > 255 ? RT_TABLE.unspec : (route.table ?? RT_TABLE.main)],
    [1, route.protocol ?? RT_PROTOCOL.boot],
    [1, route.scope ?? RT_SCOPE.universe],
    [1, route.type ?? RT_TYPE.unicast],
    [4, route.isOnLink === true ? RTNH_F_ONLINK : 0],
  ]);

/** Dumps one family, in one table when given; the kernel has no dump of both families. */
export function dumpRoutes(family: 4 | 6, table?: number): Uint8Array {
  const writer = new MessageWriter().struct([
    [1, family === 4 ? AF.inet : AF.inet6],
    [1, 0],
    [1, 0],
    [1, 0],
    [1, 0],
    [1, 0],
    [1, 0],
    [1, 0],
    [4, 0],
  ]);
  return (table === undefined ? writer : writer.u32(RTA.table, table)).body;
}

/** For RTM_NEWROUTE and RTM_DELROUTE. */
export function encodeRoute(route: NewRoute): Uint8Array {
  const cidr = parseCidr(route.prefix);
  if (cidr === undefined) throw new RangeError(`"${route.prefix}" is no prefix`);
  const { bytes, family } = addressBytes(formatCidr(cidr).replace(/\/\d+$/, ''));
  const writer = rtmsg(family, cidr.length, route).bytes(RTA.dst, bytes).u32(RTA.oif, route.ifindex);
  if (route.gateway !== undefined) writer.bytes(RTA.gateway, addressBytes(route.gateway).bytes);
  if (route.source !== undefined) writer.bytes(RTA.prefSrc, addressBytes(route.source).bytes);
  if (route.priority !== undefined) writer.u32(RTA.priority, route.priority);
  writer.u32(RTA.table, route.table ?? RT_TABLE.main);
  const { mtu } = route;
  if (mtu !== undefined) writer.nest(RTA.metrics, (metrics) => metrics.u32(RTA.metricMtu, mtu));
  return writer.body;
}
