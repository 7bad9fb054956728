/** Verbs run inside this process, and the files that they are given. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { exitCode, formatError } from '#kit/errors';
import { buildProgram } from '../../../src/cli/program.ts';

/** The policies with their cases that merlon brings. */
export const examples = join(import.meta.dirname, '../../../deploy/examples/policies');

/** How a verb ended and what it said. */
interface End {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a verb without an agent; errors end up where people see them. */
export async function merlon(...args: readonly string[]): Promise<End> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const out = text(stdout);
  const err = text(stderr);
  const streams = { stdout, stderr } as unknown as Record<'stdout' | 'stderr', NodeJS.WriteStream>;
  let code: number;
  try {
    code = await buildProgram({ env: {}, signal: new AbortController().signal, ...streams }, args);
  } catch (error) {
    stderr.write(formatError(error));
    code = exitCode(error);
  }
  stdout.end();
  stderr.end();
  return { code, out: await out, err: await err };
}

/** Hands over a file that is gone afterwards. */
export async function withFile<T>(yaml: string, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-tools-'));
  try {
    const file = join(folder, 'one.case.yaml');
    await writeFile(file, yaml);
    return await use(file);
  } finally {
    await rm(folder, { recursive: true });
  }
}
