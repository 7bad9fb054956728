/** The whole compiler: subjects, then classes, then matrices. */
import type { LabelSet } from '#kit/labels';
import type { IdentityRow, Policy, PolicyConfig } from '#model';
import { identityClasses, type PortList, portClasses } from './classes.ts';
import type { CompiledPolicy } from './compiled.ts';
import type { PeerList } from './match.ts';
import { ruleSetImage } from './matrix.ts';
import { compareText } from '#kit/order';
import { indexLabels } from './selectors.ts';
import { type PolicySubject, type RuleSet, subjectsOf } from './subjects.ts';

/** Everything that compiled policy depends on. Order does not matter anywhere. */
export interface CompileInput {
  readonly policies: readonly Policy[];
  /** Every identity in use, the reserved ones too. */
  readonly identities: readonly IdentityRow[];
  readonly endpoints: readonly PolicySubject[];
  /** Labels of this node, against which node selectors are matched. */
  readonly nodeLabels: LabelSet;
  readonly config: PolicyConfig;
}

/** Compiles everything. Only policies that select a subject of this node count. Throws `POLICY_NO_ROOM`. */
export function compile(input: CompileInput): CompiledPolicy {
  const { config } = input;
  const subjects = subjectsOf(input.policies, input.endpoints, input.nodeLabels, config);
  const all = [subjects.host, ...subjects.ruleSets];
  const identities = [...input.identities].sort((a, b) => a.id - b.id);
  const index = indexLabels(
    identities.map((row) => row.labels),
    config,
  );
  const axes = {
    identities: identityClasses(peerLists(all), identities, index),
    ports: portClasses(portLists(all)),
  };
  return {
    identityClasses: axes.identities.classes,
    portClasses: axes.ports.classes,
    host: ruleSetImage(subjects.host, axes),
    ruleSets: subjects.ruleSets.map((ruleSet) => ruleSetImage(ruleSet, axes)),
    endpoints: subjects.endpoints,
  };
}

function peerLists(ruleSets: readonly RuleSet[]): PeerList[] {
  return distinctLists(rulesOf(ruleSets).map((rule) => rule.peers));
}

function portLists(ruleSets: readonly RuleSet[]): PortList[] {
  return distinctLists(rulesOf(ruleSets).map((rule) => rule.ports));
}

function rulesOf(ruleSets: readonly RuleSet[]) {
  return ruleSets.flatMap(({ directions }) => [...directions.ingress.rules, ...directions.egress.rules]);
}

/** Each list once, without wildcards, sorted by name. */
function distinctLists<L extends { readonly name: string; readonly wildcard: boolean }>(lists: L[]): L[] {
  const byName = new Map(lists.filter((list) => !list.wildcard).map((list) => [list.name, list]));
  return [...byName.values()].sort((a, b) => compareText(a.name, b.name));
}
