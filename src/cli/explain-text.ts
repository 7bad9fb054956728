/** Explanations as JSON and as text. */
import stringWidth from 'string-width';
import { explain, type Explanation, type FlowResult, type Hook } from '#cases';
import { shortLabels } from './labels.ts';

export interface SideView extends Explanation {
  readonly subject: string;
  readonly peerName: string;
  readonly node: string;
  readonly result: string;
  readonly reason?: string;
  readonly withProxy?: string;
}

export interface ResultView {
  readonly verdict: string;
  readonly via?: string;
  readonly because?: string;
  /** The hooks it comes by, each with its stages in order; on a running node only. */
  readonly path?: readonly Hook[];
  readonly sides: readonly SideView[];
}

export function resultView({ verdict, via, because, path, sides }: FlowResult): ResultView {
  return {
    verdict,
    ...(via === undefined ? {} : { via }),
    ...(because === undefined ? {} : { because }),
    ...(path === undefined ? {} : { path }),
    sides: sides.map((side) => ({
      subject: side.subjectName,
      peerName: side.peerName,
      node: side.view.world.node,
      result: side.verdict,
      ...(side.reason === undefined ? {} : { reason: side.reason }),
      ...(side.withProxy === undefined ? {} : { withProxy: side.withProxy }),
      ...explain(side),
    })),
  };
}

/** Each verdict once, for a closing line. */
export const verdictsText = (results: readonly ResultView[]): string =>
  [...new Set(results.map((result) => result.verdict))].join(', ');

export function resultText(result: ResultView): string {
  const via = result.via === undefined ? '' : `\nto ${result.via}\n`;
  const body = result.path === undefined ? result.sides.map(sideText) : pathText(result, result.path);
  const why = result.because ?? (result.path && decisive(result.path));
  return `${via}${body.join('')}\nverdict: ${result.verdict}${why === undefined ? '' : ` (${why})`}\n`;
}

/** What ended it: the reason of a refusal, or what stands above policy. */
function decisive(path: readonly Hook[]): string | undefined {
  const last = path.at(-1)?.stages.at(-1);
  if (last?.outcome === 'dropped') return last.reason;
  return last?.outcome === 'passes' ? last.stage : undefined;
}

/** Every stage on a line; below that of policy, the rules. */
function pathText({ sides }: ResultView, path: readonly Hook[]): readonly string[] {
  const told = new Set<SideView>();
  const hooks = path.map(({ where, stages }) => {
    const lines = stages.map(({ stage, what, outcome, reason, subject }) => {
      const end = outcome === 'dropped' ? `, ${reason}` : '';
      const side =
        subject === undefined ? undefined : sides.find((one) => what.startsWith(`${titleOf(one)}:`));
      if (side !== undefined) told.add(side);
      return `  ${stage.padEnd(10)} ${what}${end}\n${side === undefined ? '' : rulesText(side, '    ')}`;
    });
    return `\n${where}\n${lines.join('')}`;
  });
  const rest = sides.filter((side) => !told.has(side));
  return [...hooks, ...rest.map((side) => `\nnot asked: ${titleOf(side)}; ${aloneText(side)}\n`)];
}

const titleOf = ({ direction, subject }: SideView): string => `${direction} of ${subject}`;

/** What policy would say if nothing stood above it. */
function aloneText(side: SideView): string {
  if (!isAsked(side)) return 'no policy selects it';
  return `alone it says ${side.verdict}${byWhom(side)}`;
}

function sideText(side: SideView): string {
  const head = `\n${side.direction} of ${side.subject} on ${side.node}: ${side.result}\n`;
  return `${head}${rulesText(side, '  ')}${isAsked(side) ? '' : '  no policy is asked: open\n'}`;
}

/** Policies in audit are asked, too. */
function isAsked({ enforced, policies }: SideView): boolean {
  return enforced || policies.length > 0;
}

/** Who the other side is, what selects the subject, each rule, the default, the outcome. */
function rulesText(side: SideView, indent: string): string {
  const { peer } = side;
  const prefix = peer.prefix === undefined ? '' : `, known by ${peer.prefix}`;
  const lines = [
    `peer ${side.peerName} is identity ${peer.identity}${prefix}`,
    `  ${shortLabels(peer.labels).join(' ')}`,
    ...(isAsked(side) ? policyLines(side) : []),
  ];
  return lines.map((line) => `${indent}${line}\n`).join('');
}

function policyLines(side: SideView): readonly string[] {
  const lines: string[] = [];
  for (const spec of side.policies) {
    const words = [
      ...(spec.defaultDeny ? ['default deny'] : []),
      ...(spec.staged === true ? ['in audit'] : []),
    ];
    lines.push([`selected by ${spec.policy} (${spec.at})`, ...words].join(', '));
    for (const rule of spec.rules) {
      const mark = rule.matches ? 'match   ' : 'no match';
      lines.push(`  ${mark} ${rule.verdict} ${rule.id} (${rule.at})`);
      if (rule.failed !== undefined) lines.push(`           ${rule.failed.field}: ${rule.failed.why}`);
    }
  }
  const { verdict, by } = side.otherwise;
  lines.push(`otherwise: ${verdict}${by.length === 0 ? '' : `, says ${by.join(', ')}`}`);
  lines.push(`${side.verdict}${byWhom(side)}`);
  if (side.staged !== undefined)
    lines.push(`with the policies in audit: ${side.staged.verdict}${byWhom(side.staged)}`);
  if (side.proxy !== undefined) lines.push(...proxyLines(side.proxy));
  if (side.withProxy !== undefined) {
    lines.push(`no proxy serves it yet, so it is refused (${side.reason}); with one: ${side.withProxy}`);
  }
  if (side.auth !== undefined) lines.push(`once both ends are authenticated: ${side.auth}`);
  return lines;
}

/** Most rules of a proxy that are told. */
const MOST_PROXY_RULES = 12;

/** Where it goes and what may be asked there; with a request what became of it, by the rules that match first. */
function proxyLines({ parser, letsAllPass, rules }: NonNullable<SideView['proxy']>): readonly string[] {
  if (letsAllPass) return [`to the proxy for ${parser}, which lets every request pass`];
  if (rules.length === 0) return [`to the proxy for ${parser}`];
  const isAsked = rules.some(({ matches }) => matches !== undefined);
  const passing = rules.filter(({ matches }) => matches === true);
  const what = !isAsked ? 'lets pass' : passing.length > 0 ? 'lets it pass' : 'refuses it';
  const sorted = [...passing, ...rules.filter(({ matches }) => matches !== true)];
  const shown = sorted.slice(0, MOST_PROXY_RULES).map(({ rule, matches }) => {
    const mark = matches === undefined ? '' : matches ? 'match    ' : 'no match ';
    return `  ${mark}${rule}`;
  });
  const more = rules.length - shown.length;
  const rest = more > 0 ? [`  and ${more} more`] : [];
  return [`to the proxy for ${parser}, which ${what}:`, ...shown, ...rest];
}

function byWhom(of: Pick<SideView, 'decidedBy'>): string {
  return of.decidedBy.length === 0 ? '' : ` by ${decidedText(of)}`;
}

function decidedText({ decidedBy }: Pick<SideView, 'decidedBy'>): string {
  return decidedBy.map(({ id, at }) => (at === undefined ? id : `${id} (${at})`)).join(', ');
}

/** Where a line is too long for the terminal, files are told by their own names alone. */
export function fitting(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) =>
      stringWidth(line) <= width ? line : line.replaceAll(/\(\/[^()\s]*\/([^/()\s]+:\d)/g, '($1'),
    )
    .join('\n');
}
