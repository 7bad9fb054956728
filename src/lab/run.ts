/**
 * Child processes: one that runs to its end and hands over what it said, and one that stays.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { MerlonError } from '#kit/errors';

/** How a finished program ended. `code` is 128 + signal number where a signal ended it. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds after which the program is killed; the call then rejects. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const SIGNAL_NUMBER: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Runs `argv` to its end. Rejects only when it cannot be started, is aborted or overruns its time. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [program = '', ...args] = argv;
  const timeoutMs = options.timeoutMs ?? 120_000;
  const limit = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      signal,
      killSignal: 'SIGKILL',
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => {}); // a program may end without reading its input
    child.stdin.end(options.input ?? '');
    child.on('error', (cause) => {
      const why = limit.aborted ? `did not end within ${timeoutMs} ms` : `failed: ${cause.message}`;
      reject(new MerlonError('FAILED', `${argv.join(' ')} ${why}`, { cause }));
    });
    child.on('close', (code, by) => {
      resolve({
        code: code ?? 128 + (SIGNAL_NUMBER[by ?? ''] ?? 0),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      });
    });
  });
}

/** As `run`, but anything other than exit code 0 is an error that quotes what the program said. */
export async function mustRun(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options);
  if (code !== 0) {
    const input = options.input === undefined ? '' : `\ninput:\n${options.input}`;
    throw new MerlonError('FAILED', `${argv.join(' ')} exited with ${code}: ${stderr || stdout}${input}`);
  }
  return stdout;
}

/** Waits for a child's end; its exit code as in `Finished`. */
export function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else if (child.signalCode !== null) resolve(128 + (SIGNAL_NUMBER[child.signalCode] ?? 0));
    else child.once('exit', (code, by) => resolve(code ?? 128 + (SIGNAL_NUMBER[by ?? ''] ?? 0)));
  });
}
