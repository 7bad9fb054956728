/** Checked-in results of compiling small worlds; `./merlon golden -- --update` rewrites them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { policyGolden } from '../../golden/policy/golden.ts';

const folder = join(import.meta.dirname, '..', '..', 'golden', 'policy');

for (const file of readdirSync(folder).filter((name) => name.endsWith('.in.yaml'))) {
  test(`golden – ${file} compiles to what is checked in`, (t) => {
    const made = policyGolden(readFileSync(join(folder, file), 'utf8'));
    t.is(made, readFileSync(join(folder, file.replace('.in.yaml', '.ok')), 'utf8'));
  });
}
