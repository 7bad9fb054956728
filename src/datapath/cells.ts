/**
 * The cells of one direction, in one of two layouts. A *matrix* has them row by row. A large table is kept in
 * *blocks* of 16 columns: in it most rows differ from each other in a column or two, as ten thousand peers
 * with a port each of five hundred do, and blocks that are equal are kept once:
 *
 *   words   | start of each row's first block, second block, … (u32, counted from here) | block | block | …
 */
import { isRefusal, originOf } from '#model';
import type { Cell, DirectionImage } from './compiled.ts';
import { BLOCK_COLUMNS, CELL_LOG, MATCH, RSDIR_BLOCKS, VERDICT } from './layout.ts';

/** Cells from which on a table is kept in blocks: a matrix of them takes 2 MiB. */
export const BLOCKS_FROM = 1 << 18;

/** What a cell's place follows from. */
export interface CellLayout {
  readonly flags: number;
  readonly columnCount: number;
  /** Two halves a cell; of blocks the table before them too. */
  readonly cells: Uint32Array;
}

/** A compiled matrix in cells of the kernel. */
export interface CellTable {
  /** RSDIR_BLOCKS, or nothing. */
  readonly flags: number;
  readonly cells: Uint32Array;
  readonly origins: readonly number[];
}

/** Both halves of a cell's 64-bit word. */
export function cellWords(cell: Cell, origin: number): readonly [low: number, high: number] {
  const flags = MATCH[cell.match] | (cell.log ? CELL_LOG : 0);
  // Of a refusal the kernel need not know what would let it pass: the origin says so.
  const staged = cell.staged === undefined || isRefusal(cell.verdict) ? 0 : VERDICT[cell.staged.verdict];
  return [origin, ((VERDICT[cell.verdict] << 16) | (staged << 20) | (flags << 24)) >>> 0];
}

type Matrix = Pick<DirectionImage, 'cells' | 'matrix' | 'columnCount'>;

/** Encodes a matrix; `numberOf` gives the number of a set of rules. */
export function cellTable(
  image: Matrix,
  numberOf: (rules: readonly string[]) => number,
  blocksFrom = BLOCKS_FROM,
): CellTable {
  const low = new Uint32Array(image.cells.length);
  const high = new Uint32Array(image.cells.length);
  image.cells.forEach((cell, i) => {
    [low[i], high[i]] = cellWords(cell, numberOf(originOf(cell)));
  });
  const isLarge = image.matrix.length >= blocksFrom && image.matrix.length > 0;
  const cells = isLarge ? inBlocks(image, low, high) : inMatrix(image.matrix, low, high);
  return { flags: isLarge ? RSDIR_BLOCKS : 0, cells, origins: [...new Set(low)] };
}

function inMatrix(matrix: Matrix['matrix'], low: Uint32Array, high: Uint32Array): Uint32Array {
  const cells = new Uint32Array(matrix.length * 2);
  for (let i = 0; i < matrix.length; i++) {
    const at = matrix[i] as number;
    cells[2 * i] = low[at] as number;
    cells[2 * i + 1] = high[at] as number;
  }
  return cells;
}

function inBlocks({ matrix, columnCount }: Matrix, low: Uint32Array, high: Uint32Array): Uint32Array {
  const { of, first } = distinctBlocks(matrix, columnCount);
  const tableWords = Math.ceil(of.length / 2);
  const cells = new Uint32Array(2 * (tableWords + first.length * BLOCK_COLUMNS));
  for (let i = 0; i < of.length; i++) cells[i] = tableWords + (of[i] as number) * BLOCK_COLUMNS;
  first.forEach(([at, count], block) => {
    for (let c = 0; c < count; c++) {
      const to = 2 * (tableWords + block * BLOCK_COLUMNS + c);
      const cell = matrix[at + c] as number;
      cells[to] = low[cell] as number;
      cells[to + 1] = high[cell] as number;
    }
  });
  return cells;
}

/** Number of each row's blocks, one row after the other; of each number where a block of it begins, and its length. */
function distinctBlocks(matrix: Matrix['matrix'], columnCount: number) {
  const of: number[] = [];
  const first: (readonly [at: number, count: number])[] = [];
  const byHash = new Map<number, number[]>();
  for (let row = 0; row < matrix.length; row += columnCount)
    for (let column = 0; column < columnCount; column += BLOCK_COLUMNS) {
      const at = row + column;
      const count = Math.min(BLOCK_COLUMNS, columnCount - column);
      let hash = count;
      for (let c = 0; c < count; c++) hash = (Math.imul(hash, 31) + (matrix[at + c] as number)) | 0;
      const alike = byHash.get(hash) ?? [];
      if (alike.length === 0) byHash.set(hash, alike);
      let number = alike.find((n) => areEqual(matrix, first[n] as readonly [number, number], at, count));
      if (number === undefined) {
        number = first.push([at, count]) - 1;
        alike.push(number);
      }
      of.push(number);
    }
  return { of, first };
}

function areEqual(
  matrix: Matrix['matrix'],
  [at, length]: readonly [number, number],
  other: number,
  count: number,
): boolean {
  if (length !== count) return false;
  for (let c = 0; c < count; c++) if (matrix[at + c] !== matrix[other + c]) return false;
  return true;
}

const blocksOfRow = (columnCount: number): number => Math.ceil(columnCount / BLOCK_COLUMNS);

/** Where the two halves of a cell stand. */
export function cellIndex({ flags, columnCount, cells }: CellLayout, row: number, column: number): number {
  if ((flags & RSDIR_BLOCKS) === 0) return 2 * (row * columnCount + column);
  const start = cells[row * blocksOfRow(columnCount) + Math.floor(column / BLOCK_COLUMNS)] ?? 0;
  return 2 * (start + (column % BLOCK_COLUMNS));
}

/** Words of `rows` rows; of blocks their table has to be there, and the last may be anybody's. */
export function cellsLength({ flags, columnCount, cells }: CellLayout, rows: number): number {
  if ((flags & RSDIR_BLOCKS) === 0) return rows * columnCount;
  let end = 0;
  const starts = cells.subarray(0, rows * blocksOfRow(columnCount));
  for (const start of starts) end = Math.max(end, start + BLOCK_COLUMNS);
  return end;
}

/** Rows of a whole table; of one in blocks one more than there are, perhaps. */
export function rowsIn({ flags, columnCount, cells }: CellLayout): number {
  if (columnCount === 0) return 0;
  if ((flags & RSDIR_BLOCKS) === 0) return Math.floor(cells.length / 2 / columnCount);
  return Math.floor((2 * (cells[0] ?? 0)) / blocksOfRow(columnCount));
}

/** Origins that the cells name. */
export function originsIn(layout: CellLayout): Set<number> {
  const { flags, cells } = layout;
  const origins = new Set<number>();
  const first = (flags & RSDIR_BLOCKS) === 0 ? 0 : 2 * (cells[0] ?? 0);
  for (let i = first; i < cells.length; i += 2) origins.add(cells[i] as number);
  origins.delete(0);
  return origins;
}
