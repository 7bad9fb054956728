/**
 * Identity numbers and their history, as data: old numbering + label sets wanted → new numbering. A label set
 * keeps its number as long as it is wanted; a freed number rests until many others have been freed after it,
 * so that nothing that still names it is misread.
 */
import { MerlonError } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import { type Identity, type IdentityRow, IDENTITY_SCOPE_LOCAL, IDENTITY_SCOPE_REMOTE_NODE } from '#model';
import { compareText } from '#kit/order';
import { patchSorted } from '#kit/rows';

/** Where numbers of a kind are taken from (policy.md §12.1). */
export type IdentityScope = 'cluster' | 'local' | 'remote-node';
export const SCOPES: readonly IdentityScope[] = ['cluster', 'local', 'remote-node'];

/** Which numbers each scope has. */
const RANGES: Readonly<Record<IdentityScope, readonly [first: number, last: number]>> = {
  cluster: [256, 65535],
  local: [IDENTITY_SCOPE_LOCAL, IDENTITY_SCOPE_LOCAL + 0xffffff],
  'remote-node': [IDENTITY_SCOPE_REMOTE_NODE, IDENTITY_SCOPE_REMOTE_NODE + 0xffffff],
};

/**
 * How many numbers rest before the one that has rested longest is given again. What is kept apart costs four
 * pages of the class table.
 */
const RESTING = 16384;

/** Numbers of one scope. Plain data: written to disk and read back as it is. */
export interface ScopeNumbers {
  /** Ascending; each label set once. */
  readonly given: readonly IdentityRow[];
  /** Freed, longest ago first. */
  readonly resting: readonly number[];
  /** Never given so far. */
  readonly next: number;
}

/** All scopes. */
export type Numbering = Readonly<Record<IdentityScope, ScopeNumbers>>;

/** A label set that needs a number. */
export interface WantedIdentity {
  readonly scope: IdentityScope;
  readonly labels: LabelSet;
}

/** Nothing given yet. */
export const EMPTY_NUMBERING: Numbering = {
  cluster: emptyScope('cluster'),
  local: emptyScope('local'),
  'remote-node': emptyScope('remote-node'),
};

function emptyScope(scope: IdentityScope): ScopeNumbers {
  return { given: [], resting: [], next: RANGES[scope][0] };
}

/** A label set with the number that it has. */
export interface NumberedIdentity {
  readonly scope: IdentityScope;
  /** As it stands in the numbering. */
  readonly row: IdentityRow;
}

/** What is wanted no more, and what is wanted and has no number yet. */
export interface NumberChanges {
  readonly gone: readonly NumberedIdentity[];
  readonly come: readonly WantedIdentity[];
}

/**
 * The numbering after these changes. No number means one thing in the old numbering and another in the new one.
 * Throws `IDENTITY_EXHAUSTED`.
 */
export function renumber(old: Numbering, { gone, come }: NumberChanges): Numbering {
  const of = (scope: IdentityScope): ScopeNumbers => {
    const freed = gone.flatMap((one) => (one.scope === scope ? one.row : []));
    const fresh = come.flatMap((one) => (one.scope === scope ? one.labels : []));
    return freed.length + fresh.length === 0 ? old[scope] : renumberScope(scope, old[scope], freed, fresh);
  };
  return { cluster: of('cluster'), local: of('local'), 'remote-node': of('remote-node') };
}

function renumberScope(
  scope: IdentityScope,
  old: ScopeNumbers,
  gone: readonly IdentityRow[],
  fresh: readonly LabelSet[],
): ScopeNumbers {
  const last = RANGES[scope][1];
  const come: IdentityRow[] = [];
  let next = old.next;
  let rested = 0;
  for (const labels of [...fresh].sort((a, b) => compareText(a.key, b.key))) {
    // Never one that is freed only now: until the change is through, addresses still stand under it.
    const mayReuse = old.resting.length - rested > RESTING || next > last;
    const id = mayReuse ? old.resting[rested++] : next++;
    if (id === undefined) {
      throw new MerlonError('IDENTITY_EXHAUSTED', `no identity number is left in the ${scope} scope`);
    }
    come.push({ id: id as Identity, labels });
  }
  const byNumber = (a: IdentityRow, b: IdentityRow): number => a.id - b.id;
  const freed = [...gone].sort(byNumber).map(({ id }) => id);
  return {
    given: patchSorted(old.given, { gone, come }, byNumber),
    resting: [...old.resting.slice(rested), ...freed],
    next,
  };
}

/** The same numbering, but for numbers up to these, which it never gives if it has not given them yet. */
export function numberingPast(old: Numbering, used: readonly number[]): Numbering {
  const past = (scope: IdentityScope): ScopeNumbers => {
    const [first, last] = RANGES[scope];
    const { next } = old[scope];
    const highest = used.reduce((most, n) => (n >= first && n <= last && n > most ? n : most), next - 1);
    return highest < next ? old[scope] : { ...old[scope], next: highest + 1 };
  };
  return { cluster: past('cluster'), local: past('local'), 'remote-node': past('remote-node') };
}
