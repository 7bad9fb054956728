/** The world of a case: nodes, namespaces, endpoints, services, groups, answers, options. */
import {
  type Fields,
  fail,
  type Place,
  quote,
  readAnyMap,
  readInteger,
  readList,
  readMap,
  readText,
  readWord,
} from '#model/document';
import { groupLabels, PORT_PROTOCOLS, type ServicePort } from '#model';
import { CONFIG_KEYS, type ConfigKey, labelFilterEntry, textList } from '#model/config';
import {
  type CaseAnswer,
  type CaseCidrGroup,
  type CaseConfig,
  type CaseEndpoint,
  type CaseNamespace,
  type CaseNode,
  type CaseService,
  type CaseWorld,
  DEFAULT_CASE_CONFIG,
} from './case.ts';
import {
  booleanOf,
  itemsOf,
  optionalText,
  readAddress,
  readName,
  readPrefix,
  requiredText,
  textMapOf,
  wordOf,
} from './fields.ts';

/** Top-level keys that make the world. */
export const WORLD_KEYS = [
  'config',
  'nodes',
  'namespaces',
  'endpoints',
  'services',
  'cidrGroups',
  'externalApiserver',
  'dns',
] as const;

/** Name of the node that endpoints are on unless they say otherwise. */
export const DEFAULT_NODE = 'node-a';

/** Reads those keys; problems go to the report. */
export function readWorld(top: Fields): CaseWorld {
  const world: CaseWorld = {
    config: readConfig(top),
    nodes: itemsOf(top, 'nodes', readNode),
    namespaces: itemsOf(top, 'namespaces', readNamespace),
    endpoints: itemsOf(top, 'endpoints', readEndpoint),
    services: itemsOf(top, 'services', readService),
    cidrGroups: itemsOf(top, 'cidrGroups', readCidrGroup),
    externalApiserver: itemsOf(top, 'externalApiserver', readAddress),
    dns: itemsOf(top, 'dns', readAnswer),
  };
  for (const key of ['nodes', 'namespaces', 'endpoints', 'services', 'cidrGroups'] as const) {
    checkNames(top, key, world[key]);
  }
  return world;
}

