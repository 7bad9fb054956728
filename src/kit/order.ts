/** Order of texts for canonical output. */

/** By code units, the same on every machine: locales have no say in canonical text. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
