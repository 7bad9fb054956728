/**
 * Seeded mutants of the C: the sources with one fault each, compiled into a folder of their own and run against
 * the packet tests: the tables of cases, a short run against the oracle, then the fuzzer. What the compiler or the
 * verifier refuses could never have run, and counts as found.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Random } from '../unit/policy/random.ts';
import { MUTATIONS, type Mutation } from './c-table.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = join(ROOT, 'bpf');
/** Files that no mutant runs: the mutants themselves, and what takes the attached programs for granted. */
const TABLES = ['host', 'pod', 'state', 'edges', 'corners', 'corners-pod', 'audit'].map(
  (name) => `test/packet/${name}.test.ts`,
);
const ORACLE = 'test/packet/oracle.test.ts';
const ORACLE_WORLDS = 25;
const FUZZ_RUNS = 500_000;

export interface CMutantOptions {
  readonly count: number;
  readonly seed: number;
  /** Only mutants whose name contains this. */
  readonly only?: string;
  /** For a sample in the tests, which have just run without a fault: the tables of packets alone. */
  readonly isSample?: boolean;
  readonly onResult: (line: string) => void;
}

/** What a mutant is, in one line. */
export function mutantName([file, from, to]: Mutation): string {
  return `${file}: ${flat(from)} ⇒ ${flat(to) === '' ? 'nothing' : flat(to)}`;
}

const flat = (text: string): string => text.replace(/\s+/g, ' ').trim();

/** Mutations whose text does not stand exactly once in the sources: the table is to be mended. */
export function staleMutations(): readonly string[] {
  return MUTATIONS.filter(
    ([file, from]) => readFileSync(join(SOURCES, file), 'utf8').split(from).length !== 2,
  ).map(mutantName);
}

export interface CMutantReport {
  readonly made: number;
  /** Names of those that nothing noticed. */
  readonly survivors: readonly string[];
  /** Those of which the tests could say nothing: found by nobody, and no survivors either. */
  readonly unclear: readonly string[];
}

