/** What a verb of the command line is, and what it is handed when it runs. */
import type { Format, Output } from './output.ts';

export interface Context {
  /** `--run-dir`: which agent. */
  readonly runDir: string;
  readonly format: Format;
  /** The word of `-o` when it is one of the verb's own formats; `format` is then `table`. */
  readonly extraFormat?: string;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** Name of an environment variable → value; mains alone read the environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** Resolves with the exit code; `undefined` is 0. Errors of the catalogue carry their own. */
export type Run = (context: Context, args: readonly string[], options: Options) => Promise<number | void>;

export interface VerbOption {
  /** As commander reads it: `-f, --follow`, `--since <seq>`. */
  readonly flags: string;
  readonly what: string;
  readonly isRepeatable?: boolean;
}

export interface Verb {
  /** Words after `merlon`, for example `endpoint add`. */
  readonly name: string;
  /** Positional arguments as commander reads them: `<name> [more...]`. */
  readonly args?: string;
  readonly group: string;
  readonly what: string;
  readonly options?: readonly VerbOption[];
  /** Formats of `-o` that only this verb has. */
  readonly formats?: readonly string[];
  /** A command line that works on a running node. */
  readonly example?: string;
  readonly aliases?: readonly string[];
  /** The exit codes beyond 0 and 2, in words for the help. */
  readonly exits?: string;
  /** Exit code 1 is its answer no; what fails by that code ends with 2 instead. */
  readonly answers?: true;
  /** Absent: a verb of the list that this build does not have yet. */
  readonly load?: () => Promise<{ readonly run: Run }>;
}

export function text(options: Options, key: string): string | undefined {
  const value = options[key];
  return typeof value === 'string' ? value : undefined;
}

export function list(options: Options, key: string): readonly string[] {
  const value = options[key];
  if (value === undefined || typeof value === 'boolean') return [];
  return typeof value === 'string' ? [value] : value;
}
