/** Who must prove who they are: by the closest rules for the peer and the closest for everyone (policy.md §4.7). */
import type { PortMatch, Rule } from '#model';
import { isForEveryone, rank } from './proxy.ts';
import type { Evaluation, Flow } from './world.ts';

const STRICTNESS = ['disabled', 'required', 'test-always-fail'] as const;

/** The rules match the flow; names among their ports are numbers. */
export function authOf(rules: readonly Rule[], flow: Flow): Evaluation['auth'] {
  const forPeer = rules.filter((rule) => !isForEveryone(rule));
  const forAll = rules.filter((rule) => isForEveryone(rule));
  const [decides, other] = isBefore(forAll, forPeer, flow) ? [forAll, forPeer] : [forPeer, forAll];
  const own = strictest(closest(decides.filter(isStating), flow));
  const isOwn = decides.some((rule) => isStating(rule) && lengthOf(rule, flow) >= foundLength(decides, flow));
  const theirs = strictest(closest(other.filter(isStating), flow));
  const mode = STRICTNESS[isOwn ? own : Math.max(own, theirs)];
  return mode === 'disabled' ? undefined : mode;
}

const isStating = (rule: Rule): boolean => rule.auth !== undefined;

const bestRank = (rules: readonly Rule[]): number => Math.min(...rules.map(rankOf));

const rankOf = ({ proxy }: Rule): number => (proxy === undefined ? Infinity : rank(proxy));

/** A proxy before none, a proxy before a lesser one; then who names ports more closely; then who names the peer. */
function isBefore(forAll: readonly Rule[], forPeer: readonly Rule[], flow: Flow): boolean {
  if (forAll.length === 0 || forPeer.length === 0) return forPeer.length === 0;
  const [all, peer] = [bestRank(forAll), bestRank(forPeer)];
  if (all !== peer) return all < peer;
  const reach = (rules: readonly Rule[]) =>
    Math.max(foundLength(rules, flow), ...rules.filter(isStating).map((rule) => lengthOf(rule, flow)));
  return reach(forAll) > reach(forPeer);
}

/** How closely the closest of the rules with the first proxy name the port. */
function foundLength(rules: readonly Rule[], flow: Flow): number {
  const first = rules.filter((rule) => rankOf(rule) === bestRank(rules));
  return Math.max(...first.map((rule) => lengthOf(rule, flow)));
}

function closest(rules: readonly Rule[], flow: Flow): readonly Rule[] {
  const most = Math.max(...rules.map((rule) => lengthOf(rule, flow)));
  return rules.filter((rule) => lengthOf(rule, flow) === most);
}

function strictest(rules: readonly Rule[]): number {
  return Math.max(0, ...rules.map(({ auth }) => STRICTNESS.indexOf(auth ?? 'disabled')));
}

/** How long a key of the reference's map would be that has the rule's port. */
function lengthOf({ ports }: Rule, { protocol, port }: Flow): number {
  if (ports.kind === 'any') return 0;
  return Math.max(0, ...ports.matches.map((match) => keyLength(match, protocol, port)));
}

function keyLength(match: PortMatch, protocol: number, port: number | undefined): number {
  if (match.kind === 'protocol') return match.protocol === protocol ? 8 : 0;
  if (port === undefined) return 0;
  if (match.kind === 'icmp') return match.type === port && (protocol === 1) === (match.family === 4) ? 24 : 0;
  if (match.kind === 'name' || match.protocol !== protocol) return 0;
  for (let length = 8; length <= 24; length++) {
    const size = 2 ** (24 - length);
    const start = port - (port % size);
    if (start >= match.first && start + size - 1 <= match.last) return length;
  }
  return 0;
}
