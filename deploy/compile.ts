/**
 * Compiles what is C: the BPF objects (`bpf/*.bpf.c` → `build/bpf/*.bpf.o`) and the native addon
 * (`src/native/*.c` → `build/native/merlon.node`). Incremental: an output is made anew when the hash of its
 * sources, of all headers of the folder, or of the command differs from the one beside it.
 *
 * Usage: `node deploy/compile.ts [bpf|addon] [--force]`
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '..');

/** The version with which the figures were taken; Debian's plain `clang` is older. */
const CLANG = 'clang-19';

/** What a compilation needs to know and do. */
interface Step {
  readonly output: string;
  /** Everything whose contents decide the output. */
  readonly inputs: readonly string[];
  /** Compiler and arguments; the output's own path is appended. */
  readonly command: readonly [string, ...string[]];
}

/** Files of a folder and its sub-folders that end so, sorted, as absolute paths. */
function filesOf(folder: string, ending: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
}

function digest(step: Step): string {
  const hash = createHash('sha256').update(step.command.join('\0'));
  for (const file of step.inputs) hash.update(`\0${file.slice(ROOT.length)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

function isCurrent(step: Step, hash: string): boolean {
  const stamp = `${step.output}.hash`;
  return existsSync(step.output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
}

/** Whether it had to compile. The compiler's complaints are the error's message. */
async function make(step: Step, isForced: boolean): Promise<boolean> {
  const hash = digest(step);
  if (!isForced && isCurrent(step, hash)) return false;
  mkdirSync(resolve(step.output, '..'), { recursive: true });
  const [compiler, ...args] = step.command;
  const fresh = `${step.output}.${process.pid}`;
  try {
    await run(compiler, [...args, fresh], { cwd: ROOT, maxBuffer: 1 << 24 });
  } catch (cause) {
    rmSync(fresh, { force: true });
    const { stderr = '', message } = cause as { stderr?: string; message: string };
    throw new Error(`${basename(step.output)} does not compile\n${stderr || message}`, { cause });
  }
  // Renamed last: whoever runs the old output keeps it, nobody sees half a file.
  renameSync(fresh, step.output);
  writeFileSync(`${step.output}.hash`, hash);
  return true;
}

let multiarch: Promise<string> | undefined;

/** Debian's folder of this machine's own headers, such as `x86_64-linux-gnu`. */
function machineHeaders(): Promise<string> {
  multiarch ??= run('cc', ['-print-multiarch']).then(({ stdout }) => stdout.trim());
  return multiarch;
}

/** Headers of the Node that runs; the addon is built against no other. */
function nodeHeaders(): string {
  const folder = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'include/node');
  if (!existsSync(join(folder, 'node_api.h'))) {
    throw new Error(`no Node headers in ${folder}: run set-up`);
  }
  return folder;
}

/** One object compiled by the rules of the project, from any source; for tests and the generator. */
export async function compileBpfFile(source: string, output: string, isForced = false): Promise<boolean> {
  const headers = await machineHeaders();
  const machine = ['--target=bpf', '-mcpu=v3', '-g', '-O2', '-I', 'bpf'];
  // Contexts and callbacks have the kernel's signatures, whether a program needs every parameter or not.
  const flags = [...machine, '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror'];
  return make(
    {
      output: resolve(output),
      inputs: [resolve(source), ...filesOf(join(ROOT, 'bpf'), '.h')],
      command: [CLANG, ...flags, `-I/usr/include/${headers}`, '-c', resolve(source), '-o'],
    },
    isForced,
  );
}

/**
 * Compiles the BPF objects, or those of the given names (`host` is `bpf/host.bpf.c`), at most two at a time.
 * Returns the names that had to be compiled.
 */
export async function compileBpf(names?: readonly string[], isForced = false): Promise<readonly string[]> {
  const sources = filesOf(join(ROOT, 'bpf'), '.bpf.c').map((file) => basename(file, '.bpf.c'));
  const queue = [...(names ?? sources)];
  const made: string[] = [];
  const failures: Error[] = [];
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const source = join(ROOT, 'bpf', `${name}.bpf.c`);
      try {
        if (await compileBpfFile(source, join(ROOT, 'build/bpf', `${name}.bpf.o`), isForced)) made.push(name);
      } catch (error) {
        failures.push(error as Error);
      }
    }
  };
  await Promise.all([worker(), worker()]);
  // One broken object does not keep the others from being made, nor from telling what is wrong with them.
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n'));
  return made.sort();
}

/** Compiles the addon with one call of the C compiler. Returns whether it had to. */
export function compileAddon(isForced = false): Promise<boolean> {
  const folder = join(ROOT, 'src/native');
  const sources = filesOf(folder, '.c');
  const flags = ['-shared', '-fPIC', '-std=gnu11', '-g', '-O2', '-Wall', '-Wextra', '-Werror'];
  return make(
    {
      output: join(ROOT, 'build/native/merlon.node'),
      inputs: [...sources, ...filesOf(folder, '.h'), join(nodeHeaders(), 'node_version.h')],
      command: ['cc', ...flags, '-fvisibility=hidden', `-I${nodeHeaders()}`, ...sources, '-lbpf', '-o'],
    },
    isForced,
  );
}

if (import.meta.main) {
  const isForced = process.argv.includes('--force');
  const what = process.argv.slice(2).filter((arg) => arg !== '--force');
  try {
    if (what.length === 0 || what.includes('addon')) {
      if (await compileAddon(isForced)) console.log('compiled build/native/merlon.node');
    }
    if (what.length === 0 || what.includes('bpf')) {
      for (const name of await compileBpf(undefined, isForced))
        console.log(`compiled build/bpf/${name}.bpf.o`);
    }
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
