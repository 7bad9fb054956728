import test from 'ava';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { manifestGolden } from '../../../golden/manifest/golden.ts';

const folder = join(import.meta.dirname, '../../../golden/manifest');

for (const file of readdirSync(folder).filter((name) => name.endsWith('.in.yaml'))) {
  test(`golden – the errors of ${file} are those that were reviewed`, (t) => {
    const want = readFileSync(join(folder, file.replace('.in.yaml', '.err')), 'utf8');
    t.is(manifestGolden(readFileSync(join(folder, file), 'utf8')), want);
  });
}
