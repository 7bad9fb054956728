/**
 * Security identities: the numbers that stand for label sets (policy.md §12).
 */
import type { LabelSet } from '#kit/labels';

declare const identityBrand: unique symbol;
/** A numeric identity, 32 bits. */
export type Identity = number & { readonly [identityBrand]: true };

/** Identities with a fixed meaning (policy.md §12.1). */
export const RESERVED_IDENTITY = {
  unknown: 0 as Identity,
  host: 1 as Identity,
  world: 2 as Identity,
  unmanaged: 3 as Identity,
  health: 4 as Identity,
  init: 5 as Identity,
  'remote-node': 6 as Identity,
  'kube-apiserver': 7 as Identity,
  ingress: 8 as Identity,
  'world-ipv4': 9 as Identity,
  'world-ipv6': 10 as Identity,
} as const;

/** First number of the node-local scope (CIDR, FQDN, external API server). */
export const IDENTITY_SCOPE_LOCAL = 1 << 24;
/** First number of the remote-node scope (nodes told apart by label or address). */
export const IDENTITY_SCOPE_REMOTE_NODE = 2 << 24;

/** A number and what it stands for. */
export interface IdentityRow {
  readonly id: Identity;
  readonly labels: LabelSet;
}
