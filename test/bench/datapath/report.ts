/** Figures as JSON lines for programs and as a table for people. */
import type { FloorFigures, Measured } from './measure.ts';

/** One scenario's line. */
export interface ScenarioLine {
  readonly name: string;
  /** Rules in each subject's table. */
  /** Rules of one subject, and (`x500`) the ports that they name, where those are many. */
  readonly rules: string;
  readonly ns_net: number;
  readonly ns_spread: readonly [number, number];
  readonly floor: number;
  readonly x_floor: number;
  readonly floor_of: readonly string[];
  readonly target?: number;
  readonly met?: boolean;
  readonly x_target?: number;
  readonly x_met?: boolean;
  /** Of the packets of all runs. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly packets: number;
  /** Records that one run added to the flow table. */
  readonly flows_grown?: number;
  /** There is no figure then: packets took another path than the row's. */
  readonly error?: string;
}

const round = (n: number, digits = 1) => Number(n.toFixed(digits));

/** How much dearer IPv6 may be where no target of its own is set. */
const V6_FACTOR = 1.2;

export function lineOf(row: Measured, rules: string, floors: FloorFigures): ScenarioLine {
  const { scenario, nsNet, spread, verdicts, packets, grown, error } = row;
  const floor = scenario.floor.reduce((sum, name) => sum + (floors.get(name) ?? Number.NaN), 0);
  const target =
    scenario.target === undefined
      ? undefined
      : round(scenario.target * (scenario.family === 6 ? V6_FACTOR : 1));
  return {
    name: scenario.name,
    rules,
    ns_net: round(nsNet),
    ns_spread: [round(spread[0]), round(spread[1])],
    floor: round(floor),
    x_floor: round(nsNet / floor, 2),
    floor_of: scenario.floor,
    ...(target === undefined ? {} : { target, met: error === undefined && nsNet <= target }),
    ...(scenario.floorTarget === undefined
      ? {}
      : {
          x_target: scenario.floorTarget,
          x_met: error === undefined && nsNet <= scenario.floorTarget * floor,
        }),
    verdicts,
    packets,
    ...(grown === undefined ? {} : { flows_grown: grown }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Columns of text, the first to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(head), ...rows.map(line)].join('\n');
}

export function scenarioTable(lines: readonly ScenarioLine[]): string {
  const head = [
    'scenario',
    'rules',
    'ns net',
    'spread',
    'floor',
    'x floor',
    'target',
    '',
    'verdicts a packet',
  ];
  return table(
    head,
    lines.map((l) => [
      l.name,
      l.rules,
      l.error === undefined ? l.ns_net.toFixed(1) : 'none',
      `${l.ns_spread[0]}..${l.ns_spread[1]}`,
      l.floor.toFixed(1),
      l.x_floor.toFixed(2),
      l.x_target === undefined ? '' : `${l.x_target} ${l.x_met === true ? 'met' : 'MISSED'}`,
      l.target === undefined ? '' : String(l.target),
      l.met === undefined ? '' : l.met ? 'met' : 'MISSED',
      l.error === undefined ? shares(l) : `${l.error}; ${shares(l)}`,
    ]),
  );
}

function shares({ verdicts, packets, flows_grown }: ScenarioLine): string {
  const parts = Object.entries(verdicts).map(([name, n]) => {
    const share = n / packets;
    return share === 1 ? name : `${name} ${share.toPrecision(2)}`;
  });
  if (flows_grown !== undefined) parts.push(`flows +${flows_grown}`);
  return parts.join(', ');
}
