/** `merlon policy test`: case files through the compiler that fills the datapath. */
import { dirname, join } from 'node:path';
import { type CaseReport, readCase, runCase } from '#cases';
import { errorView } from '#api/client';
import { exitCode, formatAt, formatError, MerlonError } from '#kit/errors';
import { errorFromProblem } from '#model/parse';
import { Changes } from '../changes.ts';
import { caseJunit, caseSum, caseView } from '../case-report.ts';
import { filesBelow, fileTitle, readInput, readText } from '../policy-files.ts';
import type { Context, Run } from '../verb.ts';

export const run: Run = async (context, paths, options) => {
  if (options['watch'] !== true) return once(context, paths, () => {});
  if (paths.includes('-'))
    throw new MerlonError('USAGE', 'standard input does not change: --watch needs files');
  using changes = new Changes();
  for (const path of paths) changes.watch(path);
  let code = 0;
  while (!context.signal.aborted) {
    code = await onceMore(context, paths, (file) => changes.watch(file));
    context.output.message('waiting for a change; stop with Ctrl-C');
    if (!(await changes.next(context.signal))) break;
  }
  return code;
};

/** While it is watched, what cannot be run may be mended. */
async function onceMore(...[context, paths, onRead]: Parameters<typeof once>): Promise<number> {
  try {
    return await once(context, paths, onRead);
  } catch (error) {
    if (!(error instanceof MerlonError) || context.signal.aborted) throw error;
    context.output.message(formatError(error));
    return exitCode(error);
  }
}

/** One file's end: a report, or why it cannot be used. */
interface FileEnd {
  readonly file: string;
  readonly report?: CaseReport;
  readonly errors: readonly MerlonError[];
}

/** `onRead` is told of policy files, which may lie elsewhere than their cases. */
async function once(
  context: Context,
  paths: readonly string[],
  onRead: (file: string) => void,
): Promise<number> {
  const ends = await runAll(context, caseFiles(paths), onRead);
  const unusable = ends.filter((end) => end.errors.length > 0);
  const reports = ends.flatMap(({ report }) => (report === undefined ? [] : [report]));
  for (const error of unusable.flatMap((end) => end.errors)) context.output.message(formatError(error));
  const sum = { ...caseSum(reports), unusable: unusable.length };
  if (context.extraFormat === 'junit') await context.output.write(caseJunit(ends));
  else {
    const view = {
      ...sum,
      cases: reports.map(caseView),
      errors: unusable.flatMap((end) => end.errors.map((error) => errorView(error))),
    };
    await context.output.value(view, () => failureLines(reports) + closing(sum));
  }
  return unusable.length > 0 ? 2 : sum.failed > 0 ? 1 : 0;
}

async function runAll(
  { output, signal }: Context,
  files: readonly string[],
  onRead: (file: string) => void,
): Promise<readonly FileEnd[]> {
  using progress = output.progress('running cases');
  const ends: FileEnd[] = [];
  for (const file of files) {
    progress.show(ends.length, files.length);
    ends.push(await runFile(file, onRead, signal));
  }
  return ends;
}

async function runFile(file: string, onRead: (file: string) => void, signal: AbortSignal): Promise<FileEnd> {
  try {
    const found = readCase(await readInput(file, signal), fileTitle(file), (path) => {
      const beside = join(dirname(file), path);
      onRead(beside);
      return { file: beside, text: readText(beside) };
    });
    if (found.case === undefined) return { file, errors: found.problems.map(errorFromProblem) };
    return { file, report: runCase(found.case), errors: [] };
  } catch (error) {
    if (!(error instanceof MerlonError)) throw error;
    return { file, errors: [error] };
  }
}

/** Files as named; of directories every `*.case.yaml`, or where there is none every `*.yaml`, sorted. */
function caseFiles(paths: readonly string[]): readonly string[] {
  const files = paths.flatMap((path) => {
    const all = filesBelow(path);
    if (all === undefined) return [path];
    const cases = all.filter((name) => /\.case\.ya?ml$/.test(name));
    return (cases.length > 0 ? cases : all.filter((name) => /\.ya?ml$/.test(name))).map((name) =>
      join(path, name),
    );
  });
  if (files.length > 0) return files;
  throw new MerlonError('USAGE', `no case files in ${paths.join(', ')}`, {
    hint: 'case files of a directory end in .case.yaml',
  });
}

function failureLines(reports: readonly CaseReport[]): string {
  const lines = reports.flatMap((report) => [
    ...report.outcomes
      .filter((outcome) => !outcome.passed)
      .map(({ expectation, flow, got, decided }) => {
        const { at, verdict, why, unsure } = expectation;
        const because = why === undefined ? '' : `\n    why: ${why}`;
        const head = `${formatAt(at)}: ${unsure ? 'unsure: ' : ''}${flow}: wanted ${verdict}, got ${got ?? 'different verdicts'}`;
        return `${head}${because}${decided.map((line) => `\n    ${line}`).join('')}`;
      }),
    ...report.rejections
      .filter((outcome) => !outcome.passed)
      .map(({ rejection, detail }) => {
        return `${formatAt(rejection.at)}: policy ${rejection.policy}: wanted an error like ${String(rejection.error)}\n    ${detail}`;
      }),
  ]);
  return lines.map((line) => `${line}\n`).join('');
}

function closing(sum: {
  passed: number;
  failed: number;
  unsure: number;
  unusable: number;
  cases: number;
}): string {
  const many = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : 's'}`;
  const parts = [many(sum.cases, 'case'), `${many(sum.passed, 'expectation')} met`, `${sum.failed} failed`];
  if (sum.unsure > 0) parts.push(`${sum.unsure} unsure and different`);
  if (sum.unusable > 0) parts.push(`${many(sum.unusable, 'file')} unusable`);
  return `${parts.join(', ')}\n`;
}
