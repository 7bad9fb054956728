/** What works with less than it should: logged once when it begins, and shown in `status` until it is over. */
import type { Logger } from 'pino';
import { errorMessage, MerlonError } from '#kit/errors';

export interface DegradedEntry {
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
}

/** The list is bounded: beyond this many the oldest goes. */
const KEPT = 64;

/**
 * One sentence a topic: what is said of it later replaces what was said before, and `over` ends it. A problem
 * without a topic stands for itself and stays: nobody will ever find out that it is over.
 */
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
  add(problem: MerlonError, topic = `${problem.code} ${problem.message}`): void {
    const { file, line } = problem.at ?? {};
    this.#set(topic, {
      code: problem.code,
      message: problem.message,
      ...(file === undefined ? {} : { file }),
      ...(line === undefined ? {} : { line }),
    });
  }

  addError(code: string, error: unknown, topic = code): void {
    if (error instanceof MerlonError) this.add(error, topic);
    else this.#set(topic, { code, message: errorMessage(error) });
  }

  problem(code: string, sentence: string, error: unknown, topic = code): void {
    this.#set(topic, {
      code,
      message: error === undefined ? sentence : `${sentence}: ${errorMessage(error)}`,
    });
  }

  /** Ends what was said of this topic, if anything was. */
  over(topic: string): void {
    const entry = this.#entries.get(topic);
    if (entry === undefined) return;
    this.#entries.delete(topic);
    this.#logger.info({ ...entry }, 'degraded no longer');
  }

  /** Events were lost, or reading everything anew failed (then with the error) and is tried again. */
  resync(source: string, error: MerlonError | undefined): void {
    if (error === undefined) this.#logger.warn({ source }, 'events were lost; everything is read anew');
    else this.add(error, source);
  }

  #set(topic: string, given: DegradedEntry): void {
    // A parser quotes what it met, line breaks included; each entry is one line.
    const entry = { ...given, message: given.message.replaceAll(/\s+/g, ' ') };
    if (this.#entries.get(topic)?.message !== entry.message) this.#logger.warn({ ...entry }, 'degraded');
    this.#entries.delete(topic);
    this.#entries.set(topic, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > KEPT && oldest !== undefined) this.#entries.delete(oldest);
  }
}
