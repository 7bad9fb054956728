/** A case's world as the agent of one of its nodes has it. */
import { formatIp, ipFromBytes } from '#kit/ip';
import { type Label, type LabelSet, labelSet } from '#kit/labels';
import {
  type NodeRow,
  type Policy,
  type PolicyConfig,
  type PolicyFacts,
  podLabels,
  RESERVED_IDENTITY,
} from '#model';
import { heldInOrder, identityLabels, labelFilter } from '#policy';
import type { CaseAnswer, CaseConfig, CaseEndpoint, CaseNode, CaseWorld } from './case.ts';
import { DEFAULT_NODE } from './read-world.ts';
import type { NodeWorld, WorldEndpoint } from './view.ts';

/** Name of the health endpoint that every node has. */
export const HEALTH = 'health';

/** Number of the health endpoint, and of the first endpoint that a file lists. */
export const HEALTH_ID = 1;
export const FIRST_ENDPOINT = 2;

/** Policies of this cluster have no subjects in another one. */
export function isLocalCluster(
  row: { readonly cluster: string | undefined },
  { config }: CaseWorld,
): boolean {
  return row.cluster === undefined || row.cluster === config.clusterName;
}

const reserved = (key: string): Label => ({ source: 'reserved', key, value: '' });

/** Every node of the world, the implicit one too. */
export function nodesOf(world: CaseWorld): readonly CaseNode[] {
  const names = new Set(world.nodes.map((node) => node.name));
  const isImplicit = world.nodes.length === 0 || world.endpoints.some((e) => !names.has(e.node));
  const implicit = { name: DEFAULT_NODE, labels: {}, ips: [], cluster: undefined, kubeApiserver: false };
  const nodes = isImplicit && !names.has(DEFAULT_NODE) ? [...world.nodes, implicit] : world.nodes;
  return nodes.map((node, i) => (node.ips.length > 0 ? node : { ...node, ips: [spareAddress(i, world)] }));
}

/** Addresses of an endpoint; one that has none in the file gets one that no file uses. */
export function addressesOf(endpoint: CaseEndpoint, world: CaseWorld): readonly string[] {
  if (endpoint.hostNetwork) return nodesOf(world).find((node) => node.name === endpoint.node)?.ips ?? [];
  if (endpoint.ips.length > 0) return endpoint.ips;
  return [spareAddress(4096 + world.endpoints.indexOf(endpoint), world)];
}

/** Of the blocks that stay reserved for ever: 240.0.0.0/4, or 4000::/3 where there is no IPv4. */
function spareAddress(number: number, { config }: CaseWorld): string {
  const low = [(number >> 8) & 255, number & 255];
  const bytes = config.enableIPv4 ? [250, 0, ...low] : [0x40, ...Array<number>(13).fill(0), ...low];
  const ip = ipFromBytes(Uint8Array.from(bytes));
  return ip === undefined ? '' : formatIp(ip);
}

/** What the agent of `node` decides from. */
export function nodeWorld(world: CaseWorld, policies: readonly Policy[], node: CaseNode): NodeWorld {
  const filter = labelFilter(world.config.labels);
  const endpoints = world.endpoints
    .filter((endpoint) => !endpoint.hostNetwork)
    .map((endpoint): WorldEndpoint => {
      const { name, init, namedPorts } = endpoint;
      const id = world.endpoints.indexOf(endpoint) + FIRST_ENDPOINT;
      const addresses = addressesOf(endpoint, world);
      const isElsewhere = endpoint.node !== node.name || !isLocalCluster(endpoint, world);
      const own = { name, id, addresses, namedPorts, isElsewhere };
      if (init) return { ...own, labels: labelSet([reserved('init')]), identity: RESERVED_IDENTITY.init };
      return { ...own, labels: identityLabels(labelsOf(endpoint, world), filter) };
    });
  const health: WorldEndpoint = {
    name: HEALTH,
    id: HEALTH_ID,
    addresses: [],
    labels: labelSet([reserved('health')]),
    identity: RESERVED_IDENTITY.health,
  };
  const own = {
    node: node.name,
    policies,
    endpoints: [health, ...endpoints],
    nodes: nodesOf(world)
      .filter((other) => other.name !== node.name)
      .map((other) => nodeRow(other, world)),
    localAddresses: node.ips,
    nodeLabels: nodeLabels(node, 'k8s'),
    facts: facts(world, node),
    config: policyConfig(world.config),
  };
  return { ...own, held: heldInOrder(own) };
}

