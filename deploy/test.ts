/**
 * `npm test`: builds, checks and runs every suite, and ends with one line: `N passed, N failed, N skipped`.
 *
 * As root everything runs; what may be skipped stands in test/skips.json with its reason, any other skip is
 * a failure. Without root only what needs no kernel runs, and the rest is named. Words on the command line
 * choose suites: `./merlon test unit netns`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, lchownSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseAvaLine } from './ava-output.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const isRoot = process.getuid?.() === 0;

interface Suite {
  readonly name: string;
  /** Runs as root only. */
  readonly needsRoot: boolean;
  /** Suites of different lanes run beside each other, those of one lane in turn. */
  readonly lane: 'tree' | 'kernel' | 'machine';
  /** Test files at a time. */
  readonly concurrency: number;
}

const SUITES: readonly Suite[] = [
  { name: 'unit', needsRoot: false, lane: 'tree', concurrency: 2 },
  { name: 'packet', needsRoot: true, lane: 'kernel', concurrency: 2 },
  { name: 'golden', needsRoot: true, lane: 'kernel', concurrency: 2 },
  { name: 'netns', needsRoot: true, lane: 'kernel', concurrency: 2 },
  { name: 'demo', needsRoot: true, lane: 'kernel', concurrency: 1 },
  { name: 'fault', needsRoot: true, lane: 'kernel', concurrency: 2 },
  { name: 'setup', needsRoot: true, lane: 'machine', concurrency: 1 },
  { name: 'fuzz', needsRoot: false, lane: 'machine', concurrency: 1 },
  { name: 'vm', needsRoot: true, lane: 'machine', concurrency: 1 },
];

/** Folders of test/ that hold no suite of their own. */
const NO_SUITES = ['architecture', 'bench', 'fakes', 'kube'];

const filesOf = (name: string): readonly string[] => globSync(`test/${name}/**/*.test.ts`, { cwd: root });

interface Outcome {
  readonly suite: string;
  readonly title: string;
  readonly kind: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

const outcomes: Outcome[] = [];

function record(suite: string, title: string, kind: Outcome['kind'], detail = ''): void {
  outcomes.push({ suite, title, kind, detail });
  if (kind === 'failed')
    console.log(`FAILED  ${suite}: ${title}\n${detail.trimEnd().replace(/^/gm, '    ')}`);
}

// ---- running commands ----

interface Ended {
  readonly ok: boolean;
  readonly errors: string;
}

const running = new Set<ChildProcess>();
let isStopping = false;

/** Starts a command in a process group of its own, which ends with us; standard output goes line by line. */
function start(command: readonly string[], onLine: (line: string) => void): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...command], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    running.add(child);
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-20_000);
    });
    createInterface({ input: child.stdout }).on('line', onLine);
    child.on('error', (cause) => resolve({ ok: false, errors: cause.message }));
    child.on('close', (code) => {
      running.delete(child);
      resolve({ ok: code === 0, errors });
    });
  });
}

/** Runs a command. Once a signal came, what waits for it waits for ever: nothing is counted or printed then. */
async function run(command: readonly string[], onLine: (line: string) => void): Promise<Ended> {
  const ended = await start(command, onLine);
  return isStopping ? new Promise<never>(() => {}) : ended;
}

/** Signals a process group, or asks with 0; whether there is one. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

/** Ends what runs, waits for it, and removes what it left. */
async function stop(signal: NodeJS.Signals): Promise<never> {
  isStopping = true;
  console.log(`ended by ${signal}`);
  const groups = [...running].flatMap(({ pid }) => pid ?? []);
  for (const pid of groups) signalGroup(pid, signal);
  // Workers may outlive whoever started them by a moment, and what they use is not swept.
  const startMs = performance.now();
  const elapsedMs = (): number => performance.now() - startMs;
  for (let left = groups; left.length > 0 && elapsedMs() < 15_000; ) {
    if (elapsedMs() > 5000) for (const pid of left) signalGroup(pid, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 20));
    left = left.filter((pid) => signalGroup(pid, 0));
  }
  if (isRoot) {
    await start(['node', 'deploy/sweep.ts'], (line) => console.log(`swept   ${line}`));
    handOver();
  }
  process.exit(128 + constants.signals[signal]);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void stop(signal));

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

// ---- the parts of a run ----

async function runSuite(suite: Suite): Promise<void> {
  if (filesOf(suite.name).length === 0) return;
  const since = performance.now();
  const details: string[] = [];
  let count = 0;
  let failures = 0;
  const words = [`--concurrency=${suite.concurrency}`, `test/${suite.name}/**/*.test.ts`];
  // The launcher runs as the clone's owner what needs no privilege.
  const command = suite.needsRoot ? ['ava', ...words] : ['./merlon', 'unit', ...words];
  const ended = await run(command, (line) => {
    const one = parseAvaLine(line);
    if (one?.kind !== 'passed' && one?.kind !== 'skipped') details.push(line);
    if (one === undefined) return;
    count += 1;
    if (one.kind === 'failed') failures += 1;
    outcomes.push({ suite: suite.name, title: one.title, kind: one.kind, detail: '' });
  });
  if (failures > 0) console.log(details.join('\n').trimEnd());
  if (failures > 0 && ended.errors !== '') console.log(ended.errors.replace(/^/gm, '    '));
  if (failures === 0 && !ended.ok) record(suite.name, 'the suite runs to its end', 'failed', ended.errors);
  if (count === 0 && ended.ok) record(suite.name, 'the suite holds tests', 'failed');
  console.log(`${ended.ok ? 'ok    ' : 'FAILED'}  ${suite.name} (${count} tests, ${seconds(since)})`);
}

