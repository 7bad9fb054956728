/** `toPorts` and `icmps` of one rule (policy.md §5, §6, §7; protocols of host policies: HF-1.6). */
import type { ErrorCode } from '#kit/errors';
import { nearest } from '#kit/nearest';
import {
  type Fields,
  fail,
  type Place,
  quote,
  readList,
  readMap,
  readText,
  readTextOrNumber,
  warn,
} from '../document/index.ts';
import type { ProxyRules } from '../l7.ts';
import type { PortMatch, Ports } from '../policy.ts';
import {
  HOST_PROTOCOLS,
  hasPorts,
  ICMP_TYPES,
  MLD_TYPES,
  PORT_PROTOCOLS,
  PORTLESS_PROTOCOLS,
} from '../protocol.ts';
import { checkL7Ports, readAsked } from './l7.ts';
import type { PortScope } from './scope.ts';

/** Most entries of one list of ports or ICMP types. */
const MAX_ENTRIES = 40;

/** Ports, and what a proxy is asked about what goes there. */
export interface PortPart {
  readonly ports: Ports;
  readonly proxy?: ProxyRules;
}

/**
 * The ports of a rule: `any` when neither `toPorts` nor `icmps` has an entry (empty lists of these two are as
 * if absent). Port rules that ask something of a proxy are parts of their own. Undefined when a problem was
 * noted.
 */
export function readPorts(rule: Fields, scope: PortScope): readonly PortPart[] | undefined {
  const before = rule.place.report.problems.length;
  const portsPlace = rule.get('toPorts');
  const icmpsPlace = rule.get('icmps');
  const portItems = portsPlace === undefined ? [] : (readList(portsPlace, 'port rules') ?? []);
  const icmpItems = icmpsPlace === undefined ? [] : (readList(icmpsPlace, 'ICMP rules') ?? []);
  if (portItems.length > 0 && icmpItems.length > 0 && icmpsPlace !== undefined) {
    fail(
      icmpsPlace,
      'POLICY_COMBINATION',
      'ICMPs block may only be present without ToPorts',
      'write two rules: rules are alternatives',
    );
  }
  if (icmpItems.length > 0 && icmpsPlace !== undefined && scope.options.icmpRules === false) {
    const message = 'ICMP rules can only be applied when the "enable-icmp-rules" flag is set';
    fail(icmpsPlace, 'POLICY_ICMP', message, 'set enable-icmp-rules: true in the configuration');
  }
  const parts = portItems.map((item) => readPortRule(item, scope));
  const icmp = icmpItems.flatMap((item) => readIcmpRule(item));
  if (rule.place.report.problems.length > before) return undefined;
  if (portItems.length + icmpItems.length === 0) return [{ ports: { kind: 'any' } }];
  const plain = parts.filter((part) => part.proxy === undefined);
  const asking = parts.filter((part) => part.proxy !== undefined);
  const matches = [...plain.flatMap((part) => part.matches), ...icmp];
  return [
    ...(plain.length > 0 || icmpItems.length > 0 ? [{ ports: { kind: 'list' as const, matches } }] : []),
    ...asking.map(({ matches: own, proxy }) => ({
      ports: { kind: 'list' as const, matches: own },
      ...(proxy === undefined ? {} : { proxy }),
    })),
  ];
}

interface PortRule {
  readonly matches: readonly PortMatch[];
  readonly proxy: ProxyRules | undefined;
}

function readPortRule(place: Place, scope: PortScope): PortRule {
  const nothing = { matches: [], proxy: undefined };
  const allowKeys = ['rules', 'serverNames', 'terminatingTLS', 'originatingTLS', 'listener'];
  const fields = readMap(place, ['ports', ...(scope.isDeny ? [] : allowKeys)], 'a port rule');
  if (fields === undefined) return nothing;
  const before = place.report.problems.length;
  const { proxy, l7 } = readAsked(fields, scope);
  const portsPlace = fields.get('ports');
  const items = portsPlace === undefined ? [] : (readList(portsPlace, 'ports') ?? []);
  if (items.length === 0 && (portsPlace === undefined || portsPlace.tree.kind === 'list')) {
    warn(
      place,
      'port-rule-without-ports',
      'a port rule without ports matches nothing',
      'write ports: [{port: "0"}] for every port',
    );
  }
  if (items.length > MAX_ENTRIES) {
    fail(
      portsPlace ?? place,
      'POLICY_TOO_MANY',
      `too many ports: ${items.length}, at most ${MAX_ENTRIES}`,
      'use ranges, or several port rules',
    );
    return nothing;
  }
  const matches = items.flatMap((item) => readPort(item, scope));
  const isGood = place.report.problems.length === before;
  if (l7 !== undefined && isGood) checkL7Ports(portsPlace ?? place, l7, matches, scope);
  return { matches, proxy };
}

