/**
 * Builds a topology from a description: namespaces, links, addresses, routes. By `ip -batch` and `nsenter`,
 * not by our own netlink code, which is among the things that topologies test.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '#kit/async';
import { MerlonError } from '#kit/errors';
import { Host, type NodeDirs } from './host.ts';
import { Link, type Tap } from './link.ts';
import {
  BPFFS,
  cgroupMount,
  claim,
  ensureBpffs,
  NETNS_DIR,
  nextPrefix,
  removeTopology,
  sweepLab,
} from './owner.ts';
import { mustRun } from './run.ts';

export interface HostSpec {
  /** Routes packets between its devices. */
  readonly forward?: boolean;
  /** Stands for a node: gets folders, a bpf-root of its own and a cgroup. */
  readonly isNode?: boolean;
  /** Addresses on `lo`, with prefix length. */
  readonly loopback?: readonly string[];
  /** As after `ip route add`; `-6` first for IPv6 where no address says so. */
  readonly routes?: readonly string[];
  /** Path below /proc/sys → value; set before any device exists. */
  readonly sysctls?: Readonly<Record<string, string>>;
}

/** One host's end of a link. */
export interface PortSpec<H extends string = string> {
  readonly host: H;
  /** Default: `eth0`, `eth1`, … in the order of the links. */
  readonly device?: string;
  /** With prefix length. */
  readonly addresses?: readonly string[];
  /** Default routes go through these addresses. */
  readonly gateways?: readonly string[];
  readonly mac?: string;
}

/** A veth pair between two hosts, or a bridge (in a namespace of its own) with a port for each host. */
export type LinkSpec<H extends string = string> =
  | { readonly name?: string; readonly ends: readonly [PortSpec<H>, PortSpec<H>]; readonly mtu?: number }
  | { readonly lan: string; readonly ports: readonly PortSpec<H>[]; readonly mtu?: number };

export interface TopologySpec<H extends string = string> {
  /** Part of every name made, to be recognised in `ip netns`; at most 20 of `[a-z0-9]`. Default `lab`. */
  readonly name?: string;
  readonly hosts: readonly H[] | Readonly<Record<H, HostSpec>>;
  readonly links?: readonly LinkSpec<H>[];
  readonly signal?: AbortSignal;
}

interface Port extends PortSpec {
  readonly device: string;
}

/** The description with every default filled in. */
interface Plan {
  readonly prefix: string;
  readonly hosts: ReadonlyMap<string, HostSpec>;
  readonly links: readonly {
    name: string;
    isLan: boolean;
    mtu: number | undefined;
    ports: readonly Port[];
  }[];
}

const isV6 = (address: string) => address.includes(':');

function planOf(spec: TopologySpec): Plan {
  const tag = spec.name ?? 'lab';
  if (!/^[a-z0-9]{1,20}$/.test(tag))
    throw new MerlonError('USAGE', `topology name "${tag}" is not 1–20 of a–z, 0–9`);
  const hosts = new Map<string, HostSpec>(
    Array.isArray(spec.hosts) ? spec.hosts.map((name) => [name, {}]) : Object.entries(spec.hosts),
  );
  const devices = new Map<string, number>();
  const portOf = (port: PortSpec): Port => {
    if (!hosts.has(port.host))
      throw new MerlonError('USAGE', `a link names host ${port.host}, which is not there`);
    const at = devices.get(port.host) ?? 0;
    if (port.device === undefined) devices.set(port.host, at + 1);
    return { ...port, device: port.device ?? `eth${at}` };
  };
  const links = (spec.links ?? []).map((link) => {
    const ports = ('lan' in link ? link.ports : link.ends).map(portOf);
    const name = 'lan' in link ? link.lan : (link.name ?? ports.map(({ host }) => host).join('-'));
    return { name, isLan: 'lan' in link, mtu: link.mtu, ports };
  });
  return { prefix: nextPrefix(tag), hosts, links };
}

const netnsOf = (plan: Plan, host: string) => join(NETNS_DIR, `${plan.prefix}-${host}`);
const lanName = (name: string) => `lan.${name}`;

function inside(netns: string, ...argv: readonly string[]): string[] {
  return ['nsenter', `--net=${netns}`, ...argv];
}

const script = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('');

/** Settings that new devices of a namespace inherit, so set before there are any. */
function sysctlsOf(host: HostSpec): readonly string[] {
  const values: Record<string, string> = {
    // Addresses are usable at once; the lab has no duplicates to detect.
    'net/ipv6/conf/default/accept_dad': '0',
    'net/ipv6/conf/all/accept_dad': '0',
    'net/ipv6/conf/default/router_solicitations': '0',
    'net/ipv4/conf/all/rp_filter': '0',
    'net/ipv4/conf/default/rp_filter': '0',
    ...(host.forward === true
      ? {
          'net/ipv4/ip_forward': '1',
          'net/ipv6/conf/all/forwarding': '1',
          'net/ipv6/conf/default/forwarding': '1',
        }
      : {}),
    ...host.sysctls,
  };
  return Object.entries(values).map(([path, value]) => `echo '${value}' > /proc/sys/${path}`);
}

