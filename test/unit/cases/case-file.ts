/** Case files of a folder, read and run. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type CaseReport, readCase, runCase } from '#cases';
import { formatAt, formatError } from '#kit/errors';
import { errorFromProblem } from '#model/parse';

/** Names of the case files below a folder, sorted. */
export function caseNames(folder: string, pattern: RegExp): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .sort();
}

/** The report of a case, or why it is unusable. */
export function runFile(folder: string, name: string): CaseReport | readonly string[] {
  const path = join(folder, name);
  const read = readCase(readFileSync(path, 'utf8'), name, (beside) => ({
    file: beside,
    text: readFileSync(join(dirname(path), beside), 'utf8'),
  }));
  if (read.case === undefined) return read.problems.map((problem) => formatError(errorFromProblem(problem)));
  return runCase(read.case);
}

/** What failed, a line each. */
export function failures(report: CaseReport | readonly string[]): readonly string[] {
  if (!('outcomes' in report)) return report;
  return [
    ...report.outcomes
      .filter((outcome) => !outcome.passed && !outcome.expectation.unsure)
      .map(({ expectation, flow, got, decided }) => {
        const { at, verdict } = expectation;
        return `${formatAt(at)}: ${flow}: wanted ${verdict}, got ${got}: ${decided.join('; ')}`;
      }),
    ...report.rejections
      .filter((outcome) => !outcome.passed)
      .map(({ rejection, detail }) => `${formatAt(rejection.at)}: ${rejection.policy}: ${detail}`),
  ];
}
