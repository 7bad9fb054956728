/**
 * Which of a workload's labels make its identity (policy.md §12.2). Labels that the filter drops are invisible
 * to policy.
 */
import { MerlonError } from '#kit/errors';
import { re2 } from '#kit/re2';
import { type Label, type LabelSet, labelSet } from '#kit/labels';
import { splitLabelFilterEntry } from '#model';

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
  const { source, include, pattern } = splitLabelFilterEntry(text);
  const found = re2(pattern);
  if ('fault' in found) {
    throw new MerlonError('CONFIG_VALUE', `label filter "${text}" is no regular expression: ${found.fault}`);
  }
  return { source, include, pattern: new RegExp(`^(?:${found.source})`, 'u') };
}

/**
 * The labels that make an identity. Where both kinds of entries match a label, it is kept when the longest
 * inclusive match is longer than the shortest exclusive one: who excludes a whole family of keys means those
 * that are included by default, too.
 */
export function identityLabels(labels: LabelSet, filter: LabelFilter): LabelSet {
  return labelSet(labels.labels.filter((label) => isRelevant(label, filter)));
}

function isRelevant(label: Label, filter: LabelFilter): boolean {
  let included = 0;
  let excluded = 0;
  for (const entry of filter.entries) {
    if (entry.source !== undefined && entry.source !== label.source) continue;
    const length = entry.pattern.exec(label.key)?.[0].length ?? 0;
    if (length === 0) continue;
    if (entry.include) included = Math.max(included, length);
    else excluded = excluded === 0 ? length : Math.min(excluded, length);
  }
  return (excluded === 0 && !filter.allowList) || included > excluded;
}
