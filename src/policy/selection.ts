/**
 * Third stage, who is meant: which specs select which subject. What comes and goes is held against indexes of the
 * rest, so that a change costs what it selects.
 */
import type { LabelSet } from '#kit/labels';
import { compareText } from '#kit/order';
import { type RowChanges, rowChanges } from '#kit/rows';
import type { NamedPort, Policy, PolicyConfig, PolicyFacts, PolicySpec } from '#model';
import { selectorMatches } from './match.ts';
import { type SpecRef, specRefs } from './ruleset.ts';
import { SelectorIndex } from './selector-index.ts';
import { LabelIndex } from './selectors.ts';

/** An endpoint of this node as policy sees it: its number and the labels of its identity. */
export interface PolicySubject {
  readonly id: number;
  readonly labels: LabelSet;
  readonly namedPorts?: readonly NamedPort[];
}

/** Number of an endpoint, or the node itself. */
export type SubjectId = number | 'host';

/** For each subject that cannot be computed, the policies in force for it instead of all others (held.ts). */
export type HeldPolicies = ReadonlyMap<SubjectId, readonly Policy[]>;

const NOBODY: HeldPolicies = new Map();

/** What subjects and their specs are found from. */
export interface SubjectInput {
  readonly policies: readonly Policy[];
  readonly endpoints: readonly PolicySubject[];
  /** Labels of this node, against which node selectors are matched. */
  readonly nodeLabels: LabelSet;
  readonly config: PolicyConfig;
  readonly facts?: PolicyFacts;
  readonly held?: HeldPolicies;
}

/** Whether a host policy's spec means a node with these labels. */
export function selectsNode(spec: PolicySpec, nodeLabels: LabelSet): boolean {
  return spec.subject.kind === 'node' && selectorMatches(spec.subject.selector, nodeLabels);
}

/** Whether the spec is about endpoints with these labels. */
function selectsEndpoint({ subject }: PolicySpec, labels: LabelSet): boolean {
  return subject.kind === 'endpoints' && selectorMatches(subject.selector, labels);
}

/** Which subjects a policy selects: endpoints by number, ascending, and whether the node. */
export interface Selection {
  readonly endpoints: readonly number[];
  readonly node: boolean;
}

/** What each policy selects, in the order given; for the status of objects. */
export function selectionsOf(input: SubjectInput): readonly Selection[] {
  const index = new LabelIndex(input.config);
  for (const { id, labels } of input.endpoints) index.add(id, labels);
  return input.policies.map(({ specs }) => {
    const ids = specs.flatMap(({ subject }) =>
      subject.kind === 'endpoints' ? index.matching(subject.selector) : [],
    );
    return {
      endpoints: [...new Set(ids)].sort((a, b) => a - b),
      node: specs.some((spec) => selectsNode(spec, input.nodeLabels)),
    };
  });
}

/** Subjects that may have other specs, labels or ports than before. */
export interface Touched {
  readonly endpoints: ReadonlySet<number>;
  readonly host: boolean;
}

/** Policies and endpoints and who selects whom, carried from one compilation to the next. */
export class Selections {
  #policies: readonly Policy[] = [];
  #endpoints: readonly PolicySubject[] = [];
  #nodeLabels: LabelSet | undefined;
  #held = NOBODY;
  readonly #refs = new Map<Policy, readonly SpecRef[]>();
  readonly #selectors: SelectorIndex<SpecRef>;
  readonly #labels: LabelIndex;
  readonly #rows = new Map<number, PolicySubject>();
  readonly #specs = new Map<number, Set<SpecRef>>();
  readonly #ofNodes = new Set<SpecRef>();

  constructor(config: PolicyConfig) {
    this.#selectors = new SelectorIndex(config);
    this.#labels = new LabelIndex(config);
  }

  /** The endpoints by number. */
  get endpoints(): ReadonlyMap<number, PolicySubject> {
    return this.#rows;
  }

