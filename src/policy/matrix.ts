/**
 * Third stage, second half: a rule set's matrix. Classes that the same rules of this rule set mean share a
 * row (a column); a cell is decided once for each set of rules that meets in one; equal rows and columns
 * are merged at the end.
 */
import type { Direction, Identity } from '#model';
import type { Classes } from './classes.ts';
import type { Cell, DirectionImage, IdentityClass, PortClass, RuleSetImage } from './compiled.ts';
import { decide, type ResolvedRule } from './decide.ts';
import type { DirectionRules, RuleSet } from './subjects.ts';

/** Both axes. */
export interface Axes {
  readonly identities: Classes<IdentityClass>;
  readonly ports: Classes<PortClass>;
}

/** The matrices of one rule set. */
export function ruleSetImage(ruleSet: RuleSet, axes: Axes): RuleSetImage {
  const image = (direction: Direction) => directionImage(ruleSet.directions[direction], axes);
  return { key: ruleSet.key, directions: { ingress: image('ingress'), egress: image('egress') } };
}

function directionImage(direction: DirectionRules, axes: Axes): DirectionImage {
  const rows = group(direction.rules, axes.identities, (rule) => rule.peers);
  const columns = group(direction.rules, axes.ports, (rule) => rule.ports);
  const cells = new CellTable(direction);
  const matrix = rows.rules.map((row) => columns.rules.map((column) => cells.meeting(row, column)));
  return packed(direction.enforced, rows.of, columns.of, matrix, cells.cells);
}

/** Where each class stands, and the ascending rule numbers of each place. */
interface Grouping {
  readonly of: Uint16Array;
  readonly rules: readonly (readonly number[])[];
}

function group<C>(
  rules: readonly ResolvedRule[],
  axis: Classes<C>,
  listOf: (rule: ResolvedRule) => { readonly name: string; readonly wildcard: boolean },
): Grouping {
  const wildcards: number[] = [];
  const named: (number[] | undefined)[] = new Array(axis.classes.length);
  rules.forEach((rule, number) => {
    const list = listOf(rule);
    if (list.wildcard) wildcards.push(number);
    else for (const position of axis.ofList.get(list.name) ?? []) (named[position] ??= []).push(number);
  });
  const places = new Map<string, number>();
  const of = new Uint16Array(axis.classes.length);
  const merged: number[][] = [];
  for (let position = 0; position < of.length; position++) {
    const own = named[position] ?? [];
    const key = own.join();
    let place = places.get(key);
    if (place === undefined) {
      place = merged.length;
      places.set(key, place);
      merged.push([...own, ...wildcards].sort((a, b) => a - b));
    }
    of[position] = place;
  }
  return { of, rules: merged };
}

/** Decides each set of rules once. */
class CellTable {
  readonly cells: Cell[] = [];
  readonly #direction: DirectionRules;
  readonly #byRules = new Map<string, number>();
  readonly #byContent = new Map<string, number>();

  constructor(direction: DirectionRules) {
    this.#direction = direction;
  }

  /** Number of the cell where a row's rules and a column's rules meet. */
  meeting(row: readonly number[], column: readonly number[]): number {
    const both = intersect(row, column);
    const key = both.join();
    let number = this.#byRules.get(key);
    if (number === undefined) {
      const { rules, otherwise } = this.#direction;
      number = this.#intern(
        decide(
          both.map((i) => rules[i]).filter((rule) => rule !== undefined),
          otherwise,
        ),
      );
      this.#byRules.set(key, number);
    }
    return number;
  }

  #intern(cell: Cell): number {
    const content = cellText(cell);
    let number = this.#byContent.get(content);
    if (number === undefined) {
      number = this.cells.push(cell) - 1;
      this.#byContent.set(content, number);
    }
    return number;
  }
}

/** Canonical text of a cell; rule ids hold no space. */
export function cellText(cell: Cell): string {
  return [cell.verdict, cell.match, cell.log ? 'log' : '-', ...cell.origin].join(' ');
}

/** Elements of both ascending lists. */
function intersect(a: readonly number[], b: readonly number[]): number[] {
  const [small, large] = a.length <= b.length ? [a, b] : [b, a];
  const found: number[] = [];
  if (small.length * 8 < large.length) {
    for (const value of small) if (large[lowerBound(large, value)] === value) found.push(value);
    return found;
  }
  let j = 0;
  for (const value of small) {
    while (j < large.length && (large[j] ?? 0) < value) j++;
    if (large[j] === value) found.push(value);
  }
  return found;
}

function lowerBound(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Merges equal rows, then equal columns, and numbers cells as they first appear. */
function packed(
  enforced: boolean,
  rowOf: Uint16Array,
  columnOf: Uint16Array,
  matrix: readonly (readonly number[])[],
  cells: readonly Cell[],
): DirectionImage {
  const rows = distinct(matrix);
  const kept = rows.first.map((row) => matrix[row] ?? []);
  const columnCount = kept[0]?.length ?? 0;
  const transposed = Array.from({ length: columnCount }, (_, c) => kept.map((row) => row[c] ?? 0));
  const columns = distinct(transposed);
  const numbers = new Map<number, number>();
  const out = new Uint32Array(kept.length * columns.first.length);
  let at = 0;
  for (const row of kept) {
    for (const column of columns.first) {
      const cell = row[column] ?? 0;
      let number = numbers.get(cell);
      if (number === undefined) numbers.set(cell, (number = numbers.size));
      out[at++] = number;
    }
  }
  return {
    enforced,
    rows: rowOf.map((row) => rows.to[row] ?? 0),
    columns: columnOf.map((column) => columns.to[column] ?? 0),
    columnCount: columns.first.length,
    rowCount: kept.length,
    cells: [...numbers.keys()].map((cell) => cells[cell]).filter((cell) => cell !== undefined),
    matrix: out,
  };
}

/** `to`: old number → new; `first`: for each new number the first old one. */
function distinct(lines: readonly (readonly number[])[]): {
  readonly to: number[];
  readonly first: number[];
} {
  const known = new Map<string, number>();
  const first: number[] = [];
  const to = lines.map((line, old) => {
    const key = line.join();
    let number = known.get(key);
    if (number === undefined) {
      number = first.push(old) - 1;
      known.set(key, number);
    }
    return number;
  });
  return { to, first };
}

/** Position of the class of each identity; an identity that stands nowhere is in the class named ''. */
export function classOfIdentity(classes: readonly IdentityClass[]): ReadonlyMap<Identity, number> {
  const positions = new Map<Identity, number>();
  classes.forEach((c, position) => {
    for (const member of c.members) positions.set(member, position);
  });
  return positions;
}
