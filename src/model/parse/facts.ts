/** CiliumCIDRGroup, Service and EndpointSlice: what policies refer to (policy.md §1, §4.1, §4.5). */
import { formatCidr, formatIp, parseCidr, parseIp } from '#kit/ip';
import {
  contentHashOf,
  type Fields,
  fail,
  type Place,
  placeAt,
  quote,
  readAnyMap,
  readList,
  readMap,
  readText,
  warn,
} from '../document/index.ts';
import {
  type CidrGroupRow,
  type EndpointSliceRow,
  groupLabels,
  type ServicePort,
  type ServiceRow,
} from '../facts.ts';
import { PORT_PROTOCOLS } from '../protocol.ts';
import { checkAnnotations, readLabelMap, readMetadata } from './metadata.ts';
import type { ParseOptions } from './options.ts';

/** Label of an EndpointSlice that names its Service. */
const LABEL_SERVICE_NAME = 'kubernetes.io/service-name';

/** The group in a document; undefined when a problem was noted. A prefix that is none is left out. */
export function readCidrGroup(object: Fields, options: ParseOptions): CidrGroupRow | undefined {
  const { report } = object.place;
  const before = report.problems.length;
  const metadata = readMetadata(object, false);
  if (metadata !== undefined) checkAnnotations(metadata, 'CiliumCIDRGroup', false);
  const specPlace = object.get('spec');
  if (specPlace === undefined) return fail(object.place, 'MANIFEST_SCHEMA', 'spec is missing');
  const place = readMap(specPlace, ['externalCIDRs'], 'a group spec')?.get('externalCIDRs');
  const items = place === undefined ? [] : (readList(place, 'CIDRs') ?? []);
  const cidrs = new Set<string>();
  for (const item of items) {
    const text = readText(item);
    const cidr = text === undefined ? undefined : parseCidr(text);
    if (cidr !== undefined) cidrs.add(formatCidr(cidr));
    else if (text !== undefined)
      warn(item, 'group-entry-ignored', `${quote(text)} is no CIDR and left out`, 'write it as 10.0.0.0/8');
  }
  if (metadata === undefined || report.problems.length > before) return undefined;
  const labels = groupLabels(metadata.labels);
  const row = { name: metadata.name, labels, cidrs: [...cidrs], source: options.source };
  return { ...row, at: placeAt(object.place), contentHash: contentHashOf(row) };
}

/** Fields of a Service's spec; all but the selector are for those who balance load. */
const SERVICE_KEYS = [
  'selector',
  'ports',
  'type',
  'clusterIP',
  'clusterIPs',
  'externalIPs',
  'externalName',
  'externalTrafficPolicy',
  'internalTrafficPolicy',
  'ipFamilies',
  'ipFamilyPolicy',
  'loadBalancerIP',
  'loadBalancerClass',
  'loadBalancerSourceRanges',
  'allocateLoadBalancerNodePorts',
  'healthCheckNodePort',
  'publishNotReadyAddresses',
  'sessionAffinity',
  'sessionAffinityConfig',
  'trafficDistribution',
] as const;

/** The Service in a document; undefined when a problem was noted. */
export function readService(object: Fields, options: ParseOptions): ServiceRow | undefined {
  const { report } = object.place;
  const before = report.problems.length;
  const metadata = readMetadata(object, true);
  if (metadata !== undefined) checkAnnotations(metadata, 'Service', false);
  const specPlace = object.get('spec');
  if (specPlace === undefined) return fail(object.place, 'MANIFEST_SCHEMA', 'spec is missing');
  const spec = readMap(specPlace, SERVICE_KEYS, 'a Service spec');
  const selectorPlace = spec?.get('selector');
  const selector = selectorPlace === undefined ? {} : readLabelMap(selectorPlace, 'LABEL_SYNTAX');
  warn(
    object.place,
    'service-not-balanced',
    'the Service counts for policies only: nothing is balanced to it',
  );
  if (metadata?.namespace === undefined || selector === undefined) return undefined;
  if (report.problems.length > before) return undefined;
  const { namespace, name, labels } = metadata;
  const row = {
    key: `${namespace}/${name}`,
    namespace,
    name,
    labels,
    selector: Object.keys(selector).length === 0 ? undefined : selector,
    ports: readServicePorts(spec?.get('ports')),
    source: options.source,
  };
  return { ...row, at: placeAt(object.place), contentHash: contentHashOf(row) };
}

/** Advice needs them; what is wrong with them is for those who balance load to say. */
function readServicePorts(place: Place | undefined): readonly ServicePort[] {
  const items = place?.tree.kind === 'list' ? place.tree.items : [];
  return items.flatMap((item): readonly ServicePort[] => {
    const value = (key: string) => {
      const entry = item.kind === 'map' ? item.entries.find((one) => one.key === key)?.value : undefined;
      return entry?.kind === 'scalar' ? entry.value : undefined;
    };
    const [port, targetPort, word] = [value('port'), value('targetPort'), value('protocol') ?? 'TCP'];
    const protocol = Object.entries(PORT_PROTOCOLS).find(([name]) => name === word)?.[1];
    if (typeof port !== 'number' || protocol === undefined) return [];
    const isTarget = typeof targetPort === 'number' || typeof targetPort === 'string';
    return [{ port, targetPort: isTarget ? targetPort : port, protocol }];
  });
}

/** The EndpointSlice in a document; undefined when a problem was noted. */
export function readEndpointSlice(object: Fields, options: ParseOptions): EndpointSliceRow | undefined {
  const { report } = object.place;
  const before = report.problems.length;
  const metadata = readMetadata(object, true);
  if (metadata !== undefined) checkAnnotations(metadata, 'EndpointSlice', false);
  const typePlace = object.get('addressType');
  const type = typePlace === undefined ? undefined : readText(typePlace);
  if (typePlace === undefined)
    fail(object.place, 'MANIFEST_SCHEMA', 'addressType is missing', 'IPv4 or IPv6');
  else if (type !== undefined && type !== 'IPv4' && type !== 'IPv6') {
    fail(typePlace, 'MANIFEST_SCHEMA', `addressType ${quote(type)} is not supported`, 'IPv4 or IPv6');
  }
  const service = metadata?.labels[LABEL_SERVICE_NAME];
  if (metadata !== undefined && service === undefined) {
    fail(
      object.place,
      'MANIFEST_SCHEMA',
      `the label ${LABEL_SERVICE_NAME} is missing`,
      'it names the Service',
    );
  }
  const addresses = readSliceAddresses(object);
  if (metadata?.namespace === undefined || service === undefined) return undefined;
  if (report.problems.length > before) return undefined;
  const { namespace, name } = metadata;
  const row = { key: `${namespace}/${name}`, namespace, name, service, addresses, source: options.source };
  return { ...row, at: placeAt(object.place), contentHash: contentHashOf(row) };
}

/** Addresses of all endpoints, those that are not ready too: a policy says who may be reached, not who answers. */
function readSliceAddresses(object: Fields): readonly string[] {
  const place = object.get('endpoints');
  const out = new Set<string>();
  for (const item of place === undefined ? [] : (readList(place, 'endpoints') ?? [])) {
    const list = readAnyMap(item, 'an endpoint')?.get('addresses')?.value;
    for (const one of list === undefined ? [] : (readList(list, 'addresses') ?? [])) {
      const text = readText(one);
      const ip = text === undefined ? undefined : parseIp(text);
      if (ip !== undefined) out.add(formatIp(ip));
      else if (text !== undefined) fail(one, 'ADDRESS_SYNTAX', `${quote(text)} is no address`);
    }
  }
  return [...out];
}
