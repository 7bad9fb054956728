/** Policies as `merlon policy get` and `policy status` show them. */
import type { PolicyStatusView, PolicyView } from '#api';
import { errorMessage } from '#kit/errors';
import { type ObjectStatus, type Policy, type PolicySpec } from '#model';

import { nearestLabel } from '#kit/labels';
import { findingsOf, selectionsOf, type SubjectId } from '#policy';
import type { ControlInput, Enforced } from '../control.ts';
import type { ViewContext } from './context.ts';
import { directionState } from './endpoints.ts';

export function policyViews(context: ViewContext): readonly PolicyView[] {
  const selections = selectionCounts(context.loop.enforced?.input);
  const findings = findingTexts(context.loop.enforced);
  return [...context.tables.manifests.policies.all()]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((policy) => ({
      kind: policy.kind,
      ...(policy.namespace === undefined ? {} : { namespace: policy.namespace }),
      name: policy.name,
      source: policy.source,
      ...(policy.at.file === undefined ? {} : { file: policy.at.file }),
      ...(policy.at.line === undefined ? {} : { line: policy.at.line }),
      rules: policy.specs.reduce((n, spec) => n + spec.rules.length, 0),
      status: statusOf(context, policy, selections, findings.get(policy.key) ?? []),
    }));
}

export function policyStatus(context: ViewContext): PolicyStatusView {
  const { datapath, loop } = context;
  const compiled = loop.enforced?.compiled;
  const state = (d: 'ingress' | 'egress') =>
    compiled === undefined ? 'disabled' : directionState(compiled, 'host', d);
  return {
    generation: datapath.instance.generation,
    mode: datapath.hostMode,
    direction: { ingress: state('ingress'), egress: state('egress') },
    policies: policyViews(context),
  };
}

function statusOf(
  context: ViewContext,
  policy: Policy,
  selections: ReadonlyMap<string, SelectionCount>,
  findings: readonly string[],
): ObjectStatus {
  const { loop, tables } = context;
  const file = tables.manifests.objects.get(policy.key);
  const known = file?.status;
  const warnings = known?.warnings ?? [];
  const enforced = loop.enforced?.input;
  const isEnforced = enforced?.policies.some(
    (p) => p.key === policy.key && p.contentHash === policy.contentHash,
  );
  if (enforced === undefined || isEnforced !== true) {
    const reason = loop.error === undefined ? 'waits to be enforced' : errorMessage(loop.error);
    return { state: loop.error === undefined ? 'pending' : 'error', reason, warnings };
  }
  const { all: selected, withheld } = selections.get(policy.key) ?? { all: 0, withheld: 0 };
  // It is in force all the same: what is held is only a change of it.
  const reason =
    known?.state === 'held' ? 'in force; changes wait until the other manifests are valid' : known?.reason;
  const kept =
    withheld === 0 ? [] : [`not in force for ${withheld} of ${selected} subjects, which keep what they had`];
  const none = selected > 0 ? [] : [`selects nothing${hint(policy, enforced)}`];
  return {
    state:
      known?.state === 'invalid' ? 'invalid' : withheld > 0 && withheld === selected ? 'held' : 'applied',
    ...(reason === undefined ? {} : { reason }),
    generation: context.datapath.instance.generation,
    selects: selected,
    warnings: [...warnings, ...none, ...kept, ...findings],
  };
}

/** What is refused or means nothing, by policy. No proxy and nobody who authenticates is there yet. */
function findingTexts(enforced: Enforced | undefined): ReadonlyMap<string, readonly string[]> {
  const texts = new Map<string, string[]>();
  if (enforced === undefined) return texts;
  const { input, compiled } = enforced;
  const nodeAddresses = [...input.localAddresses, ...input.nodes.flatMap((node) => node.addresses)];
  const found = findingsOf({ ...input, compiled, nodeAddresses, hasProxy: false, hasAuth: false });
  for (const { policy, message, hint } of found) {
    const text = hint === undefined ? message : `${message} (${hint})`;
    texts.set(policy, [...(texts.get(policy) ?? []), text]);
  }
  return texts;
}

/** How many subjects of this node a policy selects, and for how many of them older ones are held instead. */
interface SelectionCount {
  readonly all: number;
  readonly withheld: number;
}

/** For each policy; the node counts as one subject. */
function selectionCounts(input: ControlInput | undefined): ReadonlyMap<string, SelectionCount> {
  if (input === undefined) return new Map();
  const selections = selectionsOf(input);
  const isWithheld = (policy: Policy, subject: SubjectId): boolean =>
    input.held?.get(subject)?.some((p) => p.key === policy.key && p.contentHash === policy.contentHash) ===
    false;
  return new Map(
    input.policies.map((policy, i) => {
      const { endpoints = [], node = false } = selections[i] ?? {};
      const subjects: readonly SubjectId[] = node ? [...endpoints, 'host'] : endpoints;
      const withheld = subjects.filter((subject) => isWithheld(policy, subject)).length;
      return [policy.key, { all: subjects.length, withheld }];
    }),
  );
}

/** The label that may have been meant by one that nothing has. */
function hint(policy: Policy, input: ControlInput): string {
  for (const { subject } of policy.specs) {
    const have = (
      subject.kind === 'node' ? [input.nodeLabels] : input.endpoints.map((e) => e.labels)
    ).flatMap((set) => set.labels.map((label) => `${label.key}=${label.value}`));
    const missing = wanted(subject.selector).find((label) => !have.includes(label));
    const close = missing === undefined ? undefined : nearestLabel(missing, have);
    if (close !== undefined) return `: nothing has ${missing}; did you mean ${close}?`;
  }
  return '';
}

function wanted(selector: PolicySpec['subject']['selector']): readonly string[] {
  return selector.requirements.flatMap((r) =>
    r.operator === 'In' ? r.values.map((v) => `${r.key}=${v}`) : [],
  );
}
