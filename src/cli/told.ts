/**
 * What `validate` and `lint` tell of manifests: problems and findings in one form, as text that editors can jump
 * from, as JSON and as SARIF.
 */
import { formatAt, type SourceAt } from '#kit/errors';
import { type Finding, FINDINGS, hintOf, type Severity, type Warning } from '#model';
import { type ManifestObject, type Problem } from '#model/parse';
import type { Style } from './output.ts';

export type Level = 'error' | Severity;

/** One thing that is wrong or doubtful. */
export interface Told {
  readonly code: string;
  readonly level: Level;
  /** The object as people know it; empty when it has no name. */
  readonly object: string;
  readonly message: string;
  /** Empty: nothing to add. */
  readonly hint: string;
  readonly at: SourceAt;
}

/** `namespace/name`, or the name alone. */
export function objectTitle({ namespace, name }: Pick<ManifestObject, 'namespace' | 'name'>): string {
  return namespace === undefined || name === undefined ? (name ?? '') : `${namespace}/${name}`;
}

export function toldProblem({ code, message, hint, at }: Problem, object: string): Told {
  return { code, level: 'error', object, message, hint: hint ?? '', at };
}

export function toldFinding(finding: Finding | Warning, object: string): Told {
  const { code, message, at } = finding;
  return { code, level: FINDINGS[code].severity, object, message, hint: hintOf(finding), at };
}

/** In the order of the files, of one file by place. */
export function inPlace(told: readonly Told[]): readonly Told[] {
  const files = new Map<string, number>();
  for (const { at } of told) if (!files.has(at.file ?? '')) files.set(at.file ?? '', files.size);
  const file = ({ at }: Told) => files.get(at.file ?? '') ?? 0;
  return [...told].sort(
    (a, b) =>
      file(a) - file(b) || (a.at.line ?? 0) - (b.at.line ?? 0) || (a.at.column ?? 0) - (b.at.column ?? 0),
  );
}

const STYLES: Readonly<Record<Level, Style>> = { error: 'red', warning: 'yellow', note: 'cyan' };

/** `file:line:column: level: object: message [code]`, and below it what to do. `quiet`: neither notes nor hints. */
export function toldText(
  told: readonly Told[],
  look: { readonly quiet: boolean; readonly paint: (style: Style, text: string) => string },
): string {
  const shown = look.quiet ? told.filter(({ level }) => level !== 'note') : told;
  return shown
    .map(({ code, level, object, message, hint, at }) => {
      const place = formatAt(at);
      const head = `${place === '' ? '' : `${place}: `}${look.paint(STYLES[level], level)}: `;
      const more = hint === '' || look.quiet ? '' : `\n    ${hint}`;
      return `${head}${object === '' ? '' : `${object}: `}${message} [${code}]${more}\n`;
    })
    .join('');
}

/** `1 error, 3 warnings, 2 notes`; `no findings`. */
export function toldSum(told: readonly Told[]): string {
  const parts = (['error', 'warning', 'note'] as const).flatMap((level) => {
    const count = told.filter((one) => one.level === level).length;
    return count === 0 ? [] : [`${count} ${level}${count === 1 ? '' : 's'}`];
  });
  return parts.length === 0 ? 'no findings' : parts.join(', ');
}

/** The codes that were told, the most frequent first: `service-port 12, empty-rule 3`. */
export function toldCodes(told: readonly Told[]): string {
  const counts = new Map<string, number>();
  for (const { code } of told) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([code, count]) => `${code} ${count}`)
    .join(', ');
}

/** 2 for errors, 1 for warnings where they are denied. */
export function toldExit(told: readonly Told[], denyWarnings: boolean): number {
  if (told.some(({ level }) => level === 'error')) return 2;
  return denyWarnings && told.some(({ level }) => level === 'warning') ? 1 : 0;
}

/** The same as JSON, without what is not known. */
export function toldView({ code, level, object, message, hint, at }: Told): object {
  return {
    code,
    severity: level,
    ...(object === '' ? {} : { policy: object }),
    message,
    ...(hint === '' ? {} : { hint }),
    at,
  };
}
