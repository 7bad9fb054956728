/** CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy → `Policy` (policy.md §1–§5, §7, §15). */
import {
  contentHashOf,
  type Fields,
  fail,
  type Place,
  placeAt,
  readBoolean,
  readList,
  readMap,
  readText,
  warn,
} from '../document/index.ts';
import type { Warning } from '../findings.ts';
import { LABEL_NAMESPACE } from '../labels.ts';
import {
  type Policy,
  type PolicyKind,
  type PolicySpec,
  policyTitle,
  type Requirement,
  type Rule,
} from '../policy.ts';
import { equals, formatRequirement, matchesRequirement, selectorOf } from '../selector.ts';
import { labelSet } from '#kit/labels';
import { checkAnnotations, type Metadata, readMetadata } from './metadata.ts';
import type { ParseOptions } from './options.ts';
import { readRule, SECTIONS, sectionDirection } from './rule.ts';
import { readSelector, readWrittenSelector, type WrittenSelector } from './selector.ts';

const SPEC_KEYS = [
  'endpointSelector',
  'nodeSelector',
  ...SECTIONS,
  'enableDefaultDeny',
  'labels',
  'description',
  'log',
] as const;

/** Whether a key is one of a spec, for who wrote it outside. */
export function belongsInSpec(key: string): boolean {
  return (SPEC_KEYS as readonly string[]).includes(key);
}

/** What all specs of an object share. */
interface ObjectScope {
  readonly kind: PolicyKind;
  readonly metadata: Metadata;
  readonly options: ParseOptions;
}

/** The policy in a document; undefined when a problem was noted: one bad rule rejects the object. */
export function readPolicy(
  object: Fields,
  kind: 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy',
  options: ParseOptions,
): Policy | undefined {
  const { report } = object.place;
  const before = report.problems.length;
  const metadata = readMetadata(object, kind === 'CiliumNetworkPolicy');
  // Without a name the rules are still read: all problems of an object are reported together.
  const scope: ObjectScope = {
    kind,
    metadata: metadata ?? { namespace: 'default', name: '?', labels: {}, ours: new Map() },
    options,
  };
  const places = specPlaces(object);
  const specs = places
    .map(({ place, index }) => readSpec(place, index, scope))
    .filter((s) => s !== undefined);
  if (metadata !== undefined) {
    const isHostPolicy = places.some(({ place }) => hasKey(place, 'nodeSelector'));
    checkAnnotations(metadata, kind, isHostPolicy);
    if (isHostPolicy) checkStaging(metadata, places);
  }
  if (metadata === undefined || report.problems.length > before) return undefined;
  return finishPolicy(
    kind,
    metadata,
    specs,
    placeAt({ ...object.place, path: '' }),
    options.source,
    report.warnings,
  );
}

/** The policy that an object's specs make. */
export function finishPolicy(
  kind: PolicyKind,
  { namespace: written, name }: Metadata,
  specs: readonly PolicySpec[],
  at: Policy['at'],
  source: string,
  warnings: readonly Warning[],
): Policy {
  const namespace = kind === 'CiliumClusterwideNetworkPolicy' ? undefined : written;
  const key = `${kind}/${namespace ?? ''}/${name}`;
  const meaning = specs.map((spec) => ({
    ...spec,
    rules: spec.rules.map((rule) => ({ ...rule, at: null })),
  }));
  return {
    key,
    kind,
    namespace,
    name,
    at,
    source,
    contentHash: contentHashOf([key, meaning]),
    specs,
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
  };
}

function specPlaces(object: Fields): readonly { place: Place; index: number }[] {
  const spec = object.get('spec');
  const specs = object.get('specs');
  const out = spec === undefined ? [] : [{ place: spec, index: 0 }];
  const items = specs === undefined ? [] : (readList(specs, 'specs') ?? []);
  for (const place of items) out.push({ place, index: out.length });
  if (out.length === 0 && (specs === undefined || specs.tree.kind === 'list')) {
    fail(object.place, 'POLICY_EMPTY', 'neither spec nor specs has a rule', 'write one of them');
  }
  return out;
}

