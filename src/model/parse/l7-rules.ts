/** The rules of one parser: HTTP, Kafka, DNS, or a named one (policy.md §6.1 to §6.3). */
import { re2 } from '#kit/re2';
import {
  fail,
  isFull,
  type Place,
  quote,
  readAnyMap,
  readList,
  readMap,
  readText,
  readTextOrNumber,
} from '../document/index.ts';
import {
  type HeaderMatch,
  type HttpHeader,
  type HttpRule,
  KAFKA_API_KEYS,
  type KafkaRule,
  type SecretRef,
} from '../l7.ts';
import { readNames } from './outside-peers.ts';

/** One HTTP rule; undefined when a problem was noted. */
export function readHttpRule(place: Place): HttpRule | undefined {
  const fields = readMap(place, ['path', 'method', 'host', 'headers', 'headerMatches'], 'an HTTP rule');
  if (fields === undefined) return undefined;
  const before = place.report.problems.length;
  const pattern = (key: string) => readPattern(fields.get(key));
  const [path, method, host] = [pattern('path'), pattern('method'), pattern('host')];
  const headers = (listOf(fields.get('headers')) ?? []).map(readHeader).filter((h) => h !== undefined);
  const matches = (listOf(fields.get('headerMatches')) ?? []).map(readHeaderMatch);
  if (place.report.problems.length > before) return undefined;
  return {
    ...(path === undefined ? {} : { path }),
    ...(method === undefined ? {} : { method }),
    ...(host === undefined ? {} : { host }),
    headers,
    headerMatches: matches.filter((m) => m !== undefined),
  };
}

function listOf(place: Place | undefined): readonly Place[] | undefined {
  return place === undefined ? [] : readList(place, 'entries');
}

/** A regular expression that must hold for the entire value; an empty one asks nothing. */
function readPattern(place: Place | undefined): string | undefined {
  const text = place === undefined ? undefined : readText(place);
  if (place === undefined || text === undefined || text === '' || isFull(place.report)) return undefined;
  const found = re2(text);
  if (!('fault' in found)) return text;
  return fail(
    place,
    'POLICY_L7',
    `${quote(text)} is no regular expression: ${found.fault}`,
    'RE2 syntax counts',
  );
}

/** `Name: value` or `Name`. */
function readHeader(place: Place): HttpHeader | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const space = text.indexOf(' ');
  const name = (space < 0 ? text : text.slice(0, space)).replace(/:$/, '').toLowerCase();
  if (name === '') return fail(place, 'POLICY_L7', 'Header name missing', 'write it as "Name: value"');
  return space < 0 ? { name } : { name, value: text.slice(space + 1) };
}

const ACTIONS = ['LOG', 'ADD', 'DELETE', 'REPLACE'] as const;

function readHeaderMatch(place: Place): HeaderMatch | undefined {
  const fields = readMap(place, ['name', 'value', 'secret', 'mismatch'], 'a header match');
  if (fields === undefined) return undefined;
  const text = (key: string) => {
    const value = fields.get(key);
    return value === undefined ? undefined : readText(value);
  };
  const [name = '', value, action = ''] = [text('name'), text('value'), text('mismatch')];
  if (name === '') return fail(fields.get('name') ?? place, 'POLICY_L7', 'Header name missing');
  const mismatch = ACTIONS.find((a) => a === action);
  if (action !== '' && mismatch === undefined) {
    const at = fields.get('mismatch') ?? place;
    return fail(at, 'POLICY_L7', `Invalid header action ${quote(action)}`, `one of ${ACTIONS.join(', ')}`);
  }
  const secretPlace = fields.get('secret');
  const secret = secretPlace === undefined ? undefined : readSecret(secretPlace);
  if (secretPlace !== undefined && secret === undefined) return undefined;
  return {
    name: name.toLowerCase(),
    // The API cannot tell an empty value from none: the header must be there.
    ...(value === undefined || value === '' ? {} : { value }),
    ...(secret === undefined ? {} : { secret }),
    ...(mismatch === undefined ? {} : { mismatch }),
  };
}

/** A reference to a secret. */
export function readSecret(place: Place): SecretRef | undefined {
  const fields = readMap(place, ['namespace', 'name'], 'a secret');
  if (fields === undefined) return undefined;
  const namePlace = fields.get('name');
  const name = namePlace === undefined ? '' : readText(namePlace);
  if (name === undefined) return undefined;
  if (name === '') return fail(namePlace ?? place, 'POLICY_L7', 'Secret name missing');
  const namespacePlace = fields.get('namespace');
  const namespace = namespacePlace === undefined ? undefined : readText(namespacePlace);
  return { name, ...(namespace === undefined ? {} : { namespace }) };
}

/** One Kafka rule; undefined when a problem was noted. */
export function readKafkaRule(place: Place): KafkaRule | undefined {
  const keys = ['role', 'apiKey', 'apiVersion', 'clientID', 'topic'];
  const fields = readMap(place, keys, 'a Kafka rule');
  if (fields === undefined) return undefined;
  const text = (key: string) => {
    const value = fields.get(key);
    return (value === undefined ? '' : readTextOrNumber(value)) ?? '';
  };
  const [role, apiKey, version, clientID, topic] = keys.map(text);
  const wrong = (key: string, value = ''): undefined =>
    fail(fields.get(key) ?? place, 'POLICY_L7', `invalid Kafka ${key} ${quote(value)}`);
  if (role !== '' && apiKey !== '') return fail(place, 'POLICY_L7', 'cannot set both Role and APIKey');
  if (role !== '' && role !== 'produce' && role !== 'consume') return wrong('role', role);
  const lower = apiKey?.toLowerCase() ?? '';
  if (lower !== '' && !KAFKA_API_KEYS.includes(lower)) return wrong('apiKey', apiKey);
  if (version !== '' && !(/^\d{1,5}$/.test(version ?? '') && Number(version) <= 32767))
    return wrong('apiVersion', version);
  const isTopic = (topic ?? '').length <= 255 && /^[a-zA-Z0-9._-]*$/.test(topic ?? '');
  if (!isTopic) return wrong('topic', topic);
  return {
    ...(role === 'produce' || role === 'consume' ? { role } : {}),
    ...(lower === '' ? {} : { apiKey: lower }),
    ...(version === '' ? {} : { apiVersion: Number(version) }),
    ...(clientID === '' || clientID === undefined ? {} : { clientID }),
    ...(topic === '' || topic === undefined ? {} : { topic }),
  };
}

/** The names and patterns of one DNS rule. */
export function readDnsRule(place: Place): readonly string[] | undefined {
  return readNames(place, 'a DNS rule', true);
}

/** One rule of a named parser: keys with values. */
export function readNamedRule(place: Place): Readonly<Record<string, string>> | undefined {
  const entries = readAnyMap(place, 'fields');
  if (entries === undefined) return undefined;
  const out: [string, string][] = [];
  for (const [key, { keyPlace, value }] of entries) {
    const text = value === undefined ? '' : readTextOrNumber(value);
    if (key === '') return fail(keyPlace, 'POLICY_L7', 'an empty key in an l7 rule');
    if (text !== undefined) out.push([key, text]);
  }
  return Object.fromEntries(out.sort(([a], [b]) => (a < b ? -1 : 1)));
}
