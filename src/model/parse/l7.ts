/**
 * The layer 7, TLS and listener fields of a port rule (policy.md §6). Empty lists say nothing. Host policies take
 * DNS rules at egress only (HF-5.3).
 */
import {
  type Fields,
  fail,
  type Place,
  quote,
  readInteger,
  readList,
  readMap,
  readText,
} from '../document/index.ts';
import type { L7Rules, ListenerRef, ProxyRules, TlsContext } from '../l7.ts';
import type { PortMatch } from '../policy.ts';
import { protocolName } from '../protocol.ts';
import { readDnsRule, readHttpRule, readKafkaRule, readNamedRule, readSecret } from './l7-rules.ts';
import type { PortScope } from './scope.ts';

const RULE_LISTS = ['http', 'kafka', 'dns', 'l7'] as const;
const RULE_KEYS = [...RULE_LISTS, 'l7proto'] as const;

/** What a port rule asks of a proxy. */
export interface Asked {
  /** Undefined when nothing (or when a problem was noted). */
  readonly proxy?: ProxyRules;
  /** The layer 7 field that is written; an empty list restricts nothing, but its ports must fit all the same. */
  readonly l7?: Written;
}

interface Written {
  readonly key: (typeof RULE_KEYS)[number];
  readonly isEmpty: boolean;
}

/** What a port rule asks of a proxy. */
export function readAsked(portRule: Fields, scope: PortScope): Asked {
  const rulesPlace = portRule.get('rules');
  const { l7: written, rules: l7 } = rulesPlace === undefined ? {} : readRules(rulesPlace, scope);
  const serverNames = readServerNames(portRule, scope);
  const terminatingTLS = readTls(portRule, 'terminatingTLS', scope);
  const originatingTLS = readTls(portRule, 'originatingTLS', scope);
  const listenerPlace = portRule.get('listener');
  const listener = listenerPlace === undefined ? undefined : readListener(listenerPlace, scope);
  if (serverNames.length > 0 && written !== undefined && terminatingTLS === undefined) {
    const message = 'ServerNames are not allowed with L7 rules without TLS termination';
    fail(portRule.get('serverNames') ?? portRule.place, 'POLICY_L7', message, 'add terminatingTLS');
  }
  if (listener !== undefined && written !== undefined) {
    fail(listenerPlace ?? portRule.place, 'POLICY_LISTENER', 'Listener is not allowed with L7 rules');
  }
  const isAsked = l7 ?? terminatingTLS ?? originatingTLS ?? listener;
  const proxy = {
    ...(l7 === undefined ? {} : { l7 }),
    serverNames,
    ...(terminatingTLS === undefined ? {} : { terminatingTLS }),
    ...(originatingTLS === undefined ? {} : { originatingTLS }),
    ...(listener === undefined ? {} : { listener }),
  };
  return {
    ...(isAsked === undefined && serverNames.length === 0 ? {} : { proxy }),
    ...(written === undefined ? {} : { l7: written }),
  };
}

/** Ports that layer 7 rules can be for: those of TCP, but for DNS. Listeners and names of TLS take any. */
export function checkL7Ports(
  place: Place,
  { key, isEmpty }: Written,
  matches: readonly PortMatch[],
  scope: PortScope,
): void {
  if (key === 'dns' && (!isEmpty || matches.length === 0)) return checkDnsPorts(place, matches, scope);
  const other = matches.find((match) => match.kind === 'icmp' || match.protocol !== 6);
  if (other !== undefined) {
    const name = other.kind === 'icmp' ? 'ICMP' : protocolName(other.protocol);
    const hint = isEmpty ? 'remove the empty list, or write protocol: TCP' : 'write protocol: TCP';
    fail(place, 'POLICY_L7', `L7 rules can only apply to TCP (not ${name})`, hint);
  } else if (matches.some(isFromZero)) {
    fail(place, 'POLICY_L7', 'L7 rules can not be used when a port is 0', 'name the ports');
  }
}

/** Every port, or a range that port 0 begins. */
function isFromZero(match: PortMatch): boolean {
  return match.kind === 'protocol' || (match.kind === 'ports' && match.first === 0);
}