function checkNames(top: Fields, key: string, rows: readonly { readonly name: string }[]): void {
  const names = rows.map((row) => row.name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  const place = top.get(key);
  if (twice !== undefined && place !== undefined)
    fail(place, 'CASE_SCHEMA', `${quote(twice)} stands twice`, 'give each a name of its own');
}

/** The key of NodeConfig that an option of a case stands for: it may be written as that, or as its aliases. */
const NODE_KEYS: Partial<Record<keyof CaseConfig, ConfigKey>> = {
  policyEnforcementMode: 'enable-policy',
  auditMode: 'policy-audit-mode',
  enableIPv4: 'enable-ipv4',
  enableIPv6: 'enable-ipv6',
  clusterName: 'cluster-name',
  policyDefaultLocalCluster: 'policy-default-local-cluster',
  allowLocalhost: 'allow-localhost',
  hostFirewall: 'hostfw.enabled',
  nodeSelectorLabels: 'enable-node-selector-labels',
  policyCIDRMatchMode: 'policy-cidr-match-mode',
  extendedIPProtocols: 'enable-extended-ip-protocols',
  nonDefaultDenyPolicies: 'enable-non-default-deny-policies',
  l7Proxy: 'enable-l7-proxy',
  icmpRules: 'enable-icmp-rules',
  k8sNetworkPolicy: 'enable-k8s-networkpolicy',
  allowIcmpFragNeeded: 'allow-icmp-frag-needed',
  labels: 'identityLabels',
};

/** How an option may be written. */
function spellings(option: string): readonly string[] {
  const name = NODE_KEYS[option as keyof CaseConfig];
  return name === undefined ? [option] : [...new Set([option, name, ...CONFIG_KEYS[name].aliases])];
}

/** The options by their names in cases, however they are written. */
function readOptions(place: Place): Fields | undefined {
  const options = Object.keys(DEFAULT_CASE_CONFIG);
  const fields = readMap(place, options.flatMap(spellings), 'the options of a case');
  if (fields === undefined) return undefined;
  for (const option of options) {
    const [, second] = spellings(option).filter((key) => fields.has(key));
    const twice = second === undefined ? undefined : fields.get(second);
    if (twice !== undefined) fail(twice, 'CASE_SCHEMA', `${second} is ${option}, which is there`, 'keep one');
  }
  const get = (option: string) =>
    spellings(option)
      .map((key) => fields.get(key))
      .find((found) => found !== undefined);
  return { place, get, has: (option) => get(option) !== undefined };
}

function readConfig(top: Fields): CaseConfig {
  const place = top.get('config');
  const fields = place && readOptions(place);
  if (fields === undefined) return DEFAULT_CASE_CONFIG;
  const d = DEFAULT_CASE_CONFIG;
  const flag = (key: keyof CaseConfig) => booleanOf(fields, key, d[key] === true);
  const isLocalhost = ['always', 'auto', 'policy'] as const;
  return {
    policyEnforcementMode: wordOf(
      fields,
      'policyEnforcementMode',
      ['default', 'always', 'never'],
      d.policyEnforcementMode,
    ),
    auditMode: flag('auditMode'),
    enableIPv4: flag('enableIPv4'),
    enableIPv6: flag('enableIPv6'),
    clusterName: optionalText(fields, 'clusterName') ?? d.clusterName,
    policyDefaultLocalCluster: flag('policyDefaultLocalCluster'),
    allowLocalhost: wordOf(fields, 'allowLocalhost', isLocalhost, d.allowLocalhost),
    hostFirewall: flag('hostFirewall'),
    nodeSelectorLabels: flag('nodeSelectorLabels'),
    policyCIDRMatchMode: itemsOf(fields, 'policyCIDRMatchMode', (item) => readWord(item, ['nodes', 'pods'])),
    extendedIPProtocols: flag('extendedIPProtocols'),
    nonDefaultDenyPolicies: flag('nonDefaultDenyPolicies'),
    l7Proxy: flag('l7Proxy'),
    icmpRules: flag('icmpRules'),
    k8sNetworkPolicy: flag('k8sNetworkPolicy'),
    allowIcmpFragNeeded: flag('allowIcmpFragNeeded'),
    labels: readLabelFilter(fields),
    groups: readGroups(fields),
    authenticatedPairs: itemsOf(fields, 'authenticatedPairs', readPair),
  };
}

/** A list, or one text with spaces between, as Helm has it. */
function readLabelFilter(config: Fields): readonly string[] {
  const place = config.get('labels');
  return place === undefined ? [] : (textList(labelFilterEntry, /\s+/).read(place) ?? []);
}

function readGroups(config: Fields): CaseConfig['groups'] {
  const place = config.get('groups');
  const out: Record<string, readonly string[]> = {};
  for (const [id, { value }] of (place && readAnyMap(place, 'groups')) ?? []) {
    const items = value === undefined ? [] : (readList(value, 'addresses') ?? []);
    out[id] = items.map(readPrefix).filter((text) => text !== undefined);
  }
  return out;
}

function readPair(place: Place): readonly [string, string] | undefined {
  const items = readList(place, 'two parties');
  if (items === undefined) return undefined;
  const [from, to] = items.map(readText);
  if (items.length === 2 && from !== undefined && to !== undefined) return [from, to];
  return fail(place, 'CASE_SCHEMA', 'a pair has two parties', 'write [shop/frontend, shop/backend]');
}

function readNode(place: Place): CaseNode | undefined {
  const fields = readMap(place, ['name', 'labels', 'ips', 'cluster', 'kubeApiserver'], 'a node');
  const name = fields && requiredText(fields, 'name');
  if (fields === undefined || name === undefined) return undefined;
  return {
    name,
    labels: textMapOf(fields, 'labels'),
    ips: itemsOf(fields, 'ips', readAddress),
    cluster: optionalText(fields, 'cluster'),
    kubeApiserver: booleanOf(fields, 'kubeApiserver', false),
  };
}

function readNamespace(place: Place): CaseNamespace | undefined {
  const fields = readMap(place, ['name', 'labels'], 'a namespace');
  const name = fields && requiredText(fields, 'name');
  return fields && name === undefined
    ? undefined
    : fields && { name: name ?? '', labels: textMapOf(fields, 'labels') };
}

const ENDPOINT_KEYS = [
  'name',
  'labels',
  'ips',
  'node',
  'cluster',
  'hostNetwork',
  'serviceAccount',
  'namedPorts',
  'init',
] as const;

function readEndpoint(place: Place): CaseEndpoint | undefined {
  const fields = readMap(place, ENDPOINT_KEYS, 'an endpoint');
  const name = fields && readName(fields);
  if (fields === undefined || name === undefined) return undefined;
  return {
    name,
    labels: textMapOf(fields, 'labels'),
    ips: itemsOf(fields, 'ips', readPrefix),
    node: optionalText(fields, 'node') ?? DEFAULT_NODE,
    cluster: optionalText(fields, 'cluster'),
    hostNetwork: booleanOf(fields, 'hostNetwork', false),
    serviceAccount: optionalText(fields, 'serviceAccount') ?? 'default',
    namedPorts: readNamedPorts(fields),
    init: booleanOf(fields, 'init', false),
  };
}

function readNamedPorts(endpoint: Fields): CaseEndpoint['namedPorts'] {
  const place = endpoint.get('namedPorts');
  const out: CaseEndpoint['namedPorts'][number][] = [];
  for (const [name, { keyPlace, value }] of (place && readAnyMap(place, 'namedPorts')) ?? []) {
    if (value === undefined) continue;
    // A bare number is a port that lacks its protocol.
    const text = value.tree.kind === 'scalar' ? value.tree.text : readText(value);
    if (text === undefined) continue;
    const [, digits, word] = /^(\d+)\/(\w+)$/.exec(text) ?? [];
    const protocol = protocolOf(word ?? '');
    const port = Number(digits);
    if (protocol !== undefined && port > 0 && port < 65536)
      out.push({ name: name.toLowerCase(), port, protocol });
    else fail(keyPlace, 'CASE_SCHEMA', `${quote(text)} is no port`, 'write it as 8080/TCP');
  }
  return out;
}

/** TCP, UDP or SCTP. */
function protocolOf(word: string): number | undefined {
  return Object.entries(PORT_PROTOCOLS).find(([name]) => name === word.toUpperCase())?.[1];
}

function readService(place: Place): CaseService | undefined {
  const keys = ['name', 'labels', 'selector', 'ports', 'clusterIP', 'backends'];
  const fields = readMap(place, keys, 'a service');
  const name = fields && readName(fields);
  if (fields === undefined || name === undefined) return undefined;
  const clusterIP = fields.get('clusterIP');
  const backends = itemsOf(fields, 'backends', readAddress);
  const labels = textMapOf(fields, 'selector');
  // As Kubernetes has it, a selector without labels is none.
  const selector = Object.keys(labels).length === 0 ? undefined : labels;
  if (selector !== undefined && backends.length > 0) {
    return fail(fields.place, 'CASE_SCHEMA', 'a service with a selector has no backends of its own');
  }
  return {
    name,
    labels: textMapOf(fields, 'labels'),
    selector,
    ports: itemsOf(fields, 'ports', readServicePort),
    clusterIP: clusterIP && readAddress(clusterIP),
    backends,
  };
}

function readServicePort(place: Place): ServicePort | undefined {
  const fields = readMap(place, ['port', 'targetPort', 'protocol'], 'a service port');
  if (fields === undefined) return undefined;
  const portPlace = fields.get('port');
  if (portPlace === undefined) return fail(fields.place, 'CASE_SCHEMA', 'port is missing');
  const port = readInteger(portPlace, 1, 65535);
  const target = fields.get('targetPort');
  const isName = target?.tree.kind === 'scalar' && typeof target.tree.value === 'string';
  const targetPort = target === undefined ? port : isName ? readText(target) : readInteger(target, 1, 65535);
  if (port === undefined || targetPort === undefined) return undefined;
  const protocol = PORT_PROTOCOLS[wordOf(fields, 'protocol', ['TCP', 'UDP', 'SCTP'], 'TCP')];
  return { port, targetPort, protocol };
}

function readCidrGroup(place: Place): CaseCidrGroup | undefined {
  const fields = readMap(place, ['name', 'labels', 'cidrs'], 'a CIDR group');
  const name = fields && requiredText(fields, 'name');
  if (fields === undefined || name === undefined) return undefined;
  const labels = groupLabels(textMapOf(fields, 'labels'));
  return { name, labels, cidrs: itemsOf(fields, 'cidrs', readPrefix) };
}

function readAnswer(place: Place): CaseAnswer | undefined {
  const fields = readMap(place, ['name', 'ips', 'by'], 'an answer');
  const name = fields && requiredText(fields, 'name');
  if (fields === undefined || name === undefined) return undefined;
  return { name, ips: itemsOf(fields, 'ips', readAddress), by: optionalText(fields, 'by') };
}
