/** Figures with their targets, as JSON lines for programs and as a table for people. */
import { table } from './datapath/report.ts';

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Met when the value is at most this. */
  readonly target?: number;
  readonly of: string;
}

const digitsOf = ({ unit }: Figure): number => (unit === 'ms' ? 2 : unit === 'bytes' ? 0 : 1);

export function printFigures(figures: readonly Figure[], output: string): void {
  if (output === 'json') {
    for (const figure of figures) {
      const met = figure.target === undefined ? {} : { met: figure.value <= figure.target };
      console.log(
        JSON.stringify({ ...figure, value: Number(figure.value.toFixed(digitsOf(figure))), ...met }),
      );
    }
    return;
  }
  const rows = figures.map((figure) => [
    figure.name,
    figure.value.toFixed(digitsOf(figure)),
    figure.unit,
    figure.target === undefined ? '' : String(figure.target),
    figure.target === undefined ? '' : figure.value <= figure.target ? 'met' : 'MISSED',
    figure.of,
  ]);
  console.log(table(['figure', 'value', 'unit', 'target', '', 'of'], rows));
}
