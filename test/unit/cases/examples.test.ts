import test from 'ava';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { caseNames, failures, runFile } from './case-file.ts';

const examples = join(import.meta.dirname, '../../../deploy/examples/policies');
const golden = join(import.meta.dirname, '../../golden/cases');

test('example policies – each has a case file beside it', (t) => {
  const policies = caseNames(examples, /(?<!\.case)\.yaml$/);
  t.deepEqual(
    policies.filter((name) => !existsSync(join(examples, name.replace(/\.yaml$/, '.case.yaml')))),
    [],
  );
});

for (const name of caseNames(examples, /\.case\.yaml$/)) {
  test(`example policies – ${name} comes out as written`, (t) => {
    t.deepEqual(failures(runFile(examples, name)), []);
  });
}

for (const name of caseNames(golden, /\.yaml$/)) {
  test(`specification – ${name} comes out as written`, (t) => {
    t.deepEqual(failures(runFile(golden, name)), []);
  });
}