function labelsOf(endpoint: CaseEndpoint, world: CaseWorld): LabelSet {
  const [namespace = ''] = endpoint.name.split('/');
  const namespaceLabels = world.namespaces.find((row) => row.name === namespace)?.labels ?? {};
  return podLabels(
    {
      namespace,
      cluster: endpoint.cluster ?? world.config.clusterName,
      serviceAccount: endpoint.serviceAccount,
      namespaceLabels,
    },
    endpoint.labels,
  );
}

function nodeRow(node: CaseNode, { config }: CaseWorld): NodeRow {
  const { name, ips } = node;
  const labels = nodeLabels(node, 'node');
  return { name, cluster: node.cluster ?? config.clusterName, addresses: ips, labels };
}

/** As subject a node has labels of source k8s, as peer of source node; that it backs the API server is reserved. */
function nodeLabels({ labels, kubeApiserver }: CaseNode, source: 'k8s' | 'node'): LabelSet {
  const own = Object.entries(labels).map(([key, value]) => ({ source, key, value }));
  return labelSet(kubeApiserver ? [...own, reserved('kube-apiserver')] : own);
}

/** Rows of a case have no source or content of their own. */
const ROW = { at: {}, source: 'case', contentHash: '' };

/** Groups, services, answers and the API server's addresses, as the agent's sources would bring them. */
function facts(world: CaseWorld, node: CaseNode): PolicyFacts {
  const named = (name: string) => {
    const [namespace = '', plain = ''] = name.split('/');
    return { key: name, namespace, name: plain };
  };
  return {
    cidrGroups: world.cidrGroups.map(({ name, labels, cidrs }) => ({ name, labels, cidrs, ...ROW })),
    services: world.services.map(({ name, labels, selector, ports }) => ({
      ...named(name),
      labels,
      selector,
      ports,
      ...ROW,
    })),
    endpointSlices: world.services
      .filter(({ selector }) => selector === undefined)
      .map(({ name, backends }) => {
        const row = named(name);
        return { ...row, service: row.name, addresses: backends, ...ROW };
      }),
    names: world.dns
      .filter((answer) => isSeenOn(node, answer, world))
      .flatMap(({ name, ips }) =>
        ips.map((address) => ({ name: name.toLowerCase().replace(/\.$/, ''), address })),
      ),
    cloudGroups: Object.entries(world.config.groups).map(([id, addresses]) => ({
      provider: 'aws',
      id,
      name: id,
      region: '',
      labels: {},
      addresses,
    })),
    apiservers: world.externalApiserver,
  };
}

/** An answer is known on the node of the endpoint that asked; where nobody is said to have asked, on every one. */
function isSeenOn({ name }: CaseNode, { by }: CaseAnswer, { endpoints }: CaseWorld): boolean {
  return by === undefined || endpoints.some((endpoint) => endpoint.name === by && endpoint.node === name);
}

/** The options as the compiler has them. */
function policyConfig(config: CaseConfig): PolicyConfig {
  return {
    enforcement: config.policyEnforcementMode,
    hostFirewall: config.hostFirewall,
    allowLocalhost: config.allowLocalhost !== 'policy',
    clusterName: config.clusterName,
    ipv4: config.enableIPv4,
    ipv6: config.enableIPv6,
    cidrMatchNodes: config.policyCIDRMatchMode.includes('nodes'),
    cidrMatchPods: config.policyCIDRMatchMode.includes('pods'),
    nodeSelectorLabels: config.nodeSelectorLabels,
  };
}
