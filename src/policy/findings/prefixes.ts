/** Findings about prefixes that cover somebody whom prefixes do not mean (policy.md §4.1, HF-4.3). */
import { type Cidr, cidrCovers, formatCidr } from '#kit/ip';
import type { Rule, Warning } from '#model';
import { type Ground, type Judgement, peerField, peersOf } from './ground.ts';
import type { Owners } from './known-addresses.ts';

export const prefixFindings: Judgement = ({ spec, selected }, ground) => {
  const isInWorld = ground.input.isReal && selected.length > 0;
  return spec.rules.flatMap((rule) => [
    ...apiserver(rule, ground),
    ...(isInWorld ? [...nodes(rule, ground), ...pods(rule, ground)] : []),
  ]);
};

interface Covered {
  readonly cidr: Cidr;
  readonly address: string;
  readonly owner: string;
}

/** The first prefix of the rule that covers somebody; a whole family counts as no prefix. */
function covering(rule: Rule, owners: Owners): Covered | undefined {
  for (const peer of peersOf(rule)) {
    if (peer.kind !== 'cidr' || peer.cidr.length === 0) continue;
    for (const { cidr, value } of owners.covered(peer.cidr)) {
      const isLeft = !peer.except.some((one) => cidrCovers(one, cidr));
      if (isLeft)
        return { cidr: peer.cidr, address: formatCidr(cidr).replace(/\/(32|128)$/, ''), owner: value };
    }
  }
  return undefined;
}

function apiserver(rule: Rule, { addresses }: Ground): readonly Warning[] {
  const covered = rule.verdict === 'allow' ? covering(rule, addresses.apiservers) : undefined;
  if (covered === undefined) return [];
  const message = `${formatCidr(covered.cidr)} covers ${covered.address}, where the API server answers`;
  const hint = `write ${peerField(rule.direction, 'Entities')}: [kube-apiserver]`;
  return [{ code: 'apiserver-by-cidr', message, at: rule.at, hint }];
}

function nodes(rule: Rule, { addresses, input }: Ground): readonly Warning[] {
  const covered = input.config.cidrMatchNodes ? undefined : covering(rule, addresses.nodes);
  if (covered === undefined) return [];
  const { cidr, address, owner } = covered;
  const message = `${formatCidr(cidr)} covers ${address} of ${owner}, but prefixes do not mean nodes here`;
  return [{ code: 'cidr-covers-nodes', message, at: rule.at }];
}

function pods(rule: Rule, { addresses, input }: Ground): readonly Warning[] {
  const covered = input.config.cidrMatchPods === true ? undefined : covering(rule, addresses.pods);
  if (covered === undefined) return [];
  const { cidr, address, owner } = covered;
  const message = `${formatCidr(cidr)} covers ${address} of ${owner}, but prefixes do not mean pods here`;
  return [{ code: 'cidr-covers-pods', message, at: rule.at }];
}
