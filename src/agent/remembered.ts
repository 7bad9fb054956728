/**
 * What a start takes over from the one before it, in files of the state directory: the identities' numbers, what
 * is held for subjects that cannot be computed, and how many policies there were. What has not changed is not
 * written: ten thousand identities are a megabyte and a half.
 */
import { join } from 'node:path';
import { type StateFile, stateFile } from '#endpoint';
import type { MerlonError } from '#kit/errors';
import type { IdentityRow } from '#model';
import { EMPTY_NUMBERING, type HeldPolicies, type Numbering } from '#policy';
import type { Enforced, Inherited } from './control.ts';

export class Remembered {
  readonly inherited: Inherited;
  /** How many policies were enforced last: with any, an empty directory at start is held, not obeyed. */
  readonly policies: number | undefined;
  readonly #files: ReturnType<typeof filesIn>;
  #numbering: Numbering | undefined;
  #count: number | undefined;

  private constructor(files: ReturnType<typeof filesIn>, inherited: Inherited, policies: number | undefined) {
    this.#files = files;
    this.inherited = inherited;
    this.policies = policies;
  }

  static async open(stateDir: string, onBad: (problem: MerlonError) => void): Promise<Remembered> {
    const files = filesIn(stateDir);
    const numbering = (await files.numbers.read(onBad)) ?? EMPTY_NUMBERING;
    const held = (await files.held.read(onBad)) ?? new Map();
    return new Remembered(files, { numbering, held }, await files.count.read(() => {}));
  }

  /** Resolves once it is on disk. Error: STATE_WRITE; then all of it is written the next time. */
  async write({ input, numbering }: Enforced): Promise<void> {
    const count = input.policies.length;
    const { numbers, held, count: counts } = this.#files;
    const writes: Promise<void>[] = [];
    if (!isSame(numbering, this.#numbering)) writes.push(numbers.write(numbering));
    if (count !== this.#count) writes.push(counts.write(count));
    // Mostly there is nothing to hold, and so no file.
    const what = input.held ?? new Map();
    writes.push(what.size === 0 ? held.remove() : held.write(what));
    [this.#numbering, this.#count] = [numbering, count];
    try {
      await Promise.all(writes);
    } catch (error) {
      this.#numbering = undefined;
      this.#count = undefined;
      throw error;
    }
  }
}

/** A scope in which nothing was given and nothing freed is the same object. */
function isSame(a: Numbering, b: Numbering | undefined): boolean {
  return (
    b !== undefined && a.cluster === b.cluster && a.local === b.local && a['remote-node'] === b['remote-node']
  );
}

function filesIn(stateDir: string) {
  const numbers: StateFile<Numbering> = stateFile(join(stateDir, 'identities.json'), 2, numberingFrom);
  const held: StateFile<HeldPolicies> = stateFile(join(stateDir, 'policies.held'), 1, (content) =>
    content instanceof Map ? (content as HeldPolicies) : undefined,
  );
  const count: StateFile<number> = stateFile(join(stateDir, 'policies.count'), 1, (content) =>
    typeof content === 'number' ? content : undefined,
  );
  return { numbers, held, count };
}

type ScopeNumbers = Numbering[keyof Numbering];

/** The numbering that a file holds, of this version or of the first; undefined when it is none. */
function numberingFrom(content: unknown): Numbering | undefined {
  const written = (content ?? {}) as Readonly<Record<string, unknown>>;
  const scopes = Object.keys(EMPTY_NUMBERING).map((scope) => [scope, numbersFrom(written[scope])] as const);
  return scopes.every(([, numbers]) => numbers !== undefined)
    ? (Object.fromEntries(scopes) as unknown as Numbering)
    : undefined;
}

/** Version 1 kept the rows by the text of their labels, in any order. */
function numbersFrom(content: unknown): ScopeNumbers | undefined {
  const { given, resting, next } = (content ?? {}) as { readonly [K in keyof ScopeNumbers]?: unknown };
  const rows: unknown = given instanceof Map ? [...given.values()] : given;
  if (!Array.isArray(rows) || !rows.every(isIdentityRow)) return undefined;
  const areNumbers = Array.isArray(resting) && [...resting, next].every((n) => Number.isInteger(n));
  if (!areNumbers) return undefined;
  return { given: rows.sort((a, b) => a.id - b.id), resting, next: next as number };
}

function isIdentityRow(row: unknown): row is IdentityRow {
  const { id, labels } = (row ?? {}) as Partial<IdentityRow>;
  return Number.isInteger(id) && typeof labels?.key === 'string' && Array.isArray(labels.labels);
}
