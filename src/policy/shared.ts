/**
 * Rules that name TLS servers, where they meet other rules for one selector and one range of ports (policy.md
 * §9.6): there all of them are one rule, so a proxy has to know which meet in which selector and range. Such rules
 * come in pieces of one selector and one range each; what meets nothing stays whole.
 */
import type { Rule } from '#model';
import { portListOf } from './classes.ts';
import { peerListOf } from './match.ts';

/** A part of a rule; `shared` names the selector and range where it meets others. */
export interface Piece {
  readonly rule: Rule;
  readonly shared?: string;
}

export function namesServers({ proxy }: Rule): boolean {
  return proxy !== undefined && proxy.serverNames.length > 0;
}

/** Takes rules of one direction apart where it matters; undefined: nowhere. Ports have no names. */
export function sharing(rules: readonly Rule[]): ((rule: Rule) => readonly Piece[]) | undefined {
  const naming = rules.filter(namesServers);
  const users = new Map<string, Set<Rule>>();
  for (const rule of naming) for (const { key } of smallest(rule)) users.set(key, new Set());
  for (const rule of rules.filter(({ verdict }) => verdict === 'allow')) {
    for (const { key } of smallest(rule)) users.get(key)?.add(rule);
  }
  const shared = new Set([...users].filter(([, { size }]) => size > 1).map(([key]) => key));
  return shared.size === 0 ? undefined : (rule) => piecesOf(rule, shared);
}

function piecesOf(rule: Rule, shared: ReadonlySet<string>): readonly Piece[] {
  if (rule.verdict !== 'allow') return [{ rule }];
  const all = smallest(rule);
  const meeting = new Set(all.filter(({ key }) => shared.has(key)).map(({ piece }) => piece.peers));
  if (meeting.size === 0) return [{ rule }];
  const pieces = all
    .filter(({ piece }) => meeting.has(piece.peers))
    .map(({ key, piece }) => (shared.has(key) ? { rule: piece, shared: key } : { rule: piece }));
  const rest = new Set(all.map(({ piece }) => piece.peers)).difference(meeting);
  const selectors = [...rest].flatMap((peers) => (peers.kind === 'any' ? [] : peers.selectors));
  return rest.size === 0 ? pieces : [...pieces, { rule: { ...rule, peers: { kind: 'list', selectors } } }];
}

interface Smallest {
  readonly key: string;
  readonly piece: Rule;
}

/** One piece for each selector and range; those of one selector have the same peers. */
function smallest(rule: Rule): readonly Smallest[] {
  const { wildcard, selectors } = peerListOf(rule.peers);
  const peers: readonly Rule['peers'][] = wildcard
    ? [rule.peers]
    : selectors.map((selector) => ({ kind: 'list', selectors: [selector] }));
  const ports: readonly Rule['ports'][] =
    rule.ports.kind === 'any'
      ? [rule.ports]
      : rule.ports.matches.map((match) => ({ kind: 'list', matches: [match] }));
  const names = ports.map((one) => portListOf(one).name);
  return peers.flatMap((own) => {
    const name = peerListOf(own).name;
    return ports.map((one, i) => ({
      key: `${rule.tier} ${rule.priority} ${names[i]} ${name}`,
      piece: { ...rule, peers: own, ports: one },
    }));
  });
}
