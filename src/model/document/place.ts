/**
 * Strict reading of a tree: each reader either returns the value or notes a problem with line, column, JSON
 * path and, for a key, the nearest one that is valid. `null` is an absent value, as the Kubernetes API server
 * prunes it (policy.md §7).
 */
import type { ErrorCode, SourceAt } from '#kit/errors';
import { nearest } from '#kit/nearest';
import type { FindingCode, Warning } from '../findings.ts';
import { MAX_PROBLEMS, type Problem, quote } from './problem.ts';
import type { Position, Tree, TreeEntry } from './tree.ts';

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

/** Whether no further problem is kept, so that nobody need find out what would be right. */
export function isFull({ problems }: Report): boolean {
  return problems.length >= MAX_PROBLEMS;
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
  const { tree, report } = place;
  if (tree.kind !== 'map') return wrongType(place, `${what} (a map)`);
  for (const entry of tree.entries) {
    if (known.includes(entry.key)) continue;
    if (isFull(report)) break;
    const near = nearest(entry.key, known);
    const nearHint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`;
    const hint = hintOf?.(entry.key) ?? nearHint;
    fail(keyPlaceOf(place, entry), report.codes.unknownKey, `unknown field in ${what}`, hint);
  }
  const get = (key: string): Place | undefined => {
    const entry = tree.entries.find((e) => e.key === key);
    return entry && valuePlaceOf(place, entry);
  };
  return { place, get, has: (key) => get(key) !== undefined };
}

/** The entries of a map with free keys. `keyPlace` stands at the key, for messages about it. */
export function readAnyMap(
  place: Place,
  what: string,
): Map<string, { keyPlace: Place; value: Place | undefined }> | undefined {
  const { tree } = place;
  if (tree.kind !== 'map') return wrongType(place, `${what} (a map)`);
  return new Map(
    tree.entries.map((entry) => [
      entry.key,
      {
        // Mostly nothing is wrong with the key.
        get keyPlace() {
          return keyPlaceOf(place, entry);
        },
        value: valuePlaceOf(place, entry),
      },
    ]),
  );
}

function keyPlaceOf({ path, report }: Place, { key, keyAt }: TreeEntry): Place {
  const tree: Tree = { kind: 'scalar', at: keyAt, value: key, text: key };
  return { tree, path: childPath(path, key), report };
}

/** Undefined for a value that is null. */
function valuePlaceOf({ path, report }: Place, { key, value }: TreeEntry): Place | undefined {
  const isNull = value.kind === 'scalar' && value.value === null;
  return isNull ? undefined : { tree: value, path: childPath(path, key), report };
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
