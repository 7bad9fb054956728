/** Whether a rule's ports include a packet's. */
import { assertNever } from '#kit/errors';
import type { PortMatch, Ports, Rule } from '#model';
import type { Flow, World } from './world.ts';

/** Whether one of the alternatives means the packet; no list at all means every protocol. */
export function portsInclude(ports: Ports, flow: Flow, world: World): boolean {
  return ports.kind === 'any' || ports.matches.some((match) => matchIncludes(match, flow, world));
}

/** An unknown port is in no range, a type never; only a whole protocol includes it (policy.md §13.8). */
function matchIncludes(match: PortMatch, flow: Flow, world: World): boolean {
  const { protocol, port } = flow;
  switch (match.kind) {
    case 'protocol':
      return match.protocol === protocol;
    case 'ports':
      if (match.protocol !== protocol || port === undefined || port === 0) return false;
      return match.first <= port && port <= match.last;
    case 'name':
      if (match.protocol !== protocol || port === undefined) return false;
      return numbersOf(match.name, protocol, flow, world).includes(port);
    case 'icmp':
      return protocol === (match.family === 4 ? 1 : 58) && port === match.type;
    default:
      return assertNever(match);
  }
}

/** The rule with numbers for the names that have some here. */
export function withNumbers(rule: Rule, flow: Flow, world: World): Rule {
  const { ports } = rule;
  if (ports.kind === 'any') return rule;
  const matches = ports.matches.flatMap((match): readonly PortMatch[] => {
    if (match.kind !== 'name') return [match];
    const { protocol } = match;
    const numbers = numbersOf(match.name, protocol, flow, world);
    if (numbers.length === 0) return [match];
    return numbers.map((port) => ({ kind: 'ports', protocol, first: port, last: port }));
  });
  return { ...rule, ports: { ...ports, matches } };
}

/** At ingress the subject's own ports; at egress the one number that all endpoints mean, if it is one. */
function numbersOf(name: string, protocol: number, flow: Flow, world: World): readonly number[] {
  const asked = world.endpoints.filter((row) => flow.direction === 'egress' || row.id === flow.subject);
  const numbers = new Set<number>();
  for (const { namedPorts } of asked) {
    for (const one of namedPorts ?? []) {
      if (one.name === name && one.protocol === protocol) numbers.add(one.port);
    }
  }
  return flow.direction === 'egress' && numbers.size > 1 ? [] : [...numbers];
}
