/** Findings about rules that are accepted and change nothing, or whose traffic is refused. */
import { assertNever } from '#kit/errors';
import {
  PORT_PROTOCOLS,
  type PortMatch,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  type Rule,
  type Warning,
} from '#model';
import { portNamesOf } from '../named-ports.ts';
import { type Ground, type Judgement, type SpecAt } from './ground.ts';
import type { Selected } from './ground-node.ts';

export const decidingFindings: Judgement = (at, ground) =>
  at.spec.rules.flatMap((rule) => [
    ...unavailable(rule, ground),
    ...(ground.input.config.enforcement === 'never' ? [] : undecided(rule, at, ground)),
  ]);

/** A proxy or an authentication that is asked for and not there. */
function unavailable(rule: Rule, { input }: Ground): readonly Warning[] {
  const { at } = rule;
  const found: Warning[] = [];
  if (rule.proxy !== undefined && !input.hasProxy) {
    const message = 'asks for a proxy that nobody serves: what it matches is refused (L7_PROXY_UNAVAILABLE)';
    found.push({ code: 'proxy-unavailable', message, at });
  }
  if (rule.auth !== undefined && rule.auth !== 'disabled' && !input.hasAuth) {
    const message =
      'asks for authentication that nobody performs: what it matches is refused (AUTH_REQUIRED)';
    found.push({ code: 'auth-unavailable', message, at });
  }
  return found;
}

/**
 * An allow rule that deny rules leave nothing of. One that means nobody or no port is told by other findings.
 */
function undecided(rule: Rule, { policy, selected }: SpecAt, ground: Ground): readonly Warning[] {
  const { ports, verdict, id, at } = rule;
  if (verdict !== 'allow' || selected.length === 0 || selected.some(({ node }) => node.deciding.has(id)))
    return [];
  if (selected.some(({ node, subjects }) => node.withheld(policy, subjects).length > 0)) return [];
  if (ports.kind === 'list' && (ports.matches.length === 0 || portNamesOf(rule).length > 0)) return [];
  const denies = shadows(rule, selected, ground);
  if (denies.length === 0) return [];
  const message = `decides nothing: ${denies.join(', ')} ${denies.length === 1 ? 'denies' : 'deny'} all of it`;
  return [{ code: 'shadowed-by-deny', message, at }];
}

/** Most subjects and peers that are asked which deny rule decides for them. */
const MOST_ASKED = 32;
/** What stands for every port. */
const ANY_PORT: readonly Port[] = [
  { protocol: PORT_PROTOCOLS.TCP, port: 80 },
  { protocol: PORT_PROTOCOLS.UDP, port: 53 },
  { protocol: PROTOCOL_ICMP, port: 8 },
];

interface Port {
  readonly protocol: number;
  readonly port: number | undefined;
}

/** The deny rules that decide where a rule would. */
function shadows(rule: Rule, selected: readonly Selected[], { facts }: Ground): readonly string[] {
  const ports = rule.ports.kind === 'any' ? ANY_PORT : rule.ports.matches.flatMap(firstPort);
  const found = new Set<string>();
  for (const { node, samples } of selected) {
    const peers = node.identitiesOf(rule.peers, facts).slice(0, MOST_ASKED);
    for (const subject of samples.slice(0, MOST_ASKED)) {
      for (const peer of peers) {
        for (const { protocol, port } of ports) {
          const cell = node.judge(subject, rule.direction, peer, protocol, port);
          const { verdict, origin } = cell.staged ?? cell; // what is staged may be enforced one day
          if (verdict === 'deny') for (const id of origin) found.add(id);
        }
      }
    }
  }
  return [...found].sort();
}

function firstPort(match: PortMatch): readonly Port[] {
  switch (match.kind) {
    case 'ports':
      return [{ protocol: match.protocol, port: match.first }];
    case 'protocol':
      return [{ protocol: match.protocol, port: undefined }];
    case 'icmp':
      return [{ protocol: match.family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6, port: match.type }];
    case 'name':
      return [];
    default:
      return assertNever(match);
  }
}
