/** `merlon policy validate`: schema and semantics of files, the same parser as the agent's, no agent needed. */
import { DEFAULT_PARSE_OPTIONS } from '#model/parse';
import { asOneSet, readJudged } from '../policy-files.ts';
import { sarif } from '../sarif.ts';
import {
  inPlace,
  objectTitle,
  toldExit,
  toldFinding,
  toldProblem,
  toldSum,
  toldText,
  toldView,
} from '../told.ts';
import type { Run } from '../verb.ts';

export const run: Run = async (context, files, options) => {
  const objects = asOneSet(await readJudged(files, { ...DEFAULT_PARSE_OPTIONS, signal: context.signal }));
  const told = inPlace(
    objects.flatMap((object) => {
      const title = objectTitle(object);
      return [
        ...object.problems.map((problem) => toldProblem(problem, title)),
        ...object.warnings.map((warning) => toldFinding(warning, title)),
      ];
    }),
  );
  const code = toldExit(told, options['denyWarnings'] === true);
  if (context.extraFormat === 'sarif') {
    await context.output.line(JSON.stringify(sarif('merlon policy validate', told, code), null, 2));
    return code;
  }
  const view = {
    valid: told.every(({ level }) => level !== 'error'),
    objects: objects.map(({ at, kind, namespace, name, problems }) => ({
      file: at.file ?? '',
      kind,
      ...(namespace === undefined ? {} : { namespace }),
      name: name ?? '',
      valid: problems.length === 0,
    })),
    errors: told.filter(({ level }) => level === 'error').map(toldView),
    warnings: told.filter(({ level }) => level !== 'error').map(toldView),
  };
  await context.output.value(view, () => {
    const quiet = options['quiet'] === true;
    const text = toldText(told, { quiet, paint: (style, word) => context.output.paint(style, word) });
    const sum = `${objects.length} ${objects.length === 1 ? 'object' : 'objects'}`;
    return `${text}${quiet ? '' : `${sum}, ${told.length === 0 ? 'all valid' : toldSum(told)}\n`}`;
  });
  return code;
};
