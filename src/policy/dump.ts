/**
 * Canonical text of compiled policy: every number replaced by what it stands for, everything sorted. Two
 * compilations of the same rows, in any order and with any numbering, give the same bytes.
 */
import type { LabelSet } from '#kit/labels';
import type { Direction, Identity } from '#model';
import { rangeText } from './classes.ts';
import type { CompiledPolicy, DirectionImage, RuleSetImage } from './compiled.ts';
import { cellText } from './matrix.ts';
import { compareText } from './order.ts';
import { PORT_CLASS_ENTRIES } from './port-index.ts';

/** The dump; `labelsOf` tells what an identity stands for. */
export function canonicalDump(
  compiled: CompiledPolicy,
  labelsOf: (identity: Identity) => LabelSet | undefined,
): string {
  const lines: string[] = ['identity classes'];
  const byName = [...compiled.identityClasses].sort((a, b) => compareText(a.name, b.name));
  for (const { name, members } of byName) {
    lines.push(`  [${name}]`);
    const texts = members.map((member) => labelsOf(member)?.key ?? `identity ${member}`).sort(compareText);
    for (const text of texts) lines.push(`    ${text}`);
  }
  lines.push('port classes');
  for (const { name, ranges } of [...compiled.portClasses].sort((a, b) => compareText(a.name, b.name))) {
    lines.push(`  [${name}] ${ranges.map(rangeLabel).join(' ')}`);
  }
  lines.push('host', ...ruleSetLines(compiled, compiled.host));
  for (const { image, endpoints } of used(compiled)) {
    lines.push(`endpoints ${endpoints.join(' ')}`, ...ruleSetLines(compiled, image));
  }
  return `${lines.join('\n')}\n`;
}

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

/** A line a row and column that differ, with the classes that stand there. */
function directionLines(compiled: CompiledPolicy, direction: Direction, image: DirectionImage): string[] {
  if (!image.enforced) return [`  ${direction} open`];
  const rows = namesByPlace(compiled.identityClasses, image.rows, image.rowCount);
  const columns = namesByPlace(compiled.portClasses, image.columns, image.columnCount);
  const word = direction === 'ingress' ? 'from' : 'to';
  const lines = [`  ${direction} enforced`];
  for (const { label: row, place: r } of rows) {
    lines.push(`    ${word} ${row}`);
    for (const { label: column, place: c } of columns) {
      const cell = image.cells[image.matrix[r * image.columnCount + c] ?? 0];
      lines.push(`      ${column} ${cell === undefined ? '?' : cellText(cell)}`);
    }
  }
  return lines;
}

/** Rows or columns in the order of the classes that stand there. */

function namesByPlace(
  classes: readonly { readonly name: string }[],
  places: ArrayLike<number>,
  count: number,
): { readonly label: string; readonly place: number }[] {
  const names: string[][] = Array.from({ length: count }, () => []);
  classes.forEach(({ name }, position) => {
    names[places[position] ?? 0]?.push(name);
  });
  return names
    .map((list, place) => ({ label: `[${list.sort(compareText).join('] [')}]`, place }))
    .sort((a, b) => compareText(a.label, b.label));
}
