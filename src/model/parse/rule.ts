/** One item of `ingress`, `ingressDeny`, `egress` or `egressDeny` → one internal rule. */
import { fail, type Place, placeAt, readMap, readWord } from '../document/index.ts';
import type { AuthMode, Direction, Peers, Rule } from '../policy.ts';
import { peerKeys, readPeers } from './peers.ts';
import type { PeerScope } from './scope.ts';
import type { ParseOptions } from './options.ts';
import { readPorts } from './ports.ts';

/** Names of the four lists, in the order in which their rules stand in a spec. */
export const SECTIONS = ['ingress', 'ingressDeny', 'egress', 'egressDeny'] as const;
export type Section = (typeof SECTIONS)[number];

/** Direction of a section's rules. */
export function sectionDirection(section: Section): Direction {
  return section === 'ingress' || section === 'ingressDeny' ? 'ingress' : 'egress';
}

/** What a rule takes from the spec around it. */
export interface RuleScope {
  readonly section: Section;
  readonly id: string;
  readonly peers: PeerScope;
  readonly isHost: boolean;
  readonly options: ParseOptions;
  readonly log: string | undefined;
}

/**
 * The rule at `place`, as one internal rule for each part of its ports; undefined when a problem was noted.
 */
export function readRule(place: Place, scope: RuleScope): readonly Rule[] | undefined {
  const before = place.report.problems.length;
  const direction = sectionDirection(scope.section);
  const isDeny = scope.section === 'ingressDeny' || scope.section === 'egressDeny';
  const keys = [...peerKeys(direction, isDeny), 'toPorts', 'icmps', ...(isDeny ? [] : ['authentication'])];
  if (isDeny && refusesDenyFqdn(place)) return undefined;
  const fields = readMap(place, keys, isDeny ? 'a deny rule' : `an ${direction} rule`);
  if (fields === undefined) return undefined;
  const peers = readPeers(fields, direction, scope.peers);
  const ports = readPorts(fields, {
    direction,
    isDeny,
    isHost: scope.isHost,
    isNamespaced: scope.peers.namespace !== undefined,
    options: scope.options,
  });
  const authentication = fields.get('authentication');
  const auth = authentication === undefined ? undefined : readAuthentication(authentication);
  if (peers === undefined || ports === undefined || place.report.problems.length > before) return undefined;
  const nobody: Peers = { kind: 'list', selectors: [] };
  return ports.map(({ ports: own, proxy }) => ({
    id: scope.id,
    at: placeAt(place),
    direction,
    verdict: isDeny ? 'deny' : 'allow',
    tier: 0,
    priority: 0,
    // A rule with neither peer nor port switches the direction to default deny, but matches nothing.
    peers: peers.kind === 'any' && own.kind === 'any' ? nobody : peers,
    ports: own,
    ...(proxy === undefined ? {} : { proxy }),
    ...(auth === undefined ? {} : { auth }),
    ...(scope.log === undefined ? {} : { log: scope.log }),
  }));
}

function readAuthentication(place: Place): AuthMode | undefined {
  const fields = readMap(place, ['mode'], 'authentication');
  if (fields === undefined) return undefined;
  const modePlace = fields.get('mode');
  if (modePlace === undefined) return fail(place, 'POLICY_SCHEMA', 'authentication.mode is missing');
  return readWord(modePlace, ['disabled', 'required', 'test-always-fail']);
}

/** `toFQDNs` in a deny rule: an API server drops the field and keeps the empty rule, which denies nothing. */
function refusesDenyFqdn(place: Place): boolean {
  const entry = place.tree.kind === 'map' ? place.tree.entries.find((e) => e.key === 'toFQDNs') : undefined;
  if (entry === undefined) return false;
  const at: Place = {
    tree: { kind: 'scalar', at: entry.keyAt, value: '', text: '' },
    path: `${place.path}.toFQDNs`,
    report: place.report,
  };
  fail(
    at,
    'POLICY_UNKNOWN_KEY',
    'a deny rule cannot select peers by DNS name',
    'deny CIDRs, or allow only the names that are needed',
  );
  return true;
}
