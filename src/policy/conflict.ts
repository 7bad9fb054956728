/**
 * Rules that exclude one another (policy.md §4.7, §9.6). For the same peers and ports: different parsers,
 * listeners of one priority, TLS contexts or modes of authentication that differ, names of TLS beside layer 7
 * rules that TLS hides. Whatever the selectors, where they meet in one cell: proxies of one rank and TLS
 * contexts, since nothing says which of them reads the connection.
 */
import type { ProxyRules } from '#model';
import type { ResolvedRule } from './decide.ts';
import { selectorText } from './match.ts';
import { sortedSet } from './order.ts';
import { parserOf, rankOf } from './parser.ts';

/** A deciding rule that asks something of a proxy. */
export interface Asking {
  readonly rule: ResolvedRule;
  readonly proxy: ProxyRules;
}

/** Ids of two rules that cannot be served in one cell; undefined when all of these can. */
export function contradicting(asking: readonly Asking[]): readonly string[] | undefined {
  for (const [i, a] of asking.entries()) {
    for (const b of asking.slice(i + 1)) {
      if (excludes(a.proxy, b.proxy) || (shareKey(a.rule, b.rule) && cannotMerge(a.proxy, b.proxy))) {
        return sortedSet([a.rule.id, b.rule.id]);
      }
    }
  }
  return undefined;
}

/** Whether the two cannot stand in one cell, whoever their peers are. */
function excludes(a: ProxyRules, b: ProxyRules): boolean {
  const [one, other] = [parserOf(a), parserOf(b)];
  if (differ(a.terminatingTLS, b.terminatingTLS) || differ(a.originatingTLS, b.originatingTLS)) return true;
  if (rankOf(a) !== rankOf(b)) return false;
  return one === 'crd' && other === 'crd' ? differ(a.listener, b.listener) : one !== other;
}

/** Whether rules of one selector and one range of ports cannot become one. */
function cannotMerge(a: ProxyRules, b: ProxyRules): boolean {
  if (excludes(a, b)) return true;
  const parsers = [parserOf(a), parserOf(b)];
  if (parsers[0] !== parsers[1]) {
    const isPromoted = parsers.includes('tls') && !parsers.includes('dns') && !parsers.includes('crd');
    if (!isPromoted) return true;
  }
  const hasNames = a.serverNames.length + b.serverNames.length > 0;
  const hasL7 = a.l7 !== undefined || b.l7 !== undefined;
  return hasNames && hasL7 && (a.terminatingTLS ?? b.terminatingTLS) === undefined;
}

function differ(a: object | undefined, b: object | undefined): boolean {
  return a !== undefined && b !== undefined && JSON.stringify(a) !== JSON.stringify(b);
}

function shareKey(a: ResolvedRule, b: ResolvedRule): boolean {
  const keys = new Set(keysOf(a));
  return keysOf(b).some((key) => keys.has(key));
}

/** One text for each selector and each range of ports, as written: rules that share one are merged. */
function keysOf({ tier, priority, peers, ports, written }: ResolvedRule): readonly string[] {
  const selectors = peers.wildcard ? ['*'] : peers.selectors.map(selectorText);
  const ranges = ports.wildcard ? ['*'] : written.map(([first, last]) => `${first}-${last}`);
  return selectors.flatMap((text) => ranges.map((range) => `${tier} ${priority} ${range} ${text}`));
}

/** The first two of one direction's rules that cannot be merged, sorted; undefined when all can. */
export function conflictAmong(rules: readonly ResolvedRule[]): readonly string[] | undefined {
  const byKey = new Map<string, Map<string, ResolvedRule>>();
  for (const rule of rules.filter(isAsking)) {
    const kind = kindOf(rule);
    for (const key of new Set(keysOf(rule))) {
      const others = byKey.get(key) ?? new Map<string, ResolvedRule>();
      byKey.set(key, others);
      if (others.has(kind)) continue;
      for (const other of others.values()) {
        if (areInConflict(rule, other)) return sortedSet([rule.id, other.id]);
      }
      others.set(kind, rule);
    }
  }
  return undefined;
}

/** Whether some two of these exclude each other where they meet: mostly all are of kinds that never do. */
export function mayConflict(rules: Iterable<Asked>): boolean {
  const kinds = new Map<string, Asked>();
  for (const rule of rules) if (isAsking(rule)) kinds.set(kindOf(rule), rule);
  const all = [...kinds.values()];
  return all.some((a, i) => all.slice(i + 1).some((b) => areInConflict(a, b)));
}

/** What of a rule can contradict others. */
type Asked = Pick<ResolvedRule, 'verdict' | 'proxy' | 'auth'>;

/** Whether the rule says anything that another can contradict. */
export function isAsking({ verdict, proxy, auth }: Asked): boolean {
  return verdict === 'allow' && (proxy !== undefined || auth !== undefined);
}

function areInConflict(a: Asked, b: Asked): boolean {
  if (a.auth !== undefined && b.auth !== undefined && a.auth !== b.auth) return true;
  return a.proxy !== undefined && b.proxy !== undefined && cannotMerge(a.proxy, b.proxy);
}

/** Rules of one kind contradict the same others, and never one another. */
function kindOf({ proxy, auth }: Asked): string {
  if (proxy === undefined) return JSON.stringify([auth]);
  const { serverNames, l7, terminatingTLS, originatingTLS, listener } = proxy;
  const hasNames = serverNames.length > 0;
  return JSON.stringify([
    auth,
    parserOf(proxy),
    hasNames,
    l7 !== undefined,
    terminatingTLS,
    originatingTLS,
    listener,
  ]);
}
