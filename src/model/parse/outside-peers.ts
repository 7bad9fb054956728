/** Peers that are found outside of labels and CIDRs: Services, DNS names, cloud groups (policy.md §4.4 to §4.6). */
import { fail, type Place, quote, readList, readMap, readText } from '../document/index.ts';
import { canonicalName, nameFault, patternFault } from '../fqdn.ts';
import type { PeerSelector } from '../policy.ts';
import { selectorOf } from '../selector.ts';
import { readLabelMap } from './metadata.ts';
import type { PeerScope } from './scope.ts';
import { readSelector } from './selector.ts';

/** One entry of `toServices`. */
export function readService(place: Place, scope: PeerScope): PeerSelector | undefined {
  const fields = readMap(place, ['k8sService', 'k8sServiceSelector'], 'a service');
  if (fields === undefined) return undefined;
  const named = fields.get('k8sService');
  const selected = fields.get('k8sServiceSelector');
  if ((named === undefined) === (selected === undefined)) {
    return fail(place, 'POLICY_SCHEMA', 'one of k8sService and k8sServiceSelector is required');
  }
  const key = named === undefined ? 'selector' : 'serviceName';
  const inner = readMap(named ?? selected ?? place, [key, 'namespace'], 'a service');
  if (inner === undefined) return undefined;
  const namespacePlace = inner.get('namespace');
  const namespace = namespacePlace === undefined ? '' : readText(namespacePlace);
  const value = inner.get(key);
  if (value === undefined) return fail(inner.place, 'POLICY_SCHEMA', `${key} is missing`);
  const by = key === 'serviceName' ? readName(value) : readSelected(value);
  if (namespace === undefined || by === undefined) return undefined;
  return {
    kind: 'service',
    namespace: namespace === '' ? undefined : namespace,
    by,
    cluster: scope.localCluster,
  };
}

function readName(place: Place): { readonly name: string } | undefined {
  const name = readText(place);
  if (name === '') return fail(place, 'POLICY_SCHEMA', 'serviceName is empty');
  return name === undefined ? undefined : { name };
}

function readSelected(place: Place) {
  const requirements = readSelector(place);
  return requirements && { selector: selectorOf(requirements) };
}

/** One entry of `toFQDNs`. */
export function readFqdn(place: Place): PeerSelector | undefined {
  const patterns = readNames(place, 'a DNS name', false);
  const [pattern] = patterns ?? [];
  return pattern === undefined ? undefined : { kind: 'fqdn', pattern };
}

/** The canonical name and pattern of an entry; only a rule of the DNS proxy may have both. */
export function readNames(place: Place, what: string, mayHaveBoth: boolean): readonly string[] | undefined {
  const fields = readMap(place, ['matchName', 'matchPattern'], what);
  if (fields === undefined) return undefined;
  const out: string[] = [];
  for (const [key, Name, fault] of [
    ['matchName', 'MatchName', nameFault],
    ['matchPattern', 'MatchPattern', patternFault],
  ] as const) {
    const value = fields.get(key);
    const text = value === undefined ? '' : readText(value);
    if (value === undefined || text === undefined || text === '') continue;
    const wrong = fault(text);
    if (wrong === undefined) out.push(canonicalName(text));
    else return fail(value, 'POLICY_DNS', `Invalid characters in ${Name}: ${quote(text)}`, wrong);
  }
  if (out.length === 2 && !mayHaveBoth) {
    return fail(place, 'POLICY_DNS', 'only one of MatchName or MatchPattern is allowed', 'write two entries');
  }
  if (out.length === 0) return fail(place, 'POLICY_DNS', 'one of matchName and matchPattern is required');
  return out;
}

/** One entry of `fromGroups` or `toGroups`. */
export function readCloudGroup(place: Place, providers: readonly string[]): PeerSelector | undefined {
  const aws = readMap(place, ['aws'], 'a group')?.get('aws');
  if (place.tree.kind === 'map' && aws === undefined) return fail(place, 'POLICY_SCHEMA', 'aws is missing');
  const fields =
    aws && readMap(aws, ['labels', 'securityGroupsIds', 'securityGroupsNames', 'region'], 'an AWS group');
  if (aws === undefined || fields === undefined) return undefined;
  if (!providers.includes('aws')) {
    const message = 'nobody tells the members of AWS groups here: no provider is registered';
    return fail(aws, 'NOT_SUPPORTED_YET', message, 'write the addresses as a CIDR set');
  }
  const texts = (key: string) => {
    const list = fields.get(key);
    const items = list === undefined ? [] : (readList(list, 'texts') ?? []);
    return items
      .map(readText)
      .filter((text) => text !== undefined)
      .sort();
  };
  const labelsPlace = fields.get('labels');
  const labels = labelsPlace === undefined ? {} : readLabelMap(labelsPlace, 'LABEL_SYNTAX');
  const regionPlace = fields.get('region');
  const region = regionPlace === undefined ? undefined : readText(regionPlace);
  if (labels === undefined) return undefined;
  const [ids, names] = [texts('securityGroupsIds'), texts('securityGroupsNames')];
  if (ids.length + names.length + Object.keys(labels).length === 0) {
    return fail(aws, 'POLICY_EMPTY', 'a group needs ids, names or labels');
  }
  return { kind: 'cloudGroup', provider: 'aws', ids, names, region, labels };
}
