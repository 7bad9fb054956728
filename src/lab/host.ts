/**
 * A host of a topology: a network namespace in which programs run, servers listen and probes start.
 */
import { type ChildProcess, type ChildProcessByStdio, type SpawnOptions, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Prober } from './prober.ts';
import type {
  Attempt,
  AttemptResult,
  Outcome,
  ServerReport,
  ServerSpec,
  StreamReport,
  StreamSpec,
} from './protocol.ts';
import { type Finished, mustRun, type RunOptions, run } from './run.ts';

const PROBER = fileURLToPath(new URL('./probe/main.ts', import.meta.url));

/** Folders of a host that stands for a node; what `merlon agent` is told by flags. */
export interface NodeDirs {
  readonly configDir: string;
  readonly manifestsDir: string;
  readonly stateDir: string;
  readonly runDir: string;
  /** Not made: whoever pins makes it. */
  readonly bpfRoot: string;
  /** undefined where the machine has no cgroup2. Programs run by `exec` and `spawn` live in it. */
  readonly cgroupRoot: string | undefined;
}

/** What a topology knows of a host it made. */
export interface HostInfo {
  readonly name: string;
  /** Name under /run/netns. */
  readonly netnsName: string;
  readonly netns: string;
  readonly addresses: readonly string[];
  readonly dirs: NodeDirs | undefined;
}

type ProbeOptions = Omit<Attempt, 'proto' | 'to' | 'port'>;

/** A server that a prober runs. */
export interface LabServer {
  readonly port: number;
  report(): Promise<ServerReport>;
  close(): Promise<ServerReport>;
}

/** Traffic that a prober keeps running. */
export interface LabStream {
  readonly source: string;
  readonly sourcePort: number;
  report(): Promise<StreamReport>;
  stop(): Promise<StreamReport>;
}

export class Host {
  readonly name: string;
  readonly netnsName: string;
  /** Path of the namespace. */
  readonly netns: string;
  /** Its own addresses as given in the topology, without prefix lengths. */
  readonly addresses: readonly string[];
  readonly dirs: NodeDirs | undefined;
  #prober: Prober | undefined;

  constructor(info: HostInfo) {
    this.name = info.name;
    this.netnsName = info.netnsName;
    this.netns = info.netns;
    this.addresses = info.addresses;
    this.dirs = info.dirs;
  }

  /** Its first IPv4 address; empty when it has none. */
  get ipv4(): string {
    return this.addresses.find((address) => !address.includes(':')) ?? '';
  }

  /** Its first IPv6 address; empty when it has none. */
  get ipv6(): string {
    return this.addresses.find((address) => address.includes(':')) ?? '';
  }

  /** The command line that runs `argv` here. Every step of it is an `exec`: the pid is the program's own. */
  argv(argv: readonly string[]): string[] {
    const inside = ['nsenter', `--net=${this.netns}`, ...argv];
    const cgroup = this.dirs?.cgroupRoot;
    if (cgroup === undefined) return inside;
    return ['sh', '-c', `echo $$ > ${cgroup}/cgroup.procs; exec "$@"`, 'sh', ...inside];
  }

  /** Runs a program to its end. */
  exec(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Finished> {
    return run(this.argv([program, ...args]), options);
  }

  /** Runs a program to its end; anything but exit code 0 is an error. Returns its stdout. */
  mustExec(program: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    return mustRun(this.argv([program, ...args]), options);
  }

  /** Lines for `ip -batch`, without the leading word `ip`. */
  async ip(...lines: readonly string[]): Promise<void> {
    const input = lines.map((line) => `${line}\n`).join('');
    await mustRun(this.argv(['ip', '-batch', '-']), { input });
  }

  /** `ip -j ARGS`, parsed: the oracle of netlink tests. */
  async ipJson<T>(...args: readonly string[]): Promise<readonly T[]> {
    const text = await this.mustExec('ip', ['-j', '-d', ...args]);
    return (text.trim() === '' ? [] : JSON.parse(text)) as readonly T[];
  }

  /** Starts a program that stays; who starts it ends it, the topology's disposal kills what is left. */
  spawn(program: string, args: readonly string[] = [], options: SpawnOptions = {}): ChildProcess {
    const [first = '', ...rest] = this.argv([program, ...args]);
    return spawn(first, rest, options);
  }

  get prober(): Prober {
    this.#prober ??= new Prober(
      this.name,
      this.spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROBER], {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { NODE_COMPILE_CACHE: '/run/merlon-lab/compile-cache', PATH: process.env['PATH'] },
      }) as ChildProcessByStdio<Writable, Readable, Readable>,
    );
    return this.#prober;
  }

  /** Makes the attempts, many at a time; results in their order. */
  attempts(attempts: readonly Attempt[], concurrency?: number): Promise<readonly AttemptResult[]> {
    const limit = concurrency === undefined ? {} : { concurrency };
    return this.prober.ask({ op: 'attempt', attempts, ...limit });
  }

  /** Makes one attempt and tells all about it, its five-tuple included. */
  async attempt(attempt: Attempt): Promise<AttemptResult> {
    const [result] = await this.attempts([attempt]);
    return result as AttemptResult;
  }

  async probeTcp(to: string, port: number, options: ProbeOptions = {}): Promise<Outcome> {
    return (await this.attempt({ ...options, proto: 'tcp', to, port })).outcome;
  }

  /** `open` needs an answer: the port's server must echo. */
  async probeUdp(to: string, port: number, options: ProbeOptions = {}): Promise<Outcome> {
    return (await this.attempt({ ...options, proto: 'udp', to, port })).outcome;
  }

  async ping(to: string, options: ProbeOptions = {}): Promise<Outcome> {
    return (await this.attempt({ ...options, proto: 'icmp', to })).outcome;
  }

  /** One HTTP request; `status` and `body` are set when the outcome is `open`. */
  http(to: string, port: number, options: ProbeOptions = {}): Promise<AttemptResult> {
    return this.attempt({ ...options, proto: 'http', to, port });
  }

  async serve(server: ServerSpec): Promise<LabServer> {
    const { server: id, port } = await this.prober.ask<ServerReport>({ op: 'serve', server });
    return {
      port,
      report: () => this.prober.ask({ op: 'serverReport', server: id }),
      close: () => this.prober.ask({ op: 'closeServer', server: id }),
    };
  }

  /** Listens on all addresses of both families and echoes. */
  serveTcp(port: number, options: Omit<ServerSpec, 'proto' | 'port'> = {}): Promise<LabServer> {
    return this.serve({ ...options, proto: 'tcp', port });
  }

  serveUdp(port: number, options: Omit<ServerSpec, 'proto' | 'port'> = {}): Promise<LabServer> {
    return this.serve({ ...options, proto: 'udp', port });
  }

  serveHttp(port: number, options: Omit<ServerSpec, 'proto' | 'port'> = {}): Promise<LabServer> {
    return this.serve({ ...options, proto: 'http', port });
  }

  /** Starts traffic that runs until it is stopped; rejects when a `tcp` stream cannot connect. */
  async stream(stream: StreamSpec): Promise<LabStream> {
    const {
      stream: id,
      source,
      sourcePort,
    } = await this.prober.ask<StreamReport>({ op: 'startStream', stream });
    return {
      source,
      sourcePort,
      report: () => this.prober.ask({ op: 'streamReport', stream: id }),
      stop: () => this.prober.ask({ op: 'stopStream', stream: id }),
    };
  }

  /** Ends the prober, and with it servers and streams. */
  async close(): Promise<void> {
    await this.#prober?.close();
    this.#prober = undefined;
  }
}
