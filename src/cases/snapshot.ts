/** What an agent has, as JSON and back: policies, identities' numbers, endpoints, nodes. */
import { assertNever, MerlonError } from '#kit/errors';
import { formatIp, parseIp, type Ip, parseCidrOrIp } from '#kit/ip';
import { nearest } from '#kit/nearest';
import { PROTOCOL_ICMP6, RESERVED_IDENTITY, type Policy } from '#model';
import type { ParseOptions } from '#model/parse';
import { CASE_ENTITIES, type CaseFlow, type CaseParty } from './case.ts';
import { combined, describedParty, proxied, type FlowResult, type FlowWorld, type Side } from './flow.ts';
import { fromPlain, toPlain } from './plain.ts';
import { type Known, type NodeView, type NodeWorld, type Subject, viewOf, worldIdentity } from './view.ts';

/** What the agent of a node sends. */
export interface Snapshot {
  readonly world: NodeWorld;
  readonly parse: ParseOptions;
  /** Whether the node's own policies only report what they would drop. */
  readonly hostAudit: boolean;
}

/** JSON text of a snapshot. */
export function snapshotToJson(snapshot: Snapshot): unknown {
  return toPlain(snapshot);
}

/** The snapshot of an agent of this release. Throws `API_PROTOCOL` for what is none. */
export function snapshotFromJson(json: unknown): Snapshot {
  const value = fromPlain(json) as Partial<Snapshot> | null | undefined;
  if (value?.world === undefined || value.parse === undefined || !Array.isArray(value.world.policies)) {
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

  with(policies: readonly Policy[]): SnapshotRun {
    return new SnapshotRun({ ...this.#snapshot, world: { ...this.#snapshot.world, policies } });
  }

  views(): readonly NodeView[] {
    this.#view ??= viewOf(this.#snapshot.world);
    return [this.#view];
  }

  party(text: string): CaseParty {
    const { endpoints, nodes, node } = this.#snapshot.world;
    const ip = parseIp(text);
    if (ip !== undefined) return { kind: 'ip', ip: formatIp(ip) };
    const described = describedParty(text, this.#snapshot.world);
    if (described !== undefined) return described;
    const [, kind, name = ''] = /^(node|entity):(.*)$/.exec(text) ?? [];
    const entity = CASE_ENTITIES.find((one) => one === name);
    if (kind === 'entity' && entity !== undefined) return { kind, entity };
    if (kind === 'node' && (name === node || nodes.some((row) => row.name === name))) return { kind, name };
    const found = endpoints.find((row) => row.name === text || String(row.id) === text);
    if (found !== undefined) return { kind: 'endpoint', name: found.name };
    const names = endpoints.map((row) => row.name);
    const near = nearest(text, names);
    throw new MerlonError('CASE_REFERENCE', `the agent knows no ${JSON.stringify(text)}`, {
      hint:
        near === undefined
          ? `write an address, an endpoint as namespace/name or by its number, node:${node}, or entity:NAME`
          : `did you mean ${near}?`,
    });
  }

  results(flow: CaseFlow): readonly FlowResult[] {
    const from = this.#member(flow.from);
    const to = this.#member(flow.to);
    const sides = [
      flow.direction === 'ingress' ? undefined : this.#side('egress', from, to, flow),
      flow.direction === 'egress' ? undefined : this.#side('ingress', to, from, flow),
    ].filter((side) => side !== undefined);
    const isInside = from.subject !== undefined && from.subject === to.subject;
    if (isInside || sides.length === 0) {
      const because = isInside
        ? 'never leaves its network namespace'
        : 'neither side is a subject on this node';
      return [{ verdict: 'allow', sides: [], because, via: undefined }];
    }
    return [{ verdict: combined(sides), sides, because: undefined, via: undefined }];
  }

  #side(direction: Side['direction'], own: Member, other: Member, flow: CaseFlow): Side | undefined {
    const [view] = this.views();
    if (own.subject === undefined || view === undefined) return undefined;
    const peer = this.#peer(view, own, other, flow);
    const { protocol, port } = flow;
    const cell = view.judge(own.subject, direction, peer.identity, protocol, port);
    const isRefused = cell.verdict === 'deny' || cell.verdict === 'default-deny' || cell.verdict === 'auth';
    const refused = own.subject === 'host' && this.#snapshot.hostAudit ? 'audit' : 'deny';
    const verdict = isRefused ? refused : proxied(cell, flow);
    const names = { subjectName: own.name, peerName: other.name };
    return { direction, view, subject: own.subject, ...names, peer, protocol, port, cell, verdict };
  }

  #peer(view: NodeView, own: Member, other: Member, { protocol }: CaseFlow): Known {
    const known = (identity: Known['identity']): Known => {
      const labels = view.labelsOf(identity);
      if (labels === undefined) throw new MerlonError('CASE_REFERENCE', `${other.name} has no identity here`);
      return { identity, labels, prefix: undefined };
    };
    if (other.identity !== undefined) return known(other.identity);
    const wanted = protocol === PROTOCOL_ICMP6 ? 6 : own.addresses[0]?.family;
    const ip = other.addresses.find((address) => address.family === wanted) ?? other.addresses[0];
    if (ip === undefined && other.subject === 'host') return known(RESERVED_IDENTITY.host);
    if (ip === undefined) throw new MerlonError('CASE_REFERENCE', `${other.name} has no address`);
    return view.identityOf(ip);
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
    return { ...outside(`node:${node}`, localAddresses), subject: 'host', identity: RESERVED_IDENTITY.host };
  }

  /** An address may be the node's or an endpoint's. */
  #owner(ip: string): Member {
    const { world } = this.#snapshot;
    if (world.localAddresses.includes(ip)) return this.#host();
    const endpoint = world.endpoints.find((row) => row.addresses.includes(ip));
    if (endpoint === undefined) return outside(ip, [ip]);
    return { ...outside(endpoint.name, [ip]), subject: endpoint.id };
  }
}

function outside(name: string, addresses: readonly string[]): Member {
  const ips = addresses.map((text) => parseCidrOrIp(text)?.ip).filter((ip) => ip !== undefined);
  return { name, subject: undefined, addresses: ips, identity: undefined };
}
