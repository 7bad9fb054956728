/**
 * What became of the manifests, once for the API and once as `<run-dir>/manifests.status.json` for
 * configuration management. A set counts as applied when the kernel enforces it, not when it was read.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Endpoints } from '#endpoint';
import { formatProblem, type ManifestSource, statusText } from '#files';
import type { ManifestsView } from '#api';
import type { Degraded } from './degraded.ts';
import type { PolicyLoop } from './policy-loop.ts';

export class ManifestReport {
  readonly #path: string;
  readonly #parts: {
    readonly manifests: ManifestSource;
    readonly endpoints: Pick<Endpoints, 'workloadsRevision'>;
    readonly loop: PolicyLoop;
    readonly degraded: Degraded;
  };

  constructor(parts: {
    readonly runDir: string;
    readonly manifests: ManifestSource;
    readonly endpoints: Pick<Endpoints, 'workloadsRevision'>;
    readonly loop: PolicyLoop;
    readonly degraded: Degraded;
  }) {
    this.#path = join(parts.runDir, 'manifests.status.json');
    this.#parts = parts;
  }

  /** Whether what was accepted last is what the node enforces, its workloads as the endpoints they are now. */
  get isApplied(): boolean {
    const { manifests, endpoints, loop } = this.#parts;
    const { revision } = manifests.status;
    const { workloadsRevision } = endpoints;
    if (revision === 0 || workloadsRevision === undefined) return false;
    return loop.hasEnforced(Math.max(revision, workloadsRevision));
  }

  /** Writes the status file; called when a reading or an enforcement has changed what it says. */
  write(): void {
    const { manifests, degraded } = this.#parts;
    const temporary = `${this.#path}.new`;
    try {
      writeFileSync(temporary, statusText(manifests.status, this.isApplied), { mode: 0o640 });
      renameSync(temporary, this.#path);
      degraded.over('MANIFEST_STATUS');
    } catch (error) {
      degraded.addError('MANIFEST_STATUS', error);
    }
    const { state, message, problems } = manifests.status;
    if (state === 'accepted' || state === 'pending') return degraded.over('MANIFESTS');
    const [first] = problems;
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more: \`merlon manifests status\`)` : '';
    const sentence = first === undefined ? message : `${formatProblem(first)}${more}`;
    degraded.problem('MANIFESTS', `the manifests are not applied: ${sentence}`, undefined);
  }

  view(): ManifestsView {
    const { manifests } = this.#parts;
    const { state, hash, message, files, problems } = manifests.status;
    const word = (s: string): string => (s === 'accepted' ? (this.isApplied ? 'applied' : 'pending') : s);
    return {
      state: word(state),
      hash,
      message,
      files: files.map((file) => ({
        file: file.file,
        hash: file.hash,
        objects: file.objects,
        state: word(file.state),
        errors: file.problems.map(problemView),
      })),
      errors: problems.map(problemView),
    };
  }
}

type Problem = ManifestSource['status']['problems'][number];

function problemView(problem: Problem): ManifestsView['errors'][number] {
  const { code, message, hint, at } = problem;
  const { file, line, column } = at;
  return {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(file === undefined
      ? {}
      : {
          at: { file, ...(line === undefined ? {} : { line }), ...(column === undefined ? {} : { column }) },
        }),
    text: formatProblem(problem),
  };
}
