/**
 * Changes of files, from the moment each is named, for verbs that run again. Editors replace files by others and
 * write several at a time, folders go and come back: what is watched is looked at again, and a change is told once
 * it is quiet.
 */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { aborted } from '#kit/async';

/** Nothing more for so long: the change is whole. */
const QUIET_MS = 50;
/** How often it is looked whether folders have gone or come. */
const LOOK_MS = 500;

interface Watched {
  readonly watcher: FSWatcher;
  /** Another one means another folder of the same name. */
  readonly inode: number;
}

export class Changes implements Disposable {
  readonly #paths = new Set<string>();
  readonly #folders = new Map<string, Watched>();
  #noticed = Promise.withResolvers<void>();

  /** Everything below a directory, or what stands beside a file. */
  watch(path: string): void {
    if (this.#paths.has(path)) return;
    this.#paths.add(path);
    this.#open(path);
  }

  /** True at the next change, also one since the last time; false when the signal aborts. */
  async next(signal: AbortSignal): Promise<boolean> {
    const timer = setInterval(() => this.#look(), LOOK_MS);
    try {
      await Promise.race([this.#noticed.promise, aborted(signal)]);
      for (let isQuiet = false; !isQuiet; ) {
        this.#noticed = Promise.withResolvers<void>();
        const more = this.#noticed.promise.then(() => false);
        isQuiet = await Promise.race([more, sleep(QUIET_MS, true, { signal })]);
      }
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  /** Whether there was anything to watch that is not watched yet. */
  #open(path: string): boolean {
    const fresh = foldersOf(path).filter((folder) => !this.#folders.has(folder));
    for (const folder of fresh) {
      const inode = inodeOf(folder);
      if (inode === undefined) continue;
      // Each folder by itself: Node's recursive watching loses a file that is replaced by another.
      const watcher = watch(folder, (_event, name) => {
        if (name === null || /\.ya?ml$/.test(name)) this.#noticed.resolve();
      });
      watcher.on('error', () => {}); // it has gone, which is seen at the next look
      this.#folders.set(folder, { watcher, inode });
    }
    return fresh.length > 0;
  }

  #look(): void {
    for (const [folder, { watcher, inode }] of this.#folders) {
      if (inodeOf(folder) === inode) continue;
      watcher.close();
      this.#folders.delete(folder);
      this.#noticed.resolve();
    }
    if ([...this.#paths].filter((path) => this.#open(path)).length > 0) this.#noticed.resolve();
  }

  [Symbol.dispose](): void {
    for (const { watcher } of this.#folders.values()) watcher.close();
  }
}

/** A directory with all below it, or the one that a file stands in; those that are there. */
function foldersOf(path: string): readonly string[] {
  const own = resolve(path);
  try {
    if (!statSync(own).isDirectory()) return [dirname(own)];
    const below = readdirSync(own, { recursive: true, withFileTypes: true });
    return [own, ...below.filter((one) => one.isDirectory()).map((one) => join(one.parentPath, one.name))];
  } catch {
    return [dirname(own)].filter((folder) => inodeOf(folder) !== undefined); // it may come
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
