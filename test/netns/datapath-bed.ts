/**
 * A datapath in a process of its own, and the small world that its tests judge in.
 *
 *   node ── eth0 ── peer
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { type Host, topology } from '#lab';

export const PROCESS = fileURLToPath(new URL('./datapath-process.ts', import.meta.url));

interface Reply {
  readonly ok?: unknown;
  readonly error?: string;
  readonly message?: string;
}

/** The other end of `datapath-process.ts`. */
export class Process {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.child = child;
    if (child.stdout === null) throw new Error('no stdout');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async reply(): Promise<Reply> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('the datapath process has ended');
    return JSON.parse(value) as Reply;
  }

  async call<T = unknown>(name: string, arg: unknown = null): Promise<T> {
    this.child.stdin?.write(`${JSON.stringify([name, arg])}\n`);
    const { ok, error, message } = await this.reply();
    if (error !== undefined) throw new Error(`${error}: ${message}`);
    return ok as T;
  }

  async kill(how: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill(how);
    await ended;
  }
}

export async function start(host: Host, options: object = {}): Promise<Process> {
  const { bpfRoot, stateDir } = host.dirs as NonNullable<Host['dirs']>;
  const child = host.spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', PROCESS, bpfRoot, stateDir, JSON.stringify(options)],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  return new Process(child);
}

export async function opened(host: Host, options: object = {}): Promise<Process> {
  const started = await start(host, options);
  const { ok, error, message } = await started.reply();
  if (ok !== 'open') throw new Error(`${error}: ${message}`);
  return started;
}

/** Peers are identity 4; 8080 is open to them, everything else is refused. */
export const WORLD = {
  identities: [1, 2, 4, 9, 10],
  rules: [[{ labels: [4], ports: [8080, 8080], verdict: 'allow' }]],
};
export const NODE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;
export const PEER = { 4: '192.0.2.2', 6: '2001:db8::2' } as const;

export async function bed() {
  const net = await topology({
    name: 'datapath',
    hosts: { node: { isNode: true }, peer: { isNode: true } },
    links: [
      {
        ends: [
          { host: 'node', addresses: [`${NODE[4]}/24`, `${NODE[6]}/64`] },
          { host: 'peer', addresses: [`${PEER[4]}/24`, `${PEER[6]}/64`] },
        ],
      },
    ],
  });
  const { node, peer } = net.hosts;
  const [link] = await node.ipJson<{ ifindex: number }>('link', 'show', 'dev', 'eth0');
  const ifindex = link?.ifindex ?? 0;
  const stack = new AsyncDisposableStack();
  stack.use(net);
  const bpfRoot = (node.dirs as NonNullable<Host['dirs']>).bpfRoot;
  for (const port of [8080, 8081]) await node.serveTcp(port);
  return { net, node, peer, ifindex, bpfRoot, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Everything that makes the node enforce WORLD. */
export async function enforce(datapath: Process, ifindex: number) {
  const local = [NODE[4], NODE[6]].map((address) => ({ address, ifindex }));
  await datapath.call('addresses', local);
  await datapath.call('ipcache', [
    [`${NODE[4]}/32`, 1],
    [`${NODE[6]}/128`, 1],
    [`${PEER[4]}/32`, 4],
    [`${PEER[6]}/128`, 4],
  ]);
  await datapath.call('apply', WORLD);
  await datapath.call('device', ifindex);
}

/** Names of the programs at the device's hooks, whoever attached them. */
export async function programsOn({ node, ifindex }: { node: Host; ifindex: number }): Promise<string[]> {
  const args = ['--disable-warning=ExperimentalWarning', PROCESS, '--hooks', `${ifindex}`];
  return JSON.parse(await node.mustExec(process.execPath, args)) as string[];
}

export async function judgesAsToldBy(t: ExecutionContext, { peer }: { peer: Host }) {
  const attempts = [NODE[4], NODE[6]].flatMap((to) => [
    { proto: 'tcp' as const, to, port: 8080 },
    { proto: 'tcp' as const, to, port: 8081, timeoutMs: 400 },
  ]);
  const outcomes = (await peer.attempts(attempts)).map((r) => `${r.to}:${r.port} ${r.outcome}`);
  t.deepEqual(outcomes, [
    `${NODE[4]}:8080 open`,
    `${NODE[4]}:8081 timeout`,
    `${NODE[6]}:8080 open`,
    `${NODE[6]}:8081 timeout`,
  ]);
}
