/** The world that a question is asked in: a file's (`--world`), or what the agent has. */
import { dirname, join } from 'node:path';
import { CaseRun, type FlowWorld, readCase, snapshotFromJson, SnapshotRun } from '#cases';
import { call } from '#api/client';
import { MerlonError } from '#kit/errors';
import { errorFromProblem } from '#model/parse';
import { readInput } from './policy-files.ts';
import { type Context, type Options, text } from './verb.ts';

export async function worldOf(context: Context, options: Options): Promise<FlowWorld> {
  const file = text(options, 'world');
  if (file === undefined) return new SnapshotRun(snapshotFromJson(await call('/v1/world', context)));
  const read = readCase(
    readInput(file),
    file,
    (path) => {
      const beside = join(dirname(file), path);
      return { file: beside, text: readInput(beside) };
    },
    true,
  );
  if (read.case !== undefined) return new CaseRun(read.case.world, read.case.policies);
  for (const problem of read.problems.slice(1)) context.output.message(errorFromProblem(problem).message);
  const [first] = read.problems;
  throw first === undefined
    ? new MerlonError('INTERNAL', 'unusable without a reason')
    : errorFromProblem(first);
}
