/**
 * Mutants: things are broken on purpose, and what should notice is asked whether it does. A mutant that nobody
 * notices is a missing case. `--seed N` repeats a run.
 */
import { cellMutants } from '../test/mutants/cells.ts';

const CELL_MUTANTS = 100;

const seedAt = process.argv.indexOf('--seed');
const seed = seedAt < 0 ? Date.now() % 2 ** 31 : Number(process.argv[seedAt + 1]);
if (!Number.isInteger(seed)) {
  console.error('merlon mutants: --seed needs a whole number');
  process.exit(2);
}

const { found, survivors } = cellMutants(CELL_MUTANTS, seed);
console.log(`compiled cells: ${found} of ${found + survivors.length} corruptions found (seed ${seed})`);
for (const survivor of survivors) console.log(`  not found: ${survivor}`);
if (survivors.length > 0) process.exitCode = 1;
