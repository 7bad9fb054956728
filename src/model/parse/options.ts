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
}

/** The defaults of NodeConfig, for tools and tests. */
export const DEFAULT_PARSE_OPTIONS: ParseOptions = {
  source: 'directory',
  clusterName: 'default',
  policyDefaultLocalCluster: true,
  nonDefaultDenyPolicies: true,
  extendedIpProtocols: false,
};
