/** What a proxy would say of a request: rule by rule (policy.md §9.4 to §9.7). */
import { wholeRe2 } from '#kit/re2';
import type {
  HttpRule,
  KafkaRule,
  L7Request,
  L7Rules,
  PeerSelector,
  PortMatch,
  ProxyRules,
  Rule,
} from '#model';
import { isNamed } from './facts.ts';
import type { Evaluation, Flow } from './world.ts';

export function isForEveryone({ peers }: Rule): boolean {
  return peers.kind === 'any' || peers.selectors.some(isEverybody);
}

function isEverybody(selector: PeerSelector): boolean {
  if (selector.kind === 'labels') return selector.selector.requirements.length === 0;
  return selector.kind === 'entity' && selector.entity === 'all';
}

/** Undefined: no rule asks for a proxy. `meets`: the selectors and ranges by which a rule matched, one text each. */
export function proxyAnswer(
  rules: readonly Rule[],
  flow: Flow,
  isOpen: boolean,
  meets: (rule: Rule) => readonly string[],
): Pick<Evaluation, 'parser' | 'permitted'> | undefined {
  const asking = rules.filter((rule) => rule.proxy !== undefined);
  if (asking.length === 0) return undefined;
  for (const a of asking) {
    for (const b of asking) {
      if (a !== b && cannotStandTogether(a, b)) return { parser: 'conflict', permitted: false };
    }
  }
  const best = Math.min(...asking.map((rule) => rank(rule.proxy)));
  const parser = kindOf(asking.find((rule) => rank(rule.proxy) === best)?.proxy);
  const { request } = flow;
  if (request === undefined) return { parser };
  if (isOpen || parser === 'crd') return { parser, permitted: true };
  const texts = new Set(rules.flatMap(meets));
  const meetings = [...texts].map((text) => rules.filter((rule) => meets(rule).includes(text)));
  return { parser, permitted: meetings.some((met) => isPermitted(met, rules, parser, request)) };
}

const isDns = ({ proxy }: Rule): boolean => proxy?.l7?.kind === 'dns';

/** What rules that meet in one selector and range let pass: as soon as one names servers, they are one rule. */
function isPermitted(
  met: readonly Rule[],
  all: readonly Rule[],
  parser: string,
  request: L7Request,
): boolean {
  const isRead = (kind: string) => kind === parser || (kind === 'tls' && parser !== 'dns');
  const names = met.flatMap(({ proxy }) => proxy?.serverNames ?? []);
  if (names.length > 0) {
    const kinds = met.flatMap(({ proxy }) => (proxy === undefined ? [] : [kindOf(proxy)]));
    const { sni } = request;
    if (!isRead(kinds.find((kind) => kind !== 'tls') ?? 'tls') || !sni) return false;
    if (!names.some((name) => isNamed(name, plain(sni)))) return false;
    return met.some(({ proxy }) => proxy?.l7 === undefined || answers(proxy.l7, request));
  }
  return met.some((rule) => {
    const { proxy } = rule;
    // Who may use more than the one port may not ask for every name.
    if (proxy === undefined) return parser !== 'dns' || all.some((r) => isDns(r) && haveOnePort(r, rule));
    return isRead(kindOf(proxy)) && (proxy.l7 === undefined || answers(proxy.l7, request));
  });
}

const plain = (name: string) => name.toLowerCase().replace(/\.$/, '');

function answers(l7: L7Rules, { http, kafka, dns, l7: fields }: L7Request): boolean {
  if (l7.kind === 'http') return http !== undefined && l7.rules.some((rule) => isHttp(rule, http));
  if (l7.kind === 'dns') return dns !== undefined && l7.rules.some((name) => isNamed(name, plain(dns)));
  if (l7.kind === 'kafka') {
    if (kafka === undefined) return false;
    if (kafka.topics.length === 0) return l7.rules.some((rule) => isKafka(rule, kafka, ''));
    return kafka.topics.every((topic) => l7.rules.some((rule) => isKafka(rule, kafka, topic)));
  }
  if (fields === undefined) return false;
  if (l7.rules.length === 0) return true;
  return l7.rules.some((rule) => Object.keys(rule).every((key) => rule[key] === fields[key]));
}

function isHttp(rule: HttpRule, http: NonNullable<L7Request['http']>): boolean {
  for (const key of ['path', 'method', 'host'] as const) {
    const pattern = rule[key];
    if (pattern === undefined) continue;
    if (!wholeRe2(pattern).test(http[key])) return false;
  }
  for (const { name, value } of rule.headers) {
    const have = http.headers[name];
    if (have === undefined || (value !== undefined && value !== have)) return false;
  }
  for (const { name, value, secret, mismatch } of rule.headerMatches) {
    if (mismatch !== undefined) continue;
    const have = http.headers[name];
    if (value === undefined ? secret !== undefined || have === undefined : have !== value) return false;
  }
  return true;
}

