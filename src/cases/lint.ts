/**
 * Advice on policies that are valid but may not mean what their author meant (policy.md §7, §17). Some needs
 * nothing but the policy, some a world: who is selected, which addresses a prefix covers.
 */
import type { SourceAt } from '#kit/errors';
import { cidrCovers, formatCidr, parseCidrOrIp } from '#kit/ip';
import { formatLabel, labelSet, nearestLabel } from '#kit/labels';
import {
  formatRequirement,
  LABEL_NAMESPACE,
  matches,
  NO_FACTS,
  type PeerSelector,
  type Policy,
  type PolicySpec,
  policyTitle,
  type Requirement,
  type Rule,
  type Selector,
  STANDALONE_POLICY_CONFIG,
} from '#model';
import { FINDING_CODES, findingsOf, identityLabels, labelFilter, selectionsOf } from '#policy';
import { representativeWorlds } from './representatives.ts';
import { type NodeView, viewOf } from './view.ts';

/** Kinds of findings of this file: the stable code and what it is about. */
const OWN_CODES = {
  'deny-only-default-deny': 'A direction with deny rules alone still switches to default deny.',
  'empty-rule': 'A rule that names no peer allows nobody.',
  'port-rule-without-ports': 'A port rule without ports matches nothing.',
  'foreign-namespace': 'A namespaced policy selects in its own namespace only.',
  'filtered-label': 'A selector uses a label that is no part of identities.',
  'infrastructure-selected': 'A cluster-wide default deny also selects health, ingress and init endpoints.',
  'everything-from-world': 'A rule admits everybody on every port.',
  'apiserver-by-service': 'The API server is better reached by its entity than by its Service or address.',
  'selects-nothing': 'The subject selector selects no endpoint or node of the world.',
  'peers-select-nothing': 'A peer selector means nobody of the world.',
  'cidr-covers-nodes': 'A prefix covers nodes, which prefixes do not mean here.',
  'cidr-covers-pods': 'A prefix covers pods, which prefixes do not mean.',
  'named-port-unknown': 'A port name stands for nothing in the world.',
  'named-port-ambiguous': 'A port name stands for several numbers, so at egress for none.',
  'never-decides': 'A rule decides nothing in the world: denies or nobody leave it without effect.',
  'accepted-with-warning': 'The parser accepts it with a warning.',
} as const;

/** Every code, those that the compiler tells included. */
export const LINT_CODES = { ...OWN_CODES, ...FINDING_CODES };
export type LintCode = keyof typeof LINT_CODES;

export interface Finding {
  readonly code: LintCode;
  readonly policy: string;
  /** One sentence without a full stop. */
  readonly message: string;
  readonly at: SourceAt;
  readonly hint?: string;
}

type Note = Omit<Finding, 'policy'>;

/** Findings on the policies, in order; `views`: the world with these policies in force, none when there is none. */
export function lint(policies: readonly Policy[], views: readonly NodeView[] = []): readonly Finding[] {
  const found = compilerFindings(policies, views);
  return policies.flatMap((policy) => {
    const notes: readonly Note[] = [
      ...policy.specs.flatMap((spec) => [
        ...specNotes(policy, spec),
        ...spec.rules.flatMap((rule) => ruleNotes(rule)),
        ...(views.length === 0 ? [] : worldNotes(policy, spec, views)),
      ]),
      ...(found.get(policy.key) ?? []),
    ];
    const byText = new Map(notes.map((note) => [JSON.stringify(note), note]));
    return [...byText.values()].map((note) => ({ ...note, policy: policyTitle(policy) }));
  });
}

