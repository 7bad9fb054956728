/**
 * First stage, the other way round: which selectors mean a label set. Each is filed under something that every
 * label set it means has, so that a new identity or endpoint is held against a few selectors, not against all.
 */
import { assertNever } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import type { PeerSelector, PolicyConfig, Requirement } from '#model';
import { cidrPoints, entityLabels, notExpanded, peerMatches } from './match.ts';

/** A selector and what it stands for. */
interface Filed<T> {
  readonly selector: PeerSelector;
  readonly item: T;
}

/** Where selectors are filed together. */
type Drawer<T> = Set<Filed<T>>;

/** Items by their selectors; an item may have several. */
export class SelectorIndex<T> {
  readonly #config: PolicyConfig;
  /** By a label's key, and by key and value. */
  readonly #byLabel = new Map<string, Drawer<T>>();
  readonly #byPrefix = new Lpm<Drawer<T>>();
  /** Those that nothing is known of beforehand. */
  readonly #others: Drawer<T> = new Set();
  /** Takes an item out of where it was filed. */
  readonly #out = new Map<T, (() => void)[]>();

  constructor(config: PolicyConfig) {
    this.#config = config;
  }

  /** Adds an item that is not there yet. */
  add(item: T, selectors: readonly PeerSelector[]): void {
    this.#out.set(
      item,
      selectors.flatMap((selector) => this.#file({ selector, item })),
    );
  }

  remove(item: T): void {
    for (const takeOut of this.#out.get(item) ?? []) takeOut();
    this.#out.delete(item);
  }

  /** The items of which a selector means these labels. */
  meaning(labels: LabelSet): ReadonlySet<T> {
    const set = { labels, points: cidrPoints(labels, this.#config) };
    const found = new Set<T>();
    const look = (drawer: Drawer<T> | undefined): void => {
      for (const { selector, item } of drawer ?? []) {
        if (!found.has(item) && peerMatches(selector, set, this.#config)) found.add(item);
      }
    };
    look(this.#others);
    for (const { key, value } of labels.labels) {
      look(this.#byLabel.get(textOf(key)));
      look(this.#byLabel.get(textOf(key, value)));
    }
    for (const point of set.points) for (const { value } of this.#byPrefix.covering(point)) look(value);
    return found;
  }

  /** Files it; what takes it out again. */
  #file(filed: Filed<T>): (() => void)[] {
    const { selector } = filed;
    if (selector.kind === 'cidr') {
      const drawer = this.#byPrefix.get(selector.cidr) ?? new Set();
      this.#byPrefix.set(selector.cidr, drawer.add(filed));
      return [() => drawer.delete(filed) && drawer.size === 0 && this.#byPrefix.delete(selector.cidr)];
    }
    const texts = this.#textsOf(selector);
    if (texts === undefined) {
      this.#others.add(filed);
      return [() => this.#others.delete(filed)];
    }
    return texts.map((text) => {
      const drawer = this.#byLabel.get(text) ?? new Set();
      this.#byLabel.set(text, drawer.add(filed));
      return () => drawer.delete(filed) && drawer.size === 0 && this.#byLabel.delete(text);
    });
  }

  /** Every label set that it means has a label with one of these texts; undefined when nothing is sure. */
  #textsOf(selector: Exclude<PeerSelector, { readonly kind: 'cidr' }>): readonly string[] | undefined {
    switch (selector.kind) {
      case 'entity':
        return entityLabels(selector.entity, this.#config).map(({ key, value }) => textOf(key, value));
      case 'fqdn':
        return [textOf(selector.pattern)];
      case 'labels':
      case 'cidrGroup': {
        const choices = selector.selector.requirements.flatMap((requirement) => {
          const texts = textsOfRequirement(requirement);
          return texts === undefined ? [] : [{ texts, crowd: this.#crowd(texts) }];
        });
        return choices.sort((a, b) => a.crowd - b.crowd)[0]?.texts;
      }
      case 'service':
      case 'cloudGroup':
        return notExpanded(selector);
      default:
        return assertNever(selector);
    }
  }

  /** How many are filed there already: of a selector's labels, the rarest tells the most. */
  #crowd(texts: readonly string[]): number {
    return texts.reduce((sum, text) => sum + (this.#byLabel.get(text)?.size ?? 0), 0);
  }
}

function textsOfRequirement({ source, key, operator, values }: Requirement): readonly string[] | undefined {
  if (source === 'cidr') return undefined;
  if (operator === 'In') return values.map((value) => textOf(key, value));
  return operator === 'Exists' ? [textOf(key)] : undefined;
}

/** Should two texts be the same, some comparisons are in vain. */
function textOf(key: string, value?: string): string {
  return value === undefined ? key : `${key}\0${value}`;
}
