/**
 * Files of `state-dir`: written atomically (temporary file, fsync, rename), versioned, and never trusted. A file
 * that cannot be read costs what it remembered, nothing else.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorMessage, MerlonError } from '#kit/errors';

/** What a file says of itself; its content stands in `content`. */
interface Framed {
  readonly version: number;
  readonly content: unknown;
}

/**
 * Maps go through JSON as `{ "$map": [[key, value], …] }`, 64-bit numbers as `{ "$bigint": "…" }`, bytes as
 * `{ "$bytes": [0, …] }`.
 */
function freeze(_key: string, value: unknown): unknown {
  if (value instanceof Map) return { $map: [...value] };
  if (value instanceof Uint8Array) return { $bytes: [...value] };
  return typeof value === 'bigint' ? { $bigint: String(value) } : value;
}

function thaw(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$map' in value) return new Map(value.$map as [unknown, unknown][]);
  if ('$bytes' in value) return Uint8Array.from(value.$bytes as number[]);
  return '$bigint' in value ? BigInt(value.$bigint as string) : value;
}

/** Tells the temporary files of writes that run at the same time apart. */
let writes = 0;

/** Writes a file so that a crash leaves either the old or the new one. Error: STATE_WRITE. */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${++writes % 64}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {}); // the error that counts is the first
    throw new MerlonError('STATE_WRITE', `cannot write ${path}: ${errorMessage(cause)}`, { cause });
  }
}

/** A value kept in a file. */
export interface StateFile<T> {
  readonly path: string;
  /**
   * What is in it; undefined when there is no file. A file that is no such value is put aside as `.bad`, its
   * fault told to `onBad`, and counts as none.
   */
  read(onBad: (problem: MerlonError) => void): Promise<T | undefined>;
  write(value: T): Promise<void>;
  /** Error: STATE_WRITE. */
  remove(): Promise<void>;
}

/**
 * The file at `path`. `check` turns what stood in it into a value, or undefined when it is none; it gets the
 * version too and may know older ones.
 */
export function stateFile<T>(
  path: string,
  version: number,
  check: (content: unknown, version: number) => T | undefined,
): StateFile<T> {
  const parse = (text: string): T | undefined => {
    const framed = JSON.parse(text, thaw) as Partial<Framed> | null;
    return framed === null ? undefined : check(framed.content, Number(framed.version));
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    path,
    async read(onBad) {
      let cause: unknown;
      try {
        const value = parse(await readFile(path, 'utf8'));
        if (value !== undefined) return value;
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        cause = e;
      }
      await rename(path, `${path}.bad`).catch(() => {}); // it stays where it is and is met again
      const why = cause === undefined ? 'it holds something else' : errorMessage(cause);
      onBad(new MerlonError('STATE_CORRUPT', `${path} is unreadable and put aside: ${why}`, { cause }));
      return undefined;
    },
    // One after the other, so that what was written last is what stands there.
    write: (value) => {
      const text = `${JSON.stringify({ version, content: value }, freeze)}\n`;
      const written = last.then(() => writeAtomically(path, text));
      last = written.catch(() => {}); // told to whoever asked for it
      return written;
    },
    remove: () =>
      rm(path, { force: true }).catch((cause: unknown) => {
        throw new MerlonError('STATE_WRITE', `cannot remove ${path}: ${errorMessage(cause)}`, { cause });
      }),
  };
}
