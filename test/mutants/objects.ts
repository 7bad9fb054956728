/**
 * The objects of faulty sources. What a fault does not touch is not compiled again: which objects, and whether the
 * fuzzer, have a file in them the compiler is asked once.
 */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { compileAddon, compileBpf } from '../../deploy/compile.ts';
import type { Mutation } from './c-table.ts';
import { copyTree } from './tree.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
/** The program that the fuzzer runs. */
export const FUZZER = 'test/fuzz/paths.c';
const FUZZ_RUNS = 500_000;

export interface Workshop {
  readonly folder: string;
  /** Sources and tests, from where the latter run. */
  readonly tree: string;
  /** The objects of the sources as they are. */
  readonly whole: string;
  /** Files below bpf/ that go into an object, by its name; into the fuzzer. */
  readonly parts: ReadonlyMap<string, ReadonlySet<string>>;
  readonly fuzzed: ReadonlySet<string>;
  readonly headers: string;
}

/** Copies sources, tests and objects as they are now. */
export async function openWorkshop(folder: string): Promise<Workshop> {
  await Promise.all([compileBpf(), compileAddon()]);
  const [tree, whole] = [join(folder, 'tree'), join(folder, 'whole')];
  copyTree(tree);
  cpSync(join(ROOT, 'build/bpf'), whole, { recursive: true });
  const { stdout } = await run('cc', ['-print-multiarch']);
  const headers = `-I/usr/include/${stdout.trim()}`;
  const names = readdirSync(join(tree, 'bpf')).filter((name) => name.endsWith('.bpf.c'));
  const parts = await Promise.all(
    names.map(async (name) => [name.slice(0, -6), await partsOf(join('bpf', name), tree, headers)] as const),
  );
  return {
    folder,
    tree,
    whole,
    parts: new Map(parts),
    fuzzed: await partsOf(FUZZER, tree, headers),
    headers,
  };
}

/** Files below bpf/ that the compiler reads for a source. */
async function partsOf(source: string, tree: string, headers: string): Promise<ReadonlySet<string>> {
  const { stdout } = await run('clang-19', ['-MM', '-Ibpf', headers, source], { cwd: tree });
  const files = stdout.split(/[\s\\]+/).map((file) => relative('bpf', file));
  return new Set(files.filter((file) => !file.startsWith('..')));
}

/** The folder with all objects of the sources with one fault; undefined when it does not compile. */
export async function buildMutant(shop: Workshop, mutation: Mutation): Promise<string | undefined> {
  const [file] = mutation;
  const objects = join(shop.folder, 'mutant');
  rmSync(objects, { recursive: true, force: true });
  mkdirSync(objects);
  const names = [...shop.parts.keys()];
  const touched = names.filter((name) => shop.parts.get(name)?.has(file));
  for (const name of names.filter((other) => !touched.includes(other)))
    symlinkSync(join(shop.whole, `${name}.bpf.o`), join(objects, `${name}.bpf.o`));
  return withFault(shop, mutation, () =>
    Promise.all(touched.map((name) => compile(shop, name, objects))).then(
      () => objects,
      () => undefined,
    ),
  );
}

async function compile({ tree, headers }: Workshop, name: string, objects: string): Promise<void> {
  const flags = ['--target=bpf', '-mcpu=v3', '-g', '-O2', '-w', headers];
  const source = join(tree, 'bpf', `${name}.bpf.c`);
  await run('clang-19', [...flags, '-c', source, '-o', join(objects, `${name}.bpf.o`)]);
}

/** Does the fuzzer notice the fault? Ways that test runs cannot take (tags that a driver took off) it does. */
export async function isFuzzed(shop: Workshop, mutation: Mutation): Promise<boolean> {
  if (!shop.fuzzed.has(mutation[0])) return false;
  const program = join(shop.folder, 'paths');
  const checks = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize=alignment'];
  const flags = ['-O1', ...checks, '-fno-sanitize-recover=undefined', '-w'];
  const command = [...flags, '-Ibpf', shop.headers, FUZZER, '-o', program];
  await withFault(shop, mutation, () => run('clang-19', command, { cwd: shop.tree }));
  const corpus = join(shop.folder, 'corpus');
  rmSync(corpus, { recursive: true, force: true });
  cpSync(join(shop.tree, 'test/fuzz/corpus/paths'), corpus, { recursive: true });
  const limits = [`-runs=${FUZZ_RUNS}`, '-seed=1', '-max_len=512', `-artifact_prefix=${shop.folder}/`];
  return run(program, [...limits, corpus], { maxBuffer: 1 << 26 }).then(
    () => false,
    () => true,
  );
}

/** Runs with the fault in the copied sources. */
async function withFault<T>(shop: Workshop, [file, from, to]: Mutation, act: () => Promise<T>): Promise<T> {
  const path = join(shop.tree, 'bpf', file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`bpf/${file} does not have once: ${from}`);
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    return await act();
  } finally {
    writeFileSync(path, text);
  }
}
