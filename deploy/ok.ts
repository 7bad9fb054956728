/**
 * `npm run ok`: everything that can be judged without running the product, side by side, in a few seconds.
 * Run it before every commit. `--json` prints one line a check for the test command.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  /** Why the check cannot run here; undefined means that it can. */
  readonly leftOut?: string | undefined;
}

interface Result {
  readonly check: Check;
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

/** Of one check's output, as shown; a person corrects the first and looks again. */
const MAX_LINES = 80;

const cSources = globSync(['bpf/**/*.{c,h}', 'src/native/*.{c,h}', 'boot/**/*.{c,h}', 'test/**/*.{c,h}'], {
  cwd: root,
});

/** A system tool that only root can install; without it a check is left out, by name. */
function missingTool(name: string): string | undefined {
  const isThere = (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, name)));
  return isThere ? undefined : `${name} is not installed`;
}

const checks: readonly Check[] = [
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings', '--quiet', '.'] },
  { name: 'format', command: ['biome', 'format', '--max-diagnostics=50', '.'] },
  {
    name: 'format of C',
    command: ['clang-format-19', '--dry-run', '-Werror', ...cSources],
    leftOut: cSources.length === 0 ? 'there is no C yet' : missingTool('clang-format-19'),
  },
  { name: 'architecture', command: ['ava', 'test/architecture.test.ts'] },
  {
    name: 'generated code',
    command: ['node', 'deploy/gen.ts', '--check'],
    leftOut: existsSync(join(root, 'deploy/gen.ts')) ? missingTool('clang-19') : 'there is no generator yet',
  },
];

/** The first of many complaints are enough to begin with. */
function shortened(output: string): string {
  const lines = output.trimEnd().split('\n');
  const more = lines.length - MAX_LINES;
  return more <= 0 ? lines.join('\n') : `${lines.slice(0, MAX_LINES).join('\n')}\n… and ${more} more lines`;
}

function run(check: Check): Promise<Result> {
  const start = performance.now();
  return new Promise((resolve) => {
    const [file = '', ...args] = check.command;
    const child = spawn(file, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const finish = (passed: boolean, extra: string) => {
      const output = Buffer.concat(chunks).toString() + extra;
      resolve({ check, passed, seconds: (performance.now() - start) / 1000, output });
    };
    child.on('error', (cause) => finish(false, `${file} did not start: ${cause.message}\n`));
    child.on('close', (code, signal) => finish(code === 0, signal === null ? '' : `ended by ${signal}\n`));
  });
}

const asJson = process.argv.includes('--json');
const start = performance.now();
for (const check of checks.filter(({ leftOut }) => leftOut !== undefined)) {
  if (asJson) console.log(JSON.stringify({ name: check.name, skipped: check.leftOut }));
  else console.log(`left out  ${check.name}: ${check.leftOut}`);
}
const results = await Promise.all(checks.filter(({ leftOut }) => leftOut === undefined).map(run));
for (const { check, passed, seconds, output } of results) {
  if (asJson) {
    console.log(JSON.stringify({ name: check.name, passed, seconds, output: passed ? '' : output }));
  } else {
    console.log(`${passed ? 'ok      ' : 'FAILED  '}  ${check.name} (${seconds.toFixed(1)} s)`);
  }
}
const failed = results.filter(({ passed }) => !passed);
if (!asJson) {
  for (const { check, output } of failed) {
    console.log(`\n── ${check.name}: ${check.command.slice(0, 4).join(' ')}\n${shortened(output)}`);
  }
  const total = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    failed.length === 0
      ? `\nall ok (${total} s)`
      : `\n${failed.length} of ${results.length} failed (${total} s)`,
  );
}
process.exitCode = failed.length === 0 ? 0 : 1;
