/**
 * Seeded mutants of the compiler and of what gives policies their meaning before it: a copy of the sources with one
 * fault each, against the tests that are likeliest to see it, then against the rest: the comparisons with the oracle
 * and with a compilation from nothing, the tables of cases, the case files.
 */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Random } from '../unit/policy/random.ts';
import { readFailure } from './c.ts';
import type { Mutation } from './c-table.ts';
import { MEANING_MUTATIONS } from './meaning-table.ts';
import { POLICY_MUTATIONS } from './policy-table.ts';
import { copyTree } from './tree.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = 'src';
const MUTATIONS = [...POLICY_MUTATIONS, ...MEANING_MUTATIONS];

/** Files of tests as a file in `test` imports them, in the order in which they are asked. */
type Tests = readonly string[];

const of = (folder: string, ...names: readonly string[]): Tests =>
  names.map((name) => `./unit/${folder}/${name}.test.ts`);
const AGREEMENT = of('policy', 'agreement', 'selector-index');
const EDITS = of('policy', 'incremental');
const TABLES = [
  ...of('policy', 'classes', 'compile', 'facts', 'held', 'identity-labels', 'l7', 'lists', 'match'),
  ...of('policy', 'network-policy', 'port-index', 'precedence', 'prefixes', 'proxy-rules', 'tiers'),
  ...of('policy', 'numbering'),
];
const CASES = of('cases', 'examples');
const FINDINGS = [
  ...of('cases', 'lint', 'pains', 'closings'),
  ...of('policy', 'findings', 'findings.property'),
];
const TOOLS = [
  ...of('cases', 'closings', 'diff', 'explain', 'path', 'snapshot'),
  ...of('cli', 'policy-tools'),
];
const PARSERS = [
  ...of('model', 'selector'),
  ...of('model/parse', 'rules', 'network-policy', 'l7', 'outside', 'errors', 'refusals', 'golden'),
];

/** What is asked about a fault, likeliest and cheapest finders first. */
const TESTS: readonly (readonly [folder: string, tests: Tests])[] = [
  ['policy/findings/', FINDINGS],
  ['policy/', [...AGREEMENT, ...TABLES, ...CASES, ...EDITS]],
  ['model/', [...PARSERS, ...CASES, ...TABLES]],
  ['cases/', [...CASES, ...TOOLS]],
];
/** Worlds of edits, and for what these tests do not see. */
const FEW_WORLDS = 20;
const MANY_WORLDS = 180;
/** Mutants at a time, each in a copy of its own. */
const JOBS = 2;
/** The one file of tests that a copy runs: the others in their order. */
const ALL = 'test/all.test.ts';

export interface PolicyMutantOptions {
  readonly count: number;
  readonly seed: number;
  /** Only mutants whose name contains this. */
  readonly only?: string;
  /** Whether a copy without fault is asked first: tests that fail anyway would find everything. */
  readonly isControlled: boolean;
  readonly onResult: (line: string) => void;
}

export interface PolicyMutantReport {
  readonly made: number;
  /** Names of those that nothing noticed. */
  readonly survivors: readonly string[];
  /** Names of those of which the tests could say nothing, with why. */
  readonly unclear: readonly string[];
}

/** What a mutant is, in one line. */
function nameOf([file, from, to]: Mutation): string {
  const flat = (text: string): string => text.replace(/\s+/g, ' ').trim();
  return `${file}: ${flat(from)} ⇒ ${flat(to) === '' ? 'nothing' : flat(to)}`;
}

/** Mutations whose text does not stand exactly once in the sources: the table is to be mended. */
export function stalePolicyMutations(): readonly string[] {
  const text = (file: string): string => readFileSync(join(ROOT, SOURCES, file), 'utf8');
  return MUTATIONS.filter(([file, from]) => text(file).split(from).length !== 2).map(nameOf);
}

/** Makes and runs `count` mutants, fewer when there are not as many. */
export async function policyMutants(options: PolicyMutantOptions): Promise<PolicyMutantReport> {
  const { count, seed, only = '', isControlled, onResult } = options;
  const fitting = MUTATIONS.filter((one) => nameOf(one).includes(only));
  const chosen = new Random(seed).shuffle(fitting).slice(0, count);
  const survivors: string[] = [];
  const unclear: string[] = [];
  const kinds = new Set(isControlled ? chosen.map(testsOf) : []).values();
  const left = chosen.values();
  const job = async (number: number): Promise<void> => {
    const folder = join(ROOT, 'build', 'mutants', `policy-${process.pid}-${number}`);
    try {
      copyTree(folder);
      for (const tests of kinds) await assertQuiet(tests, folder);
      for (const mutation of left) {
        const name = nameOf(mutation);
        const found = await findingOf(mutation, folder);
        if (found.kind === 'passed') survivors.push(name);
        if (found.kind === 'unclear') unclear.push(`${name} (${found.why})`);
        onResult(`${TEXT[found.kind]}${found.kind === 'noticed' ? ` by ${found.by}` : ''}: ${name}`);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: JOBS }, (_, number) => job(number)));
  return { made: chosen.length, survivors, unclear };
}

const TEXT: Readonly<Record<Finding['kind'], string>> = {
  passed: 'SURVIVES',
  unclear: 'UNCLEAR',
  noticed: 'found',
};

/** Whether tests notice a mutant, and which. */
type Finding =
  | { readonly kind: 'passed' }
  | { readonly kind: 'noticed'; readonly by: string }
  | { readonly kind: 'unclear'; readonly why: string };

function testsOf([file]: Mutation): Tests {
  const tests = TESTS.find(([prefix]) => file.startsWith(prefix))?.[1];
  if (tests === undefined) throw new Error(`no tests are named for ${file}`);
  return tests;
}

async function findingOf(mutation: Mutation, folder: string): Promise<Finding> {
  const [file, from, to] = mutation;
  const tests = testsOf(mutation);
  const path = join(folder, SOURCES, file);
  const text = readFileSync(path, 'utf8');
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    let found = await runTests(tests, FEW_WORLDS, folder);
    if (found.kind === 'unclear') found = await runTests(tests, FEW_WORLDS, folder);
    const isOfEdits = tests.some((name) => EDITS.includes(name));
    return found.kind === 'passed' && isOfEdits ? await runTests(EDITS, MANY_WORLDS, folder) : found;
  } finally {
    writeFileSync(path, text);
  }
}

/** Throws when the tests find something where there is no fault. */
async function assertQuiet(tests: Tests, folder: string): Promise<void> {
  const found = await runTests(tests, FEW_WORLDS, folder);
  if (found.kind !== 'passed')
    throw new Error(`without a fault, too, the tests fail: ${JSON.stringify(found)}`);
}

/** Runs them one after another in one process, until the first fails. */
async function runTests(tests: Tests, worlds: number, folder: string): Promise<Finding> {
  writeFileSync(join(folder, ALL), tests.map((name) => `import '${name}';\n`).join(''));
  const env = {
    NODE_COMPILE_CACHE: join(ROOT, 'build/cache'),
    ...process.env,
    FORCE_COLOR: '0',
    MERLON_SEED: '1',
    MERLON_WORLDS: `${worlds}`,
  };
  try {
    const options = ['--fail-fast', '--serial', '--timeout=15m'];
    await run('ava', [...options, ALL], { cwd: folder, env, maxBuffer: 1 << 26 });
    return { kind: 'passed' };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const failure = readFailure(`${stdout}${stderr}`);
    return failure.kind === 'hung' ? { kind: 'unclear', why: `out of time in “${failure.at}”` } : failure;
  }
}
