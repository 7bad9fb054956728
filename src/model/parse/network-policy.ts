/**
 * Kubernetes NetworkPolicy → `Policy` (policy.md §11): allow rules only, default deny on, the same internal form
 * as any other policy. Where the reference differs from Kubernetes, Kubernetes counts: a direction that
 * `policyTypes` does not list is left alone, and an `ipBlock` means external addresses only.
 */
import { parseCidr } from '#kit/ip';
import {
  type Fields,
  fail,
  type Place,
  placeAt,
  quote,
  readList,
  readMap,
  readText,
  warn,
} from '../document/index.ts';
import { LABEL_CLUSTER, LABEL_NAMESPACE, LABEL_NAMESPACE_LABELS } from '../labels.ts';
import type { Direction, Peers, PeerSelector, Policy, PolicySpec, Requirement, Rule } from '../policy.ts';
import { policyTitle } from '../policy.ts';
import { equals, exists, selectorOf } from '../selector.ts';
import { checkAnnotations, readMetadata } from './metadata.ts';
import type { ParseOptions } from './options.ts';
import { readCidrWithExcept } from './peers.ts';
import { finishPolicy, inNamespace } from './policy.ts';
import { readNetworkPorts } from './ports.ts';
import { NOTHING_ASKED, readSelector, readWrittenSelector } from './selector.ts';

const KIND = 'NetworkPolicy';

/** What peers and ids take from the object around them. */
interface RuleScope {
  readonly namespace: string;
  readonly owner: string;
  readonly options: ParseOptions;
}

/** The policy in a document; undefined when a problem was noted. */
export function readNetworkPolicy(object: Fields, options: ParseOptions): Policy | undefined {
  const { report } = object.place;
  const before = report.problems.length;
  const metadata = readMetadata(object, true);
  if (metadata !== undefined) checkAnnotations(metadata, KIND, false);
  const specPlace = object.get('spec');
  if (specPlace === undefined) return fail(object.place, 'POLICY_EMPTY', 'spec is missing');
  const namespace = metadata?.namespace ?? 'default';
  const owner = policyTitle({ kind: KIND, namespace, name: metadata?.name ?? '?' });
  const spec = readSpec(specPlace, { namespace, owner, options });
  if (metadata === undefined || spec === undefined || report.problems.length > before) return undefined;
  const at = placeAt({ ...object.place, path: '' });
  const isEnforced = options.networkPolicies !== false;
  if (!isEnforced) warn(object.place, 'network-policies-off', 'ignored: enable-k8s-networkpolicy is false');
  return finishPolicy(KIND, metadata, isEnforced ? [spec] : [], at, options.source, report.warnings);
}

