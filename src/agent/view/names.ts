/** What numbers stand for: labels of identities, rules of origins, names of devices. */
import type { OriginRefs, RuleRef } from '#flow';
import { formatLabel } from '#kit/labels';
import { type IdentityRow, originParts } from '#model';
import { monotonicNs } from '#native';
import type { ViewContext } from './context.ts';
import { WallClock } from './wall-clock.ts';

/** Identities that were known some time: an event may name one that is gone by now. */
const REMEMBERED = 16_384;

export class NumberNames {
  readonly #context: ViewContext;
  readonly #wall = new WallClock({ wallMs: Date.now, monotonicNs });
  readonly #labels = new Map<number, readonly string[]>();
  #learntFrom: readonly IdentityRow[] | undefined;
  #places: ReadonlyMap<string, { readonly file?: string; readonly line?: number }> = new Map();
  #placesRevision = -1;

  constructor(context: ViewContext) {
    this.#context = context;
  }

  /** Wall-clock nanoseconds at monotonic time zero. */
  get wallOffsetNs(): bigint {
    return this.#wall.offsetNs;
  }

  /** The wall-clock time of a second of the datapath's clock, RFC 3339 with milliseconds. */
  wallTime(datapathSeconds: number): string {
    return this.#wall.timeOf(datapathSeconds);
  }

  labels(identity: number): readonly string[] {
    this.#learn();
    return this.#labels.get(identity) ?? [];
  }

  /** The rules of an origin id, each with its place where one is known. */
  rules(origin: number): readonly RuleRef[] {
    return this.origin(origin).rules;
  }

  /** The same, with what staged policies have to do with it. */
  origin(origin: number): OriginRefs {
    const list = origin === 0 ? [] : (this.#context.datapath.origins.rulesOf(origin) ?? []);
    const { rules, enforced, staged } = originParts(list);
    const refs = (ids: readonly string[]) => ids.map((id) => this.rule(id));
    return {
      rules: refs(rules),
      ...(enforced === undefined ? {} : { enforced: refs(enforced) }),
      ...(staged === undefined ? {} : { staged: refs(staged) }),
    };
  }

  rule(id: string): RuleRef {
    return { id, ...this.#placeOf(id) };
  }

  device(ifindex: number): string {
    return this.#context.tables.netdev.links.get(ifindex)?.name ?? String(ifindex);
  }

  #learn(): void {
    const identities = this.#context.loop.enforced?.identities;
    if (identities === undefined || identities === this.#learntFrom) return;
    this.#learntFrom = identities;
    for (const { id, labels } of identities) {
      this.#labels.delete(id);
      this.#labels.set(id, labels.labels.map(formatLabel));
    }
    for (const id of this.#labels.keys()) {
      if (this.#labels.size <= REMEMBERED) break;
      this.#labels.delete(id);
    }
  }

  /** Of a rule, or of the spec that a default belongs to (`name/specIndex`). */
  #placeOf(id: string): { readonly file?: string; readonly line?: number } {
    const { policies } = this.#context.tables.manifests;
    if (policies.revision !== this.#placesRevision) {
      this.#placesRevision = policies.revision;
      const places = new Map<string, { readonly file?: string; readonly line?: number }>();
      for (const policy of policies.all()) {
        for (const spec of policy.specs) {
          for (const rule of spec.rules) places.set(rule.id, place(rule.at));
          const name = policy.namespace === undefined ? policy.name : `${policy.namespace}/${policy.name}`;
          places.set(`${name}/${spec.index}`, place(policy.at));
        }
      }
      this.#places = places;
    }
    return this.#places.get(id) ?? {};
  }
}

function place(at: { readonly file?: string; readonly line?: number }): {
  readonly file?: string;
  readonly line?: number;
} {
  return {
    ...(at.file === undefined ? {} : { file: at.file }),
    ...(at.line === undefined ? {} : { line: at.line }),
  };
}
