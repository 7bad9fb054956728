/** Policies as `merlon policy get` and `policy status` show them. */
import type { PolicyStatusView, PolicyView } from '#api';
import { errorMessage } from '#kit/errors';
import { compareText } from '#kit/order';
import { type Condition, formatFinding, type ObjectStatus, type Policy, type Warning } from '#model';
import type { Findings } from '#policy';
import type { ViewContext } from './context.ts';
import { currentFindings, isDoubtful, statusOfFindings } from './findings.ts';
import { hostDirection } from './mode.ts';

export function policyViews(context: ViewContext): readonly PolicyView[] {
  const findings = currentFindings(context);
  return [...context.tables.manifests.policies.all()]
    .sort((a, b) => compareText(a.key, b.key))
    .map((policy) => ({
      kind: policy.kind,
      ...(policy.namespace === undefined ? {} : { namespace: policy.namespace }),
      name: policy.name,
      source: policy.source,
      ...(policy.at.file === undefined ? {} : { file: policy.at.file }),
      ...(policy.at.line === undefined ? {} : { line: policy.at.line }),
      rules: policy.specs.reduce((n, spec) => n + spec.rules.length, 0),
      status: statusOf(context, policy, findings.get(policy.key)),
    }));
}

export function policyStatus(context: ViewContext): PolicyStatusView {
  const { datapath } = context;
  return {
    generation: datapath.instance.generation,
    mode: datapath.hostMode,
    direction: { ingress: hostDirection(context, 'ingress'), egress: hostDirection(context, 'egress') },
    policies: policyViews(context),
  };
}

function statusOf(context: ViewContext, policy: Policy, judged: Findings | undefined): ObjectStatus {
  const { loop, tables, datapath, grace } = context;
  const known = tables.manifests.objects.get(policy.key)?.status;
  const accepted =
    known?.acceptedGeneration === undefined ? {} : { acceptedGeneration: known.acceptedGeneration };
  if (judged === undefined || judged.policy.contentHash !== policy.contentHash) {
    const reason = loop.error === undefined ? 'waits to be enforced' : errorMessage(loop.error);
    const state = loop.error === undefined ? 'pending' : 'error';
    return { state, reason, ...accepted, warnings: known?.warnings ?? [] };
  }
  // It is in force all the same: what is held is only a change of it.
  const reason =
    known?.state === 'held' ? 'in force; changes wait until the other manifests are valid' : known?.reason;
  const { endpoints, nodes, defaultDeny, withheld } = judged;
  const { findings, conditions } = statusOfFindings(judged.findings, grace);
  const selects = endpoints.length + nodes.length;
  const kept =
    withheld === 0 ? [] : [`not in force for ${withheld} of ${selects} subjects, which keep what they had`];
  const isHeld = withheld > 0 && withheld === selects;
  return {
    state: known?.state === 'invalid' ? 'invalid' : isHeld ? 'held' : 'applied',
    ...(reason === undefined ? {} : { reason }),
    generation: datapath.instance.generation,
    ...accepted,
    selects,
    endpoints,
    nodes,
    defaultDeny,
    conditions: [validity(known), ...conditions],
    findings,
    warnings: [...kept, ...findings.filter(isDoubtful).map(sentence)],
  };
}

/** What the last version that was written is; that the one in force is valid goes without saying. */
function validity(known: ObjectStatus | undefined): Condition {
  if (known?.state !== 'invalid') return { type: 'Valid', status: 'True', reason: 'Accepted', message: '' };
  return { type: 'Valid', status: 'False', reason: 'Refused', message: known.reason ?? '' };
}

/** The rule's place is in the finding: the table has the policy's beside it. */
function sentence(finding: Warning): string {
  return formatFinding({ ...finding, at: {} });
}
