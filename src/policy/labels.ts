/**
 * From what a workload is labelled to what its identity is: the automatic labels (policy.md §3.5) and the
 * filter of identity-relevant labels (§12.2). Labels that the filter drops are invisible to policy.
 */
import { MerlonError } from '#kit/errors';
import { type Label, type LabelSet, labelSet } from '#kit/labels';

/** What the agent knows of a pod beside its own labels. */
export interface PodFacts {
  readonly namespace: string;
  readonly cluster: string;
  readonly serviceAccount: string;
  /** Labels of the namespace, without source. */
  readonly namespaceLabels: Readonly<Record<string, string>>;
}

const NAMESPACE = 'io.kubernetes.pod.namespace';
const OWN_PREFIX = 'io.cilium.k8s';

/**
 * The pod's labels with the automatic ones. The same keys, and any that begins like the agent's own, are
 * discarded when the pod brings them itself.
 */
export function podLabels(own: Iterable<Label>, facts: PodFacts): LabelSet {
  const k8s = (key: string, value: string): Label => ({ source: 'k8s', key, value });
  const kept = [...own].filter(({ key }) => key !== NAMESPACE && !key.startsWith(OWN_PREFIX));
  const copied = { 'kubernetes.io/metadata.name': facts.namespace, ...facts.namespaceLabels };
  return labelSet([
    ...kept,
    ...Object.entries(copied).map(([key, value]) => k8s(`${OWN_PREFIX}.namespace.labels.${key}`, value)),
    k8s(NAMESPACE, facts.namespace),
    k8s(`${OWN_PREFIX}.policy.cluster`, facts.cluster),
    k8s(`${OWN_PREFIX}.policy.serviceaccount`, facts.serviceAccount),
  ]);
}

/** One entry of the filter, `[source:][!]regex`, anchored at the start of the key. */
export interface LabelFilterEntry {
  /** Undefined: every source. */
  readonly source: string | undefined;
  readonly include: boolean;
  readonly pattern: RegExp;
}

/** The filter; `allowList`: only what an inclusive entry matches is kept. */
export interface LabelFilter {
  readonly entries: readonly LabelFilterEntry[];
  readonly allowList: boolean;
}

const DEFAULT_ENTRIES: readonly string[] = [
  'reserved:.*',
  'io\\.kubernetes\\.pod\\.namespace',
  'io\\.cilium\\.k8s\\.namespace\\.labels',
  'app\\.kubernetes\\.io',
  'io\\.cilium\\.k8s\\.policy\\.cluster',
  'io\\.cilium\\.k8s\\.policy\\.serviceaccount',
  '!io\\.kubernetes',
  '!kubernetes\\.io',
  '!.*beta\\.kubernetes\\.io',
  '!k8s\\.io',
  '!topology\\.kubernetes\\.io',
  '!pod-template-generation',
  '!pod-template-hash',
  '!controller-revision-hash',
  '!controller-uid',
  '!batch\\.kubernetes\\.io/controller-uid',
  '!batch\\.kubernetes\\.io/job-completion-index',
  '!statefulset\\.kubernetes\\.io/pod-name',
  '!apps\\.kubernetes\\.io/pod-index',
  '!annotation.*',
  '!etcd_node',
];

/** The default entries followed by the user's; throws `CONFIG_VALUE` for an entry that is no regular expression. */
export function labelFilter(entries: readonly string[] = []): LabelFilter {
  const user = entries.map(parseEntry);
  return {
    entries: [...DEFAULT_ENTRIES.map(parseEntry), ...user],
    allowList: user.some((entry) => entry.include),
  };
}

function parseEntry(text: string): LabelFilterEntry {
  const colon = /^[^:\\!(]*:/.exec(text)?.[0];
  const rest = text.slice(colon?.length ?? 0);
  const include = !rest.startsWith('!');
  try {
    const pattern = new RegExp(`^(?:${include ? rest : rest.slice(1)})`);
    return { source: colon?.slice(0, -1), include, pattern };
  } catch (cause) {
    throw new MerlonError('CONFIG_VALUE', `label filter "${text}" is no regular expression`, { cause });
  }
}

/** The labels that make an identity. Of an inclusive and an exclusive match the longer decides. */
export function identityLabels(labels: LabelSet, filter: LabelFilter): LabelSet {
  return labelSet(labels.labels.filter((label) => isRelevant(label, filter)));
}

function isRelevant(label: Label, filter: LabelFilter): boolean {
  let include = -1;
  let exclude = -1;
  for (const entry of filter.entries) {
    if (entry.source !== undefined && entry.source !== label.source) continue;
    const length = entry.pattern.exec(label.key)?.[0].length ?? -1;
    if (entry.include) include = Math.max(include, length);
    else exclude = Math.max(exclude, length);
  }
  if (include < 0 && exclude < 0) return !filter.allowList;
  return include >= exclude && include >= 0;
}
