/**
 * The tables of all rule sets and what their cells ask of proxies, carried from one compilation to the next: only
 * those are made anew that come, or whose lists have other classes now.
 */
import { compareText } from '#kit/order';
import type { RowChanges } from '#kit/rows';
import type { RuleSetImage } from './compiled.ts';
import { type Axes, type Bodies, ruleSetImage } from './matrix.ts';
import type { ProxyRuleSet } from './proxy.ts';
import type { RuleSet } from './ruleset.ts';

interface Made {
  readonly image: RuleSetImage;
  readonly bodies: Bodies;
  readonly proxies: readonly ProxyRuleSet[];
}

export class Images {
  readonly #made = new Map<RuleSet, Made>();
  readonly #asked = new Map<string, { readonly rules: ProxyRuleSet; users: number }>();
  #proxyRules: ReadonlyMap<string, ProxyRuleSet> = new Map();

  /** By id, in order; the same object while the rules are the same. */
  get proxyRules(): ReadonlyMap<string, ProxyRuleSet> {
    return this.#proxyRules;
  }

  /** The image of a rule set that has come. */
  of(ruleSet: RuleSet): RuleSetImage {
    const made = this.#made.get(ruleSet);
    if (made === undefined) throw new Error(`no table was made of ${ruleSet.key}`);
    return made.image;
  }

  /** `touched`: rule sets whose lists have classes in other places. Throws `POLICY_NO_ROOM`. */
  update({ gone, come }: RowChanges<RuleSet>, touched: ReadonlySet<RuleSet>, axes: Axes): void {
    let hasProxies = false;
    const replace = (ruleSet: RuleSet, made: Made | undefined): void => {
      const old = this.#made.get(ruleSet);
      if (made === undefined) this.#made.delete(ruleSet);
      else this.#made.set(ruleSet, made);
      for (const rules of made?.proxies ?? []) this.#ask(rules);
      for (const { id } of old?.proxies ?? []) this.#unask(id);
      hasProxies ||= (made?.proxies.length ?? 0) + (old?.proxies.length ?? 0) > 0;
    };
    for (const ruleSet of gone) replace(ruleSet, undefined);
    for (const ruleSet of new Set([...come, ...touched])) {
      const { image, bodies } = ruleSetImage(ruleSet, axes, this.#made.get(ruleSet)?.bodies);
      replace(ruleSet, { image, bodies, proxies: proxiesOf(image) });
    }
    if (!hasProxies) return;
    const sorted = [...this.#asked].sort(([a], [b]) => compareText(a, b));
    this.#proxyRules = new Map(sorted.map(([id, { rules }]) => [id, rules]));
  }

  #ask(rules: ProxyRuleSet): void {
    const known = this.#asked.get(rules.id);
    if (known === undefined) this.#asked.set(rules.id, { rules, users: 1 });
    else known.users++;
  }

  #unask(id: string): void {
    const known = this.#asked.get(id);
    if (known !== undefined && --known.users === 0) this.#asked.delete(id);
  }
}

/** What the cells name. */
function proxiesOf({ directions }: RuleSetImage): readonly ProxyRuleSet[] {
  const cells = [...directions.ingress.cells, ...directions.egress.cells];
  return cells.flatMap(({ proxy }) => proxy ?? []);
}
