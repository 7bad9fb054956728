/**
 * Short names for long canonical texts. A text that is short enough is its own name, so that dumps stay
 * readable; a long one is named by its SHA-256 (FIPS 180-4), because two different peer lists must never be
 * taken for one, not even when somebody tries.
 */
import { createHash } from 'node:crypto';

/** `text` when it has at most `limit` characters, else `#` and the first 128 bits of its digest. */
export function nameOf(text: string, limit: number): string {
  return text.length <= limit ? text : `#${sha256(text).slice(0, 32)}`;
}

/** SHA-256 of the text's UTF-8 form, in hexadecimal digits. */
export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
