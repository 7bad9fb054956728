/**
 * What comes of one flow in a case: parties are found, services translated, and each side is judged by its own
 * node's compiled tables.
 */
import { assertNever, MerlonError } from '#kit/errors';
import { formatIp, type Ip, parseCidrOrIp, parseIp } from '#kit/ip';
import {
  type CidrGroupRow,
  isRefusal,
  type Direction,
  hasPorts,
  type L7Request,
  type Policy,
  protocolName,
  PROTOCOL_ICMP,
  PROTOCOL_ICMP6,
  RESERVED_IDENTITY,
} from '#model';
import { type Cell, permits } from '#policy';
import type {
  CaseEntity,
  CaseFlow,
  CaseNode,
  CaseParty,
  CaseRequest,
  CaseService,
  CaseVerdict,
  CaseWorld,
} from './case.ts';
import {
  addressesOf,
  FIRST_ENDPOINT,
  HEALTH,
  HEALTH_ID,
  isLocalCluster,
  nodesOf,
  nodeWorld,
} from './node-world.ts';
import { partyText } from './flow-text.ts';
import type { ParseOptions } from '#model/parse';
import type { Hook } from './path.ts';
import { describedParty } from './party.ts';
import { parseOptions } from './read.ts';
import { partyFromText } from './read-flow.ts';
import { type Known, type NodeView, type Subject, viewOf, worldIdentity } from './view.ts';

/** Someone of the world, after hostNetwork pods have become their node. */
type Member =
  | { readonly kind: 'endpoint'; readonly index: number; readonly name: string }
  | { readonly kind: 'node'; readonly node: CaseNode }
  | { readonly kind: 'ip'; readonly ip: Ip }
  | { readonly kind: 'entity'; readonly entity: CaseEntity };

/** One side's judgement. */
export interface Side {
  readonly direction: Direction;
  readonly view: NodeView;
  readonly subject: Subject;
  readonly subjectName: string;
  readonly peerName: string;
  readonly peer: Known;
  readonly protocol: number;
  readonly port: number | undefined;
  readonly cell: Cell;
  /** What a proxy would see, where that was asked. */
  readonly request?: L7Request;
  readonly verdict: CaseVerdict;
  /** Why a running node refuses it, or would but for audit (flow-api.md §4.8). */
  readonly reason?: string;
  /** What would come of it if a proxy served it; absent where one does, or none is asked. */
  readonly withProxy?: CaseVerdict;
}

/** What came of a flow; several when a service has several backends. */
export interface FlowResult {
  readonly verdict: CaseVerdict;
  /** Those that have a policy at all. */
  readonly sides: readonly Side[];
  /** Why no side was asked; undefined when one was. */
  readonly because: string | undefined;
  /** Where it goes after translation, for people; undefined when nothing was translated. */
  readonly via: string | undefined;
  /** The hooks of a running node that it comes by, in order; a world on paper has none. */
  readonly path?: readonly Hook[];
}

const STRENGTH: readonly CaseVerdict[] = ['allow', 'redirect', 'audit', 'deny'];

/** A world in which flows can be asked about: a case's, or what an agent has. */
export interface FlowWorld {
  readonly policies: readonly Policy[];
  /** How a policy file is read in this world. */
  readonly parse: ParseOptions;
  /** A party as people write it. Throws `CASE_REFERENCE` for one that is not there. */
  party(text: string): CaseParty;
  /** One result a backend for a flow to a service, else one. Throws `CASE_REFERENCE`. */
  results(flow: CaseFlow): readonly FlowResult[];
  /** The same world with other policies, and with these groups of prefixes added or replaced. */
  with(policies: readonly Policy[], cidrGroups?: readonly CidrGroupRow[]): FlowWorld;
  /** Every node's view. */
  views(): readonly NodeView[];
}

/** A world with policies in force: nodes are compiled when first asked for. */
export class CaseRun implements FlowWorld {
  readonly world: CaseWorld;
  readonly policies: readonly Policy[];
  readonly #nodes: readonly CaseNode[];
  readonly #views = new Map<string, NodeView>();

  constructor(world: CaseWorld, policies: readonly Policy[]) {
    this.world = world;
    this.policies = policies;
    this.#nodes = nodesOf(world);
  }

  get parse(): ParseOptions {
    return parseOptions(this.world.config);
  }

