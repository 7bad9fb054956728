/**
 * `npm test`: builds, checks and runs every suite, and ends with one line: `N passed, N failed, N skipped`.
 *
 * As root everything runs; what may be skipped stands in test/skips.json with its reason, any other skip is
 * a failure. Without root only what needs no kernel runs, and the rest is named. Words on the command line
 * choose suites: `./merlon test unit netns`.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

interface Suite {
  readonly name: string;
  readonly files: string;
  /** What it needs; a suite that needs the kernel runs as root only. */
  readonly needs: 'nothing' | 'kernel';
  /** Suites of different lanes run beside each other; those of one lane in turn. */
  readonly lane: 'tree' | 'kernel' | 'machine';
  /** Test files at a time. */
  readonly concurrency: number;
}

const SUITES: readonly Suite[] = [
  { name: 'unit', files: 'test/unit/**/*.test.ts', needs: 'nothing', lane: 'tree', concurrency: 2 },
  { name: 'packet', files: 'test/packet/**/*.test.ts', needs: 'kernel', lane: 'kernel', concurrency: 2 },
  { name: 'golden', files: 'test/golden/**/*.test.ts', needs: 'kernel', lane: 'kernel', concurrency: 2 },
  { name: 'netns', files: 'test/netns/**/*.test.ts', needs: 'kernel', lane: 'kernel', concurrency: 2 },
  { name: 'fault', files: 'test/fault/**/*.test.ts', needs: 'kernel', lane: 'kernel', concurrency: 2 },
  { name: 'fuzz', files: 'test/fuzz/**/*.test.ts', needs: 'kernel', lane: 'machine', concurrency: 1 },
  { name: 'setup', files: 'test/setup/**/*.test.ts', needs: 'kernel', lane: 'machine', concurrency: 1 },
  { name: 'vm', files: 'test/vm/**/*.test.ts', needs: 'kernel', lane: 'machine', concurrency: 1 },
];

