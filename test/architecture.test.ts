/** The rules of the tree that no other tool knows: layers, doors, purity, dead names, sizes, words. */
import { CONFIG_KEY_NAMES, CONFIG_KEYS } from '#model/config';
import test from 'ava';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TABLES, withTable } from '../deploy/docs.ts';
import { KEY_MEANING } from '../deploy/docs-meaning.ts';
import { type Import, ROOT, readSources, resolveImport, type Source, walk } from './architecture/graph.ts';
import { FOLDERS, type Folder, TOOL_PACKAGES, TOOLS } from './architecture/layers.ts';
import { ALLOWED, FORBIDDEN_WORDS, IMPURE, isAllowed } from './architecture/words.ts';

interface PackageFile {
  readonly imports: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

const files = walk();
const sources = readSources();
const byPath = new Map(sources.map((source) => [source.path, source]));
const packageFile = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as PackageFile;
const doors = packageFile.imports;

const folderOf = (path: string): Folder | undefined => FOLDERS.find((one) => path.startsWith(`${one.path}/`));
const isTool = (path: string): boolean => TOOLS.some((dir) => path.startsWith(`${dir}/`));
const product = sources.filter(({ path }) => !isTool(path));
const targetOf = (source: Source, { from }: Import): string | undefined => resolveImport(source, from, doors);
const listed = (found: readonly string[]): string => `\n  ${found.join('\n  ')}\n`;

test('tree – every source file lies in a folder of the table', (t) => {
  const stray = product.filter(({ path }) => folderOf(path) === undefined).map(({ path }) => path);
  t.is(stray.length, 0, `no line of test/architecture/layers.ts covers${listed(stray)}`);
});

test('tree – every door leads into its folder', (t) => {
  for (const [door, target] of Object.entries(doors)) {
    const name = door.slice(1).replace(/\/.*$/, '');
    const folder = FOLDERS.find((one) => one.door === name);
    t.truthy(folder, `${door} belongs to no folder of the table`);
    t.true(target.startsWith(`./${folder?.path}/`), `${door} leads out of ${folder?.path}`);
  }
});

/** Why `one` may not stand in `source`; undefined when it may. */
function refusal(source: Source, one: Import): string | undefined {
  const folder = folderOf(source.path);
  if (folder === undefined || one.from.startsWith('node:')) return undefined;
  if (one.from.startsWith('.')) {
    const target = targetOf(source, one) ?? '';
    return target.startsWith(`${folder.path}/`) ? undefined : `${one.from} leaves ${folder.path}`;
  }
  const isDoor = one.from.startsWith('#');
  const name = isDoor ? one.from.slice(1) : one.from.replace(/^((?:@[^/]+\/)?[^/]+).*$/, '$1');
  const module = name === 'api/client' ? name : isDoor ? name.replace(/\/.*$/, '') : name;
  const list = isDoor ? folder.imports : folder.packages;
  if (isDoor && folder.door === module) return `${one.from}: inside the folder imports are relative`;
  if (list.includes(module)) return undefined;
  if (list.includes(`${module} (types)`)) {
    return one.kind === 'type' ? undefined : `${one.from}: types only`;
  }
  if (list.includes(`${module} (late)`)) {
    return one.kind === 'late' ? undefined : `${one.from}: by import() only`;
  }
  return `${one.from}: ${folder.path} (layer ${folder.layer}) may import ${folder.imports.join(', ') || 'nothing'}`;
}

test('layers – folders import what the table allows, through doors, and nothing beside them', (t) => {
  const found = product.flatMap((source) =>
    source.imports
      .map((one) => refusal(source, one))
      .filter((why) => why !== undefined)
      .map((why) => `${source.path}: ${why}`),
  );
  t.is(found.length, 0, listed(found));
});

test('layers – the table itself only looks down', (t) => {
  for (const folder of FOLDERS) {
    for (const name of folder.imports) {
      const bare = name.replace(/ .*$/, '').replace(/\/.*$/, '');
      const other = FOLDERS.find((one) => one.door === bare);
      t.truthy(other, `${folder.path} imports ${name}, which has no line`);
      // The command line starts the agent, late; both are mains.
      if (name === 'agent (late)') continue;
      t.true((other?.layer ?? 9) < Math.max(folder.layer, 1), `${folder.path} may not import ${name}`);
    }
  }
});

test('tests – reach into a folder only from the folder of the same name', (t) => {
  const found = sources
    .filter(({ path }) => path.startsWith('test/'))
    .flatMap((source) =>
      source.imports
        .filter(({ from }) => from.startsWith('.'))
        .map((one) => targetOf(source, one) ?? '')
        .filter((target) => !isTool(target))
        .filter((target) => source.path.split('/')[2] !== folderOf(target)?.door)
        .map((target) => `${source.path}: ${target}`),
    );
  t.is(found.length, 0, `import these through their doors${listed(found)}`);
});

test('cycles – no file imports itself by way of others', (t) => {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
      return;
    }
    const source = byPath.get(path);
    if (source === undefined || done.has(path)) return;
    for (const one of source.imports.filter(({ kind }) => kind === 'value')) {
      const target = targetOf(source, one);
      if (target !== undefined) visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of sources) visit(path, []);
  t.is(found.length, 0, listed(found));
});

