/**
 * The import graph, read from the sources' own lines. The formatter guarantees their shape: an import starts
 * its line and names its module in single quotes, so no parser is needed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clone. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');

const LEFT_OUT = new Set(['node_modules', 'build', '.git']);

/** One import or re-export. */
export interface Import {
  readonly from: string;
  readonly kind: 'value' | 'type' | 'late';
  /** Imported names as the other file exports them; `*` for all. */
  readonly names: readonly string[];
  /** The names are exported again. */
  readonly isReexport: boolean;
}

/** One source file. */
export interface Source {
  /** From the root. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
  /** Exported name → whether it is a type. */
  readonly exports: ReadonlyMap<string, boolean>;
}

/** Every file of the tree that people write, as paths from the root. */
export function walk(dir = ROOT): readonly string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter(({ name }) => !LEFT_OUT.has(name))
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return walk(path);
      return entry.isFile() ? [relative(ROOT, path)] : [];
    });
}

function namesOf(clause: string): readonly string[] {
  if (clause.includes('*')) return ['*'];
  const [, braces = ''] = /\{([^}]*)\}/.exec(clause) ?? [];
  const first = /^\s*(\w+)\s*(,|$)/.exec(clause.replace(/\{[^}]*\}/, ''));
  const named = braces
    .split(',')
    .map((part) =>
      part
        .trim()
        .replace(/^type /, '')
        .replace(/ as .*$/, ''),
    )
    .filter((name) => name !== '');
  return first === null ? named : ['default', ...named];
}

/** The imports of a source text. */
export function importsOf(text: string): readonly Import[] {
  const found: Import[] = [];
  for (const [, word, type, clause = '', from = ''] of text.matchAll(
    /^(import|export) (type )?([^'";=()]*?)\s*from '([^']+)'/gm,
  )) {
    const isTypes = type !== undefined || (/^\{[^}]*\}$/.test(clause) && !/[{,]\s*(?!type )\w/.test(clause));
    const names = namesOf(clause);
    found.push({ from, kind: isTypes ? 'type' : 'value', names, isReexport: word === 'export' });
  }
  for (const [, from = ''] of text.matchAll(/^import '([^']+)'/gm)) {
    found.push({ from, kind: 'value', names: [], isReexport: false });
  }
  for (const [, from = ''] of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ from, kind: 'late', names: ['*'], isReexport: false });
  }
  return found;
}

/** Exported name → whether it is a type. */
export function exportsOf(text: string): ReadonlyMap<string, boolean> {
  const found = new Map<string, boolean>();
  for (const [, kind, name = ''] of text.matchAll(
    /^export (?:declare )?(?:async |abstract )?(function\*?|class|const|let|interface|type) (\w+)/gm,
  )) {
    found.set(name, kind === 'interface' || kind === 'type');
  }
  for (const [, list = ''] of text.matchAll(/^export (?:type )?\{([^}]*)\};/gm)) {
    for (const part of list.split(',')) {
      const name = part.trim().replace(/^.* as /, '');
      if (name !== '') found.set(name, false);
    }
  }
  return found;
}

/** Reads every TypeScript file of the tree. */
export function readSources(): readonly Source[] {
  return walk()
    .filter((path) => path.endsWith('.ts'))
    .map((path) => {
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, imports: importsOf(text), exports: exportsOf(text) };
    });
}

/** The file that an import names, as a path from the root; undefined for packages and `node:`. */
export function resolveImport(
  source: Source,
  from: string,
  doors: Readonly<Record<string, string>>,
): string | undefined {
  if (from.startsWith('.')) return relative(ROOT, join(ROOT, dirname(source.path), from));
  if (!from.startsWith('#')) return undefined;
  const exact = doors[from];
  if (exact !== undefined) return exact.slice(2);
  const [door = '', ...rest] = from.split('/');
  return doors[`${door}/*`]?.replace('*', rest.join('/')).slice(2);
}
