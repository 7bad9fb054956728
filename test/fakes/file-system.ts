/**
 * A fake file system in memory: directories, files, links, owners, devices; watchers fire in a microtask. It can
 * be made to fail, and to change between two readings. `test/unit/files/filesystem.test.ts` holds it and the
 * machine's own to the same behaviour.
 */
import { posix } from 'node:path';
import type { FileStat, FileSystem } from '#files';

interface Entry {
  kind: 'file' | 'directory' | 'link' | 'fifo';
  /** Of a file; the target of a link. */
  text: Uint8Array | string;
  ino: bigint;
  dev: bigint;
  mtimeNs: bigint;
  uid: number;
  gid: number;
  mode: number;
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** See the head of the file. */
export class FakeFileSystem implements FileSystem {
  readonly #entries = new Map<string, Entry>();
  readonly #watchers = new Map<string, Set<{ changed: () => void; failed: () => void }>>();
  readonly #failures = new Map<string, string>();
  #count = 0n;
  /** Called after every file that was read. */
  afterRead: (path: string) => void = () => {};
  /** How many files were read. */
  reads = 0;

  constructor() {
    this.mkdir('/');
  }

  mkdir(path: string, owner: Partial<Pick<Entry, 'uid' | 'gid' | 'mode' | 'dev'>> = {}): void {
    this.#put(path, { kind: 'directory', text: '', mode: 0o755, ...owner });
  }

  write(
    path: string,
    text: string | Uint8Array,
    owner: Partial<Pick<Entry, 'uid' | 'gid' | 'mode'>> = {},
  ): void {
    this.#put(path, {
      kind: 'file',
      text: typeof text === 'string' ? Buffer.from(text) : text,
      mode: 0o644,
      ...owner,
    });
  }

  link(path: string, target: string): void {
    this.#put(path, { kind: 'link', text: target, mode: 0o777 });
  }

  fifo(path: string): void {
    this.#put(path, { kind: 'fifo', text: '', mode: 0o644 });
  }

  /** Removes a file, or a directory with all in it. */
  remove(path: string): void {
    for (const p of [...this.#entries.keys()]) {
      if (p === path || p.startsWith(`${path}/`)) this.#entries.delete(p);
    }
    this.#notify(path);
    this.#notify(`${path}/x`);
  }

  /** Every call that names this path fails with the code; undefined ends it. */
  fail(path: string, code: string | undefined): void {
    if (code === undefined) this.#failures.delete(path);
    else this.#failures.set(path, code);
  }

  /** Ends all watching with an error. */
  failWatchers(): void {
    for (const set of this.#watchers.values()) for (const w of [...set]) w.failed();
  }

  /** Directories that are watched. */
  get watched(): readonly string[] {
    return [...this.#watchers].filter(([, set]) => set.size > 0).map(([path]) => path);
  }

  async stat(path: string): Promise<FileStat> {
    return this.#statOf(this.#resolve(path));
  }

  async list(path: string) {
    const entry = this.#resolve(path);
    if (entry.entry.kind !== 'directory') throw systemError('ENOTDIR', path);
    const inside = [...this.#entries].filter(([p]) => p !== entry.path && posix.dirname(p) === entry.path);
    return inside.map(([p, e]) => ({
      name: posix.basename(p),
      isLink: e.kind === 'link',
      isDirectory: e.kind === 'directory',
    }));
  }

  async read(path: string, maxBytes: number) {
    const found = this.#resolve(path);
    const stat = this.#statOf(found);
    if (stat.kind === 'directory') throw systemError('EISDIR', path);
    const bytes = stat.kind !== 'file' || stat.size > maxBytes ? undefined : (found.entry.text as Uint8Array);
    this.reads++;
    queueMicrotask(() => this.afterRead(path));
    return { stat, bytes };
  }

  watch(path: string, changed: () => void, failed: () => void): Disposable {
    this.#resolve(path);
    const watcher = { changed, failed };
    const set = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, set.add(watcher));
    return { [Symbol.dispose]: () => void set.delete(watcher) };
  }

  #put(path: string, part: Pick<Entry, 'kind' | 'text' | 'mode'> & Partial<Entry>): void {
    const stamp = ++this.#count;
    this.#entries.set(path, { uid: 0, gid: 0, dev: 1n, ino: stamp, mtimeNs: stamp, ...part });
    this.#notify(path);
  }

  /** Watchers of the real path of the directory, and of links to it. */
  #notify(path: string): void {
    const directory = posix.dirname(path);
    for (const [watched, set] of this.#watchers) {
      const real = this.#tryResolve(watched);
      if (watched !== directory && real !== directory) continue;
      for (const w of set) queueMicrotask(w.changed);
    }
  }

  #tryResolve(path: string): string | undefined {
    try {
      return this.#resolve(path).path;
    } catch {
      return undefined; // a directory that is gone
    }
  }

  #resolve(path: string, depth = 0): { path: string; entry: Entry } {
    const failure = this.#failures.get(path);
    if (failure !== undefined) throw systemError(failure, path);
    if (depth > 10) throw systemError('ELOOP', path);
    const parent = posix.dirname(path);
    const real = path === '/' ? '/' : posix.join(this.#resolve(parent, depth).path, posix.basename(path));
    const entry = this.#entries.get(real);
    if (entry === undefined) throw systemError('ENOENT', path);
    if (entry.kind !== 'link') return { path: real, entry };
    return this.#resolve(posix.resolve(posix.dirname(real), entry.text as string), depth + 1);
  }

  #statOf({ entry }: { entry: Entry }): FileStat {
    const { dev, ino, mtimeNs, uid, gid, mode } = entry;
    const kind = entry.kind === 'file' || entry.kind === 'directory' ? entry.kind : 'other';
    return { kind, dev, ino, size: entry.text.length, mtimeNs, ctimeNs: mtimeNs, uid, gid, mode };
  }
}
