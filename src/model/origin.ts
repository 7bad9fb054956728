/**
 * The rules behind a verdict as one list, which has a number of its own in the kernel. Where staged policies
 * would decide otherwise it holds both answers: what an event is about, then a word, then the other one.
 */

/** A verdict, and what would come of it with the staged policies too, where that is something else. */
export interface Decided {
  readonly verdict: string;
  readonly origin: readonly string[];
  readonly staged?: { readonly verdict: string; readonly origin: readonly string[] };
}

/** Both answers apart. */
export interface OriginParts {
  /** Of what is refused, or would be; of what is allowed where there is nothing else to say. */
  readonly rules: readonly string[];
  /** `rules` are those by which staged policies would refuse what these let pass. */
  readonly enforced?: readonly string[];
  /** `rules` refuse what staged policies would let pass by these. */
  readonly staged?: readonly string[];
}

/** No rule has such a name: theirs begin with that of a policy. */
const ENFORCED = 'enforced:';
const STAGED = 'staged:';

/** Whether a verdict refuses by policy, whatever a proxy or an authentication may do. */
export function isRefusal(verdict: string): boolean {
  return verdict === 'deny' || verdict === 'default-deny';
}

/** The list of a cell. */
export function originOf({ verdict, origin, staged }: Decided): readonly string[] {
  if (staged === undefined) return origin;
  return isRefusal(verdict) ? [...origin, STAGED, ...staged.origin] : [...staged.origin, ENFORCED, ...origin];
}

export function originParts(list: readonly string[]): OriginParts {
  for (const [word, key] of [
    [ENFORCED, 'enforced'],
    [STAGED, 'staged'],
  ] as const) {
    const at = list.indexOf(word);
    if (at >= 0) return { rules: list.slice(0, at), [key]: list.slice(at + 1) };
  }
  return { rules: list };
}
