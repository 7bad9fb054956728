/**
 * `merlon agent` on a host of a topology that stands for a node, and the command line beside it.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MerlonError } from '#kit/errors';
import type { Host, NodeDirs } from './host.ts';
import { ended, type Finished, type RunOptions } from './run.ts';

export interface AgentOptions {
  /** Path of the program; from a clone `build/bin/merlon`. */
  readonly program: string;
  /** NodeConfig: YAML text, or a value (JSON is YAML). Default: manifests from the node's own folder, no guard. */
  readonly config?: string | Readonly<Record<string, unknown>>;
  /** File name → text, written to the manifest folder before the start. */
  readonly manifests?: Readonly<Record<string, string>>;
  /** More flags of `merlon agent`. */
  readonly args?: readonly string[];
  /** Default 120. */
  readonly readySeconds?: number;
  readonly signal?: AbortSignal;
}

const SAID_KEPT = 256 << 10;

function dirsOf(host: Host): NodeDirs {
  if (host.dirs === undefined) throw new MerlonError('USAGE', `host ${host.name} is not a node: set isNode`);
  return host.dirs;
}

/** Runs a verb of `merlon` against the node's agent. */
export function merlon(
  host: Host,
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const env = { ...process.env, ...options.env, MERLON_RUN_DIR: dirsOf(host).runDir };
  return host.exec(program, args, { ...options, env });
}

/** Writes files into the node's manifest folder, readable by root alone. */
export async function writeManifests(host: Host, files: Readonly<Record<string, string>>): Promise<void> {
  const { manifestsDir } = dirsOf(host);
  for (const [name, text] of Object.entries(files))
    await writeFile(join(manifestsDir, name), text, { mode: 0o640 });
}

/** A running agent. Disposing it sends SIGTERM and waits, then SIGKILL. */
export class LabAgent {
  readonly host: Host;
  readonly #child: ChildProcess;
  readonly #program: string;
  #said = '';

  constructor(host: Host, program: string, child: ChildProcess) {
    this.host = host;
    this.#program = program;
    this.#child = child;
    const hear = (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-SAID_KEPT);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last 256 KiB of what it wrote to stdout and stderr. */
  get said(): string {
    return this.#said;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Runs a verb against it. */
  merlon(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return merlon(this.host, this.#program, args, options);
  }

  /** Runs a verb with `-o json` and parses what it prints; an exit code other than 0 is an error. */
  async json<T>(args: readonly string[], options: RunOptions = {}): Promise<T> {
    const { code, stdout, stderr } = await this.merlon([...args, '-o', 'json'], options);
    if (code !== 0)
      throw new MerlonError('FAILED', `merlon ${args.join(' ')} exited with ${code}: ${stderr || stdout}`);
    return JSON.parse(stdout) as T;
  }

  /** Sends a signal and, when it ends the process, resolves with the exit code. */
  async kill(signal: NodeJS.Signals): Promise<number> {
    const end = ended(this.#child);
    this.#child.kill(signal);
    return end;
  }

  /** Sends a signal that does not end it: SIGHUP, SIGSTOP, SIGCONT. */
  notify(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGTERM; its exit code. SIGKILL after a minute. */
  async stop(): Promise<number> {
    const end = ended(this.#child);
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 60_000);
    return end.finally(() => clearTimeout(timer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isRunning) await this.stop();
  }
}

/** Starts an agent and waits until it reports itself ready. Error: FAILED, with what it said. */
export async function startAgent(host: Host, options: AgentOptions): Promise<LabAgent> {
  const dirs = dirsOf(host);
  const config = options.config ?? {
    apiVersion: 'merlon.io/v1',
    kind: 'NodeConfig',
    sources: { directory: { paths: [dirs.manifestsDir] } },
    hostfw: { guard: 'off' },
  };
  const file = join(dirs.configDir, 'merlon.yaml');
  await writeFile(file, typeof config === 'string' ? config : JSON.stringify(config, null, 2), {
    mode: 0o640,
  });
  await writeManifests(host, options.manifests ?? {});
  const flags = {
    '--config': file,
    '--state-dir': dirs.stateDir,
    '--run-dir': dirs.runDir,
    '--bpf-root': dirs.bpfRoot,
    ...(dirs.cgroupRoot === undefined ? {} : { '--cgroup-root': dirs.cgroupRoot }),
  };
  const args = ['agent', ...Object.entries(flags).flat(), '--foreground', ...(options.args ?? [])];
  const child = host.spawn(options.program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const agent = new LabAgent(host, options.program, child);
  const seconds = options.readySeconds ?? 120;
  const gone = once(child, 'exit').then(() => undefined);
  const run = {
    timeoutMs: (seconds + 10) * 1000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  };
  const ready = agent.merlon(['status', '--wait-ready', String(seconds)], run);
  const status = await Promise.race([ready, gone]);
  if (status?.code === 0) return agent;
  if (agent.isRunning) await agent.kill('SIGKILL');
  ready.catch(() => {}); // its failure is the same story
  const why = status === undefined ? 'ended' : `was not ready: ${status.stderr || status.stdout}`;
  throw new MerlonError('FAILED', `the agent of ${host.name} ${why}\n${agent.said}`);
}
