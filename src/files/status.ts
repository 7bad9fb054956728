/** Rows in which a person finds what became of their files, and the text of `manifests.status.json` (HF-11.4). */
import { ERRORS, formatAt } from '#kit/errors';
import { formatFinding, type ObjectStatus } from '#model';
import type { Problem } from '#model/parse';
import type { JudgedFile, JudgedObject, Judgement } from './judge.ts';

/** One file. Key: file. */
export interface ManifestFileRow {
  readonly file: string;
  /** SHA-256 of the content. */
  readonly hash: string;
  readonly state: JudgedFile['state'];
  readonly objects: readonly string[];
  readonly problems: readonly Problem[];
}

/** One object of a file. Key: key. */
export interface ManifestObjectRow {
  /** `kind/namespace/name`; `file#document` where it has no name. */
  readonly key: string;
  readonly file: string;
  readonly document: number;
  readonly status: ObjectStatus;
}

/** The set as a whole. */
export interface ManifestsStatus {
  readonly state: Judgement['state'] | 'pending';
  /** Of the set that was read last: SHA-256 over the lines `hash  name`. */
  readonly hash: string;
  readonly message: string;
  /** Grows with each set that is accepted. */
  readonly generation: number;
  /** Revision of the tables in which the accepted set is complete; 0 before the first. */
  readonly revision: number;
  /** Policies in force: of the set accepted last or, before the first, those from before the start. */
  readonly policies: number;
  readonly files: readonly ManifestFileRow[];
  /** Of the set as a whole and of all files, in their order. */
  readonly problems: readonly Problem[];
}

/** Before anything was read. */
export const INITIAL_STATUS: ManifestsStatus = {
  state: 'pending',
  hash: '',
  message: 'the manifests have not been read yet',
  generation: 0,
  revision: 0,
  policies: 0,
  files: [],
  problems: [],
};

/** Row of a judged file. */
export function fileRow(file: JudgedFile): ManifestFileRow {
  const { hash, state, objects, problems } = file;
  return { file: file.file, hash, state, objects: objects.map((o) => o.key), problems };
}

/** Row of one object; `acceptedIn`: when the version in force was accepted, this one or an earlier. */
export function objectRow(
  object: JudgedObject,
  file: JudgedFile,
  acceptedIn: number | undefined,
): ManifestObjectRow {
  const { key, document } = object;
  const accepted = acceptedIn === undefined ? {} : { acceptedGeneration: acceptedIn };
  return {
    key,
    file: file.file,
    document,
    status: { ...objectStatus(object, file, acceptedIn), ...accepted },
  };
}

function objectStatus(object: JudgedObject, file: JudgedFile, acceptedIn: number | undefined): ObjectStatus {
  const warnings = object.warnings.map(formatFinding);
  const [own] = object.problems;
  const problem = own ?? (file.state === 'invalid' ? file.problems[0] : undefined);
  if (problem !== undefined) {
    const stays = acceptedIn !== undefined ? '; the version accepted before stays enforced' : '';
    return { state: 'invalid', reason: `${problem.message}${stays}`, at: problem.at, warnings };
  }
  if (file.state === 'accepted') return { state: 'pending', warnings };
  return { state: 'held', reason: 'other manifests are refused, so nothing of the set counts', warnings };
}

/** `file:line:column: text (remedy)`. */
export function formatProblem(problem: Problem): string {
  const at = formatAt(problem.at);
  const hint = problem.hint ?? ERRORS[problem.code].hint;
  return `${at === '' ? '' : `${at}: `}${problem.message}${hint === '' ? '' : ` (${hint})`}`;
}

/** Text of the status file. `isApplied`: what was accepted is what the node enforces. */
export function statusText(status: ManifestsStatus, isApplied: boolean): string {
  const word = (state: string) => (state === 'accepted' ? (isApplied ? 'applied' : 'pending') : state);
  const value = {
    version: 1,
    state: word(status.state),
    hash: status.hash,
    message: status.message,
    generation: status.generation,
    policies: status.policies,
    files: status.files.map((f) => ({
      file: f.file,
      hash: f.hash,
      state: word(f.state),
      objects: f.objects,
      errors: f.problems.map(problemView),
    })),
    errors: status.problems.map(problemView),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function problemView(problem: Problem): object {
  const { code, message, hint, at } = problem;
  return { code, message, ...(hint === undefined ? {} : { hint }), at, text: formatProblem(problem) };
}
