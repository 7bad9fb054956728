/** Watchers of a changing set of directories. One that fails is tried again at the next reading. */
import type { FileSystem } from './filesystem.ts';

/** A directory, and which one it is: a new directory under an old path needs a new watcher. */
export interface Watched {
  readonly path: string;
  /** Device and inode; empty = not looked at yet. */
  readonly id: string;
}

/** Keeps one watcher a directory. */
export class Watchers implements Disposable {
  readonly #fs: FileSystem;
  readonly #changed: () => void;
  readonly #open = new Map<string, { id: string; readonly watcher: Disposable }>();

  constructor(fs: FileSystem, changed: () => void) {
    this.#fs = fs;
    this.#changed = changed;
  }

  /** Watches exactly these; a directory that cannot be watched is left to the regular reading. */
  set(wanted: readonly Watched[]): void {
    const paths = new Set(wanted.map((w) => w.path));
    for (const path of [...this.#open.keys()]) if (!paths.has(path)) this.#close(path);
    for (const { path, id } of wanted) {
      const open = this.#open.get(path);
      if (open === undefined || (open.id !== '' && open.id !== id)) this.#start(path, id);
      else open.id = id;
    }
  }

  #start(path: string, id: string): void {
    const isReplacement = this.#open.has(path);
    this.#close(path);
    try {
      const watcher = this.#fs.watch(path, this.#changed, () => {
        this.#close(path);
        this.#changed();
      });
      this.#open.set(path, { id, watcher });
    } catch {
      // Missing, or no inotify left: found by the regular reading, and tried again then.
    }
    // What happened between the reading and this watcher has had no event.
    if (isReplacement) this.#changed();
  }

  #close(path: string): void {
    this.#open.get(path)?.watcher[Symbol.dispose]();
    this.#open.delete(path);
  }

  [Symbol.dispose](): void {
    for (const path of [...this.#open.keys()]) this.#close(path);
  }
}
