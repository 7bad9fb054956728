/** `merlon policy validate`: schema and semantics of files, the same parser as the agent's, no agent needed. */
import { readFileSync } from 'node:fs';
import { errorView } from '#api/client';
import { formatError, MerlonError } from '#kit/errors';
import { DEFAULT_PARSE_OPTIONS, errorFromProblem, type ManifestObject, parseManifest } from '#model/parse';
import type { Run } from '../verb.ts';

export const run: Run = async (context, files) => {
  const objects = files.flatMap((file) => read(file).map((object) => ({ file, object })));
  const all = [...objects, ...duplicates(objects)];
  const problems = all.flatMap(({ object }) => object.problems);
  const warnings = objects.flatMap(({ object }) => object.warnings);
  for (const problem of problems) context.output.message(formatError(errorFromProblem(problem)));
  for (const problem of warnings)
    context.output.message(`warning: ${formatError(errorFromProblem(problem))}`);
  const view = {
    valid: problems.length === 0,
    objects: objects.map(({ file, object }) => ({
      file,
      kind: object.kind,
      ...(object.namespace === undefined ? {} : { namespace: object.namespace }),
      name: object.name ?? '',
      valid: object.problems.length === 0,
    })),
    errors: problems.map((p) => errorView(errorFromProblem(p))),
    warnings: warnings.map((p) => errorView(errorFromProblem(p))),
  };
  const sum = `${objects.length} ${objects.length === 1 ? 'object' : 'objects'}`;
  await context.output.value(view, () =>
    view.valid
      ? `${sum}, all valid\n`
      : `${sum}, ${problems.length} ${problems.length === 1 ? 'error' : 'errors'}\n`,
  );
  return view.valid ? 0 : 2;
};

function read(file: string): readonly ManifestObject[] {
  try {
    const text = readFileSync(file === '-' ? 0 : file, 'utf8');
    return parseManifest(text, { ...DEFAULT_PARSE_OPTIONS, file: file === '-' ? 'standard input' : file });
  } catch (cause) {
    if (cause instanceof MerlonError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : code === 'EISDIR' ? 'it is a directory' : String(code);
    throw new MerlonError('USAGE', `cannot read ${file}: ${why}`, { cause });
  }
}

interface Found {
  readonly file: string;
  readonly object: ManifestObject;
}

/** One name twice is an error of the set, not of either object. */
function duplicates(objects: readonly Found[]): readonly Found[] {
  const first = new Map<string, ManifestObject>();
  return objects.flatMap(({ file, object }) => {
    if (object.name === undefined) return [];
    const key = `${object.kind}/${object.namespace ?? ''}/${object.name}`;
    const before = first.get(key);
    if (before === undefined) {
      first.set(key, object);
      return [];
    }
    const message = `${object.kind} ${object.name} stands in ${before.at.file}:${before.at.line ?? 1} already`;
    const problem = {
      code: 'MANIFEST_DUPLICATE',
      message,
      at: object.at,
      hint: 'rename one of them',
    } as const;
    return [{ file, object: { ...object, problems: [problem] } }];
  });
}
