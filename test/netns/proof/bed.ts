/**
 * The small world that the proofs share: a node with the real agent, and who talks to it.
 *
 *   peer 192.0.2.2 ──────┐
 *                      rack ── node 192.0.2.1 ── pods red 10.244.0.11, blue 10.244.0.12
 *   router 192.0.2.254 ──┘
 *     └── far 198.51.100.2
 *
 * Every address has an IPv6 twin. A `Workload` and policies are written as values: JSON is YAML.
 */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  call,
  type CountersView,
  type FlowView,
  type ManifestsView,
  type StatusView,
  stream,
} from '#api/client';
import { until } from '#kit/async';
import {
  type Host,
  type HostSpec,
  type LabAgent,
  merlon,
  startAgent,
  type Topology,
  topology,
  writeManifests,
} from '#lab';

export const PROGRAM = fileURLToPath(new URL('../../../build/bin/merlon', import.meta.url));

export type Family = 4 | 6;
export const FAMILIES = [4, 6] as const;
export type HostName = 'node' | 'peer' | 'router' | 'far' | 'red' | 'blue';
export type PodName = 'red' | 'blue';

const ADDRESS = {
  node: { 4: '192.0.2.1', 6: '2001:db8::1' },
  peer: { 4: '192.0.2.2', 6: '2001:db8::2' },
  router: { 4: '192.0.2.254', 6: '2001:db8::fe' },
  far: { 4: '198.51.100.2', 6: '2001:db8:7::2' },
  red: { 4: '10.244.0.11', 6: 'fd00:10:244::11' },
  blue: { 4: '10.244.0.12', 6: 'fd00:10:244::12' },
} as const;

export const address = (host: HostName, family: Family): string => ADDRESS[host][family];

/** Everything a test does has to end by then. */
export const testSignal = (): AbortSignal => AbortSignal.timeout(900_000);

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

type Spec = Readonly<Record<string, unknown>>;

/** A policy of the node. */
export function hostPolicy(name: string, spec: Spec): Manifest {
  const kind = 'CiliumClusterwideNetworkPolicy';
  return { apiVersion: 'cilium.io/v2', kind, metadata: { name }, spec: { nodeSelector: {}, ...spec } };
}

/** A policy of the pods with these labels. */
export function podPolicy(name: string, matchLabels: Readonly<Record<string, string>>, spec: Spec): Manifest {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name, namespace: 'default' },
    spec: { endpointSelector: { matchLabels }, ...spec },
  };
}

/** `80/TCP`, `1024-65535/UDP`: the value of `toPorts`. */
export function ports(...words: readonly string[]) {
  const port = (word: string) => {
    const [range = '', protocol = 'TCP'] = word.split('/');
    const [first = '', last] = range.split('-');
    return { port: first, ...(last === undefined ? {} : { endPort: Number(last) }), protocol };
  };
  return [{ ports: words.map(port) }];
}

/** Echo requests of both families. */
export const ECHO = [{ fields: [{ type: 'EchoRequest' }, { family: 'IPv6', type: 'EchoRequest' }] }];

/** Selects nobody: a set of manifests that is never empty. */
const KEEP = hostPolicy('keep', {
  nodeSelector: { matchLabels: { nobody: 'has-this' } },
  ingress: [{ fromEntities: ['all'] }],
});

export type Manifests = Readonly<Record<string, readonly Manifest[] | undefined>>;

export interface BedSpec {
  /** Part of names; a–z and 0–9. */
  readonly name: string;
  /** Keys of NodeConfig beside the defaults of the bed. */
  readonly config?: Spec;
  readonly manifests?: Manifests;
  readonly mtu?: number;
  readonly pods?: readonly PodName[];
  readonly node?: HostSpec;
  readonly isAgentStarted?: boolean;
}

const textOf = (documents: readonly Manifest[]): string =>
  documents.map((one) => JSON.stringify(one, null, 2)).join('\n---\n');