function readPort(place: Place, scope: PortScope): readonly PortMatch[] {
  const fields = readMap(place, ['port', 'endPort', 'protocol'], 'a port');
  if (fields === undefined) return [];
  const protocol = readProtocol(fields.get('protocol'), scope);
  const portPlace = fields.get('port');
  const text = portPlace === undefined ? '' : readTextOrNumber(portPlace);
  const endPlace = fields.get('endPort');
  const end = endPlace === undefined ? 0 : readNumber(endPlace, 65535, 'POLICY_PORT', 'unable to parse port');
  if (protocol === undefined || text === undefined || end === undefined) return [];
  if (protocol.kind === 'icmp') return readPortless(portPlace ?? place, text, protocol.matches, scope);
  const { numbers } = protocol;
  const isPortless = numbers.every((n) => !hasPorts(n));
  if (isPortless) {
    return readPortless(
      portPlace ?? place,
      text,
      numbers.map((n) => ({ kind: 'protocol', protocol: n })),
      scope,
    );
  }
  if (text === '') {
    if (!scope.options.extendedIpProtocols) {
      fail(portPlace ?? place, 'POLICY_PORT', 'port must be specified', 'write port: "0" for every port');
      return [];
    }
    return numbers.map((n) => ({ kind: 'protocol', protocol: n }));
  }
  const port = readPortOrName(portPlace ?? place, text);
  if (port === undefined) return [];
  if (typeof port === 'string') {
    if (end !== 0) warn(endPlace ?? place, 'end-port-ignored', 'endPort means nothing beside a port name');
    return numbers.map((n) => ({ kind: 'name', protocol: n, name: port }));
  }
  const first = port;
  const last = Math.max(first, end);
  if (end !== 0 && end < first)
    warn(
      endPlace ?? place,
      'end-port-ignored',
      `endPort ${end} is below port ${first}: only port ${first} is meant`,
    );
  const isWhole = first === 0 && (last === 0 || last === 65535);
  if (isWhole) return numbers.map((n) => ({ kind: 'protocol', protocol: n }));
  return numbers.map((n) => ({ kind: 'ports', protocol: n, first, last }));
}

/** A protocol without ports: the port must be empty or 0. */
function readPortless(
  place: Place,
  text: string,
  matches: readonly PortMatch[],
  scope: PortScope,
): readonly PortMatch[] {
  if (text === '' && !scope.isHost && !scope.options.extendedIpProtocols) {
    fail(place, 'POLICY_PORT', 'port must be specified', 'write port: "0"');
    return [];
  }
  if (text === '' || text === '0') return matches;
  fail(place, 'POLICY_PORT', `the protocol has no ports, found port ${quote(text)}`, 'remove port');
  return [];
}

/** A port number, or a port's name in lower case: letters, digits and single hyphens, at least one letter. */
function readPortOrName(place: Place, text: string): number | string | undefined {
  if (/^0\d/.test(text) && /^\d+$/.test(text)) {
    const hint = 'write it without zeros in front, which elsewhere mean an octal number';
    return fail(place, 'POLICY_PORT', `unable to parse port: ${quote(text)}`, hint);
  }
  if (/^\d{1,6}$/.test(text)) {
    const port = Number(text);
    if (port <= 65535) return port;
    return fail(place, 'POLICY_PORT', `unable to parse port: ${text} is above 65535`, 'ports are 0 to 65535');
  }
  const { tree } = place;
  // Without quotes 0x50 and 1e3 are numbers; as texts they would be names.
  const isText = tree.kind === 'scalar' && typeof tree.value === 'string';
  const isName = text.length <= 15 && /^[a-zA-Z0-9](-?[a-zA-Z0-9])*$/.test(text) && /[a-zA-Z]/.test(text);
  if (isText && isName) return text.toLowerCase();
  const hint = /^\d+-\d+$/.test(text) ? 'write a range with port and endPort' : 'ports are 0 to 65535';
  return fail(place, 'POLICY_PORT', `unable to parse port: ${quote(text)}`, hint);
}