/** What the compiler says, by policy. Without a world in one that the policies themselves describe. */
function compilerFindings(
  policies: readonly Policy[],
  views: readonly NodeView[],
): ReadonlyMap<string, readonly Note[]> {
  const seen =
    views.length > 0
      ? views
      : representativeWorlds(policies, {
          config: STANDALONE_POLICY_CONFIG,
          facts: NO_FACTS,
          endpoints: [],
        }).worlds.map((world) => viewOf({ ...world, policies }));
  const notes = new Map<string, Note[]>();
  for (const { world, compiled } of seen) {
    for (const { policy, ...note } of findingsOf({ ...world, compiled, hasProxy: false, hasAuth: false })) {
      notes.set(policy, [...(notes.get(policy) ?? []), note]);
    }
  }
  return notes;
}

function specNotes(policy: Policy, spec: PolicySpec): readonly Note[] {
  const notes: Note[] = [];
  for (const direction of ['ingress', 'egress'] as const) {
    const rules = spec.rules.filter((rule) => rule.direction === direction);
    const isDenyOnly = rules.length > 0 && rules.every((rule) => rule.verdict === 'deny');
    if (isDenyOnly && spec.defaultDeny[direction]) {
      notes.push({
        code: 'deny-only-default-deny',
        message: `${direction} has deny rules alone, and so denies everything else too`,
        at: rules[0]?.at ?? policy.at,
        hint: `write enableDefaultDeny: {${direction}: false}, or allow what shall pass`,
      });
    }
  }
  const { requirements } = spec.subject.selector;
  const isWide = !requirements.some((r) => r.operator === 'In' || r.operator === 'Exists');
  const isPods = spec.subject.kind === 'endpoints' && policy.namespace === undefined;
  if (isPods && isWide && (spec.defaultDeny.ingress || spec.defaultDeny.egress)) {
    notes.push({
      code: 'infrastructure-selected',
      message: 'the selector also means health, ingress and init endpoints, which are now default deny',
      at: policy.at,
      hint: 'add matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]',
    });
  }
  const foreign = requirements.find(
    (r) => r.key === LABEL_NAMESPACE && r.operator === 'In' && !r.values.includes(policy.namespace ?? ''),
  );
  if (foreign !== undefined && policy.namespace !== undefined) {
    notes.push({
      code: 'foreign-namespace',
      message: `the subject needs ${formatRequirement(foreign)}, but the policy selects in ${policy.namespace} only`,
      at: policy.at,
      hint: 'move the policy to that namespace, or write a CiliumClusterwideNetworkPolicy',
    });
  }
  return [...notes, ...filteredNotes(spec, policy)];
}

/** Labels that are filtered out before identities are made are invisible to selectors. */
function filteredNotes(spec: PolicySpec, policy: Policy): readonly Note[] {
  const filter = labelFilter();
  const isFiltered = ({ source, key }: Requirement): boolean => {
    if (source !== 'any' && source !== 'k8s') return false;
    return identityLabels(labelSet([{ source: 'k8s', key, value: '' }]), filter).labels.length === 0;
  };
  const subject = spec.subject.kind === 'endpoints' ? spec.subject.selector.requirements : [];
  const peers = spec.rules.flatMap((rule) =>
    labelSelectors(rule).flatMap(({ requirements }) => requirements.map((r) => ({ r, at: rule.at }))),
  );
  return [...subject.map((r) => ({ r, at: policy.at })), ...peers]
    .filter(({ r }) => isFiltered(r))
    .map(({ r, at }) => ({
      code: 'filtered-label',
      message: `the label ${r.key} is no part of identities, so no selector ever sees it`,
      at,
      hint: 'select by another label',
    }));
}

function peersOf(rule: Rule): readonly PeerSelector[] {
  return rule.peers.kind === 'any' ? [] : rule.peers.selectors;
}

function labelSelectors(rule: Rule): readonly Selector[] {
  return peersOf(rule).flatMap((peer) => (peer.kind === 'labels' ? [peer.selector] : []));
}

