/** What findings are judged from: policies, and the nodes as their agents see them. */
import type { LabelSet } from '#kit/labels';
import type { FailsafeRow, IdentityRow, NodeRow, Policy, PolicyConfig, PolicyFacts } from '#model';
import type { CompiledPolicy } from '../compiled.ts';
import type { HeldPolicies, PolicySubject } from '../selection.ts';

/** An endpoint that a node knows of. */
export interface SeenEndpoint extends PolicySubject {
  /** As people know it; its number where it has none. */
  readonly name?: string;
  readonly namespace?: string;
  readonly addresses: readonly string[];
  /** On another node: it is a peer here and no subject. */
  readonly isElsewhere?: boolean;
}

/** `namespace/name`; of what has no namespace the name, of what has neither its number. */
export function endpointTitle({ id, name, namespace }: SeenEndpoint): string {
  if (name === undefined) return String(id);
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** One node as its agent sees it. */
export interface SeenNode {
  readonly world: {
    /** Name of the node. */
    readonly node?: string;
    readonly endpoints: readonly SeenEndpoint[];
    /** Other nodes. */
    readonly nodes: readonly NodeRow[];
    readonly localAddresses: readonly string[];
    readonly nodeLabels: LabelSet;
    readonly failsafe?: readonly FailsafeRow[];
    readonly held?: HeldPolicies;
  };
  readonly identities: readonly IdentityRow[];
  readonly compiled: CompiledPolicy;
}

export interface FindingInput {
  readonly policies: readonly Policy[];
  readonly nodes: readonly SeenNode[];
  readonly config: PolicyConfig;
  readonly facts?: PolicyFacts | undefined;
  /** False: the nodes were made up for these policies, so who is missing there says nothing. */
  readonly isReal: boolean;
  /** Whether a proxy serves what the rules ask for. */
  readonly hasProxy: boolean;
  /** Whether anybody authenticates pairs of identities. */
  readonly hasAuth: boolean;
}
