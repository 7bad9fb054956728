/**
 * Do a slot in memory and a compiled rule set give the same verdicts? Compared cell by cell over every pair
 * of an identity segment and a port segment, with each pair of rows looked at once. What compares equal
 * keeps its slot and its generation, so that no flow is judged again for a compile that changed nothing.
 */
import type { Segment } from './classes.ts';
import type { DirTable, DirView, SlotView } from './ruleset.ts';

/** Pairs of a number in use and a position. */
export type Pairs = readonly Pick<Segment<unknown>, 'from' | 'to'>[];

const UNKNOWN = 0;
const SAME = 1;
const DIFFERENT = 2;
const PAIRS_MOST = 1 << 20;

/** One direction of a slot held against one compiled direction. */
export class RowComparison {
  readonly #view: DirView;
  readonly #table: DirTable;
  readonly #columnPairs: readonly (readonly [before: number, after: number])[];
  /** What is known of each pair of rows, where there are not too many of them. */
  readonly #known: Uint8Array | undefined;
  readonly #rowFor = new Map<number, number | undefined>();

  constructor(view: DirView, table: DirTable, ports: Pairs) {
    this.#view = view;
    this.#table = table;
    const seen = new Map<number, readonly [number, number]>();
    for (const { from, to } of ports) {
      const pair = [view.columns[from] ?? 0, table.columns[to] as number] as const;
      seen.set(pair[0] * table.columnCount + pair[1], pair);
    }
    this.#columnPairs = [...seen.values()];
    const rows = view.columnCount === 0 ? 0 : view.cells.length / 2 / view.columnCount;
    const pairs = rows * table.rowCount;
    this.#known = pairs <= PAIRS_MOST ? new Uint8Array(pairs) : undefined;
  }

  /** The same verdicts in this row of memory and that compiled row. */
  same(before: number, after: number): boolean {
    const key = before * this.#table.rowCount + after;
    const known = this.#known === undefined ? UNKNOWN : (this.#known[key] as number);
    if (known !== UNKNOWN) return known === SAME;
    const result = this.#compare(before, after);
    if (this.#known !== undefined) this.#known[key] = result ? SAME : DIFFERENT;
    return result;
  }

  #compare(before: number, after: number): boolean {
    const { cells } = this.#view;
    const a = before * this.#view.columnCount;
    const b = after * this.#table.columnCount;
    return this.#columnPairs.every(([x, y]) => {
      const i = 2 * (a + x);
      const j = 2 * (b + y);
      return cells[i] === this.#table.cells[j] && cells[i + 1] === this.#table.cells[j + 1];
    });
  }

  /** All identity segments meet the same verdicts, and the direction has the same flags. */
  equal(identities: Pairs): boolean {
    const { rows } = this.#view;
    if (this.#view.flags !== this.#table.flags) return false;
    for (const { from, to } of identities)
      if (!this.same(rows[from] ?? 0, this.#table.rows[to] as number)) return false;
    return true;
  }

  /** A row of memory with the verdicts of a position; undefined when the slot has none. */
  rowFor(position: number): number | undefined {
    const wanted = this.#table.rows[position] as number;
    if (this.#rowFor.has(wanted)) return this.#rowFor.get(wanted);
    const row = [...new Set(this.#view.rows)].find((r) => this.same(r, wanted));
    this.#rowFor.set(wanted, row);
    return row;
  }
}

/** Both numbers have the same row in every one of these slots. */
export function alikeIdentities(a: number, b: number, slots: Iterable<SlotView>): boolean {
  for (const { dirs } of slots)
    for (const { rows } of dirs) if ((rows[a] ?? rows[0]) !== (rows[b] ?? rows[0])) return false;
  return true;
}

/** Both numbers have the same column in every one of these slots. */
export function alikePorts(a: number, b: number, slots: Iterable<SlotView>): boolean {
  for (const { dirs } of slots)
    for (const { columns } of dirs)
      if ((columns[a] ?? columns[0]) !== (columns[b] ?? columns[0])) return false;
  return true;
}
