/** Parties, flows and expectations of a case, and the same words on a command line. */
import { MerlonError } from '#kit/errors';
import { formatIp, parseIp } from '#kit/ip';
import {
  type Fields,
  fail,
  type Place,
  placeAt,
  quote,
  readInteger,
  readMap,
  readText,
  readWord,
} from '#model/document';
import {
  hasPorts,
  ICMP_TYPES,
  PORT_PROTOCOLS,
  PORTLESS_PROTOCOLS,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
} from '#model';
import {
  CASE_ENTITIES,
  CASE_VERDICTS,
  type CaseEntity,
  type CaseFlow,
  type CaseParty,
  type CaseRequest,
  type CaseWorld,
  type Expectation,
} from './case.ts';
import { nearest } from '#kit/nearest';
import { booleanOf, optionalText, requiredText, textMapOf, wordOf } from './fields.ts';
import { DEFAULT_NODE } from './read-world.ts';

/** Protocols of a flow, by name. */
const FLOW_PROTOCOLS: Readonly<Record<string, number>> = {
  ...PORT_PROTOCOLS,
  ICMP: PROTOCOL_ICMP,
  ICMPv6: PROTOCOL_ICMP6,
  ...PORTLESS_PROTOCOLS,
};

/** The number of a protocol named in any case; undefined when there is none of that name. */
export function flowProtocol(word: string): number | undefined {
  const upper = word.toUpperCase();
  return Object.entries(FLOW_PROTOCOLS).find(([name]) => name.toUpperCase() === upper)?.[1];
}

/** The number of an ICMP type, given by number or by the name that policies have for it. */
export function icmpType(word: string, family: 4 | 6): number | undefined {
  return /^\d{1,3}$/.test(word) && Number(word) < 256 ? Number(word) : ICMP_TYPES[family][word];
}

const FLOW_KEYS = [
  'from',
  'to',
  'port',
  'protocol',
  'icmpType',
  'icmpCode',
  'ct',
  'http',
  'kafka',
  'dns',
  'sni',
  'direction',
] as const;

/** One item of `expect`. */
export function readExpectation(place: Place, world: CaseWorld): Expectation | undefined {
  const before = place.report.problems.length;
  const fields = readMap(place, [...FLOW_KEYS, 'verdict', 'why', 'unsure'], 'an expectation');
  if (fields === undefined) return undefined;
  const from = readParty(fields, 'from', world);
  const to = readParty(fields, 'to', world);
  const l4 = readL4(fields);
  const request = readRequest(fields);
  const ct = wordOf(fields, 'ct', ['new', 'established', 'reply', 'related'], 'new');
  const direction = wordOf(fields, 'direction', ['ingress', 'egress', 'both'], 'both');
  const verdictPlace = fields.get('verdict');
  if (verdictPlace === undefined) return fail(place, 'CASE_SCHEMA', 'verdict is missing');
  const verdict = readWord(verdictPlace, CASE_VERDICTS);
  const why = optionalText(fields, 'why');
  const unsure = booleanOf(fields, 'unsure', false);
  if (place.report.problems.length > before) return undefined;
  if (from === undefined || to === undefined || l4 === undefined || verdict === undefined) return undefined;
  if (from.kind === 'service') {
    return fail(place, 'CASE_SCHEMA', 'a service sends nothing; it can only be `to`');
  }
  const flow: CaseFlow = { from, to, ...l4, ct, request, direction };
  return { at: placeAt(place), flow, verdict, why, unsure };
}

function readParty(fields: Fields, key: 'from' | 'to', world: CaseWorld): CaseParty | undefined {
  const place = fields.get(key);
  if (place === undefined) return fail(fields.place, 'CASE_SCHEMA', `${key} is missing`);
  const text = readText(place);
  if (text === undefined) return undefined;
  try {
    return partyFromText(text, world);
  } catch (e) {
    if (!(e instanceof MerlonError)) throw e;
    return fail(place, e.code, e.message, e.hint);
  }
}

/** A party as cases and command lines write it. Throws `CASE_REFERENCE` for one that is not in the world. */
export function partyFromText(text: string, world: CaseWorld): CaseParty {
  const ip = parseIp(text);
  if (ip !== undefined) return { kind: 'ip', ip: formatIp(ip) };
  const [, kind, name = ''] = /^(node|entity|service):(.*)$/.exec(text) ?? [];
  switch (kind) {
    case 'node':
      return { kind, name: known(name, 'node', [...world.nodes.map((n) => n.name), DEFAULT_NODE]) };
    case 'entity':
      return { kind, entity: known(name, 'entity', CASE_ENTITIES) as CaseEntity };
    case 'service':
      return {
        kind,
        name: known(
          name,
          'service',
          world.services.map((s) => s.name),
        ),
      };
    default:
      return {
        kind: 'endpoint',
        name: known(
          text,
          'endpoint',
          world.endpoints.map((e) => e.name),
        ),
      };
  }
}

