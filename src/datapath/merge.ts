/** Which class numbers may become one again. Pure. */
import type { Axis } from './class-tables.ts';
import { CLASS_UNKNOWN } from './layout.ts';

/** Numbers of one position that may become one: number → the heaviest like it (the unknown class first). */
export function mergers(axis: Axis, isAlike: (a: number, b: number) => boolean): Map<number, number> {
  const groups = new Map<number, number[]>();
  for (const [number, position] of axis.positions) {
    const group = groups.get(position);
    if (group === undefined) groups.set(position, [number]);
    else group.push(number);
  }
  const moves = new Map<number, number>();
  for (const group of groups.values()) {
    if (group.length < 2) continue;
    const weight = (n: number) => (n === CLASS_UNKNOWN ? Infinity : (axis.weights.get(n) ?? 0));
    group.sort((a, b) => weight(b) - weight(a) || a - b);
    const kept: number[] = [];
    for (const number of group) {
      const to = kept.find((k) => isAlike(k, number));
      if (to === undefined) kept.push(number);
      else moves.set(number, to);
    }
  }
  return moves;
}
