/** Reports of case files as JSON and as JUnit XML, for pipelines. */
import type { CaseReport, Outcome, RejectionOutcome } from '#cases';
import { formatAt, formatError } from '#kit/errors';

interface CaseSum {
  readonly cases: number;
  readonly passed: number;
  readonly failed: number;
  /** Marked unsure, and different. */
  readonly unsure: number;
}

export function caseSum(reports: readonly CaseReport[]): CaseSum {
  const outcomes = reports.flatMap((report) => report.outcomes);
  const rejections = reports.flatMap((report) => report.rejections);
  const wrong = outcomes.filter((outcome) => !outcome.passed);
  const unsure = wrong.filter((outcome) => outcome.expectation.unsure).length;
  const rejectionsWrong = rejections.filter((outcome) => !outcome.passed).length;
  return {
    cases: reports.length,
    passed: outcomes.length - wrong.length + rejections.length - rejectionsWrong,
    failed: wrong.length - unsure + rejectionsWrong,
    unsure,
  };
}

/** One case as JSON. */
export function caseView(report: CaseReport): unknown {
  const { file, name, source } = report.case;
  return {
    file,
    name,
    ...(source === undefined ? {} : { source }),
    expect: report.outcomes.map(outcomeView),
    reject: report.rejections.map(({ rejection, passed, detail }) => ({
      line: rejection.at.line,
      policy: rejection.policy,
      wanted: String(rejection.error),
      error: detail,
      passed,
    })),
  };
}

function outcomeView({ expectation, flow, got, passed, decided }: Outcome): unknown {
  const { at, verdict, why, unsure } = expectation;
  return {
    line: at.line,
    flow,
    wanted: verdict,
    got: got ?? 'different',
    passed,
    ...(unsure ? { unsure } : {}),
    ...(why === undefined ? {} : { why }),
    decided,
  };
}

interface FileEnd {
  readonly file: string;
  readonly report?: CaseReport;
  readonly errors: readonly Error[];
}

/** One suite a file, one test an expectation. */
export function caseJunit(ends: readonly FileEnd[]): string {
  const suites = ends.map(({ file, report, errors }) => {
    const tests = [
      ...errors.map((error) => element(file, 'is usable', `<error message="${xml(formatError(error))}"/>`)),
      ...(report?.outcomes ?? []).map((outcome) => outcomeElement(file, outcome)),
      ...(report?.rejections ?? []).map((outcome) => rejectionElement(file, outcome)),
    ];
    const failures = tests.filter((test) => test.includes('<failure')).length;
    const skipped = tests.filter((test) => test.includes('<skipped')).length;
    const counts = `tests="${tests.length}" failures="${failures}" errors="${errors.length}" skipped="${skipped}"`;
    return `  <testsuite name="${xml(report?.case.name ?? file)}" ${counts}>\n${tests.join('')}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`;
}

function outcomeElement(file: string, { expectation, flow, got, passed, decided }: Outcome): string {
  const { at, verdict, unsure } = expectation;
  const name = `${flow} ${verdict}`;
  if (passed) return element(file, name, '');
  const message = `${formatAt(at)}: wanted ${verdict}, got ${got ?? 'different verdicts'}`;
  if (unsure) return element(file, name, `<skipped message="${xml(`unsure: ${message}`)}"/>`);
  return element(file, name, `<failure message="${xml(message)}">${xml(decided.join('\n'))}</failure>`);
}

function rejectionElement(file: string, { rejection, passed, detail }: RejectionOutcome): string {
  const name = `policy ${rejection.policy} is refused`;
  const message = `${formatAt(rejection.at)}: wanted an error like ${String(rejection.error)}`;
  return element(file, name, passed ? '' : `<failure message="${xml(message)}">${xml(detail)}</failure>`);
}

function element(file: string, name: string, inner: string): string {
  const open = `    <testcase classname="${xml(file)}" name="${xml(name)}"`;
  return inner === '' ? `${open}/>\n` : `${open}>${inner}</testcase>\n`;
}

/** Text inside XML, in attributes too. Control characters cannot stand there at all. */
function xml(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd]/g, '?')
    .replace(/[&<>"]/g, (c) => `&${names[c]};`)
    .replace(/\n/g, '&#10;');
}
