/** Links: struct ifinfomsg and IFLA_*. */
import { formatHex, parseMac } from '#kit/bytes';
import { attributesOf, HOST_LE, type Message, MessageWriter, numberOf, textOf, viewOf } from './message.ts';
import { AF, IFF, IFLA, SKIP_STATS } from './numbers.ts';

/** A network device. */
export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** ARPHRD_*. */
  readonly type: number;
  /** IFF_*. */
  readonly flags: number;
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
  readonly mtu: number;
  /** `aa:bb:…`; empty when it has none. */
  readonly address: string;
  /** IFLA_INFO_KIND; empty for physical devices. */
  readonly kind: string;
  /** ifindex of the bridge, bond, team or VRF above; 0 = none. */
  readonly master: number;
  /** Kind of that master; empty without one. */
  readonly masterKind: string;
  /** IFLA_LINK; 0 = none. In another namespace when `parentNetnsId` is not -1. */
  readonly parent: number;
  readonly parentNetnsId: number;
  readonly vlan: { readonly id: number; readonly proto: number } | undefined;
}

/** What a new link is made of. */
export interface NewLink {
  readonly name: string;
  readonly kind: string;
  readonly mtu?: number;
  readonly address?: string;
  readonly isUp?: boolean;
  readonly parent?: number;
  readonly master?: number;
  readonly vlan?: { readonly id: number; readonly proto?: number };
  /** The other end of a veth, in the namespace behind `netnsFd` when given. */
  readonly peer?: {
    readonly name: string;
    readonly netnsFd?: number;
    readonly mtu?: number;
    readonly address?: string;
  };
}

/** What may be changed about a link; what is absent stays. */
export interface LinkChange {
  readonly name?: string;
  readonly isUp?: boolean;
  readonly mtu?: number;
  readonly address?: string;
  /** 0 takes it out of its master. */
  readonly master?: number;
  /** Moves it to the namespace behind this descriptor. */
  readonly netnsFd?: number;
  /** Whether the kernel gives it a link-local IPv6 address by itself. */
  readonly hasAutomaticIpv6?: boolean;
}

const ADDR_GEN_MODE = { eui64: 0, none: 1 } as const;
/** struct vlan's protocol is in network order. */
const PROTO_8021Q = 0x8100;

/** Reads an RTM_NEWLINK or RTM_DELLINK. Undefined for messages of another family (bridge port events). */
export function parseLink(message: Message): Link | undefined {
  const { body } = message;
  const view = viewOf(body);
  if (body.length < 16 || view.getUint8(0) !== AF.unspec) return undefined;
  const flags = view.getUint32(8, HOST_LE);
  const attributes = attributesOf(body, 16);
  const info = attributesOf(attributes.get(IFLA.linkInfo));
  const kind = textOf(info.get(IFLA.infoKind));
  const data = attributesOf(info.get(IFLA.infoData));
  const proto = data.get(IFLA.vlanProtocol);
  return {
    ifindex: view.getInt32(4, HOST_LE),
    name: textOf(attributes.get(IFLA.ifname)),
    type: view.getUint16(2, HOST_LE),
    flags,
    isUp: (flags & IFF.up) !== 0,
    hasCarrier: (flags & IFF.lowerUp) !== 0,
    mtu: numberOf(attributes.get(IFLA.mtu)),
    address: formatHex(attributes.get(IFLA.address) ?? new Uint8Array(), ':'),
    kind,
    master: numberOf(attributes.get(IFLA.master)),
    masterKind: textOf(info.get(IFLA.infoSlaveKind)),
    parent: numberOf(attributes.get(IFLA.link)),
    parentNetnsId: numberOf(attributes.get(IFLA.linkNetnsId), -1) | 0,
    vlan:
      kind === 'vlan'
        ? {
            id: numberOf(data.get(IFLA.vlanId)),
            proto: proto === undefined ? PROTO_8021Q : viewOf(proto).getUint16(0, false),
          }
        : undefined,
  };
}

