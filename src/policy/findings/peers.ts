/** Findings about the peers of rules (policy.md §4, §7). */
import {
  exists,
  LABEL_CIDR_GROUP_NAME,
  LABEL_CLUSTER,
  type PeerSelector,
  type PolicySpec,
  type Rule,
  type Selector,
  type Warning,
} from '#model';
import { nearest } from '#kit/nearest';
import { type Ground, type Judgement, peerField, peersOf } from './ground.ts';

export const peerFindings: Judgement = ({ policy, spec, selected }, ground) => {
  const isInWorld = ground.input.isReal && selected.length > 0;
  return spec.rules.flatMap((rule) => [
    ...(policy.kind === 'NetworkPolicy' ? [] : emptyRule(rule, spec)),
    ...everybody(rule),
    ...apiserver(rule),
    ...(isInWorld ? nobody(rule, ground) : []),
  ]);
};

function emptyRule({ peers, ports, verdict, direction, at }: Rule, spec: PolicySpec): readonly Warning[] {
  if (peers.kind === 'any' || peers.selectors.length > 0) return [];
  if (ports.kind === 'any') {
    const effect = verdict === 'deny' ? 'denies nothing itself' : 'allows nothing';
    const closes = spec.defaultDeny[direction] ? `; it makes ${direction} default deny` : '';
    const message = `names nobody and ${effect}${closes}`;
    const hint = `for everybody write ${peerField(direction, 'Entities')}: [all]`;
    return [{ code: 'empty-rule', message, at, hint }];
  }
  const message = `the ${direction === 'ingress' ? 'from' : 'to'}… field is an empty list: it means nobody, not everybody`;
  return [{ code: 'empty-peer-list', message, at }];
}

function everybody(rule: Rule): readonly Warning[] {
  const isForAll = peersOf(rule).some((peer) => peer.kind === 'entity' && peer.entity === 'all');
  if (rule.verdict !== 'allow' || rule.direction !== 'ingress' || !isForAll || rule.ports.kind !== 'any')
    return [];
  return [{ code: 'everything-from-world', message: 'admits everybody on every port', at: rule.at }];
}

function apiserver(rule: Rule): readonly Warning[] {
  if (!peersOf(rule).some(isApiserverService)) return [];
  const message = 'the Service default/kubernetes stands for addresses that may be nodes';
  const hint = `write ${peerField(rule.direction, 'Entities')}: [kube-apiserver]`;
  return [{ code: 'apiserver-by-service', message, at: rule.at, hint }];
}

function isApiserverService(peer: PeerSelector): boolean {
  const isThere = peer.kind === 'service' && (peer.namespace ?? 'default') === 'default';
  return isThere && 'name' in peer.by && peer.by.name === 'kubernetes';
}

function nobody(rule: Rule, ground: Ground): readonly Warning[] {
  return peersOf(rule).flatMap((peer): readonly Warning[] => {
    switch (peer.kind) {
      case 'labels': {
        if (isReserved(peer.selector) || !ground.meansNobody(peer)) return [];
        const remote = remoteOnly(peer.selector, ground);
        if (remote !== undefined) {
          const message = `a peer selector means pods of the cluster ${remote} only, but asks for the local one`;
          const hint = `add io.cilium.k8s.policy.cluster: ${remote}`;
          return [{ code: 'only-remote-cluster', message, at: rule.at, hint }];
        }
        const hint = ground.labels.hint(peer.selector, 'endpoints');
        const more = hint === undefined ? {} : { hint };
        return [
          { code: 'peers-select-nothing', message: 'a peer selector means nobody', at: rule.at, ...more },
        ];
      }
      case 'cidrGroup':
      case 'service':
        return missingObject(peer, rule, ground);
      default:
        return [];
    }
  });
}

function isReserved({ requirements }: Selector): boolean {
  return requirements.some((r) => r.source === 'cidr' || r.source === 'reserved');
}

/** A cluster whose pods the selector would mean if it did not ask for the local one. */
function remoteOnly({ requirements }: Selector, { nodes, facts, input }: Ground): string | undefined {
  const others = requirements.filter((r) => r.key !== LABEL_CLUSTER);
  if (others.length === requirements.length) return undefined;
  const selector = { requirements: [...others, exists('k8s', LABEL_CLUSTER)] };
  const peers = { kind: 'list', selectors: [{ kind: 'labels', selector }] } as const;
  for (const node of nodes) {
    const ids = new Set(node.identitiesOf(peers, facts));
    for (const { id, labels } of node.seen.identities) {
      if (!ids.has(id)) continue;
      const cluster = labels.labels.find((label) => label.key === LABEL_CLUSTER)?.value;
      if (cluster !== undefined && cluster !== input.config.clusterName) return cluster;
    }
  }
  return undefined;
}

/** A group or Service that is named and not there. */
function missingObject(peer: PeerSelector, rule: Rule, { facts }: Ground): readonly Warning[] {
  const about = (what: string, name: string, known: readonly string[]): Warning[] => {
    if (known.includes(name)) return [];
    const near = nearest(name, known);
    const hint = near === undefined ? `there is no such ${what}` : `did you mean ${near}?`;
    return [{ code: 'peers-select-nothing', message: `there is no ${what} ${name}`, at: rule.at, hint }];
  };
  if (peer.kind === 'service' && 'name' in peer.by) {
    const { namespace, by } = peer;
    const inScope = facts.services.filter((s) => namespace === undefined || s.namespace === namespace);
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    return about(
      'Service',
      `${prefix}${by.name}`,
      inScope.map((s) => `${prefix}${s.name}`),
    );
  }
  if (peer.kind !== 'cidrGroup') return [];
  const named = peer.selector.requirements.find((r) => r.key.startsWith(LABEL_CIDR_GROUP_NAME));
  if (named === undefined) return [];
  const name = named.key.slice(LABEL_CIDR_GROUP_NAME.length);
  return about(
    'CiliumCIDRGroup',
    name,
    facts.cidrGroups.map((group) => group.name),
  );
}
