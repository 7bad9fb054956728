/** Policies of files and directories, for verbs that need no agent. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MerlonError } from '#kit/errors';
import { decodeUtf8 } from '#kit/utf8';
import type { WorldEndpoint } from '#cases';
import { errorFromProblem, type ManifestObject, type ParseOptions, parseManifest } from '#model/parse';

/** Text of a file; `-` is standard input. Throws `USAGE`, and `MANIFEST_SYNTAX` for what is no text. */
export function readInput(file: string): string {
  const decoded = decodeUtf8(readBytes(file));
  if ('text' in decoded) return decoded.text;
  throw new MerlonError('MANIFEST_SYNTAX', 'the file is not UTF-8 text', {
    at: { file: file === '-' ? 'standard input' : file, ...decoded },
    hint: 'save it as UTF-8',
  });
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'it is a directory' : String(code);
    throw new MerlonError('USAGE', `cannot read ${file}: ${why}`, { cause });
  }
}

/** Manifest files, each once: as named, or all of a directory, but no case files; sorted. */
function manifestFiles(paths: readonly string[]): readonly string[] {
  const files = paths.flatMap((path) => {
    if (path === '-' || statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ya?ml|json)$/.test(name) && !/\.case\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(path, name));
  });
  if (files.length === 0) {
    throw new MerlonError('USAGE', `no manifests in ${paths.join(', ')}`, {
      hint: 'files of a directory end in .yaml, .yml or .json',
    });
  }
  return [...new Map(files.map((file) => [file === '-' ? file : resolve(file), file])).values()];
}

/** Every object of the files, each with all its problems. */
export function readManifests(paths: readonly string[], options: ParseOptions): readonly ManifestObject[] {
  return manifestFiles(paths).flatMap((file) =>
    parseManifest(readInput(file), { ...options, file: file === '-' ? 'standard input' : file }),
  );
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

/** Every object of the files. Throws the first problem. */
export function readObjects(paths: readonly string[], options: ParseOptions): readonly ManifestObject[] {
  const objects = readManifests(paths, options);
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
