/**
 * What a proxy is told of one cell: the proxy rules of all rules that decide in it, merged (policy.md §9.4 to
 * §9.7). As data: who serves them is not known here. Equal rules have equal ids, whatever else is compiled.
 */
import { assertNever } from '#kit/errors';
import { compareText } from '#kit/order';
import { wholeRe2 } from '#kit/re2';
import {
  canonicalName,
  fqdnMatches,
  type HttpRule,
  KAFKA_ROLES,
  type KafkaRule,
  type L7Request,
  type L7Rules,
  type ListenerRef,
  type ProxyRules,
  type TlsContext,
} from '#model';
import type { ResolvedRule } from './decide.ts';
import { type Asking, contradicting } from './conflict.ts';
import { sha256 } from './digest.ts';
import { sortedSet } from './order.ts';
import { type Parser, parserOf, rankOf } from './parser.ts';

/** What one of the rules lets pass: `l7` absent asks nothing of the request, empty `serverNames` nothing of TLS. */
export interface ProxyAlternative {
  readonly l7?: L7Rules;
  readonly serverNames: readonly string[];
}

/** The proxy rules of cells, merged. */
export interface ProxyRuleSet {
  /** Named by its content. */
  readonly id: string;
  /** `conflict`: the rules cannot be served together, so nothing passes. */
  readonly parser: Parser | 'conflict';
  /** Everything passes, through the proxy; the alternatives are then those that edit headers or tell of them. */
  readonly wildcard: boolean;
  readonly alternatives: readonly ProxyAlternative[];
  readonly terminatingTLS?: TlsContext;
  readonly originatingTLS?: TlsContext;
  readonly listener?: ListenerRef;
  /** Ids of rules that contradict one another. */
  readonly conflict?: readonly string[];
}

/**
 * The rule set of a cell; undefined when no deciding rule asks for a proxy. `isOpen`: what no rule matches
 * passes anyway, or the peer may always come, so the rules are there for their visibility only.
 */
export function mergedProxy(deciding: readonly ResolvedRule[], isOpen: boolean): ProxyRuleSet | undefined {
  const asking = deciding.flatMap((rule) => (rule.proxy === undefined ? [] : [{ rule, proxy: rule.proxy }]));
  if (asking.length === 0) return undefined;
  const conflict = contradicting(asking);
  if (conflict !== undefined)
    return named({ parser: 'conflict', wildcard: false, alternatives: [], conflict });
  const [first] = [...asking].sort((a, b) => rankOf(a.proxy) - rankOf(b.proxy));
  const parser = first === undefined ? 'tls' : parserOf(first.proxy);
  const contributing = asking.filter(({ proxy }) => contributes(parser, proxy));
  const { lone, meetings } = meetingsOf(deciding);
  const plain = lone.filter((rule) => rule.proxy === undefined);
  // The DNS proxy asks rules of its port only: who may use more ports than that may not ask for every name.
  const isWildcard = plain.some(
    (rule) => parser !== 'dns' || contributing.some((a) => sharePort(rule, a.rule)),
  );
  const own = contributing.filter(({ rule }) => lone.includes(rule)).map(({ proxy }) => alternativeOf(proxy));
  const all = [...own, ...meetings.flatMap((rules) => alternativesOf(rules, parser))];
  const wildcard = isOpen || isWildcard;
  const texts = new Map(
    (wildcard ? all.flatMap(editing) : all).map((alternative) => [JSON.stringify(alternative), alternative]),
  );
  return named({
    parser,
    wildcard,
    alternatives: [...texts].sort(([a], [b]) => compareText(a, b)).map(([, alternative]) => alternative),
    ...sharedContext('terminatingTLS', contributing),
    ...sharedContext('originatingTLS', contributing),
    ...(parser === 'crd' && first?.proxy.listener !== undefined ? { listener: first.proxy.listener } : {}),
  });
}

/** Rules that meet where one of them names TLS servers, and those that stand alone. */
function meetingsOf(deciding: readonly ResolvedRule[]): {
  readonly lone: readonly ResolvedRule[];
  readonly meetings: readonly (readonly ResolvedRule[])[];
} {
  const shared = deciding.filter((rule) => rule.shared !== undefined);
  const groups = [...Map.groupBy(shared, (rule) => rule.shared).values()];
  const meetings = groups.filter((rules) => namesOf(rules).length > 0);
  const met = new Set(meetings.flat());
  return { lone: deciding.filter((rule) => !met.has(rule)), meetings };
}

function namesOf(rules: readonly ResolvedRule[]): readonly string[] {
  return sortedSet(rules.flatMap(({ proxy }) => proxy?.serverNames ?? []));
}

/**
 * What rules that meet let pass together: whoever asks for one of the names may send what one of them allows,
 * and everything where one of them asks nothing of requests.
 */
function alternativesOf(rules: readonly ResolvedRule[], chosen: Parser): readonly ProxyAlternative[] {
  const proxies = rules.flatMap(({ proxy }) => proxy ?? []);
  const reading = proxies.find(({ l7, listener }) => l7 !== undefined || listener !== undefined);
  if (reading !== undefined && !contributes(chosen, reading)) return [];
  const serverNames = namesOf(rules);
  const all = proxies.map((proxy) => ({ ...alternativeOf(proxy), serverNames }));
  return rules.some(({ proxy }) => proxy?.l7 === undefined)
    ? [...all.flatMap(editing), { serverNames }]
    : all;
}

