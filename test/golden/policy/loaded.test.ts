/** What the kernel holds after loading small worlds; `./merlon golden -- --update` as root rewrites the checked-in texts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { Bed } from '../../packet/oracle/bed.ts';
import { loadedGolden } from './loaded.ts';

let bed: Bed;
test.before(async () => {
  bed = await Bed.open({ ipv4: true, ipv6: true });
});
test.after.always(() => bed?.[Symbol.asyncDispose]());

for (const file of readdirSync(import.meta.dirname)
  .toSorted()
  .filter((name) => name.endsWith('.in.yaml'))) {
  test.serial(`golden – of ${file} the kernel holds what is checked in`, async (t) => {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8');
    const want = readFileSync(join(import.meta.dirname, file.replace('.in.yaml', '.loaded')), 'utf8');
    t.is(await loadedGolden(bed, text), want);
    t.deepEqual(bed.problems, []);
  });
}
