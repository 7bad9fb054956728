/**
 * Random flows aimed at the edges of a world's rules: first and last port and address, one beyond, inside an
 * except, unknown ports; and what kinds of pair a run has seen.
 */
import { type Cidr, cidrContainsIp, type Ip, ipBits, ipFromBytes, parseCidrOrIp, parseIp } from '#kit/ip';
import type { Direction, Policy, PolicySpec, PortMatch, Rule } from '#model';
import { type Evaluation, evaluate, type Flow, type World } from '#oracle';
import { ADDRESSES, EDGE_PORTS, PREFIXES, WITH_PORTS, WITHOUT_PORTS } from './generate.ts';
import { Random } from './random.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidrOrIp(text);
  if (parsed === undefined) throw new Error(`no prefix: ${text}`);
  return parsed;
}

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}

/** A flow whose peer is an address. */
export type AddressFlow = Flow & { readonly peer: Ip };

/** A flow aimed at the world's rules. Equal seeds give equal flows. */
export function randomFlow(world: World, seed: number): AddressFlow {
  const random = new Random(seed);
  const first = oneFlow(world, random);
  if (!random.chance(15)) return first;
  // Of all kinds the one that is rarest by itself.
  const more = Array.from({ length: 6 }, () => oneFlow(world, random));
  return more.find((flow) => isDenyOverAllow(world, flow, evaluate(world, flow))) ?? first;
}

function oneFlow(world: World, random: Random): AddressFlow {
  const aim = aimOf(world, random);
  const { protocol, port } = randomPort(random, aim.rule);
  return {
    subject: aim.subject,
    direction: aim.direction,
    peer: randomPeer(random, world, aim.rule),
    protocol,
    port,
  };
}

interface Aim {
  readonly subject: Flow['subject'];
  readonly direction: Direction;
  readonly rule: Rule | undefined;
}

/** A subject and, mostly, a rule of a spec that selects it; sometimes a rule that does not. */
function aimOf(world: World, random: Random): Aim {
  const subjects: readonly Flow['subject'][] = ['host', ...world.endpoints.map((endpoint) => endpoint.id)];
  for (let attempt = 0; attempt < 8; attempt++) {
    const subject = random.pick(subjects);
    const direction = random.pick(['ingress', 'egress'] as const);
    const rules = involvedRules(world, subject, direction);
    const asking = rules.filter((rule) => rule.proxy !== undefined);
    const some = asking.length > 0 && random.chance(38) ? asking : rules;
    if (some.length > 0) return { subject, direction, rule: random.pick(some) };
  }
  return { subject: random.pick(subjects), direction: 'ingress', rule: undefined };
}

/** A spec that selects a subject, with its policy. */
export interface InvolvedSpec {
  readonly policy: Policy;
  readonly spec: PolicySpec;
}

const known = new WeakMap<World, Map<Flow['subject'], readonly InvolvedSpec[]>>();

/** Specs that select the subject; found by the oracle's own reading of selectors, once a world. */
export function involvedSpecs(world: World, subject: Flow['subject']): readonly InvolvedSpec[] {
  const bySubject = known.get(world) ?? new Map<Flow['subject'], readonly InvolvedSpec[]>();
  known.set(world, bySubject);
  const before = bySubject.get(subject);
  if (before !== undefined) return before;
  const specs = world.policies.flatMap((policy) =>
    policy.specs
      .filter((spec) => selectsSubject(world, policy, spec, subject))
      .map((spec) => ({ policy, spec })),
  );
  bySubject.set(subject, specs);
  return specs;
}

function involvedRules(world: World, subject: Flow['subject'], direction: Direction): readonly Rule[] {
  return involvedSpecs(world, subject).flatMap(({ spec }) =>
    spec.rules.filter((rule) => rule.direction === direction),
  );
}

