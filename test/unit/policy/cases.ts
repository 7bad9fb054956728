/** Policies as people write them, in a small world with names: what tables of cases are written in. */
import { parseIp } from '#kit/ip';
import { labelSet } from '#kit/labels';
import { NO_FACTS, podLabels, type PolicyConfig, type PolicyFacts, STANDALONE_POLICY_CONFIG } from '#model';
import { parsePolicies } from '#model/parse';
import { evaluate, type Flow, type World } from '#oracle';
import { compileWorld } from './compiled-world.ts';

/** Who can be a peer, by name. `client` shares the namespace of the subject, `stranger` does not. */
const PEERS = {
  client: '10.244.0.2',
  stranger: '10.244.0.3',
  node: '10.0.0.2',
  host: '10.0.0.1',
  world: '203.0.113.9',
  world6: '2001:db8::9',
  metadata: '169.254.169.254',
} as const;
export type PeerName = keyof typeof PEERS;

const pod = (namespace: string, app: string) => podLabels({ namespace, cluster: 'default' }, { app });

const PARSE = { extendedIpProtocols: true, nodeSelectorLabels: true, cloudGroupProviders: ['aws'] };

const NODE_B = labelSet([{ source: 'node', key: 'zone', value: 'b' }]);

const tcp = (name: string, port: number) => ({ name, protocol: 6, port });

/** Subject 1 is `app=web` in namespace shop, 2 the client, 3 the stranger. */
export function world(
  policies: string,
  config: Partial<PolicyConfig> = {},
  facts: Partial<PolicyFacts> = {},
): World {
  return {
    policies: policies === '' ? [] : parsePolicies(policies, PARSE),
    endpoints: [
      {
        id: 1,
        addresses: ['10.244.0.1', 'fd00::1'],
        labels: pod('shop', 'web'),
        namedPorts: [tcp('http', 8080), tcp('shared', 9000), { ...tcp('dns', 5353), protocol: 17 }],
      },
      {
        id: 2,
        addresses: ['10.244.0.2', 'fd00::2'],
        labels: pod('shop', 'client'),
        namedPorts: [tcp('http', 8080), tcp('shared', 9001)],
      },
      { id: 3, addresses: ['10.244.0.3', 'fd00::3'], labels: pod('wiki', 'client') },
    ],
    nodes: [{ name: 'node-b', cluster: 'default', addresses: ['10.0.0.2'], labels: NODE_B }],
    localAddresses: ['10.0.0.1'],
    nodeLabels: labelSet([{ source: 'node', key: 'role', value: 'worker' }]),
    config: { ...STANDALONE_POLICY_CONFIG, ...config },
    facts: { ...NO_FACTS, ...facts },
  };
}

/** `spec` of a CiliumNetworkPolicy in namespace shop that selects the subject, in YAML flow style. */
export function policy(spec: string, name = 'rule'): string {
  return `---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}, namespace: shop}
spec: {endpointSelector: {matchLabels: {app: web}}, ${spec}}
`;
}

/** `spec` of a CiliumClusterwideNetworkPolicy; write its selector. */
export function clusterPolicy(spec: string, name = 'rule'): string {
  return `---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: ${name}}
spec: {${spec}}
`;
}

/** `spec` of a NetworkPolicy in namespace shop; write its podSelector. */
export function networkPolicy(spec: string, name = 'rule'): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: ${name}, namespace: shop}
spec: {${spec}}
`;
}

/** `TCP:80`, `ICMP:8`, `UDP:?` (unknown port), `47`. */
export type Service = `${string}`;

const PROTOCOLS: Readonly<Record<string, number>> = {
  ICMP: 1,
  TCP: 6,
  UDP: 17,
  ICMPv6: 58,
  SCTP: 132,
  VRRP: 112,
};

/** A flow of the subject (1 unless said otherwise). */
export function flow(
  direction: Flow['direction'],
  peer: PeerName,
  service: Service,
  subject: Flow['subject'] = 1,
): Flow {
  const address = parseIp(PEERS[peer]);
  const [name = '', port] = service.split(':');
  if (address === undefined) throw new Error(`no address for ${peer}`);
  return {
    subject,
    direction,
    peer: address,
    protocol: PROTOCOLS[name] ?? Number(name),
    port: port === undefined || port === '?' ? undefined : Number(port),
  };
}

/** Asks the compiled tables and the oracle; they must agree, and what they agree on is returned. */
export function asker(
  of: World,
): (flow: Flow) => { readonly verdict: string; readonly rules: readonly string[] } {
  const { cellOf } = compileWorld(of);
  return (asked) => {
    const cell = cellOf(asked);
    const want = evaluate(of, asked);
    if (cell.verdict !== want.verdict || cell.origin.join() !== want.rules.join()) {
      throw new Error(
        `tables say ${cell.verdict} (${cell.origin.join()}), oracle ${want.verdict} (${want.rules.join()})`,
      );
    }
    return { verdict: cell.verdict, rules: cell.origin };
  };
}

/** The peers that the subject may hear from (or reach) by this service, in the order of the names above. */
export function allowedPeers(
  of: World,
  direction: Flow['direction'],
  service: Service,
  subject?: Flow['subject'],
): string {
  const ask = asker(of);
  return (Object.keys(PEERS) as PeerName[])
    .filter((peer) => ask(flow(direction, peer, service, subject)).verdict === 'allow')
    .join(' ');
}
