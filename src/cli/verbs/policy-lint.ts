/** `merlon policy lint`: advice on policies that are valid, with a stable code for each kind of finding. */
import {
  applied,
  type Closing,
  closings,
  documentsOf,
  type FlowWorld,
  lint,
  type LintWorld,
  type NodeView,
} from '#cases';
import { MerlonError } from '#kit/errors';
import { FINDINGS, type Policy, policyTitle, PROBLEM_KINDS, STANDALONE_POLICY_CONFIG } from '#model';
import { DEFAULT_PARSE_OPTIONS, isOtherKind, type ManifestObject } from '#model/parse';
import { asOneSet, readJudged, workloadsOf } from '../policy-files.ts';
import { sarif } from '../sarif.ts';
import {
  inPlace,
  objectTitle,
  type Told,
  toldCodes,
  toldExit,
  toldFinding,
  toldProblem,
  toldSum,
  toldText,
  toldView,
} from '../told.ts';
import type { Progress } from '../progress.ts';
import { type Context, type Options, type Run, text } from '../verb.ts';
import { worldOf } from '../world.ts';

export const run: Run = async (context, files, options) => {
  if (options['codes'] === true) {
    if (context.extraFormat === undefined) return codes(context);
    throw new MerlonError('USAGE', `-o ${context.extraFormat} is for findings, not for --codes`);
  }
  if (files.length === 0) {
    throw new MerlonError('USAGE', 'name the files or directories to judge', {
      hint: '- reads standard input',
    });
  }
  if (text(options, 'world') !== undefined && options['agent'] === true) {
    throw new MerlonError('USAGE', '--world and --agent are two worlds', { hint: 'choose one' });
  }
  const isInWorld = text(options, 'world') !== undefined || options['agent'] === true;
  const world = isInWorld ? await worldOf(context, options) : undefined;
  const judged = await judge(context, files, world, text(options, 'world') !== undefined);
  const { count, others, told, opened } = judged;
  const code = toldExit(told, options['denyWarnings'] === true);
  if (context.extraFormat === 'sarif') {
    await context.output.line(JSON.stringify(sarif('merlon policy lint', told, code), null, 2));
    return code;
  }
  const view = {
    policies: count,
    otherObjects: others,
    findings: told.map(toldView),
    ...(world === undefined ? {} : { becomesDefaultDeny: opened }),
  };
  await context.output.value(view, () => report(context, options, judged));
  return code;
};

interface Judged {
  /** Policies that were judged, and objects of other kinds, as those of a rendered chart. */
  readonly count: number;
  readonly others: number;
  readonly told: readonly Told[];
  readonly opened: readonly Closing[];
}

/** With a bar while it lasts, which is gone before anything is printed. */
async function judge(
  context: Context,
  files: readonly string[],
  world: FlowWorld | undefined,
  isCase: boolean,
): Promise<Judged> {
  using progress = context.output.progress('judging policies');
  const all = await readJudged(files, { ...(world?.parse ?? DEFAULT_PARSE_OPTIONS), signal: context.signal });
  const objects = asOneSet(all.filter(({ kind }) => !isOtherKind(kind)));
  const { policies } = documentsOf(objects);
  const after = world?.with(applied(world.policies, policies)).views();
  const told = inPlace([...ofObjects(objects), ...ofPolicies(progress, policies, lintWorld(objects, after))]);
  const opened = after === undefined ? [] : closings(before(world, policies, isCase), after);
  return { count: policies.length, others: all.length - objects.length, told, opened };
}

/** A case file often has the policies already: what they bring is held against the world without them. */
function before(
  world: FlowWorld | undefined,
  given: readonly Policy[],
  isCase: boolean,
): readonly NodeView[] {
  if (world === undefined) return [];
  const keys = new Set(given.map(({ key }) => key));
  return (isCase ? world.with(world.policies.filter(({ key }) => !keys.has(key))) : world).views();
}

function lintWorld(objects: readonly ManifestObject[], views: readonly NodeView[] | undefined): LintWorld {
  if (views !== undefined) return { kind: 'views', views };
  const around = {
    config: STANDALONE_POLICY_CONFIG,
    facts: documentsOf(objects).facts,
    endpoints: workloadsOf(objects),
  };
  return { kind: 'none', around };
}

/** What the parser says; of a policy that is valid its findings tell it. */
function ofObjects(objects: readonly ManifestObject[]): readonly Told[] {
  return objects.flatMap((object) => {
    const title = objectTitle(object);
    const isJudged = object.value?.kind === 'policy';
    return [
      ...object.problems.map((problem) => toldProblem(problem, title)),
      ...(isJudged ? [] : object.warnings.map((warning) => toldFinding(warning, title))),
    ];
  });
}

function ofPolicies(progress: Progress, policies: readonly Policy[], world: LintWorld): readonly Told[] {
  const told: Told[] = [];
  let done = 0;
  progress.show(done, policies.length);
  for (const { policy, findings } of lint(policies, world)) {
    told.push(...findings.map((finding) => toldFinding(finding, policyTitle(policy))));
    progress.show(++done, policies.length);
  }
  return told;
}

function report(context: Context, options: Options, { count, others, told, opened }: Judged): string {
  const quiet = options['quiet'] === true;
  const lines = toldText(told, { quiet, paint: (style, word) => context.output.paint(style, word) });
  if (quiet) return lines;
  const kinds = new Set(told.map(({ code }) => code)).size;
  const codes = kinds > 1 && kinds < told.length ? ` (${toldCodes(told)})` : '';
  const rest = others === 0 ? '' : `; ${others} of other kinds left out`;
  const sum = `${count} ${count === 1 ? 'policy' : 'policies'}, ${toldSum(told)}${codes}${rest}\n`;
  return [lines, ...opened.map(closingText), sum].join('');
}

/** Most names of one list that are shown to people. */
const MOST_NAMES = 6;

/** `3 endpoints become default deny at ingress: shop/web, …`. */
function closingText({ direction, endpoints, infrastructure, nodes }: Closing): string {
  const line = (names: readonly string[], one: string, more: string): string => {
    if (names.length === 0) return '';
    const rest = names.length - MOST_NAMES;
    const list = `${names.slice(0, MOST_NAMES).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
    const verb = names.length === 1 ? `${one} becomes` : `${more} become`;
    return `${names.length} ${verb} default deny at ${direction}: ${list}\n`;
  };
  return [
    line(endpoints, 'endpoint', 'endpoints'),
    line(infrastructure, 'infrastructure endpoint', 'infrastructure endpoints'),
    line(nodes, 'node', 'nodes'),
  ].join('');
}

/** Every code with what it means and how to mend it. */
async function codes({ output }: Context): Promise<void> {
  const findings = Object.entries(FINDINGS).map(([code, kind]) => ({ code, ...kind }));
  const problems = Object.entries(PROBLEM_KINDS).map(([code, kind]) => ({
    code,
    severity: 'error',
    ...kind,
  }));
  await output.rows(
    [...findings, ...problems],
    [
      { title: 'CODE', cell: (row) => row.code },
      { title: 'SEVERITY', cell: (row) => row.severity },
      { title: 'WHAT', cell: (row) => row.what, wraps: true },
      { title: 'MEND', cell: (row) => row.mend, wraps: true },
    ],
    'no codes',
  );
}