function readSpec(place: Place, index: number, object: ObjectScope): PolicySpec | undefined {
  const fields = readMap(place, SPEC_KEYS, 'a policy spec');
  if (fields === undefined) return undefined;
  const subject = readSubject(fields, object);
  const log = readLog(fields);
  readSpecLabels(fields);
  const description = fields.get('description');
  if (description !== undefined) readText(description);
  const subjectIsInit =
    subject?.selector.requirements.some((r) => r.source === 'reserved' && r.key === 'init') ?? false;
  const isHost = fields.has('nodeSelector');
  const { kind, metadata, options } = object;
  const namespace = kind === 'CiliumNetworkPolicy' ? metadata.namespace : undefined;
  const owner = policyTitle({ kind, namespace, name: metadata.name });
  const peers = {
    namespace,
    localCluster: options.policyDefaultLocalCluster ? options.clusterName : undefined,
    subjectIsInit,
    nodeSelectorLabels: options.nodeSelectorLabels,
    cloudGroupProviders: options.cloudGroupProviders,
  };
  const rules: Rule[] = [];
  let count = 0;
  for (const section of SECTIONS) {
    const list = fields.get(section);
    const items = list === undefined ? [] : (readList(list, 'rules') ?? []);
    count += items.length;
    for (const [i, item] of items.entries()) {
      const id = `${owner}/${index}/${section}/${i}`;
      const rule = readRule(item, { section, id, peers, isHost, options, log });
      if (rule !== undefined) rules.push(...rule);
    }
  }
  const areLists = SECTIONS.every((section) => (fields.get(section)?.tree.kind ?? 'list') === 'list');
  if (count === 0 && areLists) {
    fail(
      place,
      'POLICY_EMPTY',
      'rule must have at least one of Ingress, IngressDeny, Egress, EgressDeny',
      'to deny everything write ingress: [{}]',
    );
  }
  const defaultDeny = readDefaultDeny(fields, rules, isHost, options);
  if (subject === undefined || defaultDeny === undefined) return undefined;
  return { index, subject, defaultDeny, rules, ...(isStaged(metadata) ? { staged: true } : {}) };
}

const ENFORCEMENT = 'merlon.io/enforcement';

function isStaged({ ours }: Metadata): boolean {
  const tree = ours.get(ENFORCEMENT)?.tree;
  return tree?.kind === 'scalar' && tree.text === 'audit';
}

/** Only host policies are staged: a spec for pods beside them would be enforced, whatever the annotation says. */
function checkStaging(metadata: Metadata, specs: readonly { place: Place; index: number }[]): void {
  const other = specs.find(({ place }) => !hasKey(place, 'nodeSelector'));
  const at = metadata.ours.get(ENFORCEMENT);
  if (other === undefined || at === undefined || !isStaged(metadata)) return;
  fail(
    at,
    'MANIFEST_SCHEMA',
    `${ENFORCEMENT}: audit is of host policies, and ${other.place.path} has no nodeSelector`,
    'write two objects',
  );
}

function readSubject(spec: Fields, object: ObjectScope): PolicySpec['subject'] | undefined {
  const endpoint = spec.get('endpointSelector');
  const node = spec.get('nodeSelector');
  if (endpoint === undefined && node === undefined) {
    return fail(
      spec.place,
      'POLICY_SUBJECT',
      'rule must have one of EndpointSelector or NodeSelector',
      'endpointSelector: {} selects every endpoint',
    );
  }
  if (endpoint !== undefined && node !== undefined) {
    return fail(
      node,
      'POLICY_SUBJECT',
      'rule cannot have both EndpointSelector and NodeSelector',
      'write two specs',
    );
  }
  if (node !== undefined) {
    if (object.kind === 'CiliumNetworkPolicy') {
      return fail(
        node,
        'POLICY_SUBJECT',
        'CiliumNetworkPolicy cannot have NodeSelector',
        'use a CiliumClusterwideNetworkPolicy',
      );
    }
    const requirements = readSelector(node);
    return requirements && { kind: 'node', selector: selectorOf(requirements) };
  }
  if (endpoint === undefined) return undefined;
  const written = readWrittenSelector(endpoint);
  if (written === undefined) return undefined;
  const { namespace } = object.metadata;
  const isNamespaced = object.kind === 'CiliumNetworkPolicy' && namespace !== undefined;
  const scoped = isNamespaced
    ? inNamespace(endpoint, written, namespace)
    : [...written.labels, ...written.expressions];
  return { kind: 'endpoints', selector: selectorOf(scoped) };
}

