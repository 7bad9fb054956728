/**
 * What verbs print: rows as aligned columns for people, JSON and YAML for programs. Messages go to stderr, so
 * that stdout stays what a script asked for.
 */
import { once } from 'node:events';
import { styleText } from 'node:util';
import stringWidth from 'string-width';
import { MerlonError } from '#kit/errors';

export const FORMATS = ['table', 'json', 'yaml', 'jsonl'] as const;
export type Format = (typeof FORMATS)[number];

/** The format of `-o`, or an error that names the choices. */
export function parseFormat(text: string): Format {
  const found = FORMATS.find((f) => f === text);
  if (found !== undefined) return found;
  throw new MerlonError('USAGE', `-o ${text} is not a format`, { hint: `one of ${FORMATS.join(', ')}` });
}

export type Style = Parameters<typeof styleText>[0];

export interface Column<R> {
  readonly title: string;
  readonly cell: (row: R) => string;
  readonly align?: 'right';
}

export class Output {
  readonly #format: Format;
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;

  constructor(format: Format, stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream) {
    this.#format = format;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  get isForPeople(): boolean {
    return this.#format === 'table';
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** Columns of the terminal; without one, lines are not cut. */
  get width(): number {
    return this.#stdout.isTTY ? (this.#stdout.columns ?? 80) : Number.POSITIVE_INFINITY;
  }

  async write(text: string): Promise<void> {
    if (!this.#stdout.write(text)) await once(this.#stdout, 'drain');
  }

  async line(text = ''): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** For people, beside the answer: progress, warnings, next steps. */
  message(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stdout });
  }

  /** One value: as JSON or YAML, or by `people` as text. */
  async value(value: unknown, people: () => string): Promise<void> {
    switch (this.#format) {
      case 'table':
        return this.write(people());
      case 'json':
        return this.line(JSON.stringify(value, null, 2));
      case 'jsonl':
        return this.line(JSON.stringify(value));
      case 'yaml':
        return this.write((await import('yaml')).stringify(value));
    }
  }

  /** A list: JSON array, YAML, JSON lines, or a table. `empty` is what people read instead of no rows. */
  async rows<R>(rows: readonly R[], columns: readonly Column<R>[], empty: string): Promise<void> {
    if (this.#format === 'jsonl') {
      for (const row of rows) await this.line(JSON.stringify(row));
      return;
    }
    if (rows.length === 0 && this.isForPeople) return this.message(empty);
    await this.value(rows, () => table(rows, columns, (t) => this.paint('bold', t)));
  }

  /** One row of a stream: a line of JSON, or what `people` makes of it. */
  async row(value: unknown, people: () => string): Promise<void> {
    await this.line(this.#format === 'table' ? people() : JSON.stringify(value));
  }
}

/** Rows as aligned columns under their titles, two spaces apart, no trailing blanks. */
export function table<R>(
  rows: readonly R[],
  columns: readonly Column<R>[],
  paintTitle: (text: string) => string = (t) => t,
): string {
  const cells = rows.map((row) => columns.map((c) => c.cell(row)));
  const widths = columns.map((c, i) =>
    Math.max(stringWidth(c.title), ...cells.map((line) => stringWidth(line[i] ?? ''))),
  );
  const pad = (value: string, i: number): string => {
    const blanks = ' '.repeat(Math.max(0, (widths[i] ?? 0) - stringWidth(value)));
    return columns[i]?.align === 'right' ? blanks + value : value + blanks;
  };
  const head = columns
    .map((c, i) => pad(c.title, i))
    .join('  ')
    .trimEnd();
  const lines = cells.map((line) => line.map(pad).join('  ').trimEnd());
  return `${[paintTitle(head), ...lines].join('\n')}\n`;
}

/** `5s`, `3m12s`, `2h05m`, `4d03h`: two units, for people. */
export function age(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h${two(Math.floor((s % 3600) / 60))}m`;
  return `${Math.floor(s / 86400)}d${two(Math.floor((s % 86400) / 3600))}h`;
}

/** `1.5 MiB`: three digits at most, for people. */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
