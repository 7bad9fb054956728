/** A program that grows is a topic of review: its golden is rewritten in the same change. */
import test from 'ava';
import { readFileSync } from 'node:fs';
import { compileAll, type Golden, GOLDENS, goldenFile, instructionsOf } from './instructions.ts';

test.before(compileAll);

for (const [name, paths] of Object.entries(GOLDENS)) {
  test.serial(`instructions – ${name} have as many as checked in`, (t) => {
    const want = JSON.parse(readFileSync(goldenFile(name), 'utf8')) as Golden;
    const found = instructionsOf(paths);
    t.deepEqual(found.compiled, want.compiled, 'node test/golden/instructions/instructions.ts --update');
    if (found.kernel === want.kernel) t.deepEqual(found.loaded, want.loaded);
    else t.log(`loaded by ${found.kernel}, the golden is of ${want.kernel}: only compiled ones compared`);
  });
}