function checkDnsPorts(place: Place, matches: readonly PortMatch[], { direction }: PortScope): void {
  if (direction === 'ingress') {
    fail(place, 'POLICY_DNS', 'DNS rules are not allowed on ingress', 'write them for the client, at egress');
  } else if (matches.length === 0 || matches.some((match) => match.kind === 'protocol')) {
    fail(place, 'POLICY_DNS', 'port 53 must be specified for DNS rules', 'add ports: [{port: "53"}]');
  } else if (matches.some((match) => match.kind === 'ports' && match.last > match.first)) {
    fail(place, 'POLICY_DNS', 'DNS rules do not support port ranges');
  } else if (
    matches.some(
      (match) =>
        match.kind !== 'icmp' && match.protocol !== 6 && match.protocol !== 17 && match.protocol !== 132,
    )
  ) {
    fail(place, 'POLICY_DNS', 'DNS rules apply to TCP, UDP or ANY only');
  }
}

interface ReadRules {
  readonly l7?: Written;
  readonly rules?: L7Rules | undefined;
}

/** The one parser that is written, with its rules; nothing when a problem was noted. */
function readRules(place: Place, scope: PortScope): ReadRules {
  const fields = readMap(place, RULE_KEYS, 'layer 7 rules');
  if (fields === undefined) return {};
  const nothing = (message: string, hint?: string): ReadRules => {
    fail(place, 'POLICY_L7', message, hint);
    return {};
  };
  const written = RULE_KEYS.filter((key) => fields.has(key));
  for (const key of written) if (!isPossible(fields.get(key) ?? place, key, scope)) return {};
  const parsers = written.filter((key) => key !== 'l7');
  if (parsers.length > 1) {
    const message = `multiple L7 protocol rule types in one port rule: ${parsers.join(', ')}`;
    return nothing(message, 'write one port rule each');
  }
  const [key] = parsers;
  if (key === undefined) {
    if (written.length > 0) return nothing("'l7' may only be specified when a 'l7proto' is also specified");
    return nothing('rules need http, kafka, dns or l7proto', 'remove rules for no restriction');
  }
  const listPlace = fields.get(key === 'l7proto' ? 'l7' : key);
  const items = listPlace === undefined ? [] : readList(listPlace, 'rules');
  if (items === undefined) return {};
  if (key === 'l7proto')
    return { l7: { key, isEmpty: false }, rules: readNamed(fields.get(key) ?? place, items) };
  const isEmpty = items.length === 0;
  return { l7: { key, isEmpty }, rules: isEmpty ? undefined : readParser(key, items) };
}

function readParser(key: 'http' | 'kafka' | 'dns', items: readonly Place[]): L7Rules | undefined {
  if (key === 'http') return whole('http', items, items.map(readHttpRule));
  if (key === 'kafka') return whole('kafka', items, items.map(readKafkaRule));
  const names = items.map(readDnsRule).filter((n) => n !== undefined);
  return names.length < items.length ? undefined : { kind: 'dns', rules: names.flat() };
}

function readNamed(place: Place, items: readonly Place[]): L7Rules | undefined {
  const parser = readText(place);
  if (parser === '') return fail(place, 'POLICY_L7', 'l7proto is empty');
  const rules = items.map(readNamedRule).filter((rule) => rule !== undefined);
  return parser === undefined ? undefined : { kind: 'l7proto', parser, rules };
}

function whole<K extends 'http' | 'kafka', R>(
  kind: K,
  items: readonly Place[],
  rules: readonly (R | undefined)[],
) {
  const good = rules.filter((rule): rule is R & {} => rule !== undefined);
  return good.length < items.length ? undefined : ({ kind, rules: good } as unknown as L7Rules & { kind: K });
}

function readServerNames(portRule: Fields, scope: PortScope): readonly string[] {
  const place = portRule.get('serverNames');
  const items = place === undefined ? [] : readList(place, 'server names');
  if (place === undefined || items === undefined) return [];
  if (items.length === 0) {
    fail(place, 'POLICY_L7', 'serverNames needs at least one entry', 'remove it');
    return [];
  }
  if (!isPossible(place, 'serverNames', scope)) return [];
  const names = items.map((item) => {
    const text = readText(item);
    if (text === '') return fail(item, 'POLICY_L7', 'empty server name');
    const isName =
      text !== undefined &&
      text.length <= 255 &&
      /^(\*{1,2}\.)?[-a-zA-Z0-9_]+(\.[-a-zA-Z0-9_]+)*\.?$/.test(text);
    if (text === undefined || isName) return text?.toLowerCase().replace(/\.$/, '');
    return fail(
      item,
      'POLICY_L7',
      `${quote(text)} is no server name`,
      'a name, with *. or **. before it at most',
    );
  });
  return [...new Set(names.filter((name) => name !== undefined))].sort();
}

