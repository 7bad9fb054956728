/**
 * Which place each class has. A class keeps its place while it is there, so that a table that does not name a
 * class that comes or goes stays as it is; a place that has become free is given again.
 */
import { compareText } from '#kit/order';

/** Name of what stands in a free place; no list is called so. */
export const VACANT = 'vacant';

/** Places by name, from 0 on; place 0 is always that of the class without name. */
export class Places {
  readonly #of = new Map<string, number>([['', 0]]);
  #free: number[] = [];
  #count = 1;

  /** How many places there are, the free ones too. */
  get count(): number {
    return this.#count;
  }

  of(name: string): number | undefined {
    return this.#of.get(name);
  }

  /** Gives up the places of some names, then gives places to others, in the order of the names. */
  update(gone: Iterable<string>, come: Iterable<string>): void {
    for (const name of gone) {
      const place = this.#of.get(name);
      if (place !== undefined && this.#of.delete(name)) this.#free.push(place);
    }
    this.#free.sort((a, b) => b - a);
    for (const name of [...come].sort(compareText)) this.#of.set(name, this.#free.pop() ?? this.#count++);
  }
}
