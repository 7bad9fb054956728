/** What findings are judged from, prepared once: nodes, labels, addresses and port names that are known. */
import {
  type Direction,
  NO_FACTS,
  type PeerSelector,
  type Policy,
  type PolicyFacts,
  type PolicySpec,
  type Rule,
  type Warning,
} from '#model';
import { type NamedPorts, portsOfSubject } from '../named-ports.ts';
import { GroundNode, type Selected } from './ground-node.ts';
import type { FindingInput } from './input.ts';
import { KnownAddresses } from './known-addresses.ts';
import { KnownLabels } from './known-labels.ts';

/** What a finding's file makes of one spec. */
export type Judgement = (at: SpecAt, ground: Ground) => readonly Warning[];

/** A spec with its policy and who it selects. */
export interface SpecAt {
  readonly policy: Policy;
  readonly spec: PolicySpec;
  /** On each node where it selects anybody. */
  readonly selected: readonly Selected[];
}

export class Ground {
  readonly input: FindingInput;
  readonly facts: PolicyFacts;
  readonly nodes: readonly GroundNode[];
  #labels: KnownLabels | undefined;
  #addresses: KnownAddresses | undefined;
  #ports: NamedPorts | undefined;
  #unproxied: ReadonlySet<string> | undefined;

  constructor(input: FindingInput) {
    this.input = input;
    this.facts = input.facts ?? NO_FACTS;
    this.nodes = input.nodes.map((node) => new GroundNode(node, input));
  }

  /** Specs with their subjects, policy by policy. */
  specs(): ReadonlyMap<Policy, readonly SpecAt[]> {
    return new Map(
      this.input.policies.map((policy) => [
        policy,
        policy.specs.map((spec) => ({
          policy,
          spec,
          selected: this.nodes.map((node) => node.select(spec)).filter((s) => s !== undefined),
        })),
      ]),
    );
  }

  /** Labels that somebody has. */
  get labels(): KnownLabels {
    this.#labels ??= new KnownLabels(this.input.nodes);
    return this.#labels;
  }

  /** Whose addresses are whose. */
  get addresses(): KnownAddresses {
    this.#addresses ??= new KnownAddresses(this.input.nodes, this.facts);
    return this.#addresses;
  }

  /** What port names stand for, all numbers together. */
  get ports(): NamedPorts {
    this.#ports ??= portsOfSubject(
      this.input.nodes.flatMap(({ world }) => world.endpoints.flatMap(({ namedPorts }) => namedPorts ?? [])),
    );
    return this.#ports;
  }

  /** Ids of the rules that have a part that asks nothing of a proxy. */
  get unproxied(): ReadonlySet<string> {
    if (this.#unproxied === undefined) {
      const rules = this.input.policies.flatMap(({ specs }) => specs.flatMap((spec) => spec.rules));
      this.#unproxied = new Set(rules.filter(({ proxy }) => proxy === undefined).map(({ id }) => id));
    }
    return this.#unproxied;
  }

  /** Whether nobody of any node is meant by this peer alone. */
  meansNobody(peer: PeerSelector): boolean {
    const peers = { kind: 'list', selectors: [peer] } as const;
    return this.nodes.every((node) => node.identitiesOf(peers, this.facts).length === 0);
  }
}

/** The peers that a rule lists. */
export function peersOf({ peers }: Rule): readonly PeerSelector[] {
  return peers.kind === 'any' ? [] : peers.selectors;
}

/** `fromCIDR`, `toEntities`: a peer field of this direction. */
export function peerField(direction: Direction, name: string): string {
  return `${direction === 'ingress' ? 'from' : 'to'}${name}`;
}
