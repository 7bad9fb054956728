/**
 * Encoded matrices by the compiler's own: it hands in the same matrix again while a rule set says the same,
 * and encoding a thousand of them anew would be most of the price of a change.
 */
import type { DirectionImage } from './compiled.ts';
import type { Origins } from './origins.ts';
import { BLOCKS_FROM, cellTable, type CellTable } from './cells.ts';

interface Entry {
  readonly table: CellTable;
  readonly cells: DirectionImage['cells'];
  /** Of the origins' numbers: another count means that some have another meaning. */
  readonly reuses: number;
}

export class CellCache {
  readonly #entries = new WeakMap<DirectionImage['matrix'], Entry>();
  readonly #origins: Origins;
  readonly #reused: (id: number) => void;

  readonly #blocksFrom: number;

  /** `reused` is told of each number that gets another meaning; tables of `blocksFrom` cells are kept in blocks. */
  constructor(origins: Origins, reused: (id: number) => void, blocksFrom = BLOCKS_FROM) {
    this.#origins = origins;
    this.#reused = reused;
    this.#blocksFrom = blocksFrom;
  }

  /** `hold` is told of each origin as soon as it is named, lest the next one takes its number. */
  encode(image: DirectionImage, hold: (id: number) => void): CellTable {
    const { matrix, cells } = image;
    const known = this.#entries.get(matrix);
    if (known?.cells === cells && known.reuses === this.#origins.reuses) {
      for (const id of known.table.origins) hold(id);
      return known.table;
    }
    const originOf = (rules: readonly string[]) => {
      const id = this.#origins.idOf(rules, this.#reused);
      hold(id);
      return id;
    };
    const table = cellTable(image, originOf, this.#blocksFrom);
    this.#entries.set(matrix, { table, cells, reuses: this.#origins.reuses });
    return table;
  }
}
