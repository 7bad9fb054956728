/** Mutants of the C: the table fits the sources, and a sample of it is noticed (`npm run mutants`: sixty). */
import test from 'ava';
import { cMutants, staleMutations } from '../mutants/c.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);

test('mutants – every fault of the table has its place in the sources', (t) => {
  t.deepEqual(staleMutations(), []);
});

test(`mutants – five faults in the checks of packets are noticed (seed ${seed})`, async (t) => {
  t.timeout(900_000);
  const lines: string[] = [];
  const onResult = (line: string) => void lines.push(line);
  const report = await cMutants({ count: 5, seed, only: 'lib/sanity.h', isSample: true, onResult });
  for (const line of lines) t.log(line.slice(0, 160));
  t.is(report.made, 5);
  t.deepEqual(report.survivors, []);
});
