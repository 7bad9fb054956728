/**
 * Do a slot in memory and a compiled rule set give the same verdicts? Compared cell by cell over every pair
 * of an identity segment and a port segment, with each pair of rows looked at once. What compares equal
 * keeps its slot and its generation, so that no flow is judged again for a compile that changed nothing.
 */
import { cellIndex, rowsIn } from './cells.ts';
import type { Segment } from './classes.ts';
import type { DirTable, DirView, SlotView } from './ruleset.ts';

/** Pairs of a number in use and a position: two lists of equal length. */
export interface Pairs {
  readonly from: Uint32Array;
  readonly to: Uint32Array;
}

export function pairsOf(segments: readonly Pick<Segment<unknown>, 'from' | 'to'>[]): Pairs {
  const from = new Uint32Array(segments.length);
  const to = new Uint32Array(segments.length);
  segments.forEach((segment, i) => {
    from[i] = segment.from;
    to[i] = segment.to;
  });
  return { from, to };
}

const UNKNOWN = 0;
const SAME = 1;
const DIFFERENT = 2;
const PAIRS_MOST = 1 << 20;

/** One direction of a slot held against one compiled direction. */
export class RowComparison {
  readonly #view: DirView;
  readonly #table: DirTable;
  /** Rows and columns have the same numbers in both: every row of the table has one in memory. */
  readonly isOwn: boolean;
  /** Pairs of columns that meet, each as one number. */
  readonly #met: Uint32Array;
  /** The same, each once; made when they are asked for. */
  #columns: ReadonlySet<number> | undefined;
  /** What is known of each pair of rows, where there are not too many of them. */
  #known: Uint8Array | undefined;
  readonly #rowFor = new Map<number, number | undefined>();

  /**
   * `isOwn`: the slot was made of this very table, so that a row or column has the same number in both; then
   * most rule sets are told to be unchanged by comparing those numbers alone.
   */
  constructor(view: DirView, table: DirTable, ports: Pairs, isOwn: boolean) {
    this.#view = view;
    this.#table = table;
    this.#met = this.#columnPairs(ports);
    this.isOwn = isOwn && this.#met.every((pair) => this.#isDiagonal(pair));
  }

  #columnPairs({ from, to }: Pairs): Uint32Array {
    const { columns } = this.#view;
    const { columns: wanted, columnCount } = this.#table;
    const pairs = new Uint32Array(from.length);
    for (let i = 0; i < from.length; i++)
      pairs[i] = (columns[from[i] as number] ?? 0) * columnCount + (wanted[to[i] as number] ?? 0);
    return pairs;
  }

  /** The same column in both. */
  #isDiagonal(pair: number): boolean {
    const { columnCount } = this.#table;
    return Math.floor(pair / columnCount) === pair % columnCount;
  }

  /** Whether in these port segments no other columns meet than those compared. */
  hasColumns(ports: Pairs): boolean {
    if (ports.from.length === 0) return true;
    const pairs = this.#columnPairs(ports);
    if (this.isOwn) return pairs.every((pair) => this.#isDiagonal(pair));
    this.#columns ??= new Set(this.#met);
    return pairs.every((pair) => this.#columns?.has(pair));
  }

  /** The same verdicts in this row of memory and that compiled row. */
  same(before: number, after: number): boolean {
    if (this.isOwn && before === after) return true;
    const pairs = rowsIn(this.#view) * this.#table.rowCount;
    if (pairs > PAIRS_MOST) return this.#compare(before, after);
    this.#known ??= new Uint8Array(pairs);
    const key = before * this.#table.rowCount + after;
    if (this.#known[key] === UNKNOWN) this.#known[key] = this.#compare(before, after) ? SAME : DIFFERENT;
    return this.#known[key] === SAME;
  }

  #compare(before: number, after: number): boolean {
    const [view, table] = [this.#view, this.#table];
    this.#columns ??= new Set(this.#met);
    for (const pair of this.#columns) {
      const i = cellIndex(view, before, Math.floor(pair / table.columnCount));
      const j = cellIndex(table, after, pair % table.columnCount);
      if (view.cells[i] !== table.cells[j] || view.cells[i + 1] !== table.cells[j + 1]) return false;
    }
    return true;
  }

  /** Whether the other comparison of this slot, of a table with the same rows, tells of all that have not moved. */
  isLike(other: RowComparison): boolean {
    const isSame = other.#table.rows === this.#table.rows && other.#table.cells === this.#table.cells;
    return isSame && this.isOwn && other.isOwn;
  }

  /** All these identity segments meet the same verdicts, and the direction has the same flags. */
  equal({ from, to }: Pairs): boolean {
    const { rows } = this.#view;
    const wanted = this.#table.rows;
    if (this.#view.flags !== this.#table.flags) return false;
    for (let i = 0; i < from.length; i++) {
      const before = rows[from[i] as number] ?? 0;
      const after = wanted[to[i] as number] ?? 0;
      if (!(this.isOwn && before === after) && !this.same(before, after)) return false;
    }
    return true;
  }

  /** A row of memory with the verdicts of a position; undefined when the slot has none. */
  rowFor(position: number): number | undefined {
    const wanted = this.#table.rows[position] ?? 0;
    if (this.isOwn) return wanted;
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
