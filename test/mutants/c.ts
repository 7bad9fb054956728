/**
 * Seeded mutants of the C: the sources with one fault each, compiled into a folder of their own and run against
 * the packet tests, first the tables of cases, then a short run against the oracle. What the compiler or the
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
const TABLES = ['host', 'pod', 'state', 'edges', 'corners', 'corners-pod'].map(
  (name) => `test/packet/${name}.test.ts`,
);
const ORACLE = 'test/packet/oracle.test.ts';
const ORACLE_WORLDS = 25;

export interface CMutantOptions {
  readonly count: number;
  readonly seed: number;
  /** Only mutants whose name contains this. */
  readonly only?: string;
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
}

/** Makes and runs `count` mutants, fewer when there are not as many. */
export async function cMutants({ count, seed, only = '', onResult }: CMutantOptions): Promise<CMutantReport> {
  const fitting = MUTATIONS.filter((one) => mutantName(one).includes(only));
  const chosen = new Random(seed).shuffle(fitting).slice(0, count);
  const survivors: string[] = [];
  const folder = join(ROOT, 'build', 'mutants', `${process.pid}`);
  try {
    const before = await finderOf(undefined, folder);
    if (before !== undefined) throw new Error(`without any mutant the packet tests fail: ${before}`);
    for (const mutation of chosen) {
      const finder = await finderOf(mutation, folder);
      onResult(`${finder === undefined ? 'SURVIVES' : `found by ${finder}`}: ${mutantName(mutation)}`);
      if (finder === undefined) survivors.push(mutantName(mutation));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { made: chosen.length, survivors };
}

/** Who notices the mutant; undefined: nobody. Without one the sources are run as they are. */
async function finderOf(mutation: Mutation | undefined, folder: string): Promise<string | undefined> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const sources = join(folder, 'bpf');
  cpSync(SOURCES, sources, { recursive: true });
  if (mutation !== undefined) mutate(sources, mutation);
  try {
    await Promise.all(['host', 'pod', 'xdp', 'gc'].map((name) => compile(sources, name, folder)));
  } catch {
    return 'the compiler';
  }
  return (await failureOf(TABLES, folder)) ?? (await failureOf([ORACLE], folder));
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

/** The title of the first test that fails with these objects. */
async function failureOf(files: readonly string[], folder: string): Promise<string | undefined> {
  const env = {
    ...process.env,
    FORCE_COLOR: '0',
    MERLON_OBJECTS: folder,
    MERLON_SEED: '1',
    MERLON_WORLDS: `${ORACLE_WORLDS}`,
  };
  try {
    await run('ava', ['--fail-fast', '--timeout=2m', ...files], { cwd: ROOT, env, maxBuffer: 1 << 26 });
    return undefined;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    if (/does not load|BPF_PROG_LOAD|verifier/i.test(stdout)) return 'the verifier';
    const title = /✘ \[fail\]: (.*)/.exec(stdout)?.[1] ?? /✘ (.*)/.exec(stdout)?.[1];
    if (title === undefined) throw new Error(`the packet tests do not run:\n${stdout}${stderr}`);
    return `“${title}”`;
  }
}
