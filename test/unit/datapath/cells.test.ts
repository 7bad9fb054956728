import test from 'ava';
import fc from 'fast-check';
import type { Cell } from '#policy';
import {
  cellIndex,
  type CellLayout,
  cellsLength,
  cellTable,
  originsIn,
  rowsIn,
} from '../../../src/datapath/cells.ts';

const CELLS: readonly Cell[] = ['allow', 'deny', 'default-deny', 'allow'].map((verdict, i) => ({
  verdict: verdict as Cell['verdict'],
  origin: [`r${i}`],
  match: 'all',
  log: i === 3,
}));
const originOf = ([rule]: readonly string[]): number => 2 + Number(rule?.slice(1));

interface Table {
  readonly rowCount: number;
  readonly columnCount: number;
  readonly matrix: readonly number[];
}

function layoutOf({ columnCount, matrix }: Table, blocksFrom: number): CellLayout {
  const { flags, cells } = cellTable({ cells: CELLS, matrix, columnCount }, originOf, blocksFrom);
  return { flags, columnCount, cells };
}

const table: fc.Arbitrary<Table> = fc
  .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 70 }), fc.infiniteStream(fc.nat(3)))
  .map(([rowCount, columnCount, stream]) => ({
    rowCount,
    columnCount,
    matrix: [...stream.take(rowCount * columnCount)],
  }));

test('cells – in blocks every row meets in every column what it meets in the matrix', (t) => {
  fc.assert(
    fc.property(table, (one) => {
      const flat = layoutOf(one, Infinity);
      const blocks = layoutOf(one, 0);
      t.not(flat.flags, blocks.flags);
      for (let row = 0; row < one.rowCount; row++)
        for (let column = 0; column < one.columnCount; column++) {
          const [i, j] = [cellIndex(flat, row, column), cellIndex(blocks, row, column)];
          t.deepEqual([blocks.cells[j], blocks.cells[j + 1]], [flat.cells[i], flat.cells[i + 1]]);
        }
      t.deepEqual(originsIn(blocks), originsIn(flat));
      for (const layout of [flat, blocks]) {
        t.is(cellsLength(layout, one.rowCount), layout.cells.length / 2);
        t.true([one.rowCount, one.rowCount + 1].includes(rowsIn(layout)));
      }
    }),
    { numRuns: 60 },
  );
});

test('cells – ten thousand rows that differ in a column each take a fifteenth of their matrix', (t) => {
  const [rowCount, columnCount] = [10_000, 501];
  const matrix = new Uint32Array(rowCount * columnCount).fill(2);
  const cells = Array.from(
    { length: rowCount },
    (_, i): Cell => ({ ...(CELLS[0] as Cell), origin: [`r${i}`] }),
  );
  for (let row = 0; row < rowCount; row++) matrix[row * columnCount + 1 + (row % 500)] = row;
  const { cells: words } = cellTable({ cells, matrix, columnCount }, originOf);
  t.true(words.length * 15 < matrix.length * 2, `${words.length * 4} bytes`);
});

test('cells – a small table is a matrix, and so is one without columns', (t) => {
  const small = { rowCount: 2, columnCount: 3, matrix: [0, 1, 2, 2, 1, 0] };
  const { flags, cells } = cellTable({ cells: CELLS, ...small }, originOf);
  t.is(flags, 0);
  t.is(cells.length, 12);
  t.is(cellTable({ cells: CELLS, matrix: [], columnCount: 0 }, originOf, 0).flags, 0);
});
