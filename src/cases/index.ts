/**
 * Worlds on paper. Texts and snapshots in: case files, policies, what an agent has. Answers out: what came of
 * expected flows, why a flow gets its verdict, what two sets of policies differ in, advice.
 *
 * A world is seen from one node at a time, as an agent sees it: `view.ts` runs the compiler that fills the
 * datapath and looks its tables up as the datapath does. Everything else asks that view.
 *
 * Invariants: pure; the verdict of every tool is that of the compiled tables, never one of its own.
 */
export { applied, appliedFacts, documentsOf } from './candidate.ts';
export type { Case, CaseFlow, CaseVerdict, CaseWorld, Expectation } from './case.ts';
export { type Difference, diffPolicies, type Side as DiffSide } from './diff.ts';
export type { Hook, NodeFacts, Stage } from './path.ts';
export { concluded, explain, type Explanation } from './explain.ts';
export { flowText } from './flow-text.ts';
export { CaseRun, type FlowResult, type FlowWorld, type Side } from './flow.ts';
export {
  type Documents,
  documentsDigest,
  type Generation,
  generationFromText,
  type GenerationHead,
  generationHead,
  generationToText,
  historyOf,
  policyToText,
} from './generation.ts';
export { representativeWorlds } from './representatives.ts';
export { type Closing, closings, lint, type LintWorld } from './lint.ts';
export { type CaseResult, parseOptions, readCase, type ReadPolicyFile } from './read.ts';
export { flowProtocol, icmpType, partyFromText } from './read-flow.ts';
export { type CaseReport, type Outcome, type RejectionOutcome, runCase } from './run.ts';
export { selectorsOf, type SelectorView } from './selectors.ts';
export {
  type PacketDetails,
  type Snapshot,
  snapshotFromJson,
  SnapshotRun,
  snapshotToJson,
} from './snapshot.ts';
export { type TextChange, textChanges } from './text-diff.ts';
export { type NodeView, type NodeWorld, viewOf, type WorldEndpoint } from './view.ts';
