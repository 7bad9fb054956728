/**
 * Identity numbers and their history, as data: old numbering + label sets wanted → new numbering. A label set
 * keeps its number as long as it is wanted; a freed number rests until many others have been freed after it,
 * so that nothing that still names it is misread.
 */
import { MerlonError } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import { type Identity, type IdentityRow, IDENTITY_SCOPE_LOCAL, IDENTITY_SCOPE_REMOTE_NODE } from '#model';
import { compareText } from '#kit/order';

/** Where numbers of a kind are taken from (policy.md §12.1). */
export type IdentityScope = 'cluster' | 'local' | 'remote-node';

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
  /** By canonical text of the labels. */
  readonly given: ReadonlyMap<string, IdentityRow>;
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
  return { given: new Map(), resting: [], next: RANGES[scope][0] };
}

/**
 * The numbering in which exactly the wanted sets have numbers. No number means one thing in the old numbering
 * and another in the new one. Throws `IDENTITY_EXHAUSTED`.
 */
export function renumber(old: Numbering, wanted: Iterable<WantedIdentity>): Numbering {
  const byScope: Record<IdentityScope, Map<string, LabelSet>> = {
    cluster: new Map(),
    local: new Map(),
    'remote-node': new Map(),
  };
  for (const { scope, labels } of wanted) byScope[scope].set(labels.key, labels);
  return {
    cluster: renumberScope('cluster', old.cluster, byScope.cluster),
    local: renumberScope('local', old.local, byScope.local),
    'remote-node': renumberScope('remote-node', old['remote-node'], byScope['remote-node']),
  };
}

function renumberScope(
  scope: IdentityScope,
  old: ScopeNumbers,
  wanted: ReadonlyMap<string, LabelSet>,
): ScopeNumbers {
  const given = new Map<string, IdentityRow>();
  const freed: number[] = [];
  for (const [key, row] of old.given) {
    if (wanted.has(key)) given.set(key, row);
    else freed.push(row.id);
  }
  const fresh = [...wanted].filter(([key]) => !given.has(key)).sort(([a], [b]) => compareText(a, b));
  if (fresh.length === 0 && freed.length === 0) return old;
  const last = RANGES[scope][1];
  let next = old.next;
  let rested = 0;
  for (const [key, labels] of fresh) {
    // Never one that is freed only now: until the change is through, addresses still stand under it.
    const mayReuse = old.resting.length - rested > RESTING || next > last;
    const id = mayReuse ? old.resting[rested++] : next++;
    if (id === undefined) {
      throw new MerlonError('IDENTITY_EXHAUSTED', `no identity number is left in the ${scope} scope`);
    }
    given.set(key, { id: id as Identity, labels });
  }
  return { given, resting: [...old.resting.slice(rested), ...freed], next };
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

/** The number of a label set, if it has one. */
export function numberOf(numbering: Numbering, { scope, labels }: WantedIdentity): Identity | undefined {
  return numbering[scope].given.get(labels.key)?.id;
}