interface Outcome {
  readonly suite: string;
  readonly title: string;
  readonly kind: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

const outcomes: Outcome[] = [];
const children = new Set<number>();

function record(suite: string, title: string, kind: Outcome['kind'], detail = ''): void {
  outcomes.push({ suite, title, kind, detail });
  if (kind === 'failed') {
    console.log(`FAILED  ${suite}: ${title}\n${detail.trimEnd().replace(/^/gm, '        ')}`);
  }
}

interface Ended {
  readonly ok: boolean;
  readonly errors: string;
}

/** Runs a command in a process group of its own, which ends with us; standard output goes line by line. */
function run(command: readonly string[], onLine: (line: string) => void): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', ...command], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) children.add(pid);
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-20_000);
    });
    createInterface({ input: child.stdout }).on('line', onLine);
    child.on('error', (cause) => resolve({ ok: false, errors: cause.message }));
    child.on('close', (code) => {
      if (pid !== undefined) children.delete(pid);
      resolve({ ok: code === 0, errors });
    });
  });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    for (const pid of children) process.kill(-pid, signal);
    process.exitCode = 1;
    console.log(`ended by ${signal}`);
    process.exit();
  });
}

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** ava speaks TAP: `ok 3 - title`, `not ok 4 - title`, details indented below, `# SKIP` for what is left out. */
async function runSuite(suite: Suite): Promise<void> {
  if (globSync(suite.files, { cwd: root }).length === 0) return;
  const start = performance.now();
  let count = 0;
  let failing: string | undefined;
  let detail: string[] = [];
  const flush = () => {
    if (failing !== undefined) record(suite.name, failing, 'failed', detail.join('\n'));
    failing = undefined;
    detail = [];
  };
  const flags = ['--tap', `--concurrency=${suite.concurrency}`, suite.files];
  // The launcher runs as the clone's owner what needs no privilege.
  const command = suite.needs === 'nothing' ? ['./merlon', 'unit', ...flags] : ['ava', ...flags];
  const ended = await run(command, (line) => {
    const [, not, title = ''] = /^(not )?ok \d+(?: - (.*))?$/.exec(line) ?? [];
    if (/^(not )?ok \d+/.test(line)) {
      flush();
      count += 1;
      if (/ # (SKIP|TODO)\b/i.test(line))
        record(suite.name, title.replace(/ # (SKIP|TODO).*$/i, ''), 'skipped');
      else if (not === undefined) record(suite.name, title, 'passed');
      else failing = title;
    } else if (failing !== undefined && !/^(1\.\.|# )/.test(line)) {
      detail.push(line);
    }
  });
  flush();
  const hasFailure = outcomes.some(({ suite: name, kind }) => name === suite.name && kind === 'failed');
  if (!ended.ok && !hasFailure) record(suite.name, 'the suite ran', 'failed', ended.errors);
  if (count === 0 && ended.ok) record(suite.name, 'the suite ran', 'failed', 'it holds no test');
  console.log(
    `${hasFailure || !ended.ok ? 'FAILED' : 'ok    '}  ${suite.name} (${count} tests, ${seconds(start)})`,
  );
}

async function runOk(): Promise<void> {
  const start = performance.now();
  const ended = await run(['./merlon', 'ok', '--json'], (line) => {
    const check = JSON.parse(line) as { name: string; passed?: boolean; output?: string; skipped?: string };
    if (check.skipped !== undefined) record('ok', check.name, 'skipped', check.skipped);
    else record('ok', check.name, check.passed === true ? 'passed' : 'failed', check.output);
  });
  console.log(`${ended.ok ? 'ok    ' : 'FAILED'}  ok (${seconds(start)})`);
}

const LEAVES_NOTHING = 'the tests leave nothing behind';

/** What a run that was killed left behind, and what this one should not leave. */
async function sweep(when: 'before' | 'after'): Promise<void> {
  const found: string[] = [];
  const ended = await run(['node', 'deploy/sweep.ts'], (line) => found.push(line));
  for (const line of found) console.log(`swept   ${line}`);
  if (!ended.ok) record('sweep', `${when} the tests`, 'failed', ended.errors);
  else if (when === 'after' && found.length === 0) record('sweep', LEAVES_NOTHING, 'passed');
  else if (when === 'after') record('sweep', LEAVES_NOTHING, 'failed', found.join('\n'));
}

const OWNED = "every file of the clone is its owner's";

/** Root's tests may run in somebody else's clone; that person must be able to go on working there. */
function checkOwner(): void {
  const owner = statSync(root).uid;
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const foreign = files.filter(
    (file) => lstatSync(join(root, file), { throwIfNoEntry: false })?.uid !== owner,
  );
  if (foreign.length === 0) record('sweep', OWNED, 'passed');
  else record('sweep', OWNED, 'failed', foreign.slice(0, 10).join('\n'));
}

interface Skip {
  readonly suite: string;
  readonly title: string;
  readonly reason: string;
}

const isRoot = process.getuid?.() === 0;
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const start = performance.now();

const built = await run(['./merlon', 'build', '--quiet'], () => {});
if (!built.ok) record('build', 'build', 'failed', built.errors);
else record('build', 'build', 'passed');
if (isWanted('ok')) await runOk();

const chosen = SUITES.filter(({ name }) => isWanted(name));
const runnable = chosen.filter(({ needs }) => isRoot || needs === 'nothing');
if (isRoot) await sweep('before');
await Promise.all(
  (['tree', 'kernel', 'machine'] as const).map(async (lane) => {
    for (const suite of runnable.filter((one) => one.lane === lane)) await runSuite(suite);
  }),
);
if (isRoot) {
  await sweep('after');
  checkOwner();
}

const leftOut = chosen.filter((suite) => !runnable.includes(suite));
for (const { name, files } of leftOut.filter((one) => globSync(one.files, { cwd: root }).length > 0)) {
  console.log(`left out  ${name}: ${files} loads programs into the kernel, which needs root`);
}

const skipsFile = join(root, 'test/skips.json');
const allowed = existsSync(skipsFile) ? (JSON.parse(readFileSync(skipsFile, 'utf8')) as readonly Skip[]) : [];
for (const { suite, title, detail } of outcomes.filter(({ kind }) => kind === 'skipped')) {
  const skip = allowed.find((one) => one.suite === suite && one.title === title);
  console.log(
    `skipped ${suite}: ${title} (${skip?.reason ?? (detail === '' ? 'no reason is listed' : detail)})`,
  );
  if (isRoot && skip === undefined) {
    record(
      suite,
      `${title} – is skipped`,
      'failed',
      'as root only what test/skips.json lists may be skipped',
    );
  }
}

const count = (kind: Outcome['kind']): number => outcomes.filter((one) => one.kind === kind).length;
const failures = outcomes.filter(({ kind }) => kind === 'failed');
if (failures.length > 0) console.log('\nfailed:');
for (const { suite, title } of failures) console.log(`  ${suite}: ${title}`);
console.log(`\nin all ${seconds(start)}`);
console.log(`${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
process.exitCode = failures.length === 0 ? 0 : 1;