const PRODUCE = 'produce metadata apiversions'.split(' ');
const CONSUME =
  'fetch offsets metadata offsetcommit offsetfetch findcoordinator joingroup heartbeat leavegroup syncgroup apiversions'.split(
    ' ',
  );

function isKafka(rule: KafkaRule, request: NonNullable<L7Request['kafka']>, topic: string): boolean {
  const key = request.apiKey.toLowerCase();
  if (rule.role === 'produce' && !PRODUCE.includes(key)) return false;
  if (rule.role === 'consume' && !CONSUME.includes(key)) return false;
  if (rule.apiKey !== undefined && rule.apiKey !== key) return false;
  if (rule.apiVersion !== undefined && rule.apiVersion !== request.apiVersion) return false;
  if (rule.clientID !== undefined && rule.clientID !== request.clientID) return false;
  return rule.topic === undefined || topic === '' || rule.topic === topic;
}

function kindOf(proxy: ProxyRules | undefined): string {
  if (proxy?.listener !== undefined) return 'crd';
  if (proxy?.l7 === undefined) return 'tls';
  return proxy.l7.kind === 'l7proto' ? `l7proto:${proxy.l7.parser}` : proxy.l7.kind;
}

const RANKS: Readonly<Record<string, number>> = { http: 101, kafka: 106, tls: 116, dns: 121, crd: 126 };

export function rank(proxy: ProxyRules | undefined): number {
  return proxy?.listener?.priority ?? RANKS[kindOf(proxy)] ?? 111;
}

/** policy.md §9.6; contexts of TLS and proxies of one rank cannot be told apart whoever the peers are. */
function cannotStandTogether(a: Rule, b: Rule): boolean {
  const [one, other] = [a.proxy, b.proxy];
  if (one === undefined || other === undefined) return false;
  const kinds = [kindOf(one), kindOf(other)];
  for (const key of ['terminatingTLS', 'originatingTLS'] as const) {
    if (one[key] && other[key] && JSON.stringify(one[key]) !== JSON.stringify(other[key])) return true;
  }
  const isSameRank = rank(one) === rank(other);
  if (kinds.every((kind) => kind === 'crd')) {
    return isSameRank && JSON.stringify(one.listener) !== JSON.stringify(other.listener);
  }
  if (kinds[0] !== kinds[1] && isSameRank) return true;
  if (!haveOnePeer(a, b) || !haveOnePort(a, b)) return false;
  const mayJoin = kinds.includes('tls') && !kinds.includes('dns') && !kinds.includes('crd');
  if (kinds[0] !== kinds[1] && !mayJoin) return true;
  const names = one.serverNames.length + other.serverNames.length;
  const hasL7 = one.l7 !== undefined || other.l7 !== undefined;
  return names > 0 && hasL7 && !one.terminatingTLS && !other.terminatingTLS;
}

function haveOnePeer(a: Rule, b: Rule): boolean {
  if (isForEveryone(a) || isForEveryone(b)) return isForEveryone(a) && isForEveryone(b);
  if (a.peers.kind === 'any' || b.peers.kind === 'any') return false;
  const texts = a.peers.selectors.map((s) => canonical(s));
  return (
    b.peers.selectors.some((s) => texts.includes(canonical(s))) ||
    (a.peers.selectors.length === 0 && b.peers.selectors.length === 0)
  );
}

export function canonical(selector: PeerSelector): string {
  const sorted = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return [...value];
    if (Array.isArray(value)) return [...new Set(value.map((v) => JSON.stringify(sorted(v))))].sort();
    if (typeof value !== 'object' || value === null) return value;
    return Object.entries(value)
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .map(([key, v]) => [key, sorted(v)]);
  };
  return JSON.stringify(sorted(selector));
}

/** One range is in both; a name that has no number here is in none. */
function haveOnePort(a: Rule, b: Rule): boolean {
  const texts = (rule: Rule) => (rule.ports.kind === 'any' ? [] : rule.ports.matches.map(rangeText));
  return texts(a).some((text) => text !== undefined && texts(b).includes(text));
}

export function rangeText(match: PortMatch): string | undefined {
  switch (match.kind) {
    case 'ports':
      return `${match.protocol} ${Math.max(match.first, 1)} ${match.last}`;
    case 'name':
      return undefined;
    case 'protocol':
      return String(match.protocol);
    case 'icmp':
      return `icmp ${match.family} ${match.type}`;
  }
}
