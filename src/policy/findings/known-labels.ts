/** The labels that endpoints and nodes have, and the one that a person may have meant. */
import { formatLabel } from '#kit/labels';
import { nearest } from '#kit/nearest';
import type { Requirement, Selector } from '#model';
import type { SeenNode } from './input.ts';

/** Most values of one key that are compared with a mistyped one. */
const MOST_VALUES = 2000;

export class KnownLabels {
  readonly #endpoints = new Map<string, Set<string>>();
  readonly #nodes = new Map<string, Set<string>>();

  constructor(nodes: readonly SeenNode[]) {
    for (const { world } of nodes) {
      for (const { labels } of world.endpoints) add(this.#endpoints, labels.labels);
      add(this.#nodes, world.nodeLabels.labels);
    }
  }

  /** Whether an endpoint has a label of this key. */
  has(key: string): boolean {
    return this.#endpoints.has(key);
  }

  /** Why a selector means nobody: the first label that nobody has, and the nearest that somebody has. */
  hint({ requirements }: Selector, of: 'endpoints' | 'node'): string | undefined {
    const known = of === 'node' ? this.#nodes : this.#endpoints;
    const missing = requirements.find((r) => isMissing(r, known));
    if (missing === undefined) return undefined;
    const { source, key, values } = missing;
    const near = nearestTo(key, values[0], known);
    const label = formatLabel({ source, key, value: values.join('|') }).replace(/^any:/, '');
    const who = `nobody has ${label}`;
    return near === undefined ? who : `${who}; did you mean ${near}?`;
  }
}

function add(
  known: Map<string, Set<string>>,
  labels: readonly { readonly key: string; readonly value: string }[],
): void {
  for (const { key, value } of labels) {
    const values = known.get(key);
    if (values === undefined) known.set(key, new Set([value]));
    else values.add(value);
  }
}

function isMissing({ operator, key, values }: Requirement, known: ReadonlyMap<string, Set<string>>): boolean {
  const have = known.get(key);
  if (operator === 'Exists') return have === undefined;
  return operator === 'In' && !values.some((value) => have?.has(value) === true);
}

/** `key=value`, or the key alone for a value that nobody asked for. */
function nearestTo(
  key: string,
  value: string | undefined,
  known: ReadonlyMap<string, Set<string>>,
): string | undefined {
  const candidates = known.has(key) ? [key] : [];
  const nearKey = nearest(
    key,
    [...known.keys()].filter((one) => one !== key),
  );
  if (nearKey !== undefined) candidates.push(nearKey);
  for (const one of candidates) {
    if (value === undefined) return one;
    const values = [...(known.get(one) ?? [])].slice(0, MOST_VALUES);
    const near = values.includes(value) ? value : nearest(value, values);
    if (near !== undefined) return `${one}=${near}`;
  }
  return undefined;
}