  update({ policies, endpoints, nodeLabels, held = NOBODY }: Omit<SubjectInput, 'config'>): Touched {
    const touched = new Set<number>();
    const changes = rowChanges(this.#policies, policies);
    const isOtherNode = nodeLabels.key !== this.#nodeLabels?.key;
    for (const policy of changes.gone) this.#removePolicy(policy, touched);
    this.#moveEndpoints(rowChanges(this.#endpoints, endpoints), touched);
    for (const policy of changes.come) this.#addPolicy(policy, touched);
    const rehung = rehungSubjects(this.#held, held);
    for (const id of rehung) if (id !== 'host') touched.add(id);
    [this.#policies, this.#endpoints, this.#nodeLabels] = [policies, endpoints, nodeLabels];
    this.#held = held;
    const isOfNodes = ({ specs }: Policy): boolean => specs.some(({ subject }) => subject.kind === 'node');
    const isHost = isOtherNode || rehung.includes('host');
    return { endpoints: touched, host: isHost || [...changes.gone, ...changes.come].some(isOfNodes) };
  }

  /** The specs that select an endpoint, in the order of their keys. */
  specsOf(id: number): readonly SpecRef[] {
    const held = this.#held.get(id);
    const labels = this.#rows.get(id)?.labels;
    if (held !== undefined && labels !== undefined) {
      return inOrder(held.flatMap(specRefs).filter(({ spec }) => selectsEndpoint(spec, labels)));
    }
    return inOrder(this.#specs.get(id) ?? []);
  }

  /** The specs that select this node, in the order of their keys. */
  specsOfHost(): readonly SpecRef[] {
    const labels = this.#nodeLabels;
    const refs = this.#held.get('host')?.flatMap(specRefs) ?? this.#ofNodes;
    return labels === undefined ? [] : inOrder(refs).filter(({ spec }) => selectsNode(spec, labels));
  }

  #removePolicy(policy: Policy, touched: Set<number>): void {
    for (const ref of this.#refs.get(policy) ?? []) {
      this.#selectors.remove(ref);
      this.#ofNodes.delete(ref);
      for (const id of this.#selectedBy(ref.spec)) {
        this.#specs.get(id)?.delete(ref);
        touched.add(id);
      }
    }
    this.#refs.delete(policy);
  }

  #addPolicy(policy: Policy, touched: Set<number>): void {
    const refs = specRefs(policy);
    this.#refs.set(policy, refs);
    for (const ref of refs) {
      const { subject } = ref.spec;
      if (subject.kind === 'node') this.#ofNodes.add(ref);
      else this.#selectors.add(ref, [{ kind: 'labels', selector: subject.selector }]);
      for (const id of this.#selectedBy(ref.spec)) {
        this.#specs.get(id)?.add(ref);
        touched.add(id);
      }
    }
  }

  #selectedBy({ subject }: PolicySpec): readonly number[] {
    return subject.kind === 'endpoints' ? this.#labels.matching(subject.selector) : [];
  }

  #moveEndpoints({ gone, come }: RowChanges<PolicySubject>, touched: Set<number>): void {
    for (const { id } of gone) {
      this.#labels.remove(id);
      this.#rows.delete(id);
      this.#specs.delete(id);
      touched.add(id);
    }
    for (const row of come) {
      this.#labels.add(row.id, row.labels);
      this.#rows.set(row.id, row);
      this.#specs.set(row.id, new Set(this.#selectors.meaning(row.labels)));
      touched.add(row.id);
    }
  }
}

/** Subjects for whom something else is held than before. */
function rehungSubjects(before: HeldPolicies, now: HeldPolicies): readonly SubjectId[] {
  const isSame = (a: readonly Policy[] | undefined, b: readonly Policy[] | undefined): boolean =>
    a?.length === b?.length && (a?.every((policy, i) => policy === b?.[i]) ?? true);
  return [...new Set([...before.keys(), ...now.keys()])].filter((id) => !isSame(before.get(id), now.get(id)));
}

function inOrder(refs: Iterable<SpecRef>): readonly SpecRef[] {
  return [...refs].sort((a, b) => compareText(a.key, b.key));
}
