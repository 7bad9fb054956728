/**
 * How long the compiler takes and what it leaves behind: policies × identities × local endpoints, whole and
 * change by change, from rows to tables in memory. Run with `npm run bench -- policy [-o json] [--rounds N]`.
 */
import { parseArgs } from 'node:util';
import { type Figure, printFigures } from './figures.ts';
import { ControlPass, type PassTimes } from './datapath/pass.ts';
import { learntOf, podOf, policyOf, type World, worldOf } from './policy/world.ts';
import { Random } from '../unit/policy/random.ts';

const { values } = parseArgs({
  options: {
    output: { type: 'string', short: 'o', default: 'table' },
    rounds: { type: 'string', default: '300' },
  },
});
const ROUNDS = Number(values.rounds);
const IDENTITIES = 10_000;
const ENDPOINTS = 100;

const MIB = 2 ** 20;

/** Everything from nothing. */
async function whole(
  policies: number,
): Promise<{ readonly lines: readonly Figure[]; readonly pass: ControlPass; readonly world: World }> {
  const world = worldOf(policies, IDENTITIES, ENDPOINTS);
  const pass = new ControlPass();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const { compileMs, applyMs, compiled } = await pass.run(world);
  const name = `policy_${policies}x${IDENTITIES}x${ENDPOINTS}`;
  const of = `${compiled.ruleSets.length} rule sets, ${compiled.identityClasses.length} identity classes, ${compiled.portClasses.length} port classes`;
  const lines: Figure[] = [
    { name: `${name}_compile`, value: compileMs, unit: 'ms', target: 5000, of },
    { name: `${name}_apply`, value: applyMs, unit: 'ms', of: 'every rule set built and switched to' },
    {
      name: `${name}_rss`,
      value: (process.memoryUsage().rss - before) / MIB,
      unit: 'MiB',
      target: 400,
      of: 'grown by compiling, inputs and garbage included',
    },
  ];
  return { lines, pass, world };
}

/** One change after another; the world goes on from where the last one left it. */
async function changes(pass: ControlPass, world: World): Promise<readonly Figure[]> {
  const random = new Random(2);
  const { names } = world.facts;
  const kinds: readonly (readonly [
    name: string,
    target: readonly [number, number | undefined],
    next: (w: World, i: number) => World,
  ])[] = [
    ['identity_added', [2, undefined], (w, i) => ({ ...w, pods: [...w.pods, podOf(random, 100_000 + i)] })],
    [
      'identity_removed',
      [2, undefined],
      (w, i) => ({ ...w, pods: w.pods.toSpliced(200 + ((i * 37) % 8000), 1) }),
    ],
    [
      'address_learnt',
      [2, undefined],
      (w, i) => ({ ...w, facts: { ...w.facts, names: [...w.facts.names, learntOf(names.length + i)] } }),
    ],
    [
      'policy_edited',
      [20, 100],
      (w, i) => ({ ...w, policies: w.policies.with(random.below(w.policies.length), edited(i)) }),
    ],
  ];
  const lines: Figure[] = [];
  let now = world;
  for (const [name, [p50, p99], next] of kinds) {
    const times: PassTimes[] = [];
    const before = cpuMs();
    for (let i = 0; i < ROUNDS; i++) {
      now = next(now, i);
      times.push(await pass.run(now));
    }
    const cpu = (cpuMs() - before) / ROUNDS;
    const total = times.map((t) => t.compileMs + t.applyMs);
    const switched = times.reduce((sum, t) => sum + t.switched, 0) / ROUNDS;
    const of = `of it compiling ${share(
      times.map((t) => t.compileMs),
      0.5,
    ).toFixed(2)} ms; ${switched.toFixed(1)} rule sets switched`;
    lines.push(
      { name: `policy_${name}_p50`, value: share(total, 0.5), unit: 'ms', target: p50, of },
      {
        name: `policy_${name}_p99`,
        value: share(total, 0.99),
        unit: 'ms',
        ...(p99 === undefined ? {} : { target: p99 }),
        of: `${ROUNDS} changes`,
      },
      {
        name: `policy_${name}_cpu`,
        value: cpu,
        unit: 'ms',
        of: 'the mean of this thread, whatever runs beside it',
      },
      {
        name: `policy_${name}_settle_p50`,
        value: share(
          times.map((t) => t.settleMs),
          0.5,
        ),
        unit: 'ms',
        of: 'tidied up after it',
      },
    );
  }
  return lines;
}

/** Another policy in place of one. */
function edited(round: number) {
  return { ...policyOf(new Random(1000 + round), round), contentHash: `edit ${round}` };
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function share(values: readonly number[], of: number): number {
  return (
    values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * of))] ??
    Number.NaN
  );
}

/** What the kernel's maps hold of it. */
function kernelBytes({ tables }: ControlPass): Figure {
  const { arena, live } = tables.rulesets;
  return {
    name: 'policy_kernel_bytes_per_rule_set',
    value: (arena.used * 8) / live.size,
    unit: 'bytes',
    of: `${live.size} distinct rule sets, ${((arena.used * 8) / MIB).toFixed(1)} MiB of slots`,
  };
}

const { lines, pass, world } = await whole(1000);
const all = [...lines, ...(await changes(pass, world)), kernelBytes(pass), peak()];
for (const policies of [10, 100]) all.push(...(await whole(policies)).lines.slice(0, 1));

function peak(): Figure {
  const { maxRSS } = process.resourceUsage();
  return {
    name: 'policy_peak_rss',
    value: maxRSS / 1024,
    unit: 'MiB',
    of: 'the whole benchmark, Node included',
  };
}

printFigures(all, values.output);
