/** `merlon policy lint`: advice on policies that are valid, with a stable code for each kind of finding. */
import { applied, type Finding, LINT_CODES, lint, type LintCode } from '#cases';
import { errorView } from '#api/client';
import { formatAt } from '#kit/errors';
import { DEFAULT_PARSE_OPTIONS, errorFromProblem, type ManifestObject } from '#model/parse';
import { readObjects } from '../policy-files.ts';
import { type Run, text } from '../verb.ts';
import { worldOf } from '../world.ts';

export const run: Run = async (context, files, options) => {
  const isInWorld = text(options, 'world') !== undefined || options['agent'] === true;
  const world = isInWorld ? await worldOf(context, options) : undefined;
  const objects = readObjects(files, world?.parse ?? DEFAULT_PARSE_OPTIONS);
  const policies = objects.flatMap(({ value }) => (value?.kind === 'policy' ? [value.policy] : []));
  const views = world?.with(applied(world.policies, policies)).views();
  const findings = [...objects.flatMap(warnings), ...lint(policies, views)];
  if (context.extraFormat === 'sarif') await context.output.line(JSON.stringify(sarif(findings), null, 2));
  else {
    const sum = { policies: policies.length, findings };
    await context.output.value(
      sum,
      () => findings.map(findingText).join('') + closing(policies.length, findings),
    );
  }
  return findings.length > 0 && options['denyWarnings'] === true ? 1 : 0;
};

/** What the parser accepts but doubts; what has a code of its own is told by that. */
function warnings(object: ManifestObject): readonly Finding[] {
  return object.warnings
    .filter(({ message }) => !message.includes('port rule without ports'))
    .map((warning) => {
      const { message, hint } = errorView(errorFromProblem(warning));
      const policy = object.namespace === undefined ? object.name : `${object.namespace}/${object.name}`;
      const at = { code: 'accepted-with-warning' as const, policy: policy ?? '', message, at: warning.at };
      return hint === undefined ? at : { ...at, hint };
    });
}

function findingText({ code, policy, message, at, hint }: Finding): string {
  const more = hint === undefined ? '' : `\n    ${hint}`;
  return `${formatAt(at)}: ${policy}: ${message} [${code}]${more}\n`;
}

function closing(policies: number, findings: readonly Finding[]): string {
  const sum = `${policies} ${policies === 1 ? 'policy' : 'policies'}`;
  return findings.length === 0
    ? `${sum}, no findings\n`
    : `${sum}, ${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}\n`;
}

/** SARIF 2.1.0, which code review tools read. */
function sarif(findings: readonly Finding[]): unknown {
  const codes = Object.keys(LINT_CODES) as LintCode[];
  return {
    version: '2.1.0',
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    runs: [
      {
        tool: {
          driver: {
            name: 'merlon policy lint',
            rules: codes.map((id) => ({ id, shortDescription: { text: LINT_CODES[id] } })),
          },
        },
        results: findings.map(({ code, policy, message, at, hint }) => ({
          ruleId: code,
          ruleIndex: codes.indexOf(code),
          level: 'warning',
          message: { text: `${policy}: ${message}${hint === undefined ? '' : `; ${hint}`}` },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: at.file ?? 'standard input' },
                region: { startLine: at.line ?? 1, startColumn: at.column ?? 1 },
              },
            },
          ],
        })),
      },
    ],
  };
}