  /** An address that somebody of the world has means that member. */
  party(text: string): CaseParty {
    const [view] = this.views();
    const described = view && describedParty(text, view);
    const party = described ?? partyFromText(text, this.world);
    if (party.kind !== 'ip') return party;
    const node = this.#nodes.find((row) => row.ips.includes(party.ip));
    if (node !== undefined) return { kind: 'node', name: node.name };
    const endpoint = this.world.endpoints.find((row) => row.ips.includes(party.ip));
    return endpoint === undefined ? party : { kind: 'endpoint', name: endpoint.name };
  }

  with(policies: readonly Policy[], cidrGroups: readonly CidrGroupRow[] = []): CaseRun {
    const groups = new Map([...this.world.cidrGroups, ...cidrGroups].map((group) => [group.name, group]));
    return new CaseRun({ ...this.world, cidrGroups: [...groups.values()] }, policies);
  }

  views(): readonly NodeView[] {
    return this.#nodes.map((node) => this.#view(node));
  }

  /** The world as the agent of this node sees it. */
  #view(node: CaseNode): NodeView {
    let view = this.#views.get(node.name);
    if (view === undefined) {
      view = viewOf(nodeWorld(this.world, this.policies, node));
      this.#views.set(node.name, view);
    }
    return view;
  }

  results(flow: CaseFlow): readonly FlowResult[] {
    const from = this.#member(flow.from);
    if (flow.to.kind !== 'service')
      return [this.#result(flow, from, this.#member(flow.to), flow.port, undefined)];
    const name = flow.to.name;
    return this.#backends(name, flow).map(({ member, port }) => {
      const via = `${memberName(member)}:${port}`;
      if (isSame(from, member)) {
        return { verdict: 'allow', sides: [], because: 'reaches itself through the service', via };
      }
      return this.#result(flow, from, member, port, via);
    });
  }

  #result(
    flow: CaseFlow,
    from: Member,
    to: Member,
    port: number | undefined,
    via: string | undefined,
  ): FlowResult {
    const open = (because: string): FlowResult => ({ verdict: 'allow', sides: [], because, via });
    if (flow.ct === 'reply' || flow.ct === 'related') return open(`${flow.ct} of a flow that is admitted`);
    if (isSame(from, to)) return open('never leaves its network namespace');
    if (isFragNeeded(flow) && this.world.config.allowIcmpFragNeeded) return open('a path MTU message');
    const sides = [
      flow.direction === 'ingress' ? undefined : this.#side('egress', from, to, flow, port),
      flow.direction === 'egress' ? undefined : this.#side('ingress', to, from, flow, port),
    ].filter((side) => side !== undefined);
    if (sides.length === 0) return open('neither side is a subject of policy');
    const isOfPod = sides.some(({ subject }) => subject !== 'host');
    if (isOfPod && isUnknownToPods(flow, this.world)) {
      const because = `pods speak no ${protocolName(flow.protocol)} without enable-extended-ip-protocols`;
      return { verdict: 'deny', sides: [], because, via };
    }
    return { verdict: combined(sides), sides, because: undefined, via };
  }

  #side(
    direction: Direction,
    own: Member,
    other: Member,
    flow: CaseFlow,
    port: number | undefined,
  ): Side | undefined {
    const found = this.#subject(own, other);
    if (found === undefined) return undefined;
    const view = this.#view(found.node);
    const peer = this.#peer(view, other, this.#family(flow, own, other));
    const cell = view.judge(found.subject, direction, peer.identity, flow.protocol, port);
    return {
      direction,
      view,
      subject: found.subject,
      subjectName: memberName(own),
      peerName: memberName(other),
      peer,
      protocol: flow.protocol,
      port,
      cell,
      ...(flow.request === undefined ? {} : { request: l7Request(flow.request) }),
      verdict: this.#verdict(cell, flow),
    };
  }

  #verdict(cell: Cell, flow: CaseFlow): CaseVerdict {
    const refused = this.world.config.auditMode ? 'audit' : 'deny';
    switch (cell.verdict) {
      case 'allow':
        return proxied(cell, flow);
      case 'deny':
      case 'default-deny':
        return refused;
      case 'auth':
        if (cell.auth !== 'required' || !this.#isAuthenticated(flow)) return refused;
        return proxied(cell, flow);
      case 'redirect':
        return proxied(cell, flow);
      default:
        return assertNever(cell.verdict);
    }
  }

  #isAuthenticated(flow: CaseFlow): boolean {
    const [from, to] = [partyText(flow.from), partyText(flow.to)];
    return this.world.config.authenticatedPairs.some(([a, b]) => a === from && b === to);
  }

  /** Which node judges a party, and as whom; undefined: nobody's policy is asked. */
  #subject(own: Member, other: Member): { readonly node: CaseNode; readonly subject: Subject } | undefined {
    if (own.kind === 'ip') return undefined;
    if (own.kind === 'node') {
      const isSubject = this.world.config.hostFirewall && isLocalCluster(own.node, this.world);
      return isSubject ? { node: own.node, subject: 'host' } : undefined;
    }
    if (own.kind === 'entity') {
      const node = own.entity === 'health' ? (this.#nodeOf(other) ?? this.#nodes[0]) : undefined;
      return node && { node, subject: HEALTH_ID };
    }
    const node = this.#nodeOf(own);
    const endpoint = this.world.endpoints[own.index];
    if (node === undefined || endpoint === undefined || !isLocalCluster(endpoint, this.world))
      return undefined;
    return { node, subject: own.index + FIRST_ENDPOINT };
  }

  #nodeOf(member: Member): CaseNode | undefined {
    if (member.kind === 'node') return member.node;
    if (member.kind !== 'endpoint') return undefined;
    const name = this.world.endpoints[member.index]?.node;
    return this.#nodes.find((node) => node.name === name);
  }

  /** The other side as the ipcache of the judging node has it. */
  #peer(view: NodeView, other: Member, family: 4 | 6): Known {
    if (other.kind === 'entity') {
      const identity =
        other.entity === 'world' ? worldIdentity(family, view.world.config) : RESERVED_IDENTITY[other.entity];
      const labels = view.labelsOf(identity);
      if (labels === undefined) throw new MerlonError('INTERNAL', `${other.entity} has no identity`);
      return { identity, labels, prefix: undefined };
    }
    const ip = this.#addresses(other).find((address) => address.family === family);
    if (ip === undefined) {
      throw new MerlonError('CASE_REFERENCE', `${memberName(other)} has no IPv${family} address`);
    }
    return view.identityOf(ip);
  }

  /** ICMP has a family; else the first in which both sides have an address. */
  #family(flow: CaseFlow, a: Member, b: Member): 4 | 6 {
    if (flow.protocol === PROTOCOL_ICMP) return 4;
    if (flow.protocol === PROTOCOL_ICMP6) return 6;
    const has = (member: Member, family: 4 | 6) =>
      member.kind === 'entity' || this.#addresses(member).some((ip) => ip.family === family);
    const { enableIPv4, enableIPv6 } = this.world.config;
    if (enableIPv4 && has(a, 4) && has(b, 4)) return 4;
    if (enableIPv6 && has(a, 6) && has(b, 6)) return 6;
    const names = `${memberName(a)} and ${memberName(b)}`;
    throw new MerlonError('CASE_REFERENCE', `${names} have no address of one enabled family`);
  }

  #addresses(member: Member): readonly Ip[] {
    if (member.kind === 'ip') return [member.ip];
    if (member.kind === 'entity') return [];
    const endpoint = member.kind === 'endpoint' ? this.world.endpoints[member.index] : undefined;
    const texts =
      member.kind === 'node'
        ? member.node.ips
        : endpoint === undefined
          ? []
          : addressesOf(endpoint, this.world);
    return texts.map((text) => parseCidrOrIp(text)?.ip).filter((ip) => ip !== undefined);
  }

  #member(party: CaseParty): Member {
    switch (party.kind) {
      case 'ip': {
        const ip = parseIp(party.ip);
        if (ip === undefined) throw new MerlonError('ADDRESS_SYNTAX', `${party.ip} is no address`);
        return { kind: 'ip', ip };
      }
      case 'entity':
        return party;
      case 'node':
        return this.#node(party.name);
      case 'endpoint': {
        const index = this.world.endpoints.findIndex((endpoint) => endpoint.name === party.name);
        const endpoint = this.world.endpoints[index];
        if (endpoint?.hostNetwork === true) return this.#node(endpoint.node);
        return { kind: 'endpoint', index, name: party.name };
      }
      case 'service':
        throw new MerlonError('CASE_REFERENCE', `service:${party.name} sends nothing`);
      default:
        return assertNever(party);
    }
  }

  #node(name: string): Member {
    const node = this.#nodes.find((row) => row.name === name);
    if (node === undefined) throw new MerlonError('CASE_REFERENCE', `there is no node ${name}`);
    return { kind: 'node', node };
  }

  /** Where connections to a service's cluster IP end, sorted as the file lists them. */
  #backends(name: string, flow: CaseFlow): readonly { readonly member: Member; readonly port: number }[] {
    const service = this.world.services.find((row) => row.name === name);
    const port = service?.ports.find((row) => row.port === flow.port && row.protocol === flow.protocol);
    if (service === undefined || port === undefined) {
      const what = `${protocolName(flow.protocol)}/${flow.port}`;
      throw new MerlonError('CASE_REFERENCE', `service ${name} has no port ${what}`);
    }
    const found = backendIndexes(service, this.world).map((index) => {
      const endpoint = this.world.endpoints[index];
      const named = endpoint?.namedPorts.find(
        (row) => row.name === String(port.targetPort).toLowerCase() && row.protocol === port.protocol,
      );
      const target = typeof port.targetPort === 'number' ? port.targetPort : named?.port;
      return { member: this.#member({ kind: 'endpoint', name: endpoint?.name ?? '' }), port: target };
    });
    const outside = service.backends.map((ip) => {
      const index = this.world.endpoints.findIndex((endpoint) => endpoint.ips.includes(ip));
      const owner = this.world.endpoints[index];
      const member = this.#member(
        owner === undefined ? { kind: 'ip', ip } : { kind: 'endpoint', name: owner.name },
      );
      return { member, port: typeof port.targetPort === 'number' ? port.targetPort : undefined };
    });
    const all = [...found, ...outside].flatMap(({ member, port: to }) =>
      to === undefined ? [] : [{ member, port: to }],
    );
    if (all.length === 0) throw new MerlonError('CASE_REFERENCE', `service ${name} has no backend`);
    return all;
  }
}

