/**
 * The order of a change. The kernel is played by two lookups, the ipcache and the tables; after every single
 * thing that the sink is told, every packet has to meet either what it met before the change or what it meets
 * after it.
 */
import test from 'ava';
import { formatIp, type Ip, parseCidr, parseIp } from '#kit/ip';
import { labelSet } from '#kit/labels';
import { Lpm } from '#kit/lpm';
import { type EndpointRow, type Identity, type IpcacheRow, RESERVED_IDENTITY } from '#model';
import type { World } from '#oracle';
import { CompileMemo, type CompiledPolicy, EMPTY_NUMBERING, judgeOf } from '#policy';
import { type ControlInput, type Enforced, enforce, type PolicySink } from '../../../src/agent/control.ts';
import { PREFIXES, randomWorld } from '../policy/generate.ts';

const RUNS = 60;

function inputOf(world: World): ControlInput {
  return {
    policies: world.policies,
    nodes: world.nodes,
    endpoints: world.endpoints.map(
      (e) => ({ ...e, identity: 0 as Identity, state: 'ready' }) as unknown as EndpointRow,
    ),
    localAddresses: world.localAddresses,
    nodeLabels: world.nodeLabels,
    config: world.config,
  };
}

/** Addresses in and beside every prefix that the generator knows, and those of pods and nodes. */
function addresses(...worlds: readonly World[]): readonly Ip[] {
  const texts = [
    ...PREFIXES.map((p) => p.split('/')[0] ?? ''),
    ...worlds.flatMap((w) => [
      ...w.endpoints.flatMap((e) => e.addresses),
      ...w.nodes.flatMap((n) => n.addresses),
    ]),
    ...[
      '10.0.0.1',
      '10.0.0.200',
      '10.0.9.9',
      '192.168.7.200',
      '203.0.113.70',
      '8.8.8.8',
      '2001:db8::9',
      '2400::1',
    ],
  ];
  const ips = texts.map((t) => parseIp(t.split('/')[0] ?? '')).filter((ip) => ip !== undefined);
  return [...new Map(ips.map((ip) => [formatIp(ip), ip])).values()];
}

const SERVICES: readonly (readonly [protocol: number, port: number])[] = [
  [6, 80],
  [6, 22],
  [17, 443],
  [1, 8],
  [58, 128],
];

/** The kernel: what is told is in force at once. */
class Kernel implements PolicySink {
  readonly #ipcache = new Map<string, IpcacheRow>();
  readonly #onChange: () => void;
  compiled: CompiledPolicy | undefined;
  /** Classes that identities have: an identity the tables do not know yet is the unknown one. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  async applyPolicy(compiled: CompiledPolicy): Promise<void> {
    this.compiled = compiled;
    this.#onChange();
  }

  async updateIpcache(rows: readonly IpcacheRow[]): Promise<void> {
    for (const row of rows) {
      this.#ipcache.set(row.prefix, row);
      this.#onChange();
    }
  }

  async removeIpcache(prefixes: readonly string[]): Promise<void> {
    for (const prefix of prefixes) {
      this.#ipcache.delete(prefix);
      this.#onChange();
    }
  }

  async pruneIpcache(rows: readonly IpcacheRow[]): Promise<void> {
    const wanted = new Set(rows.map((r) => r.prefix));
    await this.updateIpcache(rows);
    await this.removeIpcache([...this.#ipcache.keys()].filter((p) => !wanted.has(p)));
  }

  async updateEndpoints(): Promise<void> {}

  /** Verdict of every probe, by its text. */
  verdicts(
    ips: readonly Ip[],
    subjects: readonly (number | 'host')[],
    isSingleFamily: boolean,
  ): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    if (this.compiled === undefined) return found;
    const lpm = new Lpm<Identity>();
    for (const row of this.#ipcache.values()) {
      const cidr = parseCidr(row.prefix);
      if (cidr !== undefined) lpm.set(cidr, row.identity);
    }
    const judge = judgeOf(this.compiled);
    for (const ip of ips) {
      const world = isSingleFamily ? 'world' : ip.family === 4 ? 'world-ipv4' : 'world-ipv6';
      const identity = lpm.lookup(ip)?.value ?? RESERVED_IDENTITY[world];
      for (const subject of subjects) {
        for (const direction of ['ingress', 'egress'] as const) {
          for (const [protocol, port] of SERVICES) {
            const { verdict } = judge(subject, direction, identity, protocol, port);
            found.set(`${subject} ${direction} ${formatIp(ip)} ${protocol}/${port}`, verdict);
          }
        }
      }
    }
    return found;
  }
}