/** Asked of the oracle: with a rule for everyone in place of its own, does the spec say anything? */
function selectsSubject(world: World, policy: Policy, spec: PolicySpec, subject: Flow['subject']): boolean {
  const probe: Rule = {
    id: 'probe',
    at: {},
    direction: 'ingress',
    verdict: 'allow',
    tier: 0,
    priority: 0,
    peers: { kind: 'any' },
    ports: { kind: 'any' },
  };
  const { staged: _, ...enforced } = spec;
  const only = { ...policy, specs: [{ ...enforced, rules: [probe] }] };
  const config = { ...world.config, enforcement: 'default', hostFirewall: true } as const;
  const flow: Flow = { subject, direction: 'ingress', peer: ip('203.0.113.1'), protocol: 6, port: 1 };
  return evaluate({ ...world, config, policies: [only] }, flow).rules.includes('probe');
}

function randomPeer(random: Random, world: World, rule: Rule | undefined): Ip {
  const enabled = (address: Ip) => (address.family === 4 ? world.config.ipv4 : world.config.ipv6);
  for (let attempt = 0; attempt < 20; attempt++) {
    const address = onePeer(random, world, rule);
    if (enabled(address)) return address;
  }
  return ip(world.config.ipv4 ? '198.51.100.9' : '2001:db8:ffff::9');
}

function onePeer(random: Random, world: World, rule: Rule | undefined): Ip {
  const cidrs = (rule?.peers.kind === 'list' ? rule.peers.selectors : []).filter((s) => s.kind === 'cidr');
  const excepts = cidrs.flatMap((selector) => selector.except);
  const hasNames = rule?.peers.kind === 'list' && rule.peers.selectors.some((s) => s.kind === 'fqdn');
  const learnt = hasNames ? (world.facts?.names ?? []) : [];
  return random.weighted<Ip>(
    [cidrs.length > 0 ? 50 : 0, () => edgeOf(random, random.pick(cidrs).cidr)],
    [learnt.length > 0 ? 60 : 0, () => ip(random.pick(learnt).address)],
    [excepts.length > 0 ? 70 : 0, () => edgeOf(random, random.pick(excepts))],
    [15, () => hostAddress(random, random.pick(world.endpoints).addresses)],
    [10, () => hostAddress(random, random.pick(world.nodes).addresses)],
    [8, () => hostAddress(random, world.localAddresses)],
    [15, () => edgeOf(random, cidr(random.pick(PREFIXES)))],
    [18, () => ip(random.pick(ADDRESSES))],
    [5, () => ip(random.pick(['198.51.100.9', '2001:db8:ffff::9']))],
  );
}

function hostAddress(random: Random, addresses: readonly string[]): Ip {
  const parsed = parseCidrOrIp(random.pick(addresses));
  if (parsed === undefined) throw new Error('no address');
  return edgeOf(random, parsed, true);
}

/** First, last or some address of the prefix, or one beyond its edges. */
function edgeOf(random: Random, prefix: Cidr, inside = false): Ip {
  const first = toBigInt(prefix.ip);
  const last = first + (1n << BigInt(ipBits(prefix.ip) - prefix.length)) - 1n;
  const top = (1n << BigInt(ipBits(prefix.ip))) - 1n;
  const value = random.weighted(
    [3, () => first],
    [3, () => last],
    [3, () => first + (BigInt(random.below(2 ** 31)) % (last - first + 1n))],
    [inside || first === 0n ? 0 : 1, () => first - 1n],
    [inside || last === top ? 0 : 1, () => last + 1n],
  );
  return fromBigInt(value, prefix.ip.family);
}

