/**
 * What policies refer to besides labels and addresses: groups of prefixes, Services and their addresses, names
 * learnt from DNS answers, groups of a cloud. Rows of the sources; a policy that refers to what is not there
 * selects nobody by it.
 */
import type { SourceAt } from '#kit/errors';

/** A CiliumCIDRGroup (policy.md §4.1). Key: name. */
export interface CidrGroupRow {
  readonly name: string;
  /** Of its metadata, without Cilium's own keys. */
  readonly labels: Readonly<Record<string, string>>;
  /** Canonical prefixes. */
  readonly cidrs: readonly string[];
  readonly at: SourceAt;
  readonly source: string;
  readonly contentHash: string;
}

/** What policy needs of a Service (policy.md §4.5). Key: `key`. */
export interface ServiceRow {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: its addresses are those of its EndpointSlices. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly ports?: readonly ServicePort[];
  readonly at: SourceAt;
  readonly source: string;
  readonly contentHash: string;
}

/** Where a Service is asked, and where its pods answer. */
export interface ServicePort {
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
  /** The same unless written; a name stands for what each pod gives it. */
  readonly targetPort: number | string;
}

/** What policy needs of an EndpointSlice. Key: `key`. */
export interface EndpointSliceRow {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** Name of its Service, in the same namespace. */
  readonly service: string;
  readonly addresses: readonly string[];
  readonly at: SourceAt;
  readonly source: string;
  readonly contentHash: string;
}

/** An address that a DNS answer gave for a name (policy.md §4.4). Key: both. */
export interface LearntNameRow {
  /** Lower case, without a dot at the end. */
  readonly name: string;
  readonly address: string;
}

/** A security group of a cloud with its members' addresses, as its provider tells (policy.md §4.6). */
export interface CloudGroupRow {
  readonly provider: 'aws';
  readonly id: string;
  readonly name: string;
  readonly region: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly addresses: readonly string[];
}

/** Who tells the members of cloud groups. Without one, a policy that names such a group is refused. */
export interface CloudGroupProvider {
  readonly provider: CloudGroupRow['provider'];
  /** All groups of the account, anew. */
  groups(options: { readonly signal: AbortSignal }): Promise<readonly CloudGroupRow[]>;
}

/** All of it at one moment. */
export interface PolicyFacts {
  readonly cidrGroups: readonly CidrGroupRow[];
  readonly services: readonly ServiceRow[];
  readonly endpointSlices: readonly EndpointSliceRow[];
  readonly names: readonly LearntNameRow[];
  readonly cloudGroups: readonly CloudGroupRow[];
  /** Addresses that back the API server, beside those of `default/kubernetes` (policy.md §4.3). */
  readonly apiservers: readonly string[];
}

export const NO_FACTS: PolicyFacts = {
  cidrGroups: [],
  services: [],
  endpointSlices: [],
  names: [],
  cloudGroups: [],
  apiservers: [],
};

/** Key, source cidrgroup, of the label that each prefix of a group carries; the group's name follows. */
export const LABEL_CIDR_GROUP_NAME = 'io.cilium.policy.cidrgroupname/';

/** Keys of a group's labels that are Cilium's own: no selector sees them. */
const OWN_KEY = /(^|\.)cilium\.io\/|^io\.cilium\./;

/** Of the labels of a group's metadata those that its prefixes carry (policy.md §4.1). */
export function groupLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => !OWN_KEY.test(key)));
}

/** Where the API server answers: what was told, and the addresses of the Service `default/kubernetes`. */
export function apiserverAddresses(facts: PolicyFacts): readonly string[] {
  const slices = facts.endpointSlices.filter((s) => s.namespace === 'default' && s.service === 'kubernetes');
  return [...facts.apiservers, ...slices.flatMap((slice) => slice.addresses)];
}
