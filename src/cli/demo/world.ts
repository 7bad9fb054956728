/**
 * The small data centre of the demo. The node's namespace stands for the machine that merlon protects.
 *
 *   admin 10.0.0.5 ──┐
 *   monitor 10.0.0.9 ┴─ lan ─┐                     ┌── deathstar-1, deathstar-2
 *   outside 198.51.100.7 ────┤ router ── lan ── node ── tiefighter
 *   metadata (on the router) ┘            │        └── xwing
 *                                      worker2
 *
 * Every address has an IPv6 twin.
 */
import { type Host, topology } from '#lab';
import type { HostName, PodName } from './script.ts';
import { PODS } from './script.ts';

/** What a cloud calls its metadata service; the IPv6 twin is the one that clouds use. */
const METADATA = { ipv4: '169.254.169.254', ipv6: 'fd00:ec2::254' };

export interface World extends AsyncDisposable {
  readonly prefix: string;
  readonly host: (name: HostName) => Host;
  readonly address: (name: HostName, family: 4 | 6) => string;
}

/** Address of a pod, as `endpoint add` gives it. */
export function podAddress(name: PodName, family: 4 | 6): string {
  const host = PODS.find((p) => p.name === name)?.host ?? 0;
  return family === 4 ? `10.244.0.${host}` : `fd00:10:244::${host}`;
}

/** Builds the namespaces and starts the real servers in them. */
export async function buildWorld(signal: AbortSignal): Promise<World> {
  const net = await topology<Exclude<HostName, 'metadata'> | 'router'>({
    name: 'demo',
    signal,
    hosts: {
      node: { isNode: true, forward: true },
      router: {
        forward: true,
        loopback: [`${METADATA.ipv4}/32`, `${METADATA.ipv6}/128`],
        routes: ['10.244.0.0/24 via 192.0.2.10', '-6 fd00:10:244::/64 via 2001:db8:2::10'],
      },
      admin: {},
      monitor: {},
      outside: {},
      worker2: {},
      'deathstar-1': {},
      'deathstar-2': {},
      tiefighter: {},
      xwing: {},
    },
    links: [
      {
        lan: 'office',
        ports: [
          { host: 'router', addresses: ['10.0.0.1/24', 'fd00:a::1/64'] },
          { host: 'admin', addresses: ['10.0.0.5/24', 'fd00:a::5/64'], gateways: ['10.0.0.1', 'fd00:a::1'] },
          {
            host: 'monitor',
            addresses: ['10.0.0.9/24', 'fd00:a::9/64'],
            gateways: ['10.0.0.1', 'fd00:a::1'],
          },
        ],
      },
      {
        ends: [
          { host: 'router', addresses: ['198.51.100.1/24', '2001:db8:7::1/64'] },
          {
            host: 'outside',
            addresses: ['198.51.100.7/24', '2001:db8:7::7/64'],
            gateways: ['198.51.100.1', '2001:db8:7::1'],
          },
        ],
      },
      {
        lan: 'rack',
        ports: [
          { host: 'router', addresses: ['192.0.2.1/24', '2001:db8:2::1/64'] },
          {
            host: 'node',
            addresses: ['192.0.2.10/24', '2001:db8:2::10/64'],
            gateways: ['192.0.2.1', '2001:db8:2::1'],
          },
          {
            host: 'worker2',
            addresses: ['192.0.2.11/24', '2001:db8:2::11/64'],
            gateways: ['192.0.2.1', '2001:db8:2::1'],
          },
        ],
      },
    ],
  });
  const host = (name: HostName): Host => (name === 'metadata' ? net.hosts.router : net.hosts[name]);
  await Promise.all([
    net.hosts.node.serveTcp(22),
    net.hosts.node.serveTcp(10250),
    net.hosts.router.serveHttp(80, { body: 'metadata' }),
    net.hosts.outside.serveTcp(443),
    net.hosts.xwing.serveTcp(9),
    net.hosts.tiefighter.serveTcp(9),
    ...(['deathstar-1', 'deathstar-2'] as const).flatMap((name) => [
      net.hosts[name].serveHttp(80, { body: 'Ship landed' }),
      net.hosts[name].serveHttp(8080, { body: 'Panic: deathstar exploded' }),
      net.hosts[name].serveTcp(81),
      net.hosts[name].serveUdp(81),
    ]),
  ]);
  const address = (name: HostName, family: 4 | 6): string => {
    if (name === 'metadata') return family === 4 ? METADATA.ipv4 : METADATA.ipv6;
    if (PODS.some((p) => p.name === name)) return podAddress(name as PodName, family);
    return family === 4 ? host(name).ipv4 : host(name).ipv6;
  };
  return { prefix: net.prefix, host, address, [Symbol.asyncDispose]: () => net[Symbol.asyncDispose]() };
}
