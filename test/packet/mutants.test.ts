/** Mutants of the C: the table fits the sources, and a sample of it is noticed (`npm run mutants`: sixty). */
import test from 'ava';
import { cMutants, readFailure, staleMutations } from '../mutants/c.ts';

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
  t.deepEqual([report.survivors, report.unclear], [[], []]);
});

const OUTPUTS: readonly [what: string, output: string, want: string][] = [
  [
    'a case that fails',
    '  ✘ [fail]: host › host – v4: TTL 0 it passes',
    'noticed “host › host – v4: TTL 0 it passes”',
  ],
  ['a program the kernel refuses', "✘ [fail]: before hook\nprog 'stage_decide': -13", 'noticed the verifier'],
  [
    'a case that runs out of time',
    '✘ [fail]: oracle Test timeout exceeded',
    'hung oracle Test timeout exceeded',
  ],
  [
    'a case that fails, and then nothing ends',
    '✘ [fail]: host – v4: TTL 0\n✘ Timed out while running tests',
    'noticed “host – v4: TTL 0”',
  ],
  ['a file that runs out of time', '✘ Timed out while running tests\n  ◌ host › ends', 'hung host › ends'],
  [
    'a hook that fails',
    '✘ [fail]: host › before hook no bpffs',
    'unclear before any case: host › before hook no bpffs',
  ],
  [
    'a process that dies',
    '✘ test/packet/host.test.ts exited with a non-zero exit code: 1',
    'unclear no test failed, yet the run did',
  ],
];
const TWO = ['test/packet/host.test.ts', 'test/packet/corners-pod.test.ts'];
for (const [what, output, want] of OUTPUTS)
  test(`mutants – what a failed run says: ${what}`, (t) => {
    const said = readFailure(output);
    const more = { noticed: 'by', hung: 'at', unclear: 'why' } as const;
    t.is(`${said.kind} ${Object.entries(said).find(([key]) => key === more[said.kind])?.[1]}`, want);
  });

test('mutants – the file in which it failed is known, of one and of several', (t) => {
  const fileOf = (title: string, files: readonly string[]) => {
    const said = readFailure(`  ✘ [fail]: ${title}`, files);
    return said.kind === 'noticed' ? said.file : said.kind;
  };
  t.is(fileOf('host – v4: TTL 0 › it passes', TWO.slice(0, 1)), TWO[0]);
  t.is(fileOf('corners-pod › source – v4: of another', TWO), TWO[1]);
  t.is(fileOf('elsewhere – v4', TWO), undefined);
});
