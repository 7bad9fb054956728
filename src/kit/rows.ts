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

/** The sorted list without what is gone and with what has come; the same list when that is nothing. */
export function patchSorted<R>(
  rows: readonly R[],
  { gone, come }: RowChanges<R>,
  compare: (a: R, b: R) => number,
): readonly R[] {
  if (gone.length === 0 && come.length === 0) return rows;
  const left = new Set(gone);
  const fresh = [...come].sort(compare);
  const out: R[] = [];
  let at = 0;
  for (const row of rows) {
    if (left.has(row)) continue;
    for (let next = fresh[at]; next !== undefined && compare(next, row) < 0; next = fresh[++at])
      out.push(next);
    out.push(row);
  }
  for (; at < fresh.length; at++) out.push(fresh[at] as R);
  return out;
}
