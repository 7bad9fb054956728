/**
 * What the datapath costs, packet by packet: `npm run bench -- datapath [-o json] [--quick] [--rounds N]
 * [--only PART-OF-NAME] [--rules 10,10000x500]
 * [--objects FOLDER]` (other builds of the programs, to compare). Runs in network and mount namespaces of its own (deploy/bench.ts
 * makes them) with a bpffs at the folder named by its first argument. Prints floors and scenarios of one run;
 * a row whose packets did not all take the row's path is an error and makes the exit code 1.
 */
import { cpus, loadavg, release, setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { compileBpfFile } from '../../../deploy/compile.ts';
import { Bed } from './bed.ts';
import { codeLines, codeTable, emptyStages } from './code.ts';
import { type ControlLine, controlLines, controlTable, ruleSetLine } from './control.ts';
import { FloorPrograms } from './floors.ts';
import { WRAP } from './flows.ts';
import { beginning, established } from './host-scenarios.ts';
import { type Effort, measure } from './measure.ts';
import { podScenarios } from './pod-scenarios.ts';
import { lineOf, type ScenarioLine, scenarioTable, table } from './report.ts';
import { worldOf } from './world.ts';

const FLOORS = 'build/bench/floors.bpf.o';

const { values, positionals } = parseArgs({
  options: {
    output: { type: 'string', short: 'o', default: 'table' },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    rules: { type: 'string', default: '10,10000,10000x500' },
    only: { type: 'string', default: '' },
    objects: { type: 'string' },
  },
  allowPositionals: true,
});
const effort: Effort = values.quick
  ? { rounds: Number(values.rounds ?? 3), divisor: 8 }
  : { rounds: Number(values.rounds ?? 7), divisor: 1 };
const isJson = values.output === 'json';
const say = (text: string) => {
  if (!isJson) console.log(text);
};
const emit = (line: object) => {
  if (isJson) console.log(JSON.stringify(line));
};

// Others on the machine disturb less.
setPriority(-15);
await compileBpfFile('test/bench/datapath/floors.bpf.c', FLOORS);
await compileBpfFile('test/bench/datapath/wrap.bpf.c', WRAP);
const machine = {
  name: 'machine',
  kernel: release(),
  cpus: cpus().length,
  model: cpus()[0]?.model ?? '',
  /** Others at work make memory dearer and clocks longer: figures of a busy machine are upper bounds. */
  load: loadavg()[0] ?? 0,
};
emit(machine);
say(`${machine.cpus} × ${machine.model}, Linux ${machine.kernel}, load ${machine.load.toFixed(1)}`);
await using bed = await Bed.open(positionals[0] ?? '/sys/fs/bpf', values.objects);
using floors = new FloorPrograms(FLOORS);
const all: ScenarioLine[] = [];
const control: ControlLine[] = [];
for (const one of values.rules.split(',')) {
  const [rules = 10, ports = 16] = one.split('x').map(Number);
  const world = worldOf(rules, 0, ports);
  await bed.enforce(world);
  control.push(ruleSetLine(bed, world));
  const scenarios = ([4, 6] as const)
    .flatMap((family) => [
      ...established(bed, family),
      ...beginning(bed, family),
      ...podScenarios(bed, family),
    ])
    .filter(({ name }) => name.includes(values.only));
  const { rows, floors: figures } = await measure(bed, floors, scenarios, effort);
  const lines = rows.map((row) => lineOf(row, one, figures));
  for (const [name, ns] of figures)
    emit({ name: `floor_${name}`, rules: one, ns_net: Number(ns.toFixed(1)) });
  for (const line of lines) emit(line);
  say(`\nfloors, measured beside ${one} rules`);
  say(
    table(
      ['operation', 'ns'],
      [...figures].map(([name, ns]) => [name, ns.toFixed(1)]),
    ),
  );
  say(`\n${scenarioTable(lines)}`);
  all.push(...lines);
}
if (values.only === '') control.push(...(await controlLines(bed, effort)));
for (const line of control) emit(line);
say(`\n${controlTable(control)}`);
const code = codeLines(bed, values.objects);
for (const line of code) emit(line);
say(`\n${codeTable(code)}`);
const stages = emptyStages();
emit({ name: 'empty_stages', stages, instructions: 0, ns_net: 0 });
say(`\nempty stages, no instruction each: ${stages.join('; ')}`);
const isOther = code.some(({ tag, attached_tag }) => attached_tag !== undefined && attached_tag !== tag);
if (isOther || all.some(({ error }) => error !== undefined)) process.exitCode = 1;
process.exit();
