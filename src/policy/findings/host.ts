/** Findings about host policies: what failsafe lets in above them, what nodes serve and they forget (HF-6). */
import { type Cidr, cidrCovers, parseCidr } from '#kit/ip';
import {
  type Direction,
  type FailsafeRow,
  PORT_PROTOCOLS,
  PORTLESS_PROTOCOLS,
  policyTitle,
  protocolName,
  type Rule,
  type Warning,
} from '#model';
import { type Judgement, peersOf, type SpecAt } from './ground.ts';
import type { GroundNode } from './ground-node.ts';

const { TCP, UDP } = PORT_PROTOCOLS;
const { VRRP, IGMP } = PORTLESS_PROTOCOLS;

/** What nodes commonly serve, and neither built-ins nor failsafe admit (HF-6.3). */
const SERVED: readonly (readonly [what: string, protocol: number, port: number | undefined])[] = [
  ['VXLAN', UDP, 8472],
  ['Geneve', UDP, 6081],
  ['WireGuard', UDP, 51871],
  ['kube-proxy health', TCP, 10256],
  ['controller-manager', TCP, 10257],
  ['scheduler', TCP, 10259],
  ['node exporter', TCP, 9100],
  ['NodePorts', TCP, 30000],
  ['MetalLB memberlist', TCP, 7946],
  ['Typha', TCP, 5473],
  ['Hubble peers', TCP, 4244],
  ['Hubble relay', TCP, 4245],
  ['agent metrics', TCP, 9962],
  ['VRRP', VRRP, undefined],
  ['IGMP', IGMP, undefined],
  ['SNMP', UDP, 161],
  ['IPMI', UDP, 623],
];

export const hostFindings: Judgement = (at, ground) => {
  const { spec, selected } = at;
  if (spec.subject.kind !== 'node' || selected.length === 0 || !ground.input.config.hostFirewall) return [];
  const nodes = selected.map(({ node }) => node);
  return [...staged(at), ...forgotten(at, nodes), ...nodes.flatMap((node) => failsafe(at, node))];
};

function staged({ policy, spec }: SpecAt): readonly Warning[] {
  if (spec.staged !== true) return [];
  const message = `${policyTitle(policy)} is in audit: it refuses nothing, and events tell what it would refuse`;
  return [{ code: 'staged', message, at: policy.at }];
}

function forgotten({ policy, spec }: SpecAt, nodes: readonly GroundNode[]): readonly Warning[] {
  if (!spec.defaultDeny.ingress) return [];
  const closed = SERVED.filter(([, protocol, port]) =>
    nodes.every(({ judge, peerSample }) =>
      peerSample.every((peer) => {
        const cell = judge('host', 'ingress', peer, protocol, port);
        return (cell.staged ?? cell).verdict === 'default-deny';
      }),
    ),
  );
  if (closed.length === 0) return [];
  const list = closed.map(([what, protocol, port]) =>
    port === undefined ? what : `${what} (${port}/${protocolName(protocol)})`,
  );
  const message = `ingress of the node becomes default deny, and nobody may reach ${list.join(', ')}`;
  return [{ code: 'host-port-forgotten', message, at: policy.at }];
}

/** Entries that let in what the rules of a host policy, with those of all others, do not. */
function failsafe({ policy, spec }: SpecAt, node: GroundNode): readonly Warning[] {
  return (node.seen.world.failsafe ?? []).flatMap((entry): Warning[] => {
    const direction: Direction = entry.direction === 'in' ? 'ingress' : 'egress';
    const all = node.specsOf('host').flatMap(({ rules }) => rules);
    const isOfEntry = (rule: Rule): boolean => rule.direction === direction && meets(rule, entry);
    const rules = all.filter(isOfEntry);
    const own = spec.rules.find((rule) => isOfEntry(rule) && isNarrower(rule, entry));
    if (own === undefined) return [];
    const isAllOpen = rules.some((rule) => rule.verdict === 'allow' && !isNarrower(rule, entry));
    if (own.verdict === 'allow' && (isAllOpen || !node.specsOf('host').some((s) => s.defaultDeny[direction])))
      return [];
    const from = entry.cidrs.length === 0 ? 'anybody' : entry.cidrs.join(', ');
    const name = `failsafe entry ${entry.entry} (${portText(entry)} ${entry.direction === 'in' ? 'from' : 'to'} ${from})`;
    const message = `${name} passes what ${policyTitle(policy)} would not: there the policy has no effect`;
    return [{ code: 'failsafe-wider', message, at: own.at }];
  });
}

function portText({ protocol, port, endPort }: FailsafeRow): string {
  const name = protocolName(protocol);
  if (port === 0) return name;
  return `${name}/${port === endPort ? port : `${port}-${endPort}`}`;
}

/** Whether the rule speaks of a port of the entry. */
function meets({ ports }: Rule, { protocol, port, endPort }: FailsafeRow): boolean {
  if (ports.kind === 'any') return true;
  return ports.matches.some((match) => {
    if (match.kind === 'protocol') return match.protocol === protocol;
    return (
      match.kind === 'ports' && match.protocol === protocol && match.first <= endPort && match.last >= port
    );
  });
}

/** Whether the rule leaves out somebody whom the entry lets pass; for a deny rule: refuses somebody of them. */
function isNarrower(rule: Rule, { cidrs }: FailsafeRow): boolean {
  const entry = (cidrs.length === 0 ? ['0.0.0.0/0', '::/0'] : cidrs)
    .map(parseCidr)
    .filter((c) => c !== undefined);
  const isDeny = rule.verdict === 'deny';
  if (rule.peers.kind === 'any') return isDeny;
  const peers = peersOf(rule);
  if (peers.some((peer) => peer.kind === 'entity' && (peer.entity === 'all' || peer.entity === 'world')))
    return isDeny;
  const own = peers.flatMap((peer): Cidr[] =>
    peer.kind === 'cidr' && peer.except.length === 0 ? [peer.cidr] : [],
  );
  if (isDeny)
    return own.length === 0 || own.some((c) => entry.some((e) => cidrCovers(c, e) || cidrCovers(e, c)));
  return !entry.every((e) => own.some((c) => cidrCovers(c, e)));
}
