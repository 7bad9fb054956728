/**
 * Bytes of a slot: rows, columns and cells of both directions in one stretch of the arena, and the header
 * that says where they are. An image has offsets relative to its own start, so that it is a file as it is;
 * placing one adds the stretch's offset to three numbers a direction and changes nothing else.
 *
 *   words   | egress rows | columns | cells | ingress rows | columns | cells |
 *   header  | generation, lengths | offsets of egress | offsets of ingress |
 */
import type { Direction } from '#model';
import { type CellLayout, type CellTable, cellsLength } from './cells.ts';
import type { DirectionImage } from './compiled.ts';
import { RSDIR_AUDIT, RSDIR_ENFORCED, RSDIR_STAGED, SLOT_WORDS } from './layout.ts';
import { slotHeaderWord, type PolicyMemory } from './memory.ts';
import type { Span } from './arena.ts';

/** In the order of the header (`enum direction`). */
export const DIRECTIONS: readonly Direction[] = ['egress', 'ingress'];

/** One direction in the kernel's cells, still by the compiler's positions. */
export interface DirTable extends CellLayout {
  /** Row of each identity class, column of each port class; 0 beyond the end. */
  readonly rows: ArrayLike<number>;
  readonly columns: ArrayLike<number>;
  readonly rowCount: number;
}

/** A slot in mapped memory: what a packet would read. */
export interface SlotView {
  readonly ruleset: number;
  readonly slot: number;
  readonly generation: number;
  readonly span: Span;
  readonly classCapacity: number;
  readonly portCapacity: number;
  readonly dirs: readonly [DirView, DirView];
}

export interface DirView extends CellLayout {
  readonly rows: Uint16Array;
  readonly columns: Uint16Array;
}

/** A slot as a file: header with offsets relative to `words`, and the words. */
export interface SlotImage {
  readonly header: Uint32Array;
  readonly words: Uint32Array;
}

/** A compiled direction around its encoded matrix. */
export function dirTable(image: DirectionImage, { flags, cells }: CellTable): DirTable {
  const { enforced, audit, staged, rows, columns, columnCount, rowCount } = image;
  const own =
    (enforced ? RSDIR_ENFORCED : 0) |
    (audit === true ? RSDIR_AUDIT : 0) |
    (staged === true ? RSDIR_STAGED : 0);
  return { flags: flags | own, rows, columns, columnCount, rowCount, cells };
}

/** How long the tables of a slot are and which position stands behind each number. */
export interface SlotShape {
  readonly generation: number;
  readonly classCapacity: number;
  readonly portCapacity: number;
  /** Position in the compiled policy of each identity class and port class number. */
  readonly classPosition: ArrayLike<number>;
  readonly portPosition: ArrayLike<number>;
}

/** Words that a slot of this shape takes. */
export function slotWords(shape: SlotShape, dirs: readonly DirTable[]): number {
  const lists = quads(shape.classCapacity) + quads(shape.portCapacity);
  return dirs.reduce((sum, dir) => sum + lists + dir.cells.length / 2, 0);
}

export function encodeSlot(shape: SlotShape, dirs: readonly [DirTable, DirTable]): SlotImage {
  const words = new Uint32Array(slotWords(shape, dirs) * 2);
  const halves = new Uint16Array(words.buffer);
  const header = new Uint32Array(SLOT_WORDS * 2);
  header[0] = shape.generation;
  header[1] = (shape.classCapacity | (shape.portCapacity << 16)) >>> 0;
  const unknown = shape.classPosition[0] ?? 0;
  const other = shape.portPosition[0] ?? 0;
  let at = 0;
  dirs.forEach((dir, d) => {
    const rows = at;
    const columns = rows + quads(shape.classCapacity);
    const cells = columns + quads(shape.portCapacity);
    for (let k = 0; k < shape.classCapacity; k++)
      halves[rows * 4 + k] = dir.rows[shape.classPosition[k] ?? unknown] ?? 0;
    for (let p = 0; p < shape.portCapacity; p++)
      halves[columns * 4 + p] = dir.columns[shape.portPosition[p] ?? other] ?? 0;
    words.set(dir.cells, cells * 2);
    header.set([rows, columns, cells, dir.columnCount | (dir.flags << 16)], 2 + 4 * d);
    at = cells + dir.cells.length / 2;
  });
  return { header, words };
}

