/** What parsing needs to know of the node's configuration. */

/** Settings that change what a manifest means; keys of NodeConfig in brackets. */
export interface ParseOptions {
  /** Name of the source that the objects come from, for example `directory`. */
  readonly source: string;
  /** `cluster-name`. */
  readonly clusterName: string;
  /** `policy-default-local-cluster`: peers are of this cluster unless they name one. */
  readonly policyDefaultLocalCluster: boolean;
  /** `enable-non-default-deny-policies`: off, `enableDefaultDeny: false` has no effect. */
  readonly nonDefaultDenyPolicies: boolean;
  /** `enable-extended-ip-protocols`: pod policies may leave the port empty. */
  readonly extendedIpProtocols: boolean;
  /** `enable-node-selector-labels`: rules may select nodes by their labels; false when absent. */
  readonly nodeSelectorLabels?: boolean;
  /** `enable-l7-proxy`; true when absent. */
  readonly l7Proxy?: boolean;
  /** `enable-icmp-rules`; true when absent. */
  readonly icmpRules?: boolean;
  /** `enable-k8s-networkpolicy`; true when absent. */
  readonly networkPolicies?: boolean;
  /** Clouds whose groups somebody tells; none when absent. */
  readonly cloudGroupProviders?: readonly string[];
}

/** The defaults of NodeConfig, for tools and tests. */
export const DEFAULT_PARSE_OPTIONS: ParseOptions = {
  source: 'directory',
  clusterName: 'default',
  policyDefaultLocalCluster: true,
  nonDefaultDenyPolicies: true,
  extendedIpProtocols: false,
};
