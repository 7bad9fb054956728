/**
 * Reading manifest directories as one consistent set (HF-11.2): everything is read twice, and only two equal
 * readings count, so that neither a half-written file nor a half-copied set is ever taken for a state.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { decodeUtf8 } from '#kit/utf8';
import type { Problem } from '#model/parse';
import { type FileStat, type FileSystem, systemCode } from './filesystem.ts';
import { type Owner, trustFault } from './trust.ts';
import type { Watched } from './watchers.ts';

/** Largest manifest. */
const MAX_MANIFEST_BYTES = 1024 * 1024;
/** Most bytes of all manifests together. */
const MAX_TOTAL_BYTES = 64 * 1024 * 1024;

/** A manifest as read: its text, or why it is not used. */
export interface ManifestFile {
  readonly file: string;
  /** Path below its directory, for the hash of the set. */
  readonly name: string;
  /** SHA-256 of the content, as `sha256sum` prints it; empty when it was not read. */
  readonly hash: string;
  readonly text: string | undefined;
  readonly problems: readonly Problem[];
}

/** All manifest directories at one moment. */
export interface Snapshot {
  readonly files: readonly ManifestFile[];
  /** What is wrong with the set as a whole. */
  readonly problems: readonly Problem[];
  /** Directories that are missing or cannot be read, with the reason. */
  readonly missing: readonly { readonly path: string; readonly reason: string }[];
  /** Device number of each directory that was read. */
  readonly devices: ReadonlyMap<string, bigint>;
  /** Directories whose changes matter, linked ones included. */
  readonly watched: readonly Watched[];
  /** SHA-256 of the lines `hash  name` of all files; for one directory `sha256sum * | sha256sum`. */
  readonly hash: string;
}

/** How to read. */
export interface SnapshotOptions {
  readonly fs: FileSystem;
  readonly paths: readonly string[];
  readonly agent: Owner;
  readonly trustAnyOwner: boolean;
}

/** Whether a name in a manifest directory is a manifest's. Editors' and packagers' leftovers are not. */
function isManifestName(name: string): boolean {
  if (name.startsWith('.') || name.startsWith('#')) return false;
  return /\.(yaml|yml|json)$/.test(name);
}

/** The set, read twice alike; undefined when it changed in between: wait and try again. */
export async function readSnapshot(options: SnapshotOptions): Promise<Snapshot | undefined> {
  const first = await readOnce(options);
  const second = await readOnce(options);
  return first.signature === second.signature ? second.snapshot : undefined;
}

interface Reading {
  readonly snapshot: Snapshot;
  /** All that would differ if anything changed. */
  readonly signature: string;
}

async function readOnce(options: SnapshotOptions): Promise<Reading> {
  const files: ManifestFile[] = [];
  const problems: Problem[] = [];
  const missing: { path: string; reason: string }[] = [];
  const devices = new Map<string, bigint>();
  const watched: Watched[] = [];
  const signature: string[] = [];
  const budget = { bytes: MAX_TOTAL_BYTES };
  for (const path of options.paths) {
    try {
      const stat = await options.fs.stat(path);
      if (stat.kind !== 'directory') {
        missing.push({ path, reason: 'it is not a directory' });
        continue;
      }
      devices.set(path, stat.dev);
      watched.push({ path, id: idOf(stat) });
      signature.push(`${path} ${stat.dev} ${stat.ino}`);
      problems.push(...untrusted(path, stat, options));
      for (const { file, name } of await manifestsIn(path, options.fs, watched)) {
        const { manifest, seen } = await readManifest(file, name, options, budget);
        signature.push(seen);
        if (manifest !== undefined) files.push(manifest);
      }
    } catch (e) {
      missing.push({ path, reason: reasonOf(e) });
    }
  }
  signature.push(...missing.map((m) => `${m.path} ${m.reason}`));
  const lines = files.map((f) => `${f.hash}  ${f.name}\n`).join('');
  const hash = createHash('sha256').update(lines).digest('hex');
  return {
    snapshot: { files, problems, missing, devices, watched, hash },
    signature: `${hash}\n${signature.join('\n')}`,
  };
}

