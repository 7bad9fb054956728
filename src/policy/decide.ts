/**
 * What a set of rules that all match one packet comes to (policy.md §8, §9, §13.5). Rules are put in an order
 * in which the first that matches tells the verdict: by tier, by priority, deny before allow before pass.
 * Rules of one tier, priority and verdict form a segment; all of a segment that match decide together.
 */
import type { AuthMode, ProxyRules, Rule } from '#model';
import { authOf } from './auth.ts';
import type { PortList } from './classes.ts';
import type { Cell, MatchKind } from './compiled.ts';
import type { PeerList } from './match.ts';
import { compareText } from '#kit/order';
import { sortedSet } from './order.ts';
import type { IndexRange } from './port-index.ts';
import { mergedProxy } from './proxy.ts';

/** A rule with its lists resolved. */
export interface ResolvedRule {
  readonly id: string;
  readonly verdict: Rule['verdict'];
  readonly tier: number;
  readonly priority: number;
  readonly peers: PeerList;
  readonly ports: PortList;
  /** The ports as this rule was written, of which another may have made other ranges: proxies go by them. */
  readonly written: readonly IndexRange[];
  /** How closely the rule names ports: 0 not at all, 1 whole protocols, 2 ports or types. */
  readonly portDetail: 0 | 1 | 2;
  /** Length of the key that names the ports, where proofs of identity are asked for (auth.ts). */
  readonly bits: number;
  /** The selector and range that the rule has in common with others, where one of them names TLS servers (shared.ts). */
  readonly shared?: string;
  readonly log: boolean;
  readonly proxy?: ProxyRules;
  readonly auth?: AuthMode;
}

const VERDICT_ORDER: Readonly<Record<Rule['verdict'], number>> = { deny: 0, allow: 1, pass: 2 };

/** The order in which the first match tells the verdict; ids make it total. */
export function compareRules(a: ResolvedRule, b: ResolvedRule): number {
  return compareSegments(a, b) || compareText(a.id, b.id) || compareText(partText(a), partText(b));
}

/** Tells the parts of one written rule apart. */
function partText({ ports, proxy, peers }: ResolvedRule): string {
  return `${ports.name} ${proxy === undefined ? '' : JSON.stringify(proxy)} ${peers.name}`;
}

function compareSegments(a: ResolvedRule, b: ResolvedRule): number {
  return a.tier - b.tier || a.priority - b.priority || VERDICT_ORDER[a.verdict] - VERDICT_ORDER[b.verdict];
}

/** Rules `first` to `end - 1` of one tier, priority and verdict; a pass goes on at rule `next`. */
export interface Segment {
  readonly first: number;
  readonly end: number;
  readonly passes: boolean;
  /** First rule of the next tier. */
  readonly next: number;
}

/** For each rule, in the order of `compareRules`, the segment it is in. */
export function segmentsOf(rules: readonly ResolvedRule[]): readonly Segment[] {
  const segments: Segment[] = [];
  for (let first = 0; first < rules.length; first = segments.length) {
    const rule = rules[first];
    if (rule === undefined) break;
    const end = endOf(rules, first, (other) => compareSegments(rule, other) === 0);
    const next = endOf(rules, first, (other) => rule.tier === other.tier);
    const segment = { first, end, passes: rule.verdict === 'pass', next };
    for (let i = first; i < end; i++) segments.push(segment);
  }
  return segments;
}

function endOf(
  rules: readonly ResolvedRule[],
  from: number,
  isSame: (rule: ResolvedRule) => boolean,
): number {
  let end = from;
  for (let rule = rules[end]; rule !== undefined && isSame(rule); rule = rules[end]) end++;
  return end;
}

/**
 * The cell of rules of one segment that decide together; none: `otherwise`. `isOpen`: proxies let everything
 * pass. `isWaived`: the peer may always come, so nobody asks who it is.
 */
export function cellOf(
  deciding: readonly ResolvedRule[],
  otherwise: Cell,
  isOpen = false,
  isWaived = false,
): Cell {
  const [first] = deciding;
  if (first === undefined || first.verdict === 'pass') return otherwise;
  const proxy = first.verdict === 'allow' ? mergedProxy(deciding, isOpen || isWaived) : undefined;
  const auth = first.verdict === 'allow' && !isWaived ? authOf(deciding) : undefined;
  const allowed = proxy === undefined ? 'allow' : 'redirect';
  return {
    verdict: first.verdict !== 'allow' ? first.verdict : auth === undefined ? allowed : 'auth',
    origin: sortedSet(deciding.map((rule) => rule.id)),
    match: matchKind(deciding),
    log: deciding.some((rule) => rule.log),
    ...(proxy === undefined ? {} : { proxy }),
    ...(auth === undefined ? {} : { auth }),
  };
}

const MATCH_KINDS: readonly (readonly [wildcard: MatchKind, named: MatchKind])[] = [
  ['all', 'L3-only'],
  ['proto-only', 'L3-proto'],
  ['L4-only', 'L3-L4'],
];

/** What the closest of the deciding rules named: ports before protocols before nothing, then peers. */
function matchKind(rules: readonly ResolvedRule[]): MatchKind {
  const detail = rules.reduce((most, rule) => Math.max(most, rule.portDetail), 0);
  const named = rules.some((rule) => rule.portDetail === detail && !rule.peers.wildcard);
  return MATCH_KINDS[detail]?.[named ? 1 : 0] ?? 'none';
}