test('purity – pure folders have no clock, I/O, randomness or logger', (t) => {
  const found = product.flatMap((source) => {
    const pure = folderOf(source.path)?.pure;
    if (pure === undefined || isAllowed('impure', source.path)) return [];
    const modules = source.imports
      .map(({ from }) => from)
      .filter((from) => from.startsWith('node:') && !pure.includes(from));
    const calls = IMPURE.filter(({ pattern }) => pattern.test(source.text)).map(({ what }) => what);
    return [...modules, ...calls].map((what) => `${source.path}: ${what}`);
  });
  t.is(found.length, 0, listed(found));
});

test('environment – only mains read process.env', (t) => {
  const found = product
    .filter(({ path, text }) => folderOf(path)?.isMain !== true && /\bprocess\.env\b/.test(text))
    .map(({ path }) => path)
    .filter((path) => !isAllowed('environment', path));
  t.is(found.length, 0, listed(found));
});

test('exports – every exported name is used by another file, or is what a door offers', (t) => {
  const used = new Map<string, Set<string>>();
  for (const source of sources) {
    for (const one of source.imports) {
      const target = targetOf(source, one);
      if (target === undefined) continue;
      const names = used.get(target) ?? new Set();
      for (const name of one.names) names.add(name);
      used.set(target, names);
    }
  }
  const isDoor = (path: string): boolean => path.endsWith('/index.ts') || path.startsWith('src/wire/');
  const found = product
    .filter(({ path }) => !isDoor(path))
    .flatMap(({ path, text, exports }) =>
      [...exports]
        .filter(([name]) => !(used.get(path)?.has(name) ?? false) && !(used.get(path)?.has('*') ?? false))
        // The type of an exported function's argument has users who never write its name.
        .filter(([name, isType]) => !(isType && text.split(new RegExp(`\\b${name}\\b`)).length > 2))
        .map(([name]) => `${path}: ${name}`),
    );
  t.is(found.length, 0, `nobody imports${listed(found)}`);
});

test('packages – every dependency is used', (t) => {
  const used = new Set(sources.flatMap(({ imports }) => imports.map(({ from }) => from)));
  const { dependencies, devDependencies, optionalDependencies } = packageFile;
  const names = Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
  const unused = names.filter(
    (name) =>
      TOOL_PACKAGES[name] === undefined &&
      ![...used].some((from) => from === name || from.startsWith(`${name}/`)),
  );
  t.is(unused.length, 0, `nobody imports${listed(unused)}`);
  const gone = Object.keys(TOOL_PACKAGES).filter((name) => !names.includes(name));
  t.is(gone.length, 0, `package.json lacks${listed(gone)}`);
});

test('packages – versions are exact', (t) => {
  const { dependencies, devDependencies, optionalDependencies } = packageFile;
  const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name}@${version}`);
  t.is(loose.length, 0, listed(loose));
});

const written = files.filter(
  (path) => /(^merlon|\.(ts|c|h|sh|md|json|ya?ml))$/.test(path) || path === '.ci/run',
);
const generated = (path: string): boolean => path.startsWith('src/wire/') || path === 'package-lock.json';

test('length – files over 500 lines say why', (t) => {
  const found = written
    .filter((path) => /\.(ts|c|h|sh)$/.test(path) && !generated(path) && !isAllowed('length', path))
    .map((path) => ({ path, lines: readFileSync(join(ROOT, path), 'utf8').split('\n').length - 1 }))
    .filter(({ lines }) => lines > 500)
    .map(({ path, lines }) => `${path}: ${lines} lines`);
  t.is(found.length, 0, listed(found));
});

for (const { rule, what, pattern } of FORBIDDEN_WORDS) {
  test(`words – no ${what}`, (t) => {
    const found = written
      .filter((path) => !generated(path) && !isAllowed(rule, path))
      .flatMap((path) =>
        readFileSync(join(ROOT, path), 'utf8')
          .split('\n')
          .map((line, index) => ({ line, at: `${path}:${index + 1}` })),
      )
      .filter(({ line }) => pattern.test(line))
      .map(({ line, at }) => `${at}: ${line.trim().slice(0, 100)}`);
    t.is(found.length, 0, listed(found));
  });
}

test('licence – every file of bpf/ names its licences first', (t) => {
  const found = files
    .filter((path) => /^bpf\/.*\.[ch]$/.test(path))
    .filter(
      (path) =>
        !/^(\/\*|\/\/) SPDX-License-Identifier: GPL-2\.0-only OR BSD-2-Clause/.test(
          readFileSync(join(ROOT, path), 'utf8'),
        ),
    );
  t.is(found.length, 0, listed(found));
});

test('allow-list – every exception is still needed for a file that exists', (t) => {
  const gone = ALLOWED.filter(({ path }) => !files.includes(path)).map(
    ({ rule, path }) => `${rule}: ${path}`,
  );
  t.is(gone.length, 0, listed(gone));
});

for (const [file, name, text] of TABLES) {
  test(`docs – docs/${file} shows the table ${name}`, (t) => {
    const document = readFileSync(join(ROOT, 'docs', file), 'utf8');
    t.true(withTable(document, name, text()) === document, 'write it anew with: node deploy/docs.ts');
  });
}

test('docs – every key that does something says what', (t) => {
  const found = CONFIG_KEY_NAMES.filter(
    (name) => (CONFIG_KEYS[name].support !== 'default') !== (KEY_MEANING[name] !== undefined),
  );
  t.is(found.length, 0, `correct KEY_MEANING in deploy/docs-meaning.ts for${listed(found)}`);
});
