/** Findings about label keys that no selector can mean (policy.md §3.5, §12.2). */
import type { SourceAt } from '#kit/errors';
import { labelSet } from '#kit/labels';
import { editDistance } from '#kit/nearest';
import {
  LABEL_CLUSTER,
  LABEL_NAMESPACE,
  LABEL_NAMESPACE_LABELS,
  LABEL_SERVICE_ACCOUNT,
  type Requirement,
  type Warning,
} from '#model';
import { identityLabels, labelFilter } from '../identity-labels.ts';
import { type Ground, type Judgement, peersOf } from './ground.ts';

const AGENT_KEYS: readonly string[] = [LABEL_NAMESPACE, LABEL_CLUSTER, LABEL_SERVICE_ACCOUNT];
const AGENT_PREFIX = 'io.cilium.k8s';
/** The label by which Kubernetes knows a Namespace by its name. */
const METADATA_NAME = 'kubernetes.io/metadata.name';
/** Most edits between a mistyped key and the one that is meant. */
const MOST_EDITS = 4;

interface Written {
  readonly requirement: Requirement;
  readonly at: SourceAt;
}

export const labelFindings: Judgement = ({ policy, spec }, ground) => {
  const subject = spec.subject.kind === 'endpoints' ? spec.subject.selector.requirements : [];
  const written: readonly Written[] = [
    ...subject.map((requirement) => ({ requirement, at: policy.at })),
    ...spec.rules.flatMap((rule) =>
      peersOf(rule).flatMap((peer) => {
        const requirements = peer.kind === 'labels' ? peer.selector.requirements : [];
        return requirements.map((requirement) => ({ requirement, at: rule.at }));
      }),
    ),
  ];
  return written.flatMap((one) => keyFinding(one, ground) ?? []);
};

function keyFinding({ requirement, at }: Written, ground: Ground): Warning | undefined {
  const { source, key } = requirement;
  if (source !== 'any' && source !== 'k8s') return undefined;
  if (isAgentKey(key) || (ground.input.isReal && ground.labels.has(key))) return undefined;
  const meant = meantKey(key);
  if (meant !== undefined) {
    const message = `nobody has the label ${key}`;
    return { code: 'namespace-label-typo', message, at, hint: `did you mean ${meant}?` };
  }
  if (!isFiltered(key)) return undefined;
  const message = `the label ${key} is no part of identities, so no selector ever sees it`;
  return { code: 'filtered-label', message, at };
}

function isAgentKey(key: string): boolean {
  return AGENT_KEYS.includes(key) || key.startsWith(`${LABEL_NAMESPACE_LABELS}.`);
}

/** The agent's key that this one resembles. */
function meantKey(key: string): string | undefined {
  if (key === METADATA_NAME) return `${LABEL_NAMESPACE_LABELS}.${METADATA_NAME}`;
  const exact = AGENT_KEYS.find((one) => editDistance(key.toLowerCase(), one) <= MOST_EDITS);
  if (exact !== undefined) return exact;
  const prefix = `${LABEL_NAMESPACE_LABELS}.`;
  // Where the prefix ends in a mistyped key is not known: a few letters may be missing or too many.
  for (let extra = -2; extra <= 2; extra++) {
    const head = key.slice(0, prefix.length + extra);
    const rest = key.slice(prefix.length + extra);
    if (head.endsWith('.') && rest !== '' && editDistance(head.toLowerCase(), prefix) <= MOST_EDITS)
      return `${prefix}${rest}`;
  }
  return key.startsWith(`${AGENT_PREFIX}.`) ? `${prefix}LABEL` : undefined;
}

const filter = labelFilter();

function isFiltered(key: string): boolean {
  return identityLabels(labelSet([{ source: 'k8s', key, value: '' }]), filter).labels.length === 0;
}
