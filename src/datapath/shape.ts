/** How long the tables of new slots are, and slots of equal meaning with longer tables. Pure. */
import type { Axis } from './axis.ts';
import { originsIn, rowsIn } from './cells.ts';
import type { DirTable, SlotShape, SlotView } from './ruleset.ts';

/** Classes a table has room for at least, so that most changes never make it grow. */
const CLASS_ROOM = 64;
const PORT_ROOM = 32;

/** One more than the highest numbers that a plan could reach. */
export interface Reach {
  readonly classes: number;
  readonly ports: number;
}

/** Position of each number up to the highest in use; `otherwise` where a number has none. */
export function positionTable(axis: Axis, otherwise: number): number[] {
  const table = new Array<number>(axis.numbers.end).fill(otherwise);
  for (const [number, position] of axis.positions) table[number] = position;
  return table;
}

/** Table lengths with room to spare, in whole words. */
export function room(reach: Reach): Pick<SlotShape, 'classCapacity' | 'portCapacity'> {
  const spare = (n: number, least: number) => Math.min(65532, Math.max(least, Math.ceil((n * 1.25) / 4) * 4));
  return { classCapacity: spare(reach.classes, CLASS_ROOM), portCapacity: spare(reach.ports, PORT_ROOM) };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Origin ids that the cells of a slot name. */
export function originsOfSlot({ dirs }: SlotView): Set<number> {
  return new Set(dirs.flatMap((dir) => [...originsIn(dir)]));
}

/** What a slot says, in tables long enough for `reach`. */
export function longerCopy(view: SlotView, reach: Reach): { shape: SlotShape; dirs: [DirTable, DirTable] } {
  const [egress, ingress] = view.dirs;
  const table = (dir: SlotView['dirs'][0]): DirTable => ({ ...dir, rowCount: rowsIn(dir) });
  return {
    shape: {
      generation: view.generation,
      ...room(reach),
      classPosition: range(view.classCapacity),
      portPosition: range(view.portCapacity),
    },
    dirs: [table(egress), table(ingress)],
  };
}

/** The tables are too short for what a plan could reach. */
export function isShort(view: SlotView, reach: Reach): boolean {
  return view.classCapacity < reach.classes || view.portCapacity < reach.ports;
}
