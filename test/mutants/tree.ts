/** A copy of what the tests read, for faults: whoever edits a file meanwhile changes no mutant, and no test of one. */
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const PARTS = [
  'bpf',
  'src',
  'hostfw',
  'test',
  'deploy',
  'docs',
  'package.json',
  'tsconfig.json',
  'build/native',
];

/** Copies the sources, the tests and the addon into a folder from which the tests run. */
export function copyTree(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const part of PARTS.filter((path) => existsSync(join(ROOT, path))))
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}