/** The image's header as it stands in memory when its words stand at `offset`. */
function placedHeader(image: SlotImage, offset: number): Uint32Array {
  const header = image.header.slice();
  for (const at of [2, 3, 4, 6, 7, 8]) header[at] = (header[at] as number) + offset;
  return header;
}

/** Copies an image to where no control word leads. */
export function placeSlot(
  mem: PolicyMemory,
  ruleset: number,
  slot: number,
  image: SlotImage,
  span: Span,
): void {
  mem.fill(mem.arena.u32, span.offset * 2, image.words);
  mem.fill(mem.rulesets.u32, slotHeaderWord(ruleset, slot) * 2, placedHeader(image, span.offset));
}

/** A slot's header as it stands in memory. */
export function headerOf(mem: PolicyMemory, ruleset: number, slot: number): Uint32Array {
  const at = slotHeaderWord(ruleset, slot) * 2;
  return mem.rulesets.u32.slice(at, at + SLOT_WORDS * 2);
}

/** True when memory holds exactly the image. */
export function slotMatches(
  mem: PolicyMemory,
  ruleset: number,
  slot: number,
  image: SlotImage,
  span: Span,
): boolean {
  const header = slotHeaderWord(ruleset, slot) * 2;
  const same = (a: Uint32Array, b: Uint32Array) =>
    a.length === b.length && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
  return (
    same(mem.rulesets.u32.subarray(header, header + SLOT_WORDS * 2), placedHeader(image, span.offset)) &&
    same(mem.arena.u32.subarray(span.offset * 2, span.offset * 2 + image.words.length), image.words)
  );
}

/**
 * The slot as it stands in memory; undefined when it is empty or its numbers lead outside the arena. `built`
 * is where it was built; without it, the last direction is taken to end with the last row in use.
 */
export function viewSlot(
  mem: PolicyMemory,
  ruleset: number,
  slot: number,
  built?: { readonly span: Span; readonly words: number },
): SlotView | undefined {
  const header = slotHeaderWord(ruleset, slot) * 2;
  const word = (i: number) => mem.rulesets.u32[header + i] as number;
  const generation = word(0);
  if (generation === 0) return undefined;
  const classCapacity = word(1) & 0xffff;
  const portCapacity = word(1) >>> 16;
  const end = mem.arena.u64.length;
  const first = word(2);
  const dirs = [2, 6].map((at): DirView | undefined => {
    const [rows, columns, cells] = [word(at), word(at + 1), word(at + 2)];
    const columnCount = word(at + 3) & 0xffff;
    const flags = (word(at + 3) >>> 16) & 0xff;
    if (rows + quads(classCapacity) > end || columns + quads(portCapacity) > end || cells > end)
      return undefined;
    const rowTable = mem.arena.u16.subarray(rows * 4, rows * 4 + classCapacity);
    const rest = { flags, columnCount, cells: mem.arena.u32.subarray(cells * 2) };
    const stop = at === 2 ? word(6) : built === undefined ? 0 : built.span.offset + built.words;
    const cellsEnd = built === undefined ? Math.max(cells + cellsLength(rest, rowsOf(rowTable)), stop) : stop;
    if (cellsEnd > end) return undefined;
    return {
      flags,
      rows: rowTable,
      columns: mem.arena.u16.subarray(columns * 4, columns * 4 + portCapacity),
      columnCount,
      cells: mem.arena.u32.subarray(cells * 2, cellsEnd * 2),
    };
  });
  const [egress, ingress] = dirs;
  if (egress === undefined || ingress === undefined) return undefined;
  return {
    ruleset,
    slot,
    generation,
    span: built?.span ?? { offset: first, words: word(8) + ingress.cells.length / 2 - first },
    classCapacity,
    portCapacity,
    dirs: [egress, ingress],
  };
}

/** Rows that a table leads to. */
function rowsOf(table: Uint16Array): number {
  return table.reduce((most, row) => Math.max(most, row + 1), 0);
}

/** A slot in memory as the file it would be: offsets made relative again. */
export function slotImage(mem: PolicyMemory, view: SlotView): SlotImage {
  const at = slotHeaderWord(view.ruleset, view.slot) * 2;
  const header = mem.rulesets.u32.slice(at, at + SLOT_WORDS * 2);
  for (const i of [2, 3, 4, 6, 7, 8]) header[i] = (header[i] as number) - view.span.offset;
  const words = mem.arena.u32.slice(view.span.offset * 2, (view.span.offset + view.span.words) * 2);
  return { header, words };
}

function quads(count: number): number {
  return Math.ceil(count / 4);
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
