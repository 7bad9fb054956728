/**
 * Whether a rule's peers include an address. Works on the address itself: no identity numbers, no prefixes of
 * other rules.
 */
import { assertNever } from '#kit/errors';
import { type Cidr, cidrContainsIp, cidrCovers, hostCidr, type Ip, parseCidrOrIp, parseIp } from '#kit/ip';
import type { Label, LabelSet } from '#kit/labels';
import type { Entity, Peers, PeerSelector, Rule } from '#model';
import {
  backsApiserver,
  cloudGroupSelectors,
  GROUP_NAME,
  groupLabels,
  nameLabels,
  serviceSelectors,
} from './facts.ts';
import { type Peer, selects } from './select.ts';
import type { FlowPeer, World } from './world.ts';

const reserved = (key: string): Label => ({ source: 'reserved', key, value: '' });

/** What a rule can know of a flow's other side. */
export function peerOf(peer: FlowPeer, world: World): Peer {
  if (peer === 'unknown') return { kind: 'unknown', labels: [], addresses: [] };
  return 'bytes' in peer ? peerAt(peer, world) : peerLabelled(peer, world);
}

/** A peer known by the labels of its identity; the world without a prefix of its own is all of its family. */
function peerLabelled({ labels }: LabelSet, { config }: World): Peer {
  const has = (key: string) => labels.some((label) => label.source === 'reserved' && label.key === key);
  const kind = has('host') ? 'host' : has('remote-node') ? 'node' : 'outside';
  const texts = labels.filter((label) => label.source === 'cidr').map((label) => label.key);
  if (texts.length === 0) {
    if (config.ipv4 && has(config.ipv6 ? 'world-ipv4' : 'world')) texts.push('0.0.0.0/0');
    if (config.ipv6 && has(config.ipv4 ? 'world-ipv6' : 'world')) texts.push('::/0');
  }
  return { kind, labels, addresses: texts.map((text) => parseCidrOrIp(text)).filter((c) => c !== undefined) };
}

/** The owner of an address: the node itself, then another node, then an endpoint, else the outside. */
function peerAt(address: Ip, world: World): Peer {
  const { config } = world;
  if (world.localAddresses.some((text) => holds(text, address))) return hostPeer(world);
  const node = world.nodes.find((row) => row.addresses.some((text) => holds(text, address)));
  if (node !== undefined) return nodePeer(node, address, world);
  const endpoint = closestEndpoint(address, world);
  if (endpoint !== undefined) return endpointPeer(endpoint, world);
  const dual = config.ipv4 && config.ipv6;
  const world46 = address.family === 4 ? 'world-ipv4' : 'world-ipv6';
  const labels = [reserved(dual ? world46 : 'world')];
  if (backsApiserver([address], world)) labels.push(reserved('kube-apiserver'));
  const given = [...groupLabels([address], world), ...nameLabels([address], world)];
  return { kind: 'outside', labels: [...labels, ...given], addresses: [hostCidr(address)] };
}

function nodePeer(node: World['nodes'][number], address: Ip, world: World): Peer {
  const { config } = world;
  const labels = [reserved('remote-node')];
  const isMarked = node.labels.labels.some((l) => l.source === 'reserved' && l.key === 'kube-apiserver');
  if (isMarked || backsApiserver([address], world)) labels.push(reserved('kube-apiserver'));
  if (config.nodeSelectorLabels) {
    labels.push(...node.labels.labels.filter((l) => l.source === 'node'));
    labels.push({ source: 'k8s', key: 'io.cilium.k8s.policy.cluster', value: node.cluster });
  }
  if (!config.cidrMatchNodes) return { kind: 'node', labels, addresses: [] };
  labels.push(...groupLabels([address], world), ...nameLabels([address], world));
  return { kind: 'node', labels, addresses: [hostCidr(address)] };
}

/** Where CIDRs may find pods, any address of the endpoint will do. */
function endpointPeer({ labels, addresses }: World['endpoints'][number], world: World): Peer {
  const plain: Peer = { kind: 'endpoint', labels: labels.labels, addresses: [] };
  if (world.config.cidrMatchPods !== true) return plain;
  const own = enabled(addresses, world);
  const groups = groupLabels(own, world);
  return { ...plain, labels: [...labels.labels, ...groups], addresses: own };
}

/** The host is one peer whatever the address: where CIDR rules may match nodes, any of its addresses will do. */
function hostPeer(world: World): Peer {
  const { localAddresses, config, nodeLabels } = world;
  const labels = [reserved('host')];
  const isMarked = nodeLabels.labels.some((l) => l.source === 'reserved' && l.key === 'kube-apiserver');
  const ips = localAddresses.map((text) => parseIp(text)).filter((ip) => ip !== undefined);
  if (isMarked || backsApiserver(ips, world)) labels.push(reserved('kube-apiserver'));
  if (!config.cidrMatchNodes) return { kind: 'host', labels, addresses: [] };
  const own = enabled(localAddresses, world);
  labels.push(...groupLabels(own, world), ...nameLabels(own, world));
  return { kind: 'host', labels, addresses: own };
}

