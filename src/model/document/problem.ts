/** Findings about a person's input, as values: a document may have many, and all of them are shown. */
import { type ErrorCode, MerlonError, type SourceAt } from '#kit/errors';

/** One thing that is wrong in a document. */
export interface Problem {
  readonly code: ErrorCode;
  /** One sentence without a full stop; begins with the JSON path where there is one. */
  readonly message: string;
  readonly at: SourceAt;
  /** What to do about it. */
  readonly hint?: string;
}

/** The problem as an error, for callers that stop at the first one. */
export function errorFromProblem(problem: Problem): MerlonError {
  return new MerlonError(problem.code, problem.message, { at: problem.at, hint: problem.hint });
}

/** Most problems kept of one document: a file that is no policy at all must not fill a status with its lines. */
export const MAX_PROBLEMS = 50;

/** Text of a person's as it is shown back: quoted, and cut when it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}

/** Problems in the order of their places; those of one place as they were found. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return [...problems].sort(
    (a, b) => (a.at.line ?? 0) - (b.at.line ?? 0) || (a.at.column ?? 0) - (b.at.column ?? 0),
  );
}
