/**
 * Sequence numbers of events grow over restarts without a write for each event: a start reserves a block on
 * disk and begins at its first number.
 */
import { join } from 'node:path';
import { stateFile } from '#endpoint';

/** Numbers a start reserves. */
const SEQUENCE_BLOCK = 2 ** 20;

/**
 * First number of a fresh block. A file that cannot be read or written costs the continuity, not the start:
 * `onUnwritten` is told that the next start will give the same numbers again.
 */
export async function reserveSequence(
  stateDir: string,
  onUnwritten: (error: unknown) => void,
): Promise<number> {
  const file = stateFile<number>(join(stateDir, 'events.seq'), 1, (content) =>
    typeof content === 'number' && Number.isSafeInteger(content) && content >= 0 ? content : undefined,
  );
  const first = (await file.read(() => {})) ?? 1;
  await file.write(first + SEQUENCE_BLOCK).catch(onUnwritten);
  return first;
}
