/**
 * A node on which random worlds are enforced by the datapath itself: its own loader, tables and attached
 * programs, in a namespace of their own. Frames go in by test runs.
 *
 *     node ── eth0 ── peer          the wire: default routes of both families
 *      ├───── eth1 … eth4 ── peer   devices of endpoints 1 to 4
 */
import { closeFd, mapLookup, NAMESPACE, openFd, possibleCpus, setns, testRun } from '#native';
import { type Datapath, EVENT_SLOT_BYTES, openDatapath, uninstall } from '#datapath';
import { until } from '#kit/async';
import { parseCidrOrIp } from '#kit/ip';
import { type Host, topology } from '#lab';
import { type DeviceRow, type EndpointRow, type Identity, type IdentityRow, RESERVED_IDENTITY } from '#model';
import type { Flow, World } from '#oracle';
import {
  type CompiledPolicy,
  compile,
  EMPTY_NUMBERING,
  type Numbering,
  type ProxyRuleSet,
  prefixIdentities,
} from '#policy';
import { type Event, readEvent, STAT } from '#wire/bpf';
import { type CompiledWorld, readCompiled } from '../../unit/policy/compiled-world.ts';
import { MAC_OWN } from '../builder.ts';

export type Program = 'host_ingress' | 'host_egress' | 'pod_ingress' | 'pod_egress' | 'xdp_host';

/** Endpoints that a world may have. */
export const ENDPOINTS = [1, 2, 3, 4];
/** Of every prefix that random worlds give to endpoints: not by the wire. */
const POD_ROUTES = ['10.244.0.0/16 dev eth1', '-6 fd00:244::/64 dev eth1'];
/** Of the node, in every random world. */
export const WIRE_ADDRESSES = ['10.0.0.1/32', '192.168.7.1/32', 'fd00:10::1/128'];
const WIRE_ROUTES = ['default dev eth0', '-6 default dev eth0'];

/** Small: runs stand beside each other. Origins must not run out: events are read later. */
const SIZES = {
  arena: 1 << 17,
  ipcache_host4: 4096,
  ipcache_host6: 4096,
  rule_count: 1 << 17,
  flow_tcp4: 16384,
  flow_tcp6: 16384,
  flow_any4: 16384,
  flow_any6: 16384,
  unproven4: 2048,
  unproven6: 2048,
  overflow4: 4096,
  overflow6: 4096,
  identity_class: (8 << 12) / 4,
} as const;

export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

export interface RunOptions {
  /** Endpoint whose device it is; 0 = the wire. */
  readonly device: number;
  /** Device the packet came in by before this hook; 0 = made here. Ingress hooks: their own. */
  readonly cameBy?: number;
}

/** What one run did; its events follow later. */
export interface Ran {
  readonly verdict: 'pass' | 'drop';
  /** Numbers of its first event and of the one behind its last. */
  readonly events: readonly [first: number, end: number];
}

export class Bed implements AsyncDisposable {
  readonly datapath: Datapath;
  readonly node: Host;
  readonly problems: string[];
  readonly #events: Event[];
  readonly #ifindex: readonly number[];
  readonly #stack: AsyncDisposableStack;
  readonly #cpus = new BigUint64Array(possibleCpus());
  #numbering: Numbering = EMPTY_NUMBERING;
  /** What is enforced now. */
  compiled: CompiledPolicy | undefined;
  #cellOf: CompiledWorld['cellOf'] | undefined;
  /** Of the world that is enforced. */
  identities: readonly IdentityRow[] = [];

  private constructor(
    datapath: Datapath,
    node: Host,
    ifindex: readonly number[],
    stack: AsyncDisposableStack,
    told: { events: Event[]; problems: string[] },
  ) {
    this.datapath = datapath;
    this.node = node;
    this.#ifindex = ifindex;
    this.#stack = stack;
    this.#events = told.events;
    this.problems = told.problems;
  }

  /**
   * Moves this process into the node's namespace: one bed a process. `families`: as in a NodeConfig;
   * `blocksFrom`: cells from which on tables are kept in blocks, not in a matrix.
   */
  static async open(families: Families, objects?: string, blocksFrom?: number): Promise<Bed> {
    await using stack = new AsyncDisposableStack();
    const end = (at: number) => (at === 0 ? { addresses: WIRE_ADDRESSES } : {});
    const net = stack.use(
      await topology({
        name: 'oracle',
        hosts: {
          node: { isNode: true, forward: true, routes: [...WIRE_ROUTES, ...POD_ROUTES] },
          // Joins no groups, of which it would tell the node: attached programs make events of that, too.
          peer: { sysctls: { 'net/ipv6/conf/default/disable_ipv6': '1' } },
        },
        links: [0, ...ENDPOINTS].map((at) => ({
          name: `link${at}`,
          ends: [{ host: 'node', mac: MAC_OWN, ...end(at) }, { host: 'peer' }] as const,
        })),
      }),
    );
    return Bed.on(net.hosts.node, families, stack.move(), objects, blocksFrom);
  }

