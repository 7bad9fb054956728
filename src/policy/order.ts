/** One order for lists of names, so that equal inputs give equal outputs. */
import { compareText } from '#kit/order';

/** Sorted by code units, each once. */
export function sortedSet(texts: Iterable<string>): string[] {
  const all = [...texts];
  // Ids of rules come in order, and cells of large rule sets have thousands.
  if (all.every((text, i) => i === 0 || (all[i - 1] as string) < text)) return all;
  return [...new Set(all)].sort(compareText);
}
