/** Findings about port names, ports of Services, and who probes them (policy.md §5). */
import {
  type Identity,
  matches,
  protocolName,
  RESERVED_IDENTITY,
  type Rule,
  type ServiceRow,
  type Warning,
} from '#model';
import { portNamesOf } from '../named-ports.ts';
import { type Ground, type Judgement, peersOf, type SpecAt } from './ground.ts';
import type { Selected } from './ground-node.ts';

export const portFindings: Judgement = (at, ground) => {
  if (!ground.input.isReal || at.selected.length === 0) return [];
  return [
    ...at.spec.rules.flatMap((rule) => [...names(rule, ground), ...servicePorts(rule, at, ground)]),
    ...gateways(at, ground),
  ];
};

function names(rule: Rule, { ports: known }: Ground): readonly Warning[] {
  const written = portNamesOf(rule);
  if (written.length === 0) return [];
  const found = new Map<string, Warning>();
  // A port without protocol is one name for each protocol: one of them known is enough.
  const knownNames = new Set(written.filter((key) => known.has(key)).map(nameOf));
  for (const key of written) {
    const name = nameOf(key);
    const numbers = known.get(key) ?? [];
    if (!knownNames.has(name)) {
      const message = `no endpoint has a port named ${name}`;
      found.set(name, { code: 'named-port-unknown', message, at: rule.at });
    } else if (numbers.length > 1 && rule.direction === 'egress') {
      const message = `the port name ${name} stands for ${numbers.join(', ')}, so at egress it means nothing`;
      found.set(name, { code: 'named-port-ambiguous', message, at: rule.at });
    }
  }
  return [...found.values()];
}

/** The name in `name/protocol`. */
function nameOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

/** A rule for the port at which a Service is asked, not the one at which its pods answer. */
function servicePorts(rule: Rule, at: SpecAt, ground: Ground): readonly Warning[] {
  if (rule.ports.kind === 'any') return [];
  const written = rule.ports.matches;
  return ground.facts.services.flatMap((service): Warning[] => {
    const { ports = [], selector, key } = service;
    const wrong = ports.find(({ port, protocol }) =>
      written.some(
        (m) => m.kind === 'ports' && m.protocol === protocol && m.first === port && m.last === port,
      ),
    );
    if (selector === undefined || wrong === undefined) return [];
    if (ports.some(({ targetPort }) => targetPort === wrong.port)) return [];
    if (!meetsPods(rule, at, service, wrong.port)) return [];
    const asked = `${wrong.port}/${protocolName(wrong.protocol)}`;
    const message = `${asked} is the port of the Service ${key}; its pods answer at ${wrong.targetPort}`;
    return [{ code: 'service-port', message, at: rule.at, hint: `write port: "${wrong.targetPort}"` }];
  });
}

/** Whether its pods are subjects (at ingress) or peers (at egress), and none of them has a port of that number. */
function meetsPods(rule: Rule, { selected }: SpecAt, service: ServiceRow, port: number): boolean {
  return selected.some(({ node, endpoints }) => {
    const own = new Set(endpoints);
    const backends = node.podsBehind(service);
    if (backends.some((e) => e.namedPorts?.some((p) => p.port === port) === true)) return false;
    if (rule.direction === 'ingress') return backends.some((e) => own.has(e.id));
    const selectors = peersOf(rule).flatMap((peer) => (peer.kind === 'labels' ? [peer.selector] : []));
    return selectors.some((selector) => backends.some((e) => matches(selector, e.labels)));
  });
}

const PROBERS = [RESERVED_IDENTITY.ingress, RESERVED_IDENTITY['remote-node']];

/** Pods behind a Service that neither gateways nor other nodes may reach. */
function gateways({ spec, policy, selected }: SpecAt, { facts }: Ground): readonly Warning[] {
  if (!spec.defaultDeny.ingress || spec.subject.kind === 'node') return [];
  const closed = facts.services.filter(
    (service) => service.selector !== undefined && selected.some((at) => isClosed(service, at)),
  );
  if (closed.length === 0) return [];
  const keys = closed.map(({ key }) => key).join(', ');
  const message = `pods behind ${keys} are closed to ingress gateways and to other nodes`;
  return [{ code: 'gateway-not-admitted', message, at: policy.at }];
}

function isClosed(service: ServiceRow, { node, endpoints }: Selected): boolean {
  const own = new Set(endpoints);
  const backend = node.podsBehind(service).find((e) => own.has(e.id));
  if (backend === undefined) return false;
  return (service.ports ?? []).some(({ targetPort, protocol }) => {
    const named = backend.namedPorts?.find((p) => p.name === targetPort && p.protocol === protocol)?.port;
    const port = typeof targetPort === 'number' ? targetPort : named;
    const verdict = (peer: Identity) => node.judge(backend.id, 'ingress', peer, protocol, port).verdict;
    return port !== undefined && PROBERS.every((peer) => verdict(peer) === 'default-deny');
  });
}
