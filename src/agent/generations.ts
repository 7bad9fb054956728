/**
 * The generations that were enforced, each a file in `<state-dir>/generations/`, so that people can compare with
 * what was and explain what happened then. Bounded in number and size, the oldest go first; one that cannot be
 * read is put aside and costs itself. Nothing here is needed to enforce.
 */
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  documentsDigest,
  type Generation,
  type GenerationHead,
  generationHead,
  generationToText,
  policyToText,
} from '#cases';
import { writeAtomically } from '#endpoint';
import { errorMessage, MerlonError } from '#kit/errors';
import { NO_FACTS, type Policy } from '#model';
import type { ControlInput } from './control.ts';

/** The last fifty (HF-7.4), and no more than this on disk: a thousand policies are some 2 MB. */
const MOST_FILES = 50;
const MOST_BYTES = 64 * 1024 * 1024;

export interface GenerationsOptions {
  readonly stateDir: string;
  /** The kernel's counter: rule sets take their numbers from it, and so does each set of documents. */
  readonly counter: {
    readonly generation: number;
    nextGeneration(): number;
    advanceTo(generation: number): void;
  };
  /** Wall-clock milliseconds. */
  readonly now: () => number;
  readonly onProblem: (problem: MerlonError) => void;
  readonly limits?: { readonly files: number; readonly bytes: number };
}

/** What the last pass enforced. */
interface Current {
  /** Undefined: by a predecessor. */
  readonly input?: ControlInput;
  readonly digest: string;
  readonly generation: number;
  readonly enforcedAt: string;
}

export class Generations {
  readonly #options: GenerationsOptions;
  readonly #folder: string;
  readonly #limits: { readonly files: number; readonly bytes: number };
  #current: Current | undefined;
  /** The kernel's counter after the last pass. */
  #highest: number;
  #writing: Promise<void> = Promise.resolve();
  /** Most policies are those of the generation before. */
  readonly #texts = new WeakMap<Policy, string>();

  private constructor(options: GenerationsOptions) {
    this.#options = options;
    this.#folder = join(options.stateDir, 'generations');
    this.#limits = options.limits ?? { files: MOST_FILES, bytes: MOST_BYTES };
    this.#highest = options.counter.generation;
  }

  /** Opens what a predecessor kept; the documents that it enforced last keep their number. */
  static async open(options: GenerationsOptions): Promise<Generations> {
    const store = new Generations(options);
    const last = await store.#newest();
    if (last !== undefined) {
      const { generation, enforcedAt, digest } = last;
      // A boot begins the kernel's counter anew; a number never stands for two sets of documents.
      options.counter.advanceTo(generation);
      store.#highest = options.counter.generation;
      store.#current = { digest, generation, enforcedAt };
    }
    return store;
  }

  /** Number of the documents that are enforced; 0 before the first. */
  get active(): number {
    return this.#current?.generation ?? 0;
  }

