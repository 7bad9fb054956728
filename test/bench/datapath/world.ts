/**
 * The little world that the datapath is measured in: addresses, one pod, peers, and policy with as many rules
 * as asked for in one table of the node's and one of the pod's.
 */
import { labelSet } from '#kit/labels';
import { type Identity, podLabels, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import {
  compile,
  type CompiledPolicy,
  EMPTY_NUMBERING,
  identityLabels,
  labelFilter,
  prefixIdentities,
} from '#policy';
import type { IpcacheRow } from '#model';
import type { Family } from './packets.ts';

/** Who is where. */
export const NODE: Readonly<Record<Family, string>> = { 4: '192.0.2.1', 6: '2001:db8:2::1' };
export const POD: Readonly<Record<Family, string>> = { 4: '10.200.0.7', 6: '2001:db8:200::7' };
/** The first of many peers; they differ in the last 32 bits. */
export const PEER: Readonly<Record<Family, string>> = { 4: '10.64.0.0', 6: '2001:db8:64::' };
export const PEER_FIRST: Readonly<Record<Family, number>> = { 4: 0x0a400000, 6: 0 };
/** The first of those that are seen for the first time. */
export const STRANGER_FIRST: Readonly<Record<Family, number>> = { 4: 0x0a600000, 6: 0x60000000 };
/** An address beyond the node, by its route. */
export const BEYOND = '203.0.113.9';

/** Ports: allowed inbound, allowed outbound, allowed by nobody. */
export const OPEN = 80;
export const OUTBOUND = 443;
export const CLOSED = 81;

const POD_IDENTITY = 30007 as Identity;
/** Two identities that policy treats alike; peers change from one to the other and back. */
export const CHURN_IDENTITIES = [40001 as Identity, 40002 as Identity] as const;

const PEERS = { fromCIDR: ['10.64.0.0/10', '2001:db8:64::/48'] };
const TO_PEERS = { toCIDR: ['10.64.0.0/10', '2001:db8:64::/48'] };
/** In the pod's namespace and in the node's policy alike. */
const CHURN = { matchLabels: { app: 'churn', 'k8s:io.kubernetes.pod.namespace': 'bench' } };
const tcp = (port: number) => [{ ports: [{ port: String(port), protocol: 'TCP' }] }];

/** Rules beside those that the scenarios meet: single peers, each with one of so many ports. */
function fillers(count: number, salt: number, ports: number): unknown[] {
  return Array.from({ length: count }, (_, i) => {
    const address = i % 2 === 0 ? `10.1.${i >> 8}.${i & 255}/32` : `2001:db8:1::${i.toString(16)}/128`;
    return { fromCIDR: [address], toPorts: tcp(2000 + ((i + salt) % ports)) };
  });
}

/** Most rules of one object: what a file may hold of one is bounded. */
const RULES_AN_OBJECT = 2000;

/** Four rules of use, and fillers up to `rules`, in objects of some thousand. */
function specs(rules: number, salt: number, ports: number): readonly object[] {
  const all = fillers(rules - 4, salt, ports);
  const more = Array.from({ length: Math.ceil(all.length / RULES_AN_OBJECT) }, (_, i) => ({
    ingress: all.slice(i * RULES_AN_OBJECT, (i + 1) * RULES_AN_OBJECT),
  }));
  const used = {
    ingress: [
      { ...PEERS, toPorts: tcp(OPEN) },
      { fromEndpoints: [CHURN], toPorts: tcp(OPEN) },
    ],
    egress: [
      { ...TO_PEERS, toPorts: tcp(OUTBOUND) },
      { toEndpoints: [CHURN], toPorts: tcp(OUTBOUND) },
    ],
  };
  return [used, ...more];
}

/** One document a text. */
function manifests(rules: number, salt: number, ports: number): readonly string[] {
  const host = specs(rules, salt, ports).map((spec, i) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumClusterwideNetworkPolicy',
    metadata: { name: `node-${i}` },
    spec: { nodeSelector: {}, ...spec },
  }));
  const pod = specs(rules, 0, ports).map((spec, i) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: `pod-${i}`, namespace: 'bench' },
    spec: { endpointSelector: { matchLabels: { app: 'web' } }, ...spec },
  }));
  return [...host, ...pod].map((object) => JSON.stringify(object));
}

/** What the kernel is to be told. */
export interface World {
  readonly rules: number;
  readonly compiled: CompiledPolicy;
  readonly ipcache: readonly IpcacheRow[];
}

/** Endpoint id of the pod. */
export const POD_ID = 7;

/**
 * `rules` counts those of one subject, both directions. Another `salt`: other ports of
 * all but four of the node's. With `ports` in the hundreds tables are kept in blocks. */
export function worldOf(rules: number, salt = 0, ports = 16): World {
  const policies = manifests(rules, salt, ports).flatMap((text) => parsePolicies(text));
  const labels = identityLabels(
    podLabels({ namespace: 'bench', cluster: 'default' }, { app: 'web' }),
    labelFilter(),
  );
  const churn = identityLabels(
    podLabels({ namespace: 'bench', cluster: 'default' }, { app: 'churn' }),
    labelFilter(),
  );
  const config = STANDALONE_POLICY_CONFIG;
  const { ipcache, identities } = prefixIdentities({
    policies,
    nodes: [],
    endpoints: [{ addresses: [POD[4], POD[6]], labels, identity: POD_IDENTITY }],
    localAddresses: [NODE[4], NODE[6]],
    config,
    numbering: EMPTY_NUMBERING,
  });
  const compiled = compile({
    policies,
    identities: [...identities, ...CHURN_IDENTITIES.map((id) => ({ id, labels: churn }))],
    endpoints: [{ id: POD_ID, labels }],
    nodeLabels: labelSet([]),
    config,
  });
  return { rules, compiled, ipcache };
}

/** The pod as an endpoint's row. */
export const POD_ENDPOINT = {
  id: POD_ID,
  name: 'web',
  namespace: 'bench',
  identity: POD_IDENTITY,
  addresses: [POD[4], POD[6]],
} as const;
