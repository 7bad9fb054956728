/**
 * What findings are judged from, prepared once: the nodes with what was compiled for them, which subjects each
 * spec selects on each, which identities a selector means.
 */
import type { LabelSet } from '#kit/labels';
import {
  type Direction,
  type FailsafeRow,
  type Identity,
  type IdentityRow,
  NO_FACTS,
  type NodeRow,
  type PeerSelector,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  type PolicySpec,
  type Rule,
  type Selector,
  type Warning,
} from '#model';
import type { CompiledPolicy } from '../compiled.ts';
import { directPeers } from '../expand.ts';
import { type Judge, judgeOf } from '../judge.ts';
import { peerListOf } from '../match.ts';
import { LabelIndex } from '../selectors.ts';
import { conflictsOf } from '../held.ts';
import { type HeldPolicies, type PolicySubject, selectsNode, type SubjectId } from '../selection.ts';
import { KnownLabels } from './known-labels.ts';

/** An endpoint that a node knows of. */
export interface SeenEndpoint extends PolicySubject {
  /** As people know it; its number where it has none. */
  readonly name?: string;
  readonly namespace?: string;
  readonly addresses: readonly string[];
  /** On another node: it is a peer here and no subject. */
  readonly isElsewhere?: boolean;
}

/** One node as its agent sees it. */
export interface SeenNode {
  readonly world: {
    readonly endpoints: readonly SeenEndpoint[];
    /** Other nodes. */
    readonly nodes: readonly NodeRow[];
    readonly localAddresses: readonly string[];
    readonly nodeLabels: LabelSet;
    readonly failsafe?: readonly FailsafeRow[];
    readonly held?: HeldPolicies;
  };
  readonly identities: readonly IdentityRow[];
  readonly compiled: CompiledPolicy;
}

export interface FindingInput {
  readonly policies: readonly Policy[];
  readonly nodes: readonly SeenNode[];
  readonly config: PolicyConfig;
  readonly facts?: PolicyFacts | undefined;
  /** False: the nodes were made up for these policies, so who is missing there says nothing. */
  readonly isReal: boolean;
  /** Whether a proxy serves what the rules ask for. */
  readonly hasProxy: boolean;
  /** Whether anybody authenticates pairs of identities. */
  readonly hasAuth: boolean;
}

/** What a finding's file makes of one spec. */
export type Judgement = (at: SpecAt, ground: Ground) => readonly Warning[];

/** A spec with its policy and who it selects. */
export interface SpecAt {
  readonly policy: Policy;
  readonly spec: PolicySpec;
  /** On each node where it selects anybody. */
  readonly selected: readonly Selected[];
}

export interface Selected {
  readonly node: GroundNode;
  /** Endpoints by number. */
  readonly endpoints: readonly number[];
  /** The endpoints, and the node where it is one. */
  readonly subjects: readonly SubjectId[];
  /** One subject of each distinct rule set. */
  readonly samples: readonly SubjectId[];
}

export class GroundNode {
  readonly seen: SeenNode;
  readonly #input: FindingInput;
  readonly #own: LabelIndex;
  #known: LabelIndex | undefined;
  #peers: LabelIndex | undefined;
  #judge: Judge | undefined;
  #deciding: ReadonlySet<string> | undefined;
  #excluding: readonly (readonly string[])[] | undefined;
  readonly #specs = new Map<string, PolicySpec[]>();

  constructor(seen: SeenNode, input: FindingInput) {
    this.seen = seen;
    this.#input = input;
    this.#own = new LabelIndex(input.config);
    for (const { id, labels, isElsewhere } of seen.world.endpoints) {
      if (isElsewhere !== true) this.#own.add(id, labels);
    }
  }

