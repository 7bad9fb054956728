/**
 * Rounds: in each, every row once, next to the same wrapper before an empty program; what remains of the
 * difference is the program. Rows lie side by side in time, so that a machine that slows down slows all.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Bed } from './bed.ts';
import { FLOORS, type FloorName, type FloorPrograms } from './floors.ts';
import { WRAP } from './flows.ts';
import { median } from './median.ts';
import { Runner } from './runner.ts';
import type { Scenario } from './scenario.ts';
import { contextOf } from './packets.ts';

/** How much is measured. */
export interface Effort {
  readonly rounds: number;
  /** Repetitions are divided by this. */
  readonly divisor: number;
}

/** What one scenario has shown. */
export interface Measured {
  readonly scenario: Scenario;
  readonly nsNet: number;
  /** Lowest and highest round. */
  readonly spread: readonly [number, number];
  /** Counters moved by all runs together, and how many packets there were. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly packets: number;
  readonly grown: number | undefined;
  /** Why this is no figure. */
  readonly error: string | undefined;
}

export type FloorFigures = ReadonlyMap<FloorName, number>;

/** A row in the making. */
class Row implements Disposable {
  readonly scenario: Scenario;
  readonly #target: Runner;
  readonly #empty: Runner;
  readonly #repeat: number;
  readonly net: number[] = [];
  readonly verdicts: Record<string, number> = {};
  packets = 0;
  grown: number | undefined;

  constructor(bed: Bed, floors: FloorPrograms, scenario: Scenario, effort: Effort) {
    const { wrapper, frame, walk, program } = scenario;
    this.scenario = scenario;
    this.#target = new Runner(WRAP, wrapper, bed.program(program), frame, walk);
    this.#empty = new Runner(WRAP, wrapper, floors.fd('empty'), frame, walk);
    this.#repeat = Math.ceil(scenario.repeat / effort.divisor);
  }

  /** One run of each, or of the program alone, which then counts for nothing. */
  async round(bed: Bed, isWarming = false): Promise<void> {
    const { scenario } = this;
    const repeat = isWarming ? Math.min(this.#repeat, 2000) : this.#repeat;
    bed.limitEvents(false);
    scenario.before?.(bed);
    const table = scenario.grows;
    const before = bed.counters();
    const filled = table === undefined ? 0 : bed.countFlows(table);
    const { gross, empty } = await this.#pair(bed, repeat);
    if (isWarming) return;
    this.net.push(gross - empty);
    this.packets += repeat;
    if (table !== undefined) this.grown = bed.countFlows(table) - filled;
    for (const [name, n] of Object.entries(bed.counters())) {
      const moved = n - (before[name] ?? 0);
      if (moved !== 0) this.verdicts[name] = (this.verdicts[name] ?? 0) + moved;
    }
  }

  async #pair(bed: Bed, repeat: number): Promise<{ gross: number; empty: number }> {
    const { beside } = this.scenario;
    if (beside === undefined) return { empty: this.#empty.run(repeat), gross: this.#target.run(repeat) };
    using _other = beside(bed);
    return { empty: await this.#empty.runAside(repeat), gross: await this.#target.runAside(repeat) };
  }

  result(): Measured {
    const { scenario, net, verdicts, packets, grown } = this;
    const wrong = scenario.path.filter((name) => verdicts[name] !== packets);
    const error =
      wrong.length === 0
        ? undefined
        : `${wrong.map((name) => `${name} counted ${verdicts[name] ?? 0}`).join(', ')} of ${packets} packets`;
    const spread = [Math.min(...net), Math.max(...net)] as const;
    return { scenario, nsNet: median(net), spread, verdicts, packets, grown, error };
  }

  [Symbol.dispose](): void {
    this.#target[Symbol.dispose]();
    this.#empty[Symbol.dispose]();
  }
}

/** One floor in the making. */
class FloorRow implements Disposable {
  readonly name: FloorName;
  readonly #operations: number;
  readonly #repeat: number;
  readonly #runner: Runner;
  readonly net: number[] = [];

  constructor(programs: FloorPrograms, floor: (typeof FLOORS)[number], ifindex: number, effort: Effort) {
    this.name = floor.name;
    this.#operations = floor.operations;
    this.#repeat = Math.ceil((floor.repeat ?? 200_000) / effort.divisor);
    this.#runner = programs.runner(WRAP, floor.name, idleFrame(ifindex));
  }

  round(empty: Runner, programs: FloorPrograms): void {
    const base = empty.run(this.#repeat);
    this.net.push((this.#runner.run(this.#repeat) - base) / this.#operations);
    programs.reset();
  }

  [Symbol.dispose](): void {
    this.#runner[Symbol.dispose]();
  }
}

/** A frame that floors do not look at. */
function idleFrame(ifindex: number) {
  const data = new Uint8Array(64);
  data.set([8, 0, 0x45], 12);
  return { data, ctx: contextOf({ ifindex, ingressIfindex: ifindex }) };
}

/** Measures all scenarios and all floors. */
export async function measure(
  bed: Bed,
  floors: FloorPrograms,
  scenarios: readonly Scenario[],
  effort: Effort,
): Promise<{ readonly rows: readonly Measured[]; readonly floors: FloorFigures }> {
  using stack = new DisposableStack();
  for (const scenario of scenarios) scenario.prepare?.(bed);
  const rows = scenarios.map((scenario) => stack.use(new Row(bed, floors, scenario, effort)));
  const floorRows = FLOORS.map((floor) => stack.use(new FloorRow(floors, floor, bed.near.ifindex, effort)));
  const empty = stack.use(floors.runner(WRAP, 'empty', idleFrame(bed.near.ifindex)));
  for (const row of rows) await row.round(bed, true);
  for (let round = 0; round < effort.rounds; round++) {
    for (const row of floorRows) row.round(empty, floors);
    for (const row of rows) {
      await row.round(bed);
      await turn(); // what the reader of events has sent
    }
  }
  return {
    rows: rows.map((row) => row.result()),
    floors: new Map(floorRows.map((row) => [row.name, median(row.net)])),
  };
}