function toBigInt(address: Ip): bigint {
  return address.bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function fromBigInt(value: bigint, family: 4 | 6): Ip {
  const bytes = Uint8Array.from({ length: family === 4 ? 4 : 16 }, (_, i, n = family === 4 ? 4 : 16) =>
    Number((value >> BigInt(8 * (n - 1 - i))) & 255n),
  );
  const address = ipFromBytes(bytes);
  if (address === undefined) throw new Error('no address');
  return address;
}

function randomPort(random: Random, rule: Rule | undefined): Pick<Flow, 'protocol' | 'port'> {
  const matches = rule?.ports.kind === 'list' ? rule.ports.matches : [];
  return random.weighted<Pick<Flow, 'protocol' | 'port'>>(
    [matches.length > 0 ? 65 : 0, () => portNear(random, random.pick(matches))],
    [12, () => ({ protocol: random.pick([6, 17, 132, 1, 58]), port: undefined })],
    [8, () => ({ protocol: random.pick([1, 58]), port: random.pick([0, 3, 8, 128, 129, 255]) })],
    [12, () => ({ protocol: random.pick(WITH_PORTS), port: random.pick(EDGE_PORTS) })],
    [5, () => ({ protocol: random.pick(WITHOUT_PORTS), port: undefined })],
  );
}

/** On the match, at its edges, or one beyond. */
function portNear(random: Random, match: PortMatch): Pick<Flow, 'protocol' | 'port'> {
  switch (match.kind) {
    case 'ports': {
      const near = [match.first, match.first, match.last, match.last, match.first - 1, match.last + 1];
      const port = random.chance(85) ? random.pick(near) : random.between(match.first, match.last);
      return { protocol: match.protocol, port: Math.min(Math.max(port, 0), 65535) };
    }
    case 'name':
      return { protocol: match.protocol, port: random.pick([80, 443, 8080, 9090]) };
    case 'icmp':
      return {
        protocol: match.family === 4 ? 1 : 58,
        port: random.chance(80) ? match.type : random.below(256),
      };
    case 'protocol': {
      const hasPorts = WITH_PORTS.includes(match.protocol);
      const hasTypes = match.protocol === 1 || match.protocol === 58;
      const known = random.chance(60) && (hasPorts || hasTypes);
      return { protocol: match.protocol, port: known ? random.below(hasPorts ? 65536 : 256) : undefined };
    }
  }
}

/** Kinds of pairs that a run must not lack. */
export const COVERAGE = ['allow', 'deny over allow', 'except', 'range edge', 'ICMP', 'unknown port'] as const;

export type Coverage = (typeof COVERAGE)[number];

/** What kinds of pair this is. */
export function classify(world: World, flow: AddressFlow, evaluation: Evaluation): readonly Coverage[] {
  const rules = involvedRules(world, flow.subject, flow.direction);
  const kinds: Coverage[] = [];
  if (evaluation.enforced && evaluation.verdict === 'allow') kinds.push('allow');
  if (isDenyOverAllow(world, flow, evaluation)) kinds.push('deny over allow');
  if (rules.some((rule) => isExcepted(rule, flow.peer))) kinds.push('except');
  if (rules.some((rule) => isAtEdge(rule, flow))) kinds.push('range edge');
  if (flow.protocol === 1 || flow.protocol === 58) kinds.push('ICMP');
  if (flow.port === undefined && [1, 6, 17, 58, 132].includes(flow.protocol)) kinds.push('unknown port');
  return kinds;
}

/** Without its deny rules something would allow it. */
function isDenyOverAllow(world: World, flow: AddressFlow, evaluation: Evaluation): boolean {
  return evaluation.verdict === 'deny' && evaluate(withoutDeny(world), flow).verdict !== 'default-deny';
}

const disarmedWorlds = new WeakMap<World, World>();

function withoutDeny(world: World): World {
  const known = disarmedWorlds.get(world);
  if (known !== undefined) return known;
  const disarmed = (rule: Rule): Rule =>
    rule.verdict === 'deny' ? { ...rule, peers: { kind: 'list', selectors: [] } } : rule;
  const policies = world.policies.map((policy) => ({
    ...policy,
    specs: policy.specs.map((spec) => ({ ...spec, rules: spec.rules.map(disarmed) })),
  }));
  const without = { ...world, policies };
  disarmedWorlds.set(world, without);
  return without;
}

function isExcepted({ peers }: Rule, peer: Ip): boolean {
  if (peers.kind === 'any') return false;
  return peers.selectors.some(
    (s) => s.kind === 'cidr' && cidrContainsIp(s.cidr, peer) && s.except.some((e) => cidrContainsIp(e, peer)),
  );
}

function isAtEdge({ ports }: Rule, { protocol, port }: Flow): boolean {
  if (ports.kind === 'any' || port === undefined) return false;
  return ports.matches.some(
    (m) =>
      m.kind === 'ports' &&
      m.protocol === protocol &&
      m.first < m.last &&
      [m.first - 1, m.first, m.last, m.last + 1].includes(port),
  );
}