/** Both sides together: deny before audit before redirect before allow. */
export function combined(sides: readonly Pick<Side, 'verdict'>[]): CaseVerdict {
  return sides
    .map((side) => side.verdict)
    .reduce((a, b) => (STRENGTH.indexOf(b) > STRENGTH.indexOf(a) ? b : a), 'allow');
}

/** What comes of what the cell lets through: a proxy answers for requests, in audit mode too (policy.md §14.3). */
export function proxied({ proxy, staged }: Cell, { request }: CaseFlow): CaseVerdict {
  const then = staged?.verdict ?? 'allow';
  if (proxy === undefined) return isRefusal(then) || then === 'auth' ? 'audit' : 'allow';
  if (request === undefined) return 'redirect';
  return permits(proxy, l7Request(request)) ? 'allow' : 'deny';
}

/** What a proxy would see. */
export function l7Request(request: CaseRequest): L7Request {
  switch (request.kind) {
    case 'http': {
      const { method, path, host, headers, sni } = request;
      const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]);
      const http = { method, path, host, headers: Object.fromEntries(lower) };
      return sni === undefined ? { http } : { http, sni };
    }
    case 'kafka':
      return {
        kafka: { apiKey: request.apiKey, topics: request.topic === undefined ? [] : [request.topic] },
      };
    case 'dns':
      return { dns: request.name };
    case 'sni':
      return { sni: request.name };
    default:
      return assertNever(request);
  }
}

