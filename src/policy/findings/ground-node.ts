/** One node, prepared to be asked: whom a spec selects, whom a selector means, what is decided for them. */
import { compareText } from '#kit/order';
import {
  equals,
  type Identity,
  LABEL_NAMESPACE,
  NO_FACTS,
  type Policy,
  type PolicyFacts,
  type PolicySpec,
  RESERVED_IDENTITY,
  type Rule,
  type Selector,
  selectorOf,
  type ServiceRow,
  originOf,
} from '#model';
import { directPeers } from '../expand.ts';
import { conflictsOf } from '../held.ts';
import { type Judge, judgeOf } from '../judge.ts';
import { peerListOf } from '../match.ts';
import { selectsNode, type SubjectId } from '../selection.ts';
import { LabelIndex } from '../selectors.ts';
import type { FindingInput, SeenEndpoint, SeenNode } from './input.ts';

/** Whom a spec selects on a node. */
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
  #excluding: ReadonlyMap<string, readonly string[]> | undefined;
  #byId: ReadonlyMap<number, SeenEndpoint> | undefined;
  #peerSample: readonly Identity[] | undefined;
  readonly #specs = new Map<string, PolicySpec[]>();
  readonly #behind = new Map<ServiceRow, readonly SeenEndpoint[]>();
  readonly #open = new Map<string, boolean>();

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

  /** One identity of each class: what is so for all of them is so for everybody. */
  get peerSample(): readonly Identity[] {
    this.#peerSample ??= this.seen.compiled.identityClasses.map(
      (c) => c.members[0] ?? RESERVED_IDENTITY.unknown,
    );
    return this.#peerSample;
  }

  /** Whether the subject may ask anybody at this port. */
  mayReach(subject: SubjectId, protocol: number, port: number): boolean {
    const key = `${this.#ruleSet(subject)} ${protocol} ${port}`;
    let isOpen = this.#open.get(key);
    if (isOpen === undefined) {
      isOpen = this.peerSample.some((peer) => {
        const { verdict } = this.judge(subject, 'egress', peer, protocol, port);
        return verdict === 'allow' || verdict === 'redirect';
      });
      this.#open.set(key, isOpen);
    }
    return isOpen;
  }

  /** Ids of the rules that decide a cell of some rule set. */
  get deciding(): ReadonlySet<string> {
    if (this.#deciding === undefined) {
      const ids = new Set<string>();
      for (const { directions } of [this.seen.compiled.host, ...this.seen.compiled.ruleSets])
        for (const { cells } of [directions.ingress, directions.egress])
          for (const cell of cells) for (const id of originOf(cell)) ids.add(id);
      this.#deciding = ids;
    }
    return this.#deciding;
  }

  /** For ids of rules the first pair they are in that excludes each other: for some subject, or a peer of both. */
  get excluding(): ReadonlyMap<string, readonly string[]> {
    if (this.#excluding === undefined) {
      const { world, compiled } = this.seen;
      const { policies, config, facts = NO_FACTS } = this.#input;
      const endpoints = world.endpoints.filter((endpoint) => endpoint.isElsewhere !== true);
      const ofSubjects = conflictsOf({ policies, config, facts, endpoints, nodeLabels: world.nodeLabels });
      const ofPeers = [...compiled.proxyRules.values()].flatMap(({ conflict }) =>
        conflict === undefined ? [] : [conflict],
      );
      const pairs = new Map([...ofSubjects.values(), ...ofPeers].map((pair) => [pair.join(' '), pair]));
      const inOrder = [...pairs].sort(([a], [b]) => compareText(b, a));
      // Of several pairs of one rule the first is written last.
      this.#excluding = new Map(inOrder.flatMap(([, pair]) => pair.map((id) => [id, pair] as const)));
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

  /** An endpoint by its number. */
  endpoint(id: number): SeenEndpoint | undefined {
    this.#byId ??= new Map(this.seen.world.endpoints.map((row) => [row.id, row]));
    return this.#byId.get(id);
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

  /** The pods behind a Service that has a selector. */
  podsBehind(service: ServiceRow): readonly SeenEndpoint[] {
    let pods = this.#behind.get(service);
    if (pods === undefined) {
      const own = Object.entries(service.selector ?? {}).map(([key, value]) => equals('k8s', key, value));
      pods = this.endpointsOf(selectorOf([...own, equals('k8s', LABEL_NAMESPACE, service.namespace)]));
      this.#behind.set(service, pods);
    }
    return pods;
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