/** Manifests of one directory in lexical order: its own, and those of directories linked into it. */
async function manifestsIn(
  directory: string,
  fs: FileSystem,
  watched: Watched[],
): Promise<readonly { file: string; name: string }[]> {
  const out: { file: string; name: string }[] = [];
  for (const entry of sorted(await fs.list(directory))) {
    const path = join(directory, entry.name);
    if (entry.isDirectory || entry.name.startsWith('.')) continue;
    const target = entry.isLink ? await fs.stat(path).catch(() => undefined) : undefined;
    if (target?.kind === 'directory') {
      watched.push({ path, id: idOf(target) });
      for (const inner of sorted(await fs.list(path))) {
        const isFile = !inner.isDirectory && isManifestName(inner.name);
        if (isFile) out.push({ file: join(path, inner.name), name: `${entry.name}/${inner.name}` });
      }
    } else if (isManifestName(entry.name)) {
      out.push({ file: path, name: entry.name });
    }
  }
  return out;
}

function idOf(stat: FileStat): string {
  return `${stat.dev}:${stat.ino}`;
}

function sorted<T extends { readonly name: string }>(names: readonly T[]): readonly T[] {
  return [...names].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What a link tells that leads nowhere, or back to itself. */
const LINK_CODES: readonly string[] = ['ENOENT', 'ELOOP'];

async function readManifest(
  file: string,
  name: string,
  options: SnapshotOptions,
  budget: { bytes: number },
): Promise<{ manifest: ManifestFile | undefined; seen: string }> {
  try {
    const { stat, bytes } = await options.fs.read(file, MAX_MANIFEST_BYTES);
    const seen = `${file} ${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.mode} ${stat.uid}`;
    if (stat.kind !== 'file') return { manifest: undefined, seen };
    const hash = bytes === undefined ? '' : createHash('sha256').update(bytes).digest('hex');
    const problems = [...untrusted(file, stat, options)];
    const at = { file, line: 1, column: 1 };
    budget.bytes -= stat.size;
    if (bytes === undefined) {
      const message = `the file has ${stat.size} bytes, the limit is ${MAX_MANIFEST_BYTES}`;
      problems.push({ code: 'MANIFEST_TOO_LARGE', message, at, hint: 'split it into several files' });
    } else if (budget.bytes < 0) {
      const message = `all manifests together have more than ${MAX_TOTAL_BYTES} bytes`;
      problems.push({ code: 'MANIFEST_TOO_LARGE', message, at, hint: 'remove some of them' });
    }
    const decoded = bytes === undefined || problems.length > 0 ? undefined : decodeUtf8(bytes);
    if (decoded !== undefined && 'line' in decoded) {
      problems.push({
        code: 'MANIFEST_SYNTAX',
        message: 'the file is not UTF-8 text',
        at: { file, ...decoded },
        hint: 'save it as UTF-8',
      });
    }
    const text = decoded !== undefined && 'text' in decoded ? decoded.text : undefined;
    return { manifest: { file, name, hash, text, problems }, seen: `${seen} ${hash}` };
  } catch (e) {
    const problem: Problem = {
      code: 'MANIFEST_UNREADABLE',
      message: `the file cannot be read: ${reasonOf(e)}`,
      at: { file, line: 1, column: 1 },
      hint: LINK_CODES.includes(systemCode(e))
        ? 'a link leads nowhere, remove it'
        : 'make it readable for root',
    };
    return {
      manifest: { file, name, hash: '', text: undefined, problems: [problem] },
      seen: `${file} ${problem.message}`,
    };
  }
}

function untrusted(path: string, stat: FileStat, options: SnapshotOptions): readonly Problem[] {
  const fault = options.trustAnyOwner ? undefined : trustFault(path, stat, options.agent);
  if (fault === undefined) return [];
  const { message, hint } = fault;
  return [{ code: 'MANIFEST_UNSAFE_FILE', message, at: { file: path, line: 1, column: 1 }, hint }];
}

function reasonOf(e: unknown): string {
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    EACCES: 'permission denied',
    ENOTDIR: 'it is not a directory',
    ELOOP: 'its links go in a circle',
  };
  return words[systemCode(e)] ?? (e instanceof Error ? e.message : String(e));
}
