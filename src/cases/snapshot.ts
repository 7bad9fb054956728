/** What an agent has, as JSON and back: policies, identities' numbers, endpoints, nodes. */
import { assertNever, MerlonError } from '#kit/errors';
import { cidrContainsIp, formatIp, parseIp, type Ip, parseCidrOrIp } from '#kit/ip';
import { formatLabel } from '#kit/labels';
import { nearest } from '#kit/nearest';
import { type CidrGroupRow, NO_FACTS, PROTOCOL_ICMP6, RESERVED_IDENTITY, type Policy } from '#model';
import type { ParseOptions } from '#model/parse';
import { appliedFacts } from './candidate.ts';
import { CASE_ENTITIES, type CaseEntity, type CaseFlow, type CaseParty } from './case.ts';
import { combined, l7Request, proxied, type FlowResult, type FlowWorld, type Side } from './flow.ts';
import { type Documents, worldWith } from './generation.ts';
import { type Hook, type NodeFacts, type Packet, pathOf, type SubjectVerdict } from './path.ts';
import { describedParty } from './party.ts';
import { fromPlain, toPlain } from './plain.ts';
import { known } from './read-flow.ts';
import { type Known, type NodeView, type NodeWorld, type Subject, viewOf, worldIdentity } from './view.ts';

/** What the agent of a node sends. */
export interface Snapshot {
  readonly world: NodeWorld;
  readonly parse: ParseOptions;
  readonly node: NodeFacts;
}

/** JSON text of a snapshot. */
export function snapshotToJson(snapshot: Snapshot): unknown {
  return toPlain(snapshot);
}

/** The snapshot of an agent of this release. Throws `API_PROTOCOL` for what is none. */
export function snapshotFromJson(json: unknown): Snapshot {
  const value = fromPlain(json) as Partial<Snapshot> | null | undefined;
  const { world, parse, node } = value ?? {};
  if (world === undefined || parse === undefined || node === undefined || !Array.isArray(world.policies)) {
    throw new MerlonError('API_PROTOCOL', 'the agent sent no world');
  }
  return value as Snapshot;
}

/** Who a party is on this node: a subject of policy or not, and how others see it. */
interface Member {
  readonly name: string;
  readonly subject: Subject | undefined;
  readonly addresses: readonly Ip[];
  /** For members without an address. */
  readonly identity: Known['identity'] | undefined;
}

/** What is known of a packet beyond its flow. */
export interface PacketDetails {
  readonly sourcePort?: number;
  readonly tcpFlags?: string;
  readonly device?: string;
  /** What the flow table says of its two ends, for people. */
  readonly record?: string;
  /** Labels that an address had when the packet came, by the address. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
}

/** Flows through one running node. */
export class SnapshotRun implements FlowWorld {
  readonly #snapshot: Snapshot;
  #view: NodeView | undefined;

  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot;
  }

  get policies(): readonly Policy[] {
    return this.#snapshot.world.policies;
  }

  get parse(): ParseOptions {
    return this.#snapshot.parse;
  }

  /** Devices that carry programs. */
  get devices(): readonly string[] {
    const { devices, endpointDevices } = this.#snapshot.node;
    return [...devices, ...Object.values(endpointDevices)];
  }

