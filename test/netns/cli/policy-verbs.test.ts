/**
 * The verbs that ask about policy, against a live agent: columns and fields, what they say of generations, of
 * flows and of events, and how they refuse.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Finished, run, startAgent } from '#lab';
import { type Bed, configOf, operatorBed, POLICIES, PROGRAM } from '../operator/bed.ts';

let bed: Bed;
let folder: string;
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);

test.before(async () => {
  bed = await operatorBed('clio');
  folder = await mkdtemp(join(tmpdir(), 'merlon-verbs-'));
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** A file beside the manifests: a candidate. */
async function candidate(name: string, yaml: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, yaml, { mode: 0o640 });
  return file;
}

/** Writes a manifest and has it enforced. */
async function enforce(name: keyof typeof POLICIES, yaml: string): Promise<void> {
  await writeFile(join(bed.net.hosts.node.dirs?.manifestsDir ?? '', name), yaml, { mode: 0o640 });
  const { code, stderr } = await merlon('reload');
  if (code !== 0) throw new Error(stderr);
}

const titles = (text: string): readonly string[] => (text.split('\n')[0] ?? '').split(/ {2,}/);

test.serial(
  'policy diff – a file that says the same is the same, one that does not names who and where',
  async (t) => {
    const same = await merlon('policy', 'diff', await candidate('same.yaml', POLICIES['web.yaml']));
    t.is(same.code, 0, same.stderr);
    t.is(same.stdout, 'no verdict changes\n');
    const other = await candidate('other.yaml', POLICIES['web.yaml'].replace('"80"', '"81"'));
    const found = await merlon('policy', 'diff', other);
    t.is(found.code, 1, found.stderr);
    t.regex(found.stdout, /^opened {3}ingress {2}default\/client → default\/web {2}TCP\/81$/m);
    t.regex(found.stdout, /^closed {3}ingress {2}default\/client → default\/web {2}TCP\/80$/m);
    t.regex(found.stdout, /--text shows the lines/);
    const text = await merlon('policy', 'diff', other, '--text');
    t.regex(text.stdout, /^ {2}- +- port: "80"$/m);
  },
);

test.serial(
  'policy history, show, diff gen: – what was enforced before can be seen and compared with',
  async (t) => {
    await enforce('web.yaml', POLICIES['web.yaml'].replace('"80"', '"81"'));
    const list = await bed.agent.json<
      readonly { generation: number; active: boolean; policies: number; changes?: { changed: string[] } }[]
    >(['policy', 'history']);
    t.like(list[0], { active: true, policies: 2, changes: { changed: ['default/web'] } });
    const before = list[1]?.generation ?? 0;
    const table = await merlon('policy', 'history');
    t.deepEqual(titles(table.stdout), ['GENERATION', 'ENFORCED AT', 'POLICIES', 'CHANGES']);
    t.regex(table.stdout, / ~default\/web$/m);
    // Back to what was is the reverse of what was done, whichever way it is asked.
    for (const args of [
      [`gen:${before}`],
      ['gen:previous'],
      ['--from', 'gen:' + list[0]?.generation, 'gen:previous'],
    ]) {
      const { code, stdout, stderr } = await merlon('policy', 'diff', ...args);
      t.is(code, 1, stderr);
      t.regex(stdout, /^opened {3}ingress {2}default\/client → default\/web {2}TCP\/80$/m);
    }
    t.is((await merlon('policy', 'diff', '--from', 'gen:previous')).code, 1);
    t.is((await merlon('policy', 'diff', `gen:${list[0]?.generation}`)).code, 0);
    const shown = await merlon('policy', 'show', 'previous');
    t.regex(shown.stdout, /^# .*web\.yaml:1$/m);
    const file = await candidate('old.yaml', shown.stdout);
    t.is((await merlon('policy', 'validate', file)).code, 0);
    t.is(
      (await merlon('policy', 'diff', '--from', 'gen:previous', file)).code,
      0,
      'what is shown is what was',
    );
  },
);

test.serial(
  'policy history, diff gen: – a restart of the agent keeps them, and a damaged file costs itself',
  async (t) => {
    const numbers = async (): Promise<readonly number[]> =>
      (await bed.agent.json<readonly { generation: number }[]>(['policy', 'history'])).map(
        (g) => g.generation,
      );
    await enforce('web.yaml', POLICIES['web.yaml'].replace('"80"', '"82"'));
    const kept = await numbers();
    const stateDir = bed.net.hosts.node.dirs?.stateDir ?? '';
    t.is(await bed.agent.stop(), 0);
    bed.agent = await startAgent(bed.net.hosts.node, { program: PROGRAM, config: configOf(bed.net) });
    t.deepEqual(await numbers(), kept);
    const oldest = kept.at(-1) ?? 0;
    await writeFile(join(stateDir, 'generations', `${oldest}.json`), '{"version":1,');
    t.deepEqual(await numbers(), kept.slice(0, -1));
    const status = await bed.agent.json<{ degraded: readonly { code: string; message: string }[] }>([
      'status',
    ]);
    t.deepEqual(
      status.degraded.map(({ code }) => code),
      ['STATE_CORRUPT'],
    );
    const gone = await merlon('policy', 'diff', 'gen:1');
    t.is(gone.code, 1);
    t.regex(
      gone.stderr,
      /^merlon: generation 1 is not kept: the oldest is \d+, the active one \d+ \(.*history.*\)\n$/,
    );
    // Without an agent the files answer.
    const offline = [PROGRAM, 'policy', 'diff', 'gen:previous', '--state-dir', stateDir];
    const { code, stdout, stderr } = await run(offline);
    t.is(code, 1, stderr);
    t.regex(stdout, /^opened {3}ingress {2}default\{app=client\} → default\{app=web\} {2}TCP\/81$/m);
  },
);