  /**
   * The same on a node whose devices are `eth0` to `eth4`. What stands on the stack goes with the bed.
   */
  static async on(
    node: Host,
    families: Families,
    net: AsyncDisposableStack,
    objects?: string,
    blocksFrom?: number,
  ): Promise<Bed> {
    await using stack = new AsyncDisposableStack();
    stack.use(net);
    const devices = [0, ...ENDPOINTS];
    const links = await node.ipJson<{ ifname: string; ifindex: number }>('link');
    const ifindex = devices.map((at) => links.find(({ ifname }) => ifname === `eth${at}`)?.ifindex ?? 0);
    const fd = openFd(node.netns, 0);
    setns(fd, NAMESPACE.network);
    closeFd(fd);
    const told = { events: [] as Event[], problems: [] as string[] };
    const { bpfRoot = '', stateDir = '' } = node.dirs ?? {};
    const isDual = families.ipv4 && families.ipv6;
    stack.defer(() => void uninstall({ bpfRoot }));
    const datapath = stack.use(
      await openDatapath({
        bpfRoot,
        stateDir,
        sizes: SIZES,
        xdpMode: 'native',
        settings: {
          cfg_event_rate: 1_000_000,
          cfg_event_burst: 1_000_000,
          cfg_drop_window: 0, // each refusal is compared
          ...(isDual
            ? {}
            : { cfg_identity_world4: RESERVED_IDENTITY.world, cfg_identity_world6: RESERVED_IDENTITY.world }),
        },
        ...(objects === undefined ? {} : { objects }),
        ...(blocksFrom === undefined ? {} : { blocksFrom }),
        ifindexOf: () => undefined,
        onProblem: (_topic, sentence, err) => told.problems.push(`${sentence} (${String(err)})`),
        onEvents: (records, count) => {
          const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
          for (let i = 0; i < count; i++) told.events.push(readEvent(view, i * EVENT_SLOT_BYTES));
        },
      }),
    );
    const bed = new Bed(datapath, node, ifindex, stack.move(), told);
    bed.datapath.devices.update(bed.#device(0));
    return bed;
  }

  /** Makes the node enforce this world, as the agent would. */
  async enforce(world: World): Promise<void> {
    const { datapath } = this;
    const wanted = prefixIdentities({ ...world, numbering: this.#numbering });
    this.#numbering = wanted.numbering;
    this.identities = wanted.identities;
    const { host = [], endpoints = [] } = world.audit ?? {};
    // Of both directions it is a mode of the node.
    const hostAudit = host.length === 2 ? [] : host;
    this.compiled = compile({ ...world, identities: wanted.identities, hostAudit });
    datapath.setHostMode(host.length === 2 ? 'audit' : 'enforce');
    this.#cellOf = readCompiled(world, this.compiled, wanted).cellOf;
    const local = world.localAddresses.map((address) => ({ address, ifindex: this.#ifindex[0] ?? 0 }));
    datapath.addresses.prune(local);
    datapath.endpoints.prune(
      world.endpoints.map((e) => ({
        ...this.#endpoint(e, wanted.identityOf(e)),
        audit: endpoints.includes(e.id),
      })),
    );
    await datapath.applyPolicy(this.compiled);
    datapath.ipcache.prune(wanted.ipcache);
    for (const { id } of world.endpoints) datapath.devices.update(this.#device(id));
  }

  /** The proxy rules that a redirect of this flow names, or an authentication of it has behind it. */
  proxyOf(flow: Flow): ProxyRuleSet | undefined {
    const id = this.#cellOf?.(flow).proxy?.id;
    return id === undefined ? undefined : this.compiled?.proxyRules.get(id);
  }

  #device(endpoint: number): DeviceRow {
    return {
      ifindex: this.ifindex(endpoint),
      name: `eth${endpoint}`,
      kind: endpoint === 0 ? 'external' : 'pod',
      selected: true,
      reason: '',
      isLayer3: false,
      linkKind: 'veth',
      allowSelfSource: false,
      endpoint,
      vlan: undefined,
    };
  }

  #endpoint({ id, addresses, labels }: World['endpoints'][number], identity: Identity): EndpointRow {
    const enabled = addresses.filter((text) => parseCidrOrIp(text) !== undefined);
    return {
      id,
      name: `pod-${id}`,
      namespace: 'test',
      ifindex: this.ifindex(id),
      device: `eth${id}`,
      addresses: enabled,
      labels,
      identity,
      mac: '',
      netns: undefined,
      netnsCookie: 0n,
      state: 'ready',
    };
  }

  /** Of the endpoint's device; of the wire for 0. */
  ifindex(endpoint: number): number {
    return this.#ifindex[endpoint] ?? 0;
  }

  /** Runs one frame through an attached program. */
  run(program: Program, dataIn: Uint8Array<ArrayBuffer>, { device, cameBy = 0 }: RunOptions): Ran {
    const first = this.#sent();
    const isXdp = program === 'xdp_host';
    const ifindex = this.ifindex(device);
    const ctxIn = new Uint8Array(192);
    const context = new DataView(ctxIn.buffer);
    const isTcIngress = program === 'host_ingress' || program === 'pod_egress';
    context.setUint32(36, isTcIngress ? ifindex : cameBy, true);
    context.setUint32(40, ifindex, true);
    const { retval } = testRun(this.datapath.programs.fd(program), {
      dataIn,
      dataOutSize: 0,
      repeat: 1,
      ...(isXdp ? {} : { ctxIn }),
    });
    const passes = isXdp ? 2 : 0xffffffff;
    return { verdict: retval >>> 0 === passes ? 'pass' : 'drop', events: [first, this.#sent()] };
  }

  /** Events put into the rings so far. */
  #sent(): number {
    mapLookup(this.datapath.maps.fd('stat_count'), Uint32Array.of(STAT.EVENT_SENT), this.#cpus);
    return Number(this.#cpus.reduce((sum, n) => sum + n, 0n));
  }

  /** All events up to now, in the order of their runs: there is one ring. */
  async allEvents(): Promise<readonly Event[]> {
    await until(() => this.#events.length >= this.#sent(), {
      signal: AbortSignal.timeout(120_000),
      timeoutMs: 60_000,
      what: 'every event that was sent',
    });
    return this.#events;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack[Symbol.asyncDispose]();
  }
}
