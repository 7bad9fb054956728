/** What the parts are told of the node's configuration: NodeConfig in, settings out, but for the host's name. */
import { hostname } from 'node:os';
import { type Label, type LabelSet, labelSet } from '#kit/labels';
import { formatCidr } from '#kit/ip';
import type { FailsafeConfig } from '#hostfw';
import { requirePatterns } from '#netdev';
import type { AgentTables } from './tables.ts';
import type { NodeRow, PolicyConfig } from '#model';
import type { NodeConfig } from '#model/config';
import type { ManifestSettings } from '#files';
import type { ParseOptions } from '#model/parse';

/** A value that has a default; one without is a mistake in the list of keys. */
function value<K extends keyof NodeConfig['values']>(
  config: NodeConfig,
  key: K,
): NonNullable<NodeConfig['values'][K]> {
  const found = config.values[key];
  if (found === undefined || found === null) throw new Error(`configuration key ${key} has no value`);
  return found;
}

/** What policy means on this node. */
export function policyConfig(config: NodeConfig): PolicyConfig {
  return {
    enforcement: value(config, 'enable-policy'),
    hostFirewall: value(config, 'hostfw.enabled'),
    allowLocalhost: isLocalhostAllowed(config),
    clusterName: value(config, 'cluster-name'),
    ipv4: value(config, 'enable-ipv4'),
    ipv6: value(config, 'enable-ipv6'),
    cidrMatchNodes: value(config, 'policy-cidr-match-mode').includes('nodes'),
    cidrMatchPods: value(config, 'policy-cidr-match-mode').includes('pods'),
    nodeSelectorLabels: value(config, 'enable-node-selector-labels'),
  };
}

/** `auto` is `always` under Kubernetes, whose kubelet probes pods, and `policy` standalone. */
function isLocalhostAllowed(config: NodeConfig): boolean {
  const mode = value(config, 'allow-localhost');
  return mode === 'always' || (mode === 'auto' && config.mode === 'kubernetes');
}

/** How manifests of the directory are to be read. */
export function parseOptions(config: NodeConfig): ParseOptions {
  return {
    source: 'directory',
    clusterName: value(config, 'cluster-name'),
    policyDefaultLocalCluster: value(config, 'policy-default-local-cluster'),
    nonDefaultDenyPolicies: value(config, 'enable-non-default-deny-policies'),
    extendedIpProtocols: value(config, 'enable-extended-ip-protocols'),
    nodeSelectorLabels: value(config, 'enable-node-selector-labels'),
    l7Proxy: value(config, 'enable-l7-proxy'),
    icmpRules: value(config, 'enable-icmp-rules'),
    networkPolicies: value(config, 'enable-k8s-networkpolicy'),
  };
}

/** `devices.requireAll`: error CONFIG_NO_DEVICE when a pattern matches no device of the node. */
export function checkPatterns(tables: AgentTables, { values }: NodeConfig): void {
  if (values['devices.requireAll'] === true) {
    requirePatterns(tables.netdev.links.all(), values['devices.patterns'] ?? []);
  }
}

/** Where manifests are, and how they are read. */
export function manifestSettings(config: NodeConfig): ManifestSettings {
  return {
    paths: value(config, 'sources.directory.paths'),
    perFile: value(config, 'sources.directory.perFile'),
    trustAnyOwner: value(config, 'sources.directory.trustAnyOwner'),
    parse: parseOptions(config),
  };
}

/** The node's labels: those configured and the automatic ones (HF-11.5). */
export function nodeLabels(config: NodeConfig): LabelSet {
  const automatic: readonly (readonly [string, string])[] = [
    ['kubernetes.io/hostname', hostname()],
    ['kubernetes.io/os', 'linux'],
    ['kubernetes.io/arch', process.arch === 'x64' ? 'amd64' : process.arch],
    ...(config.mode === 'standalone' ? [['merlon.io/standalone', 'true'] as const] : []),
  ];
  const all = [...automatic, ...Object.entries(value(config, 'labels'))];
  return labelSet(all.map(([key, v]): Label => ({ source: 'k8s', key, value: v })));
}

/** The known nodes but this one. */
export function peerNodes(config: NodeConfig): readonly NodeRow[] {
  return value(config, 'nodes');
}

/** The failsafe section, or what stands for it. */
export function failsafeConfig(config: NodeConfig): FailsafeConfig {
  const sshFrom = config.values['failsafe.sshFrom'];
  return {
    entries: value(config, 'failsafe.entries'),
    sshFrom: sshFrom?.map((cidr) => (typeof cidr === 'string' ? cidr : formatCidr(cidr))),
  };
}
