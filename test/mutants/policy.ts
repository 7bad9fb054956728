/**
 * Seeded mutants of the compiler: a copy of the sources with one fault each, against the tests that compare with the
 * oracle and with a compilation from nothing, which see most of them at once, then against the cases.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Random } from '../unit/policy/random.ts';
import type { Mutation } from './c-table.ts';
import { POLICY_MUTATIONS } from './policy-table.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = 'src/policy';
/** What the tests read. */
const COPIED = ['src', 'hostfw', 'test', 'deploy', 'docs', 'package.json', 'tsconfig.json'];
const TABLES = [
  'compile',
  'facts',
  'findings',
  'held',
  'l7',
  'lists',
  'numbering',
  'port-index',
  'precedence',
  'prefixes',
].map((name) => `test/unit/policy/${name}.test.ts`);
const CASES = [
  'test/unit/policy/manifest.test.ts',
  'test/unit/policy/network-policy.test.ts',
  'test/unit/cases/examples.test.ts',
];
const TWINS = ['selector-index', 'incremental', 'agreement'].map(
  (name) => `test/unit/policy/${name}.test.ts`,
);

export interface PolicyMutantOptions {
  readonly count: number;
  readonly seed: number;
  /** Only mutants whose name contains this. */
  readonly only?: string;
  readonly onResult: (line: string) => void;
}

export interface PolicyMutantReport {
  readonly made: number;
  /** Names of those that nothing noticed. */
  readonly survivors: readonly string[];
}

/** What a mutant is, in one line. */
function nameOf([file, from, to]: Mutation): string {
  const flat = (text: string): string => text.replace(/\s+/g, ' ').trim();
  return `${file}: ${flat(from)} ⇒ ${flat(to) === '' ? 'nothing' : flat(to)}`;
}

/** Mutations whose text does not stand exactly once in the sources: the table is to be mended. */
export function stalePolicyMutations(): readonly string[] {
  const text = (file: string): string => readFileSync(join(ROOT, SOURCES, file), 'utf8');
  return POLICY_MUTATIONS.filter(([file, from]) => text(file).split(from).length !== 2).map(nameOf);
}

/** Makes and runs `count` mutants, fewer when there are not as many. */
export async function policyMutants(options: PolicyMutantOptions): Promise<PolicyMutantReport> {
  const { count, seed, only = '', onResult } = options;
  const fitting = POLICY_MUTATIONS.filter((one) => nameOf(one).includes(only));
  const chosen = new Random(seed).shuffle(fitting).slice(0, count);
  const folder = join(ROOT, 'build', 'mutants', `policy-${process.pid}`);
  const survivors: string[] = [];
  try {
    copyInto(folder);
    for (const mutation of chosen) {
      const finder = await finderOf(mutation, folder);
      onResult(`${finder === undefined ? 'SURVIVES' : `found by ${finder}`}: ${nameOf(mutation)}`);
      if (finder === undefined) survivors.push(nameOf(mutation));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { made: chosen.length, survivors };
}

function copyInto(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const part of COPIED) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}

/** Who notices the mutant; undefined: nobody. */
async function finderOf([file, from, to]: Mutation, folder: string): Promise<string | undefined> {
  const path = join(folder, SOURCES, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    for (const files of [TWINS, TABLES, CASES]) {
      const finder = await failureOf(files, folder);
      if (finder !== undefined) return finder;
    }
    return undefined;
  } finally {
    writeFileSync(path, text);
  }
}

/** The title of the first test that fails. */
async function failureOf(files: readonly string[], folder: string): Promise<string | undefined> {
  const env = { ...process.env, FORCE_COLOR: '0', MERLON_SEED: '1' };
  try {
    await run('ava', ['--fail-fast', '--timeout=5m', ...files], { cwd: folder, env, maxBuffer: 1 << 26 });
    return undefined;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const title = /✘ \[fail\]: (.*)/.exec(stdout)?.[1] ?? /✘ (.*)/.exec(stdout)?.[1];
    if (title === undefined) throw new Error(`the tests of policy do not run:\n${stdout}${stderr}`);
    return `“${title}”`;
  }
}
