/**
 * A datapath of its own process, for tests that kill it: takes calls as JSON lines on stdin, answers each
 * with one line. Started inside the namespace it is to enforce in.
 *
 * Usage: node datapath-process.ts BPF_ROOT STATE_DIR [OPTIONS]     options of `openDatapath` as JSON
 *        node datapath-process.ts --uninstall BPF_ROOT  takes everything off, prints how many filters
 *        node datapath-process.ts --hooks IFINDEX    prints the programs at the device's tcx hooks
 */
import { readdirSync, unlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { openDatapath, uninstall } from '#datapath';
import { ATTACH, closeFd, fdById, mapDelete, mapUpdate, progInfo, progQuery } from '#native';
import type { Identity } from '#model';
import { CONTROL_MODE, ENDPOINT, ENDPOINT_SIZE, LOCAL_ADDR_SIZE, readEvent } from '#wire/bpf';
import { errorCode, errorMessage } from '#kit/errors';
import { compileTwin, type World } from '../unit/datapath/policy-model.ts';

const [bpfRoot = '', stateDir = '', more = '{}'] = process.argv.slice(2);
if (bpfRoot === '--uninstall') {
  console.log(uninstall({ bpfRoot: stateDir }).filters);
  process.exit(0);
}
if (bpfRoot === '--hooks') {
  const names = [ATTACH.tcxIngress, ATTACH.tcxEgress].flatMap((hook) =>
    progQuery(Number(stateDir), hook).programs.map(({ progId }) => {
      const fd = fdById('prog', progId);
      const { name } = progInfo(fd);
      closeFd(fd);
      return name;
    }),
  );
  console.log(JSON.stringify(names));
  process.exit(0);
}
const reasons: number[] = [];
const problems: string[] = [];
/** Those that are not over. */
const current = new Map<string, string>();

/** Small maps: several of these processes run beside each other. */
const SIZES = {
  arena: 65536,
  ipcache_host4: 16384,
  ipcache_host6: 16384,
  rule_count: 4096,
  flow_tcp4: 4096,
  flow_tcp6: 4096,
  flow_any4: 4096,
  flow_any6: 4096,
  unproven4: 512,
  unproven6: 512,
  overflow4: 4096,
  overflow6: 4096,
  identity_class: (8 << 12) / 4,
} as const;

/** `endpoints`: id and index of its rules. */
type Plain = Omit<World, 'endpoints'> & { readonly endpoints?: readonly (readonly [number, number])[] };
const world = (plain: Plain): World => ({ ...plain, endpoints: new Map(plain.endpoints ?? []) });
const row = ([prefix, identity, isEndpoint]: readonly [string, number, boolean?]) => ({
  prefix,
  identity: identity as Identity,
  isEndpoint: isEndpoint === true,
  isNode: false,
});

const options = JSON.parse(more) as { sizes?: object; open?: object };

async function open() {
  return openDatapath({
    bpfRoot,
    stateDir,
    sizes: { ...SIZES, ...options.sizes },
    xdpMode: 'off',
    ...options.open,
    ifindexOf: (device) => (device === 'lo' ? 1 : undefined),
    onProblem: (topic, sentence, err) => {
      problems.push(`${sentence}: ${errorMessage(err)}`);
      current.set(topic, sentence);
    },
    onOver: (topic) => current.delete(topic),
    onEvents: (records, count) => {
      for (let i = 0; i < count; i++)
        reasons.push(readEvent(new DataView(records.buffer, records.byteOffset + 96 * i, 96)).reason);
    },
  });
}

const datapath = await open().catch((e: unknown) => {
  console.log(JSON.stringify({ error: errorCode(e), message: errorMessage(e) }));
  process.exit(1);
});

/** Identities of addresses and classes of identities change all the time; nobody's verdict does. */
async function churn(base: Plain, addresses: number, rounds: number) {
  for (let round = 0; round < rounds; round++) {
    const rows = Array.from({ length: addresses }, (_, i) => `10.99.${i >> 8}.${i & 255}/32`);
    datapath.ipcache.update(rows.map((prefix, i) => row([prefix, 100 + ((i + round) % 7)])));
    const extra = { labels: [3 + (round % 2)], ports: [2000 + (round % 9), 9000], verdict: 'deny' } as const;
    const rules = base.rules.with(0, [extra, ...(base.rules[0] ?? [])]);
    const identities = [...base.identities, ...Array.from({ length: 7 }, (_, i) => 100 + i)];
    await datapath.applyPolicy(
      compileTwin(world({ rules, identities: round % 3 === 0 ? base.identities : identities })),
    );
    if (round % 4 === 0) await datapath.settled();
    if (round % 5 === 0) datapath.ipcache.remove(rows.filter((_, i) => i % 2 === 0));
  }
  await datapath.settled();
}

/** Writes into the kernel's tables as somebody else would. */
const tamper: Record<string, () => void> = {
  'a cell': () => {
    const [live] = datapath.policy.rulesets.live.values();
    const cells = live?.active.dirs[1].cells as Uint32Array;
    for (let i = 1; i < cells.length; i += 2) cells[i] = ((cells[i] as number) & 0xff00ffff) | 0x00020000;
  },
  'a row': () => {
    const [live] = datapath.policy.rulesets.live.values();
    const rows = live?.active.dirs[1].rows as Uint16Array;
    const [first, second] = new Set(rows);
    rows.forEach((row, i) => (rows[i] = (row === first ? second : first) as number));
  },
  'a header': () => {
    const [live] = datapath.policy.rulesets.live.values();
    const words = new Uint32Array(datapath.maps.view('rulesets'));
    const at = 2 + (live?.active.slot ?? 0) * 10;
    words[at + 2] = (words[at + 2] as number) + 8;
  },
  'the word': () => {
    new BigUint64Array(datapath.maps.view('hostfw_control'))[0] = 0n;
  },
  'a class': () => {
    new Uint16Array(datapath.maps.view('identity_class')).fill(0);
  },
  'a port class': () => {
    new Uint16Array(datapath.maps.view('port_class')).fill(0, 8000, 9000);
  },
  'a column': () => {
    const [live] = datapath.policy.rulesets.live.values();
    const columns = live?.active.dirs[1].columns as Uint16Array;
    const [first, second] = new Set(columns);
    columns.forEach((column, i) => (columns[i] = (column === first ? second : first) as number));
  },
  'a page of classes': () => {
    const pages = new Uint16Array(datapath.maps.view('identity_page'));
    pages[0] = 7;
    pages[4096] = 1;
  },
  'the class of a stranger': () => {
    const classes = new Uint16Array(datapath.maps.view('identity_class'));
    const [page = 0] = new Uint16Array(datapath.maps.view('identity_page'));
    classes[page * 4096 + 4000] = 3;
  },
  'a record of a device': () => {
    const words = new Uint32Array(datapath.maps.view('devices'));
    for (let at = 4; at < words.length; at += 4) if (words[at] !== 0) words[at + 1] = 0xff;
    words[4 * 60_000] = 1;
  },
  'an endpoint': () => {
    const words = new Uint32Array(datapath.maps.view('endpoints'));
    words[ENDPOINT_SIZE / 4 + ENDPOINT.identity / 4] = 1;
  },
  'an endpoint’s prefix': () => {
    const key = new Uint8Array(24).fill(9);
    key.set([160, 0, 0, 0]);
    mapUpdate(datapath.maps.fd('endpoint_prefix'), key, Uint32Array.of(1));
  },
  'the node’s address': () => {
    mapDelete(datapath.maps.fd('local_addrs4'), Uint8Array.of(192, 0, 2, 1));
    mapUpdate(datapath.maps.fd('local_addrs4'), Uint8Array.of(10, 9, 8, 7), new Uint8Array(LOCAL_ADDR_SIZE));
  },
  'the pins of maps': () => {
    for (const name of readdirSync(`${bpfRoot}/maps`))
      if (/^(arena|ipcache_host4|ring0)@/.test(name)) unlinkSync(`${bpfRoot}/maps/${name}`);
    for (const name of readdirSync(`${bpfRoot}/stages`)) unlinkSync(`${bpfRoot}/stages/${name}`);
  },
  'the mode': () => {
    const word = new DataView(datapath.maps.view('hostfw_control'));
    word.setUint8(3, CONTROL_MODE.OFF);
  },
  'an address': () => {
    mapDelete(datapath.maps.fd('ipcache_host4'), Uint8Array.of(192, 0, 2, 2));
  },
  'a stranger': () => {
    mapUpdate(datapath.maps.fd('ipcache_host4'), Uint8Array.of(192, 0, 2, 9), new Uint8Array(32));
    mapUpdate(datapath.maps.fd('ipcache_net4'), Uint8Array.of(24, 0, 0, 0, 192, 0, 3, 0), new Uint8Array(32));
  },
  'a failsafe port': () => {
    new Uint8Array(datapath.maps.view('failsafe_port'))[8081 + 131328] = 1;
  },
};

const calls: Record<string, (arg: never) => unknown> = {
  apply: (plain: Plain) => datapath.applyPolicy(compileTwin(world(plain))),
  ipcache: (rows: readonly (readonly [string, number])[]) => datapath.ipcache.update(rows.map(row)),
  addresses: (rows: readonly { address: string; ifindex: number }[]) => datapath.addresses.prune(rows),
  device: (ifindex: number) =>
    datapath.devices.update({
      ifindex,
      name: `if${ifindex}`,
      kind: 'external',
      selected: true,
      reason: '',
      isLayer3: false,
      linkKind: 'veth',
      allowSelfSource: false,
      endpoint: 0,
      vlan: undefined,
    }),
  /** A device without Ethernet header. */
  layer3: (ifindex: number) =>
    datapath.devices.update({
      ifindex,
      name: `if${ifindex}`,
      kind: 'external',
      selected: true,
      reason: '',
      isLayer3: true,
      linkKind: 'tun',
      allowSelfSource: false,
      endpoint: 0,
      vlan: undefined,
    }),
  endpoints: (rows: never) => datapath.endpoints.prune(rows),
  pod: ([ifindex, endpoint]: readonly [number, number]) =>
    datapath.devices.update({
      ifindex,
      name: `if${ifindex}`,
      linkKind: 'veth',
      kind: 'pod',
      selected: true,
      reason: '',
      isLayer3: false,
      allowSelfSource: false,
      endpoint,
      vlan: undefined,
    }),
  deleteDevice: (ifindex: number) => datapath.devices.delete({ ifindex }),
  pruneDevices: (rows: never) => datapath.devices.prune(rows).length,
  hooks: (ifindex: number) => datapath.devices.hooks(ifindex),
  failsafe: (rows: never) => datapath.failsafe.set(rows),
  status: () => ({
    ...datapath.status(),
    mode: datapath.hostControl(),
    problems,
    current: [...current.values()],
  }),
  flows: () => [...datapath.flows()].flat(),
  counters: () => ({ stats: datapath.counters.stats(), origins: datapath.counters.origins(100) }),
  reasons: () => reasons.splice(0),
  churn: ([plain, addresses, rounds]: readonly [Plain, number, number]) => churn(plain, addresses, rounds),
  settled: () => datapath.settled(),
  verify: () => datapath.verify(),
  tamper: (what: string) => tamper[what]?.(),
};

console.log(JSON.stringify({ ok: 'open' }));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, arg] = JSON.parse(line) as [string, never];
  try {
    const value = await calls[name]?.(arg);
    console.log(JSON.stringify({ ok: value ?? null }, (_, v) => (typeof v === 'bigint' ? Number(v) : v)));
  } catch (e) {
    console.log(JSON.stringify({ error: errorCode(e), message: errorMessage(e) }));
  }
}
await datapath[Symbol.asyncDispose]();
