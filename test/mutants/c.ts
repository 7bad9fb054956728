/**
 * Seeded mutants of the C: the sources with one fault each, compiled into a folder of their own and run against
 * the packet tests: the tables of cases, a short run against the oracle, then the fuzzer. What the compiler or the
 * verifier refuses could never have run, and counts as found. So does one under which a test hangs, twice, while
 * the sources as they are pass.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Random } from '../unit/policy/random.ts';
import { MUTATIONS, type Mutation } from './c-table.ts';
import { buildMutant, FUZZER, isFuzzed, openWorkshop, type Workshop } from './objects.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const SOURCES = join(ROOT, 'bpf');
/** Files that no mutant runs: the mutants themselves, and what takes the attached programs for granted. */
const TABLES = [
  'host',
  'state',
  'corners',
  'pod',
  'records',
  'edges',
  'audit',
  'unproven',
  'corners-pod',
  'errors',
  'fragments',
  'settings',
  'drops',
].map((name) => `test/packet/${name}.test.ts`);
/** Tests of a source that runs no packets, before the others. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  'gc.bpf.c': ['test/netns/datapath/collect.test.ts'],
};
const ORACLE = 'test/packet/oracle.test.ts';
const ORACLE_WORLDS = 25;
/** Only an order: whatever it says, a mutant that is not found there meets all the others. */
const FINDERS = join(ROOT, 'build/mutants/finders.json');
/** Without a test that ends; a whole file takes seconds, and twenty of them where the machine has much to do. */
const SILENCE_SECONDS = 60;

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
  const folder = join(ROOT, 'build/mutants', `${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true });
    const shop = await openWorkshop(folder);
    const bench: Bench = { shop, finders: readFinders(), isSample };
    const before = isSample
      ? undefined
      : await failureOf([...Object.values(BESIDE).flat(), ...TABLES, ORACLE], shop.whole, bench);
    if (before !== undefined) throw new Error(`without any mutant the packet tests fail: ${before.by}`);
    for (const mutation of chosen) {
      const name = mutantName(mutation);
      const since = performance.now();
      const say = (what: string) =>
        onResult(`${what} (${((performance.now() - since) / 1000).toFixed(1)} s): ${name}`);
      try {
        const finder = await finderOf(mutation, bench);
        say(finder === undefined ? 'SURVIVES' : `found by ${finder}`);
        if (finder === undefined) survivors.push(name);
      } catch (error) {
        if (!(error instanceof UnclearError)) throw error;
        say(`UNCLEAR (${error.message})`);
        unclear.push(name);
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { made: chosen.length, survivors, unclear };
}

/** What stays from mutant to mutant. */
interface Bench {
  readonly shop: Workshop;
  /** What found a mutant, by its name, from run to run; and what found the last one of a source. */
  readonly finders: Map<string, string>;
  readonly isSample: boolean;
}

/** Who notices the mutant; undefined: nobody. First is asked who most likely does: almost all end there. */
async function finderOf(mutation: Mutation, bench: Bench): Promise<string | undefined> {
  const [source] = mutation;
  const name = mutantName(mutation);
  const objects = await buildMutant(bench.shop, mutation);
  if (objects === undefined) return 'the compiler';
  if (bench.isSample) return (await failureOf(TABLES.slice(0, 1), objects, bench))?.by;
  const all = [[...(BESIDE[source] ?? []), ...TABLES], [ORACLE], [FUZZER]];
  const likely = [name, source].map((key) => bench.finders.get(key) ?? '');
  const first = [...likely, ...all.flat()].find((file) => all.flat().includes(file)) ?? ORACLE;
  for (const files of [[first], ...all.map((some) => some.filter((file) => file !== first))]) {
    if (files.length === 0) continue;
    const isFuzzer = files[0] === FUZZER;
    const found = isFuzzer ? await fuzzed(mutation, bench) : await failureOf(files, objects, bench);
    if (found === undefined) continue;
    if (found.file !== undefined) remember(bench, [name, source], found.file);
    return found.by;
  }
  return undefined;
}

async function fuzzed(mutation: Mutation, { shop }: Bench): Promise<Found | undefined> {
  return (await isFuzzed(shop, mutation)) ? { by: 'the fuzzer', file: FUZZER } : undefined;
}

function readFinders(): Map<string, string> {
  if (!existsSync(FINDERS)) return new Map();
  return new Map(Object.entries(JSON.parse(readFileSync(FINDERS, 'utf8')) as Record<string, string>));
}

function remember({ finders }: Bench, keys: readonly string[], file: string): void {
  for (const key of keys) finders.set(key, file);
  writeFileSync(FINDERS, JSON.stringify(Object.fromEntries(finders), null, 1));
}

/** Who noticed, in words, and in which test file that was. */
interface Found {
  readonly by: string;
  readonly file?: string | undefined;
}

/** What one run of tests said. */
type Run =
  | { readonly kind: 'passed' }
  /** A case that came out otherwise than it should, or the verifier. */
  | ({ readonly kind: 'noticed' } & Found)
  /** Nothing ended for too long: the mutant's doing, or that of a busy machine. */
  | { readonly kind: 'hung'; readonly at: string }
  /** Anything else, which says nothing of the mutant. */
  | { readonly kind: 'unclear'; readonly why: string };

/** What the loader says when the kernel does not take a program. */
const REFUSED = /does not load|BPF_PROG_LOAD|failed to load|prog '\w+': /;
const HUNG = /Test timeout exceeded|Timed out while running tests|Exited due to/;

/**
 * Reads the output of tests of which at least one failed; of several files each title has its file before it. A
 * case that failed has failed, whatever did not end after it.
 */
export function readFailure(output: string, files: readonly string[] = []): Exclude<Run, { kind: 'passed' }> {
  const title = /✘ \[fail\]: (.*)/.exec(output)?.[1];
  const name = files.length === 1 ? basename(files[0] ?? '', '.test.ts') : title?.split(' › ')[0];
  const file = files.find((path) => basename(path, '.test.ts') === name);
  if (REFUSED.test(output)) return { kind: 'noticed', by: 'the verifier', file };
  if (title === undefined ? HUNG.test(output) : HUNG.test(title))
    return { kind: 'hung', at: title ?? /◌ (.*)/.exec(output)?.[1] ?? 'no test' };
  if (title === undefined) return { kind: 'unclear', why: 'no test failed, yet the run did' };
  if (/\b(before|after|beforeEach|afterEach)(\.always)? hook\b/.test(title))
    return { kind: 'unclear', why: `before any case: ${title}` };
  return { kind: 'noticed', by: `“${title}”`, file };
}

async function runTests(files: readonly string[], objects: string, { folder, tree }: Workshop): Promise<Run> {
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: join(folder, 'cache'),
    FORCE_COLOR: '0',
    MERLON_OBJECTS: objects,
    MERLON_SEED: '1',
    MERLON_WORLDS: `${ORACLE_WORLDS}`,
  };
  const flags = ['--fail-fast', `--timeout=${SILENCE_SECONDS}s`];
  try {
    await run('ava', [...flags, ...files], { cwd: tree, env, maxBuffer: 1 << 26 });
    return { kind: 'passed' };
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    return readFailure(`${stdout}${stderr}`, files);
  }
}

/** Who notices these objects in these tests; undefined: nobody. Throws when a second run is no clearer either. */
async function failureOf(
  files: readonly string[],
  objects: string,
  { shop }: Bench,
): Promise<Found | undefined> {
  let last = await runTests(files, objects, shop);
  const wasHung = last.kind === 'hung';
  if (last.kind === 'hung' || last.kind === 'unclear') last = await runTests(files, objects, shop);
  if (last.kind === 'unclear') throw new UnclearError(last.why);
  if (last.kind !== 'hung') return last.kind === 'noticed' ? last : undefined;
  // What hangs now and then, or without the fault as well, hangs for another reason.
  const isTheFaults =
    wasHung && objects !== shop.whole && (await runTests(files, shop.whole, shop)).kind === 'passed';
  if (!isTheFaults) throw new UnclearError(`out of time in “${last.at}”`);
  return { by: `“${last.at}”, which hangs`, file: files.length === 1 ? files[0] : undefined };
}

/** The tests could not say anything of a mutant. */
class UnclearError extends Error {}
