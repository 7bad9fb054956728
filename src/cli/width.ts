/**
 * Columns that a text takes on a terminal. Most is plain, and the package that knows all letters takes as long to
 * load as the whole program: it comes when a text asks for it.
 */

type Width = (text: string) => number;

let ofAll: Width | undefined;
let isAsked = false;

/** One column each. */
const PLAIN = /^[ -~·–—…→×]*$/;

/** Columns of a text. Beyond plain letters they are a guess until `loadWidths` was called. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  isAsked = true;
  return ofAll === undefined ? text.length : ofAll(text);
}

/** What `make` makes, with the true width of every letter in it. */
export async function withWidths(make: () => string): Promise<string> {
  isAsked = false;
  const text = make();
  if (!isAsked || ofAll !== undefined) return text;
  await loadWidths();
  return make();
}

/** From now on no width is a guess. */
export async function loadWidths(): Promise<void> {
  ofAll ??= (await import('string-width')).default;
}
