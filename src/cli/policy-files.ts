/** Policies of files and directories, for verbs that need no agent. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MerlonError } from '#kit/errors';
import type { Policy } from '#model';
import { errorFromProblem, type ManifestObject, type ParseOptions, parseManifest } from '#model/parse';

/** Text of a file; `-` is standard input. Throws `USAGE`. */
export function readInput(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'it is a directory' : String(code);
    throw new MerlonError('USAGE', `cannot read ${file}: ${why}`, { cause });
  }
}

/** Manifest files: as named, or all of a directory, but no case files; sorted. */
function manifestFiles(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ya?ml|json)$/.test(name) && !/\.case\.ya?ml$/.test(name))
      .sort()
      .map((name) => join(path, name));
  });
}

/** Every object of the files. Throws the first problem. */
export function readObjects(paths: readonly string[], options: ParseOptions): readonly ManifestObject[] {
  const objects = manifestFiles(paths).flatMap((file) =>
    parseManifest(readInput(file), { ...options, file: file === '-' ? 'standard input' : file }),
  );
  const [problem] = objects.flatMap((object) => object.problems);
  if (problem !== undefined) throw errorFromProblem(problem);
  return objects;
}

export function readPolicies(paths: readonly string[], options: ParseOptions): readonly Policy[] {
  return readObjects(paths, options).flatMap(({ value }) => (value?.kind === 'policy' ? [value.policy] : []));
}
