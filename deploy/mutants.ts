/**
 * Mutants: things are broken on purpose, and what should notice is asked whether it does. A mutant that nobody
 * notices is a missing case. Cells of compiled tables, cells in the kernel's memory, the compiler, and the C.
 *
 * Usage: node deploy/mutants.ts [--seed N] [--count N] [--only cells|arena|policy|c] [--named TEXT]
 */
import { parseArgs } from 'node:util';
import { arenaMutants } from '../test/mutants/arena.ts';
import { cMutants, staleMutations } from '../test/mutants/c.ts';
import { cellMutants } from '../test/mutants/cells.ts';
import { policyMutants, stalePolicyMutations } from '../test/mutants/policy.ts';

const CELL_MUTANTS = 100;
const ARENA_MUTANTS = 40;
const C_MUTANTS = 60;
const POLICY_MUTANTS = 1000;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    count: { type: 'string' },
    only: { type: 'string' },
    named: { type: 'string' },
  },
});
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const count = values.count === undefined ? undefined : Number(values.count);
if (!Number.isInteger(seed) || (count !== undefined && !(Number.isInteger(count) && count > 0))) {
  console.error('merlon mutants: --seed and --count need whole numbers');
  process.exit(2);
}
const isWanted = (what: string): boolean => values.only === undefined || values.only === what;

if (isWanted('cells')) {
  const { found, survivors } = cellMutants(count ?? CELL_MUTANTS, seed);
  tell('compiled cells', found + survivors.length, survivors);
}
if (isWanted('arena')) {
  const { made, byPackets, byReadBack, survivors } = await arenaMutants(count ?? ARENA_MUTANTS, seed);
  tell('cells in the kernel', made, survivors);
  console.log(`  ${byPackets} by packets, ${byReadBack} by reading back`);
}
if (isWanted('policy')) {
  const stale = stalePolicyMutations();
  for (const name of stale) console.log(`  no such place: ${name}`);
  const { made, survivors, unclear } = await policyMutants({
    count: count ?? POLICY_MUTANTS,
    seed,
    isControlled: true,
    ...(values.named === undefined ? {} : { only: values.named }),
    onResult: (line) => console.log(`  ${line}`),
  });
  tell('the compiler', made - unclear.length, survivors);
  for (const name of unclear) console.log(`  nothing can be said of: ${name}`);
  if (unclear.length > 0) process.exitCode = 1;
  if (stale.length > 0) process.exitCode = 1;
}
if (isWanted('c')) {
  const stale = staleMutations();
  for (const name of stale) console.log(`  no such place: ${name}`);
  const { made, survivors, unclear } = await cMutants({
    count: count ?? C_MUTANTS,
    seed,
    ...(values.named === undefined ? {} : { only: values.named }),
    onResult: (line) => console.log(`  ${line}`),
  });
  tell('the C', made - unclear.length, survivors);
  for (const name of unclear) console.log(`  nothing can be said of: ${name}`);
  if (unclear.length > 0) process.exitCode = 1;
  if (stale.length > 0) process.exitCode = 1;
}

function tell(what: string, all: number, survivors: readonly string[]): void {
  console.log(`${what}: ${all - survivors.length} of ${all} found (seed ${seed})`);
  for (const survivor of survivors) console.log(`  not found: ${survivor}`);
  if (survivors.length > 0) process.exitCode = 1;
}
