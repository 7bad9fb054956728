/** The selectors of a world's policies, with whom they mean on each node, by number and by name. */
import { type Identity } from '#model';
import { parseCidrOrIp } from '#kit/ip';
import { selectorUses } from '#policy';
import { peerTexts, possibleIdentities } from './peer-text.ts';
import type { NodeView, WorldEndpoint } from './view.ts';

export interface SelectorView {
  /** Name of the node whose agent sees it so. */
  readonly node: string;
  readonly selector: string;
  /** `subject`: whom policies are about, of this node; `peer`: whom rules name. */
  readonly role: 'subject' | 'peer';
  /** The objects that it stands in, as `kind/namespace/name`. */
  readonly labels: readonly string[];
  /** How many rules, or specs of subjects, use it. */
  readonly users: number;
  readonly identities: readonly Identity[];
  /** The same, by name. */
  readonly names: readonly string[];
  readonly rules: readonly { readonly id: string; readonly file?: string; readonly line?: number }[];
}

/** `keys`: only selectors of these policies; undefined: of all. */
export function selectorsOf(view: NodeView, keys?: ReadonlySet<string>): readonly SelectorView[] {
  const { world } = view;
  const policies = world.policies.filter(({ key }) => keys?.has(key) ?? true);
  const possible = new Set(possibleIdentities(view));
  const own = world.endpoints.filter((endpoint) => endpoint.isElsewhere !== true);
  const byId = new Map(own.map((endpoint) => [endpoint.id, identityOf(view, endpoint)]));
  return selectorUses({
    ...world,
    // What is held is in force beside what files say.
    ...(keys === undefined ? {} : { held: new Map() }),
    policies,
    endpoints: own,
    identities: view.identities.filter(({ id }) => possible.has(id)),
    identityOf: (id) => byId.get(id),
  }).map(({ selector, role, owners, users, identities }) => ({
    node: world.node,
    selector,
    role,
    labels: owners,
    users: users.length,
    identities,
    names: peerTexts(view, new Set(identities), false),
    rules: users.map(({ id, at: { file, line } }) => ({
      id,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    })),
  }));
}

function identityOf(view: NodeView, { identity, addresses }: WorldEndpoint): Identity | undefined {
  const [address] = addresses;
  const ip = address === undefined ? undefined : parseCidrOrIp(address)?.ip;
  return identity ?? (ip === undefined ? undefined : view.identityOf(ip).identity);
}