  with(policies: readonly Policy[], cidrGroups: readonly CidrGroupRow[] = []): SnapshotRun {
    const { world } = this.#snapshot;
    const facts = appliedFacts(world.facts ?? NO_FACTS, { ...NO_FACTS, cidrGroups });
    return new SnapshotRun({ ...this.#snapshot, world: { ...world, policies, facts } });
  }

  /** The same node with the documents of another time. */
  at(documents: Documents): SnapshotRun {
    return new SnapshotRun({ ...this.#snapshot, world: worldWith(this.#snapshot.world, documents) });
  }

  views(): readonly NodeView[] {
    this.#view ??= viewOf(this.#snapshot.world);
    return [this.#view];
  }

  party(text: string): CaseParty {
    const { endpoints, nodes, node } = this.#snapshot.world;
    const ip = parseIp(text);
    if (ip !== undefined) return { kind: 'ip', ip: formatIp(ip) };
    const [view] = this.views();
    const described = view && describedParty(text, view);
    if (described !== undefined) return described;
    const [, kind, name = ''] = /^(node|entity):(.*)$/.exec(text) ?? [];
    if (kind === 'entity') return { kind, entity: known(name, kind, CASE_ENTITIES) as CaseEntity };
    if (kind === 'node') return { kind, name: known(name, kind, [node, ...nodes.map((row) => row.name)]) };
    if (text.startsWith('service:')) {
      throw new MerlonError('CASE_REFERENCE', 'services are translated in case files only', {
        hint: 'name an endpoint behind it',
      });
    }
    const called = endpoints.filter((row) => row.name === text || String(row.id) === text);
    // A name alone will do where only one namespace has it.
    const found = called.length > 0 ? called : endpoints.filter((row) => row.name.endsWith(`/${text}`));
    const [first] = found;
    if (first !== undefined && found.length === 1) return { kind: 'endpoint', name: first.name };
    if (found.length > 1) {
      const all = found.map((row) => row.name).join(' or ');
      throw new MerlonError('CASE_REFERENCE', `${JSON.stringify(text)} may be ${all}`, {
        hint: 'name it with its namespace',
      });
    }
    const names = endpoints.map((row) => row.name);
    const near = nearest(text, names);
    throw new MerlonError('CASE_REFERENCE', `the agent knows no ${JSON.stringify(text)}`, {
      hint:
        near === undefined
          ? `write an address, an endpoint as namespace/name or by its number, node:${node}, or entity:NAME`
          : `did you mean ${near}?`,
    });
  }

  /** The addresses of both ends, where they have one. */
  addresses(flow: CaseFlow): readonly [source: string | undefined, destination: string | undefined] {
    const { source, destination } = packetOf(this.#member(flow.from), this.#member(flow.to), flow, {});
    return [source && formatIp(source), destination && formatIp(destination)];
  }

  results(flow: CaseFlow, details: PacketDetails = {}): readonly FlowResult[] {
    const from = this.#member(flow.from);
    const to = this.#receiver(from, flow);
    const sides = [
      flow.direction === 'ingress' ? undefined : this.#side('egress', from, to, flow, details),
      flow.direction === 'egress' ? undefined : this.#side('ingress', to, from, flow, details),
    ].filter((side) => side !== undefined);
    const isInside = from.subject !== undefined && from.subject === to.subject;
    if (isInside || sides.length === 0) {
      const because = isInside
        ? 'never leaves its network namespace'
        : 'neither side is a subject on this node';
      return [{ verdict: 'allow', sides: [], because, via: undefined }];
    }
    const path = this.#path(from, to, sides, packetOf(from, to, flow, details), details.record);
    return [{ verdict: combined(path), sides, because: undefined, via: undefined, path }];
  }

  /** An endpoint's device is its own hook, for its packets with the node too; the rest comes by the wire. */
  #path(
    from: Member,
    to: Member,
    sides: readonly Side[],
    packet: Packet,
    record: string | undefined,
  ): readonly Hook[] {
    const { node } = this.#snapshot;
    const subjects = sides.map(subjectVerdict);
    const of = (direction: Side['direction']) => subjects.filter((one) => one.direction === direction);
    const hook = (
      kind: 'host' | 'pod',
      direction: Side['direction'],
      member: Member,
      asked: readonly SubjectVerdict[],
    ): Hook =>
      pathOf({
        kind,
        direction,
        where: whereOf(kind, direction, member.subject, packet, node),
        packet,
        node,
        subjects: [...asked].sort((a, b) => (a.subject === 'host' ? 1 : 0) - (b.subject === 'host' ? 1 : 0)),
        ...(record === undefined ? {} : { record }),
      });
    const isPod = ({ subject }: Member) => subject !== undefined && subject !== 'host';
    if (isPod(from) && isPod(to)) {
      const hooks = [
        ...(of('egress').length > 0 ? [hook('pod', 'egress', from, of('egress'))] : []),
        ...(of('ingress').length > 0 ? [hook('pod', 'ingress', to, of('ingress'))] : []),
      ];
      return hooks[0]?.verdict === 'deny' ? hooks.slice(0, 1) : hooks;
    }
    if (isPod(from)) return [hook('pod', 'egress', from, subjects)];
    if (isPod(to)) return [hook('pod', 'ingress', to, subjects)];
    return from.subject === 'host'
      ? [hook('host', 'egress', from, subjects)]
      : [hook('host', 'ingress', to, subjects)];
  }

  #side(
    direction: Side['direction'],
    own: Member,
    other: Member,
    flow: CaseFlow,
    details: PacketDetails,
  ): Side | undefined {
    const [view] = this.views();
    if (own.subject === undefined || view === undefined) return undefined;
    const peer = this.#peer(view, own, other, flow, details);
    const { protocol, port } = flow;
    const cell = this.#isOff(direction, own, other, flow)
      ? offCell(familyOf(own, other, flow))
      : view.judge(own.subject, direction, peer.identity, protocol, port);
    const names = { subjectName: own.name, peerName: other.name };
    const request = flow.request === undefined ? {} : { request: l7Request(flow.request) };
    const side = { direction, view, subject: own.subject, ...names, peer, protocol, port, cell, ...request };
    const { node } = this.#snapshot;
    const reason = REASONS[cell.verdict];
    const isAudited = isAuditedBy(node, own.subject, direction);
    if (reason !== undefined) return { ...side, verdict: isAudited ? 'audit' : 'deny', reason };
    const verdict = proxied(cell, flow);
    const staged = stagedReason(cell, node);
    if (verdict === 'audit' || (verdict === 'allow' && staged !== undefined))
      return { ...side, verdict: 'audit', ...(staged === undefined ? {} : { reason: staged }) };
    if (cell.verdict !== 'redirect' || node.hasProxy) return { ...side, verdict };
    // Audit forgives only what policy itself refuses.
    return { ...side, verdict: 'deny', reason: 'L7_PROXY_UNAVAILABLE', withProxy: verdict };
  }

  /** Of a family that is off the node takes nothing (HF-2.1). */
  #isOff(direction: Side['direction'], own: Member, other: Member, flow: CaseFlow): boolean {
    const { ipv4, ipv6, hostFirewall } = this.#snapshot.world.config;
    const isOn = familyOf(own, other, flow) === 4 ? ipv4 : ipv6;
    return own.subject === 'host' && direction === 'ingress' && hostFirewall && !isOn;
  }

  #peer(view: NodeView, own: Member, other: Member, flow: CaseFlow, { labels }: PacketDetails): Known {
    const knownBy = (identity: Known['identity']): Known => {
      const labels = view.labelsOf(identity);
      if (labels === undefined) throw new MerlonError('CASE_REFERENCE', `${other.name} has no identity here`);
      return { identity, labels, prefix: undefined };
    };
    if (other.identity !== undefined) return knownBy(other.identity);
    const wanted = familyOf(own, other, flow);
    const ip = other.addresses.find((address) => address.family === wanted) ?? other.addresses[0];
    if (ip === undefined && other.subject === 'host') return knownBy(RESERVED_IDENTITY.host);
    if (ip === undefined) throw new MerlonError('CASE_REFERENCE', `${other.name} has no address`);
    const now = view.identityOf(ip);
    const told = labels?.[formatIp(ip)];
    const then = told && labelKey(told);
    if (then === undefined || then === '' || labelKey(now.labels.labels.map(formatLabel)) === then)
      return now;
    const row = view.identities.find((one) => labelKey(one.labels.labels.map(formatLabel)) === then);
    return row === undefined ? now : { identity: row.id, labels: row.labels, prefix: undefined };
  }

  /** What others send to a group is heard here, too: the node judges it, endpoints know it by its address. */
  #receiver(from: Member, flow: CaseFlow): Member {
    const to = this.#member(flow.to);
    const [ip] = to.addresses;
    if (to.subject !== undefined || from.subject === 'host' || ip === undefined || !isGroup(ip)) return to;
    return { ...this.#host(), name: to.name, addresses: to.addresses, identity: undefined };
  }

  #member(party: CaseParty): Member {
    const { world } = this.#snapshot;
    switch (party.kind) {
      case 'entity': {
        if (party.entity === 'host') return this.#host();
        const isWorld = party.entity === 'world';
        const identity = isWorld
          ? worldIdentity(world.config.ipv4 ? 4 : 6, world.config)
          : RESERVED_IDENTITY[party.entity];
        return { name: `entity:${party.entity}`, subject: undefined, addresses: [], identity };
      }
      case 'node': {
        if (party.name === world.node) return this.#host();
        const node = world.nodes.find((row) => row.name === party.name);
        return outside(`node:${party.name}`, node?.addresses ?? []);
      }
      case 'ip':
        return this.#owner(party.ip);
      case 'endpoint': {
        const endpoint = world.endpoints.find((row) => row.name === party.name);
        if (endpoint === undefined) throw new MerlonError('CASE_REFERENCE', `no endpoint ${party.name}`);
        return { ...outside(endpoint.name, endpoint.addresses), subject: endpoint.id };
      }
      case 'service':
        throw new MerlonError('CASE_REFERENCE', 'services are translated in case files only');
      default:
        return assertNever(party);
    }
  }

  #host(): Member {
    const { node, localAddresses } = this.#snapshot.world;
    // Those that others speak to come first.
    const isNear = (text: string) => /^(127\.|::1$|fe80:)/.test(text);
    const sorted = localAddresses.toSorted((a, b) => Number(isNear(a)) - Number(isNear(b)));
    return { ...outside(`node:${node}`, sorted), subject: 'host', identity: RESERVED_IDENTITY.host };
  }

