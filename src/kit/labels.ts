/**
 * Labels `source:key=value` and canonical label sets (Cilium's model). Two sets with the same labels have the
 * same `key`, and different sets never do: the characters that join labels are escaped inside them.
 */
import { nearest } from './nearest.ts';
import { compareText } from './order.ts';

/** One label. `value` is empty for reserved labels and for keys written without `=`. */
export interface Label {
  readonly source: string;
  readonly key: string;
  readonly value: string;
}

/** Labels sorted by source and key, each source and key once. */
export interface LabelSet {
  readonly labels: readonly Label[];
  /** Canonical text: `source:key=value` joined with `;`. */
  readonly key: string;
}

/** Source of a label written without one; in a selector such a key means every source (`any`). */
const DEFAULT_SOURCE = 'unspec';
/** The selector-only source that matches every source. */
const ANY_SOURCE = 'any';
const RESERVED_SOURCE = 'reserved';

/** A key with the source it was written with. */
export interface LabelKey {
  readonly source: string;
  readonly key: string;
}

/**
 * `source:key`: the text before the first `:` is the source. `$host` and `reserved.host` are `reserved:host`.
 * A key without source gets `defaultSource`. Undefined when source or key is empty.
 */
function parseLabelKey(text: string, defaultSource: string = DEFAULT_SOURCE): LabelKey | undefined {
  const short = text.startsWith('$') ? 1 : text.startsWith('reserved.') ? 9 : 0;
  if (short > 0) return keyOrNothing(RESERVED_SOURCE, text.slice(short));
  const colon = text.indexOf(':');
  if (colon < 0) return keyOrNothing(defaultSource, text);
  return keyOrNothing(text.slice(0, colon), text.slice(colon + 1));
}

function keyOrNothing(source: string, key: string): LabelKey | undefined {
  return source === '' || key === '' ? undefined : { source, key };
}

/** A selector's key: like `parseLabelKey`, but a key without source matches every source. */
export function parseSelectorKey(text: string): LabelKey | undefined {
  return parseLabelKey(text, ANY_SOURCE);
}

/**
 * `source:key=value`, `key=value`, `source:key`, `$host`. A `:` after the first `=` belongs to the value.
 * Undefined when source or key is empty.
 */
export function parseLabel(text: string, defaultSource: string = DEFAULT_SOURCE): Label | undefined {
  const equals = text.indexOf('=');
  const parsed = parseLabelKey(equals < 0 ? text : text.slice(0, equals), defaultSource);
  if (parsed === undefined) return undefined;
  return { source: parsed.source, key: parsed.key, value: equals < 0 ? '' : text.slice(equals + 1) };
}

/** `source:key=value`, or `source:key` when the value is empty. */
export function formatLabel(label: Label): string {
  return label.value === '' ? `${label.source}:${label.key}` : `${label.source}:${label.key}=${label.value}`;
}

/** The set of these labels; of two with one source and key the later counts. */
export function labelSet(labels: Iterable<Label>): LabelSet {
  const byKey = new Map<string, Label>();
  for (const label of labels) byKey.set(`${escapedSource(label.source)}:${escaped(label.key)}`, label);
  const sorted = [...byKey].sort(
    ([, a], [, b]) => compareText(a.source, b.source) || compareText(a.key, b.key),
  );
  return {
    labels: sorted.map(([, label]) => label),
    key: sorted.map(([key, label]) => `${key}=${escaped(label.value)}`).join(';'),
  };
}

/** Joining characters inside one label's text: a container's label must not be able to look like two. */
function escaped(text: string): string {
  return /[;=\\]/.test(text) ? text.replaceAll(/[;=\\]/g, '\\$&') : text;
}

/** A source written by hand may hold a `:`, which would move the border to the key. */
function escapedSource(text: string): string {
  return escaped(text).replaceAll(':', '\\:');
}

/** The label with this key; `any` finds the first source that has it. */
export function getLabel(set: LabelSet, source: string, key: string): Label | undefined {
  return set.labels.find((label) => labelMatchesKey(label, source, key));
}

/** Every label with this key; more than one only for `any`. */
export function getLabels(set: LabelSet, source: string, key: string): readonly Label[] {
  return set.labels.filter((label) => labelMatchesKey(label, source, key));
}

/** Whether a selector's `source:key` means this label: `any` in the selector matches every source, never the reverse. */
function labelMatchesKey(label: Label, source: string, key: string): boolean {
  return label.key === key && (source === ANY_SOURCE || source === label.source);
}

/** The candidate a mistyped label may have meant: same key and a close value first, then the whole text. */
export function nearestLabel(text: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates];
  const equals = text.indexOf('=');
  if (equals >= 0) {
    const prefix = text.slice(0, equals + 1);
    const values = all.filter((c) => c.startsWith(prefix)).map((c) => c.slice(prefix.length));
    const value = nearest(text.slice(prefix.length), values);
    if (value !== undefined) return prefix + value;
  }
  return nearest(text, all);
}

/** What is wrong with a Kubernetes label key, or undefined: optional DNS prefix and `/`, then a name of ≤ 63. */
export function labelKeyProblem(key: string): string | undefined {
  const slash = key.lastIndexOf('/');
  const name = key.slice(slash + 1);
  if (slash >= 0 && !isDnsSubdomain(key.slice(0, slash))) return 'the part before "/" must be a DNS name';
  if (name === '') return 'the name is empty';
  if (name.length > 63) return 'the name is longer than 63 characters';
  if (!isLabelName(name))
    return 'the name must be letters, digits, "-", "_", "." with a letter or digit at both ends';
  return undefined;
}

/** What is wrong with a Kubernetes label value, or undefined: empty, or a name of ≤ 63. */
export function labelValueProblem(value: string): string | undefined {
  if (value === '') return undefined;
  if (value.length > 63) return 'the value is longer than 63 characters';
  if (!isLabelName(value))
    return 'the value must be letters, digits, "-", "_", "." with a letter or digit at both ends';
  return undefined;
}

function isLabelName(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$/i.test(text);
}

/** Lower-case DNS name, ≤ 253 in all. As Kubernetes has it, its labels may be longer than those of DNS. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every(isLowerCaseLabel);
}

/** One lower-case label of a DNS name: letters, digits, `-` inside, ≤ 63. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && isLowerCaseLabel(text);
}

function isLowerCaseLabel(text: string): boolean {
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
}
