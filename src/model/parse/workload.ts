/** `merlon.io/v1` Workload: an endpoint that stands behind a device of this node (HF-11.7, HF §13). */
import { formatCidrOrIp, parseCidrOrIp } from '#kit/ip';
import {
  contentHashOf,
  type Fields,
  fail,
  type Place,
  placeAt,
  quote,
  readList,
  readMap,
  readAnyMap,
  readText,
  readTextOrNumber,
  warn,
} from '../document/index.ts';
import { isAgentLabelKey, podLabels } from '../labels.ts';
import type { NamedPort } from '../policy.ts';
import { PORT_PROTOCOLS } from '../protocol.ts';
import type { WorkloadRow } from '../rows.ts';
import { checkAnnotations, readLabelMap, readMetadata } from './metadata.ts';
import type { ParseOptions } from './options.ts';

/** The workload in a document; undefined when a problem was noted. */
export function readWorkload(object: Fields, options: ParseOptions): WorkloadRow | undefined {
  const { report } = object.place;
  const before = report.problems.length;
  const metadata = readMetadata(object, true);
  if (metadata !== undefined) checkAnnotations(metadata, 'Workload', false);
  const specPlace = object.get('spec');
  if (specPlace === undefined) return fail(object.place, 'MANIFEST_SCHEMA', 'spec is missing');
  const spec = readMap(specPlace, ['hostDevice', 'addresses', 'labels', 'namedPorts'], 'a workload spec');
  if (spec === undefined) return undefined;
  const hostDevice = readDevice(spec);
  const addresses = readAddresses(spec);
  const labels = readLabels(spec);
  const namedPorts = readNamedPorts(spec);
  if (metadata?.namespace === undefined || report.problems.length > before) return undefined;
  if (hostDevice === undefined || addresses === undefined || labels === undefined) return undefined;
  if (namedPorts === undefined) return undefined;
  const { name, namespace } = metadata;
  const origin = { namespace, cluster: options.clusterName };
  const row = {
    key: `${namespace}/${name}`,
    namespace,
    name,
    hostDevice,
    addresses,
    labels: podLabels(origin, labels),
    ...(namedPorts.length === 0 ? {} : { namedPorts }),
    source: options.source,
  };
  return {
    ...row,
    at: placeAt(object.place),
    contentHash: contentHashOf({ ...row, labels: row.labels.key }),
  };
}

function readDevice(spec: Fields): string | undefined {
  const place = spec.get('hostDevice');
  if (place === undefined)
    return fail(
      spec.place,
      'MANIFEST_SCHEMA',
      'hostDevice is missing',
      'the device on the node that leads to it',
    );
  const text = readText(place);
  if (text === undefined || isDeviceName(text)) return text;
  return fail(
    place,
    'MANIFEST_SCHEMA',
    `${quote(text)} is no device name`,
    'at most 15 characters, no / and no space',
  );
}

/** Whether the kernel takes this as the name of a link. */
function isDeviceName(text: string): boolean {
  return (
    text !== '' && text !== '.' && text !== '..' && Buffer.byteLength(text) <= 15 && !/[\s/:]/.test(text)
  );
}

function readAddresses(spec: Fields): readonly string[] | undefined {
  const place = spec.get('addresses');
  if (place === undefined)
    return fail(spec.place, 'MANIFEST_SCHEMA', 'addresses is missing', 'list what it may use as source');
  const items = readList(place, 'addresses');
  if (items === undefined) return undefined;
  if (items.length === 0)
    return fail(place, 'MANIFEST_SCHEMA', 'addresses is empty', 'list what it may use as source');
  const out = new Set<string>();
  for (const item of items) {
    const address = readAddress(item);
    if (address !== undefined && out.has(address))
      warn(item, 'address-repeated', `the address ${address} stands twice`);
    if (address !== undefined) out.add(address);
  }
  return [...out];
}

function readAddress(place: Place): string | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const cidr = parseCidrOrIp(text);
  if (cidr === undefined) {
    return fail(
      place,
      'ADDRESS_SYNTAX',
      `${quote(text)} is neither an address nor a CIDR`,
      'write it as 10.0.0.5 or fd00::/64',
    );
  }
  return formatCidrOrIp(cidr);
}

function readLabels(spec: Fields): Record<string, string> | undefined {
  const place = spec.get('labels');
  if (place === undefined) return {};
  const labels = readLabelMap(place, 'LABEL_SYNTAX');
  for (const key of Object.keys(labels ?? {})) {
    if (isAgentLabelKey(key))
      warn(
        place,
        'label-overridden',
        `the label ${key} is set by the agent; what is written here is ignored`,
      );
  }
  return labels;
}

/** `namedPorts: {http: 8080/TCP}`; the protocol is TCP when none is written. */
function readNamedPorts(spec: Fields): readonly NamedPort[] | undefined {
  const place = spec.get('namedPorts');
  const entries = place === undefined ? new Map() : readAnyMap(place, 'named ports');
  if (entries === undefined) return undefined;
  const out: NamedPort[] = [];
  for (const [name, { keyPlace, value }] of entries) {
    const isName = name.length <= 15 && /^[a-z0-9](-?[a-z0-9])*$/.test(name) && /[a-z]/.test(name);
    if (!isName) {
      const hint = 'at most 15 lower-case letters, digits and hyphens, one letter at least';
      fail(keyPlace, 'POLICY_PORT', `${quote(name)} is no name of a port`, hint);
    }
    const text = value === undefined ? '' : readTextOrNumber(value);
    const [, number = '', protocol = 'TCP'] = /^(\d{1,5})(?:\/([A-Za-z]+))?$/.exec(text ?? '') ?? [];
    const iana = Object.entries(PORT_PROTOCOLS).find(([key]) => key === protocol.toUpperCase())?.[1];
    const port = Number(number);
    if (iana !== undefined && port >= 1 && port <= 65535) out.push({ name, protocol: iana, port });
    else if (text !== undefined) {
      fail(value ?? keyPlace, 'POLICY_PORT', `unable to parse port: ${quote(text)}`, 'write it as 8080/TCP');
    }
  }
  return out.sort((a, b) => (a.name < b.name ? -1 : 1));
}