  /**
   * Keeps what a pass has just enforced, when its documents are not those of the last one. Resolves once it is
   * on disk. Error: STATE_WRITE.
   */
  async enforced(input: ControlInput): Promise<void> {
    const { counter, now } = this.#options;
    const before = this.#current;
    const first = this.#highest + 1;
    this.#highest = counter.generation;
    if (before?.input !== undefined && isSameRows(before.input, input)) return;
    const digest = documentsDigest(documentsOf(input));
    if (digest === before?.digest) {
      // The same, written elsewhere: rules stand on other lines now.
      this.#current = { ...before, input };
    } else {
      // Documents that change no rule set have a number of their own all the same.
      if (this.#highest < first) this.#highest = counter.nextGeneration();
      this.#current = { input, digest, generation: first, enforcedAt: new Date(now()).toISOString() };
    }
    const { generation, enforcedAt } = this.#current;
    const text = this.#textOf({ ...documentsOf(input), generation, enforcedAt }, digest);
    const written = this.#writing.then(() => this.#write(generation, text));
    this.#writing = written.catch(() => undefined); // told to whoever asked for it
    await written;
  }

  /** All that are kept, oldest first. */
  async *all(): AsyncGenerator<GenerationHead, void, undefined> {
    await this.#writing;
    for (const { generation } of await this.#files()) {
      const found = await this.#read(generation);
      if (found !== undefined) yield found.head;
    }
  }

  /** The text of the documents that were enforced under a number. Throws `NOT_FOUND`. */
  async get(generation: number): Promise<string> {
    await this.#writing;
    const kept = (await this.#files()).map((file) => file.generation);
    const first = kept[0];
    const wanted = kept.findLast((number) => number <= generation);
    if (wanted !== undefined && generation <= Math.max(this.#highest, this.active)) {
      const found = await this.#read(wanted);
      if (found !== undefined) return found.text;
    }
    const range = first === undefined ? 'none is' : `the oldest is ${first}, the active one ${this.active}`;
    throw new MerlonError('NOT_FOUND', `generation ${generation} is not kept: ${range}`, {
      hint: '`merlon policy history` lists them',
    });
  }

  #textOf(generation: Generation, digest: string): string {
    return generationToText(generation, digest, (policy) => {
      const text = this.#texts.get(policy) ?? policyToText(policy);
      this.#texts.set(policy, text);
      return text;
    });
  }

  async #newest(): Promise<GenerationHead | undefined> {
    for (const { generation } of (await this.#files()).toReversed()) {
      const found = await this.#read(generation);
      if (found !== undefined) return found.head;
    }
    return undefined;
  }

  #path(generation: number): string {
    return join(this.#folder, `${generation}.json`);
  }

  async #read(
    generation: number,
  ): Promise<{ readonly head: GenerationHead; readonly text: string } | undefined> {
    const path = this.#path(generation);
    try {
      const text = await readFile(path, 'utf8');
      return { head: generationHead(text, path), text };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // pruned meanwhile
      await rename(path, `${path}.bad`).catch(() => undefined); // it stays where it is and is met again
      const why = error instanceof MerlonError ? error.message : `${path}: ${errorMessage(error)}`;
      this.#options.onProblem(
        new MerlonError('STATE_CORRUPT', `${why}; it is put aside, what is enforced is not touched`, {
          cause: error,
        }),
      );
      return undefined;
    }
  }

  async #write(generation: number, text: string): Promise<void> {
    await writeAtomically(this.#path(generation), text);
    const newestFirst = (await this.#files()).toReversed();
    let bytes = 0;
    const cut = newestFirst.findIndex((file, i) => {
      bytes += file.bytes;
      return i > 0 && (i >= this.#limits.files || bytes > this.#limits.bytes);
    });
    const kept = cut < 0 ? newestFirst : newestFirst.slice(0, cut);
    for (const file of newestFirst.slice(kept.length)) {
      await rm(this.#path(file.generation), { force: true });
    }
    const oldest = kept.at(-1)?.generation ?? 0;
    for (const name of await this.#names()) {
      // What was put aside, or left by a crash in the middle of a write, goes with its time.
      const number = /^(\d+)\.json\..*(?:bad|tmp)$/.exec(name)?.[1];
      if (number !== undefined && Number(number) < oldest)
        await rm(join(this.#folder, name), { force: true });
    }
  }

  /** Names of all files; a folder that cannot be read costs the memory, not the start. */
  async #names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#folder);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      const why = `${this.#folder} cannot be read: ${errorMessage(cause)}; generations are not kept`;
      this.#options.onProblem(new MerlonError('STATE_CORRUPT', why, { cause }));
      return [];
    }
  }

  /** By number. */
  async #files(): Promise<readonly { readonly generation: number; readonly bytes: number }[]> {
    const files = [];
    for (const name of await this.#names()) {
      const number = /^(\d{1,10})\.json$/.exec(name)?.[1];
      if (number === undefined) continue;
      const { size } = await stat(join(this.#folder, name)).catch(() => ({ size: 0 }));
      files.push({ generation: Number(number), bytes: size });
    }
    return files.sort((a, b) => a.generation - b.generation);
  }
}

function documentsOf({ policies, facts, nodeLabels, config }: ControlInput) {
  return { policies, facts: facts ?? NO_FACTS, nodeLabels, config };
}

/** Whether it is the very same rows: most passes are about addresses alone. */
function isSameRows(a: ControlInput, b: ControlInput): boolean {
  const [rowsA, rowsB] = [a, b].map(rowsOf);
  return (
    rowsA?.length === rowsB?.length &&
    rowsA?.every((row, i) => row === rowsB?.[i]) === true &&
    a.nodeLabels.key === b.nodeLabels.key &&
    JSON.stringify(a.config) === JSON.stringify(b.config)
  );
}

function rowsOf({ policies, facts }: ControlInput): readonly unknown[] {
  return [
    ...policies,
    ...(facts?.cidrGroups ?? []),
    ...(facts?.services ?? []),
    ...(facts?.endpointSlices ?? []),
  ];
}