function ifinfo(ifindex: number, flags = 0, change = 0): MessageWriter {
  return new MessageWriter().struct([
    [1, AF.unspec],
    [1, 0],
    [2, 0],
    [4, ifindex],
    [4, flags],
    [4, change],
  ]);
}

const upBits = (isUp: boolean | undefined): [flags: number, change: number] =>
  isUp === undefined ? [0, 0] : [isUp ? IFF.up : 0, IFF.up];

function macOf(text: string): Uint8Array {
  const mac = parseMac(text);
  if (mac === undefined) throw new RangeError(`"${text}" is no MAC address`);
  return mac;
}

export function dumpLinks(): Uint8Array {
  return ifinfo(0).u32(IFLA.extMask, SKIP_STATS).body;
}

/** Asks for one link, by its index or its name. */
export function getLink(which: number | string): Uint8Array {
  const writer = ifinfo(typeof which === 'number' ? which : 0).u32(IFLA.extMask, SKIP_STATS);
  return (typeof which === 'string' ? writer.text(IFLA.ifname, which) : writer).body;
}

export function newLink(link: NewLink): Uint8Array {
  const writer = ifinfo(0, ...upBits(link.isUp)).text(IFLA.ifname, link.name);
  if (link.mtu !== undefined) writer.u32(IFLA.mtu, link.mtu);
  if (link.address !== undefined) writer.bytes(IFLA.address, macOf(link.address));
  if (link.parent !== undefined) writer.u32(IFLA.link, link.parent);
  if (link.master !== undefined) writer.u32(IFLA.master, link.master);
  return writer.nest(IFLA.linkInfo, (info) => {
    info.text(IFLA.infoKind, link.kind);
    const { vlan, peer } = link;
    if (vlan !== undefined) {
      const proto = vlan.proto ?? PROTO_8021Q;
      info.nest(IFLA.infoData, (data) =>
        data.u16(IFLA.vlanId, vlan.id).bytes(IFLA.vlanProtocol, Uint8Array.of(proto >> 8, proto & 0xff)),
      );
    }
    if (peer !== undefined) {
      info.nest(IFLA.infoData, (data) => data.nest(IFLA.vethPeer, (inner) => writePeer(inner, peer)));
    }
  }).body;
}

function writePeer(writer: MessageWriter, peer: NonNullable<NewLink['peer']>): void {
  writer.raw(ifinfo(0).body).text(IFLA.ifname, peer.name);
  if (peer.mtu !== undefined) writer.u32(IFLA.mtu, peer.mtu);
  if (peer.address !== undefined) writer.bytes(IFLA.address, macOf(peer.address));
  if (peer.netnsFd !== undefined) writer.u32(IFLA.netnsFd, peer.netnsFd);
}

export function changeLink(ifindex: number, change: LinkChange): Uint8Array {
  const writer = ifinfo(ifindex, ...upBits(change.isUp));
  if (change.name !== undefined) writer.text(IFLA.ifname, change.name);
  if (change.mtu !== undefined) writer.u32(IFLA.mtu, change.mtu);
  if (change.address !== undefined) writer.bytes(IFLA.address, macOf(change.address));
  if (change.master !== undefined) writer.u32(IFLA.master, change.master);
  if (change.netnsFd !== undefined) writer.u32(IFLA.netnsFd, change.netnsFd);
  if (change.hasAutomaticIpv6 !== undefined) {
    const mode = change.hasAutomaticIpv6 ? ADDR_GEN_MODE.eui64 : ADDR_GEN_MODE.none;
    writer.nest(IFLA.afSpec, (spec) => spec.nest(AF.inet6, (inet6) => inet6.u8(IFLA.inet6AddrGenMode, mode)));
  }
  return writer.body;
}

export function deleteLink(ifindex: number): Uint8Array {
  return ifinfo(ifindex).body;
}
