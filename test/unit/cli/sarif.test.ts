/** SARIF as readers of it need it: required fields, rules that results point to, fingerprints that outlive edits. */
import test from 'ava';
import { join } from 'node:path';
import { FINDINGS, PROBLEM_KINDS } from '#model';
import { sarif } from '../../../src/cli/sarif.ts';
import type { Told } from '../../../src/cli/told.ts';

interface Rule {
  readonly id: string;
  readonly shortDescription: { readonly text: string };
  readonly fullDescription: { readonly text: string };
  readonly help: { readonly text: string; readonly markdown: string };
  readonly defaultConfiguration: { readonly level: string };
}
interface Result {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: string;
  readonly message: { readonly text: string };
  readonly locations: readonly {
    readonly physicalLocation: {
      readonly artifactLocation: { readonly uri: string; readonly uriBaseId?: string };
      readonly region: { readonly startLine: number; readonly startColumn: number };
    };
  }[];
  readonly partialFingerprints: Readonly<Record<string, string>>;
}
interface Log {
  readonly version: string;
  readonly $schema: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly name: string; readonly rules: readonly Rule[] } };
    readonly invocations: readonly { readonly executionSuccessful: boolean; readonly exitCode: number }[];
    readonly results: readonly Result[];
  }[];
}

const told: Told = {
  code: 'empty-rule',
  level: 'note',
  object: 'shop/rule',
  message: 'spec.ingress[0]: names nobody',
  hint: 'name somebody',
  at: { file: 'a dir/rule.yaml', line: 7, column: 5, path: 'spec.ingress[0]' },
};
const run = (results: readonly Told[]) => {
  const [first] = (sarif('merlon policy lint', results, 0) as Log).runs;
  if (first === undefined) throw new Error('no run');
  return first;
};

test('sarif – a log of version 2.1.0 with one run of one tool', (t) => {
  const log = sarif('merlon policy lint', [told], 1) as Log;
  t.is(log.version, '2.1.0');
  t.true(log.$schema.endsWith('sarif-2.1.0.json'));
  t.is(log.runs.length, 1);
  t.is(log.runs[0]?.tool.driver.name, 'merlon');
  t.deepEqual(log.runs[0]?.invocations, [{ executionSuccessful: true, exitCode: 1 }]);
});

test('sarif – every code is a rule, once, that says what it is and how to mend it, wherever it is read', (t) => {
  const { rules } = run([]).tool.driver;
  const ids = rules.map(({ id }) => id);
  t.deepEqual([...ids].sort(), [...Object.keys(FINDINGS), ...Object.keys(PROBLEM_KINDS)].sort());
  t.is(new Set(ids).size, ids.length);
  const kinds = new Map([...Object.entries(FINDINGS), ...Object.entries(PROBLEM_KINDS)]);
  for (const { id, shortDescription, help, defaultConfiguration } of rules) {
    const { what = '', mend = '' } = kinds.get(id) ?? {};
    t.is(shortDescription.text, what);
    for (const text of [help.text, help.markdown]) t.true(text.includes(what) && text.includes(mend), id);
    t.regex(defaultConfiguration.level, /^(?:error|warning|note)$/);
  }
  t.false(JSON.stringify(rules).includes('file:'), 'a rule points to a file of one machine');
});

test('sarif – a result has its rule, level, sentence and region', (t) => {
  const { tool, results } = run([told]);
  const [result] = results;
  t.is(tool.driver.rules[result?.ruleIndex ?? -1]?.id, 'empty-rule');
  t.is(result?.level, 'note');
  t.is(result?.message.text, 'shop/rule: spec.ingress[0]: names nobody (name somebody)');
  const { artifactLocation, region } = result?.locations[0]?.physicalLocation ?? {};
  t.deepEqual(artifactLocation, { uri: 'a%20dir/rule.yaml', uriBaseId: '%SRCROOT%' });
  t.deepEqual(region, { startLine: 7, startColumn: 5 });
  const at = (file: string) =>
    run([{ ...told, at: { file } }]).results[0]?.locations[0]?.physicalLocation.artifactLocation;
  t.deepEqual(at(join(process.cwd(), 'policies/a.yaml')), { uri: 'policies/a.yaml', uriBaseId: '%SRCROOT%' });
  t.deepEqual(at('./policies/../b#1?.yaml'), { uri: 'b%231%3F.yaml', uriBaseId: '%SRCROOT%' });
  t.deepEqual(at('..a/b.yaml'), { uri: '..a/b.yaml', uriBaseId: '%SRCROOT%' });
  const elsewhere = run([{ ...told, at: { file: '/etc/a b.yaml' } }]).results[0]?.locations[0];
  t.deepEqual(elsewhere?.physicalLocation, {
    artifactLocation: { uri: 'file:///etc/a%20b.yaml' },
    region: { startLine: 1, startColumn: 1 },
  } as unknown);
});

test('sarif – a fingerprint follows what is said, not where the line has moved', (t) => {
  const print = (one: Told) => run([one]).results[0]?.partialFingerprints;
  t.deepEqual(print({ ...told, at: { ...told.at, line: 9, column: 1 } }), print(told));
  t.deepEqual(
    print({ ...told, at: { ...told.at, file: join(process.cwd(), 'a dir/rule.yaml') } }),
    print(told),
  );
  for (const other of [
    { ...told, code: 'empty-peer-list' },
    { ...told, object: 'shop/other' },
    { ...told, at: { ...told.at, path: 'spec.ingress[1]' } },
  ]) {
    t.notDeepEqual(print(other), print(told));
  }
});
