/**
 * Third stage, second half: a rule set's matrix. Classes that the same rules of this rule set mean share a
 * row (a column); a cell is decided once for each set of rules that meets in one; equal rows and columns
 * are merged at the end.
 */
import { MerlonError } from '#kit/errors';
import { compareText } from '#kit/order';
import { type Direction, type Identity, isRefusal } from '#model';
import { BitSets, Meetings } from './bitset.ts';
import type { Cell, DirectionImage, IdentityClass, PortClass } from './compiled.ts';
import { cellOf, type ResolvedRule, segmentsOf } from './decide.ts';
import type { Classes } from './groups.ts';
import { type DirectionRules, ORIGIN_LOCALHOST, type RuleSet } from './ruleset.ts';

/** Most places where rows meet columns before equal ones are merged: 64 MiB while compiling. */
const MAX_CELLS = 1 << 23;

/** Both axes. */
export interface Axes {
  readonly identities: Classes<IdentityClass>;
  readonly ports: Classes<PortClass>;
}

/** A table without the places of classes. */
interface Body {
  /** Row and column before merging → after. */
  readonly rowTo: readonly number[];
  readonly columnTo: readonly number[];
  readonly table: Pick<DirectionImage, 'cells' | 'matrix' | 'rowCount' | 'columnCount'>;
}

/** One direction of a rule set with what it was made of, to be taken over where that is the same. */
interface MadeDirection {
  readonly image: DirectionImage;
  readonly rows: Grouping;
  readonly columns: Grouping;
  readonly body: Body;
}

export type MadeDirections = Readonly<Record<Direction, MadeDirection>>;

/** On which axes classes of a rule set's lists have other places than before. */
export type Moved = Readonly<Record<keyof Axes, boolean>>;

/** The matrices of one rule set; `old` is what it had before, where it had. Throws `POLICY_NO_ROOM`. */
export function madeDirections(
  { directions }: RuleSet,
  axes: Axes,
  old: MadeDirections | undefined,
  moved: Moved,
): MadeDirections {
  return {
    ingress: madeDirection(directions.ingress, axes, old?.ingress, moved),
    egress: madeDirection(directions.egress, axes, old?.egress, moved),
  };
}

function madeDirection(
  rules: DirectionRules,
  axes: Axes,
  old: MadeDirection | undefined,
  moved: Moved,
): MadeDirection {
  const rows =
    old === undefined || moved.identities ? group(rules.rules, axes.identities, (r) => r.peers) : old.rows;
  const columns =
    old === undefined || moved.ports ? group(rules.rules, axes.ports, (r) => r.ports) : old.columns;
  const isSame = old?.rows.sets.equals(rows.sets) && old.columns.sets.equals(columns.sets);
  const body = old !== undefined && isSame ? old.body : bodyOf(rules, rows.sets, columns.sets);
  const isStaged = rules.enforced && rules.live?.enforced === false;
  const image = {
    enforced: rules.live?.enforced ?? rules.enforced,
    ...(isStaged ? ({ staged: true } as const) : {}),
    rows: body === old?.body && rows === old.rows ? old.image.rows : placed(rows, body.rowTo),
    columns:
      body === old?.body && columns === old.columns ? old.image.columns : placed(columns, body.columnTo),
    ...body.table,
  };
  return { image, rows, columns, body };
}

function bodyOf(direction: DirectionRules, rowSets: BitSets, columnSets: BitSets): Body {
  if (rowSets.count * columnSets.count > MAX_CELLS) {
    const size = `${rowSets.count} kinds of peers by ${columnSets.count} kinds of ports`;
    throw new MerlonError(
      'POLICY_NO_ROOM',
      `the rules of one subject tell ${size} apart, too many for a table`,
    );
  }
  const all = decided(direction, rowSets, columnSets);
  const { live, rules } = direction;
  if (live === undefined) return packed(all.matrix, all.cells);
  const without = live.rules.map((rule) => rules.indexOf(rule));
  const only = decided(live, rowSets.only(without), columnSets.only(without));
  const both = folded(only, all);
  return packed(both.matrix, both.cells);
}

/** Cells by number, before equal rows and columns are merged. */
interface Decided {
  readonly matrix: readonly Uint32Array[];
  readonly cells: readonly Cell[];
}

function decided(
  { rules, otherwise }: Omit<DirectionRules, 'live'>,
  rowSets: BitSets,
  columnSets: BitSets,
): Decided {
  const waiver = waiverOf(rules);
  const meetings = new Meetings(segmentsOf(rules), waiver);
  const matrix = Array.from({ length: rowSets.count }, (_, row) => {
    const line = new Uint32Array(columnSets.count);
    for (let column = 0; column < line.length; column++) {
      line[column] = meetings.part(rowSets, row, columnSets, column);
    }
    return line;
  });
  const isOpen = otherwise.verdict === 'allow';
  const cells = meetings.parts.map((part) => {
    const isWaived = part.length > 1 && part.at(-1) === waiver;
    const deciding = (isWaived ? part.slice(0, -1) : part).map((i) => rules[i]);
    return cellOf(
      deciding.filter((rule) => rule !== undefined),
      otherwise,
      isOpen,
      isWaived,
    );
  });
  return { matrix: waiver < rules.length ? merged(matrix, cells) : matrix, cells };
}

