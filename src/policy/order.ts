/** One order for lists of names, so that equal inputs give equal outputs. */
import { compareText } from '#kit/order';

/** Sorted by code units, each once. */
export function sortedSet(texts: Iterable<string>): string[] {
  return [...new Set(texts)].sort(compareText);
}