/**
 * A namespaced policy's subjects are always of its own namespace (policy.md §3.3): what `matchLabels` says of the
 * namespace is overwritten, expressions about it stay.
 */
export function inNamespace(
  place: Place,
  { labels, expressions }: WrittenSelector,
  namespace: string,
): readonly Requirement[] {
  const own = equals('k8s', LABEL_NAMESPACE, namespace);
  const ownLabels = labelSet([{ source: 'k8s', key: LABEL_NAMESPACE, value: namespace }]);
  const isNamespaceKey = (r: Requirement) => r.source === 'k8s' && r.key === LABEL_NAMESPACE;
  const isForeign = (r: Requirement) => isNamespaceKey(r) && !matchesRequirement(r, ownLabels);
  const only = `the policy selects in its own namespace ${namespace} only`;
  for (const r of labels.filter(isForeign)) {
    warn(place, 'foreign-namespace', `${formatRequirement(r)} has no meaning: ${only}`);
  }
  for (const r of expressions.filter(isForeign)) {
    warn(place, 'foreign-namespace', `${formatRequirement(r)} selects nobody: ${only}`);
  }
  return [...labels.filter((r) => !isNamespaceKey(r)), ...expressions, own];
}

function readDefaultDeny(
  spec: Fields,
  rules: readonly Rule[],
  isHost: boolean,
  options: ParseOptions,
): PolicySpec['defaultDeny'] | undefined {
  const place = spec.get('enableDefaultDeny');
  const fields = place === undefined ? undefined : readMap(place, ['ingress', 'egress'], 'enableDefaultDeny');
  if (place !== undefined && fields === undefined) return undefined;
  const read = (direction: 'ingress' | 'egress'): boolean => {
    const value = fields?.get(direction);
    const written = value === undefined ? undefined : readBoolean(value);
    const hasRules = SECTIONS.some(
      (section) => sectionDirection(section) === direction && listLength(spec.get(section)) > 0,
    );
    if (value !== undefined && written === true && !hasRules && !isHost) {
      warn(
        value,
        'default-deny-without-rules',
        `has no effect without ${direction} rules`,
        `add ${direction}: [{}] to deny everything`,
      );
    }
    if (written === true) return hasRules || isHost;
    return hasRules && (written === undefined || !options.nonDefaultDenyPolicies);
  };
  return { ingress: read('ingress'), egress: read('egress') };
}

function readLog(spec: Fields): string | undefined {
  const place = spec.get('log');
  const value = place === undefined ? undefined : readMap(place, ['value'], 'log')?.get('value');
  const text = value === undefined ? undefined : readText(value);
  if (value === undefined || text === undefined || text === '') return undefined;
  if (/^\P{C}{1,32}$/u.test(text)) return text;
  return fail(value, 'POLICY_SCHEMA', 'log.value has at most 32 printable characters');
}

function readSpecLabels(spec: Fields): void {
  const place = spec.get('labels');
  for (const item of place === undefined ? [] : (readList(place, 'labels') ?? [])) {
    const fields = readMap(item, ['key', 'value', 'source'], 'a label');
    if (fields === undefined) continue;
    const key = fields.get('key')?.tree;
    if (key === undefined || (key.kind === 'scalar' && key.value === '')) {
      fail(fields.get('key') ?? item, 'POLICY_SCHEMA', 'key is missing');
    }
    for (const name of ['key', 'value', 'source']) {
      const value = fields.get(name);
      if (value !== undefined) readText(value);
    }
  }
}

function listLength(place: Place | undefined): number {
  return place?.tree.kind === 'list' ? place.tree.items.length : 0;
}

function hasKey(place: Place, key: string): boolean {
  return place.tree.kind === 'map' && place.tree.entries.some((e) => e.key === key);
}
