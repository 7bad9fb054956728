/** Findings about whom a spec selects, and the default deny that it brings them. */
import { type Label, labelSet } from '#kit/labels';
import { type Direction, formatRequirement, LABEL_NAMESPACE, matches, type Rule, type Warning } from '#model';
import { type Ground, type Judgement, type SpecAt } from './ground.ts';
import { endpointTitle } from './input.ts';

const INFRASTRUCTURE = ['health', 'ingress', 'init'] as const;
/** What the labels of DNS servers say in common distributions. */
const DNS_APPS: readonly string[] = ['kube-dns', 'coredns', 'node-local-dns'];
/** Most names of one list that are told. */
const MOST_NAMES = 3;
const DNS_KEYS: readonly string[] = ['k8s-app', 'app.kubernetes.io/name'];

export const subjectFindings: Judgement = (at, ground) => [
  ...nobodySelected(at, ground),
  ...foreignNamespace(at),
  ...infrastructure(at, ground),
  ...denyOnly(at),
  ...hostFirewallOff(at, ground),
];

function nobodySelected({ policy, spec, selected }: SpecAt, ground: Ground): readonly Warning[] {
  if (!ground.input.isReal || selected.length > 0) return [];
  const { kind, selector } = spec.subject;
  const hint = ground.labels.hint(selector, kind);
  const message = `the subject selector selects no ${kind === 'node' ? 'node' : 'endpoint'}`;
  return [{ code: 'selects-nothing', message, at: policy.at, ...(hint === undefined ? {} : { hint }) }];
}

/** What the parser has not told yet: a namespace asked for with any source, or by a list of values. */
function foreignNamespace({ policy, spec }: SpecAt): readonly Warning[] {
  const { namespace, at } = policy;
  if (namespace === undefined) return [];
  const foreign = spec.subject.selector.requirements.find(
    (r) =>
      r.source === 'any' && r.key === LABEL_NAMESPACE && r.operator === 'In' && !r.values.includes(namespace),
  );
  if (foreign === undefined) return [];
  const message = `the subject needs ${formatRequirement(foreign)}, but the policy selects in ${namespace} only`;
  return [{ code: 'foreign-namespace', message, at }];
}

function infrastructure({ policy, spec, selected }: SpecAt, ground: Ground): readonly Warning[] {
  const { subject, defaultDeny } = spec;
  const isClosing = (direction: Direction) =>
    defaultDeny[direction] && !spec.rules.some((rule) => rule.direction === direction && admitsAll(rule));
  const directions = (['ingress', 'egress'] as const).filter(isClosing);
  const isMeant = subject.selector.requirements.some((r) => r.source === 'reserved');
  if (subject.kind === 'node' || policy.namespace !== undefined || directions.length === 0 || isMeant)
    return [];
  const reserved = INFRASTRUCTURE.filter((key) =>
    matches(subject.selector, labelSet([{ source: 'reserved', key, value: '' }])),
  );
  if (reserved.length === 0) return [];
  const names = ground.input.isReal ? dnsServers(selected) : [];
  const shown = names.length > MOST_NAMES ? [...names.slice(0, MOST_NAMES), '…'] : names;
  const more = names.length === 0 ? '' : `, and to the DNS servers ${shown.join(', ')}`;
  const message = `default deny at ${directions.join(' and ')} also comes to ${reserved.join(', ')} endpoints${more}`;
  return [{ code: 'infrastructure-selected', message, at: policy.at }];
}

/** A rule that leaves nothing for default deny to refuse. */
function admitsAll({ verdict, peers, ports }: Rule): boolean {
  const isForAll =
    peers.kind === 'any' || peers.selectors.some((peer) => peer.kind === 'entity' && peer.entity === 'all');
  return verdict === 'allow' && isForAll && ports.kind === 'any';
}

/** Names of the selected endpoints that look like the cluster's DNS. */
function dnsServers(selected: SpecAt['selected']): readonly string[] {
  const names = selected.flatMap(({ node, endpoints }) => {
    const ids = new Set(endpoints);
    const own = node.seen.world.endpoints.filter((e) => ids.has(e.id) && e.labels.labels.some(isDnsServer));
    return own.map(endpointTitle);
  });
  return [...new Set(names)];
}

function isDnsServer({ key, value }: Label): boolean {
  return DNS_KEYS.includes(key) && DNS_APPS.includes(value);
}

function denyOnly({ policy, spec }: SpecAt): readonly Warning[] {
  return (['ingress', 'egress'] as const).flatMap((direction): Warning[] => {
    const rules = spec.rules.filter((rule) => rule.direction === direction);
    const isDenyOnly = rules.length > 0 && rules.every((rule) => rule.verdict === 'deny');
    if (!isDenyOnly || !spec.defaultDeny[direction]) return [];
    return [
      {
        code: 'deny-only-default-deny',
        message: `${direction} has deny rules alone, and so denies everything else too`,
        at: rules[0]?.at ?? policy.at,
        hint: `write enableDefaultDeny: {${direction}: false}, or allow what shall pass`,
      },
    ];
  });
}

function hostFirewallOff({ policy, spec }: SpecAt, { input }: Ground): readonly Warning[] {
  if (spec.subject.kind !== 'node' || input.config.hostFirewall) return [];
  const message = 'the host firewall is off, so the policy is ignored';
  return [{ code: 'host-firewall-off', message, at: policy.at }];
}
