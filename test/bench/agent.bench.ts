/**
 * The agent as it runs: memory at rest, time from a file written until its policy rules in the kernel, and how
 * long the command line takes to start. `npm run bench -- agent [-o json] [--quick]`. Needs root.
 *
 *   node (agent) ── peer
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Host, type LabAgent, run, startAgent, topology, writeManifests } from '#lab';
import { closeFd, mapView, objGet } from '#native';
import { MAPS } from '#wire/bpf';
import { median } from './datapath/median.ts';
import { type Figure, printFigures } from './figures.ts';

const { values } = parseArgs({
  options: {
    output: { type: 'string', short: 'o', default: 'table' },
    quick: { type: 'boolean', default: false },
  },
});
const CHANGES = values.quick ? 5 : 25;
const STARTS = values.quick ? 3 : 9;
const PROGRAM = join(process.cwd(), 'build/bin/merlon');
/** The file source waits so long for a burst of events to end. */
const QUIET_MS = 500;
/** Until the garbage of the start is gone. */
const IDLE_MS = values.quick ? 3000 : 15_000;
const PATIENCE_MS = 10_000;

/** Bytes of a field of /proc/PID/status. */
function memoryOf(pid: number, field: string): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN) * 1024;
}

/** Processor time of all threads; the kernel counts in hundredths of a second. */
function cpuMsOf(pid: number): number {
  const [, user = 0, system = 0] =
    /\) \S(?: \S+){10} (\d+) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
  return 10 * (Number(user) + Number(system));
}

const policyOf = (port: number) => `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: node }
spec:
  nodeSelector: {}
  ingress:
  - fromCIDR: [192.0.2.0/24]
    toPorts: [{ ports: [{ port: "${port}", protocol: TCP }] }]
`;

/** The rule sets' headers in memory: their slots' generations tell when a policy rules. */
function rulesetsOf(host: Host): BigUint64Array {
  const folder = join(host.dirs?.bpfRoot ?? '', 'maps');
  const pin = readdirSync(folder).find((name) => name.startsWith('rulesets@'));
  const control = readdirSync(folder).find((name) => name.startsWith('hostfw_control@'));
  if (pin === undefined || control === undefined) throw new Error(`no rule sets are pinned in ${folder}`);
  const fd = objGet(join(folder, control));
  const view = new BigUint64Array(mapView(fd, 4096, false), 0, MAPS.hostfw_control.valueSize / 8);
  closeFd(fd);
  return view;
}

/** Milliseconds from the file's writing until the host's control word names another slot, quiet time off. */
async function timeToEnforce(agent: LabAgent): Promise<number[]> {
  const control = rulesetsOf(agent.host);
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const before = control[0];
    await writeManifests(agent.host, { 'node.yaml': policyOf(1000 + i) });
    const start = performance.now();
    while (control[0] === before) {
      if (performance.now() - start > PATIENCE_MS)
        throw new Error(`change ${i} was not enforced\n${agent.said}`);
      await turn();
    }
    times.push(performance.now() - start - QUIET_MS);
    await sleep(50);
  }
  return times;
}

/** So many policies of the host, each with a prefix and a port of its own. */
const POLICIES = 250;

const oneOfMany = (i: number, round: number) => `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: many-${i} }
spec:
  nodeSelector: {}
  ingress:
  - fromCIDR: [10.${i}.${round}.0/24]
    toPorts: [{ ports: [{ port: "${2000 + i}", protocol: TCP }] }]
`;

