/**
 * The demo passes with the manifests as they are, and fails with each of them changed in one place: a port,
 * or the address where a manifest has no port. What it fails of is the probe that the change concerns.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Finished, run } from '#lab';
import { PROGRAM } from './operator/bed.ts';

const EXAMPLES = join(import.meta.dirname, '../../deploy/examples');

interface Variant {
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The scene that has to notice. */
  readonly scenes: string;
  readonly notices: RegExp;
}

const VARIANTS: readonly Variant[] = [
  {
    file: 'policies/star-wars-l3-l4.yaml',
    from: '"80"',
    to: '"81"',
    scenes: '2',
    notices: /MISMATCH tiefighter → deathstar-1 http\/80 .*expected open, the socket saw timeout/,
  },
  {
    file: 'policies/host-firewall-worker.yaml',
    from: '"10250"',
    to: '"10251"',
    scenes: '3',
    notices: /MISMATCH worker2 → node tcp\/10250 .*expected open, the socket saw timeout/,
  },
  {
    file: 'policies/host-firewall-worker.yaml',
    from: '"22"',
    to: '"23"',
    scenes: '3',
    notices: /MISMATCH monitor → node tcp\/22 .*expected open, the socket saw timeout/,
  },
  {
    file: 'policies/deny-metadata.yaml',
    from: '169.254.169.254/32',
    to: '169.254.169.253/32',
    scenes: '4',
    notices: /MISMATCH xwing → metadata http\/80 IPv4 .*expected timeout, the socket saw open/,
  },
  {
    file: 'policies/host-firewall-audit.yaml',
    from: '"10250"',
    to: '"10251"',
    scenes: '5',
    notices: /MISMATCH worker2 → node tcp\/10250 .*expected AUDIT by kubelet-lock-down\/0\/ingressDeny\/0/,
  },
  {
    file: 'broken/port-out-of-range.yaml',
    from: '"70000"',
    to: '"7000"',
    scenes: '7',
    notices: /MISMATCH expected a refusal that names .*port-out-of-range\.yaml, exit codes 0 and 0/,
  },
];

/** Demos that run at the same time: each is a node, nine hosts and their servers. */
const AT_ONCE = 2;
const TIMEOUT_MS = 600_000;

async function demoWith({ file, from, to, scenes }: Variant): Promise<Finished> {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-demo-'));
  try {
    await cp(EXAMPLES, folder, { recursive: true });
    const text = await readFile(join(folder, file), 'utf8');
    if (!text.includes(from)) throw new Error(`${file} does not say ${from}`);
    await writeFile(join(folder, file), text.replace(from, to), { mode: 0o640 });
    return await run([PROGRAM, 'demo', '--examples', folder, '--scenes', scenes], { timeoutMs: TIMEOUT_MS });
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Starts all of them, a few at a time; each test waits for its own. */
function startAll<T>(jobs: readonly (() => Promise<T>)[]): readonly Promise<T>[] {
  const started: Promise<T>[] = [];
  for (const [i, job] of jobs.entries()) {
    const before = started[i - AT_ONCE] ?? Promise.resolve();
    started.push(before.then(job, job));
  }
  for (const one of started) one.catch(() => {}); // its own test tells
  return started;
}

const whole = () => run([PROGRAM, 'demo'], { timeoutMs: TIMEOUT_MS });
const [passes, ...changed] = startAll([whole, ...VARIANTS.map((variant) => () => demoWith(variant))]);

test('demo – every probe comes out as expected', async (t) => {
  const ended = await passes;
  t.is(ended?.code, 0, `${ended?.stdout}\n${ended?.stderr}`);
  t.regex(ended?.stdout ?? '', /Everything came out as expected\.\n$/);
  // biome-ignore format: one scene a line
  for (const scene of ['(1) ', '(2) ', '(3) ', '(4) ', '(5) ', '(6) ', '(7) ']) t.true(ended?.stdout.includes(`\n${scene}`));
});

for (const [i, { file, from, to, notices }] of VARIANTS.entries()) {
  test(`demo – ${file} with ${to} for ${from} makes it fail`, async (t) => {
    const ended = await changed[i];
    t.is(ended?.code, 1, `${ended?.stdout}\n${ended?.stderr}`);
    t.regex(ended?.stdout ?? '', notices);
  });
}

test('demo – a scene that there is not is one sentence', async (t) => {
  const { code, stderr } = await run([PROGRAM, 'demo', '--scenes', '2,9']);
  t.is(code, 2);
  t.regex(stderr, /^merlon: --scenes 2,9: there are scenes 1 to 7 .*\n$/);
});
