/**
 * The policy compiler. Rows in: accepted policies, identities with their labels, endpoints, the node's labels,
 * configuration. Rows out: rule sets as matrices over identity classes and port classes (`compiled.ts`), and,
 * from policies and addresses, the ipcache and identities that the matrices speak of (`prefixes.ts`).
 *
 * Stages, each a function of the one before: selectors (which identities a peer list means), classes (what no
 * list tells apart), rule sets (which specs meet in a subject) and matrices (what they decide).
 *
 * Invariants: pure; the order of input rows never matters; all precedence is resolved here, so that the
 * datapath looks up one cell; a class is named by its meaning, so that numbers may keep their history elsewhere.
 */
export * from './compiled.ts';
export { CompileMemo, type CompileInput, compile } from './compile.ts';
export { canonicalDump } from './dump.ts';
export { directPeers, expandPolicies } from './expand.ts';
export type { PrefixLabels } from './extra-labels.ts';
export { egressPorts, NO_NAMED_PORTS, type NamedPorts, portsOfSubject, resolvePorts } from './named-ports.ts';
export {
  type FindingInput,
  type Findings,
  findingsOf,
  type SeenEndpoint,
  type SeenNode,
} from './findings/index.ts';
export { type Judge, judge, judgeOf } from './judge.ts';
export {
  conflictsOf,
  heldInOrder,
  heldPolicies,
  policiesInForce,
  type PolicyHistory,
} from './held.ts';
export { identityLabels, type LabelFilter, labelFilter } from './identity-labels.ts';
export {
  EMPTY_NUMBERING,
  type IdentityScope,
  type Numbering,
  numberingPast,
  renumber,
  type WantedIdentity,
} from './numbering.ts';
export { portIndex, portOfIndex } from './port-index.ts';
export { permits, type ProxyAlternative, type ProxyRuleSet } from './proxy.ts';
export type { EndpointAddresses } from './claims.ts';
export {
  type PrefixInput,
  prefixIdentities,
  PrefixMemo,
  type PrefixOutput,
} from './prefixes.ts';
export { ORIGIN_ALWAYS, ORIGIN_INIT, ORIGIN_LOCALHOST } from './ruleset.ts';
export { type SelectorUse, selectorUses } from './selector-uses.ts';
export {
  type HeldPolicies,
  type PolicySubject,
  type Selection,
  selectionsOf,
  type SubjectId,
} from './selection.ts';
