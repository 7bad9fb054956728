/** `merlon config check`: judges configuration files as the agent would, in the order it would read them. */
import { errorView } from '#api/client';
import { formatError } from '#kit/errors';
import { configFiles, readConfigFiles } from '#files';
import { errorFromProblem, readNodeConfig } from '#model/config';
import type { Run } from '../verb.ts';

export const run: Run = async (context, files) => {
  const named = files.length > 0 ? files : configFiles('/etc/merlon/merlon.yaml');
  const { problems, warnings } = readNodeConfig(readConfigFiles(named));
  for (const problem of problems) context.output.message(formatError(errorFromProblem(problem)));
  for (const problem of warnings)
    context.output.message(`warning: ${formatError(errorFromProblem(problem))}`);
  const view = {
    valid: problems.length === 0,
    files: named,
    errors: problems.map((p) => errorView(errorFromProblem(p))),
    warnings: warnings.map((p) => errorView(errorFromProblem(p))),
  };
  await context.output.value(view, () =>
    view.valid ? `${named.join(', ') || 'the defaults'}: usable\n` : '',
  );
  return view.valid ? 0 : 2;
};
