/** What is valid but not enforced yet; what begins to be enforced needs no line here any more. */

/** A host policy with an annotation. */
export const annotated = (key: string, value: string): string =>
  `{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy, metadata: {name: refused, annotations: {${key}: ${JSON.stringify(value)}}}, spec: {nodeSelector: {}, ingress: [{}]}}\n`;

/** Annotation → a value that is refused. */
export const REFUSED_VALUES: Readonly<Record<string, string>> = {
  'merlon.io/devices': 'eth1,wg+',
  'merlon.io/apply-on-forward': 'true',
  'merlon.io/pre-dnat': 'true',
  'merlon.io/existing-connections': 'keep',
  'merlon.io/deny-response': 'reject',
  'merlon.io/limits': '{}',
};