function enabled(addresses: readonly string[], { config }: World): readonly Cidr[] {
  const all = addresses.map((text) => parseCidrOrIp(text)).filter((cidr) => cidr !== undefined);
  return all.filter(({ ip }) => (ip.family === 4 ? config.ipv4 : config.ipv6));
}

function holds(text: string, address: Ip): boolean {
  const cidr = parseCidrOrIp(text);
  return cidr !== undefined && cidrContainsIp(cidr, address);
}

function closestEndpoint(address: Ip, world: World): World['endpoints'][number] | undefined {
  let best: World['endpoints'][number] | undefined;
  let length = -1;
  for (const endpoint of world.endpoints) {
    for (const text of endpoint.addresses) {
      const cidr = parseCidrOrIp(text);
      if (cidr !== undefined && cidr.length > length && cidrContainsIp(cidr, address)) {
        best = endpoint;
        length = cidr.length;
      }
    }
  }
  return best;
}

/** Whether one of the alternatives means the peer. */
export function peersInclude(peers: Peers, peer: Peer, world: World): boolean {
  return peers.kind === 'any' || peers.selectors.some((selector) => selectorIncludes(selector, peer, world));
}

/** The rule with what its selectors stand for: a Service and a prefix may be one selector. */
export function withSelectors(rule: Rule, world: World): Rule {
  if (rule.peers.kind === 'any') return rule;
  const selectors = rule.peers.selectors.flatMap((selector) => standingFor(selector, world));
  return { ...rule, peers: { kind: 'list', selectors } };
}

/** The selectors that one stands for; most for themselves. */
function standingFor(selector: PeerSelector, world: World): readonly PeerSelector[] {
  if (selector.kind === 'service') return serviceSelectors(selector, world);
  return selector.kind === 'cloudGroup' ? cloudGroupSelectors(selector, world) : [selector];
}

function selectorIncludes(selector: PeerSelector, peer: Peer, world: World): boolean {
  if (peer.kind === 'unknown') return isForEveryone(selector);
  switch (selector.kind) {
    case 'labels':
      return selects(selector.selector, peer.labels, peer.addresses);
    case 'entity':
      return isEntity(selector.entity, peer, world);
    case 'cidr':
      return peer.addresses.some(
        (at) => cidrCovers(selector.cidr, at) && !selector.except.some((except) => cidrCovers(except, at)),
      );
    case 'cidrGroup':
      return (
        peer.labels.some((l) => l.source === 'cidrgroup' && l.key.startsWith(GROUP_NAME)) &&
        selects(selector.selector, peer.labels, peer.addresses) &&
        peer.addresses.some((at) => !selector.except.some((except) => cidrCovers(except, at)))
      );
    case 'fqdn':
      return peer.labels.some((l) => l.source === 'fqdn' && l.key === selector.pattern);
    case 'service':
    case 'cloudGroup':
      return standingFor(selector, world).some((one) => selectorIncludes(one, peer, world));
    default:
      return assertNever(selector);
  }
}

function isForEveryone(selector: PeerSelector): boolean {
  if (selector.kind === 'entity') return selector.entity === 'all';
  return selector.kind === 'labels' && selector.selector.requirements.length === 0;
}

/** policy.md §4.3. */
function isEntity(entity: Entity, peer: Peer, { config }: World): boolean {
  const has = (key: string) => peer.labels.some((label) => label.source === 'reserved' && label.key === key);
  switch (entity) {
    case 'all':
      return true;
    case 'none':
      return false;
    case 'world':
      return has('world') || has('world-ipv4') || has('world-ipv6');
    case 'world-ipv4':
      return config.ipv4 && (config.ipv6 ? has('world-ipv4') : has('world'));
    case 'world-ipv6':
      return config.ipv6 && (config.ipv4 ? has('world-ipv6') : has('world'));
    case 'cluster':
      return (
        ['host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].some(has) ||
        peer.labels.some(
          (label) =>
            label.source === 'k8s' &&
            label.key === 'io.cilium.k8s.policy.cluster' &&
            label.value === config.clusterName,
        )
      );
    case 'host':
    case 'remote-node':
    case 'kube-apiserver':
    case 'ingress':
    case 'health':
    case 'init':
    case 'unmanaged':
      return has(entity);
    default:
      return assertNever(entity);
  }
}
