/**
 * The tables of all rule sets and what their cells ask of proxies, carried from one compilation to the next: only
 * those are made anew that come, or whose lists have other classes now.
 */
import { compareText } from '#kit/order';
import type { RowChanges } from '#kit/rows';
import type { RuleSetImage } from './compiled.ts';
import { Counted } from './counted.ts';
import { type Axes, type MadeDirections, madeDirections } from './matrix.ts';
import type { ProxyRuleSet } from './proxy.ts';
import type { RuleSet } from './ruleset.ts';

interface Made {
  readonly image: RuleSetImage;
  readonly directions: MadeDirections;
  readonly proxies: readonly ProxyRuleSet[];
}

export class Images {
  readonly #made = new Map<RuleSet, Made>();
  readonly #asked = new Counted<ProxyRuleSet>();
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

  /** `touched`: rule sets whose lists have classes in other places, by axis. Throws `POLICY_NO_ROOM`. */
  update(
    { gone, come }: RowChanges<RuleSet>,
    touched: Readonly<Record<keyof Axes, ReadonlySet<RuleSet>>>,
    axes: Axes,
  ): void {
    let areOthers = false;
    const replace = (ruleSet: RuleSet, made: Made | undefined): void => {
      const old = this.#made.get(ruleSet);
      if (made === undefined) this.#made.delete(ruleSet);
      else this.#made.set(ruleSet, made);
      for (const rules of made?.proxies ?? []) if (this.#asked.add(rules.id, rules)) areOthers = true;
      for (const { id } of old?.proxies ?? []) if (this.#asked.remove(id)) areOthers = true;
    };
    for (const ruleSet of gone) replace(ruleSet, undefined);
    for (const ruleSet of new Set([...come, ...touched.identities, ...touched.ports])) {
      const moved = { identities: touched.identities.has(ruleSet), ports: touched.ports.has(ruleSet) };
      const directions = madeDirections(ruleSet, axes, this.#made.get(ruleSet)?.directions, moved);
      const { ingress, egress } = directions;
      const image = { key: ruleSet.key, directions: { ingress: ingress.image, egress: egress.image } };
      replace(ruleSet, { image, directions, proxies: proxiesOf(image) });
    }
    if (!areOthers) return;
    this.#proxyRules = new Map([...this.#asked.entries()].sort(([a], [b]) => compareText(a, b)));
  }
}

/** What the cells name. */
function proxiesOf({ directions }: RuleSetImage): readonly ProxyRuleSet[] {
  const cells = [...directions.ingress.cells, ...directions.egress.cells];
  return cells.flatMap(({ proxy }) => proxy ?? []);
}