/** The node with its agent, for as long as it is not disposed of. */
export class Bed {
  readonly net: Topology<HostName>;
  #config: Spec;
  #agent: LabAgent | undefined;

  constructor(net: Topology<HostName>, config: Spec = {}) {
    this.net = net;
    this.#config = config;
  }

  host(name: HostName): Host {
    return this.net.hosts[name];
  }

  get node(): Host {
    return this.net.hosts.node;
  }

  get peer(): Host {
    return this.net.hosts.peer;
  }

  get agent(): LabAgent {
    if (this.#agent === undefined) throw new Error('the agent is not started');
    return this.#agent;
  }

  get dirs(): NonNullable<Host['dirs']> {
    return this.node.dirs as NonNullable<Host['dirs']>;
  }

  #configText(): string {
    const { manifestsDir } = this.dirs;
    return JSON.stringify({
      apiVersion: 'merlon.io/v1',
      kind: 'NodeConfig',
      sources: { directory: { paths: [manifestsDir] } },
      // Nobody of this world: failsafe would let SSH pass, and nothing here uses it.
      failsafe: { sshFrom: ['203.0.113.250/32'] },
      ...this.#config,
    });
  }

  /** Starts the agent, the first or the next one; what it read before is there. */
  async start(): Promise<LabAgent> {
    this.#agent = await startAgent(this.node, { program: PROGRAM, config: this.#configText() });
    return this.#agent;
  }