type Protocol =
  | { readonly kind: 'numbers'; readonly numbers: readonly number[] }
  | { readonly kind: 'icmp'; readonly matches: readonly PortMatch[] };

function readProtocol(place: Place | undefined, scope: PortScope): Protocol | undefined {
  const everyPort = Object.values(PORT_PROTOCOLS);
  if (place === undefined) return { kind: 'numbers', numbers: everyPort };
  const text = readTextOrNumber(place);
  if (text === undefined) return undefined;
  const name = text.toUpperCase();
  if (name === '' || name === 'ANY') return { kind: 'numbers', numbers: everyPort };
  const common: Record<string, number> = { ...PORT_PROTOCOLS, ...PORTLESS_PROTOCOLS };
  const host: Record<string, number> = { ...common, ...HOST_PROTOCOLS };
  const number = Object.hasOwn(scope.isHost ? host : common, name) ? host[name] : undefined;
  if (number !== undefined) return { kind: 'numbers', numbers: [number] };
  if (scope.isHost && name === 'MLD') {
    return { kind: 'icmp', matches: MLD_TYPES.map((type) => ({ kind: 'icmp', family: 6, type })) };
  }
  if (scope.isHost && /^\d{1,3}$/.test(text) && Number(text) <= 255) {
    return { kind: 'numbers', numbers: [Number(text)] };
  }
  return fail(
    place,
    'POLICY_PROTOCOL',
    `invalid protocol: ${quote(text)}`,
    protocolHint(text, name, host, scope),
  );
}

function protocolHint(
  text: string,
  name: string,
  host: Readonly<Record<string, number>>,
  scope: PortScope,
): string {
  if (name.startsWith('ICMP')) return 'match ICMP with icmps: [{fields: [{type: EchoRequest}]}]';
  if (/^\d+$/.test(text)) {
    return scope.isHost
      ? 'protocol numbers are 0 to 255'
      : 'protocol numbers are for policies with a nodeSelector';
  }
  if (Object.hasOwn(host, name) || name === 'MLD') return 'this protocol is for policies with a nodeSelector';
  const known = ['ANY', ...Object.keys(scope.isHost ? host : { ...PORT_PROTOCOLS, ...PORTLESS_PROTOCOLS })];
  const near = nearest(name, known);
  return near === undefined ? `one of ${known.join(', ')}` : `did you mean ${near}?`;
}

function readIcmpRule(place: Place): readonly PortMatch[] {
  const fields = readMap(place, ['fields'], 'an ICMP rule');
  const list = fields?.get('fields');
  if (fields === undefined) return [];
  if (list === undefined) {
    warn(place, 'port-rule-without-ports', 'an ICMP rule without fields matches nothing');
    return [];
  }
  const items = readList(list, 'ICMP fields') ?? [];
  if (items.length > MAX_ENTRIES) {
    fail(
      list,
      'POLICY_TOO_MANY',
      `too many types: ${items.length}, at most ${MAX_ENTRIES}`,
      'write several ICMP rules',
    );
    return [];
  }
  if (items.length === 0 && list.tree.kind === 'list')
    warn(place, 'port-rule-without-ports', 'an ICMP rule without fields matches nothing');
  return items.map(readIcmpField).filter((m) => m !== undefined);
}

function readIcmpField(place: Place): PortMatch | undefined {
  const fields = readMap(place, ['family', 'type'], 'an ICMP field');
  if (fields === undefined) return undefined;
  const familyPlace = fields.get('family');
  const family = familyPlace === undefined ? 'IPv4' : readFamily(familyPlace);
  const typePlace = fields.get('type');
  if (typePlace === undefined)
    return fail(place, 'POLICY_ICMP', 'ICMP type is missing', 'a number or a name such as EchoRequest');
  const text = readTextOrNumber(typePlace);
  if (family === undefined || text === undefined) return undefined;
  const number = family === 'IPv4' ? 4 : 6;
  const type =
    /^(0|[1-9]\d{0,2})$/.test(text) && Number(text) <= 255 ? Number(text) : typeByName(number, text);
  if (type !== undefined) return { kind: 'icmp', family: number, type };
  return fail(
    typePlace,
    'POLICY_ICMP',
    `ICMP type ${quote(text)} not found for ${family}`,
    typeHint(number, text),
  );
}

