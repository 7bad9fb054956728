/**
 * What port names stand for (policy.md §5.2): at ingress the subject's own ports, at egress those of all known
 * endpoints together, where a name with two numbers means nothing. A name that means nothing never widens.
 */
import type { NamedPort, PortMatch, Ports, Rule } from '#model';

/** `name/protocol` → numbers, ascending. */
export type NamedPorts = ReadonlyMap<string, readonly number[]>;

export const NO_NAMED_PORTS: NamedPorts = new Map();

function keyOf({ name, protocol }: { readonly name: string; readonly protocol: number }): string {
  return `${name}/${protocol}`;
}

/** The ports of one subject. */
export function portsOfSubject(ports: readonly NamedPort[]): NamedPorts {
  const numbers = new Map<string, Set<number>>();
  for (const port of ports) {
    const key = keyOf(port);
    numbers.set(key, new Set([...(numbers.get(key) ?? []), port.port]));
  }
  return new Map([...numbers].map(([key, set]) => [key, [...set].sort((a, b) => a - b)]));
}

/** What names mean at egress: those that all endpoints agree on. */
export function egressPorts(endpoints: Iterable<{ readonly namedPorts?: readonly NamedPort[] }>): NamedPorts {
  const all = portsOfSubject([...endpoints].flatMap(({ namedPorts }) => namedPorts ?? []));
  return new Map([...all].filter(([, numbers]) => numbers.length === 1));
}

/** The names that a rule uses, as keys of `NamedPorts`. */
export function portNamesOf({ ports }: Rule): readonly string[] {
  if (ports.kind === 'any') return [];
  return ports.matches.flatMap((match) => (match.kind === 'name' ? [keyOf(match)] : []));
}

/** The same ports without names. */
export function resolvePorts(ports: Ports, named: NamedPorts): Ports {
  if (ports.kind === 'any' || !ports.matches.some((match) => match.kind === 'name')) return ports;
  const matches = ports.matches.flatMap((match): readonly PortMatch[] => {
    if (match.kind !== 'name') return [match];
    const { protocol } = match;
    return (named.get(keyOf(match)) ?? []).map((n) => ({ kind: 'ports', protocol, first: n, last: n }));
  });
  return { kind: 'list', matches };
}
