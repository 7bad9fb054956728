/** What a set of rules that all match one packet comes to (policy.md §8, §9, §13.5). */
import type { Rule } from '#model';
import type { PortList } from './classes.ts';
import type { Cell, MatchKind } from './compiled.ts';
import type { PeerList } from './match.ts';
import { sortedSet } from './order.ts';

/** A rule with its lists resolved; equal lists are one object. */
export interface ResolvedRule {
  readonly id: string;
  readonly verdict: Rule['verdict'];
  readonly tier: number;
  readonly priority: number;
  readonly peers: PeerList;
  readonly ports: PortList;
  /** How closely the rule names ports: 0 not at all, 1 whole protocols, 2 ports or types. */
  readonly portDetail: 0 | 1 | 2;
  readonly log: boolean;
}

/** How rules are ordered before `decide` may look at them: by tier, then by priority, lower first. */
export function compareRules(a: ResolvedRule, b: ResolvedRule): number {
  return a.tier - b.tier || a.priority - b.priority;
}

/**
 * The cell for matching rules in the order of `compareRules`: the first tier and priority with a deny or an
 * allow decides, deny first; a pass goes on to the next tier; when nothing decides, `otherwise`.
 */
export function decide(rules: readonly ResolvedRule[], otherwise: Cell): Cell {
  let at = 0;
  while (at < rules.length) {
    const level = levelAt(rules, at);
    const decided = cellOf(level, 'deny') ?? cellOf(level, 'allow');
    if (decided !== undefined) return decided;
    at += level.length;
    const tier = level[0]?.tier;
    while (at < rules.length && rules[at]?.tier === tier) at++;
  }
  return otherwise;
}

function levelAt(rules: readonly ResolvedRule[], start: number): readonly ResolvedRule[] {
  const first = rules[start];
  let end = start;
  while (rules[end]?.tier === first?.tier && rules[end]?.priority === first?.priority && end < rules.length)
    end++;
  return start === 0 && end === rules.length ? rules : rules.slice(start, end);
}

function cellOf(level: readonly ResolvedRule[], verdict: 'deny' | 'allow'): Cell | undefined {
  const deciding = level.filter((rule) => rule.verdict === verdict);
  if (deciding.length === 0) return undefined;
  return {
    verdict,
    origin: sortedSet(deciding.map((rule) => rule.id)),
    match: matchKind(deciding),
    log: deciding.some((rule) => rule.log),
  };
}

const MATCH_KINDS: readonly (readonly [wildcard: MatchKind, named: MatchKind])[] = [
  ['all', 'L3-only'],
  ['proto-only', 'L3-proto'],
  ['L4-only', 'L3-L4'],
];

/** What the closest of the deciding rules named: ports before protocols before nothing, then peers. */
function matchKind(rules: readonly ResolvedRule[]): MatchKind {
  const detail = Math.max(...rules.map((rule) => rule.portDetail));
  const named = rules.some((rule) => rule.portDetail === detail && !rule.peers.wildcard);
  return MATCH_KINDS[detail]?.[named ? 1 : 0] ?? 'none';
}
