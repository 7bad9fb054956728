/**
 * Third stage, first half: which rule set each subject has. Subjects with the same specs share one; only subjects
 * whose specs, labels or ports changed are looked at again.
 */
import type { LabelSet } from '#kit/labels';
import { compareText } from '#kit/order';
import { NO_CHANGES, patchSorted, type RowChanges } from '#kit/rows';
import type { PolicyConfig } from '#model';
import { egressPorts, type NamedPorts, NO_NAMED_PORTS, portsOfSubject } from './named-ports.ts';
import {
  contentOf,
  type ResolvedRules,
  type RuleSet,
  type RuleSetInput,
  ruleSetOf,
  type SubjectMode,
} from './ruleset.ts';
import { Selections, type SubjectInput } from './selection.ts';

/** The host's rule set, those of endpoints sorted by key, and which endpoint has which. */
export interface Subjects {
  readonly host: RuleSet;
  readonly ruleSets: readonly RuleSet[];
  readonly endpoints: ReadonlyMap<number, string>;
  /** Against the last time; the host's among them. */
  readonly changes: RowChanges<RuleSet>;
}

/** The subjects, carried from one compilation to the next. */
export class SubjectTable {
  readonly #config: PolicyConfig;
  readonly #selections: Selections;
  readonly #resolved: ResolvedRules = new WeakMap();
  #ofOthers: NamedPorts = NO_NAMED_PORTS;
  /** By content, with how many endpoints have it. */
  readonly #known = new Map<string, { readonly ruleSet: RuleSet; users: number }>();
  readonly #ruleSetOf = new Map<number, RuleSet>();
  #ruleSets: readonly RuleSet[] = [];
  #keys: ReadonlyMap<number, string> = new Map();
  #host: RuleSet | undefined;

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#selections = new Selections(config);
  }

  /** What the subjects have under these policies, whose peers are expanded. */
  update(input: SubjectInput): Subjects {
    const touched = this.#selections.update(input);
    const hasOtherPorts = touched.endpoints.size > 0 && this.#nameEgressPorts();
    const ids = hasOtherPorts ? this.#selections.endpoints.keys() : [];
    const changes = this.#assign(new Set([...touched.endpoints, ...ids]));
    this.#ruleSets = patchSorted(this.#ruleSets, changes, (a, b) => compareText(a.key, b.key));
    const old = this.#host;
    const host = old === undefined || touched.host || hasOtherPorts ? this.#hostRuleSet() : old;
    this.#host = host;
    return {
      host,
      ruleSets: this.#ruleSets,
      endpoints: this.#keys,
      changes: {
        gone: host === old || old === undefined ? changes.gone : [old, ...changes.gone],
        come: host === old ? changes.come : [host, ...changes.come],
      },
    };
  }

  /** What names mean at egress is the same for all; whether it became something else. */
  #nameEgressPorts(): boolean {
    const ports = egressPorts(this.#selections.endpoints.values());
    const textOf = (named: NamedPorts): string =>
      [...named]
        .map(([name, n]) => `${name}=${n.join()}`)
        .sort()
        .join();
    if (textOf(ports) === textOf(this.#ofOthers)) return false;
    this.#ofOthers = ports;
    return true;
  }

  /** Gives these endpoints the rule sets that are theirs now. */
  #assign(ids: ReadonlySet<number>): RowChanges<RuleSet> {
    if (ids.size === 0) return NO_CHANGES;
    const left = [...ids].flatMap((id) => this.#ruleSetOf.get(id) ?? []);
    const fresh = [...ids].flatMap((id) => this.#move(id) ?? []);
    for (const { content } of left) this.#count(content, -1);
    const isUsed = ({ content }: RuleSet): boolean => (this.#known.get(content)?.users ?? 0) > 0;
    const gone = [...new Set(left)].filter((ruleSet) => !isUsed(ruleSet));
    for (const { content } of gone) this.#known.delete(content);
    this.#keys = new Map([...this.#ruleSetOf].map(([id, { key }]) => [id, key] as const));
    return { gone, come: fresh };
  }

  /** Gives an endpoint its rule set, or none when it is gone; the rule set if nobody had it before. */
  #move(id: number): RuleSet | undefined {
    const ruleSet = this.#ruleSetFor(id);
    if (ruleSet === undefined) {
      this.#ruleSetOf.delete(id);
      return undefined;
    }
    this.#ruleSetOf.set(id, ruleSet);
    const isFresh = !this.#known.has(ruleSet.content);
    if (isFresh) this.#known.set(ruleSet.content, { ruleSet, users: 0 });
    this.#count(ruleSet.content, 1);
    return isFresh ? ruleSet : undefined;
  }

  #count(content: string, more: 1 | -1): void {
    const known = this.#known.get(content);
    if (known !== undefined) known.users += more;
  }

  /** The rule set of an endpoint; undefined when there is no such endpoint any more. */
  #ruleSetFor(id: number): RuleSet | undefined {
    const row = this.#selections.endpoints.get(id);
    if (row === undefined) return undefined;
    return this.#build({
      specs: this.#selections.specsOf(id),
      mode: modeOf(this.#config, row.labels),
      isHost: false,
      ports: { ingress: portsOfSubject(row.namedPorts ?? []), egress: this.#ofOthers },
    });
  }

  #hostRuleSet(): RuleSet {
    return this.#build({
      specs: this.#selections.specsOfHost(),
      mode: hostMode(this.#config),
      isHost: true,
      ports: { ingress: NO_NAMED_PORTS, egress: this.#ofOthers },
    });
  }

  #build(input: RuleSetInput): RuleSet {
    const content = contentOf(input);
    const known = input.isHost ? this.#host : this.#known.get(content)?.ruleSet;
    return known?.content === content ? known : ruleSetOf(content, input, this.#config, this.#resolved);
  }
}

function modeOf(config: PolicyConfig, labels: LabelSet): SubjectMode {
  if (config.enforcement !== 'default') return config.enforcement;
  return labels.labels.some((l) => l.source === 'reserved' && l.key === 'init') ? 'init' : 'default';
}

function hostMode(config: PolicyConfig): SubjectMode {
  return config.hostFirewall ? config.enforcement : 'never';
}
