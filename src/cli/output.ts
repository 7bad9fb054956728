/**
 * What verbs print: rows as aligned columns for people, JSON and YAML for programs. Messages go to stderr, so
 * that stdout stays what a script asked for.
 */
import { once } from 'node:events';
import { styleText } from 'node:util';
import { MerlonError } from '#kit/errors';
import { Progress } from './progress.ts';
import { textWidth, withWidths } from './width.ts';

export const FORMATS = ['table', 'json', 'yaml', 'jsonl'] as const;
export type Format = (typeof FORMATS)[number];

/** The format of `-o`, or an error that names the choices. */
export function parseFormat(text: string, others: readonly string[] = []): Format {
  const found = FORMATS.find((f) => f === text);
  if (found !== undefined) return found;
  throw new MerlonError('USAGE', `-o ${text} is not a format`, {
    hint: `one of ${[...FORMATS, ...others].join(', ')}`,
  });
}

export type Style = Parameters<typeof styleText>[0];

export interface Column<R> {
  readonly title: string;
  readonly cell: (row: R) => string;
  readonly align?: 'right';
  /** Stands for `cell` where the terminal is too narrow for the whole. */
  readonly short?: (row: R) => string;
  /** Where the terminal is too narrow this column is broken over several lines; the others never are. */
  readonly wraps?: true;
}

export class Output {
  readonly #format: Format;
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  /** A reader such as `head` has seen enough. */
  #isUnread = false;

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

  /** Where nobody reads any more nothing is written, and the verb goes on to its exit code. */
  async write(text: string): Promise<void> {
    if (this.#isUnread || this.#stdout.write(text)) return;
    try {
      await once(this.#stdout, 'drain');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
      this.#isUnread = true;
    }
  }

  async line(text = ''): Promise<void> {
    await this.write(`${text}\n`);
  }

  /** For people, beside the answer: progress, warnings, next steps. */
  message(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  /** A bar beside the answer, for work that may take long. */
  progress(what: string): Progress {
    return new Progress(this.#stderr, what);
  }

  paint(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stdout });
  }

  /** One value: as JSON or YAML, or by `people` as text. */
  async value(value: unknown, people: () => string): Promise<void> {
    switch (this.#format) {
      case 'table':
        return this.write(await withWidths(people));
      case 'json':
        return this.line(JSON.stringify(value, null, 2));
      case 'jsonl':
        return this.line(JSON.stringify(value));
      case 'yaml':
        return this.write((await import('yaml')).stringify(value));
    }
  }

  /**
   * A list: JSON array, YAML, JSON lines, or a table. `empty` is what people read instead of no rows, `below` what
   * stands under the table.
   */
  async rows<R>(
    rows: readonly R[],
    columns: readonly Column<R>[],
    empty: string,
    below: (rows: readonly R[]) => string = () => '',
  ): Promise<void> {
    if (this.#format === 'jsonl') {
      for (const row of rows) await this.line(JSON.stringify(row));
      return;
    }
    if (rows.length === 0 && this.isForPeople) return this.message(empty);
    await this.value(rows, () => this.table(rows, columns) + below(rows));
  }

  /** Rows as a table of this terminal's width. */
  table<R>(rows: readonly R[], columns: readonly Column<R>[]): string {
    return table(rows, columns, { paintTitle: (t) => this.paint('bold', t), width: this.width });
  }

  /** One row of a stream: a line of JSON, an item of a YAML list, or what `people` makes of it. */
  async row(value: unknown, people: () => string): Promise<void> {
    if (this.#format === 'table') return this.line(people());
    if (this.#format === 'yaml') return this.write((await import('yaml')).stringify([value]));
    await this.line(JSON.stringify(value));
  }
}

/** Rows as aligned columns under their titles, two spaces apart, no trailing blanks. */
export function table<R>(
  rows: readonly R[],
  columns: readonly Column<R>[],
  look: { readonly paintTitle?: (text: string) => string; readonly width?: number } = {},
): string {
  const width = look.width ?? Number.POSITIVE_INFINITY;
  const whole = rows.map((row) => columns.map((c) => c.cell(row)));
  const isWhole = lineWidth(naturalWidths(whole, columns)) <= width;
  const cells = isWhole ? whole : rows.map((row) => columns.map((c) => (c.short ?? c.cell)(row)));
  const widths = fitted(naturalWidths(cells, columns), columns, width);
  const pad = (value: string, i: number): string => {
    const blanks = ' '.repeat(Math.max(0, (widths[i] ?? 0) - textWidth(value)));
    return columns[i]?.align === 'right' ? blanks + value : value + blanks;
  };
  const line = (values: readonly string[]): string => values.map(pad).join('  ').trimEnd();
  const paintTitle = look.paintTitle ?? ((t) => t);
  const lines = cells.flatMap((row) => {
    const parts = row.map((value, i) => (columns[i]?.wraps === true ? wrap(value, widths[i] ?? 0) : [value]));
    const height = Math.max(...parts.map((p) => p.length));
    return Array.from({ length: height }, (_, n) => line(parts.map((p) => p[n] ?? '')));
  });
  return `${[paintTitle(line(columns.map((c) => c.title))), ...lines].join('\n')}\n`;
}

function naturalWidths<R>(cells: readonly (readonly string[])[], columns: readonly Column<R>[]): number[] {
  return columns.map((c, i) =>
    cells.reduce((most, line) => Math.max(most, textWidth(line[i] ?? '')), textWidth(c.title)),
  );
}

const lineWidth = (widths: readonly number[]): number => widths.reduce((sum, w) => sum + w + 2, -2);

/** Narrower than this a broken column cannot be read. */
const NARROWEST = 16;

/** Takes from the widest column that may be broken, again and again, until the lines fit. */
function fitted<R>(
  natural: readonly number[],
  columns: readonly Column<R>[],
  width: number,
): readonly number[] {
  const widths = [...natural];
  let excess = lineWidth(widths) - width;
  while (excess > 0) {
    let widest = -1;
    for (const [i, column] of columns.entries()) {
      if (column.wraps !== true || (widths[i] ?? 0) <= Math.max(NARROWEST, textWidth(column.title))) continue;
      if (widest < 0 || (widths[i] ?? 0) > (widths[widest] ?? 0)) widest = i;
    }
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

/** Breaks after blanks, commas and slashes; a longer word after signs inside it, and else in the middle. */
export function wrap(text: string, width: number): readonly string[] {
  if (textWidth(text) <= width) return [text];
  const lines: string[] = [];
  let current = '';
  const isFull = (piece: string): boolean => current !== '' && textWidth(current + piece.trimEnd()) > width;
  const end = (): void => {
    lines.push(current.trimEnd());
    current = '';
  };
  const pieces = text
    .split(/(?<=[ ,/])/)
    .flatMap((piece) => (textWidth(piece.trimEnd()) > width ? piece.split(/(?<=[:=.-])/) : [piece]));
  for (const piece of pieces) {
    if (isFull(piece)) end();
    current += piece;
    while (textWidth(current.trimEnd()) > width) {
      lines.push(current.slice(0, width));
      current = current.slice(width);
    }
  }
  if (current.trimEnd() !== '') end();
  return lines;
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