/** Milliseconds from the last of many files until the last switch, when all of them rule; quiet time off. */
async function timeToEnforceMany(agent: LabAgent, round: number): Promise<number> {
  const control = rulesetsOf(agent.host);
  const files = Array.from({ length: POLICIES }, (_, i) => [`many-${i}.yaml`, oneOfMany(i, round)] as const);
  let seen = control[0];
  let switchedMs = Number.NaN;
  await writeManifests(agent.host, Object.fromEntries(files));
  const start = performance.now();
  while (Number.isNaN(switchedMs) || performance.now() - start - switchedMs < 2 * QUIET_MS) {
    if (performance.now() - start > PATIENCE_MS) throw new Error(`they were not enforced\n${agent.said}`);
    if (control[0] !== seen) switchedMs = performance.now() - start;
    seen = control[0];
    await turn();
  }
  const { stdout } = await agent.merlon(['bpf', 'policy', 'get', 'host', '-o', 'json']);
  const missing = files.findIndex((_, i) => !stdout.includes(`many-${i}/`));
  if (missing >= 0) throw new Error(`many-${missing} does not rule\n${stdout.slice(0, 2000)}`);
  return switchedMs - QUIET_MS;
}

async function startTimes(agent: LabAgent, args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i <= STARTS; i++) {
    const start = performance.now();
    const { code } = await (args[0] === 'version' ? run([PROGRAM, ...args]) : agent.merlon(args));
    if (code !== 0) throw new Error(`merlon ${args.join(' ')} exited with ${code}`);
    if (i > 0) times.push(performance.now() - start);
  }
  return median(times);
}

if (!existsSync(PROGRAM)) throw new Error('build/bin/merlon is missing: run npm run build');
await using net = await topology({
  name: 'bench',
  hosts: { node: { isNode: true }, peer: {} },
  links: [
    {
      ends: [
        { host: 'node', addresses: ['192.0.2.1/24', '2001:db8::1/64'] },
        { host: 'peer', addresses: ['192.0.2.2/24', '2001:db8::2/64'] },
      ],
    },
  ],
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => void net[Symbol.asyncDispose]().finally(() => process.exit(130)));
await using agent = await startAgent(net.hosts.node, {
  program: PROGRAM,
  manifests: { 'node.yaml': policyOf(999) },
});
const begun = performance.now();
const enforced = await timeToEnforce(agent);
const many: number[] = [];
const cpuBefore = cpuMsOf(agent.pid);
for (let round = 0; round < STARTS; round++) many.push(await timeToEnforceMany(agent, round));
const manyCpu = (cpuMsOf(agent.pid) - cpuBefore) / STARTS;
await sleep(Math.max(0, IDLE_MS - (performance.now() - begun)));
const p = (share: number) =>
  enforced.toSorted((a, b) => a - b)[Math.min(enforced.length - 1, Math.floor(share * enforced.length))] ??
  Number.NaN;
const of = `${CHANGES} files written; beyond the quiet time of ${QUIET_MS} ms`;
const lines: Figure[] = [
  {
    name: 'agent_rss_anon',
    value: memoryOf(agent.pid, 'RssAnon'),
    unit: 'bytes',
    target: 150e6,
    of: 'at rest',
  },
  { name: 'agent_rss_file', value: memoryOf(agent.pid, 'RssFile'), unit: 'bytes', of: 'at rest' },
  {
    name: 'agent_rss_shmem',
    value: memoryOf(agent.pid, 'RssShmem'),
    unit: 'bytes',
    of: 'at rest: maps and rings',
  },
  { name: 'enforced_p50', value: p(0.5), unit: 'ms', target: 50, of },
  { name: 'enforced_max', value: p(1), unit: 'ms', of },
  {
    name: `enforced_${POLICIES}_policies`,
    value: median(many),
    unit: 'ms',
    target: 600,
    of: `all at once in files of their own, until the last rules; beyond the quiet time; slowest ${Math.max(...many).toFixed(0)} ms`,
  },
  {
    name: `enforced_${POLICIES}_cpu`,
    value: manyCpu,
    unit: 'ms',
    of: 'of the agent, all threads, what comes after included',
  },
  { name: 'cli_version', value: await startTimes(agent, ['version']), unit: 'ms', of: 'merlon version' },
  {
    name: 'cli_status',
    value: await startTimes(agent, ['status']),
    unit: 'ms',
    target: 100,
    of: 'merlon status',
  },
];
printFigures(lines, values.output);