/** Makes and runs `count` mutants, fewer when there are not as many. */
export async function cMutants(options: CMutantOptions): Promise<CMutantReport> {
  const { count, seed, only = '', isSample = false, onResult } = options;
  const fitting = MUTATIONS.filter((one) => mutantName(one).includes(only));
  const chosen = new Random(seed).shuffle(fitting).slice(0, count);
  const survivors: string[] = [];
  const unclear: string[] = [];
  const folder = join(ROOT, 'build', 'mutants', `${process.pid}`);
  try {
    const before = isSample ? undefined : await finderOf(undefined, folder, false);
    if (before !== undefined) throw new Error(`without any mutant the packet tests fail: ${before}`);
    for (const mutation of chosen) {
      const name = mutantName(mutation);
      const finder = await finderOf(mutation, folder, isSample).catch((error: unknown) => {
        if (!(error instanceof UnclearError)) throw error;
        onResult(`UNCLEAR (${error.message}): ${name}`);
        unclear.push(name);
        return null;
      });
      if (finder === null) continue;
      onResult(`${finder === undefined ? 'SURVIVES' : `found by ${finder}`}: ${name}`);
      if (finder === undefined) survivors.push(name);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { made: chosen.length, survivors, unclear };
}

/** Who notices the mutant; undefined: nobody. Without one the sources are run as they are. */
async function finderOf(
  mutation: Mutation | undefined,
  folder: string,
  isSample: boolean,
): Promise<string | undefined> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const sources = join(folder, 'bpf');
  cpSync(SOURCES, sources, { recursive: true });
  if (mutation !== undefined) mutate(sources, mutation);
  try {
    await Promise.all(['flow', 'host', 'pod', 'xdp', 'gc'].map((name) => compile(sources, name, folder)));
  } catch {
    return 'the compiler';
  }
  if (isSample) return failureOf(TABLES.slice(0, 1), folder);
  return (await failureOf(TABLES, folder)) ?? (await failureOf([ORACLE], folder)) ?? (await fuzz(folder));
}

/** Ways that test runs cannot take (tags that a driver took off) the fuzzer does. */
async function fuzz(folder: string): Promise<string | undefined> {
  const program = join(folder, 'paths');
  const { stdout } = await run('cc', ['-print-multiarch']);
  const checks = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize=alignment'];
  const headers = [`-I${join(folder, 'bpf')}`, `-I/usr/include/${stdout.trim()}`];
  const flags = ['-O1', ...checks, '-fno-sanitize-recover=undefined', '-w', ...headers];
  await run('clang-19', [...flags, join(ROOT, 'test/fuzz/paths.c'), '-o', program]);
  const corpus = join(folder, 'corpus');
  cpSync(join(ROOT, 'test/fuzz/corpus/paths'), corpus, { recursive: true });
  const limits = [`-runs=${FUZZ_RUNS}`, '-seed=1', '-max_len=512', `-artifact_prefix=${folder}/`];
  return run(program, [...limits, corpus], { maxBuffer: 1 << 26 }).then(
    () => undefined,
    () => 'the fuzzer',
  );
}

function mutate(sources: string, [file, from, to]: Mutation): void {
  const path = join(sources, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`bpf/${file} does not have once: ${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
}

async function compile(sources: string, name: string, folder: string): Promise<void> {
  const { stdout } = await run('cc', ['-print-multiarch']);
  const flags = ['--target=bpf', '-mcpu=v3', '-g', '-O2', '-w', `-I/usr/include/${stdout.trim()}`];
  await run('clang-19', [
    ...flags,
    '-c',
    join(sources, `${name}.bpf.c`),
    '-o',
    join(folder, `${name}.bpf.o`),
  ]);
}

/** What one run of tests said. */
type Run =
  | { readonly kind: 'passed' }
  /** A case that came out otherwise than it should, or the verifier. */
  | { readonly kind: 'noticed'; readonly by: string }
  /** Anything else, which says nothing of the mutant. */
  | { readonly kind: 'unclear'; readonly why: string };

/** What the loader says when the kernel does not take a program. */
const REFUSED = /does not load|BPF_PROG_LOAD|failed to load|prog '\w+': /;
/** Failures of the machine, not of what is judged: a busy one is slow. */
const SLOW = /Test timeout exceeded|Timed out while running tests|Exited due to/;

/** Reads the output of tests of which at least one failed. */
export function readFailure(output: string): Exclude<Run, { kind: 'passed' }> {
  if (REFUSED.test(output)) return { kind: 'noticed', by: 'the verifier' };
  if (SLOW.test(output)) return { kind: 'unclear', why: 'out of time' };
  const title = /✘ \[fail\]: (.*)/.exec(output)?.[1];
  if (title === undefined) return { kind: 'unclear', why: 'no test failed, yet the run did' };
  if (/\b(before|after|beforeEach|afterEach)(\.always)? hook\b/.test(title))
    return { kind: 'unclear', why: `before any case: ${title}` };
  return { kind: 'noticed', by: `“${title}”` };
}

async function runTests(files: readonly string[], folder: string): Promise<Run> {
  const env = {
    ...process.env,
    FORCE_COLOR: '0',
    MERLON_OBJECTS: folder,
    MERLON_SEED: '1',
    MERLON_WORLDS: `${ORACLE_WORLDS}`,
  };
  try {
    await run('ava', ['--fail-fast', '--timeout=5m', ...files], { cwd: ROOT, env, maxBuffer: 1 << 26 });
    return { kind: 'passed' };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return readFailure(`${stdout}${stderr}`);
  }
}

/** Who notices these objects in these tests; undefined: nobody. Throws when a second run is no clearer either. */
async function failureOf(files: readonly string[], folder: string): Promise<string | undefined> {
  let last = await runTests(files, folder);
  if (last.kind === 'unclear') last = await runTests(files, folder);
  if (last.kind === 'unclear') throw new UnclearError(last.why);
  return last.kind === 'noticed' ? last.by : undefined;
}

/** The tests could not say anything of a mutant. */
class UnclearError extends Error {}