  /** An address may be the node's or an endpoint's. */
  #owner(ip: string): Member {
    const { world } = this.#snapshot;
    if (world.localAddresses.includes(ip)) return { ...this.#host(), addresses: outside(ip, [ip]).addresses };
    const endpoint = endpointAt(world, ip);
    if (endpoint === undefined) return outside(ip, [ip]);
    return { ...outside(endpoint.name, [ip]), subject: endpoint.id };
  }
}

/** Why the datapath refuses a verdict of policy; nobody authenticates yet. */
const REASONS: Readonly<Partial<Record<Side['cell']['verdict'], string>>> = {
  deny: 'POLICY_DENY',
  'default-deny': 'POLICY_DENIED',
  auth: 'AUTH_REQUIRED',
};

/** Why staged policies would refuse what passes. */
function stagedReason({ staged }: Side['cell'], { hasProxy }: NodeFacts): string | undefined {
  if (staged?.verdict === 'redirect') return hasProxy ? undefined : 'L7_PROXY_UNAVAILABLE';
  return staged && REASONS[staged.verdict];
}

/** The endpoint that has the address, or the longest prefix around it; never a node's address. */
function endpointAt(
  { endpoints, nodes }: NodeWorld,
  text: string,
): NodeWorld['endpoints'][number] | undefined {
  const ip = parseIp(text);
  if (ip === undefined || nodes.some((node) => node.addresses.includes(text))) return undefined;
  let found: { readonly length: number; readonly endpoint: NodeWorld['endpoints'][number] } | undefined;
  for (const endpoint of endpoints) {
    for (const cidr of endpoint.addresses.map((address) => parseCidrOrIp(address))) {
      if (cidr === undefined || !cidrContainsIp(cidr, ip) || cidr.length <= (found?.length ?? -1)) continue;
      found = { length: cidr.length, endpoint };
    }
  }
  return found?.endpoint;
}

