/** What the sources ask of a file system, so that tests can hand in one that fails when told to. */
import { constants, watch } from 'node:fs';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';

/** What matters of a file: which it is, whether it changed, and who can write it. */
export interface FileStat {
  readonly kind: 'file' | 'directory' | 'other';
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** A name in a directory, not followed. */
export interface FileName {
  readonly name: string;
  readonly isLink: boolean;
  readonly isDirectory: boolean;
}

/** Reading and watching; errors are those of the system, with `code`. */
export interface FileSystem {
  /** Follows links. */
  stat(path: string): Promise<FileStat>;
  list(path: string): Promise<readonly FileName[]>;
  /** State and content of one opened file; no content when it is no regular file or has more than `maxBytes`. */
  read(
    path: string,
    maxBytes: number,
  ): Promise<{ readonly stat: FileStat; readonly bytes: Uint8Array | undefined }>;
  /** Calls `changed` after anything in the directory may have changed, `failed` when watching ended. */
  watch(path: string, changed: () => void, failed: () => void): Disposable;
}

/** The machine's own. */
export const nodeFileSystem: FileSystem = {
  stat: async (path) => fileStat(await stat(path, { bigint: true })),
  list: async (path) => {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.map((e) => ({ name: e.name, isLink: e.isSymbolicLink(), isDirectory: e.isDirectory() }));
  },
  read: async (path, maxBytes) => {
    // Opening a device may do something: a watchdog begins to count.
    const before = fileStat(await stat(path, { bigint: true }));
    if (before.kind !== 'file') return { stat: before, bytes: undefined };
    // O_NONBLOCK: a FIFO that takes its place meanwhile must not stop the agent.
    await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const info = fileStat(await handle.stat({ bigint: true }));
    if (info.kind !== 'file' || info.size > maxBytes) return { stat: info, bytes: undefined };
    const bytes = await readUpTo(handle, Math.min(info.size, maxBytes) + 1, maxBytes + 1);
    const after = { ...info, size: Math.max(info.size, bytes.length) };
    return { stat: after, bytes: bytes.length > maxBytes ? undefined : bytes };
  },
  watch: (path, changed, failed) => {
    const watcher = watch(path, { persistent: false });
    watcher.on('change', changed);
    watcher.on('error', failed);
    return { [Symbol.dispose]: () => watcher.close() };
  },
};

/** At most `limit` bytes; `expected` of them are asked for at once, so that one reading finds the end of most files. */
async function readUpTo(handle: FileHandle, expected: number, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const wanted = Math.max(expected - length, Math.min(65_536, limit - length));
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(wanted));
    if (bytesRead === 0) break;
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}

function fileStat(s: BigIntStats): FileStat {
  return {
    kind: s.isFile() ? 'file' : s.isDirectory() ? 'directory' : 'other',
    dev: s.dev,
    ino: s.ino,
    size: Number(s.size),
    mtimeNs: s.mtimeNs,
    ctimeNs: s.ctimeNs,
    uid: Number(s.uid),
    gid: Number(s.gid),
    mode: Number(s.mode) & 0o7777,
  };
}

/** `code` of a system's error: ENOENT, EACCES, …; empty when it has none. */
export function systemCode(e: unknown): string {
  return e instanceof Error && 'code' in e && typeof e.code === 'string' ? e.code : '';
}
