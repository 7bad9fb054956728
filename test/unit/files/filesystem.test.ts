import test from 'ava';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '#kit/async';
import { type FileSystem, nodeFileSystem } from '#files';
import { FakeFileSystem } from '../../fakes/file-system.ts';

/** One place to work in, whatever the file system. */
interface Place extends Disposable {
  readonly fs: FileSystem;
  readonly root: string;
  write(name: string, text: string): void;
  mkdir(name: string): void;
  link(name: string, target: string): void;
  remove(name: string): void;
}

function real(): Place {
  const root = mkdtempSync(join(tmpdir(), 'ml-d-'));
  return {
    fs: nodeFileSystem,
    root,
    write: (name, text) => {
      writeFileSync(join(root, `${name}.new`), text);
      renameSync(join(root, `${name}.new`), join(root, name));
    },
    mkdir: (name) => mkdirSync(join(root, name)),
    link: (name, target) => symlinkSync(target, join(root, name)),
    remove: (name) => rmSync(join(root, name), { recursive: true }),
    [Symbol.dispose]: () => rmSync(root, { recursive: true }),
  };
}

function fake(): Place {
  const fs = new FakeFileSystem();
  fs.mkdir('/w');
  return {
    fs,
    root: '/w',
    write: (name, text) => fs.write(`/w/${name}`, text),
    mkdir: (name) => fs.mkdir(`/w/${name}`),
    link: (name, target) => fs.link(`/w/${name}`, target),
    remove: (name) => fs.remove(`/w/${name}`),
    [Symbol.dispose]: () => {},
  };
}

for (const [kind, make] of [
  ['the machine’s own', real],
  ['the fake', fake],
] as const) {
  test(`file system – ${kind} – lists names and tells files, directories and links apart`, async (t) => {
    using place = make();
    place.write('a.yaml', 'x');
    place.mkdir('d');
    place.link('l', 'd');
    const names = [...(await place.fs.list(place.root))].sort((a, b) => (a.name < b.name ? -1 : 1));
    t.deepEqual(names, [
      { name: 'a.yaml', isLink: false, isDirectory: false },
      { name: 'd', isLink: false, isDirectory: true },
      { name: 'l', isLink: true, isDirectory: false },
    ]);
    t.is((await place.fs.stat(`${place.root}/l`)).kind, 'directory');
  });

  test(`file system – ${kind} – reads up to the limit and changes its stamp with the content`, async (t) => {
    using place = make();
    place.write('a', 'hello');
    const first = await place.fs.read(`${place.root}/a`, 5);
    t.is(Buffer.from(first.bytes ?? []).toString(), 'hello');
    t.is(first.stat.size, 5);
    t.is((await place.fs.read(`${place.root}/a`, 4)).bytes, undefined);
    place.write('a', 'world');
    const second = await place.fs.read(`${place.root}/a`, 5);
    t.false(second.stat.ino === first.stat.ino && second.stat.mtimeNs === first.stat.mtimeNs);
  });

  test(`file system – ${kind} – fails with the system's codes`, async (t) => {
    using place = make();
    place.write('a', '');
    place.link('gone', 'nowhere');
    const code = (p: Promise<unknown>) =>
      p.then(
        () => '',
        (e: { code?: string }) => e.code,
      );
    t.is(await code(place.fs.stat(`${place.root}/x`)), 'ENOENT');
    t.is(await code(place.fs.read(`${place.root}/gone`, 1)), 'ENOENT');
    t.is(await code(place.fs.list(`${place.root}/a`)), 'ENOTDIR');
    t.throws(() =>
      place.fs.watch(
        `${place.root}/x`,
        () => {},
        () => {},
      ),
    );
  });

  test(`file system – ${kind} – tells of changes in a watched directory until it is disposed`, async (t) => {
    using place = make();
    let count = 0;
    const watcher = place.fs.watch(
      place.root,
      () => count++,
      () => {},
    );
    const changed = async (what: string, change: () => void) => {
      const before = count;
      change();
      await until(() => count > before, { what, timeoutMs: 60_000, signal: new AbortController().signal });
    };
    await changed('a new file is told', () => place.write('a', 'x'));
    await changed('a changed file is told', () => place.write('a', 'y'));
    await changed('a removed file is told', () => place.remove('a'));
    watcher[Symbol.dispose]();
    t.true(count >= 3);
  });
}