function readFamily(place: Place): 'IPv4' | 'IPv6' | undefined {
  const text = readTextOrNumber(place);
  if (text === undefined || text === 'IPv4' || text === 'IPv6') return text;
  return fail(place, 'POLICY_ICMP', `wrong family: ${quote(text)}`, 'IPv4 or IPv6');
}

function typeByName(family: 4 | 6, name: string): number | undefined {
  return Object.hasOwn(ICMP_TYPES[family], name) ? ICMP_TYPES[family][name] : undefined;
}

function typeHint(family: 4 | 6, text: string): string {
  const other = family === 4 ? 6 : 4;
  if (typeByName(other, text) !== undefined)
    return `${text} is a type of IPv${other}: write family: IPv${other}`;
  if (/^\d+$/.test(text)) return 'types are 0 to 255';
  const near = nearest(text, Object.keys(ICMP_TYPES[family]));
  return near === undefined ? 'a number 0 to 255 or a name such as EchoRequest' : `did you mean ${near}?`;
}

function readNumber(place: Place, max: number, code: ErrorCode, keyword: string): number | undefined {
  const text = readTextOrNumber(place);
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text) && Number(text) <= max) return Number(text);
  return fail(place, code, `${keyword}: ${quote(text)} is not a number from 0 to ${max}`);
}

/** The ports of a NetworkPolicy's rule: TCP unless written, every port where none is; names and ranges. */
export function readNetworkPorts(place: Place | undefined): Ports | undefined {
  const items = place === undefined ? [] : readList(place, 'ports');
  if (items === undefined) return undefined;
  if (items.length === 0) return { kind: 'any' };
  const matches = items.map(readNetworkPort).filter((m) => m !== undefined);
  return matches.length === items.length ? { kind: 'list', matches } : undefined;
}

function readNetworkPort(place: Place): PortMatch | undefined {
  const fields = readMap(place, ['port', 'endPort', 'protocol'], 'a port');
  if (fields === undefined) return undefined;
  const protocolPlace = fields.get('protocol');
  const name = protocolPlace === undefined ? 'TCP' : readText(protocolPlace);
  if (name === undefined) return undefined;
  const known: Readonly<Record<string, number>> = PORT_PROTOCOLS;
  const protocol = Object.hasOwn(known, name) ? known[name] : undefined;
  if (protocol === undefined) {
    const hint = 'TCP, UDP or SCTP';
    return fail(protocolPlace ?? place, 'POLICY_PROTOCOL', `invalid protocol: ${quote(name)}`, hint);
  }
  const portPlace = fields.get('port');
  const endPlace = fields.get('endPort');
  if (portPlace === undefined) {
    if (endPlace === undefined) return { kind: 'protocol', protocol };
    return fail(endPlace, 'POLICY_PORT', 'endPort stands without port', 'write the first port as port');
  }
  const text = readTextOrNumber(portPlace);
  const port = text === undefined ? undefined : readPortOrName(portPlace, text);
  const end =
    endPlace === undefined ? port : readNumber(endPlace, 65535, 'POLICY_PORT', 'unable to parse port');
  if (port === undefined || end === undefined) return undefined;
  if (typeof port === 'string') {
    if (endPlace === undefined) return { kind: 'name', protocol, name: port };
    return fail(endPlace, 'POLICY_PORT', 'endPort cannot stand beside a port name', 'remove it');
  }
  if (port === 0) return fail(portPlace, 'POLICY_PORT', 'unable to parse port: 0', 'ports are 1 to 65535');
  if (Number(end) < port) {
    const message = `endPort ${end} is below port ${port}`;
    return fail(endPlace ?? place, 'POLICY_PORT_RANGE', message, 'write the first port as port');
  }
  return { kind: 'ports', protocol, first: port, last: Number(end) };
}
