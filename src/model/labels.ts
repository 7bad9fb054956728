/** Label keys with a fixed meaning, and the labels that every pod and workload carries (policy.md §3.5). */
import { type Label, type LabelSet, labelSet } from '#kit/labels';

/** Namespace of a pod. */
export const LABEL_NAMESPACE = 'io.kubernetes.pod.namespace';
/** Begins each label copied from the Namespace object; a dot and the label's own key follow. */
export const LABEL_NAMESPACE_LABELS = 'io.cilium.k8s.namespace.labels';
/** Cluster of a pod. */
export const LABEL_CLUSTER = 'io.cilium.k8s.policy.cluster';
/** Service account of a pod. */
export const LABEL_SERVICE_ACCOUNT = 'io.cilium.k8s.policy.serviceaccount';
/** Keys beginning so are written by the agent only. */
const RESERVED_KEY_PREFIX = 'io.cilium.k8s';

/** What a pod or workload is, beside the labels that a person gave it. */
export interface PodOrigin {
  readonly namespace: string;
  readonly cluster: string;
  /** `default` when absent. */
  readonly serviceAccount?: string;
  /** Labels of the Namespace object beside the automatic name label. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
}

/** Whether a key is the agent's to write: the same key on a person's object is discarded. */
export function isAgentLabelKey(key: string): boolean {
  return key === LABEL_NAMESPACE || key.startsWith(RESERVED_KEY_PREFIX);
}

/** The complete labels of a pod or workload: `own` (source k8s) without agent's keys, plus the agent's. */
export function podLabels(origin: PodOrigin, own: Readonly<Record<string, string>>): LabelSet {
  const k8s = (key: string, value: string): Label => ({ source: 'k8s', key, value });
  const namespaceLabels = {
    'kubernetes.io/metadata.name': origin.namespace,
    ...origin.namespaceLabels,
  };
  return labelSet([
    ...Object.entries(own)
      .filter(([key]) => !isAgentLabelKey(key))
      .map(([key, value]) => k8s(key, value)),
    k8s(LABEL_NAMESPACE, origin.namespace),
    k8s(LABEL_CLUSTER, origin.cluster),
    k8s(LABEL_SERVICE_ACCOUNT, origin.serviceAccount ?? 'default'),
    ...Object.entries(namespaceLabels).map(([key, value]) => k8s(`${LABEL_NAMESPACE_LABELS}.${key}`, value)),
  ]);
}

/**
 * An entry of the filter of identity labels, `[source:][!]regex`, in its parts (policy.md §12.2); no source, or
 * an empty one, is every source.
 */
export function splitLabelFilterEntry(text: string): {
  readonly source: string | undefined;
  readonly include: boolean;
  readonly pattern: string;
} {
  const colon = /^[^:\\!(]*:/.exec(text)?.[0] ?? '';
  const rest = text.slice(colon.length);
  const include = !rest.startsWith('!');
  return { source: colon.slice(0, -1) || undefined, include, pattern: include ? rest : rest.slice(1) };
}