function isAuditedBy(node: NodeFacts, subject: Subject, direction: Side['direction']): boolean {
  if (subject !== 'host') return node.auditedEndpoints.includes(subject);
  return node.mode === 'audit' || node.hostAudit.includes(direction);
}

/** Equal for equal sets of labels. */
const labelKey = (labels: readonly string[]): string => labels.toSorted().join(' ');

function offCell(family: 4 | 6): Side['cell'] {
  return { verdict: 'default-deny', origin: [`enable-ipv${family}=false`], match: 'none', log: false };
}

function subjectVerdict({
  subject,
  subjectName,
  direction,
  verdict,
  reason,
  view,
  cell,
}: Side): SubjectVerdict {
  const isSelected = cell.verdict !== 'allow' || isEnforced(view, subject, direction);
  return {
    subject: subject === 'host' ? 'host' : 'endpoint',
    name: subjectName,
    direction,
    selected: isSelected,
    enforced: isSelected || cell.staged !== undefined,
    verdict,
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Whether any policy is asked of the subject in the direction, by the compiled tables. */
function isEnforced({ compiled }: NodeView, subject: Subject, direction: Side['direction']): boolean {
  const key = subject === 'host' ? undefined : compiled.endpoints.get(subject);
  const image = subject === 'host' ? compiled.host : compiled.ruleSets.find((one) => one.key === key);
  return image?.directions[direction].enforced === true;
}

/**
 * An endpoint's egress comes in at its device on the node's side, and the other way round. A packet's own device is
 * that of one hook: between two endpoints each has its own.
 */
function whereOf(
  kind: 'host' | 'pod',
  direction: Side['direction'],
  subject: Subject | undefined,
  { device }: Packet,
  node: NodeFacts,
): string {
  const isPod = kind === 'pod';
  const hook = (direction === 'ingress') === isPod ? 'egress' : 'ingress';
  const own = isPod
    ? (node.endpointDevices[Number(subject)] ?? device ?? 'its device')
    : (device ?? (node.devices.join(' or ') || 'an external device'));
  return `tcx ${hook} of ${own}`;
}

function packetOf(from: Member, to: Member, flow: CaseFlow, details: PacketDetails): Packet {
  const { protocol, port, icmpCode } = flow;
  const { record: _, labels: __, ...known } = details;
  const family = familyOf(from, to, flow);
  const address = ({ addresses }: Member) => addresses.find((ip) => ip.family === family) ?? addresses[0];
  const [source, destination] = [address(from), address(to)];
  return {
    source,
    destination,
    protocol,
    port,
    ...(icmpCode === undefined ? {} : { icmpCode }),
    ...known,
  };
}

/** ICMP has a family; else the first in which both ends have an address. */
function familyOf(from: Member, to: Member, { protocol }: CaseFlow): 4 | 6 {
  if (protocol === PROTOCOL_ICMP6) return 6;
  const has = ({ addresses }: Member, family: 4 | 6) =>
    addresses.length === 0 || addresses.some((ip) => ip.family === family);
  return has(from, 4) && has(to, 4) ? 4 : 6;
}

/** Multicast and broadcast. */
function isGroup({ family, bytes }: Ip): boolean {
  const [first = 0] = bytes;
  return family === 6 ? first === 0xff : (first & 0xf0) === 0xe0 || bytes.every((byte) => byte === 255);
}

function outside(name: string, addresses: readonly string[]): Member {
  const ips = addresses.map((text) => parseCidrOrIp(text)?.ip).filter((ip) => ip !== undefined);
  return { name, subject: undefined, addresses: ips, identity: undefined };
}