/** `ip -batch` lines, run in the root namespace, that make each veth with both ends where they belong. */
function linkLines(plan: Plan): readonly string[] {
  const name = (host: string) => `${plan.prefix}-${host}`;
  return plan.links.flatMap(({ name: link, isLan, mtu, ports }) => {
    const size = mtu === undefined ? '' : ` mtu ${mtu}`;
    const end = (port: Port) => {
      const mac = port.mac === undefined ? '' : ` address ${port.mac}`;
      return `name ${port.device} netns ${name(port.host)}${mac}${size}`;
    };
    const veth = (one: string, other: string) => {
      const [, device, rest] = /^name (\S+)(.*)$/.exec(one) ?? [];
      return `link add ${device}${rest} type veth peer ${other}`;
    };
    if (isLan)
      return ports.map((port, at) => veth(end(port), `name p${at} netns ${name(lanName(link))}${size}`));
    const [a, b] = ports as [Port, Port];
    return [veth(end(a), end(b))];
  });
}

function lanLines(ports: readonly Port[]): readonly string[] {
  return [
    'link set lo up',
    'link add br0 type bridge forward_delay 0 mcast_snooping 0',
    'link set br0 addrgenmode none up',
    ...ports.flatMap((_, at) => [`link set p${at} addrgenmode none master br0 up`]),
  ];
}

/**
 * Both ends of every link are up before any has an address: a device that gets its IPv6 address before its
 * carrier has no multicast route until a second later, and does not answer neighbour solicitations.
 * The kernel itself hears of a carrier by and by, later when it has much to do; a bridge forwards from then on.
 */
async function linksAreUp(
  netns: string,
  devices: readonly string[],
  options: { signal?: AbortSignal },
): Promise<void> {
  const isUp = async () => {
    const text = await mustRun(inside(netns, 'ip', '-j', 'link'), options);
    const links = JSON.parse(text) as readonly { ifname: string; operstate: string }[];
    return devices.every((name) =>
      links.some(({ ifname, operstate }) => ifname === name && operstate === 'UP'),
    );
  };
  const { signal = new AbortController().signal } = options;
  await until(isUp, { signal, timeoutMs: 60_000, what: `${devices.join(', ')} of ${netns} have a carrier` });
}

/** What `linksAreUp` waits for. */
function upLines(plan: Plan, name: string): readonly string[] {
  const ports = plan.links.flatMap((link) => link.ports.filter((port) => port.host === name));
  return ['lo', ...ports.map(({ device }) => device)].map((device) => `link set ${device} up`);
}

function hostLines(plan: Plan, name: string, host: HostSpec): readonly string[] {
  const ports = plan.links.flatMap((link) => link.ports.filter((port) => port.host === name));
  const nodad = (address: string) => (isV6(address) ? `${address} nodad` : address);
  return [
    ...(host.loopback ?? []).map((address) => `addr add ${nodad(address)} dev lo`),
    ...ports.flatMap(({ device, addresses = [] }) =>
      addresses.map((address) => `addr add ${nodad(address)} dev ${device}`),
    ),
    ...ports.flatMap(({ device, gateways = [] }) =>
      gateways.map(
        (gateway) => `${isV6(gateway) ? '-6 ' : ''}route add default via ${gateway} dev ${device}`,
      ),
    ),
    ...(host.routes ?? []).map((route) =>
      route.startsWith('-6 ') ? `-6 route add ${route.slice(3)}` : `route add ${route}`,
    ),
  ];
}

/** `ip -batch` takes options only on its command line, so lines that begin with `-6` go to a call of their own. */
async function ipBatch(
  netns: string,
  lines: readonly string[],
  options: { signal?: AbortSignal },
): Promise<void> {
  const v6 = lines.filter((line) => line.startsWith('-6 ')).map((line) => line.slice(3));
  const rest = lines.filter((line) => !line.startsWith('-6 '));
  await mustRun(inside(netns, 'ip', '-batch', '-'), { ...options, input: script(rest) });
  if (v6.length > 0)
    await mustRun(inside(netns, 'ip', '-6', '-batch', '-'), { ...options, input: script(v6) });
}

async function makeDirs(plan: Plan, dir: string, name: string): Promise<NodeDirs> {
  const base = join(dir, name);
  const cgroups = await cgroupMount();
  const dirs: NodeDirs = {
    configDir: join(base, 'etc'),
    manifestsDir: join(base, 'etc', 'manifests.d'),
    stateDir: join(base, 'state'),
    runDir: join(base, 'run'),
    bpfRoot: join(BPFFS, `${plan.prefix}-${name}`),
    cgroupRoot: cgroups === undefined ? undefined : join(cgroups, `${plan.prefix}-${name}`),
  };
  for (const path of [dirs.manifestsDir, dirs.stateDir, dirs.runDir])
    await mkdir(path, { recursive: true, mode: 0o755 });
  if (dirs.cgroupRoot !== undefined) await mkdir(dirs.cgroupRoot, { recursive: true });
  return dirs;
}

