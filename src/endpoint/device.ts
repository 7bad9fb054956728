/**
 * The device of an endpoint we make: a veth whose one end is in the endpoint's namespace. It uses up no address
 * of the node, and nothing has to answer ARP or NDP:
 *
 *   namespace                                      node
 *   eth0  10.0.0.5/32 fd00::5/128   ───────────   lxc…  fe80::1/64
 *   default via 169.254.1.1, fe80::1               10.0.0.5/32, fd00::5/128 dev lxc…
 *   both: permanent neighbours, the other's MAC    for each address: permanent neighbour, the namespace's MAC
 */
import { createHash } from 'node:crypto';
import { MerlonError } from '#kit/errors';
import { parseCidrOrIp } from '#kit/ip';
import { IFA_F, type Link, type Netlink, openNetlink, RT_PROTOCOL, RT_SCOPE, refusalCode } from '#netlink';
import type { OpenNetns } from './netns.ts';
import { setDeviceSysctls } from './sysctl.ts';

/** The gateways that endpoints see; they exist only in their neighbour tables. */
const GATEWAY4 = '169.254.1.1';
const GATEWAY6 = 'fe80::1';

/** What the device of an endpoint is. */
export interface DeviceSpec {
  readonly device: string;
  readonly peer: string;
  readonly mtu: number;
  /** Host addresses without length, prefixes with it. */
  readonly addresses: readonly string[];
}

/** A device that is in place. */
export interface PlumbedDevice {
  readonly ifindex: number;
  /** MAC of the namespace's end. */
  readonly mac: string;
}

const CHARACTERS = 11;

/** Name of an endpoint's device: always the same for the same endpoint, so that making it twice finds it. */
export function deviceName(prefix: string, namespace: string, name: string): string {
  const digest = createHash('sha256').update(`${namespace}/${name}`).digest('hex');
  return prefix + digest.slice(0, CHARACTERS);
}

/** Whether a device of this name was made for an endpoint. */
export function isDeviceName(prefix: string, name: string): boolean {
  return name.startsWith(prefix) && /^[0-9a-f]{11}$/.test(name.slice(prefix.length));
}

interface Split {
  /** Host addresses. */
  readonly hosts: readonly { readonly text: string; readonly family: 4 | 6 }[];
  /** Prefixes behind the endpoint, routed by way of its first address of the family. */
  readonly prefixes: readonly { readonly text: string; readonly family: 4 | 6 }[];
}

function split(addresses: readonly string[]): Split {
  const parsed = addresses.map((text) => ({ text, family: parseCidrOrIp(text)?.ip.family ?? 4 }));
  return {
    hosts: parsed.filter(({ text }) => !text.includes('/')),
    prefixes: parsed.filter(({ text }) => text.includes('/')),
  };
}

const full = (address: { text: string; family: 4 | 6 }) =>
  `${address.text}/${address.family === 4 ? 32 : 128}`;

/** The veth, made when it is not there; an existing one of that name must lead into the namespace. */
function ensureLink(node: Netlink, inside: Netlink, netns: OpenNetns, spec: DeviceSpec): [Link, Link] {
  const { device, peer, mtu } = spec;
  const found = node.link(device);
  const foundPeer = inside.link(peer);
  if (found !== undefined && foundPeer !== undefined) {
    if (found.kind === 'veth' && found.parent === foundPeer.ifindex && foundPeer.parent === found.ifindex) {
      return [found, foundPeer];
    }
  }
  if (foundPeer !== undefined) {
    throw new MerlonError('ENDPOINT_DEVICE', `namespace ${netns.path} has a device ${peer} already`, {
      hint: 'an endpoint is made in a namespace that has no network yet; for one that has, write a Workload',
    });
  }
  // One that leads elsewhere is what an interrupted removal of an endpoint of this name has left.
  if (found?.kind === 'veth') node.deleteLink(found.ifindex);
  else if (found !== undefined)
    throw new MerlonError('ENDPOINT_DEVICE', `the node has a ${found.kind} ${device}`);
  node.addLink({ name: device, kind: 'veth', mtu, peer: { name: peer, netnsFd: netns.fd, mtu } });
  const made = [node.link(device), inside.link(peer)] as const;
  if (made[0] === undefined || made[1] === undefined) {
    throw new MerlonError('ENDPOINT_DEVICE', `device ${device} was made and is gone again`);
  }
  return [made[0], made[1]];
}

