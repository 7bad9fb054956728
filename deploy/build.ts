/**
 * `npm run build`: what the program runs on, made from the sources into build/.
 *
 *   build/bpf, build/native   datapath objects and addon (deploy/compile.ts, with hashes of its own)
 *   build/lib                 one bundle a main, and one a worker, two levels deep like the sources: a file
 *                             of build/ has the same relative path from a bundle as from src/<folder>/x.ts
 *   build/bin/merlon          starts them on the pinned Node, from any directory
 *
 * A step whose inputs have not changed is left out; the inputs are hashed by content, so that a checkout or
 * a touched file costs nothing. `--quiet` prints only what was made.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { compileAddon, compileBpf } from './compile.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const quiet = process.argv.includes('--quiet');

/** The programs people start: bundle → entry point. What a verb loads late becomes a chunk beside it. */
const MAINS: readonly (readonly [name: string, entry: string])[] = [['cli', 'src/cli/main.ts']];

/** Packages whose ES module form is not the one that Node would take. */
const ALIASES = { yaml: './node_modules/yaml/browser/index.js' };

interface Step {
  readonly name: string;
  readonly inputs: readonly string[];
  /** Files that must be there for the step to count as done. */
  readonly outputs: readonly string[];
  readonly run: () => Promise<void>;
}

const secondsSince = (start: number): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;

function hashOf(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of [...files].sort()) {
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

async function runStep(step: Step): Promise<void> {
  const stamp = join(root, 'build/stamps', step.name);
  const hash = hashOf(step.inputs);
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
  if (isCurrent && step.outputs.every((file) => existsSync(join(root, file)))) {
    if (!quiet) console.log(`build: ${step.name} is current`);
    return;
  }
  const start = performance.now();
  rmSync(stamp, { force: true });
  await step.run();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, hash);
  console.error(`build: ${step.name} (${secondsSince(start)})`);
}

/**
 * Programs that sources start by URL beside themselves (`new URL('./ring-worker.ts', import.meta.url)`), such
 * as workers: each is an entry point of its own, under the name by which it is asked for.
 */
function startedByUrl(): readonly (readonly [name: string, entry: string])[] {
  const found = new Map<string, string>();
  for (const file of sources) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/new URL\('\.\/([\w/-]+)\.ts', import\.meta\.url\)/g)) {
      const entry = join(dirname(file), `${name}.ts`);
      if (found.has(name) && found.get(name) !== entry)
        throw new Error(`${entry} and ${found.get(name)} share a name`);
      found.set(name, entry);
    }
  }
  return [...found];
}

/**
 * Node gives the names of a CommonJS package also to `await import()`; in a bundle only `default` would be
 * there. So what is imported late must be an ES module, or stand in ALIASES with a form of it that is.
 */
function refuseLateCommonJs({ inputs }: Metafile): void {
  for (const [file, { imports }] of Object.entries(inputs)) {
    const late = imports.find(
      ({ kind, path }) => kind === 'dynamic-import' && inputs[path]?.format === 'cjs',
    );
    if (late !== undefined) {
      throw new Error(
        `${file} imports ${late.path} late, which is CommonJS: import it at the top, or alias it`,
      );
    }
  }
}

/** Long enough for whatever was started from the bundles before to have read them; an agent loads some late. */
const STALE_AFTER_MS = 3_600_000;

/**
 * Puts each bundle in its place as a whole, mains after the chunks that they name, so that a program that is
 * started meanwhile finds either the old ones or the new. Chunks carry their content's hash in their names.
 */
function place(files: readonly { readonly path: string; readonly contents: Uint8Array }[]): void {
  const isChunk = (path: string): boolean => /-[0-9A-Z]{8}\.js(\.map)?$/.test(path);
  const inOrder = [...files].sort((a, b) => Number(isChunk(b.path)) - Number(isChunk(a.path)));
  for (const { path, contents } of inOrder) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, contents);
    renameSync(`${path}.new`, path);
  }
  const placed = new Set(files.map(({ path }) => path));
  for (const file of globSync('build/lib/**/*.{js,map}', { cwd: root })) {
    const path = join(root, file);
    const isStale = !placed.has(path) && Date.now() - statSync(path).mtimeMs > STALE_AFTER_MS;
    if (isStale) rmSync(path, { force: true });
  }
}

async function bundle(entries: readonly (readonly [name: string, entry: string])[]): Promise<void> {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: entries.map(([name, entry]) => ({ in: entry, out: name })),
    outdir: 'build/lib',
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    splitting: true,
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'silent',
    metafile: true,
    write: false,
    alias: ALIASES,
    // CommonJS packages inside an ES module still call require.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
  });
  refuseLateCommonJs(metafile);
  place(outputFiles);
  for (const [name] of startedByUrl()) {
    // They are asked for as ./name.ts; beside the bundles that name leads to the bundle.
    writeFileSync(join(root, `build/lib/${name}.ts`), `import './${basename(name)}.js';\n`);
  }
}

/**
 * The starter is shell: it costs a millisecond, and finds the pinned Node beside itself. V8 lets young garbage grow to
 * 48 MB before it looks at it, of which nobody who waits for changes has any use.
 */
const STARTER = `#!/bin/sh
# Starts merlon on the pinned Node; made by the build.
here=$(readlink -f -- "$0")
root=\${here%/build/bin/merlon}
case $(uname -m) in
aarch64) arch=arm64 ;;
*) arch=x64 ;;
esac
exec "$root/node_modules/node-linux-$arch/bin/node" --max-semi-space-size=8 "$root/build/lib/cli.js" "$@"
`;

function writeStarter(): void {
  const file = join(root, 'build/bin/merlon');
  if (existsSync(file) && readFileSync(file, 'utf8') === STARTER) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, STARTER, { mode: 0o755 });
  renameSync(`${file}.new`, file);
}

const sources = globSync('{src,hostfw,clustermesh}/**/*.ts', { cwd: root });
const entries = [...MAINS.filter(([, entry]) => existsSync(join(root, entry))), ...startedByUrl()];

const steps: readonly Step[] = [
  {
    name: 'bundles',
    inputs: [...sources, 'deploy/build.ts', 'package.json', 'package-lock.json'],
    outputs: entries.map(([name]) => `build/lib/${name}.js`),
    run: () => bundle(entries),
  },
];

async function compileC(): Promise<void> {
  const start = performance.now();
  const [isAddonNew, objects] = await Promise.all([compileAddon(), compileBpf()]);
  const made = [...(isAddonNew ? ['addon'] : []), ...objects];
  if (made.length > 0) console.error(`build: ${made.join(', ')} (${secondsSince(start)})`);
  else if (!quiet) console.log('build: addon and datapath objects are current');
}

try {
  const [first, ...rest] = await Promise.allSettled([compileC(), ...steps.map(runStep)]);
  for (const one of [first, ...rest]) if (one.status === 'rejected') throw one.reason;
  writeStarter();
} catch (error) {
  console.error(`build failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
