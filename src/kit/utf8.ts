/** Bytes of a file → text, or the place of the first byte that is no UTF-8. */

export type Utf8 = { readonly text: string } | { readonly line: number; readonly column: number };

export function decodeUtf8(bytes: Uint8Array): Utf8 {
  const text = decoded(bytes, false);
  if (text !== undefined) return { text };
  // The longest beginning in which nothing is wrong yet.
  let [good, bad] = [0, bytes.length];
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (decoded(bytes.subarray(0, middle), true) === undefined) bad = middle;
    else good = middle;
  }
  const lines = (decoded(bytes.subarray(0, good), true) ?? '').split('\n');
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
}

/** Undefined for what is no UTF-8; of an open end only what is whole is taken. */
function decoded(bytes: Uint8Array, isOpen: boolean): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isOpen });
  } catch {
    return undefined; // the only way it fails
  }
}
