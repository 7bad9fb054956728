/**
 * What changed between two lists of rows. Rows are immutable, and who makes them hands out the same object while
 * a row says the same; so a change is found by comparing references, and no list of changes can get lost.
 */

/** Rows that are in one of two lists only. */
export interface RowChanges<R> {
  readonly gone: readonly R[];
  readonly come: readonly R[];
}

export const NO_CHANGES: RowChanges<never> = { gone: [], come: [] };

/** Each row stands in a list once, in any order; lists in nearly the same order cost least. */
export function rowChanges<R>(before: readonly R[], after: readonly R[]): RowChanges<R> {
  if (before === after) return NO_CHANGES;
  let first = 0;
  let left = before.length;
  let right = after.length;
  while (first < left && first < right && before[first] === after[first]) first++;
  while (left > first && right > first && before[left - 1] === after[right - 1]) {
    left--;
    right--;
  }
  if (first === left && first === right) return NO_CHANGES;
  const [old, now] = [new Set(before.slice(first, left)), new Set(after.slice(first, right))];
  return { gone: [...old].filter((row) => !now.has(row)), come: [...now].filter((row) => !old.has(row)) };
}

export function hasChanges({ gone, come }: RowChanges<unknown>): boolean {
  return gone.length > 0 || come.length > 0;
}

/** Beyond so many changes a list is sorted anew. */
const CUTS_MOST = 1000;

/** The sorted list without what is gone and with what has come; the same list when that is nothing. */
export function patchSorted<R>(
  rows: readonly R[],
  { gone, come }: RowChanges<R>,
  compare: (a: R, b: R) => number,
): readonly R[] {
  if (gone.length === 0 && come.length === 0) return rows;
  const count = gone.length + come.length;
  if (count > CUTS_MOST || 8 * count > rows.length) {
    const left = new Set(gone);
    return [...rows.filter((row) => !left.has(row)), ...come].sort(compare);
  }
  const removed = gone.map((row) => ({
    at: rows.indexOf(row, lowerBound(rows, row, compare)),
    row: undefined,
  }));
  const added = come.map((row) => ({ at: lowerBound(rows, row, compare), row }));
  const cuts = [...added, ...removed].sort(
    (a, b) => a.at - b.at || (a.row === undefined ? 1 : b.row === undefined ? -1 : compare(a.row, b.row)),
  );
  const parts: (readonly R[])[] = [];
  let from = 0;
  for (const { at, row } of cuts) {
    parts.push(rows.slice(from, at), row === undefined ? [] : [row]);
    from = row === undefined ? at + 1 : at;
  }
  parts.push(rows.slice(from));
  return ([] as R[]).concat(...parts);
}

/** Where the first row stands that does not come before this one. */
function lowerBound<R>(rows: readonly R[], row: R, compare: (a: R, b: R) => number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compare(rows[middle] as R, row) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