/** What is enforced, and beside it what staged policies would make of it where that is something else. */
function folded(live: Decided, all: Decided): Decided {
  const cells: Cell[] = [];
  const numbers = new Map<number, number>();
  const matrix = live.matrix.map((line, row) =>
    line.map((number, column) => {
      const other = all.matrix[row]?.[column] ?? 0;
      const key = number * all.cells.length + other;
      const known = numbers.get(key);
      if (known !== undefined) return known;
      const cell = stagedCell(live.cells[number] as Cell, all.cells[other] as Cell);
      numbers.set(key, cells.length);
      return cells.push(cell) - 1;
    }),
  );
  return { matrix: merged(matrix, cells), cells };
}

function stagedCell(live: Cell, { verdict, origin }: Cell): Cell {
  const isSame = live.verdict === verdict || (isRefusal(live.verdict) && isRefusal(verdict));
  return isSame ? live : { ...live, staged: { verdict, origin } };
}

/**
 * Number of the last rule, that lets the local host come to pods, where it says more than that: it takes
 * authentication and restrictions at layer 7 from what others allow (policy.md §8.4). Else no rule's.
 */
function waiverOf(rules: DirectionRules['rules']): number {
  const isNeeded = rules.some((rule) => rule.proxy !== undefined || rule.auth !== undefined);
  return isNeeded && rules.at(-1)?.id === ORIGIN_LOCALHOST ? rules.length - 1 : rules.length;
}

/** The rules of each place, and where classes stand; those not named stand in place 0, with wildcards only. */
interface Grouping {
  readonly sets: BitSets;
  readonly named: readonly { readonly position: number; readonly place: number }[];
}

function group<C>(
  rules: readonly ResolvedRule[],
  axis: Classes<C>,
  listOf: (rule: ResolvedRule) => { readonly name: string; readonly wildcard: boolean },
): Grouping {
  const wildcards: number[] = [];
  const own = new Map<number, number[]>();
  rules.forEach((rule, number) => {
    const list = listOf(rule);
    if (list.wildcard) wildcards.push(number);
    for (const position of axis.ofList.get(list.name) ?? []) {
      const numbers = own.get(position);
      if (numbers === undefined) own.set(position, [number]);
      else numbers.push(number);
    }
  });
  const byKey = new Map<string, readonly number[]>([['', []]]);
  const keyed = [...own].map(([position, numbers]) => {
    const key = numbers.join();
    byKey.set(key, numbers);
    return { position, key };
  });
  // In the order of the rules, not of the classes: tables stay as they are when classes change their places.
  const keys = [...byKey.keys()].sort(compareText);
  const places = new Map(keys.map((key, place) => [key, place]));
  const named = keyed.map(({ position, key }) => ({ position, place: places.get(key) ?? 0 }));
  const numbersOf = keys.map((key) => byKey.get(key) ?? []);
  const sets = new BitSets(numbersOf.length, rules.length);
  numbersOf.forEach((numbers, place) => {
    for (const number of numbers) sets.add(place, number);
    for (const number of wildcards) sets.add(place, number);
  });
  return { sets, named };
}

/** Equal cells under one number: with a waiver or staged policies, different parts may come to the same. */
function merged(matrix: readonly Uint32Array[], cells: readonly Cell[]): readonly Uint32Array[] {
  const firstOf = new Map<string, number>();
  cells.forEach((cell, number) => {
    const text = cellText(cell);
    if (!firstOf.has(text)) firstOf.set(text, number);
  });
  const to = cells.map((cell) => firstOf.get(cellText(cell)) ?? 0);
  return matrix.map((line) => line.map((number) => to[number] ?? 0));
}

/** Where classes stand after merging, up to the last that is named; the others in place 0, which stays 0. */
function placed({ named }: Grouping, to: readonly number[]): Uint16Array {
  const places = new Uint16Array(named.reduce((end, { position }) => Math.max(end, position + 1), 0));
  for (const { position, place } of named) places[position] = to[place] ?? 0;
  return places;
}

/** Canonical text of a cell; rule ids hold no space. */
export function cellText(cell: Cell): string {
  const more = [
    ...(cell.proxy === undefined ? [] : [`proxy=${cell.proxy.id}`]),
    ...(cell.auth === undefined ? [] : [`auth=${cell.auth}`]),
  ];
  const staged = cell.staged === undefined ? [] : ['| staged', cell.staged.verdict, ...cell.staged.origin];
  return [cell.verdict, cell.match, cell.log ? 'log' : '-', ...more, ...cell.origin, ...staged].join(' ');
}

/** Merges equal rows, then equal columns, and numbers cells as they first appear. */
function packed(matrix: readonly Uint32Array[], cells: readonly Cell[]): Body {
  const rows = distinct(matrix);
  const kept = rows.first.map((row) => matrix[row] ?? new Uint32Array());
  const width = kept[0]?.length ?? 0;
  const transposed = Array.from({ length: width }, (_, c) => Uint32Array.from(kept, (row) => row[c] ?? 0));
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
  const table = {
    columnCount: columns.first.length,
    rowCount: kept.length,
    cells: [...numbers.keys()].map((cell) => cells[cell]).filter((cell) => cell !== undefined),
    matrix: out,
  };
  return { rowTo: rows.to, columnTo: columns.to, table };
}

/** `to`: old number → new; `first`: for each new number the first old one. */
function distinct(lines: readonly Uint32Array[]): {
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
