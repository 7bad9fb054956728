/** Whether a rule's ports include a packet's. */
import { assertNever } from '#kit/errors';
import type { PortMatch, Ports } from '#model';
import type { Flow } from './world.ts';

/** Whether one of the alternatives means the packet; no list at all means every protocol. */
export function portsInclude(ports: Ports, flow: Flow): boolean {
  return ports.kind === 'any' || ports.matches.some((match) => matchIncludes(match, flow));
}

/** An unknown port is in no range, a type never; only a whole protocol includes it (policy.md §13.8). */
function matchIncludes(match: PortMatch, { protocol, port }: Flow): boolean {
  switch (match.kind) {
    case 'protocol':
      return match.protocol === protocol;
    case 'ports':
      if (match.protocol !== protocol || port === undefined || port === 0) return false;
      return match.first <= port && port <= match.last;
    case 'icmp':
      return protocol === (match.family === 4 ? 1 : 58) && port === match.type;
    default:
      return assertNever(match);
  }
}