function ruleNotes(rule: Rule): readonly Note[] {
  const notes: Note[] = [];
  const { at } = rule;
  if (rule.peers.kind === 'list' && rule.peers.selectors.length === 0) {
    notes.push({
      code: 'empty-rule',
      message:
        rule.verdict === 'deny'
          ? 'the rule names nobody and denies nothing itself'
          : 'the rule names nobody and allows nothing; in a NetworkPolicy it would allow everything',
      at,
      hint: `for everybody write ${rule.direction === 'ingress' ? 'from' : 'to'}Entities: [all]`,
    });
  }
  if (rule.ports.kind === 'list' && rule.ports.matches.length === 0) {
    notes.push({
      code: 'port-rule-without-ports',
      message: 'the rule has a port list without ports, so it matches nothing',
      at,
      hint: 'name the ports, or leave toPorts out',
    });
  }
  const isForAll = peersOf(rule).some((peer) => peer.kind === 'entity' && peer.entity === 'all');
  if (rule.verdict === 'allow' && rule.direction === 'ingress' && isForAll && rule.ports.kind === 'any') {
    notes.push({ code: 'everything-from-world', message: 'the rule admits everybody on every port', at });
  }
  if (peersOf(rule).some(isApiserverService)) {
    notes.push({
      code: 'apiserver-by-service',
      message: 'the Service default/kubernetes stands for addresses that may be nodes',
      at,
      hint: 'write toEntities: [kube-apiserver]',
    });
  }
  return notes;
}

function isApiserverService(peer: PeerSelector): boolean {
  return (
    peer.kind === 'service' &&
    (peer.namespace ?? 'default') === 'default' &&
    'name' in peer.by &&
    peer.by.name === 'kubernetes'
  );
}

function worldNotes(policy: Policy, spec: PolicySpec, views: readonly NodeView[]): readonly Note[] {
  const single = { ...policy, specs: [spec] };
  const isSelecting = views.some(({ world }) => {
    const own = world.endpoints.filter((endpoint) => endpoint.isElsewhere !== true);
    const [selection] = selectionsOf({ ...world, policies: [single], endpoints: own });
    return selection !== undefined && (selection.node || selection.endpoints.length > 0);
  });
  if (!isSelecting) {
    const what = spec.subject.kind === 'node' ? 'node' : 'endpoint';
    return [
      {
        code: 'selects-nothing',
        message: `the subject selector selects no ${what}`,
        at: policy.at,
        ...nearestHint(spec.subject.selector, spec.subject.kind, views),
      },
    ];
  }
  return spec.rules.flatMap((rule) => [
    ...peerNotes(rule, views),
    ...cidrNotes(rule, views),
    ...namedPortNotes(rule, views),
    ...decidingNotes(rule, views),
  ]);
}

/** The label of the world that is closest to one that nobody has. */
function nearestHint(
  selector: Selector,
  kind: 'endpoints' | 'node',
  views: readonly NodeView[],
): { readonly hint?: string } {
  const sets = views.flatMap(({ world }) =>
    kind === 'node' ? [world.nodeLabels] : world.endpoints.map((endpoint) => endpoint.labels),
  );
  for (const r of selector.requirements) {
    if (r.operator !== 'In' || sets.some((set) => matches({ requirements: [r] }, set))) continue;
    const texts = new Set(sets.flatMap((set) => set.labels.map(({ key, value }) => `${key}=${value}`)));
    const near = nearestLabel(`${r.key}=${r.values[0] ?? ''}`, texts);
    const who = `nobody has ${formatLabel({ source: r.source, key: r.key, value: r.values.join('|') })}`;
    return { hint: near === undefined ? who : `${who}; did you mean ${near}?` };
  }
  return {};
}

function peerNotes(rule: Rule, views: readonly NodeView[]): readonly Note[] {
  return labelSelectors(rule)
    .filter(({ requirements }) => !requirements.some((r) => r.source === 'cidr' || r.source === 'reserved'))
    .filter(
      (selector) => !views.some(({ identities }) => identities.some((row) => matches(selector, row.labels))),
    )
    .map((selector) => ({
      code: 'peers-select-nothing',
      message: 'a peer selector means nobody',
      at: rule.at,
      ...nearestHint(selector, 'endpoints', views),
    }));
}

