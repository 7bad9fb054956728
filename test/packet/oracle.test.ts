/**
 * The naive evaluator against the datapath: random policies, random packets through the attached programs by
 * test runs; verdict, drop reason and the rules that the event names must be the same. MERLON_SEED repeats a
 * run, MERLON_WORLDS makes it longer.
 */
import test from 'ava';
import { shareTable, tooRare } from '../unit/policy/constructs.ts';
import { randomWorld } from '../unit/policy/generate.ts';
import { Bed } from './oracle/bed.ts';
import { disagreements } from './oracle/compare.ts';
import { RARE_KINDS } from './oracle/pairs.ts';
import { emptyReport, runWorld } from './oracle/run.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = Number(process.env['MERLON_WORLDS'] ?? 240);
const FLOWS_A_WORLD = 60;

/** Worlds of one choice of families, since the programs are loaded for it; every second with its tables in blocks. */
const FAMILIES = [
  { ipv4: true, ipv6: true },
  { ipv4: true, ipv6: false },
  { ipv4: false, ipv6: true },
] as const;

test(`oracle – the attached programs give its verdicts and name its rules (seed ${seed})`, async (t) => {
  t.timeout(60_000 + 3500 * WORLDS);
  const seeds = Array.from({ length: WORLDS }, (_, i) => seed + 15_485_863 * i);
  const report = emptyReport();
  const wrong: string[] = [];
  for (const [families, isInBlocks] of FAMILIES.flatMap((f) => [[f, false] as const, [f, true] as const])) {
    await using bed = await Bed.open(families, process.env['MERLON_OBJECTS'], isInBlocks ? 0 : undefined);
    const ours = { ...report, pairs: 0, live: 0, done: [] };
    for (const [at, worldSeed] of seeds.entries()) {
      if (((at & 1) === 1) !== isInBlocks) continue;
      const { config } = randomWorld(worldSeed);
      if (config.ipv4 !== families.ipv4 || config.ipv6 !== families.ipv6) continue;
      await runWorld(bed, worldSeed, FLOWS_A_WORLD, worldSeed % 3 === 0, ours);
    }
    report.pairs += ours.pairs;
    report.live += ours.live;
    wrong.push(...(await disagreements(bed, ours.done)));
    t.deepEqual(bed.problems, []);
  }
  const shares = (counts: Map<string, number>) =>
    [...counts].map(([kind, n]) => `${kind} ${((100 * n) / report.pairs).toFixed(1)} %`).join(', ');
  t.log(`${report.pairs} pairs: ${shares(report.kinds)}`);
  t.log(`${shares(report.programs)}; ${report.live} packets of live connections`);
  t.log(`${report.redirects.asked} redirects`);
  t.log(shareTable(report.constructs, report.pairs));
  t.deepEqual(
    report.redirects.wrong.slice(0, 5),
    [],
    `${report.redirects.wrong.length} redirects (seed ${seed})`,
  );
  t.deepEqual(wrong.slice(0, 5), [], `${wrong.length} of ${report.pairs} pairs (seed ${seed})`);
  if (WORLDS < 240) return;
  t.true(report.pairs >= 10_000);
  t.true(report.redirects.asked >= 100);
  const least: Partial<Record<string, number>> = RARE_KINDS;
  for (const [kind, n] of report.kinds)
    t.true(n >= (least[kind] ?? 0.05) * report.pairs, `${kind}: ${n} of ${report.pairs}`);
  t.deepEqual(tooRare(report.constructs, report.pairs), [], 'each construct in one of a hundred pairs');
  t.is(report.programs.size, 8, 'both directions of both devices, both families');
});
