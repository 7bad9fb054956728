/** What the rules of a proxy ask of a request, rule by rule, for people. */
import { assertNever } from '#kit/errors';
import type { HttpRule, KafkaRule, L7Request, L7Rules } from '#model';
import { permits, type ProxyAlternative, type ProxyRuleSet } from '#policy';

export interface ProxyStep {
  readonly rule: string;
  /** Whether it lets the request pass; absent where no request was asked about. */
  readonly matches?: boolean;
}

/** Every rule by itself: one that matches is enough. */
export function proxySteps(rules: ProxyRuleSet, request: L7Request | undefined): readonly ProxyStep[] {
  return rules.alternatives.flatMap(singles).map((single) => {
    const rule = alternativeText(single);
    if (request === undefined) return { rule };
    return { rule, matches: permits({ ...rules, alternatives: [single] }, request) };
  });
}

/** The same with one rule each. */
function singles({ l7, serverNames }: ProxyAlternative): readonly ProxyAlternative[] {
  if (l7 === undefined || l7.rules.length === 0) return [{ ...(l7 && { l7 }), serverNames }];
  return l7.rules.map((rule) => ({ l7: { ...l7, rules: [rule] } as L7Rules, serverNames }));
}

function alternativeText({ l7, serverNames }: ProxyAlternative): string {
  const names = serverNames.length === 0 ? [] : [`server name ${serverNames.join(' or ')}`];
  return [...(l7 === undefined ? [] : [rulesText(l7)]), ...names].join(', ');
}

function rulesText(l7: L7Rules): string {
  switch (l7.kind) {
    case 'http':
      return l7.rules.map(httpText).join(' | ');
    case 'kafka':
      return l7.rules.map(kafkaText).join(' | ');
    case 'dns':
      return l7.rules.join(' | ');
    case 'l7proto':
      return l7.rules.map((rule) => wordsOf(Object.entries(rule))).join(' | ') || 'any request';
    default:
      return assertNever(l7);
  }
}

/** `GET /v1/orders, host api.example, header x-team: shop`. */
function httpText({ method, path, host, headers, headerMatches }: HttpRule): string {
  const line = [method, path].filter((part) => part !== undefined).join(' ');
  const asked = [...headers, ...headerMatches.filter(({ mismatch }) => mismatch === undefined)];
  const parts = [
    ...(line === '' ? [] : [line]),
    ...(host === undefined ? [] : [`host ${host}`]),
    ...asked.map(({ name, value }) => `header ${name}${value === undefined ? '' : `: ${value}`}`),
  ];
  return parts.join(', ') || 'any request';
}

function kafkaText({ role, apiKey, apiVersion, clientID, topic }: KafkaRule): string {
  return wordsOf(Object.entries({ role, apiKey, apiVersion, clientID, topic }));
}

function wordsOf(entries: readonly (readonly [key: string, value: string | number | undefined])[]): string {
  const known = entries.filter(([, value]) => value !== undefined);
  return known.map(([key, value]) => `${key} ${value}`).join(', ') || 'any request';
}
