/**
 * Writes hand-made rules as the matrices that the datapath reads. Numbers of classes are given in order of
 * first use; nothing is freed, the arena is large enough for a test file.
 */
import * as wire from '#wire/bpf';
import { lineAt, type Rules, type Slot } from './world.ts';

export const ARENA_WORDS = 1 << 17;

export class PolicyTables {
  readonly #view: (name: string, length: number) => DataView;
  #arenaNext = 0;
  readonly #classes = new Map<number, number>();
  readonly #ports = new Map<number, number>();

  /** `view` maps an array of at least so many bytes. */
  constructor(view: (name: string, length: number) => DataView) {
    this.#view = view;
  }

  /** Class of an identity, column of a port: numbers are given in order of first use. */
  #class(identity: number): number {
    let number = this.#classes.get(identity);
    if (number === undefined) {
      number = this.#classes.size + 1;
      this.#classes.set(identity, number);
      const page = 1 + ((identity >> wire.IDENTITY_PAGE_BITS) % 60);
      this.#packed('identity_page', wire.IDENTITY_PAGES_TOP * 2, identity >> wire.IDENTITY_PAGE_BITS, page);
      const low = identity & ((1 << wire.IDENTITY_PAGE_BITS) - 1);
      this.#packed(
        'identity_class',
        (64 << wire.IDENTITY_PAGE_BITS) * 2,
        (page << wire.IDENTITY_PAGE_BITS) | low,
        number,
      );
    }
    return number;
  }

  #port(index: number): number {
    let number = this.#ports.get(index);
    if (number === undefined) {
      number = this.#ports.size + 1;
      this.#ports.set(index, number);
      this.#packed('port_class', wire.PORT_CLASS_ENTRIES * 2, index, number);
    }
    return number;
  }

  #packed(map: string, length: number, index: number, value: number): void {
    this.#view(map, length).setUint16(index * 2, value, true);
  }

  #allocate(words: number): number {
    const at = this.#arenaNext;
    this.#arenaNext += words;
    return at;
  }

  /** Writes one direction's matrix into the arena. */
  #direction(view: DataView, at: number, rules: Rules | undefined): void {
    for (let i = 0; i < wire.RULESET_DIR_SIZE; i++) view.setUint8(at + i, 0);
    if (rules === undefined) return;
    const arena = this.#view('arena', ARENA_WORDS * 8);
    for (const { identity, port } of rules.lines) {
      if (identity !== undefined) this.#class(identity);
      if (port !== undefined) this.#port(port);
    }
    const rows = this.#classes.size + 1;
    const columns = this.#ports.size + 1;
    const rowsAt = this.#allocate(Math.ceil(rows / 4));
    const columnsAt = this.#allocate(Math.ceil(columns / 4));
    const cellsAt = this.#allocate(rows * columns);
    const place = this.#places(arena, cellsAt, rows, columns, rules.flags ?? 0);
    for (let row = 0; row < rows; row++) arena.setUint16(rowsAt * 8 + row * 2, row, true);
    for (let column = 0; column < columns; column++)
      arena.setUint16(columnsAt * 8 + column * 2, column, true);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const line = lineAt(
          rules,
          (identity) => this.#class(identity) === row,
          (port) => this.#port(port) === column,
        );
        wire.writePolicyCell(arena, place(row, column) * 8, {
          origin: line?.origin ?? 0,
          rs_port: 0,
          verdict:
            wire.VERDICT[line?.verdict ?? 'DEFAULT_DENY'] | (wire.VERDICT[line?.staged ?? 'NONE'] << 4),
          flags: line?.flags ?? wire.POLICY_MATCH.NONE,
        });
      }
    wire.writeRulesetDir(view, at, {
      rows: rowsAt,
      columns: columnsAt,
      cells: cellsAt,
      n_columns: columns,
      flags: (rules.isStaged === true ? wire.RSDIR_STAGED : wire.RSDIR_ENFORCED) | (rules.flags ?? 0),
    });
  }

  /** Where cells stand: row by row, or (RSDIR_BLOCKS) in blocks, of which each row has its own, last row first. */
  #places(
    arena: DataView,
    cellsAt: number,
    rows: number,
    columns: number,
    flags: number,
  ): (row: number, column: number) => number {
    if ((flags & wire.RSDIR_BLOCKS) === 0) return (row, column) => cellsAt + row * columns + column;
    const blocks = Math.ceil(columns / wire.BLOCK_COLUMNS);
    const table = Math.ceil((rows * blocks) / 2);
    const start = (block: number) => table + (rows * blocks - 1 - block) * wire.BLOCK_COLUMNS;
    this.#allocate(table + rows * blocks * wire.BLOCK_COLUMNS);
    for (let block = 0; block < rows * blocks; block++)
      arena.setUint32(cellsAt * 8 + 4 * block, start(block), true);
    return (row, column) =>
      cellsAt + start(row * blocks + Math.floor(column / wire.BLOCK_COLUMNS)) + (column % wire.BLOCK_COLUMNS);
  }

  /** Fills a slot of a rule set: 0 is the host's. */
  setSlot(ruleset: number, index: number, slot: Slot): void {
    const view = this.#view('rulesets', 64 * wire.RULESET_SIZE);
    const at = ruleset * wire.RULESET_SIZE + wire.RULESET.slot + index * wire.RULESET_SLOT_SIZE;
    this.#direction(
      view,
      at + wire.RULESET_SLOT.dir + wire.DIRECTION.EGRESS * wire.RULESET_DIR_SIZE,
      slot.egress,
    );
    this.#direction(
      view,
      at + wire.RULESET_SLOT.dir + wire.DIRECTION.INGRESS * wire.RULESET_DIR_SIZE,
      slot.ingress,
    );
    view.setUint32(at + wire.RULESET_SLOT.generation, slot.generation, true);
    view.setUint16(at + wire.RULESET_SLOT.n_classes, this.#classes.size + 1, true);
    view.setUint16(at + wire.RULESET_SLOT.n_port_classes, this.#ports.size + 1, true);
  }
}
