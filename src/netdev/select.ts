/**
 * Which devices are ours to attach to (HF-1.12 to HF-1.15), and why. Pure.
 */
import { MerlonError } from '#kit/errors';
import { cidrContainsIp, parseCidr, parseIp } from '#kit/ip';
import type { AddressRow, DeviceRow, LinkRow, RouteRow } from '#model';
import { type DevicePattern, devicePattern, firstMatch } from './pattern.ts';

export interface SelectionConfig {
  /** `devices.patterns`; none, or only exclusions: the automatic rule decides about the rest. */
  readonly patterns: readonly string[];
  /** `hostfw.allowSelfSource`. */
  readonly allowSelfSource?: readonly string[];
  /** `cni.devicePrefix`; default `lxc`. */
  readonly podPrefix?: string;
  /** ifindex of the host side → endpoint id. */
  readonly endpoints?: ReadonlyMap<number, number>;
  /** ifindexes that have the node's programs now. */
  readonly attached?: ReadonlySet<number>;
}

/** Names that the automatic rule passes over, beside the pod prefix (HF-1.12). */
export const EXCLUDED_NAMES: readonly string[] =
  'cni* docker* veth* cali* br-* virbr* podman* nerdctl* kube-* flannel* cilium_* merlon_*'.split(' ');

/** Link types (ARPHRD_*, linux/if_arp.h) whose packets begin with the IP header (HF-1.14). */
const LAYER3_TYPES: ReadonlySet<number> = new Set([
  512, // PPP
  519, // RAWIP
  768, // TUNNEL
  769, // TUNNEL6
  776, // SIT
  778, // IPGRE
  823, // IP6GRE
  65534, // NONE: tun, WireGuard, xfrm
]);
const LOOPBACK_TYPE = 772;

/** Kinds that carry what another device has carried already, or will: their packets would be judged twice. */
const TWICE: Readonly<Record<string, string>> = {
  vrf: 'is a VRF; its members are judged',
  ifb: 'carries what other devices have received',
};

/** Kinds of bridge ports that lead out of the machine; '' is physical. */
const UPLINK_KINDS: ReadonlySet<string> = new Set(['', 'vlan', 'bond', 'team']);

const TABLE_LOCAL = 255;
const SCOPE_UNIVERSE = 0;
const TYPE_UNICAST = 1;

type Choice = Pick<DeviceRow, 'kind' | 'selected' | 'reason'>;

const none = (reason: string): Choice => ({ kind: 'none', selected: false, reason });
const selected = (reason: string): Choice => ({ kind: 'external', selected: true, reason });
/** Not ours to judge yet, but the program goes on before the first packet can come (HF-1.15). */
const ahead = (reason: string): Choice => ({ kind: 'external', selected: false, reason });

/** What the rules need to know beside the link itself. */
interface Surroundings {
  readonly byIndex: ReadonlyMap<number, LinkRow>;
  /** Devices with an address that is neither link-local nor the host's own. */
  readonly addressed: ReadonlySet<number>;
  /** Devices with a global route. */
  readonly routed: ReadonlySet<number>;
  /** Devices of default routes. */
  readonly defaults: ReadonlySet<number>;
  /** Bridges with a port that leads out of the machine. */
  readonly uplinked: ReadonlySet<number>;
  readonly attached: ReadonlySet<number>;
}

const CONFINED = ['169.254.0.0/16', 'fe80::/10', 'ff00::/8', '127.0.0.0/8', '::1/128']
  .map(parseCidr)
  .filter((cidr) => cidr !== undefined);

/** Link-local, loopback or multicast: such an address or prefix makes no device an external one. */
function isConfined(address: string): boolean {
  const ip = parseIp(address);
  if (ip === undefined) return true;
  return CONFINED.some((cidr) => cidrContainsIp(cidr, ip));
}

function isGlobal(route: RouteRow): boolean {
  if (route.type !== TYPE_UNICAST || route.table === TABLE_LOCAL || route.scope !== SCOPE_UNIVERSE)
    return false;
  // IPv6 routes have no scope: what is confined by its prefix is not global, unless it leads to a gateway.
  return isDefault(route) || !isConfined(route.prefix.replace(/\/\d+$/, ''));
}

function isDefault(route: RouteRow): boolean {
  return route.type === TYPE_UNICAST && route.table !== TABLE_LOCAL && route.prefix.endsWith('/0');
}

