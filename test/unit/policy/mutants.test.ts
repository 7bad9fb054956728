/** Do the probes see everything? Every cell agrees with the oracle, and every corruption of one is found. */
import test from 'ava';
import { compile, EMPTY_NUMBERING, prefixIdentities } from '#policy';
import { cellMutants } from '../../mutants/cells.ts';
import { policyMutants, stalePolicyMutations } from '../../mutants/policy.ts';
import { firstMiss, probesOf } from '../../mutants/probes.ts';
import { flowText } from './compiled-world.ts';
import { randomWorld } from './generate.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test(`probes – every cell of 40 random worlds is what the oracle says (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  let asked = 0;
  for (let i = 0; i < 40; i++) {
    const world = randomWorld(seed + i);
    const { identities } = prefixIdentities({ ...world, numbering: EMPTY_NUMBERING });
    const compiled = compile({ ...world, identities });
    const probes = probesOf(world, compiled, identities);
    asked += probes.length;
    const miss = firstMiss(probes, compiled);
    if (miss === undefined) continue;
    t.fail(
      `world ${seed + i}: ${flowText(miss.probe.flow)}: tables say ${miss.got.verdict} (${miss.got.origin.join()}), oracle ${miss.probe.want.verdict} (${miss.probe.want.rules.join()})`,
    );
  }
  t.log(`${asked} probes`);
  t.true(asked > 40_000);
});

test(`mutants – 100 seeded corruptions of compiled tables are all found (seed ${seed})`, (t) => {
  t.timeout(600_000, 'two shared cores');
  const { found, survivors } = cellMutants(100, seed);
  t.deepEqual(survivors, []);
  t.is(found, 100);
});

test('mutants – every fault of the compiler’s table has its place in the sources', (t) => {
  t.deepEqual(stalePolicyMutations(), []);
});

test(`mutants – two faults in the index of selectors are noticed (seed ${seed}; \`merlon mutants\`: all)`, async (t) => {
  t.timeout(900_000, 'runs other tests');
  const onResult = (line: string) => t.log(line.slice(0, 160));
  // Without a fault these tests run beside this one.
  const options = { count: 2, seed, only: 'selector-index.ts', isControlled: false, onResult };
  t.deepEqual(await policyMutants(options), { made: 2, survivors: [], unclear: [] });
});