/** Of what another alternative lets pass as well, that which edits headers or tells of them. */
function editing({ l7, serverNames }: ProxyAlternative): readonly ProxyAlternative[] {
  if (l7?.kind !== 'http') return [];
  const rules = l7.rules.filter(({ headerMatches }) => headerMatches.some((m) => m.mismatch !== undefined));
  return rules.length === 0 ? [] : [{ l7: { ...l7, rules }, serverNames }];
}

/** Whether one range of ports, as written, is in both. */
function sharePort(a: ResolvedRule, b: ResolvedRule): boolean {
  return a.written.some(([first, last]) => b.written.some(([f, l]) => f === first && l === last));
}

function named(rules: Omit<ProxyRuleSet, 'id'>): ProxyRuleSet {
  return { id: `#${sha256(JSON.stringify(rules)).slice(0, 32)}`, ...rules };
}

function alternativeOf({ l7, serverNames }: ProxyRules): ProxyAlternative {
  return { ...(l7 === undefined ? {} : { l7: sortedRules(l7) }), serverNames };
}

/** The same rules in canonical order. */
function sortedRules(l7: L7Rules): L7Rules {
  const byText = <R>(rules: readonly R[]) =>
    [...new Map(rules.map((rule) => [JSON.stringify(rule), rule]))]
      .sort(([a], [b]) => compareText(a, b))
      .map(([, rule]) => rule);
  return { ...l7, rules: byText<unknown>(l7.rules) } as L7Rules;
}

function sharedContext<K extends 'terminatingTLS' | 'originatingTLS'>(key: K, asking: readonly Asking[]) {
  const found = asking.map(({ proxy }) => proxy[key]).find((context) => context !== undefined);
  return found === undefined ? {} : { [key]: found };
}

/** Whether the rules say something to the proxy that was chosen; those for TLS do to any that reads TCP. */
function contributes(chosen: Parser, proxy: ProxyRules): boolean {
  const parser = parserOf(proxy);
  return parser === chosen || (parser === 'tls' && chosen !== 'dns' && chosen !== 'crd');
}

/** Whether the rules let a request pass. A listener judges for itself, so policy lets everything come to it. */
export function permits(rules: ProxyRuleSet, request: L7Request): boolean {
  if (rules.parser === 'conflict') return false;
  if (rules.wildcard || rules.parser === 'crd') return true;
  return rules.alternatives.some(
    ({ l7, serverNames }) =>
      nameIsAllowed(serverNames, request.sni) && (l7 === undefined || l7Permits(l7, request)),
  );
}

function nameIsAllowed(serverNames: readonly string[], sni: string | undefined): boolean {
  if (serverNames.length === 0) return true;
  return sni !== undefined && sni !== '' && serverNames.some((pattern) => fqdnMatches(pattern, sni));
}

function l7Permits(l7: L7Rules, request: L7Request): boolean {
  switch (l7.kind) {
    case 'http': {
      const { http } = request;
      return http !== undefined && l7.rules.some((rule) => httpMatches(rule, http));
    }
    case 'kafka': {
      const { kafka } = request;
      if (kafka === undefined) return false;
      const topics = kafka.topics.length === 0 ? [undefined] : kafka.topics;
      return topics.every((topic) => l7.rules.some((rule) => kafkaMatches(rule, kafka, topic)));
    }
    case 'dns': {
      const { dns } = request;
      return dns !== undefined && l7.rules.some((pattern) => fqdnMatches(pattern, canonicalName(dns)));
    }
    case 'l7proto': {
      const fields = request.l7;
      if (fields === undefined) return false;
      const isLike = (rule: Readonly<Record<string, string>>) =>
        Object.entries(rule).every(([key, value]) => fields[key] === value);
      return l7.rules.length === 0 || l7.rules.some(isLike);
    }
    default:
      return assertNever(l7);
  }
}

function httpMatches(rule: HttpRule, http: NonNullable<L7Request['http']>): boolean {
  const isWhole = (pattern: string | undefined, text: string) =>
    pattern === undefined || wholeRe2(pattern).test(text);
  if (!isWhole(rule.path, http.path) || !isWhole(rule.method, http.method)) return false;
  if (!isWhole(rule.host, http.host)) return false;
  const has = (name: string, value: string | undefined) =>
    value === undefined ? http.headers[name] !== undefined : http.headers[name] === value;
  if (!rule.headers.every(({ name, value }) => has(name, value))) return false;
  return rule.headerMatches.every(({ name, value, secret, mismatch }) => {
    if (mismatch !== undefined) return true;
    // What a secret holds is not known here: without a value to fall back on it never matches.
    return secret !== undefined && value === undefined ? false : has(name, value);
  });
}

function kafkaMatches(
  rule: KafkaRule,
  request: NonNullable<L7Request['kafka']>,
  topic: string | undefined,
): boolean {
  const key = request.apiKey.toLowerCase();
  if (rule.role !== undefined && !KAFKA_ROLES[rule.role].includes(key)) return false;
  if (rule.apiKey !== undefined && rule.apiKey !== key) return false;
  if (rule.apiVersion !== undefined && rule.apiVersion !== request.apiVersion) return false;
  if (rule.clientID !== undefined && rule.clientID !== request.clientID) return false;
  return rule.topic === undefined || topic === undefined || rule.topic === topic;
}
