/** Endpoints as `merlon endpoint list` shows them. */
import type { DirectionState, EndpointView } from '#api';
import { formatLabel } from '#kit/labels';
import { type Direction, type EndpointRow, matches, type PolicySpec, policyTitle } from '#model';
import type { CompiledPolicy } from '#policy';
import type { ViewContext } from './context.ts';
import type { Enforced } from '../control.ts';

export function endpointViews(context: ViewContext): readonly EndpointView[] {
  return [...context.tables.endpoints.all()]
    .sort((a, b) => a.id - b.id)
    .map((row) => endpointView(context, row));
}

export function endpointView({ loop, datapath }: ViewContext, row: EndpointRow): EndpointView {
  const enforced = loop.enforced;
  const key = enforced?.compiled.endpoints.get(row.id) ?? '';
  const isKept = row.state === 'kept';
  const judged = isKept ? row : enforced?.endpoints.find((e) => e.id === row.id);
  const { identity = 0 } = judged ?? {};
  const isAudited = isKept ? datapath.endpoints.isAuditedInMemory(row.id) : (judged?.audit ?? false);
  const generation = [...datapath.policy.generations()].find(([name]) => name === key)?.[2] ?? 0;
  const state = (direction: Direction): DirectionState => {
    // The rule set of one that is kept stands in memory alone; it is not known what it was made of.
    if (isKept) return isAudited ? 'audit' : 'enforce';
    return enforced === undefined ? 'disabled' : directionState(enforced.compiled, key, direction, isAudited);
  };
  return {
    id: row.id,
    name: row.name,
    namespace: row.namespace,
    identity,
    labels: row.labels.labels.map(formatLabel),
    ipv4: row.addresses.filter((a) => !a.includes(':')),
    ipv6: row.addresses.filter((a) => a.includes(':')),
    device: row.device,
    ifindex: row.ifindex,
    ...(row.netns === undefined ? {} : { netns: row.netns }),
    state: row.state,
    policy: { ingress: state('ingress'), egress: state('egress') },
    options: { PolicyAuditMode: isAudited ? 'Enabled' : 'Disabled' },
    generation,
    ruleSet: key,
    policies: selecting(enforced, row.id),
  };
}

/** Titles of the policies that are in force for an endpoint. */
function selecting(enforced: Enforced | undefined, id: number): readonly string[] {
  const { policies = [], endpoints = [], held } = enforced?.input ?? {};
  const labels = endpoints.find((endpoint) => endpoint.id === id)?.labels;
  if (labels === undefined) return [];
  const isSelecting = ({ subject }: PolicySpec): boolean =>
    subject.kind === 'endpoints' && matches(subject.selector, labels);
  return (held?.get(id) ?? policies).filter(({ specs }) => specs.some(isSelecting)).map(policyTitle);
}

/** Whether any policy selects the direction of this rule set, and whether it refuses or only says so. */
export function directionState(
  compiled: CompiledPolicy,
  key: string,
  direction: Direction,
  isSubjectAudited: boolean,
): DirectionState {
  const image = key === 'host' ? compiled.host : compiled.ruleSets.find((r) => r.key === key);
  const { enforced = false, audit = false, staged = false } = image?.directions[direction] ?? {};
  if (staged) return 'audit';
  if (!enforced) return 'disabled';
  return audit || isSubjectAudited ? 'audit' : 'enforce';
}