/** What a change of `from` into `to` shows in between that neither has. */
async function strangers(from: World, to: World): Promise<readonly string[]> {
  const ips = addresses(from, to);
  const both = from.endpoints.filter((e) => to.endpoints.some((f) => f.id === e.id));
  const subjects: readonly (number | 'host')[] = ['host', ...both.map((e) => e.id)];
  const isSingle = !from.config.ipv4 || !from.config.ipv6;
  const seen: ReadonlyMap<string, string>[] = [];
  let isWatching = false;
  const kernel: Kernel = new Kernel(() => {
    if (isWatching) seen.push(kernel.verdicts(ips, subjects, isSingle));
  });
  const memo = new CompileMemo();
  const first: Enforced = await enforce(inputOf(from), undefined, EMPTY_NUMBERING, kernel, memo, false);
  const before = kernel.verdicts(ips, subjects, isSingle);
  isWatching = true;
  await enforce(inputOf(to), first, first.numbering, kernel, memo, false);
  const after = kernel.verdicts(ips, subjects, isSingle);
  return seen.flatMap((verdicts, step) =>
    [...verdicts].flatMap(([probe, verdict]) =>
      verdict === before.get(probe) || verdict === after.get(probe)
        ? []
        : [`step ${step}: ${probe} is ${verdict}, before ${before.get(probe)}, after ${after.get(probe)}`],
    ),
  );
}

test('enforce – changed policies show no verdict that neither the old nor the new ones give', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const from = randomWorld(seed);
    const to = { ...from, policies: randomWorld(seed + 10_000).policies };
    t.deepEqual(await strangers(from, to), [], `seed ${seed}`);
  }
});

test('enforce – nodes that come, go and change their addresses move from one identity to the other', async (t) => {
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const from = randomWorld(seed);
    const to = { ...from, nodes: randomWorld(seed + 20_000).nodes };
    t.deepEqual(await strangers(from, to), [], `seed ${seed}`);
  }
});

test('enforce – an endpoint’s record changes before the address that has its flows judged again', async (t) => {
  const said: string[] = [];
  const note =
    (what: string) =>
    async (rows: object): Promise<void> => {
      if (!Array.isArray(rows) || rows.length > 0) said.push(what);
    };
  const sink: PolicySink = {
    applyPolicy: note('policy'),
    updateIpcache: note('ipcache'),
    removeIpcache: note('remove'),
    pruneIpcache: note('prune'),
    updateEndpoints: note('endpoints'),
  };
  const input = inputOf(randomWorld(1));
  const memo = new CompileMemo();
  const first = await enforce(input, undefined, EMPTY_NUMBERING, sink, memo, false);
  said.length = 0;
  const [one, ...others] = input.endpoints;
  if (one === undefined) return t.fail('the world has no endpoint');
  const labels = labelSet([...one.labels.labels, { source: 'k8s', key: 'colour', value: 'green' }]);
  await enforce(
    { ...input, endpoints: [{ ...one, labels }, ...others] },
    first,
    first.numbering,
    sink,
    memo,
    false,
  );
  t.deepEqual(said.slice(0, 4), ['policy', 'endpoints', 'ipcache', 'policy']);
});
