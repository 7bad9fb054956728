/**
 * rtnetlink: links, addresses, routes, neighbours and rules of a network namespace, which need not be ours;
 * requests with the kernel's own words when it refuses, and events with overrun told.
 *
 * Codecs are pure (bytes in, rows out); sockets come from the addon. A request is a plain call (socket.ts says
 * why). Nothing here keeps state but descriptors.
 */
export type { Address, NewAddress } from './address.ts';
export type { Link, LinkChange, NewLink } from './link.ts';
export type { Neighbour, NewNeighbour } from './neighbour.ts';
export {
  type IfPresent,
  Netlink,
  type NetlinkEvent,
  openNetlink,
  type SubscribeOptions,
} from './netlink.ts';
export {
  type Group,
  IFA_F,
  IFF,
  NTF_PROXY,
  NUD,
  RT_PROTOCOL,
  RT_SCOPE,
  RT_TABLE,
  RT_TYPE,
} from './numbers.ts';
export type { NewRoute, NextHop, Route } from './route.ts';
export type { NewRule, Rule } from './rule.ts';
export { NetlinkRefusal, refusalCode } from './socket.ts';
