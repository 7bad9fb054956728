/** `merlon config check`: judges configuration files as the agent would, in the order it would read them. */
import { readFileSync } from 'node:fs';
import { errorView } from '#api/client';
import { readConfigTexts } from '#files';
import { formatError, MerlonError } from '#kit/errors';
import { formatFinding } from '#model';
import { type ConfigText, errorFromProblem, readNodeConfig } from '#model/config';
import type { Run } from '../verb.ts';

const DEFAULT_FILE = '/etc/merlon/merlon.yaml';

export const run: Run = async (context, files) => {
  const texts = files.length > 0 ? files.map(read) : await installed();
  const { problems, warnings } = readNodeConfig(texts);
  for (const problem of problems) context.output.message(formatError(errorFromProblem(problem)));
  for (const warning of warnings) context.output.message(`warning: ${formatFinding(warning)}`);
  const named = texts.map((t) => t.file);
  const view = {
    valid: problems.length === 0,
    files: named,
    errors: problems.map((p) => errorView(errorFromProblem(p))),
    warnings,
  };
  await context.output.value(view, () =>
    view.valid ? `${named.join(', ') || 'the defaults'}: usable\n` : '',
  );
  return view.valid ? 0 : 2;
};

/** What the agent would read: the installed file and its drop-ins. */
function installed(): Promise<readonly ConfigText[]> {
  const agent = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return readConfigTexts({ file: DEFAULT_FILE, isOptional: true, agent });
}

function read(file: string): ConfigText {
  try {
    return { file, text: readFileSync(file, 'utf8') };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new MerlonError('CONFIG_UNREADABLE', `cannot read ${file}: ${code}`, { cause });
  }
}
