/** SARIF 2.1.0, which code review tools read: what was found in manifests, with a rule for every code. */
import { createHash } from 'node:crypto';
import { isAbsolute, relative, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { VERSION } from '#kit/version';
import { FINDINGS, PROBLEM_KINDS } from '#model';
import type { Level, Told } from './told.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';

interface SarifRule {
  readonly id: string;
  readonly level: Level;
  readonly what: string;
  readonly mend: string;
}

function rules(): readonly SarifRule[] {
  const problems = Object.entries(PROBLEM_KINDS).map(([id, { what, mend }]) => ({
    id,
    level: 'error' as const,
    what,
    mend,
  }));
  const findings = Object.entries(FINDINGS).map(([id, { severity, what, mend }]) => ({
    id,
    level: severity,
    what,
    mend,
  }));
  return [...problems, ...findings];
}

/** One run of `verb`; `exitCode` is what the program ends with. */
export function sarif(verb: string, results: readonly Told[], exitCode: number): unknown {
  const all = rules();
  const indexes = new Map(all.map(({ id }, i) => [id, i]));
  return {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'merlon',
            fullName: verb,
            version: VERSION,
            semanticVersion: VERSION,
            rules: all.map(ruleView),
          },
        },
        columnKind: 'utf16CodeUnits',
        invocations: [{ executionSuccessful: true, exitCode }],
        results: results.map((result) => resultView(result, indexes.get(result.code))),
      },
    ],
  };
}

function ruleView({ id, level, what, mend }: SarifRule): unknown {
  return {
    id,
    shortDescription: { text: what },
    fullDescription: { text: `${what} ${mend}` },
    help: { text: `${what} ${mend}`, markdown: `${what}\n\n**To mend it:** ${mend}` },
    defaultConfiguration: { level },
  };
}

function resultView(told: Told, ruleIndex: number | undefined): unknown {
  const { code, level, object, message, hint, at } = told;
  const region = { startLine: at.line ?? 1, startColumn: at.column ?? 1 };
  const about = object === '' ? '' : `${object}: `;
  return {
    ruleId: code,
    ...(ruleIndex === undefined ? {} : { ruleIndex }),
    level,
    message: { text: `${about}${message}${hint === '' ? '' : ` (${hint})`}` },
    locations: [
      {
        physicalLocation: { artifactLocation: artifact(at.file ?? 'standard input'), region },
        ...(object === '' ? {} : { logicalLocations: [{ fullyQualifiedName: object, kind: 'object' }] }),
      },
    ],
    partialFingerprints: { 'merlon/v1': fingerprint(told) },
  };
}

/** Files below the working directory are found from the root of the source tree; others are on this machine only. */
function artifact(file: string): { readonly uri: string; readonly uriBaseId?: string } {
  const inside = relative('', file);
  if (isAbsolute(inside) || inside.split(sep)[0] === '..') return { uri: pathToFileURL(file).href };
  return { uri: inside.split(sep).map(encodeURIComponent).join('/'), uriBaseId: '%SRCROOT%' };
}

/**
 * The same after lines were added above, and on every machine: from the file, the object and what is said, never
 * from line numbers.
 */
function fingerprint({ code, object, message, at }: Told): string {
  const where = `${artifact(at.file ?? '').uri} ${at.path ?? ''}`;
  return createHash('sha256').update([code, object, where, message].join('\n')).digest('hex').slice(0, 32);
}
