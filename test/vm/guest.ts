/**
 * Runs inside the guest: what this machine's kernel cannot show. A real agent on Debian's own kernel, which
 * has no tcx, with VLANs, a VLAN in a VLAN, and a bond.
 *
 *   node ── eth0, eth0.5, eth0.7.9 ── peer
 *     └──── bond0 (eth1, eth2) ─────────┘
 */
import { until } from '#kit/async';
import { type LabAgent, startAgent, type Topology, topology } from '#lab';

const PROGRAM = '/merlon/build/bin/merlon';

const POLICY = `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: node}
spec:
  nodeSelector: {}
  ingress:
    - fromEntities: [world]
      toPorts: [{ports: [{port: "80", protocol: TCP}]}]
`;

function say(name: string, ok: boolean, detail: string): void {
  console.log(`@@ case ${JSON.stringify({ name, ok, detail })}`);
}

/** A case that throws has failed with what it threw. */
async function judge(name: string, fn: () => Promise<string>): Promise<void> {
  try {
    say(name, true, await fn());
  } catch (error) {
    say(name, false, error instanceof Error ? error.message : String(error));
  }
}

function must(isRight: boolean, message: string): void {
  if (!isRight) throw new Error(message);
}

type Net = Topology<'node' | 'peer'>;

interface Stage {
  readonly net: Net;
  readonly agent: LabAgent;
}

/** Everything here is slow: it runs without the host's help for virtual machines. */
const limits = { signal: new AbortController().signal, timeoutMs: 60_000 };

/** Port 80 is open and port 81 is not, for each pair of addresses. */
async function onlyPort80(net: Net, addresses: readonly string[]): Promise<string> {
  const seen: string[] = [];
  for (const to of addresses) {
    const allowed = await net.hosts.peer.probeTcp(to, 80, { timeoutMs: 30_000 });
    const denied = await net.hosts.peer.probeTcp(to, 81, { timeoutMs: 1000 });
    seen.push(`${to} 80 ${allowed} 81 ${denied}`);
    must(allowed === 'open' && denied === 'timeout', seen.join(', '));
  }
  return seen.join(', ');
}

async function vlan(
  { net, agent }: Stage,
  name: string,
  device: string,
  lines: (n: 1 | 2) => readonly string[],
  addresses: readonly string[],
): Promise<void> {
  await judge(`${name} traffic is judged on its own device`, async () => {
    await net.hosts.node.ip(...lines(1));
    await net.hosts.peer.ip(...lines(2));
    await hasPrograms(agent, device);
    return onlyPort80(net, addresses);
  });
}

interface DeviceRow {
  readonly name: string;
  readonly selected: boolean;
  readonly hooks: readonly { readonly hook: string }[];
}

async function devices(agent: LabAgent): Promise<readonly DeviceRow[]> {
  return agent.json<readonly DeviceRow[]>(['devices']);
}

/** Until then nothing is judged there: a device may come faster than the agent hears of it. */
async function hasPrograms(agent: LabAgent, device: string): Promise<void> {
  const found = async () => (await devices(agent)).find(({ name }) => name === device);
  await until(async () => ((await found())?.hooks.length ?? 0) > 1, {
    ...limits,
    what: `${device} has its programs`,
  });
}

interface BondLink {
  readonly operstate: string;
  readonly linkinfo: { readonly info_data: { readonly active_slave?: string } };
}

/** A bond looks at its ports every 100 ms (miimon); both ends must have come to use the same link. */
async function bondIsUp(host: Net['hosts']['node' | 'peer']): Promise<void> {
  await until(
    async () => {
      const [link] = await host.ipJson<BondLink>('link', 'show', 'dev', 'bond0');
      return link?.operstate === 'UP' && link.linkinfo.info_data.active_slave === 'eth1';
    },
    { ...limits, what: 'bond0 uses eth1' },
  );
}

async function run(net: Net): Promise<void> {
  const { node, peer } = net.hosts;
  await Promise.all([node.serveTcp(80), node.serveTcp(81)]);
  await using agent = await startAgent(node, {
    program: PROGRAM,
    manifests: { 'node.yaml': POLICY },
    readySeconds: 240,
  });
  await judge('every program loads and attaches by clsact', async () => {
    const status = await agent.json<{
      kernel: string;
      datapath: { attach: string };
      degraded: { message: string }[];
    }>(['status']);
    must(status.datapath.attach === 'clsact', `attached by ${status.datapath.attach}`);
    return `kernel ${status.kernel}, degraded: ${status.degraded.map((d) => d.message).join('; ') || 'nothing'}`;
  });
  await judge('plain traffic is judged', () => onlyPort80(net, ['10.1.0.1', 'fd01::1']));
  const v5 = (n: 1 | 2): readonly string[] => [
    'link add link eth0 name eth0.5 type vlan id 5',
    `addr add 10.5.0.${n}/24 dev eth0.5`,
    `addr add fd05::${n}/64 dev eth0.5 nodad`,
    'link set eth0.5 up',
  ];
  await vlan({ net, agent }, 'VLAN', 'eth0.5', v5, ['10.5.0.1', 'fd05::1']);
  const v79 = (n: 1 | 2): readonly string[] => [
    'link add link eth0 name eth0.7 type vlan proto 802.1ad id 7',
    'link set eth0.7 up',
    'link add link eth0.7 name eth0.7.9 type vlan id 9',
    `addr add 10.9.0.${n}/24 dev eth0.7.9`,
    `addr add fd09::${n}/64 dev eth0.7.9 nodad`,
    'link set eth0.7.9 up',
  ];
  await vlan({ net, agent }, 'VLAN in a VLAN', 'eth0.7.9', v79, ['10.9.0.1', 'fd09::1']);
  const bond = (n: 1 | 2): readonly string[] => [
    'link add bond0 type bond mode active-backup miimon 100',
    ...['eth1', 'eth2'].flatMap((port) => [`link set ${port} down`, `link set ${port} master bond0`]),
    'link set bond0 up',
    `addr add 10.8.0.${n}/24 dev bond0`,
    `addr add fd08::${n}/64 dev bond0 nodad`,
    // Each end would keep whichever port came up first, and drop what comes in by the other one.
    'link set bond0 type bond primary eth1',
  ];
  await judge('bond traffic is judged, once, on the bond and not on its ports', async () => {
    await node.ip(...bond(1));
    await peer.ip(...bond(2));
    await Promise.all([node, peer].map(bondIsUp));
    await hasPrograms(agent, 'bond0');
    const seen = await onlyPort80(net, ['10.8.0.1', 'fd08::1']);
    const rows = await devices(agent);
    const hooks = (name: string): number => rows.find((d) => d.name === name)?.hooks.length ?? 0;
    must(hooks('bond0') > 0 && hooks('eth1') === 0 && hooks('eth2') === 0, JSON.stringify(rows));
    return seen;
  });
}

await using net = await topology<'node' | 'peer'>({
  name: 'vm',
  hosts: { node: { isNode: true }, peer: {} },
  links: [
    {
      ends: [
        // A veth counts as external when a default route uses it.
        { host: 'node', addresses: ['10.1.0.1/24', 'fd01::1/64'], gateways: ['10.1.0.2', 'fd01::2'] },
        { host: 'peer', addresses: ['10.1.0.2/24', 'fd01::2/64'] },
      ],
    },
    { ends: [{ host: 'node' }, { host: 'peer' }] },
    { ends: [{ host: 'node' }, { host: 'peer' }] },
  ],
});
await run(net);
