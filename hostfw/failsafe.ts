/**
 * The failsafe entries: what passes above policy so that a wrong policy cannot lock its author out (HF-6).
 * Pure: configuration and what was found out about this node in, rows out.
 */
import type { FailsafeRow } from '#model';

const TCP = 6;
const UDP = 17;
const ANYWHERE: readonly string[] = ['0.0.0.0/0', '::/0'];

/** One entry as people write it under `failsafe.entries`. */
export interface FailsafeEntry {
  readonly direction: 'in' | 'out';
  readonly protocol: number;
  readonly port: number;
  readonly endPort: number;
  /** Empty: any peer. */
  readonly cidrs: readonly string[];
  readonly device: string;
}

export interface FailsafeConfig {
  readonly entries: 'auto' | readonly FailsafeEntry[];
  /** From where SSH is always let in; undefined: from anywhere, with a warning until it is set. */
  readonly sshFrom: readonly string[] | undefined;
}

/** What the automatic entries depend on. */
export interface NodeFacts {
  /** Ports on which a process named sshd listens. */
  readonly sshPorts: readonly number[];
  /** Resolvers of resolv.conf that are not of this node. */
  readonly resolvers: readonly string[];
}

/** The entries in force, numbered from 1 in the order people see. */
export function failsafeRows(config: FailsafeConfig, facts: NodeFacts): readonly FailsafeRow[] {
  const entries = config.entries === 'auto' ? automatic(config, facts) : written(config.entries);
  return entries.map((entry, i) => ({ entry: i + 1, ...entry }));
}

/** Warning for `status` while SSH is open to the world by default; undefined when there is none to give. */
export function sshWarning(config: FailsafeConfig): string | undefined {
  if (config.entries !== 'auto' || config.sshFrom !== undefined) return undefined;
  return 'failsafe lets SSH in from any address; set failsafe.sshFrom to the networks you administer from';
}

type Numberless = Omit<FailsafeRow, 'entry'>;

function written(entries: readonly FailsafeEntry[]): readonly Numberless[] {
  return entries.map((e) => ({ ...e, cidrs: e.cidrs.length === 0 ? ANYWHERE : e.cidrs, why: 'configured' }));
}

function automatic(config: FailsafeConfig, facts: NodeFacts): readonly Numberless[] {
  const one = (
    direction: 'in' | 'out',
    protocol: number,
    port: number,
    cidrs: readonly string[],
    why: string,
  ): Numberless => ({ direction, protocol, port, endPort: port, cidrs, device: '', why });
  const sshPorts = [...new Set([22, ...facts.sshPorts])].sort((a, b) => a - b);
  const ssh = sshPorts.map((port) =>
    one('in', TCP, port, config.sshFrom ?? ANYWHERE, 'SSH: the way back in'),
  );
  // An entry names the node's port inbound and the peer's port outbound; a lease needs both ways.
  const lease = [
    one('in', UDP, 68, ['0.0.0.0/0'], 'DHCP lease'),
    one('out', UDP, 67, ['0.0.0.0/0'], 'DHCP lease'),
    one('in', UDP, 546, ['::/0'], 'DHCPv6 lease'),
    one('out', UDP, 547, ['::/0'], 'DHCPv6 lease'),
  ];
  const resolvers = facts.resolvers.map((r) => `${r}/${r.includes(':') ? 128 : 32}`);
  const names = resolvers.length === 0 ? [] : [UDP, TCP].map((p) => one('out', p, 53, resolvers, 'names'));
  return [...ssh, ...lease, ...names];
}
