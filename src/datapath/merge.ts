/** Which class numbers may become one again. Pure. */
import type { Axis } from './axis.ts';
import { CLASS_UNKNOWN } from './layout.ts';

/** Numbers of one position that may become one: number → the heaviest like it (the unknown class first). */
export function mergers(axis: Axis, isAlike: (a: number, b: number) => boolean): Map<number, number> {
  const weight = (n: number) => (n === CLASS_UNKNOWN ? Infinity : (axis.weights.get(n) ?? 0));
  const moves = new Map<number, number>();
  for (const position of axis.crowded) {
    const numbers = axis.atPosition.get(position) ?? [];
    const kept: number[] = [];
    for (const number of numbers.toSorted((a, b) => weight(b) - weight(a) || a - b)) {
      const to = kept.find((k) => isAlike(k, number));
      if (to === undefined) kept.push(number);
      else moves.set(number, to);
    }
  }
  return moves;
}