  /** The subjects of a spec; undefined when it has none here. */
  select(spec: PolicySpec): Selected | undefined {
    const { compiled, world } = this.seen;
    const endpoints = spec.subject.kind === 'endpoints' ? this.#own.matching(spec.subject.selector) : [];
    const byRuleSet = new Map(endpoints.map((id) => [compiled.endpoints.get(id) ?? '', id]));
    const host: readonly SubjectId[] = selectsNode(spec, world.nodeLabels) ? ['host'] : [];
    const samples = [...byRuleSet.values(), ...host];
    if (samples.length === 0) return undefined;
    for (const sample of samples) {
      const key = this.#ruleSet(sample);
      const specs = this.#specs.get(key);
      if (specs === undefined) this.#specs.set(key, [spec]);
      else specs.push(spec);
    }
    return { node: this, endpoints, subjects: [...endpoints, ...host], samples };
  }

  #ruleSet(subject: SubjectId): string {
    return subject === 'host' ? 'host' : (this.seen.compiled.endpoints.get(subject) ?? '');
  }

  /** All specs that select the subject; complete once every spec was selected for. */
  specsOf(subject: SubjectId): readonly PolicySpec[] {
    return this.#specs.get(this.#ruleSet(subject)) ?? [];
  }

  get judge(): Judge {
    this.#judge ??= judgeOf(this.seen.compiled);
    return this.#judge;
  }

  /** Ids of the rules that decide a cell of some rule set. */
  get deciding(): ReadonlySet<string> {
    this.#deciding ??= new Set(
      [this.seen.compiled.host, ...this.seen.compiled.ruleSets].flatMap(({ directions }) =>
        [directions.ingress, directions.egress].flatMap(({ cells }) => cells.flatMap((cell) => cell.origin)),
      ),
    );
    return this.#deciding;
  }

  /** Ids of rules that exclude each other, in pairs: for some subject, or for a peer that both mean. */
  get excluding(): readonly (readonly string[])[] {
    if (this.#excluding === undefined) {
      const { world, compiled } = this.seen;
      const { policies, config, facts = NO_FACTS } = this.#input;
      const endpoints = world.endpoints.filter((endpoint) => endpoint.isElsewhere !== true);
      const ofSubjects = conflictsOf({ policies, config, facts, endpoints, nodeLabels: world.nodeLabels });
      const ofPeers = [...compiled.proxyRules.values()].flatMap(({ conflict }) =>
        conflict === undefined ? [] : [conflict],
      );
      this.#excluding = [...ofSubjects.values(), ...ofPeers];
    }
    return this.#excluding;
  }

  /** The subjects among those given that keep older policies instead of this one (policy.md §9.6). */
  withheld(policy: Policy, subjects: readonly SubjectId[]): readonly SubjectId[] {
    const { held } = this.seen.world;
    return subjects.filter(
      (subject) =>
        held?.get(subject)?.some((p) => p.key === policy.key && p.contentHash === policy.contentHash) ===
        false,
    );
  }

  /** The endpoints that a selector means, those of other nodes too. */
  endpointsOf(selector: Selector): readonly SeenEndpoint[] {
    const { endpoints } = this.seen.world;
    if (this.#known === undefined) {
      this.#known = new LabelIndex(this.#input.config);
      for (const [i, { labels }] of endpoints.entries()) this.#known.add(i, labels);
    }
    return this.#known.matching(selector).map((i) => endpoints[i] as SeenEndpoint);
  }

  /** The identities that peers mean; all of them for `any`. */
  identitiesOf(peers: Rule['peers'], facts: PolicyFacts): readonly Identity[] {
    if (this.#peers === undefined) {
      this.#peers = new LabelIndex(this.#input.config);
      for (const { id, labels } of this.seen.identities) this.#peers.add(id, labels);
    }
    const direct =
      peers.kind === 'any'
        ? peers
        : { ...peers, selectors: peers.selectors.flatMap((peer) => directPeers(peer, facts)) };
    const list = peerListOf(direct);
    if (list.wildcard) return this.seen.identities.map(({ id }) => id);
    return [...this.#peers.membersOf(list)] as Identity[];
  }
}

export class Ground {
  readonly input: FindingInput;
  readonly facts: PolicyFacts;
  readonly nodes: readonly GroundNode[];
  #labels: KnownLabels | undefined;

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
