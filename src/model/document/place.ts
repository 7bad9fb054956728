/**
 * Strict reading of a tree: each reader either returns the value or notes a problem with line, column, JSON
 * path and, for a key, the nearest one that is valid. `null` is an absent value, as the Kubernetes API server
 * prunes it (policy.md §7).
 */
import type { ErrorCode, SourceAt } from '#kit/errors';
import { nearest } from '#kit/nearest';
import type { FindingCode, Warning } from '../findings.ts';
import { MAX_PROBLEMS, type Problem, quote } from './problem.ts';
import type { Position, Tree } from './tree.ts';

/** Where findings of one document go, and the codes of the findings that every kind of document can have. */
export interface Report {
  readonly file: string | undefined;
  readonly codes: { readonly schema: ErrorCode; readonly unknownKey: ErrorCode };
  readonly problems: Problem[];
  readonly warnings: Warning[];
}

/** A value in its document. */
export interface Place {
  readonly tree: Tree;
  /** JSON path from the document's root, for example `spec.ingress[0].toPorts`; empty at the root. */
  readonly path: string;
  readonly report: Report;
}

/** A map's present fields; values that are null are absent. */
export interface Fields {
  readonly place: Place;
  get(key: string): Place | undefined;
  has(key: string): boolean;
}

/** The root of a document. */
export function rootPlace(tree: Tree, report: Report): Place {
  return { tree, path: '', report };
}

/** Position of a value for `Rule.at`, events and errors. */
export function placeAt(place: Place, position: Position = place.tree.at): SourceAt {
  const { file } = place.report;
  return {
    ...(file === undefined ? {} : { file }),
    line: position.line,
    column: position.column,
    ...(place.path === '' ? {} : { path: place.path }),
  };
}

/** Notes what is wrong with a value. Returns undefined, so that readers can end in it. */
export function fail(place: Place, code: ErrorCode, message: string, hint?: string): undefined {
  return note(place.report.problems, place, code, message, hint);
}

/** Notes what is accepted but probably not meant. */
export function warn(place: Place, code: FindingCode, message: string, hint?: string): undefined {
  return note(place.report.warnings, place, code, message, hint);
}

function note<Code extends string>(
  list: (Omit<Problem, 'code'> & { readonly code: Code })[],
  place: Place,
  code: Code,
  message: string,
  hint: string | undefined,
  at: Position = place.tree.at,
): undefined {
  if (list.length >= MAX_PROBLEMS) return undefined;
  const text = place.path === '' ? message : `${place.path}: ${message}`;
  list.push({ code, message: text, at: placeAt(place, at), ...(hint === undefined ? {} : { hint }) });
  return undefined;
}

/** `map.key`, with brackets and quotes around keys that are no plain word. */
export function childPath(path: string, key: string): string {
  if (!/^[A-Za-z_$][\w$-]*$/.test(key)) return `${path}[${quote(key)}]`;
  return path === '' ? key : `${path}.${key}`;
}

/** What a value is, for "expected …, found …". */
export function describe(tree: Tree): string {
  if (tree.kind === 'map') return 'a map';
  if (tree.kind === 'list') return 'a list';
  if (tree.value === null) return 'nothing';
  if (typeof tree.value === 'string') return `the text ${quote(tree.value)}`;
  return `${typeof tree.value === 'number' ? 'the number' : 'the boolean'} ${quote(tree.text).slice(1, -1)}`;
}

function wrongType(place: Place, expected: string, hint?: string): undefined {
  return fail(place, place.report.codes.schema, `expected ${expected}, found ${describe(place.tree)}`, hint);
}

/**
 * The fields of a map whose keys are all among `known`; problems for others. `what` names the map, `hintOf` says
 * more about a key that is not known.
 */
