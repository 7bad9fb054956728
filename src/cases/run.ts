/** Runs a case: each expectation and rejection with what came of it. */
import { formatAt, formatError, MerlonError } from '#kit/errors';
import { errorFromProblem } from '#model/parse';
import { permits } from '#policy';
import type { Case, CaseVerdict, Expectation, Rejection } from './case.ts';
import { flowText } from './flow-text.ts';
import { CaseRun, type FlowResult, type Side } from './flow.ts';

/** One expectation's outcome. */
export interface Outcome {
  readonly expectation: Expectation;
  readonly flow: string;
  /** Undefined when the backends of a service get different verdicts. */
  readonly got: CaseVerdict | undefined;
  readonly passed: boolean;
  /** Who decided, one line a side. */
  readonly decided: readonly string[];
}

export interface RejectionOutcome {
  readonly rejection: Rejection;
  readonly passed: boolean;
  /** What is wrong: accepted, or refused with this text. */
  readonly detail: string;
}

export interface CaseReport {
  readonly case: Case;
  readonly outcomes: readonly Outcome[];
  readonly rejections: readonly RejectionOutcome[];
}

/** Runs everything. Throws `CASE_REFERENCE`, with the place, for a flow that cannot be. */
export function runCase(given: Case): CaseReport {
  const run = new CaseRun(given.world, given.policies);
  return {
    case: given,
    outcomes: given.expect.map((expectation) => outcomeOf(run, expectation)),
    rejections: given.reject.map((rejection) => rejectionOf(given, rejection)),
  };
}

function outcomeOf(run: CaseRun, expectation: Expectation): Outcome {
  const results = resultsAt(run, expectation);
  const verdicts = new Set(results.map((result) => result.verdict));
  const got = verdicts.size === 1 ? results[0]?.verdict : undefined;
  const decided = [...new Set(results.flatMap((result) => decidedBy(result, run)))];
  return { expectation, flow: flowText(expectation.flow), got, passed: got === expectation.verdict, decided };
}

function resultsAt(run: CaseRun, { flow, at }: Expectation): readonly FlowResult[] {
  try {
    return run.results(flow);
  } catch (cause) {
    if (!(cause instanceof MerlonError)) throw cause;
    throw new MerlonError(cause.code, cause.message, { cause, at, hint: cause.hint });
  }
}

function decidedBy(result: FlowResult, run: CaseRun): string[] {
  const to = result.via === undefined ? '' : `${result.via}: `;
  if (result.because !== undefined) return [`${to}${result.because}`];
  const places = rulePlaces(run);
  return result.sides.map((side) => `${to}${sideText(side, places)}`);
}

/** Where each rule stands. */
function rulePlaces(run: Pick<CaseRun, 'policies'>): ReadonlyMap<string, string> {
  const rules = run.policies.flatMap((policy) => policy.specs.flatMap((spec) => spec.rules));
  return new Map(rules.map((rule) => [rule.id, formatAt(rule.at)]));
}

/** `ingress of shop/backend: allow by shop/rule/0/ingress/0 (allow.yaml:9:7)`. */
function sideText(side: Side, places: ReadonlyMap<string, string>): string {
  const who = `${side.direction} of ${side.subjectName}`;
  const { verdict, origin } = side.cell;
  if (origin.length === 0) return `${who}: no policy, open`;
  const by = origin.map((id) => (places.get(id) ? `${id} (${places.get(id)})` : id)).join(', ');
  return `${who}: ${verdict === 'default-deny' ? 'default deny of' : `${verdict} by`} ${by}${proxyText(side)}`;
}

/** What the proxy makes of the request, if there is one. */
function proxyText({ cell: { proxy }, request }: Side): string {
  if (proxy === undefined || request === undefined) return '';
  return permits(proxy, request) ? ', and its proxy lets it pass' : ', but its proxy refuses it';
}

function rejectionOf(given: Case, rejection: Rejection): RejectionOutcome {
  const objects = given.objects.filter((object) => object.name === rejection.policy);
  const accepted = objects.some((object) => object.problems.length === 0);
  const text = objects
    .flatMap((object) => object.problems)
    .map((problem) => formatError(errorFromProblem(problem)))
    .join('\n');
  if (accepted) return { rejection, passed: false, detail: 'it is accepted' };
  // A pattern with `g` or `y` would remember where it last matched.
  const pattern = new RegExp(rejection.error.source, rejection.error.flags.replace(/[gy]/g, ''));
  return { rejection, passed: pattern.test(text), detail: text };
}
