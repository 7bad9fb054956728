/** What works with less than it should: logged once when it begins, and shown in `status` until it ends. */
import type { Logger } from 'pino';
import { errorMessage, MerlonError } from '#kit/errors';

export interface DegradedEntry {
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
}

/** The list is bounded: what repeats replaces itself, and beyond this many the oldest goes. */
const KEPT = 64;

export class Degraded {
  readonly #entries = new Map<string, DegradedEntry>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  list(): readonly DegradedEntry[] {
    return [...this.#entries.values()];
  }

  /** A problem with a place and a code of its own. */
  add(problem: MerlonError): void {
    const { file, line } = problem.at ?? {};
    this.#set({
      code: problem.code,
      message: problem.message,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    });
  }

  addError(code: string, error: unknown): void {
    if (error instanceof MerlonError) this.add(error);
    else this.#set({ code, message: errorMessage(error) });
  }

  problem(code: string, sentence: string, error: unknown): void {
    this.#set({ code, message: error === undefined ? sentence : `${sentence}: ${errorMessage(error)}` });
  }

  /** Worth knowing, nothing to be alarmed about. */
  note(code: string, message: string): void {
    this.#entries.set(`${code} ${message}`, { code, message });
  }

  /** Ends what began under this code. */
  clear(code: string): void {
    for (const [key, entry] of this.#entries) if (entry.code === code) this.#entries.delete(key);
  }

  /** Events of the kernel were lost and everything was read anew; without an error that is all over. */
  resync(source: string, error: MerlonError | undefined): void {
    if (error === undefined) this.#logger.warn({ source }, 'events were lost; everything is read anew');
    else this.add(error);
  }

  #set(entry: DegradedEntry): void {
    const key = `${entry.code} ${entry.message}`;
    if (!this.#entries.has(key)) this.#logger.warn({ ...entry }, 'degraded');
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > KEPT && oldest !== undefined) this.#entries.delete(oldest);
  }
}
