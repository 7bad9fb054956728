/** Policies of files and directories, for verbs that need no agent. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { MerlonError } from '#kit/errors';
import { decodeUtf8 } from '#kit/utf8';
import type { WorldEndpoint } from '#cases';
import { errorFromProblem, type ManifestObject, type ParseOptions, parseManifest } from '#model/parse';

const STDIN = '-';

/** What a file is called in messages. */
export function fileTitle(file: string): string {
  return file === STDIN ? 'standard input' : file;
}

/**
 * Text of a file; `-` is standard input, which must not be empty: the command before the pipe may have failed, or it
 * was read already. Throws `MANIFEST_UNREADABLE`, and `MANIFEST_SYNTAX` for what is no text.
 */
export async function readInput(file: string, signal: AbortSignal): Promise<string> {
  if (file !== STDIN) return readText(file);
  const bytes = process.stdin.readableEnded
    ? Buffer.alloc(0)
    : await buffer(addAbortSignal(signal, process.stdin));
  if (bytes.length > 0) return decoded(file, bytes);
  throw new MerlonError('MANIFEST_UNREADABLE', 'standard input is empty', {
    hint: 'look at what stands before the pipe; it can be read only once',
  });
}

/** Text of a named file. Throws `MANIFEST_UNREADABLE`, `MANIFEST_SYNTAX`. */
export function readText(file: string): string {
  try {
    return decoded(file, readFileSync(file));
  } catch (cause) {
    throw cause instanceof MerlonError ? cause : unreadable(file, cause);
  }
}

function decoded(file: string, bytes: Uint8Array): string {
  const found = decodeUtf8(bytes);
  if ('text' in found) return found.text;
  throw new MerlonError('MANIFEST_SYNTAX', 'the file is not UTF-8 text', {
    at: { file: fileTitle(file), ...found },
    hint: 'save it as UTF-8',
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a directory',
  EACCES: 'permission denied',
  ENOTDIR: 'a part of the path is no directory',
};

function unreadable(path: string, cause: unknown): MerlonError {
  const { code = '' } = cause as NodeJS.ErrnoException;
  return new MerlonError('MANIFEST_UNREADABLE', `cannot read ${path}: ${REASONS[code] ?? code}`, { cause });
}

/** Names of all files below a directory, sorted; undefined for what is none. Throws `MANIFEST_UNREADABLE`. */
export function filesBelow(path: string): readonly string[] | undefined {
  if (path === STDIN) return undefined;
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
    return readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Manifest files, each once: as named, or all of a directory, but no case files; sorted. */
function manifestFiles(paths: readonly string[]): readonly string[] {
  const files = paths.flatMap(
    (path) =>
      filesBelow(path)
        ?.filter((name) => /\.(ya?ml|json)$/.test(name) && !/\.case\.ya?ml$/.test(name))
        .map((name) => join(path, name)) ?? [path],
  );
  if (files.length === 0) {
    throw new MerlonError('USAGE', `no manifests in ${paths.join(', ')}`, {
      hint: 'files of a directory end in .yaml, .yml or .json',
    });
  }
  return [...new Map(files.map((file) => [file === STDIN ? file : resolve(file), file])).values()];
}

/** What reading and parsing files depends on. */
export type ReadOptions = ParseOptions & { readonly signal: AbortSignal };

/** Every object of the files, each with all its problems. */
async function readManifests(
  paths: readonly string[],
  { signal, ...options }: ReadOptions,
): Promise<readonly ManifestObject[]> {
  const objects: ManifestObject[] = [];
  for (const file of manifestFiles(paths)) {
    try {
      const text = await readInput(file, signal);
      objects.push(...parseManifest(text, { ...options, file: fileTitle(file) }));
    } catch (error) {
      // What is no text is wrong like any other file; the rest is told all the same.
      if (!(error instanceof MerlonError) || error.code !== 'MANIFEST_SYNTAX') throw error;
      objects.push(noText(error));
    }
  }
  return objects;
}

function noText({ code, message, at = {}, hint }: MerlonError): ManifestObject {
  const problem = { code, message, at, ...(hint === undefined ? {} : { hint }) };
  const nothing = { namespace: undefined, name: undefined, value: undefined, warnings: [] };
  return { document: 1, kind: '', at, problems: [problem], ...nothing };
}

/** The same, where one name twice is a problem of the second: no node would take both. */
export function asOneSet(objects: readonly ManifestObject[]): readonly ManifestObject[] {
  const first = new Map<string, ManifestObject>();
  return objects.map((object) => {
    const { kind, namespace, name, at } = object;
    if (name === undefined) return object;
    const key = `${kind}/${namespace ?? ''}/${name}`;
    const before = first.get(key);
    if (before === undefined) {
      first.set(key, object);
      return object;
    }
    const message = `${kind} ${name} stands in ${before.at.file}:${before.at.line ?? 1} already`;
    const problem = { code: 'MANIFEST_DUPLICATE', message, at, hint: 'rename one of them' } as const;
    return { ...object, value: undefined, problems: [problem, ...object.problems] };
  });
}

/** The same of a set that is judged: an empty one is judged by mistake. Throws `USAGE`. */
export async function readJudged(
  paths: readonly string[],
  options: ReadOptions,
): Promise<readonly ManifestObject[]> {
  const objects = await readManifests(paths, options);
  if (objects.length > 0) return objects;
  throw new MerlonError('USAGE', `no objects in ${paths.map(fileTitle).join(', ')}`, { hint: '' });
}

/** Every object of the files, one set. Throws the first problem. */
export async function readObjects(
  paths: readonly string[],
  options: ReadOptions,
): Promise<readonly ManifestObject[]> {
  const objects = asOneSet(await readManifests(paths, options));
  const [problem] = objects.flatMap((object) => object.problems);
  if (problem !== undefined) throw errorFromProblem(problem);
  return objects;
}

/** The workloads among manifests, as endpoints. */
export function workloadsOf(objects: readonly ManifestObject[]): readonly WorldEndpoint[] {
  const rows = objects.flatMap(({ value }) => (value?.kind === 'workload' ? [value.workload] : []));
  return rows.map(({ key, addresses, labels, namedPorts }, i) => ({
    name: key,
    id: i + 1,
    addresses,
    labels,
    ...(namedPorts === undefined ? {} : { namedPorts }),
  }));
}