export function readMap(
  place: Place,
  known: readonly string[],
  what: string,
  hintOf?: (key: string) => string | undefined,
): Fields | undefined {
  const all = readAnyMap(place, what);
  if (all === undefined) return undefined;
  for (const [key, { keyPlace }] of all) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    const nearHint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`;
    fail(keyPlace, place.report.codes.unknownKey, `unknown field in ${what}`, hintOf?.(key) ?? nearHint);
  }
  const get = (key: string): Place | undefined => all.get(key)?.value;
  return { place, get, has: (key) => get(key) !== undefined };
}

/** The entries of a map with free keys. `keyPlace` stands at the key, for messages about it. */
export function readAnyMap(
  place: Place,
  what: string,
): Map<string, { keyPlace: Place; value: Place | undefined }> | undefined {
  const { tree, path, report } = place;
  if (tree.kind !== 'map') return wrongType(place, `${what} (a map)`);
  const out = new Map<string, { keyPlace: Place; value: Place | undefined }>();
  for (const entry of tree.entries) {
    const at = childPath(path, entry.key);
    const isNull = entry.value.kind === 'scalar' && entry.value.value === null;
    out.set(entry.key, {
      keyPlace: {
        tree: { kind: 'scalar', at: entry.keyAt, value: entry.key, text: entry.key },
        path: at,
        report,
      },
      value: isNull ? undefined : { tree: entry.value, path: at, report },
    });
  }
  return out;
}

/** The items of a list. A null item stays: it is a mistake that its reader reports. */
export function readList(place: Place, what: string): readonly Place[] | undefined {
  const { tree, path, report } = place;
  if (tree.kind !== 'list') return wrongType(place, `a list of ${what}`);
  return tree.items.map((item, i) => ({ tree: item, path: `${path}[${i}]`, report }));
}

/** A text. Numbers and booleans without quotes are refused with the quoted form as the remedy. */
export function readText(place: Place): string | undefined {
  const { tree } = place;
  if (tree.kind === 'scalar' && typeof tree.value === 'string') return tree.value;
  const isScalar = tree.kind === 'scalar' && tree.value !== null;
  return wrongType(place, 'a text', isScalar ? `write it in quotes: ${quote(tree.text)}` : undefined);
}

/** A text, or the text of an unquoted number as it stands in the source. */
export function readTextOrNumber(place: Place): string | undefined {
  const { tree } = place;
  if (tree.kind === 'scalar' && typeof tree.value === 'number') return tree.text;
  return readText(place);
}

/** `true` or `false`. */
export function readBoolean(place: Place): boolean | undefined {
  const { tree } = place;
  if (tree.kind === 'scalar' && typeof tree.value === 'boolean') return tree.value;
  const text = tree.kind === 'scalar' && typeof tree.value === 'string' ? tree.value.toLowerCase() : '';
  const meant = ['true', 'yes', 'on'].includes(text)
    ? 'true'
    : ['false', 'no', 'off'].includes(text)
      ? 'false'
      : '';
  return wrongType(place, 'true or false', meant === '' ? undefined : `write ${meant}, without quotes`);
}

/** A whole number within bounds, both inclusive. */
export function readInteger(place: Place, min: number, max: number): number | undefined {
  const { tree } = place;
  if (tree.kind === 'scalar' && typeof tree.value === 'number' && Number.isInteger(tree.value)) {
    if (tree.value >= min && tree.value <= max) return tree.value;
    return fail(place, place.report.codes.schema, `${tree.text} is not between ${min} and ${max}`);
  }
  const isDigits = tree.kind === 'scalar' && typeof tree.value === 'string' && /^\d+$/.test(tree.value);
  return wrongType(place, 'a whole number', isDigits ? 'remove the quotes' : undefined);
}

/** One of several words. */
export function readWord<W extends string>(
  place: Place,
  words: readonly W[],
  code?: ErrorCode,
): W | undefined {
  const text = readText(place);
  if (text === undefined) return undefined;
  if ((words as readonly string[]).includes(text)) return text as W;
  const near = nearest(text, words);
  const hint = near === undefined ? undefined : `did you mean ${near}?`;
  return fail(
    place,
    code ?? place.report.codes.schema,
    `${quote(text)} is not one of ${words.join(', ')}`,
    hint,
  );
}