/** The name, if it is one of these. Throws `CASE_REFERENCE`. */
export function known(name: string, what: string, names: readonly string[]): string {
  if (names.includes(name)) return name;
  const near = nearest(name, names);
  const forms = 'write namespace/name, an address, node:NAME, entity:NAME or service:NAMESPACE/NAME';
  const others =
    what === 'endpoint' ? forms : names.length === 0 ? 'there is none' : `one of ${names.join(', ')}`;
  throw new MerlonError('CASE_REFERENCE', `there is no ${what} ${quote(name)}`, {
    hint: near === undefined ? others : `did you mean ${near}?`,
  });
}

type L4 = Pick<CaseFlow, 'protocol' | 'port' | 'icmpCode'>;

function readL4(fields: Fields): L4 | undefined {
  const word = requiredText(fields, 'protocol');
  if (word === undefined) return undefined;
  const protocol = flowProtocol(word);
  const protocolPlace = fields.get('protocol') ?? fields.place;
  if (protocol === undefined) {
    const names = Object.keys(FLOW_PROTOCOLS).join(', ');
    return fail(protocolPlace, 'CASE_SCHEMA', `${quote(word)} is no protocol of a flow`, `one of ${names}`);
  }
  const isIcmp = protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMP6;
  for (const key of ['icmpType', 'icmpCode']) {
    const place = fields.get(key);
    if (!isIcmp && place !== undefined) fail(place, 'CASE_SCHEMA', `${word} has no ${key}`);
  }
  const portPlace = fields.get('port');
  if (isIcmp) {
    if (portPlace !== undefined) fail(portPlace, 'CASE_SCHEMA', `${word} has no port`, 'write icmpType');
    const code = fields.get('icmpCode');
    return { protocol, port: readIcmpType(fields, protocol), icmpCode: code && readInteger(code, 0, 255) };
  }
  if (hasPorts(protocol) && portPlace === undefined)
    return fail(fields.place, 'CASE_SCHEMA', 'port is missing');
  if (!hasPorts(protocol) && portPlace !== undefined) fail(portPlace, 'CASE_SCHEMA', `${word} has no port`);
  return { protocol, port: portPlace && readInteger(portPlace, 0, 65535), icmpCode: undefined };
}

/** Absent: an echo request. */
function readIcmpType(fields: Fields, protocol: number): number | undefined {
  const family = protocol === PROTOCOL_ICMP ? 4 : 6;
  const place = fields.get('icmpType');
  if (place === undefined) return ICMP_TYPES[family]['EchoRequest'];
  if (place.tree.kind === 'scalar' && typeof place.tree.value === 'number') return readInteger(place, 0, 255);
  const text = readText(place);
  const type = text === undefined ? undefined : icmpType(text, family);
  if (text !== undefined && type === undefined)
    return fail(place, 'CASE_SCHEMA', `${quote(text)} is no ICMP type`);
  return type;
}

function readRequest(fields: Fields): CaseRequest | undefined {
  const given = (['http', 'kafka', 'dns', 'sni'] as const).filter((key) => fields.has(key));
  const [kind] = given;
  const place = kind && fields.get(kind);
  if (kind === undefined || place === undefined) return undefined;
  const isInTls = given.length === 2 && kind === 'http' && given[1] === 'sni';
  if (given.length > 1 && !isInTls)
    return fail(
      fields.place,
      'CASE_SCHEMA',
      `a flow has one of ${given.join(', ')}`,
      'only sni may stand by http',
    );
  if (kind === 'dns' || kind === 'sni') {
    const name = readText(place);
    return name === undefined ? undefined : { kind, name };
  }
  if (kind === 'http') {
    const http = readMap(place, ['method', 'path', 'host', 'headers'], 'a request');
    const sni = optionalText(fields, 'sni');
    return (
      http && {
        kind,
        method: optionalText(http, 'method') ?? 'GET',
        path: optionalText(http, 'path') ?? '/',
        host: optionalText(http, 'host') ?? '',
        headers: textMapOf(http, 'headers'),
        ...(sni === undefined ? {} : { sni }),
      }
    );
  }
  const kafka = readMap(place, ['apiKey', 'topic'], 'a request');
  const apiKey = kafka && requiredText(kafka, 'apiKey');
  return kafka && apiKey !== undefined ? { kind, apiKey, topic: optionalText(kafka, 'topic') } : undefined;
}
