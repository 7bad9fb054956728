/** Values of NodeConfig with a shape of their own. */
import { formatIp, parseIp } from '#kit/ip';
import { labelSet } from '#kit/labels';
import {
  type Fields,
  fail,
  type Place,
  quote,
  readInteger,
  readList,
  readMap,
  readText,
  readTextOrNumber,
  readWord,
} from '../document/index.ts';
import { HOST_PROTOCOLS, hasPorts, PORT_PROTOCOLS, PORTLESS_PROTOCOLS } from '../protocol.ts';
import type { FailsafeRow, NodeRow } from '../rows.ts';
import { cidr, either, isText, labelMap, list, type Type, word } from './types.ts';

/** A failsafe entry as written (HF-6.4). ICMP entries mean echo. */
export type FailsafeEntry = Omit<FailsafeRow, 'entry' | 'why'>;

const FAILSAFE_PROTOCOLS: Readonly<Record<string, number>> = {
  ICMP: 1,
  ICMPV6: 58,
  ...PORT_PROTOCOLS,
  ...PORTLESS_PROTOCOLS,
  ...HOST_PROTOCOLS,
};

const failsafeEntry: Type<FailsafeEntry> = {
  name: '{direction, protocol, port, endPort, cidrs, device}',
  read: (place) => {
    const keys = ['direction', 'protocol', 'port', 'endPort', 'cidrs', 'device'];
    const fields = readMap(place, keys, 'a failsafe entry');
    if (fields === undefined) return undefined;
    const direction = required(fields, 'direction', (p) =>
      readWord(p, ['in', 'out'] as const, 'CONFIG_VALUE'),
    );
    const protocol = required(fields, 'protocol', readProtocol);
    if (direction === undefined || protocol === undefined) return undefined;
    const needsPort = hasPorts(protocol);
    const portPlace = fields.get('port');
    if (needsPort && portPlace === undefined) {
      return fail(place, 'CONFIG_VALUE', 'port is missing', 'every failsafe entry names its port');
    }
    if (!needsPort && portPlace !== undefined) {
      return fail(portPlace, 'CONFIG_VALUE', 'the protocol has no ports', 'remove port');
    }
    const port = portPlace === undefined ? 0 : readInteger(portPlace, 1, 65535);
    const endPlace = fields.get('endPort');
    const endPort = endPlace === undefined ? port : readInteger(endPlace, port ?? 1, 65535);
    const cidrsPlace = fields.get('cidrs');
    const cidrs = cidrsPlace === undefined ? ['0.0.0.0/0', '::/0'] : list(cidr).read(cidrsPlace);
    if (cidrs?.length === 0 && cidrsPlace !== undefined) {
      return fail(
        cidrsPlace,
        'CONFIG_VALUE',
        'an entry without peers does nothing',
        'remove cidrs for any peer',
      );
    }
    const devicePlace = fields.get('device');
    const device = devicePlace === undefined ? '' : readText(devicePlace);
    if (port === undefined || endPort === undefined || cidrs === undefined || device === undefined)
      return undefined;
    return { direction, protocol, port, endPort, cidrs, device };
  },
};

function required<T>(fields: Fields, key: string, read: (place: Place) => T | undefined): T | undefined {
  const place = fields.get(key);
  if (place === undefined) return fail(fields.place, 'CONFIG_SCHEMA', `${key} is missing`);
  return read(place);
}

function readProtocol(place: Place): number | undefined {
  const text = readTextOrNumber(place);
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text) && Number(text) <= 255) return Number(text);
  const name = text.toUpperCase();
  if (Object.hasOwn(FAILSAFE_PROTOCOLS, name)) return FAILSAFE_PROTOCOLS[name];
  return fail(place, 'CONFIG_VALUE', `${quote(text)} is no protocol`, 'TCP, UDP, ICMP, ICMPv6 or a number');
}

/** `auto` or a list of entries. */
export const failsafeEntries: Type<'auto' | readonly FailsafeEntry[]> = either(
  word('auto'),
  isText,
  list(failsafeEntry),
);

/** A node as written (HF-11.6); its labels have the source `node`. The cluster is empty for the local one. */
const node: Type<NodeRow> = {
  name: '{name, addresses, labels, cluster}',
  read: (place) => {
    const fields = readMap(place, ['name', 'addresses', 'labels', 'cluster'], 'a node');
    if (fields === undefined) return undefined;
    const name = required(fields, 'name', readText);
    const addressesPlace = fields.get('addresses');
    if (addressesPlace === undefined) return fail(place, 'CONFIG_SCHEMA', 'addresses is missing');
    const items = readList(addressesPlace, 'addresses') ?? [];
    const addresses = items.map(readAddress).filter((a) => a !== undefined);
    const labelsPlace = fields.get('labels');
    const labels = labelsPlace === undefined ? {} : labelMap.read(labelsPlace);
    const clusterPlace = fields.get('cluster');
    const cluster = clusterPlace === undefined ? '' : readText(clusterPlace);
    if (name === undefined || labels === undefined || cluster === undefined) return undefined;
    if (name === '') return fail(place, 'CONFIG_VALUE', 'name is empty');
    if (items.length === 0) return fail(addressesPlace, 'CONFIG_VALUE', 'a node needs at least one address');
    if (addresses.length < items.length) return undefined;
    const own = Object.entries(labels).map(([key, value]) => ({ source: 'node', key, value }));
    return { name, cluster, addresses, labels: labelSet(own) };
  },
};

function readAddress(place: Place): string | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  const ip = parseIp(text);
  if (ip !== undefined) return formatIp(ip);
  return fail(place, 'CONFIG_VALUE', `${quote(text)} is no address`, 'a node is known by single addresses');
}

/** The known nodes; a name counts once per cluster. */
export const nodes: Type<readonly NodeRow[]> = {
  name: `list of ${node.name}`,
  read: (place) => {
    const rows = list(node).read(place);
    const seen = new Set<string>();
    for (const row of rows ?? []) {
      const key = `${row.cluster}/${row.name}`;
      if (seen.has(key))
        return fail(
          place,
          'CONFIG_CONFLICT',
          `the node ${quote(row.name)} stands twice in the list`,
          'keep one of them',
        );
      seen.add(key);
    }
    return rows;
  },
};
