/**
 * The selectors of policies, for people: each once, with the rules that use it and the identities that it means
 * now. Subjects stand apart from peers: a subject means endpoints of this node, a peer everybody.
 */
import {
  type Identity,
  type IdentityRow,
  NO_FACTS,
  type PeerSelector,
  policyPath,
  type PolicySpec,
  RESERVED_IDENTITY,
} from '#model';
import type { SourceAt } from '#kit/errors';
import { compareText } from '#kit/order';
import { directPeers } from './expand.ts';
import { policiesInForce } from './held.ts';
import { labelsText, type PeerList, peerListOf, selectorText } from './match.ts';
import { specRefs } from './ruleset.ts';
import { selectsNode, type SubjectInput } from './selection.ts';
import { LabelIndex } from './selectors.ts';

export interface SelectorUse {
  /** Canonical: equal texts mean the same. */
  readonly selector: string;
  readonly role: 'subject' | 'peer';
  /** Whose it is, as `kind/namespace/name` or `kind/name`, each once. */
  readonly owners: readonly string[];
  /** Ids of rules, of subjects `title/specIndex`, with their places. */
  readonly users: readonly { readonly id: string; readonly at: SourceAt }[];
  /** Those of the subjects or of the peers, ascending. */
  readonly identities: readonly Identity[];
}

export interface SelectorInput extends SubjectInput {
  readonly identities: readonly IdentityRow[];
  /** The identity of an endpoint of this node by its number. */
  readonly identityOf: (endpoint: number) => Identity | undefined;
}

/** Selectors of the policies in force, subjects before peers, in the order of their keys and rules. */
export function selectorUses(input: SelectorInput): readonly SelectorUse[] {
  const uses = new Map<string, Draft>();
  const meaning = new Meaning(input);
  const add = (draft: Omit<Draft, 'owners' | 'users'>, owner: string, id: string, at: SourceAt): void => {
    const key = `${draft.role} ${draft.selector}`;
    const known = uses.get(key) ?? { ...draft, owners: new Set(), users: new Map() };
    uses.set(key, known);
    known.owners.add(owner);
    known.users.set(id, at);
  };
  const policies = [...policiesInForce(input)].sort((a, b) => compareText(a.key, b.key));
  for (const policy of policies) {
    const owner = policyPath(policy);
    for (const { label, spec } of specRefs(policy)) {
      const { subject } = spec;
      const selector = `${subject.kind === 'node' ? 'node ' : ''}${labelsText(subject.selector)}`;
      const identities = (): readonly Identity[] => meaning.ofSubject(spec);
      add({ selector, role: 'subject', identities }, owner, label, policy.at);
    }
    for (const rule of policy.specs.flatMap(({ rules }) => rules)) {
      if (rule.peers.kind === 'any') continue;
      for (const peer of rule.peers.selectors) {
        const identities = (): readonly Identity[] => meaning.ofPeer(peer);
        add({ selector: peerText(peer), role: 'peer', identities }, owner, rule.id, rule.at);
      }
    }
  }
  const isSubject = ({ role }: Draft): boolean => role === 'subject';
  const drafts = [...uses.values()];
  return [...drafts.filter(isSubject), ...drafts.filter((draft) => !isSubject(draft))].map(finished);
}

interface Draft {
  readonly selector: string;
  readonly role: SelectorUse['role'];
  readonly owners: Set<string>;
  readonly users: Map<string, SourceAt>;
  readonly identities: () => readonly Identity[];
}

function finished({ selector, role, owners, users, identities }: Draft): SelectorUse {
  return {
    selector,
    role,
    owners: [...owners],
    users: [...users].map(([id, at]) => ({ id, at })),
    identities: [...new Set(identities())].sort((a, b) => a - b),
  };
}

/** What selectors mean here. */
class Meaning {
  readonly #input: SelectorInput;
  readonly #subjects: LabelIndex;
  readonly #peers: LabelIndex;

  constructor(input: SelectorInput) {
    this.#input = input;
    this.#subjects = new LabelIndex(input.config);
    this.#peers = new LabelIndex(input.config);
    for (const { id, labels } of input.endpoints) this.#subjects.add(id, labels);
    for (const { id, labels } of input.identities) this.#peers.add(id, labels);
  }

  ofSubject(spec: PolicySpec): readonly Identity[] {
    const { nodeLabels, identityOf } = this.#input;
    if (selectsNode(spec, nodeLabels)) return [RESERVED_IDENTITY.host];
    if (spec.subject.kind === 'node') return [];
    return this.#subjects.matching(spec.subject.selector).flatMap((id) => identityOf(id) ?? []);
  }

  ofPeer(peer: PeerSelector): readonly Identity[] {
    const selectors = directPeers(peer, this.#input.facts ?? NO_FACTS);
    const list: PeerList = peerListOf({ kind: 'list', selectors });
    if (list.wildcard) return this.#input.identities.map(({ id }) => id);
    return [...this.#peers.membersOf(list)] as Identity[];
  }
}

function peerText(peer: PeerSelector): string {
  switch (peer.kind) {
    case 'service': {
      const { namespace, by } = peer;
      const what = 'name' in by ? by.name : labelsText(by.selector);
      return `service ${namespace === undefined ? '' : `${namespace}/`}${what}`;
    }
    case 'cloudGroup': {
      const { provider, ids, names, region, labels } = peer;
      const words = [...ids, ...names, region, ...Object.entries(labels).map(([k, v]) => `${k}=${v}`)];
      return `group ${[provider, ...words.filter((word) => word !== undefined)].join(' ')}`;
    }
    default:
      return selectorText(peer);
  }
}
