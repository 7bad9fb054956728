/** The whole compiler: subjects, then classes, then matrices. */
import { deepEqual } from '#kit/equal';
import { rowChanges } from '#kit/rows';
import { type Direction, type IdentityRow, NO_FACTS, type PolicyConfig } from '#model';
import { type PortList, PortPartition } from './classes.ts';
import type { CompiledPolicy, DirectionImage, RuleSetImage } from './compiled.ts';
import type { ResolvedRule } from './decide.ts';
import { Expansion } from './expand.ts';
import { policiesInForce } from './held.ts';
import { Images } from './images.ts';
import { ListsInUse } from './lists.ts';
import type { PeerList } from './match.ts';
import { IdentityPartition } from './partition.ts';
import type { RuleSet } from './ruleset.ts';
import type { SubjectInput } from './selection.ts';
import { type Subjects, SubjectTable } from './subjects.ts';

/** Everything that compiled policy depends on. Order does not matter anywhere; each row stands in a list once. */
export interface CompileInput extends SubjectInput {
  /** Every identity in use, the reserved ones too. */
  readonly identities: readonly IdentityRow[];
  /** Directions of the host in audit: what policy refuses there passes. */
  readonly hostAudit?: readonly Direction[];
}

/**
 * What one compilation leaves for the next, so that the next costs what changed. It changes no meaning: with any
 * memo, `compile` gives what it gives without one, but for the places of classes. Belongs to one caller.
 */
export class CompileMemo {
  #config: PolicyConfig | undefined;
  #stages: Stages | undefined;

  /** The stages so far; everything is forgotten when an option changed. */
  stages(config: PolicyConfig): Stages {
    if (this.#stages === undefined || !deepEqual(config, this.#config)) this.#stages = new Stages(config);
    this.#config = config;
    return this.#stages;
  }

  forget(): void {
    this.#stages = undefined;
  }
}

/** Compiles everything. Only policies that select a subject of this node count. Throws `POLICY_NO_ROOM`. */
export function compile(input: CompileInput, memo: CompileMemo = new CompileMemo()): CompiledPolicy {
  try {
    const compiled = memo.stages(input.config).update(input);
    return { ...compiled, host: audited(compiled.host, input.hostAudit ?? []) };
  } catch (e) {
    memo.forget(); // some stages are a step ahead of the others
    throw e;
  }
}

/** The image with these directions in audit. */
function audited(host: RuleSetImage, wanted: readonly Direction[]): RuleSetImage {
  if (wanted.length === 0) return host;
  const { key, directions } = host;
  const image = (direction: Direction): DirectionImage =>
    wanted.includes(direction) ? { ...directions[direction], audit: true } : directions[direction];
  return { key, directions: { ingress: image('ingress'), egress: image('egress') } };
}

/** The stages, each with what it remembers; what changed in one is what the next one looks at. */
class Stages {
  readonly #expansion = new Expansion();
  readonly #subjects: SubjectTable;
  readonly #peers = new ListsInUse<PeerList, RuleSet>();
  readonly #ports = new ListsInUse<PortList, RuleSet>();
  readonly #identityClasses: IdentityPartition;
  readonly #portClasses = new PortPartition();
  readonly #images = new Images();
  #identities: readonly IdentityRow[] = [];
  #compiled: CompiledPolicy | undefined;

  constructor(config: PolicyConfig) {
    this.#subjects = new SubjectTable(config);
    this.#identityClasses = new IdentityPartition(config);
  }

  update(input: CompileInput): CompiledPolicy {
    const subjects = this.#subjects.update({ ...input, ...this.#expanded(input) });
    const peers = this.#peers.update(subjects.changes, (ruleSet) =>
      rulesOf(ruleSet).map((rule) => rule.peers),
    );
    const ports = this.#ports.update(subjects.changes, (ruleSet) =>
      rulesOf(ruleSet).map((rule) => rule.ports),
    );
    const axes = {
      identities: this.#identityClasses.update(peers, rowChanges(this.#identities, input.identities)),
      ports: this.#portClasses.update(ports),
    };
    this.#identities = input.identities;
    const touched = {
      identities: this.#peers.usersOf(axes.identities.changed),
      ports: this.#ports.usersOf(axes.ports.changed),
    };
    this.#images.update(subjects.changes, touched, axes);
    this.#compiled = {
      identityClasses: axes.identities.classes,
      portClasses: axes.ports.classes,
      host: this.#images.of(subjects.host),
      ruleSets: this.#ruleSets(subjects),
      proxyRules: this.#images.proxyRules,
      endpoints: subjects.endpoints,
    };
    return this.#compiled;
  }

  /** The policies, and those held, with their peers expanded. */
  #expanded(input: CompileInput): Required<Pick<SubjectInput, 'policies' | 'held'>> {
    const written = policiesInForce(input);
    const all = this.#expansion.update(written, input.facts ?? NO_FACTS);
    const policies = all.slice(0, input.policies.length);
    if (input.held === undefined || input.held.size === 0) return { policies, held: new Map() };
    const meant = new Map(written.map((policy, i) => [policy, all[i] ?? policy]));
    const held = [...input.held].map(([id, own]) => [id, own.map((p) => meant.get(p) ?? p)] as const);
    return { policies, held: new Map(held) };
  }

  /** The same list while it holds the same. */
  #ruleSets({ ruleSets }: Subjects): readonly RuleSetImage[] {
    const before = this.#compiled?.ruleSets ?? [];
    const images = ruleSets.map((ruleSet) => this.#images.of(ruleSet));
    return images.length === before.length && images.every((image, i) => image === before[i])
      ? before
      : images;
  }
}

function rulesOf({ directions }: RuleSet): readonly ResolvedRule[] {
  return [...directions.ingress.rules, ...directions.egress.rules];
}
