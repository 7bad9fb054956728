/** The test command reads its counts from the runner's text: these are lines the runner really printed. */
import test from 'ava';
import { type AvaLine, parseAvaLine } from '../../../deploy/ava-output.ts';

const cases: readonly [line: string, want: AvaLine | undefined][] = [
  ['  ✔ x › a – passes', { kind: 'passed', title: 'x › a – passes' }],
  ['  ✔ w › rejects elsewhere (101ms)', { kind: 'passed', title: 'w › rejects elsewhere' }],
  ['  ✔ w › waits (1m 2.5s)', { kind: 'passed', title: 'w › waits' }],
  ['  ✔ cidr › masks (host bits)', { kind: 'passed', title: 'cidr › masks (host bits)' }],
  ['  - [skip] x › b – skipped', { kind: 'skipped', title: 'x › b – skipped' }],
  ['  - [todo] x › later', { kind: 'skipped', title: 'x › later' }],
  ['  ✔ [expected fail] x › e – known', { kind: 'skipped', title: 'x › e – known' }],
  ['  ✘ [fail]: x › c – fails', { kind: 'failed', title: 'x › c – fails' }],
  [
    '  ✘ test/unit/y.test.ts exited with a non-zero exit code: 3',
    { kind: 'failed', title: 'test/unit/y.test.ts exited with a non-zero exit code: 3' },
  ],
  ['  ✘ Timed out while running tests', { kind: 'failed', title: 'Timed out while running tests' }],
  ['    ℹ ✔ ok 7 - what a test logs', undefined],
  ['  Uncaught exception in test/unit/z.test.ts', undefined],
  ['  - 1', undefined],
  ['  ─', undefined],
  ['', undefined],
];
for (const [line, want] of cases) {
  test(`parseAvaLine – ${line.trim() === '' ? 'an empty line' : line.trim()}`, (t) =>
    t.deepEqual(parseAvaLine(line), want));
}
