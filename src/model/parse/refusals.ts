/**
 * Everything that is valid for the API but not enforced yet: an object that uses one of these is refused as a
 * whole, so that nothing is ever enforced in part. The lists are closed; a test has a case for each entry.
 */

/** Kinds of objects that manifest directories will hold. */
export const REFUSED_KINDS = [
  { kind: 'CiliumLoadBalancerIPPool', apiVersions: ['cilium.io/v2', 'cilium.io/v2alpha1'] },
  { kind: 'CiliumNode', apiVersions: ['cilium.io/v2'] },
  { kind: 'NodeConfig', apiVersions: ['merlon.io/v1'] },
] as const;

/**
 * merlon's annotations on policies (host-firewall.md HF-10.8). All belong to host policies. `accepted` values
 * are what happens anyway; `refused` ones come later (`true`: every other value that `pattern` admits).
 */
export const POLICY_ANNOTATIONS: Readonly<
  Record<string, { readonly values: string; readonly pattern: RegExp; readonly accepted: readonly string[] }>
> = {
  'merlon.io/enforcement': {
    values: 'enforce or audit',
    pattern: /^(enforce|audit)$/,
    accepted: ['enforce', 'audit'],
  },
  'merlon.io/devices': {
    values: 'device patterns with commas between',
    pattern: /^[^\s,]+(,[^\s,]+)*$/,
    accepted: [],
  },
  'merlon.io/apply-on-forward': { values: '"true"', pattern: /^true$/, accepted: [] },
  'merlon.io/pre-dnat': { values: '"true"', pattern: /^true$/, accepted: [] },
  'merlon.io/existing-connections': { values: 'keep', pattern: /^keep$/, accepted: [] },
  'merlon.io/deny-response': { values: 'none or reject', pattern: /^(none|reject)$/, accepted: ['none'] },
  'merlon.io/limits': { values: 'JSON', pattern: /^\s*[[{]/, accepted: [] },
};

/** merlon's annotations that belong to other kinds: on a policy or workload each is an error. */
export const OTHER_ANNOTATIONS: Readonly<Record<string, string>> = {
  'merlon.io/icmp': 'Service',
  'merlon.io/min-local-backends': 'Service',
  'merlon.io/pool': 'Service and Gateway',
  'merlon.io/retain-ip': 'Service',
  'merlon.io/preferred-nodes': 'Service',
  'merlon.io/bgp-max-nodes': 'Service',
  'merlon.io/priority': 'CiliumLoadBalancerIPPool',
  'merlon.io/auto-assign': 'CiliumLoadBalancerIPPool',
  'merlon.io/avoid-buggy-ips': 'CiliumLoadBalancerIPPool',
};
