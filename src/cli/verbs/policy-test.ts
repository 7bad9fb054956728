/** `merlon policy test`: case files through the compiler that fills the datapath. */
import { readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type CaseReport, readCase, runCase } from '#cases';
import { errorView } from '#api/client';
import { aborted } from '#kit/async';
import { formatAt, formatError, MerlonError } from '#kit/errors';
import { errorFromProblem } from '#model/parse';
import { caseJunit, caseSum, caseView } from '../case-report.ts';
import type { Context, Run } from '../verb.ts';

export const run: Run = async (context, paths, options) => {
  if (options['watch'] !== true) return once(context, paths);
  let code = 0;
  while (!context.signal.aborted) {
    const changed = nextChange(paths, context.signal);
    code = await once(context, paths);
    context.output.message('waiting for a change; stop with Ctrl-C');
    if (!(await changed)) break;
  }
  return code;
};

/** One file's end: a report, or why it cannot be used. */
interface FileEnd {
  readonly file: string;
  readonly report?: CaseReport;
  readonly errors: readonly MerlonError[];
}

async function once(context: Context, paths: readonly string[]): Promise<number> {
  const ends = caseFiles(paths).map(runFile);
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

function runFile(file: string): FileEnd {
  try {
    const found = readCase(readText(file), file, (path) => {
      const beside = join(dirname(file), path);
      return { file: beside, text: readText(beside) };
    });
    if (found.case === undefined) return { file, errors: found.problems.map(errorFromProblem) };
    return { file, report: runCase(found.case), errors: [] };
  } catch (error) {
    if (!(error instanceof MerlonError)) throw error;
    const at = error.at ?? { file };
    return {
      file,
      errors: [new MerlonError(error.code, error.message, { cause: error, at, hint: error.hint })],
    };
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file' : String(code);
    throw new MerlonError('MANIFEST_UNREADABLE', `cannot read ${file}: ${why}`, { cause });
  }
}

/** Files as named; of directories every `*.case.yaml`, or where there is none every `*.yaml`, sorted. */
function caseFiles(paths: readonly string[]): readonly string[] {
  const files = paths.flatMap((path) => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
    const all = readdirSync(path, { recursive: true, encoding: 'utf8' }).sort();
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
  const parts = [`${sum.cases} cases`, `${sum.passed} expectations met`, `${sum.failed} failed`];
  if (sum.unsure > 0) parts.push(`${sum.unsure} unsure and different`);
  if (sum.unusable > 0) parts.push(`${sum.unusable} files unusable`);
  return `${parts.join(', ')}\n`;
}

/** Resolves true at the next change beside one of the paths, false when the signal aborts. */
async function nextChange(paths: readonly string[], signal: AbortSignal): Promise<boolean> {
  using watchers = new DisposableStack();
  const folders = new Set(
    paths.map((path) =>
      statSync(path, { throwIfNoEntry: false })?.isDirectory() ? path : dirname(resolve(path)),
    ),
  );
  const change = new Promise<boolean>((done) => {
    for (const folder of folders) {
      const watcher = watch(folder, { recursive: true }, (_event, name) => {
        if (name === null || /\.ya?ml$/.test(name)) done(true);
      });
      watchers.defer(() => watcher.close());
    }
  });
  return await Promise.race([change, aborted(signal).then(() => false)]);
}