async function build(plan: Plan, dir: string, options: { signal?: AbortSignal }): Promise<Map<string, Host>> {
  const lans = plan.links.filter(({ isLan }) => isLan);
  const names = [...plan.hosts.keys(), ...lans.map(({ name }) => lanName(name))];
  await mustRun(['ip', '-batch', '-'], {
    ...options,
    input: script(names.map((n) => `netns add ${plan.prefix}-${n}`)),
  });
  const settings = (name: string) => script(['set -e', ...sysctlsOf(plan.hosts.get(name) ?? {})]);
  await Promise.all(
    names.map((n) => mustRun(inside(netnsOf(plan, n), 'sh'), { ...options, input: settings(n) })),
  );
  await mustRun(['ip', '-batch', '-'], { ...options, input: script(linkLines(plan)) });
  await Promise.all([
    ...lans.map(({ name, ports }) => ipBatch(netnsOf(plan, lanName(name)), lanLines(ports), options)),
    ...[...plan.hosts.keys()].map((name) => ipBatch(netnsOf(plan, name), upLines(plan, name), options)),
  ]);
  const devicesOf = (name: string) =>
    plan.links.flatMap((link) => link.ports.filter((port) => port.host === name)).map(({ device }) => device);
  await Promise.all([
    ...lans.map(({ name, ports }) =>
      linksAreUp(
        netnsOf(plan, lanName(name)),
        ports.map((_, at) => `p${at}`),
        options,
      ),
    ),
    ...[...plan.hosts.keys()].map((name) => linksAreUp(netnsOf(plan, name), devicesOf(name), options)),
  ]);
  const addressed = [...plan.hosts].map(([name, host]) =>
    ipBatch(netnsOf(plan, name), hostLines(plan, name, host), options),
  );
  await Promise.all(addressed);
  const hosts = new Map<string, Host>();
  for (const [name, spec] of plan.hosts) {
    const ports = plan.links.flatMap((link) => link.ports.filter((port) => port.host === name));
    const given = [...ports.flatMap(({ addresses = [] }) => addresses), ...(spec.loopback ?? [])];
    const info = {
      name,
      netnsName: `${plan.prefix}-${name}`,
      netns: netnsOf(plan, name),
      addresses: given.map((address) => address.replace(/\/\d+$/, '')),
      dirs: spec.isNode === true ? await makeDirs(plan, dir, name) : undefined,
    };
    hosts.set(name, new Host(info));
  }
  return hosts;
}

/** A LAN is disturbed at the bridge's ports, a pair at its second end. */
function linksOf(plan: Plan): Map<string, Link> {
  return new Map(
    plan.links.map(({ name, isLan, ports }) => {
      const [, second] = ports;
      const taps = new Map<string, Tap>(
        isLan
          ? ports.map(({ host }, at) => [host, { netns: netnsOf(plan, lanName(name)), device: `p${at}` }])
          : second === undefined
            ? []
            : [[second.host, { netns: netnsOf(plan, second.host), device: second.device }]],
      );
      return [name, new Link(name, taps)];
    }),
  );
}

/** A topology that stands. Disposing it takes everything away, processes inside it included. */
export class Topology<H extends string = string> {
  readonly prefix: string;
  readonly dir: string;
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #links: ReadonlyMap<string, Link>;

  constructor(plan: Plan, dir: string, hosts: ReadonlyMap<string, Host>) {
    this.prefix = plan.prefix;
    this.dir = dir;
    this.#hosts = hosts;
    this.#links = linksOf(plan);
  }

  /** The hosts by name. */
  get hosts(): Readonly<Record<H, Host>> {
    return Object.fromEntries(this.#hosts) as Record<H, Host>;
  }

  /** A link by its name: of a LAN the one given, of a pair the hosts' names joined by `-` unless given. */
  link(name: string): Link {
    const link = this.#links.get(name);
    if (link === undefined) throw new MerlonError('NOT_FOUND', `topology ${this.prefix} has no link ${name}`);
    return link;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#hosts.values()].map((host) => host.close()));
    await removeTopology(this.prefix);
  }
}

/**
 * Builds a topology. Sweeps what dead owners left before it starts; takes back what it made when it fails.
 * Errors: USAGE for a description that contradicts itself, FAILED with the command that failed.
 */
export async function topology<H extends string>(spec: TopologySpec<H>): Promise<Topology<H>> {
  const plan = planOf(spec);
  const options = spec.signal === undefined ? {} : { signal: spec.signal };
  await sweepLab();
  await ensureBpffs(spec.signal);
  const dir = await claim(plan.prefix);
  try {
    return new Topology<H>(plan, dir, await build(plan, dir, options));
  } catch (e) {
    await removeTopology(plan.prefix);
    throw e;
  }
}
