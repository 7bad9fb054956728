/**
 * A node with an agent, for tests that look at merlon as its operator does: from the command line.
 *
 *   peer 192.0.2.2 ── node 192.0.2.1 ── web 10.1.0.10, client 10.1.0.11 (endpoints)
 *
 * Every address has an IPv6 twin. The host policy admits the peer's network to port 22, the policy of `web`
 * admits `client` to port 80, and nothing else.
 */
import { join } from 'node:path';
import { type AgentOptions, type LabAgent, startAgent, type Topology, topology } from '#lab';

/** The built program. */
export const PROGRAM =
  process.env['MERLON_PROGRAM'] ?? join(import.meta.dirname, '../../../build/bin/merlon');

export type HostName = 'node' | 'peer' | 'web' | 'client';

/** What the bed's node enforces; each on the lines that tests name. */
export const POLICIES = {
  'host.yaml': `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata:
  name: host
spec:
  nodeSelector: {}
  enableDefaultDeny:
    egress: false
  ingress:
    - fromCIDR:
        - 192.0.2.0/24
        - 2001:db8::/64
      toPorts:
        - ports:
            - port: "22"
              protocol: TCP
`,
  'web.yaml': `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: web
spec:
  endpointSelector:
    matchLabels:
      app: web
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: client
      toPorts:
        - ports:
            - port: "80"
              protocol: TCP
`,
} as const;

export interface Bed extends AsyncDisposable {
  readonly net: Topology<HostName>;
  agent: LabAgent;
}

/** The configuration that the bed's agent starts with. */
export function configOf(net: Topology<HostName>): Readonly<Record<string, unknown>> {
  return {
    apiVersion: 'merlon.io/v1',
    kind: 'NodeConfig',
    sources: { directory: { paths: [net.hosts.node.dirs?.manifestsDir] } },
    failsafe: { sshFrom: ['203.0.113.7/32'] },
  };
}

/** Builds it, starts the agent and adds the endpoints. */
export async function operatorBed(name: string, options: Partial<AgentOptions> = {}): Promise<Bed> {
  await using stack = new AsyncDisposableStack();
  const net = stack.use(
    await topology<HostName>({
      name,
      hosts: { node: { isNode: true, forward: true }, peer: {}, web: {}, client: {} },
      links: [
        {
          ends: [
            { host: 'node', addresses: ['192.0.2.1/24', '2001:db8::1/64'], gateways: ['192.0.2.2'] },
            {
              host: 'peer',
              addresses: ['192.0.2.2/24', '2001:db8::2/64'],
              gateways: ['192.0.2.1', '2001:db8::1'],
            },
          ],
        },
      ],
    }),
  );
  const { node, peer, web } = net.hosts;
  await Promise.all([
    node.serveTcp(22),
    node.serveTcp(23),
    peer.serveTcp(22),
    web.serveHttp(80),
    web.serveTcp(81),
  ]);
  const agent = stack.use(
    await startAgent(node, { program: PROGRAM, config: configOf(net), manifests: POLICIES, ...options }),
  );
  for (const [pod, last] of [
    ['web', 10],
    ['client', 11],
  ] as const) {
    const where = ['--netns', net.hosts[pod].netns, '--labels', `app=${pod}`];
    const ips = ['--ip', `10.1.0.${last}`, '--ip', `fd00:1::${last}`];
    await agent.json(['endpoint', 'add', pod, ...where, ...ips]);
  }
  const held = stack.move();
  const bed: Bed = {
    net,
    agent,
    async [Symbol.asyncDispose]() {
      await bed.agent[Symbol.asyncDispose]();
      await held[Symbol.asyncDispose]();
    },
  };
  return bed;
}
