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
import { type CompiledPolicy, EMPTY_NUMBERING, judgeOf } from '#policy';
import {
  type ControlInput,
  ControlMemo,
  type Enforced,
  enforce,
  type Inherited,
  type PolicySink,
} from '../../../src/agent/control.ts';
import type { Adopted } from '../../../src/agent/takeover.ts';
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
  /** Identities that the tables do not know yet are judged like others, else as the unknown one. */
  readonly #likes = new Map<Identity, Identity>();
  compiled: CompiledPolicy | undefined;
  isInherited = false;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** What a predecessor left; nothing before it is `inherited`. */
  adopted(): Adopted | undefined {
    if (!this.isInherited) return undefined;
    const classes = new Map<number, number>();
    this.compiled?.identityClasses.forEach(({ name, members }, at) => {
      // The class of those that nobody names is what all others have: the kernel's tables tell nothing of it.
      if (name !== '') for (const identity of members) classes.set(identity, at + 1);
    });
    return { ipcache: new Map(this.#ipcache), classes };
  }

  async introduce(pairs: readonly (readonly [identity: Identity, like: number])[]): Promise<void> {
    const known = this.adopted()?.classes;
    for (const [identity, like] of pairs) {
      if (known?.has(identity) === true) throw new Error(`identity ${identity} is known`);
      this.#likes.set(identity, like as Identity);
      this.#onChange();
    }
  }

  async applyPolicy(compiled: CompiledPolicy): Promise<void> {
    this.compiled = compiled;
    this.#likes.clear();
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
    const all = new Map<string, string>();
    if (this.compiled === undefined) return all;
    const lpm = new Lpm<Identity>();
    for (const row of this.#ipcache.values()) {
      const cidr = parseCidr(row.prefix);
      if (cidr !== undefined) lpm.set(cidr, row.identity);
    }
    const judge = judgeOf(this.compiled);
    for (const ip of ips) {
      const world = isSingleFamily ? 'world' : ip.family === 4 ? 'world-ipv4' : 'world-ipv6';
      const found = lpm.lookup(ip)?.value ?? RESERVED_IDENTITY[world];
      const identity = this.#likes.get(found) ?? found;
      for (const subject of subjects) {
        for (const direction of ['ingress', 'egress'] as const) {
          for (const [protocol, port] of SERVICES) {
            const { verdict } = judge(subject, direction, identity, protocol, port);
            all.set(`${subject} ${direction} ${formatIp(ip)} ${protocol}/${port}`, verdict);
          }
        }
      }
    }
    return all;
  }
}

/** How the one who makes the change knows what was before: it made it, it is a successor, or one without memory. */
type Before = 'own' | 'inherited' | 'forgotten';

/** A start without any before it. */
const NEW: Inherited = { numbering: EMPTY_NUMBERING, held: new Map() };

/** What a change of `from` into `to` shows in between that neither has. */
async function strangers(from: World, to: World, known: Before = 'own'): Promise<readonly string[]> {
  const ips = addresses(from, to);
  const both = from.endpoints.filter((e) => to.endpoints.some((f) => f.id === e.id));
  const subjects: readonly (number | 'host')[] = ['host', ...both.map((e) => e.id)];
  const isSingle = !from.config.ipv4 || !from.config.ipv6;
  const seen: ReadonlyMap<string, string>[] = [];
  let isWatching = false;
  const kernel: Kernel = new Kernel(() => {
    if (isWatching) seen.push(kernel.verdicts(ips, subjects, isSingle));
  });
  const memo = new ControlMemo();
  const first: Enforced = await enforce(inputOf(from), undefined, NEW, kernel, memo, false);
  const before = kernel.verdicts(ips, subjects, isSingle);
  isWatching = true;
  kernel.isInherited = known !== 'own';
  const numbering = known === 'forgotten' ? EMPTY_NUMBERING : first.numbering;
  const inherited = { ...NEW, numbering };
  await enforce(inputOf(to), known === 'own' ? first : undefined, inherited, kernel, memo, false);
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

for (const known of ['inherited', 'forgotten'] as const)
  test(`enforce – over what a predecessor left, ${known}: policies, nodes and labels change without a third verdict`, async (t) => {
    for (let seed = 1; seed <= RUNS; seed += 1) {
      const from = randomWorld(seed);
      const other = randomWorld(seed + 30_000);
      const endpoints = from.endpoints.map((e, i) => ({ ...e, labels: (other.endpoints[i] ?? e).labels }));
      const to = { ...from, policies: other.policies, nodes: other.nodes, endpoints };
      t.deepEqual(await strangers(from, to, known), [], `seed ${seed}`);
    }
  });

test('enforce – who was judged apart and becomes one identity is judged apart until the policies change', async (t) => {
  const green = labelSet([{ source: 'k8s', key: 'colour', value: 'green' }]);
  let standIns = 0;
  for (let seed = 1; seed <= 20; seed += 1) {
    const from = randomWorld(seed);
    const kernel = new Kernel(() => {});
    const memo = new ControlMemo();
    const first = await enforce(inputOf(from), undefined, NEW, kernel, memo, false);
    kernel.isInherited = true;
    const written: IpcacheRow[] = [];
    const update = kernel.updateIpcache.bind(kernel);
    kernel.updateIpcache = (rows) => {
      written.push(...rows);
      return update(rows);
    };
    const to = { ...from, endpoints: from.endpoints.map((e) => ({ ...e, labels: green })) };
    const after = await enforce(
      inputOf(to),
      undefined,
      { ...NEW, numbering: first.numbering },
      kernel,
      memo,
      false,
    );
    const ofEndpoints = (rows: Iterable<IpcacheRow>) =>
      new Set([...rows].filter((row) => row.isEndpoint).map((row) => row.identity)).size;
    standIns += ofEndpoints(written) - ofEndpoints(after.ipcache);
    t.deepEqual(
      kernel.adopted()?.ipcache,
      new Map(after.ipcache.map((row) => [row.prefix, row])),
      `seed ${seed}`,
    );
  }
  t.true(standIns > 10, `${standIns} stand-ins`);
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
    adopted: () => undefined,
    introduce: note('introduce'),
  };
  const input = inputOf(randomWorld(1));
  const memo = new ControlMemo();
  const first = await enforce(input, undefined, NEW, sink, memo, false);
  said.length = 0;
  const [one, ...others] = input.endpoints;
  if (one === undefined) return t.fail('the world has no endpoint');
  const labels = labelSet([...one.labels.labels, { source: 'k8s', key: 'colour', value: 'green' }]);
  await enforce({ ...input, endpoints: [{ ...one, labels }, ...others] }, first, NEW, sink, memo, false);
  t.deepEqual(said.slice(0, 4), ['policy', 'endpoints', 'ipcache', 'policy']);
});
