/** Numbers of the kernel's netlink interfaces (uapi linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, …). */

export const AF = { unspec: 0, inet: 2, netlink: 16, inet6: 10 } as const;

export const NLMSG = { noop: 1, error: 2, done: 3, overrun: 4 } as const;

export const NLM_F = {
  request: 0x01,
  ack: 0x04,
  dumpInterrupted: 0x10,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  /** In an answer: the offending request is not quoted whole. */
  capped: 0x100,
  /** In an answer: attributes with a sentence follow. */
  ackTlvs: 0x200,
} as const;

export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddr: 20,
  delAddr: 21,
  getAddr: 22,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  newNeigh: 28,
  delNeigh: 29,
  getNeigh: 30,
  newRule: 32,
  delRule: 33,
  getRule: 34,
} as const;

export const IFLA = {
  address: 1,
  ifname: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  afSpec: 26,
  netnsFd: 28,
  extMask: 29,
  linkNetnsId: 37,
  infoKind: 1,
  infoData: 2,
  infoSlaveKind: 4,
  vlanId: 1,
  vlanProtocol: 5,
  vethPeer: 1,
  inet6AddrGenMode: 8,
} as const;

/** RTEXT_FILTER_SKIP_STATS: a dump of links without counters is a third of the size. */
export const SKIP_STATS = 1 << 3;

export const IFF = { up: 0x1, loopback: 0x8, pointToPoint: 0x10, lowerUp: 0x10000 } as const;

export const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
export const IFA_F = { noDad: 0x02, dadFailed: 0x08, tentative: 0x40, noPrefixRoute: 0x200 } as const;

export const RTA = {
  dst: 1,
  oif: 4,
  gateway: 5,
  priority: 6,
  prefSrc: 7,
  metrics: 8,
  multipath: 9,
  table: 15,
  via: 18,
  metricMtu: 2,
} as const;

export const RT_TABLE = { unspec: 0, main: 254, local: 255 } as const;
export const RT_SCOPE = { universe: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const;
/** RTPROT_KERNEL: systemd-networkd leaves such routes and rules alone. */
export const RT_PROTOCOL = { kernel: 2, boot: 3, static: 4 } as const;
export const RT_TYPE = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
} as const;
export const RTNH_F_ONLINK = 4;

export const NDA = { dst: 1, lladdr: 2 } as const;
export const NUD = { reachable: 0x02, stale: 0x04, noArp: 0x40, permanent: 0x80 } as const;
export const NTF_PROXY = 0x08;

export const FRA = { priority: 6, fwmark: 10, table: 15, fwmask: 16, protocol: 21 } as const;
export const FR_ACT_TO_TBL = 1;

/** Multicast groups (RTNLGRP_*). */
export const GROUP = {
  link: 1,
  neighbour: 3,
  ipv4Address: 5,
  ipv4Route: 7,
  ipv4Rule: 8,
  ipv6Address: 9,
  ipv6Route: 11,
  ipv6Rule: 19,
} as const;
export type Group = keyof typeof GROUP;

export const SOL_SOCKET = 1;
export const SO = { rcvbuf: 8, rcvbufForce: 33 } as const;
export const SOL_NETLINK = 270;
export const NETLINK_OPT = { addMembership: 1, capAck: 10, extAck: 11, strictCheck: 12 } as const;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const MSG_TRUNC = 0x20;
export const MSG_PEEK = 0x02;