function cidrNotes(rule: Rule, views: readonly NodeView[]): readonly Note[] {
  const cidrs = peersOf(rule).flatMap((peer) => (peer.kind === 'cidr' ? [peer] : []));
  const covered = (texts: readonly string[]) =>
    cidrs.find(({ cidr, except }) =>
      texts.some((text) => {
        const own = parseCidrOrIp(text);
        if (own === undefined || cidr.length === 0 || !cidrCovers(cidr, own)) return false;
        return !except.some((one) => cidrCovers(one, own));
      }),
    );
  const { config } = views[0]?.world ?? {};
  const nodes = views.flatMap(({ world }) => [
    ...world.localAddresses,
    ...world.nodes.flatMap((node) => node.addresses),
  ]);
  const pods = views.flatMap(({ world }) => world.endpoints.flatMap((endpoint) => endpoint.addresses));
  const onNodes = config?.cidrMatchNodes === true ? undefined : covered(nodes);
  const onPods = config?.cidrMatchPods === true ? undefined : covered(pods);
  return [
    ...(onNodes === undefined
      ? []
      : [
          {
            code: 'cidr-covers-nodes' as const,
            message: `${formatCidr(onNodes.cidr)} covers addresses of nodes, but prefixes do not mean nodes here`,
            at: rule.at,
            hint: 'use the entities host and remote-node, or policy-cidr-match-mode nodes',
          },
        ]),
    ...(onPods === undefined
      ? []
      : [
          {
            code: 'cidr-covers-pods' as const,
            message: `${formatCidr(onPods.cidr)} covers addresses of pods, but prefixes never mean pods`,
            at: rule.at,
            hint: 'select pods by their labels',
          },
        ]),
  ];
}

function namedPortNotes(rule: Rule, views: readonly NodeView[]): readonly Note[] {
  const names = rule.ports.kind === 'any' ? [] : rule.ports.matches.filter((match) => match.kind === 'name');
  const [world] = views.map((view) => view.world);
  return names.flatMap(({ name, protocol }): Note[] => {
    const numbers = new Set(
      (world?.endpoints ?? []).flatMap(({ namedPorts }) =>
        (namedPorts ?? []).filter((p) => p.name === name && p.protocol === protocol).map((p) => p.port),
      ),
    );
    if (numbers.size === 0) {
      return [{ code: 'named-port-unknown', message: `no endpoint has a port named ${name}`, at: rule.at }];
    }
    if (numbers.size === 1 || rule.direction === 'ingress') return [];
    const list = [...numbers].sort((a, b) => a - b).join(', ');
    return [
      {
        code: 'named-port-ambiguous',
        message: `the port name ${name} stands for ${list}, so at egress it means nothing`,
        at: rule.at,
        hint: 'write the number',
      },
    ];
  });
}

/** A rule that decides no cell of any rule set. */
function decidingNotes(rule: Rule, views: readonly NodeView[]): readonly Note[] {
  const isEmpty = rule.peers.kind === 'list' && rule.peers.selectors.length === 0;
  const isPortless = rule.ports.kind === 'list' && rule.ports.matches.length === 0;
  if (isEmpty || isPortless) return [];
  const images = views.flatMap(({ compiled }) => [compiled.host, ...compiled.ruleSets]);
  const decides = images.some(({ directions }) =>
    directions[rule.direction].cells.some((cell) => cell.origin.includes(rule.id)),
  );
  if (decides || views.every((view) => view.world.config.enforcement === 'never')) return [];
  return [
    {
      code: 'never-decides',
      message: `the rule ${rule.id} decides nothing: denies cover it, or it means nobody`,
      at: rule.at,
    },
  ];
}