function readSpec(place: Place, scope: RuleScope): PolicySpec | undefined {
  const fields = readMap(place, ['podSelector', 'policyTypes', 'ingress', 'egress'], 'a NetworkPolicy spec');
  if (fields === undefined) return undefined;
  const podSelector = fields.get('podSelector');
  const subject = podSelector === undefined ? NOTHING_ASKED : readWrittenSelector(podSelector, ownKey);
  const written = readTypes(fields);
  const ingress = readRules(fields, 'ingress', scope);
  const egress = readRules(fields, 'egress', scope);
  if (subject === undefined || ingress === undefined || egress === undefined) return undefined;
  const types = written.length > 0 ? written : egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  const counts = { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
  for (const [direction, rules] of [
    ['ingress', ingress],
    ['egress', egress],
  ] as const) {
    if (rules.length === 0 || counts[direction]) continue;
    const type = direction === 'ingress' ? 'Ingress' : 'Egress';
    const message = `the ${direction} rules count for nothing: policyTypes does not list ${type}`;
    warn(fields.get(direction) ?? place, 'policy-types-mismatch', message, `add ${type} to policyTypes`);
  }
  const rulesOf = (direction: Direction, rules: readonly Rule[]): readonly Rule[] => {
    if (!counts[direction]) return [];
    return rules.length > 0 ? rules : [nothingAllowed(place, direction, scope)];
  };
  return {
    index: 0,
    subject: {
      kind: 'endpoints',
      selector: selectorOf(inNamespace(podSelector ?? place, subject, scope.namespace)),
    },
    defaultDeny: counts,
    rules: [...rulesOf('ingress', ingress), ...rulesOf('egress', egress)],
  };
}

/** A direction without rules is closed: what `ingress: [{}]` says in a CiliumNetworkPolicy. */
function nothingAllowed(place: Place, direction: Direction, { owner }: RuleScope): Rule {
  return allow(
    place,
    `${owner}/0/${direction}/0`,
    direction,
    { kind: 'list', selectors: [] },
    { kind: 'any' },
  );
}

function allow(place: Place, id: string, direction: Direction, peers: Peers, ports: Rule['ports']): Rule {
  return { id, at: placeAt(place), direction, verdict: 'allow', tier: 0, priority: 0, peers, ports };
}

function readTypes(spec: Fields): readonly string[] {
  const place = spec.get('policyTypes');
  const items = place === undefined ? [] : (readList(place, 'policy types') ?? []);
  return items.flatMap((item) => {
    const text = readText(item);
    if (text === undefined || text === 'Ingress' || text === 'Egress')
      return text === undefined ? [] : [text];
    fail(item, 'POLICY_SCHEMA', `unknown policy type ${quote(text)}`, 'Ingress or Egress');
    return [];
  });
}

function readRules(spec: Fields, direction: Direction, scope: RuleScope): readonly Rule[] | undefined {
  const place = spec.get(direction);
  const items = place === undefined ? [] : readList(place, 'rules');
  if (items === undefined) return undefined;
  const rules = items.map((item, i) =>
    readRule(item, `${scope.owner}/0/${direction}/${i}`, direction, scope),
  );
  const good = rules.filter((rule) => rule !== undefined);
  return good.length === items.length ? good : undefined;
}

function readRule(place: Place, id: string, direction: Direction, scope: RuleScope): Rule | undefined {
  const peersKey = direction === 'ingress' ? 'from' : 'to';
  const fields = readMap(place, [peersKey, 'ports'], `an ${direction} rule`);
  if (fields === undefined) return undefined;
  const peers = readPeers(fields.get(peersKey), scope);
  const ports = readNetworkPorts(fields.get('ports'));
  if (peers === undefined || ports === undefined) return undefined;
  return allow(place, id, direction, peers, ports);
}

/** A missing or empty list is every peer, the outside included. */
function readPeers(place: Place | undefined, scope: RuleScope): Peers | undefined {
  const items = place === undefined ? [] : readList(place, 'peers');
  if (items === undefined) return undefined;
  if (items.length === 0) return { kind: 'any' };
  const selectors = items.map((item) => readPeer(item, scope)).filter((s) => s !== undefined);
  return selectors.length === items.length ? { kind: 'list', selectors } : undefined;
}

function readPeer(place: Place, scope: RuleScope): PeerSelector | undefined {
  const fields = readMap(place, ['podSelector', 'namespaceSelector', 'ipBlock'], 'a peer');
  if (fields === undefined) return undefined;
  const ipBlock = fields.get('ipBlock');
  const pods = fields.get('podSelector');
  const namespaces = fields.get('namespaceSelector');
  if (ipBlock !== undefined) {
    if (pods === undefined && namespaces === undefined) return readIpBlock(ipBlock);
    return fail(ipBlock, 'POLICY_COMBINATION', 'ipBlock cannot stand beside a selector', 'write two peers');
  }
  if (pods === undefined && namespaces === undefined) {
    return fail(place, 'POLICY_SCHEMA', 'a peer needs podSelector, namespaceSelector or ipBlock');
  }
  const ofPods = pods === undefined ? NOTHING_ASKED : readWrittenSelector(pods, ownKey);
  const ofNamespaces = namespaces === undefined ? [] : readSelector(namespaces, namespaceKey);
  if (ofPods === undefined || ofNamespaces === undefined) return undefined;
  const meant =
    namespaces === undefined
      ? inNamespace(place, ofPods, scope.namespace)
      : [...ofPods.labels, ...ofPods.expressions, ...ofNamespaces, exists('k8s', LABEL_NAMESPACE)];
  return { kind: 'labels', selector: selectorOf(local(meant, scope)) };
}

/** Of this cluster, unless the selector names one itself. */
function local(requirements: readonly Requirement[], { options }: RuleScope): readonly Requirement[] {
  const isNamed = requirements.some((r) => r.key === LABEL_CLUSTER);
  if (isNamed || !options.policyDefaultLocalCluster) return requirements;
  return [...requirements, equals('k8s', LABEL_CLUSTER, options.clusterName)];
}

function readIpBlock(place: Place): PeerSelector | undefined {
  const fields = readMap(place, ['cidr', 'except'], 'an ipBlock');
  const cidrPlace = fields?.get('cidr');
  if (fields === undefined) return undefined;
  if (cidrPlace === undefined) return fail(place, 'POLICY_CIDR', 'cidr is missing', 'write it as 10.0.0.0/8');
  const text = readText(cidrPlace);
  if (text === undefined) return undefined;
  const cidr = parseCidr(text);
  if (cidr === undefined) {
    return fail(cidrPlace, 'POLICY_CIDR', `unable to parse CIDR: ${quote(text)}`, 'write it as 10.0.0.0/8');
  }
  const exceptPlace = fields.get('except');
  const selector = readCidrWithExcept(cidr, exceptPlace);
  const whole = selector?.except.findIndex(({ length }) => length <= cidr.length) ?? -1;
  if (whole < 0 || exceptPlace === undefined) return selector;
  const at = readList(exceptPlace, 'CIDRs')?.[whole] ?? exceptPlace;
  return fail(
    at,
    'POLICY_CIDR',
    `the exception leaves nothing of ${text}`,
    'an exception is a part of its cidr',
  );
}

/** Keys of pods' labels have no source but k8s; a colon in one is a mistake that the label's syntax tells. */
function ownKey(text: string): { source: string; key: string } {
  return { source: 'k8s', key: text };
}

/** A label of the namespace, as pods carry it. */
function namespaceKey(text: string): { source: string; key: string } {
  return { source: 'k8s', key: `${LABEL_NAMESPACE_LABELS}.${text}` };
}
