/** What is told of the policies in force: computed once for each state of what is enforced. */
import { hostname } from 'node:os';
import { type Condition, FINDINGS, type Finding, hintOf, type StatusFinding } from '#model';
import { type Findings, findingsOf } from '#policy';
import type { Enforced } from '../control.ts';
import type { Grace } from '../grace.ts';
import type { AgentTables } from '../tables.ts';
import type { ViewContext } from './context.ts';

interface Judged {
  /** Revision of the failsafe entries that were judged with. */
  readonly revision: number;
  readonly byKey: ReadonlyMap<string, Findings>;
}

/** Nothing but a memory: what a state was judged to be cannot change. */
const judged = new WeakMap<Enforced, Judged>();

/** What is told of each policy in force, by its key. */
export function currentFindings({ loop, tables, grace }: ViewContext): ReadonlyMap<string, Findings> {
  const { enforced } = loop;
  const { revision } = tables.failsafe;
  if (enforced === undefined) return new Map();
  const known = judged.get(enforced);
  if (known !== undefined && known.revision === revision) return known.byKey;
  const byKey = new Map(judge(enforced, tables).map((one) => [one.policy.key, one]));
  judged.set(enforced, { revision, byKey });
  grace.see(
    [...byKey.values()].flatMap(({ findings }) => findings),
    loop.enforcedMs,
  );
  return byKey;
}

/** No proxy and nobody who authenticates is there yet. */
function judge({ input, identities, compiled }: Enforced, tables: AgentTables): readonly Findings[] {
  const { policies, config, facts } = input;
  const world = { ...input, node: hostname(), failsafe: [...tables.failsafe.all()] };
  const nodes = [{ world, identities, compiled }];
  return [...findingsOf({ policies, nodes, config, facts, isReal: true, hasProxy: false, hasAuth: false })];
}

/** What the status of a policy says of these. */
export function statusOfFindings(
  findings: readonly Finding[],
  grace: Grace,
): { readonly findings: readonly StatusFinding[]; readonly conditions: readonly Condition[] } {
  return {
    findings: findings.map((finding) => statusFinding(finding, grace.isOpen(finding))),
    conditions: conditionsOf(findings.filter((finding) => !grace.isOpen(finding))),
  };
}

function statusFinding({ policy: _, ...finding }: Finding, isSettling: boolean): StatusFinding {
  const { severity } = FINDINGS[finding.code];
  return { ...finding, severity, hint: hintOf(finding), ...(isSettling ? { settling: true } : {}) };
}

/** Whether it makes its policy doubtful: a warning, and nobody can be waited for. */
export function isDoubtful({ severity, settling }: Pick<StatusFinding, 'severity' | 'settling'>): boolean {
  return severity === 'warning' && settling !== true;
}

/** One condition a type: the first finding says why. */
function conditionsOf(findings: readonly Finding[]): readonly Condition[] {
  const byType = new Map<string, Condition>();
  for (const { code, message } of findings) {
    const type = FINDINGS[code].condition;
    if (type === undefined || byType.has(type)) continue;
    byType.set(type, { type, status: 'True', reason: code, message });
  }
  return [...byType.values()];
}