function plumbInside(inside: Netlink, link: Link, gatewayMac: string, { hosts }: Split): void {
  const { ifindex } = link;
  for (const { text, family } of hosts) {
    const address = { ifindex, address: text, prefixLength: family === 4 ? 32 : 128 };
    inside.addAddress({ ...address, ...(family === 6 ? { flags: IFA_F.noDad } : {}) }, 'replace');
  }
  if (hosts.some(({ family }) => family === 4)) {
    inside.addRoute({ prefix: `${GATEWAY4}/32`, ifindex, scope: RT_SCOPE.link }, 'replace');
    inside.addRoute({ prefix: '0.0.0.0/0', ifindex, gateway: GATEWAY4 }, 'replace');
    inside.addNeighbour({ ifindex, address: GATEWAY4, mac: gatewayMac }, 'replace');
  }
  if (hosts.some(({ family }) => family === 6)) {
    inside.addRoute({ prefix: '::/0', ifindex, gateway: GATEWAY6 }, 'replace');
    inside.addNeighbour({ ifindex, address: GATEWAY6, mac: gatewayMac }, 'replace');
  }
}

function plumbNode(node: Netlink, link: Link, mac: string, { hosts, prefixes }: Split): void {
  const { ifindex } = link;
  const protocol = RT_PROTOCOL.kernel;
  const gateway = { ifindex, address: GATEWAY6, prefixLength: 64, scope: RT_SCOPE.link, flags: IFA_F.noDad };
  if (hosts.some(({ family }) => family === 6)) node.addAddress(gateway, 'replace');
  for (const host of hosts) {
    const scope = host.family === 4 ? { scope: RT_SCOPE.link } : {};
    node.addRoute({ prefix: full(host), ifindex, protocol, ...scope }, 'replace');
    node.addNeighbour({ ifindex, address: host.text, mac }, 'replace');
  }
  for (const { text, family } of prefixes) {
    const by = hosts.find((host) => host.family === family);
    const via = by === undefined ? {} : { gateway: by.text, isOnLink: true };
    node.addRoute({ prefix: text, ifindex, protocol, ...via }, 'replace');
  }
}

/** A device that is there, but may be neither up nor have addresses. */
export interface MadeDevice extends PlumbedDevice {
  readonly isNew: boolean;
}

/** Makes the device, or finds it. A new one is down. Errors: ENDPOINT_DEVICE, NETLINK_REQUEST. */
export function makeDevice(node: Netlink, netns: OpenNetns, spec: DeviceSpec): MadeDevice {
  using inside = openNetlink({ netnsFd: netns.fd });
  const before = node.link(spec.device)?.ifindex;
  const [outer, inner] = ensureLink(node, inside, netns, spec);
  return { ifindex: outer.ifindex, mac: inner.address, isNew: outer.ifindex !== before };
}

/**
 * Brings the device up with its addresses, routes and neighbours, whatever part of it is there already.
 * Errors: ENDPOINT_DEVICE, NETLINK_REQUEST, KERNEL_PERMISSION.
 */
export function plumb(node: Netlink, netns: OpenNetns, spec: DeviceSpec): PlumbedDevice {
  using inside = openNetlink({ netnsFd: netns.fd });
  const [outer, inner] = ensureLink(node, inside, netns, spec);
  const addresses = split(spec.addresses);
  // No link-local address beside fe80::1. Both ends are up before either has an IPv6 address: a device that
  // gets one before its carrier lacks its multicast route for a second.
  node.changeLink(outer.ifindex, { hasAutomaticIpv6: false });
  setDeviceSysctls(spec.device);
  inside.changeLink(1, { isUp: true });
  inside.changeLink(inner.ifindex, { isUp: true, mtu: spec.mtu });
  node.changeLink(outer.ifindex, { isUp: true, mtu: spec.mtu });
  plumbInside(inside, inner, outer.address, addresses);
  plumbNode(node, outer, inner.address, addresses);
  return { ifindex: outer.ifindex, mac: inner.address };
}

/** Takes the device away, and with it its other end and all routes and neighbours; none is fine. */
export function unplumb(node: Netlink, device: string): void {
  const link = node.link(device);
  if (link === undefined || link.kind !== 'veth') return;
  try {
    node.deleteLink(link.ifindex);
  } catch (e) {
    if (refusalCode(e) !== 'ENODEV') throw e; // its namespace was being destroyed
  }
}
