/** Label selectors as written: `matchLabels` and `matchExpressions` (policy.md §3). */
import { parseCidrOrIp } from '#kit/ip';
import { labelKeyProblem, labelValueProblem, parseSelectorKey } from '#kit/labels';
import {
  fail,
  type Place,
  quote,
  readAnyMap,
  readList,
  readMap,
  readText,
  readWord,
} from '../document/index.ts';
import type { Requirement } from '../policy.ts';

const OPERATORS = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/** How keys are written: `source:key`, or, in Kubernetes' own objects, keys that all have one source. */
export type ReadKey = (text: string) => { readonly source: string; readonly key: string } | undefined;

/** The requirements of a selector by how they are written; all of them hold. */
export interface WrittenSelector {
  readonly labels: readonly Requirement[];
  readonly expressions: readonly Requirement[];
}

/** What an absent selector, or an empty one, asks. */
export const NOTHING_ASKED: WrittenSelector = { labels: [], expressions: [] };

/** The requirements of a selector, unscoped, in the order written; undefined when a problem was noted. */
export function readSelector(place: Place, parseKey?: ReadKey): readonly Requirement[] | undefined {
  const written = readWrittenSelector(place, parseKey);
  return written && [...written.labels, ...written.expressions];
}

/** The same in its two parts. */
export function readWrittenSelector(
  place: Place,
  parseKey: ReadKey = parseSelectorKey,
): WrittenSelector | undefined {
  const fields = readMap(place, ['matchLabels', 'matchExpressions'], 'a label selector');
  if (fields === undefined) return undefined;
  const labels = fields.get('matchLabels');
  const expressions = fields.get('matchExpressions');
  const fromLabels = labels === undefined ? [] : readMatchLabels(labels, parseKey);
  const fromExpressions = expressions === undefined ? [] : readExpressions(expressions, parseKey);
  if (fromLabels === undefined || fromExpressions === undefined) return undefined;
  return { labels: fromLabels, expressions: fromExpressions };
}

function readMatchLabels(place: Place, parseKey: ReadKey): readonly Requirement[] | undefined {
  const entries = readAnyMap(place, 'labels');
  if (entries === undefined) return undefined;
  const out: Requirement[] = [];
  for (const [text, { keyPlace, value: valuePlace }] of entries) {
    const parsed = readKey(keyPlace, text, parseKey);
    if (valuePlace === undefined) {
      invalid(keyPlace, 'the label has no value', 'write "" for an empty one');
      continue;
    }
    const value = readText(valuePlace);
    if (parsed === undefined || value === undefined || !isValue(valuePlace, parsed, value)) continue;
    out.push({ ...parsed, operator: 'In', values: [value] });
  }
  return out.length === entries.size ? out : undefined;
}

function readExpressions(place: Place, parseKey: ReadKey): readonly Requirement[] | undefined {
  const items = readList(place, 'expressions');
  if (items === undefined) return undefined;
  const out = items.map((item) => readExpression(item, parseKey)).filter((r) => r !== undefined);
  return out.length === items.length ? out : undefined;
}

function readExpression(place: Place, parseKey: ReadKey): Requirement | undefined {
  const fields = readMap(place, ['key', 'operator', 'values'], 'a match expression');
  if (fields === undefined) return undefined;
  const keyPlace = fields.get('key');
  const operatorPlace = fields.get('operator');
  if (keyPlace === undefined) return invalid(place, 'key is missing');
  if (operatorPlace === undefined)
    return invalid(place, 'operator is missing', `one of ${OPERATORS.join(', ')}`);
  const text = readText(keyPlace);
  const key = text === undefined ? undefined : readKey(keyPlace, text, parseKey);
  const operator = readWord(operatorPlace, OPERATORS, 'POLICY_SELECTOR');
  const valuesPlace = fields.get('values');
  const valuePlaces = valuesPlace === undefined ? [] : readList(valuesPlace, 'label values');
  if (key === undefined || operator === undefined || valuePlaces === undefined) return undefined;
  const needsValues = operator === 'In' || operator === 'NotIn';
  if (needsValues && valuePlaces.length === 0)
    return invalid(valuesPlace ?? place, `${operator} needs values`);
  if (!needsValues && valuePlaces.length > 0) {
    return invalid(valuesPlace ?? place, `${operator} takes no values`, 'remove values');
  }
  const values: string[] = [];
  for (const item of valuePlaces) {
    const value = readText(item);
    if (value !== undefined && isValue(item, key, value)) values.push(value);
  }
  return values.length === valuePlaces.length ? { ...key, operator, values } : undefined;
}

function readKey(place: Place, text: string, parseKey: ReadKey): { source: string; key: string } | undefined {
  const parsed = parseKey(text);
  if (parsed === undefined)
    return invalid(place, `${quote(text)} is no label key`, 'write key or source:key');
  if (parsed.source === 'cidr') {
    if (parseCidrOrIp(parsed.key.replaceAll('-', ':')) ?? parseCidrOrIp(parsed.key)) return parsed;
    return invalid(place, `${quote(text)} holds no address or prefix`, 'write it as cidr:10.0.0.0/8');
  }
  const fault =
    labelKeyProblem(parsed.key) ?? (/^[\w.-]+$/.test(parsed.source) ? undefined : 'the source is no word');
  if (fault === undefined) return parsed;
  return invalid(place, `${quote(text)} is no label key: ${fault}`);
}

function isValue(place: Place, key: { source: string; key: string }, value: string): boolean {
  const fault = labelValueProblem(value);
  if (fault !== undefined) invalid(place, `${quote(value)} is no label value: ${fault}`);
  const isEmptyByNature = key.source === 'reserved' || key.source === 'cidr';
  if (fault === undefined && isEmptyByNature && value !== '') {
    invalid(
      place,
      `the label ${key.source}:${key.key} has an empty value, found ${quote(value)}`,
      'write ""',
    );
    return false;
  }
  return fault === undefined;
}

function invalid(place: Place, what: string, hint?: string): undefined {
  return fail(place, 'POLICY_SELECTOR', `invalid label selector: ${what}`, hint);
}
