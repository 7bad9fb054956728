/** The verdict on one flow, one rule after the other, as policy.md §8, §9 and HF-5 read. */
import { getLabel } from '#kit/labels';
import { type PolicySpec, policyTitle, type Rule } from '#model';
import { authOf } from './auth.ts';
import { meetingPoints } from './meeting.ts';
import { peerOf, peersInclude, withSelectors } from './peer.ts';
import { proxyAnswer } from './proxy.ts';
import { selects } from './select.ts';
import { portsInclude, withNumbers } from './port.ts';
import type { Evaluation, Flow, World } from './world.ts';

/** A spec that selects the subject, with the name people know it by. */
interface Selecting {
  readonly label: string;
  readonly spec: PolicySpec;
}

const OPEN: Evaluation = { verdict: 'allow', rules: [], enforced: false };

/** What must come of the flow: what is enforced decides, what is staged is asked beside it, audit comes last (HF-5.4). */
export function evaluate(world: World, flow: Flow): Evaluation {
  const { audit } = world;
  const live = decide(world, flow, (spec) => spec.staged !== true);
  const policies = world.held?.get(flow.subject) ?? world.policies;
  const isAnyStaged = policies.some(({ specs }) => specs.some((spec) => spec.staged));
  const all = isAnyStaged ? decide(world, flow, () => true) : live;
  const isRefused = isOneOf('deny', 'default-deny', 'auth');
  const isInAudit =
    flow.subject === 'host' ? audit?.host.includes(flow.direction) : audit?.endpoints.includes(flow.subject);
  const sayNo = isOneOf('deny', 'default-deny');
  const isSame = live.verdict === all.verdict || (sayNo(live.verdict) && sayNo(all.verdict));
  return {
    ...live,
    ...(isSame ? {} : { staged: { verdict: all.verdict, rules: all.rules } }),
    ...(isInAudit === true && isRefused(live.verdict) ? { audited: true } : {}),
  };
}

const isOneOf =
  (...words: readonly Evaluation['verdict'][]) =>
  (verdict: Evaluation['verdict']): boolean =>
    words.includes(verdict);

/** The verdict of those specs that count. */
function decide(world: World, flow: Flow, counts: (spec: PolicySpec) => boolean): Evaluation {
  const { config } = world;
  const isHost = flow.subject === 'host';
  const endpoint = world.endpoints.find((row) => row.id === flow.subject);
  if (config.enforcement === 'never' || (isHost ? !config.hostFirewall : endpoint === undefined)) return OPEN;

  const selecting = selectingSpecs(world, flow).filter(({ spec }) => counts(spec));
  const involved = selecting.filter(({ spec }) =>
    spec.rules.some((rule) => rule.direction === flow.direction),
  );
  // On pods, a spec without rules in the direction cannot switch it (policy.md §7); on the host it can (HF-5.1).
  const denying = (isHost ? selecting : involved).filter(({ spec }) => spec.defaultDeny[flow.direction]);
  const isInit = endpoint !== undefined && getLabel(endpoint.labels, 'reserved', 'init') !== undefined;
  const forced = config.enforcement === 'always' || isInit;
  if (!forced && involved.length === 0 && denying.length === 0) return OPEN;

  const peer = peerOf(flow.peer, world);
  const matching = involved
    .flatMap(({ spec }) => spec.rules)
    .filter((rule) => rule.direction === flow.direction)
    .filter((rule) => peersInclude(rule.peers, peer, world) && portsInclude(rule.ports, flow, world));
  const isLocalhost =
    config.allowLocalhost && !isHost && flow.direction === 'ingress' && peer.kind === 'host';
  const decided = byTier(matching);
  if (Array.isArray(decided)) {
    const isOpen = (!forced && denying.length === 0) || isLocalhost;
    const rules = decided.map((rule) => withNumbers(withSelectors(rule, world), flow, world));
    return allowed(rules, flow, isOpen, isLocalhost, (rule) => meetingPoints(rule, peer, flow, world));
  }
  if (decided !== undefined) return decided;
  if (isLocalhost) {
    return { verdict: 'allow', rules: ['allow-localhost'], enforced: true };
  }
  if (!forced && denying.length === 0) return { verdict: 'allow', rules: [], enforced: true };
  const reasons = denying.map(({ label }) => label);
  if (config.enforcement === 'always') reasons.push('enable-policy=always');
  else if (isInit) reasons.push('reserved:init');
  return { verdict: 'default-deny', rules: reasons.sort(), enforced: true };
}

function selectingSpecs(world: World, flow: Flow): Selecting[] {
  const endpoint = world.endpoints.find((row) => row.id === flow.subject);
  const policies = world.held?.get(flow.subject) ?? world.policies;
  return policies.flatMap((policy) => {
    const name = policyTitle(policy);
    return policy.specs
      .filter(({ subject }) => {
        if (subject.kind === 'node')
          return flow.subject === 'host' && selects(subject.selector, world.nodeLabels.labels);
        return endpoint !== undefined && selects(subject.selector, endpoint.labels.labels);
      })
      .map((spec) => ({ label: `${name}/${spec.index}`, spec }));
  });
}

/** What comes of rules that allow: a proxy where one of them asks for it, a proof of identity first. */
function allowed(
  rules: readonly Rule[],
  flow: Flow,
  isOpen: boolean,
  isWaived: boolean,
  meets: (rule: Rule) => readonly string[],
): Evaluation {
  const answer = proxyAnswer(rules, flow, isOpen, meets);
  const auth = isWaived ? undefined : authOf(rules, flow);
  const verdict = auth !== undefined ? 'auth' : answer === undefined ? 'allow' : 'redirect';
  return {
    verdict,
    rules: ids(rules),
    enforced: true,
    ...(auth === undefined ? {} : { auth }),
    ...answer,
  };
}

/**
 * Tiers in order, priorities in order within a tier. The first deny or allow decides, a deny before an allow of
 * the same priority; a pass leaves the rest of its tier out.
 */
function byTier(matching: readonly Rule[]): Evaluation | Rule[] | undefined {
  for (const tier of ascending(matching.map((rule) => rule.tier))) {
    const inTier = matching.filter((rule) => rule.tier === tier);
    for (const priority of ascending(inTier.map((rule) => rule.priority))) {
      const level = inTier.filter((rule) => rule.priority === priority);
      const denies = level.filter((rule) => rule.verdict === 'deny');
      const allows = level.filter((rule) => rule.verdict === 'allow');
      if (denies.length > 0) return { verdict: 'deny', rules: ids(denies), enforced: true };
      if (allows.length > 0) return allows;
      break; // only passes: on to the next tier
    }
  }
  return undefined;
}

function ascending(numbers: readonly number[]): number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function ids(rules: readonly Rule[]): string[] {
  return [...new Set(rules.map((rule) => rule.id))].sort();
}
