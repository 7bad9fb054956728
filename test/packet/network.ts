/** The kernel's side of the hand-made node: a test run's devices must exist, routes and sockets are asked. */
import { execFileSync } from 'node:child_process';
import { MAC_OWN } from './builder.ts';
import { NODE, POD } from './world.ts';

function ipCommand(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** Devices, addresses and routes of the picture, in this namespace; the indexes of `wire` and `pod0`. */
export function buildNetwork(): [wire: number, pod: number] {
  ipCommand('link', 'set', 'lo', 'up');
  for (const name of ['wire', 'pod0']) {
    ipCommand('link', 'add', name, 'address', MAC_OWN, 'type', 'veth', 'peer', 'name', `${name}-peer`);
    ipCommand('link', 'set', name, 'up');
    ipCommand('link', 'set', `${name}-peer`, 'up');
  }
  ipCommand('addr', 'add', `${NODE.v4}/24`, 'dev', 'wire');
  ipCommand('addr', 'add', `${NODE.v6}/64`, 'dev', 'wire', 'nodad');
  ipCommand('route', 'add', `${POD.v4}/32`, 'dev', 'pod0');
  ipCommand('-6', 'route', 'add', `${POD.v6}/128`, 'dev', 'pod0');
  ipCommand('route', 'add', 'default', 'via', '192.0.2.254', 'dev', 'wire');
  ipCommand('-6', 'route', 'add', 'default', 'via', '2001:db8::fe', 'dev', 'wire');
  execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
  const links: { ifname: string; ifindex: number }[] = JSON.parse(ipCommand('-j', 'link'));
  const index = (name: string) => links.find(({ ifname }) => ifname === name)?.ifindex ?? 0;
  return [index('wire'), index('pod0')];
}
