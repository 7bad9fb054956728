/** Compiled tables looked up as the datapath does: identity → class → row, port → class → column, cell. */
import type { Direction, Identity } from '#model';
import type { Cell, CompiledPolicy, DirectionImage, PortClass, RuleSetImage } from './compiled.ts';
import { classOfIdentity } from './matrix.ts';
import { portIndex } from './port-index.ts';

/** Answers for one compiled policy. `port`: destination port or ICMP type, undefined when it is unknown. */
export type Judge = (
  subject: number | 'host',
  direction: Direction,
  identity: Identity,
  protocol: number,
  port: number | undefined,
) => Cell;

const OPEN: Cell = { verdict: 'allow', origin: [], match: 'none', log: false };

/** Prepares look-ups; worth it for more than a few. A subject without rule set is open. */
export function judgeOf(compiled: CompiledPolicy): Judge {
  const classes = classOfIdentity(compiled.identityClasses);
  const unknown = compiled.identityClasses.findIndex((c) => c.name === '');
  const ruleSets = new Map<string, RuleSetImage>(compiled.ruleSets.map((image) => [image.key, image]));
  const portClass = portClassLookup(compiled.portClasses);
  return (subject, direction, identity, protocol, port) => {
    const image = subject === 'host' ? compiled.host : ruleSets.get(compiled.endpoints.get(subject) ?? '');
    const table = image?.directions[direction];
    if (table === undefined || !(table.enforced || table.staged)) return OPEN;
    return cellAt(table, classes.get(identity) ?? unknown, portClass(portIndex(protocol, port)));
  };
}

/** One look-up. */
export function judge(compiled: CompiledPolicy, ...flow: Parameters<Judge>): Cell {
  return judgeOf(compiled)(...flow);
}

function cellAt(table: DirectionImage, identityClass: number, portClass: number): Cell {
  const row = table.rows[identityClass] ?? 0;
  const column = table.columns[portClass] ?? 0;
  return table.cells[table.matrix[row * table.columnCount + column] ?? 0] ?? OPEN;
}

function portClassLookup(classes: readonly PortClass[]): (index: number) => number {
  const starts = classes
    .flatMap((c, position) => c.ranges.map(([first]) => ({ first, position })))
    .sort((a, b) => a.first - b.first);
  return (index) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle]?.first ?? 0) <= index) low = middle;
      else high = middle;
    }
    return starts[low]?.position ?? 0;
  };
}
