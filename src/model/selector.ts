/** What selectors mean (policy.md §3.1, §3.2) and how peers and subjects are scoped (§3.3, §3.4). */
import { assertNever } from '#kit/errors';
import { type Cidr, cidrCovers, parseCidrOrIp } from '#kit/ip';
import type { Label, LabelSet } from '#kit/labels';
import { LABEL_CLUSTER, LABEL_NAMESPACE, LABEL_NAMESPACE_LABELS } from './labels.ts';
import type { Requirement, Selector } from './policy.ts';

/** Whether every requirement of `selector` holds for `labels`. */
export function matches(selector: Selector, labels: LabelSet): boolean {
  return selector.requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/** One requirement alone. A label of any fitting source counts; `NotIn` is exactly "not `In`". */
export function matchesRequirement(requirement: Requirement, labels: LabelSet): boolean {
  const { operator } = requirement;
  switch (operator) {
    case 'In':
      return hasLabel(requirement, labels, (label) => requirement.values.includes(label.value));
    case 'NotIn':
      return !hasLabel(requirement, labels, (label) => requirement.values.includes(label.value));
    case 'Exists':
      return hasLabel(requirement, labels, () => true);
    case 'DoesNotExist':
      return !hasLabel(requirement, labels, () => true);
    default:
      return assertNever(operator);
  }
}

function hasLabel(requirement: Requirement, labels: LabelSet, test: (label: Label) => boolean): boolean {
  const { source, key } = requirement;
  const prefix = source === 'cidr' ? cidrOfKey(key) : undefined;
  for (const label of labels.labels) {
    if (source !== 'any' && label.source !== source) continue;
    const isSame = prefix === undefined ? label.key === key : isInside(prefix, label.key);
    if (isSame && test(label)) return true;
  }
  return false;
}

/** Prefix of a `cidr:` key. Cilium writes `-` for the colons of IPv6. */
function cidrOfKey(key: string): Cidr | undefined {
  return parseCidrOrIp(key) ?? parseCidrOrIp(key.replaceAll('-', ':'));
}

function isInside(outer: Cidr, key: string): boolean {
  const inner = cidrOfKey(key);
  return inner !== undefined && cidrCovers(outer, inner);
}

/** A selector in canonical form: requirements and values sorted, without repetitions. */
export function selectorOf(requirements: readonly Requirement[]): Selector {
  const canonical = requirements.map((r) => {
    const hasValues = r.operator === 'In' || r.operator === 'NotIn';
    return { ...r, values: hasValues ? [...new Set(r.values)].sort() : [] };
  });
  const byText = new Map(canonical.map((r) => [formatRequirement(r), r]));
  const texts = [...byText.keys()].sort();
  return { requirements: texts.map((text) => byText.get(text) as Requirement) };
}

/** `source:key In (a,b)`, for people and as a sort key. */
export function formatRequirement(r: Requirement): string {
  const values = r.operator === 'In' || r.operator === 'NotIn' ? ` (${r.values.join(',')})` : '';
  return `${r.source}:${r.key} ${r.operator}${values}`;
}

/** All requirements of a selector for people; `everything` when there are none. */
export function formatSelector(selector: Selector): string {
  return selector.requirements.map(formatRequirement).join(', ') || 'everything';
}

/** What scoping needs to know of a policy. */
export interface Scope {
  /** Namespace of a namespaced policy; undefined for cluster-wide kinds. */
  readonly namespace: string | undefined;
  /** Name of the local cluster, or undefined when `policy-default-local-cluster` is off. */
  readonly localCluster: string | undefined;
  /** A cluster-wide rule whose subject names `reserved:init` selects peers of no namespace, too. */
  readonly subjectIsInit: boolean;
}

/** A written peer selector as it is meant (policy.md §3.4). */
export function scopePeer(written: readonly Requirement[], scope: Scope): Selector {
  if (written.some((r) => r.source === 'reserved')) return selectorOf(written);
  const out = [...written];
  if (!names(written, (key) => key === LABEL_NAMESPACE)) {
    if (scope.namespace === undefined) {
      if (!scope.subjectIsInit) out.push(exists('k8s', LABEL_NAMESPACE));
    } else if (!names(written, (key) => key.startsWith(LABEL_NAMESPACE_LABELS))) {
      out.push(equals('k8s', LABEL_NAMESPACE, scope.namespace));
    }
  }
  if (scope.localCluster !== undefined && !names(written, (key) => key === LABEL_CLUSTER)) {
    out.push(equals('k8s', LABEL_CLUSTER, scope.localCluster));
  }
  return selectorOf(out);
}

const WORLDS = ['world', 'world-ipv4', 'world-ipv6'];

/**
 * A peer selector that names `reserved:world` as several that mean it whatever families the agent has: with one
 * family it is the label of the world, with two there is one a family, and the reference takes the first for both.
 */
export function inEveryFamily({ requirements }: Selector): readonly Selector[] {
  const isWorld = ({ source, key }: Requirement) => source === 'reserved' && key === 'world';
  const isNot = ({ operator }: Requirement) => operator === 'NotIn' || operator === 'DoesNotExist';
  if (!requirements.some(isWorld)) return [{ requirements }];
  const spread = requirements.flatMap((r) =>
    isWorld(r) && isNot(r) ? WORLDS.map((key) => ({ ...r, key })) : [r],
  );
  if (!spread.some((r) => isWorld(r) && !isNot(r))) return [selectorOf(spread)];
  return WORLDS.map((key) => selectorOf(spread.map((r) => (isWorld(r) && !isNot(r) ? { ...r, key } : r))));
}

/** Whether a key that `test` accepts is named with source k8s or any. */
function names(requirements: readonly Requirement[], test: (key: string) => boolean): boolean {
  return requirements.some((r) => (r.source === 'k8s' || r.source === 'any') && test(r.key));
}

/** The requirement `source:key = value`. */
export function equals(source: string, key: string, value: string): Requirement {
  return { source, key, operator: 'In', values: [value] };
}

/** The requirement that `source:key` is there. */
export function exists(source: string, key: string): Requirement {
  return { source, key, operator: 'Exists', values: [] };
}
