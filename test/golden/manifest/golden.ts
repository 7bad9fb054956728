/** From a manifest that is wrong (`fail-N.in.yaml`) to the exact text of every error (`fail-N.err`). */
import { formatError } from '#kit/errors';
import { DEFAULT_PARSE_OPTIONS, errorFromProblem, parseManifest } from '#model/parse';

/** The `.err` of a `fail-N.in.yaml`; objects without errors say so. */
export function manifestGolden(text: string): string {
  const objects = parseManifest(text, { ...DEFAULT_PARSE_OPTIONS, file: 'manifest.yaml' });
  const lines = objects.flatMap(({ problems, kind, name }) =>
    problems.length === 0
      ? [`${kind} ${name ?? ''}: accepted`]
      : problems.map((problem) => formatError(errorFromProblem(problem))),
  );
  return `${lines.join('\n')}\n`;
}
