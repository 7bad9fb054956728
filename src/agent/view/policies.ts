/** Policies as `merlon policy get` and `policy status` show them. */
import type { PolicyStatusView, PolicyView } from '#api';
import { errorMessage } from '#kit/errors';
import { matches, type ObjectStatus, type Policy, type PolicySpec } from '#model';

import { nearestLabel } from '#kit/labels';
import type { ControlInput } from '../control.ts';
import type { ViewContext } from './context.ts';
import { directionState } from './endpoints.ts';

export function policyViews(context: ViewContext): readonly PolicyView[] {
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
      status: statusOf(context, policy),
    }));
}

export function policyStatus(context: ViewContext): PolicyStatusView {
  const { datapath, loop } = context;
  const compiled = loop.enforced?.compiled;
  const state = (d: 'ingress' | 'egress') =>
    compiled === undefined ? 'disabled' : directionState(compiled, 'host', d);
  return {
    generation: datapath.instance.generation,
    mode: hostMode(context),
    direction: { ingress: state('ingress'), egress: state('egress') },
    policies: policyViews(context),
  };
}

const MODES = ['enforce', 'audit', 'failsafe', 'off'] as const;

/** The mode of the host firewall as the kernel has it. */
export function hostMode({ datapath }: ViewContext): (typeof MODES)[number] {
  return MODES[datapath.hostControl().mode] ?? 'enforce';
}

function statusOf(context: ViewContext, policy: Policy): ObjectStatus {
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
  const selected = selects(policy, enforced);
  const none = selected > 0 ? [] : [`selects nothing${hint(policy, enforced)}`];
  return {
    state: known?.state === 'invalid' ? 'invalid' : 'applied',
    ...(known?.reason === undefined ? {} : { reason: known.reason }),
    generation: context.datapath.instance.generation,
    selects: selected,
    warnings: [...warnings, ...none],
  };
}

/** How many subjects of this node the policy selects; the node counts as one. */
function selects(policy: Policy, input: ControlInput): number {
  const found = new Set<number | 'host'>();
  for (const spec of policy.specs) {
    if (spec.subject.kind === 'node') {
      if (matches(spec.subject.selector, input.nodeLabels)) found.add('host');
      continue;
    }
    for (const endpoint of input.endpoints) {
      if (matches(spec.subject.selector, endpoint.labels)) found.add(endpoint.id);
    }
  }
  return found.size;
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
