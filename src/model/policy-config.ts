/**
 * The agent options that change what policy means, resolved from the node's configuration.
 */

/** policy.md §8.1: `enable-policy`. */
export type EnforcementMode = 'default' | 'always' | 'never';

/** What compiler and oracle must know of the configuration; nothing here changes at run time but by a reload. */
export interface PolicyConfig {
  readonly enforcement: EnforcementMode;
  /** The host firewall feature: without it host policies are ignored. */
  readonly hostFirewall: boolean;
  /** The local host may always reach local pods, but for explicit deny (policy.md §8.4); false standalone. */
  readonly allowLocalhost: boolean;
  readonly clusterName: string;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** `policy-cidr-match-mode` has `nodes` (HF-4.3). */
  readonly cidrMatchNodes: boolean;
  /** `policy-cidr-match-mode` has `pods`; false when absent. */
  readonly cidrMatchPods?: boolean;
  /** `enable-node-selector-labels`: nodes are told apart by their labels. */
  readonly nodeSelectorLabels: boolean;
}

/** Defaults of the standalone mode. */
export const STANDALONE_POLICY_CONFIG: PolicyConfig = {
  enforcement: 'default',
  hostFirewall: true,
  allowLocalhost: false,
  clusterName: 'default',
  ipv4: true,
  ipv6: true,
  cidrMatchNodes: true,
  nodeSelectorLabels: false,
};