/** policy.md §8.4: IPv4 alone. */
function isFragNeeded({ protocol, port, icmpCode }: CaseFlow): boolean {
  return protocol === PROTOCOL_ICMP && port === 3 && icmpCode === 4;
}

/** policy.md §5.1: what is neither TCP, UDP, SCTP nor ICMP is dropped whatever policy says. */
function isUnknownToPods({ protocol }: CaseFlow, { config }: CaseWorld): boolean {
  const isIcmp = protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMP6;
  return !hasPorts(protocol) && !isIcmp && !config.extendedIPProtocols;
}

/** Positions of the endpoints that a service selects. */
function backendIndexes(service: CaseService, world: CaseWorld): readonly number[] {
  const { selector } = service;
  const [namespace] = service.name.split('/');
  if (selector === undefined) return [];
  return world.endpoints.flatMap((endpoint, index) => {
    const isIn = endpoint.name.startsWith(`${namespace}/`) && isLocalCluster(endpoint, world);
    const isSelected = Object.entries(selector).every(([key, value]) => endpoint.labels[key] === value);
    return isIn && isSelected ? [index] : [];
  });
}

function isSame(a: Member, b: Member): boolean {
  if (a.kind === 'endpoint') return b.kind === 'endpoint' && a.index === b.index;
  return a.kind === 'node' && b.kind === 'node' && a.node.name === b.node.name;
}

function memberName(member: Member): string {
  switch (member.kind) {
    case 'endpoint':
      return member.name;
    case 'node':
      return `node:${member.node.name}`;
    case 'ip':
      return formatIp(member.ip);
    case 'entity':
      return member.entity === HEALTH ? HEALTH : `entity:${member.entity}`;
    default:
      return assertNever(member);
  }
}