function readTls(
  portRule: Fields,
  key: 'terminatingTLS' | 'originatingTLS',
  scope: PortScope,
): TlsContext | undefined {
  const place = portRule.get(key);
  if (place === undefined || !isPossible(place, key, scope)) return undefined;
  const parts = ['trustedCA', 'certificate', 'privateKey'] as const;
  const fields = readMap(place, ['secret', ...parts], 'a TLS context');
  const secretPlace = fields?.get('secret');
  if (fields === undefined) return undefined;
  if (secretPlace === undefined)
    return fail(place, 'POLICY_L7', 'Secret name missing', 'add secret: {name: …}');
  const secret = readSecret(secretPlace);
  const texts = parts.flatMap((part) => {
    const value = fields.get(part);
    const text = value === undefined ? undefined : readText(value);
    return text === undefined ? [] : [[part, text] as const];
  });
  return secret && { secret, ...Object.fromEntries(texts) };
}

const ENVOY_KINDS = ['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'];

function readListener(place: Place, scope: PortScope): ListenerRef | undefined {
  if (scope.direction === 'ingress')
    return fail(place, 'POLICY_LISTENER', 'Listener is not allowed on ingress');
  if (!isPossible(place, 'listener', scope)) return undefined;
  const fields = readMap(place, ['envoyConfig', 'name', 'priority'], 'a listener');
  if (fields === undefined) return undefined;
  const namePlace = fields.get('name');
  const name = namePlace === undefined ? '' : readText(namePlace);
  const configPlace = fields.get('envoyConfig');
  if (name === '' || configPlace === undefined) {
    return fail(place, 'POLICY_LISTENER', 'a listener needs envoyConfig and name');
  }
  const config = readMap(configPlace, ['kind', 'name'], 'an envoyConfig');
  if (config === undefined || name === undefined) return undefined;
  const kindPlace = config.get('kind');
  const configNamePlace = config.get('name');
  const kind =
    kindPlace === undefined ? (scope.isNamespaced ? ENVOY_KINDS[0] : ENVOY_KINDS[1]) : readText(kindPlace);
  const configName = configNamePlace === undefined ? '' : readText(configNamePlace);
  if (kind === undefined || configName === undefined) return undefined;
  if (!ENVOY_KINDS.includes(kind)) {
    return fail(
      kindPlace ?? place,
      'POLICY_LISTENER',
      `unknown kind ${quote(kind)}`,
      ENVOY_KINDS.join(' or '),
    );
  }
  if (!scope.isNamespaced && kind === 'CiliumEnvoyConfig') {
    const message = 'a cluster-wide policy cannot use a CiliumEnvoyConfig, which has a namespace';
    return fail(kindPlace ?? place, 'POLICY_LISTENER', message, 'use a CiliumClusterwideEnvoyConfig');
  }
  if (configName === '') return fail(configPlace, 'POLICY_LISTENER', 'envoyConfig.name is missing');
  const priorityPlace = fields.get('priority');
  const priority = priorityPlace === undefined ? undefined : readInteger(priorityPlace, 1, 100);
  if (priorityPlace !== undefined && priority === undefined) return undefined;
  return { envoyConfig: { kind, name: configName }, name, ...(priority === undefined ? {} : { priority }) };
}

/** Whether the feature exists for this kind of policy; notes why not. */
function isPossible(place: Place, name: string, scope: PortScope): boolean {
  if (scope.options.l7Proxy === false) {
    const message = 'L7 policy is not supported since L7 proxy is not enabled';
    fail(place, 'POLICY_L7', message, 'set enable-l7-proxy: true in the configuration');
    return false;
  }
  if (!scope.isHost || (scope.direction === 'egress' && name === 'dns')) return true;
  const message =
    scope.direction === 'ingress'
      ? 'L7 policy is not supported on host ingress yet'
      : `L7 protocol ${name} is not supported on host egress yet`;
  fail(place, 'POLICY_L7', message, 'remove it; host policies take ports');
  return false;
}
