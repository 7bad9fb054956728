/** The whole compiler: subjects, then classes, then matrices. */
import { compareText } from '#kit/order';
import { type IdentityRow, NO_FACTS, type PolicyConfig } from '#model';
import { portClasses } from './classes.ts';
import type { CompiledPolicy, RuleSetImage } from './compiled.ts';
import { expandPolicies, type PlainPolicies } from './expand.ts';
import { type ImageMemo, ruleSetImage } from './matrix.ts';
import { IdentityPartition } from './partition.ts';
import type { ProxyRuleSet } from './proxy.ts';
import { type RuleSet, type RuleSetMemo, type SubjectInput, subjectsOf } from './subjects.ts';

/** Everything that compiled policy depends on. Order does not matter anywhere. */
export interface CompileInput extends SubjectInput {
  /** Every identity in use, the reserved ones too. */
  readonly identities: readonly IdentityRow[];
}

/**
 * What one compilation leaves for the next, so that the next costs what changed. It changes no result: with
 * any memo, `compile` gives what it gives without one. Belongs to one caller, who hands in the same one.
 */
export class CompileMemo {
  #config: string | undefined;
  #partition: IdentityPartition | undefined;
  /** Policies without peers that stand for others. */
  readonly plain: PlainPolicies = new WeakSet();
  rules: RuleSetMemo = EMPTY_RULES;
  images: ImageMemo = new Map();

  /** The classes so far; everything is forgotten when an option changed. */
  partition(config: PolicyConfig): IdentityPartition {
    const text = JSON.stringify(Object.entries(config).sort(([a], [b]) => compareText(a, b)));
    if (this.#partition === undefined || text !== this.#config) {
      this.#partition = new IdentityPartition(config);
      this.#config = text;
      this.rules = EMPTY_RULES;
      this.images = new Map();
    }
    return this.#partition;
  }
}

const EMPTY_RULES: RuleSetMemo = { rules: new Map(), ruleSets: new Map() };

/** Compiles everything. Only policies that select a subject of this node count. Throws `POLICY_NO_ROOM`. */
export function compile(input: CompileInput, memo: CompileMemo = new CompileMemo()): CompiledPolicy {
  const partition = memo.partition(input.config);
  const policies = expandPolicies(input.policies, input.facts ?? NO_FACTS, memo.plain);
  const subjects = subjectsOf({ ...input, policies }, memo.rules);
  const rules = [subjects.host, ...subjects.ruleSets].flatMap(rulesOf);
  const axes = {
    identities: partition.update(distinctLists(rules.map((rule) => rule.peers)), input.identities),
    ports: portClasses(distinctLists(rules.map((rule) => rule.ports))),
  };
  const images = new Map();
  const image = (ruleSet: RuleSet) => ruleSetImage(ruleSet, axes, memo.images, images);
  const host = image(subjects.host);
  const ruleSets = subjects.ruleSets.map(image);
  const compiled = {
    identityClasses: axes.identities.classes,
    portClasses: axes.ports.classes,
    host,
    ruleSets,
    proxyRules: proxyRulesOf([host, ...ruleSets]),
    endpoints: subjects.endpoints,
  };
  memo.rules = subjects.memo;
  memo.images = images;
  return compiled;
}

/** Every proxy rule set that a cell names, by id, in order. */
function proxyRulesOf(images: readonly RuleSetImage[]): ReadonlyMap<string, ProxyRuleSet> {
  const found = new Map<string, ProxyRuleSet>();
  for (const { directions } of images) {
    for (const cell of [...directions.ingress.cells, ...directions.egress.cells]) {
      if (cell.proxy !== undefined) found.set(cell.proxy.id, cell.proxy);
    }
  }
  return new Map([...found].sort(([a], [b]) => compareText(a, b)));
}

function rulesOf({ directions }: RuleSet) {
  return [...directions.ingress.rules, ...directions.egress.rules];
}

/** Each list once, without wildcards, sorted by name. */
function distinctLists<L extends { readonly name: string; readonly wildcard: boolean }>(lists: L[]): L[] {
  const byName = new Map(lists.filter((list) => !list.wildcard).map((list) => [list.name, list]));
  return [...byName.values()].sort((a, b) => compareText(a.name, b.name));
}
