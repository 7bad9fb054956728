/** One object for each thing that is valid but not enforced yet; what begins to be enforced needs none any more. */
const policy = (spec: string): string =>
  `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: refused}, spec: {endpointSelector: {}, ${spec}}}\n`;
const ports = (more: string): string =>
  policy(`ingress: [{toPorts: [{ports: [{port: "443", protocol: TCP}], ${more}}]}]`);

/** Name in `REFUSED_FIELDS` → text of a manifest that uses the field. */
export const REFUSED_OBJECTS: Readonly<Record<string, string>> = {
  fromNodes: policy('ingress: [{fromNodes: [{}]}]'),
  fromGroups: policy('ingress: [{fromGroups: [{aws: {region: a}}]}]'),
  toServices: policy('egress: [{toServices: [{k8sService: {serviceName: a}}]}]'),
  toFQDNs: policy('egress: [{toFQDNs: [{matchName: example.com}]}]'),
  cidrGroupRef: policy('ingress: [{fromCIDRSet: [{cidrGroupRef: a}]}]'),
  cidrGroupSelector: policy('ingress: [{fromCIDRSet: [{cidrGroupSelector: {matchLabels: {a: b}}}]}]'),
  authentication: policy('ingress: [{authentication: {mode: required}}]'),
  http: ports('rules: {http: [{}]}'),
  kafka: ports('rules: {kafka: [{topic: a}]}'),
  dns: policy('egress: [{toPorts: [{ports: [{port: "53"}], rules: {dns: [{matchPattern: "*"}]}}]}]'),
  l7proto: ports('rules: {l7proto: envoy}'),
  l7: ports('rules: {l7proto: envoy, l7: [{a: b}]}'),
  serverNames: ports('serverNames: [example.com]'),
  terminatingTLS: ports('terminatingTLS: {secret: {name: a}}'),
  originatingTLS: ports('originatingTLS: {secret: {name: a}}'),
  listener: policy(
    'egress: [{toPorts: [{ports: [{port: "80"}], listener: {name: a, envoyConfig: {name: b}}}]}]',
  ),
};

/** A host policy with an annotation. */
export const annotated = (key: string, value: string): string =>
  `{apiVersion: cilium.io/v2, kind: CiliumClusterwideNetworkPolicy, metadata: {name: refused, annotations: {${key}: ${JSON.stringify(value)}}}, spec: {nodeSelector: {}, ingress: [{}]}}\n`;

/** Annotation → a value that is refused. */
export const REFUSED_VALUES: Readonly<Record<string, string>> = {
  'merlon.io/enforcement': 'audit',
  'merlon.io/devices': 'eth1,wg+',
  'merlon.io/apply-on-forward': 'true',
  'merlon.io/pre-dnat': 'true',
  'merlon.io/existing-connections': 'keep',
  'merlon.io/deny-response': 'reject',
  'merlon.io/limits': '{}',
};
