/** The world that a question is asked in: a file's (`--world`), or what the agent has. */
import { dirname, join } from 'node:path';
import { CaseRun, type FlowWorld, readCase, snapshotFromJson, SnapshotRun } from '#cases';
import { call } from '#api/client';
import { ERRORS, formatError, MerlonError } from '#kit/errors';
import { errorFromProblem } from '#model/parse';
import { fileTitle, readInput, readText } from './policy-files.ts';
import { type Context, type Options, text } from './verb.ts';

export async function worldOf(context: Context, options: Options): Promise<FlowWorld> {
  const file = text(options, 'world');
  if (file === undefined) return worldOfAgent(context);
  const read = readCase(
    await readInput(file, context.signal),
    fileTitle(file),
    (path) => {
      const beside = join(dirname(file), path);
      return { file: beside, text: readText(beside) };
    },
    true,
  );
  if (read.case !== undefined) return new CaseRun(read.case.world, read.case.policies);
  const errors = read.problems.map(errorFromProblem);
  for (const error of errors.slice(0, -1)) context.output.message(formatError(error));
  throw errors.at(-1) ?? new MerlonError('INTERNAL', 'unusable without a reason');
}

async function worldOfAgent(context: Context): Promise<SnapshotRun> {
  try {
    return new SnapshotRun(snapshotFromJson(await call('/v1/world', context)));
  } catch (error) {
    if (!(error instanceof MerlonError) || error.code !== 'AGENT_UNREACHABLE') throw error;
    const hint = `${error.hint ?? ERRORS.AGENT_UNREACHABLE.hint}; without an agent, name a case file with --world`;
    throw new MerlonError(error.code, error.message, { cause: error, hint });
  }
}
