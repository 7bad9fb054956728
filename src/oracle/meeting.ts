/** By which of its selectors and ranges a rule matches: where those of two rules are the same, the rules meet. */
import type { Rule } from '#model';
import { peersInclude } from './peer.ts';
import { portsInclude } from './port.ts';
import { canonical, isForEveryone, rangeText } from './proxy.ts';
import type { Peer } from './select.ts';
import type { Flow, World } from './world.ts';

/** One text for each selector that means the peer with each range that includes the port. Selectors are direct. */
export function meetingPoints(rule: Rule, peer: Peer, flow: Flow, world: World): readonly string[] {
  const ranges =
    rule.ports.kind === 'any'
      ? ['*']
      : rule.ports.matches
          .filter((match) => portsInclude({ kind: 'list', matches: [match] }, flow, world))
          .map(rangeText);
  const selectors =
    rule.peers.kind === 'any' || isForEveryone(rule)
      ? ['*']
      : rule.peers.selectors
          .filter((selector) => peersInclude({ kind: 'list', selectors: [selector] }, peer, world))
          .map(canonical);
  return selectors.flatMap((selector) => ranges.map((range) => `${range} ${selector}`));
}
