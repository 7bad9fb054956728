/**
 * The routes of the local API as data: method, path, what answers. A path segment `:name` is a parameter.
 */
import { MerlonError } from '#kit/errors';
import { formatIp, parseIp } from '#kit/ip';
import type { Parts } from './parts.ts';
import type { EndpointRequest } from './views.ts';

export interface RouteRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: unknown;
  readonly signal: AbortSignal;
}

/** A plain answer is one JSON value; an async iterable is sent as JSON lines. */
type Answer = (parts: Parts, request: RouteRequest) => unknown;

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly answer: Answer;
}

const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/v1/status', answer: (p) => p.status() },
  { method: 'GET', path: '/v1/config', answer: (p) => p.config() },
  {
    method: 'POST',
    path: '/v1/config/:key',
    answer: (p, r) => p.setConfig(r.params['key'] ?? '', isOn(r.body)),
  },
  { method: 'POST', path: '/v1/reload', answer: (p) => p.reload() },
  { method: 'POST', path: '/v1/policy/clear', answer: (p) => p.clearPolicies() },
  { method: 'GET', path: '/v1/devices', answer: (p) => p.devices() },
  { method: 'GET', path: '/v1/endpoints', answer: (p) => p.endpoints() },
  { method: 'POST', path: '/v1/endpoints', answer: (p, r) => p.addEndpoint(endpointRequest(r.body)) },
  {
    method: 'DELETE',
    path: '/v1/endpoints/:name',
    answer: (p, r) => p.removeEndpoint(r.params['name'] ?? ''),
  },
  {
    method: 'POST',
    path: '/v1/endpoints/:name/audit',
    answer: (p, r) => p.configureEndpoint(r.params['name'] ?? '', isOn(r.body)),
  },
  { method: 'GET', path: '/v1/hostfw/mode', answer: (p) => p.hostfwMode() },
  {
    method: 'POST',
    path: '/v1/hostfw/mode',
    answer: (p, r) =>
      p.setHostfwMode(
        wordOf(r.body, 'mode', ['enforce', 'audit', 'failsafe', 'off']) ?? needed('mode'),
        wordOf(r.body, 'direction', ['ingress', 'egress']),
      ),
  },
  { method: 'GET', path: '/v1/identities', answer: (p) => p.identities() },
  { method: 'GET', path: '/v1/ips', answer: (p) => p.ips() },
  { method: 'GET', path: '/v1/policies', answer: (p) => p.policies() },
  { method: 'GET', path: '/v1/policy/status', answer: (p) => p.policyStatus() },
  {
    method: 'GET',
    path: '/v1/policy/map/:endpoint',
    answer: (p, r) => p.policyMap(r.params['endpoint'] ?? ''),
  },
  { method: 'GET', path: '/v1/world', answer: (p) => p.world() },
  { method: 'GET', path: '/v1/generations', answer: (p) => p.generations() },
  {
    method: 'GET',
    path: '/v1/generations/:number',
    answer: (p, r) => {
      const { number = '' } = r.params;
      return p.generation(number === 'active' ? undefined : sequence(number, 'a generation'));
    },
  },
  { method: 'GET', path: '/v1/manifests', answer: (p) => p.manifests() },
  { method: 'GET', path: '/v1/ct', answer: (p, r) => p.flows({ between: pair(r.query.get('between')) }) },
  { method: 'GET', path: '/v1/counters', answer: (p) => p.counters() },
  {
    method: 'GET',
    path: '/v1/events',
    answer: (p, r) =>
      p.events(
        { since: sequence(r.query.get('since'), 'since'), follow: r.query.get('follow') === 'true' },
        r.signal,
      ),
  },
  {
    method: 'GET',
    path: '/v1/events/last-drop',
    answer: (p, r) => p.event({ lastDrop: true, source: r.query.get('from') ?? undefined }),
  },
  {
    method: 'GET',
    path: '/v1/events/:seq',
    answer: (p, r) => p.event({ seq: sequence(r.params['seq'] ?? '', 'an event') ?? 0 }),
  },
  { method: 'GET', path: '/v1/failsafe', answer: (p) => p.failsafe() },
  { method: 'GET', path: '/v1/metrics', answer: (p) => p.metrics() },
];

/** The route of a request and its parameters; undefined when there is none. */
export function findRoute(
  method: string,
  path: string,
): { readonly route: Route; readonly params: Record<string, string> } | undefined {
  for (const route of ROUTES) {
    if (route.method !== method) continue;
    const params = matchPath(route.path, path);
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const want = pattern.split('/');
  const have = path.split('/');
  if (want.length !== have.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, segment] of want.entries()) {
    const given = have[i] ?? '';
    if (segment.startsWith(':')) params[segment.slice(1)] = decodeURIComponent(given);
    else if (segment !== given) return undefined;
  }
  return params;
}

function sequence(text: string | null, what: string): number | undefined {
  if (text === null) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new MerlonError('USAGE', `${what} must be a sequence number, not "${text}"`);
}

/** `{value: true}`. */
function isOn(body: unknown): boolean {
  const value = (body as Record<string, unknown> | undefined)?.['value'];
  if (typeof value === 'boolean') return value;
  throw new MerlonError('USAGE', 'the request needs "value", true or false');
}

function needed(key: string): never {
  throw new MerlonError('USAGE', `the request needs "${key}"`);
}

/** One of these words under `key`; undefined where there is nothing. */
function wordOf<W extends string>(body: unknown, key: string, words: readonly W[]): W | undefined {
  const value = (body as Record<string, unknown> | undefined)?.[key];
  if (value === undefined) return undefined;
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  throw new MerlonError('USAGE', `"${key}" must be ${words.join(', ')}, not ${JSON.stringify(value)}`);
}

/** Two addresses with a comma between them. */
function pair(text: string | null): readonly [string, string] | undefined {
  if (text === null) return undefined;
  const [a, b, ...more] = text.split(',').map((part) => parseIp(part));
  if (a !== undefined && b !== undefined && more.length === 0) return [formatIp(a), formatIp(b)];
  throw new MerlonError('USAGE', `between must be two addresses, not "${text}"`);
}

function endpointRequest(body: unknown): EndpointRequest {
  const given = (body ?? {}) as Record<string, unknown>;
  const text = (key: string): string => {
    const value = given[key];
    if (typeof value === 'string' && value !== '') return value;
    throw new MerlonError('USAGE', `the request needs "${key}", a non-empty string`);
  };
  const list = (key: string): readonly string[] => {
    const value = given[key] ?? [];
    if (Array.isArray(value) && value.every((v) => typeof v === 'string')) return value;
    throw new MerlonError('USAGE', `"${key}" must be a list of strings`);
  };
  return {
    name: text('name'),
    netns: text('netns'),
    labels: list('labels'),
    ips: list('ips'),
    ...(given['namespace'] === undefined ? {} : { namespace: text('namespace') }),
  };
}
