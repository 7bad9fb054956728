/**
 * Canonical text of compiled policy: every number replaced by what it stands for, everything sorted. Two
 * compilations of the same rows, in any order and with any numbering, give the same bytes.
 */
import type { LabelSet } from '#kit/labels';
import type { Direction, Identity } from '#model';
import { rangeText } from './classes.ts';
import type { CompiledPolicy, DirectionImage, RuleSetImage } from './compiled.ts';
import { cellText } from './matrix.ts';
import { compareText } from '#kit/order';
import { VACANT } from './places.ts';
import { type IndexRange, mergeRanges, PORT_CLASS_ENTRIES } from './port-index.ts';

/** The dump; `labelsOf` tells what an identity stands for. */
export function canonicalDump(
  compiled: CompiledPolicy,
  labelsOf: (identity: Identity) => LabelSet | undefined,
): string {
  const lines: string[] = ['identity classes'];
  const byName = compiled.identityClasses.filter(isTaken).sort((a, b) => compareText(a.name, b.name));
  for (const { name, members } of byName) {
    lines.push(`  [${name}]`);
    const texts = members.map((member) => labelsOf(member)?.key ?? `identity ${member}`).sort(compareText);
    for (const text of texts) lines.push(`    ${text}`);
  }
  lines.push('port classes');
  for (const { name, ranges } of compiled.portClasses
    .filter(isTaken)
    .sort((a, b) => compareText(a.name, b.name))) {
    lines.push(`  [${name}] ${ranges.map(rangeLabel).join(' ')}`);
  }
  if (compiled.proxyRules.size > 0) lines.push('proxy rules');
  for (const [id, { id: _, ...rules }] of compiled.proxyRules) lines.push(`  ${id} ${JSON.stringify(rules)}`);
  lines.push('host', ...ruleSetLines(compiled, compiled.host));
  for (const { image, endpoints } of used(compiled)) {
    lines.push(`endpoints ${endpoints.join(' ')}`, ...ruleSetLines(compiled, image));
  }
  return `${lines.join('\n')}\n`;
}

/** Not the place of a class that is gone. */
const isTaken = ({ name }: { readonly name: string }): boolean => name !== VACANT;

/** The last range reaches the end of the index, which needs no name. */
function rangeLabel(range: readonly [number, number]): string {
  return range[0] === 0 && range[1] === PORT_CLASS_ENTRIES - 1 ? 'all' : rangeText(range);
}

/** Rule sets by the endpoints that have them: their keys hold hashes, which tell people nothing. */
function used(compiled: CompiledPolicy): { readonly image: RuleSetImage; readonly endpoints: number[] }[] {
  const ids = new Map<string, number[]>();
  for (const [id, key] of [...compiled.endpoints].sort(([a], [b]) => a - b)) {
    ids.set(key, [...(ids.get(key) ?? []), id]);
  }
  return compiled.ruleSets
    .map((image) => ({ image, endpoints: ids.get(image.key) ?? [] }))
    .sort((a, b) => (a.endpoints[0] ?? 0) - (b.endpoints[0] ?? 0));
}

function ruleSetLines(compiled: CompiledPolicy, image: RuleSetImage): string[] {
  return (['ingress', 'egress'] as const).flatMap((direction) =>
    directionLines(compiled, direction, image.directions[direction]),
  );
}

/** For each row the classes that stand there, then a line for each cell with the ports that lead to it. */
function directionLines(compiled: CompiledPolicy, direction: Direction, image: DirectionImage): string[] {
  if (!image.enforced && !image.staged) return [`  ${direction} open`];
  const word = direction === 'ingress' ? 'from' : 'to';
  const state = image.enforced ? 'enforced' : 'staged';
  const lines = [`  ${direction} ${state}${image.audit === true ? ', audit' : ''}`];
  for (const { label, row } of rowsByClasses(compiled, image)) {
    lines.push(`    ${word} ${label}`);
    for (const { ports, cell } of cellsOfRow(compiled, image, row)) lines.push(`      ${ports}: ${cell}`);
  }
  return lines;
}

function rowsByClasses(compiled: CompiledPolicy, image: DirectionImage) {
  const names: string[][] = Array.from({ length: image.rowCount }, () => []);
  compiled.identityClasses.forEach(({ name }, position) => {
    if (name !== VACANT) names[image.rows[position] ?? 0]?.push(name);
  });
  return names
    .map((list, row) => ({ label: `[${list.sort(compareText).join('] [')}]`, row }))
    .sort((a, b) => compareText(a.label, b.label));
}

/** What the unnamed port class meets stands last, as `otherwise`. */
function cellsOfRow(compiled: CompiledPolicy, image: DirectionImage, row: number) {
  const ranges = new Map<string, IndexRange[]>();
  let otherwise: string | undefined;
  compiled.portClasses.forEach((c, position) => {
    const at = row * image.columnCount + (image.columns[position] ?? 0);
    const cell = image.cells[image.matrix[at] ?? 0];
    const text = cell === undefined ? '?' : cellText(cell);
    if (c.name === '') otherwise = text;
    ranges.set(text, [...(ranges.get(text) ?? []), ...c.ranges]);
  });
  return [...ranges]
    .map(([cell, own]) => ({ cell, isLast: cell === otherwise, ranges: mergeRanges(own) }))
    .sort((a, b) => Number(a.isLast) - Number(b.isLast) || (a.ranges[0]?.[0] ?? 0) - (b.ranges[0]?.[0] ?? 0))
    .map(({ cell, isLast, ranges: own }) => ({
      cell,
      ports: isLast ? 'otherwise' : own.map(rangeText).join(' '),
    }));
}
