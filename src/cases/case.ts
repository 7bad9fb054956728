/** What a case file says: a small world, policies, and what must come of named flows. Nothing is compiled yet. */
import type { SourceAt } from '#kit/errors';
import type { EnforcementMode, NamedPort, Policy, ServicePort } from '#model';
import type { ManifestObject } from '#model/parse';

/** Agent options of a case, by the names that Helm values have. */
export interface CaseConfig {
  readonly policyEnforcementMode: EnforcementMode;
  readonly auditMode: boolean;
  readonly enableIPv4: boolean;
  readonly enableIPv6: boolean;
  readonly clusterName: string;
  readonly policyDefaultLocalCluster: boolean;
  readonly allowLocalhost: 'always' | 'auto' | 'policy';
  readonly hostFirewall: boolean;
  readonly nodeSelectorLabels: boolean;
  readonly policyCIDRMatchMode: readonly string[];
  readonly extendedIPProtocols: boolean;
  readonly nonDefaultDenyPolicies: boolean;
  readonly l7Proxy: boolean;
  readonly icmpRules: boolean;
  readonly k8sNetworkPolicy: boolean;
  readonly allowIcmpFragNeeded: boolean;
  /** Entries of the label filter beside the default ones. */
  readonly labels: readonly string[];
  /** Security-group id → addresses. */
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly authenticatedPairs: readonly (readonly [from: string, to: string])[];
}

/** Equal to a Kubernetes cluster's. */
export const DEFAULT_CASE_CONFIG: CaseConfig = {
  policyEnforcementMode: 'default',
  auditMode: false,
  enableIPv4: true,
  enableIPv6: true,
  clusterName: 'default',
  policyDefaultLocalCluster: true,
  allowLocalhost: 'always',
  hostFirewall: false,
  nodeSelectorLabels: false,
  policyCIDRMatchMode: [],
  extendedIPProtocols: false,
  nonDefaultDenyPolicies: true,
  l7Proxy: true,
  icmpRules: true,
  k8sNetworkPolicy: true,
  allowIcmpFragNeeded: true,
  labels: [],
  groups: {},
  authenticatedPairs: [],
};

type Labels = Readonly<Record<string, string>>;

export interface CaseNode {
  readonly name: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly cluster: string | undefined;
  readonly kubeApiserver: boolean;
}

export interface CaseNamespace {
  readonly name: string;
  readonly labels: Labels;
}

export interface CaseEndpoint {
  /** `namespace/name`. */
  readonly name: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly node: string;
  readonly cluster: string | undefined;
  readonly hostNetwork: boolean;
  readonly serviceAccount: string;
  readonly namedPorts: readonly NamedPort[];
  /** Labels not resolved yet. */
  readonly init: boolean;
}

export interface CaseService {
  /** `namespace/name`. */
  readonly name: string;
  readonly labels: Labels;
  /** Absent: selectorless. */
  readonly selector: Labels | undefined;
  readonly ports: readonly ServicePort[];
  readonly clusterIP: string | undefined;
  readonly backends: readonly string[];
}

export interface CaseCidrGroup {
  readonly name: string;
  readonly labels: Labels;
  readonly cidrs: readonly string[];
}

export interface CaseAnswer {
  readonly name: string;
  readonly ips: readonly string[];
  readonly by: string | undefined;
}

/** Members that need no name (spec of cases, “A flow”). */
export const CASE_ENTITIES = [
  'world',
  'host',
  'remote-node',
  'kube-apiserver',
  'health',
  'ingress',
  'init',
  'unmanaged',
] as const;
export type CaseEntity = (typeof CASE_ENTITIES)[number];

/** One side of a flow as it is written. */
export type CaseParty =
  | { readonly kind: 'endpoint'; readonly name: string }
  | { readonly kind: 'ip'; readonly ip: string }
  | { readonly kind: 'node'; readonly name: string }
  | { readonly kind: 'entity'; readonly entity: CaseEntity }
  | { readonly kind: 'service'; readonly name: string };

/** What a proxy would see of the flow. */
export type CaseRequest =
  | {
      readonly kind: 'http';
      readonly method: string;
      readonly path: string;
      readonly host: string;
      readonly headers: Labels;
      /** Of the TLS connection that the request came by, where somebody can read it. */
      readonly sni?: string;
    }
  | { readonly kind: 'kafka'; readonly apiKey: string; readonly topic: string | undefined }
  | { readonly kind: 'dns'; readonly name: string }
  | { readonly kind: 'sni'; readonly name: string };

export const CASE_VERDICTS = ['allow', 'redirect', 'deny', 'audit'] as const;
export type CaseVerdict = (typeof CASE_VERDICTS)[number];

/** A packet that travels from `from` to `to`. */
export interface CaseFlow {
  readonly from: CaseParty;
  readonly to: CaseParty;
  /** IANA number. */
  readonly protocol: number;
  /** Destination port, or the type of ICMP; undefined for protocols without either. */
  readonly port: number | undefined;
  readonly icmpCode: number | undefined;
  readonly ct: 'new' | 'established' | 'reply' | 'related';
  readonly request: CaseRequest | undefined;
  readonly direction: 'ingress' | 'egress' | 'both';
}

export interface Expectation {
  readonly at: SourceAt;
  readonly flow: CaseFlow;
  readonly verdict: CaseVerdict;
  readonly why: string | undefined;
  readonly unsure: boolean;
}

/** A policy that must be refused, and how. */
export interface Rejection {
  readonly at: SourceAt;
  /** metadata.name */
  readonly policy: string;
  readonly error: RegExp;
}

/** The world of a case: who is there. Also what `--world` files hold. */
export interface CaseWorld {
  readonly config: CaseConfig;
  readonly nodes: readonly CaseNode[];
  readonly namespaces: readonly CaseNamespace[];
  readonly endpoints: readonly CaseEndpoint[];
  readonly services: readonly CaseService[];
  readonly cidrGroups: readonly CaseCidrGroup[];
  readonly externalApiserver: readonly string[];
  readonly dns: readonly CaseAnswer[];
}

/** A case file, complete. */
export interface Case {
  readonly file: string;
  readonly name: string;
  readonly source: string | undefined;
  readonly world: CaseWorld;
  /** Every object of the case, the refused ones too. */
  readonly objects: readonly ManifestObject[];
  /** Those that were accepted. */
  readonly policies: readonly Policy[];
  readonly expect: readonly Expectation[];
  readonly reject: readonly Rejection[];
}
