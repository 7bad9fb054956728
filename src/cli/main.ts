/**
 * The command line. Builds the commands from the list of verbs, runs the one that was asked for, and turns
 * what it throws into one sentence and an exit code of the catalogue.
 */
import { constants } from 'node:os';
import { ERRORS, formatError, MerlonError } from '#kit/errors';
import { buildProgram } from './program.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Environment and arguments in, exit code out. */
async function main(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const stop = new AbortController();
  // To the agent a hang-up means: read the configuration again.
  const ending = argv[0] === 'agent' ? (['SIGINT', 'SIGTERM'] as const) : SIGNALS;
  for (const signal of ending) process.once(signal, () => stop.abort(signal));
  let broken: NodeJS.ErrnoException | undefined;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader such as `head` that has seen enough is no error: streams end, verdicts keep their exit code.
    if (error.code !== 'EPIPE') broken = error;
    else if (argv[0] !== 'agent') stop.abort('EPIPE');
  });
  // Nobody is there to be told; what was asked for goes on, an agent more than anything.
  process.stderr.on('error', () => {});
  try {
    const code = await buildProgram({ env, signal: stop.signal }, argv);
    await new Promise(setImmediate); // what could not be written is told a moment later
    if (broken !== undefined)
      throw new MerlonError('FAILED', `cannot write: ${broken.message}`, { cause: broken });
    return code;
  } catch (error) {
    if (stop.signal.aborted) return 128 + (constants.signals[stop.signal.reason as NodeJS.Signals] ?? -128);
    process.stderr.write(`merlon: ${formatError(error)}\n`);
    if (env['MERLON_DEBUG'] !== undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return error instanceof MerlonError ? ERRORS[error.code].exit : 1;
  }
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2), process.env);
}