function surroundingsOf(
  links: readonly LinkRow[],
  addresses: Iterable<AddressRow>,
  routes: Iterable<RouteRow>,
  attached: ReadonlySet<number>,
): Surroundings {
  const uplinked = new Set<number>();
  for (const { master, kind } of links) if (master !== 0 && UPLINK_KINDS.has(kind)) uplinked.add(master);
  const addressed = new Set<number>();
  for (const { ifindex, address } of addresses) if (!isConfined(address)) addressed.add(ifindex);
  const routed = new Set<number>();
  const defaults = new Set<number>();
  for (const route of routes) {
    if (isGlobal(route)) routed.add(route.ifindex);
    if (isDefault(route)) defaults.add(route.ifindex);
  }
  return {
    byIndex: new Map(links.map((link) => [link.ifindex, link])),
    addressed,
    routed,
    defaults,
    uplinked,
    attached,
  };
}

/** The automatic rule of HF-1.12 for a link that is neither loopback nor an endpoint's. */
function automatic(link: LinkRow, excluded: readonly DevicePattern[], around: Surroundings): Choice {
  const exclusion = firstMatch(excluded, link.name);
  if (exclusion !== undefined) return none(`name excluded (${exclusion.text})`);
  if (link.master !== 0 && link.masterKind !== 'vrf') {
    const master = around.byIndex.get(link.master)?.name ?? `device ${link.master}`;
    return none(`is a port of ${master}`);
  }
  const twice = TWICE[link.kind];
  if (twice !== undefined) return none(twice);
  if (link.kind === 'veth' && !around.defaults.has(link.ifindex)) {
    // A default route goes for a moment whenever the device flaps: that must not open the node.
    if (!around.attached.has(link.ifindex)) return none('is a veth without a default route');
    return link.isUp ? selected('had a default route') : ahead('is down');
  }
  if (link.kind === 'bridge' && !around.uplinked.has(link.ifindex)) {
    return none('is a bridge without a port that leads out of the machine');
  }
  if (!link.isUp) return ahead('is down');
  if (link.kind === 'veth') return selected('has a default route');
  if (around.addressed.has(link.ifindex)) return selected('has a global address');
  if (link.kind === 'bridge') return ahead('is a bridge without an address');
  if (around.routed.has(link.ifindex)) return selected('has a global route');
  return ahead('has neither a global address nor a global route');
}

/**
 * Judges every link. `kind` says which programs belong on it, `selected` whether it is an external device of
 * the node by HF-1.12; an endpoint's device is `pod` whatever the patterns say. In the order of `links`.
 */
export function selectDevices(
  links: Iterable<LinkRow>,
  addresses: Iterable<AddressRow>,
  routes: Iterable<RouteRow>,
  config: SelectionConfig,
): readonly DeviceRow[] {
  const all = [...links];
  const around = surroundingsOf(all, addresses, routes, config.attached ?? new Set());
  const patterns = config.patterns.map(devicePattern);
  const selfSource = (config.allowSelfSource ?? []).map(devicePattern);
  const excluded = [`${config.podPrefix ?? 'lxc'}*`, ...EXCLUDED_NAMES].map(devicePattern);
  const isAutomatic = patterns.every(({ excludes }) => excludes);
  const choose = (link: LinkRow, endpoint: number): Choice => {
    if (link.type === LOOPBACK_TYPE) return none('is the loopback device');
    if (endpoint !== 0) return { kind: 'pod', selected: true, reason: `leads to endpoint ${endpoint}` };
    const match = firstMatch(patterns, link.name);
    if (match !== undefined) {
      return match.excludes ? none(`excluded by ${match.text}`) : selected(`matches ${match.text}`);
    }
    return isAutomatic ? automatic(link, excluded, around) : none('matches no pattern');
  };
  return all.map((link) => {
    const endpoint = config.endpoints?.get(link.ifindex) ?? 0;
    const match = firstMatch(selfSource, link.name);
    return {
      ifindex: link.ifindex,
      name: link.name,
      ...choose(link, endpoint),
      isLayer3: LAYER3_TYPES.has(link.type),
      linkKind: link.kind,
      allowSelfSource: match !== undefined && !match.excludes,
      endpoint,
      vlan: link.vlan === undefined ? undefined : { parent: link.parent, ...link.vlan },
    };
  });
}

/** Patterns that match no link; exclusions are none. */
export function unmatchedPatterns(links: Iterable<LinkRow>, patterns: readonly string[]): readonly string[] {
  const names = [...links].map(({ name }) => name);
  return patterns.filter((text) => {
    const pattern = devicePattern(text);
    return !pattern.excludes && !names.some((name) => pattern.matches(name));
  });
}

/** `devices.requireAll`: error CONFIG_NO_DEVICE when a pattern matches nothing. */
export function requirePatterns(links: Iterable<LinkRow>, patterns: readonly string[]): void {
  const all = [...links];
  const missing = unmatchedPatterns(all, patterns);
  if (missing.length === 0) return;
  const have = all.map(({ name }) => name).join(', ');
  throw new MerlonError('CONFIG_NO_DEVICE', `no device matches ${missing.join(', ')}; there are ${have}`);
}