  /** Writes and removes (undefined) manifest files and, while an agent runs, waits until they are enforced. */
  async apply(manifests: Manifests): Promise<void> {
    for (const [file, documents] of Object.entries(manifests)) {
      if (documents === undefined) await rm(join(this.dirs.manifestsDir, file), { force: true });
      else await writeManifests(this.node, { [file]: textOf(documents) });
    }
    if (this.#agent?.isRunning === true) await this.reload();
  }

  /** Writes a manifest file as somebody would who asks for nothing, and waits until the agent says that it is applied. */
  async write(file: string, documents: readonly Manifest[]): Promise<void> {
    const text = textOf(documents);
    const hash = createHash('sha256').update(text).digest('hex');
    await writeManifests(this.node, { [file]: text });
    const isApplied = async () => {
      const { files } = await this.api<ManifestsView>('/v1/manifests');
      return files.some((one) => one.hash === hash && one.state === 'applied');
    };
    await until(isApplied, {
      signal: testSignal(),
      timeoutMs: 60_000,
      intervalMs: 1,
      what: `${file} is applied`,
    });
  }

  /** Gives the node another configuration and waits until it is enforced. */
  async configure(config: Spec): Promise<void> {
    const { writeFile } = await import('node:fs/promises');
    this.#config = { ...this.#config, ...config };
    await writeFile(join(this.dirs.configDir, 'merlon.yaml'), this.#configText());
    await this.reload();
  }

  async reload(): Promise<void> {
    await this.api('/v1/reload', 'POST');
  }

  api<T>(path: string, method: 'GET' | 'POST' | 'DELETE' = 'GET', body?: unknown): Promise<T> {
    const { runDir } = this.dirs;
    const more = body === undefined ? {} : { body };
    return call<T>(path, { runDir, method, signal: AbortSignal.timeout(120_000), ...more });
  }

  status(): Promise<StatusView> {
    return this.api('/v1/status');
  }

  counters(): Promise<CountersView> {
    return this.api('/v1/counters');
  }

  /** Packets dropped so far, by reason. */
  async drops(): Promise<Readonly<Record<string, number>>> {
    const sums: Record<string, number> = {};
    for (const { reason, packets } of (await this.counters()).drops)
      sums[reason] = (sums[reason] ?? 0) + packets;
    return sums;
  }

  /** Flow records for which `wanted` holds. */
  async flows(wanted: (flow: FlowView) => boolean = () => true): Promise<readonly FlowView[]> {
    const found: FlowView[] = [];
    const options = { runDir: this.dirs.runDir, signal: AbortSignal.timeout(120_000) };
    for await (const flow of stream<FlowView>('/v1/ct', options)) if (wanted(flow)) found.push(flow);
    return found;
  }

  async addPod(name: PodName, labels: readonly string[] = [`app=${name}`]): Promise<void> {
    const ips = FAMILIES.map((family) => address(name, family));
    await this.api('/v1/endpoints', 'POST', { name, netns: this.host(name).netns, labels, ips });
  }

  /** Takes everything of merlon's off the node. */
  uninstall(args: readonly string[] = []) {
    const { stateDir, bpfRoot } = this.dirs;
    return merlon(this.node, PROGRAM, ['uninstall', '--state-dir', stateDir, '--bpf-root', bpfRoot, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#agent?.isRunning === true) await this.#agent.stop();
      await this.net[Symbol.asyncDispose]();
    } finally {
      leave();
    }
  }
}

/** Tests of a file run beside each other: more worlds at a time than this only wait for the processors. */
const WORLDS = 2;
let free = WORLDS;
const waiting: (() => void)[] = [];

async function enter(): Promise<void> {
  if (free > 0) free--;
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

function leave(): void {
  const next = waiting.shift();
  if (next === undefined) free++;
  else next();
}

export async function bed(spec: BedSpec): Promise<Bed> {
  await enter();
  const net = await build(spec).catch((e: unknown) => {
    leave();
    throw e;
  });
  const made = new Bed(net, spec.config);
  try {
    await made.apply({ 'keep.yaml': [KEEP], ...spec.manifests });
    if (spec.isAgentStarted !== false) await made.start();
    for (const pod of spec.pods ?? []) await made.addPod(pod);
    return made;
  } catch (e) {
    await made[Symbol.asyncDispose]();
    throw e;
  }
}

/** Hosts tell of every error, as often as it happens. */
const TALKATIVE = { 'net/ipv4/icmp_ratelimit': '0', 'net/ipv6/icmp/ratelimit': '0' };

function build(spec: BedSpec): Promise<Topology<HostName>> {
  const both = (host: HostName) => [`${address(host, 4)}/24`, `${address(host, 6)}/64`];
  const gateways = FAMILIES.map((family) => address('router', family));
  const routes = ['10.244.0.0/24 via 192.0.2.1', '-6 fd00:10:244::/64 via 2001:db8::1'];
  return topology<HostName>({
    name: spec.name,
    hosts: {
      node: { ...spec.node, isNode: true, sysctls: { ...TALKATIVE, ...spec.node?.sysctls } },
      peer: { routes, sysctls: TALKATIVE },
      router: { forward: true, routes, sysctls: TALKATIVE },
      far: { sysctls: TALKATIVE },
      red: {},
      blue: {},
    },
    links: [
      {
        lan: 'rack',
        ...(spec.mtu === undefined ? {} : { mtu: spec.mtu }),
        ports: [
          { host: 'node', addresses: both('node'), gateways },
          { host: 'peer', addresses: both('peer'), gateways },
          { host: 'router', addresses: both('router') },
        ],
      },
      {
        ends: [
          { host: 'router', addresses: ['198.51.100.1/24', '2001:db8:7::1/64'] },
          { host: 'far', addresses: both('far'), gateways: ['198.51.100.1', '2001:db8:7::1'] },
        ],
      },
    ],
  });
}

/** Waits until a stream has carried `count` more records. */
export async function carried(
  s: { report(): Promise<{ readonly received: number }> },
  count: number,
  what = 'records',
): Promise<void> {
  const from = (await s.report()).received;
  await until(async () => (await s.report()).received >= from + count || undefined, {
    signal: testSignal(),
    timeoutMs: 60_000,
    intervalMs: 20,
    what: `${count} more ${what}`,
  });
}