async function build(): Promise<void> {
  const path = (process.env['PATH'] ?? '').split(':');
  const missing = ['clang-19', 'cc'].filter((tool) => !path.some((dir) => existsSync(join(dir, tool))));
  if (!isRoot && missing.length > 0) {
    record('build', 'build', 'skipped', `${missing.join(', ')} not installed, which needs root`);
    return;
  }
  const since = performance.now();
  const ended = await run(['./merlon', 'build', '--quiet'], () => {});
  record('build', 'build', ended.ok ? 'passed' : 'failed', ended.errors);
  if (ended.ok) console.log(`ok      build (${seconds(since)})`);
}

async function runOk(): Promise<void> {
  const since = performance.now();
  const ended = await run(['./merlon', 'ok', '--json'], (line) => {
    const check = JSON.parse(line) as { name: string; passed?: boolean; output?: string; skipped?: string };
    if (check.skipped !== undefined) record('ok', check.name, 'skipped', check.skipped);
    else record('ok', check.name, check.passed === true ? 'passed' : 'failed', check.output);
  });
  const isReported = outcomes.some(({ suite }) => suite === 'ok');
  if (!isReported) record('ok', 'the checks run', 'failed', ended.errors);
  console.log(`${ended.ok ? 'ok    ' : 'FAILED'}  ok (${seconds(since)})`);
}

/** What a killed run left behind goes before; that the tests leave nothing themselves is a test. */
async function sweep(when: 'before' | 'after'): Promise<void> {
  const title = 'the tests leave nothing behind';
  const found: string[] = [];
  const ended = await run(['node', 'deploy/sweep.ts'], (line) => found.push(line));
  for (const line of found) console.log(`swept   ${line}`);
  // On one machine several clones may be tested at a time.
  const own = found.filter((line) => line.endsWith(` of ${root}`));
  if (!ended.ok) record('sweep', `${when} the tests`, 'failed', ended.errors);
  else if (when === 'after') record('sweep', title, own.length === 0 ? 'passed' : 'failed', own.join('\n'));
}

/** What lies at or below `dir` and is not the clone's owner's. */
function foreignIn(dir: string): readonly string[] {
  const { uid } = statSync(root);
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((file) => join(dir, file))
    .filter((file) => (lstatSync(file, { throwIfNoEntry: false })?.uid ?? uid) !== uid);
}

/**
 * Root's tests may run in somebody else's clone, and that person must be able to go on working there. What
 * the tests make belongs into build/, and is handed over; anything else is a failure.
 */
function handOver(): readonly string[] {
  const { uid, gid } = statSync(root);
  for (const file of foreignIn(join(root, 'build'))) lchownSync(file, uid, gid);
  return foreignIn(root);
}

function checkOwner(): void {
  const foreign = handOver();
  const kind = foreign.length === 0 ? 'passed' : 'failed';
  record('sweep', "every file of the clone is its owner's", kind, foreign.slice(0, 10).join('\n'));
}

interface Skip {
  readonly suite: string;
  readonly title: string;
  readonly reason: string;
}

function judgeSkips(): void {
  const allowed = JSON.parse(readFileSync(join(root, 'test/skips.json'), 'utf8')) as readonly Skip[];
  for (const { suite, title, detail } of outcomes.filter(({ kind }) => kind === 'skipped')) {
    const skip = allowed.find((one) => one.suite === suite && title.endsWith(one.title));
    const reason = skip?.reason ?? (detail === '' ? 'no reason is listed' : detail);
    console.log(`skipped ${suite}: ${title} (${reason})`);
    if (isRoot && skip === undefined) {
      record(
        suite,
        `${title} – is skipped`,
        'failed',
        'as root only what test/skips.json lists may be skipped',
      );
    }
  }
}

// ---- the run ----

const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const unknown = wanted.filter((word) => word !== 'ok' && !SUITES.some(({ name }) => name === word));
if (unknown.length > 0) {
  const names = ['ok', ...SUITES.map(({ name }) => name)].join(', ');
  console.error(`merlon test: there is no suite ${unknown.join(', ')}; there are ${names}`);
  process.exit(2);
}
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const since = performance.now();

const homeless = globSync('test/*/', { cwd: root })
  .map((path) => path.split('/')[1] ?? '')
  .filter((name) => !NO_SUITES.includes(name) && !SUITES.some((suite) => suite.name === name));
for (const name of homeless.filter((one) => filesOf(one).length > 0)) {
  record('suites', `test/${name} belongs to a suite`, 'failed', 'deploy/test.ts has no line for it');
}

await build();
if (isWanted('ok')) await runOk();
const chosen = SUITES.filter(({ name }) => isWanted(name) && filesOf(name).length > 0);
const runnable = chosen.filter(({ needsRoot }) => isRoot || !needsRoot);
const needKernel = runnable.some(({ needsRoot }) => needsRoot);
if (needKernel) await sweep('before');
await Promise.all(
  (['tree', 'kernel', 'machine'] as const).map(async (lane) => {
    for (const suite of runnable.filter((one) => one.lane === lane)) await runSuite(suite);
  }),
);
if (needKernel) await sweep('after');
if (isRoot) checkOwner();

for (const { name } of chosen.filter((suite) => !runnable.includes(suite))) {
  console.log(`left out  ${name}: test/${name} works on the kernel, which needs root`);
}
judgeSkips();

const count = (kind: Outcome['kind']): number => outcomes.filter((one) => one.kind === kind).length;
const failures = outcomes.filter(({ kind }) => kind === 'failed');
if (failures.length > 0) console.log('\nfailed:');
for (const { suite, title } of failures) console.log(`  ${suite}: ${title}`);
console.log(`\nin all ${seconds(since)}`);
console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
process.exitCode = failures.length === 0 ? 0 : 1;
