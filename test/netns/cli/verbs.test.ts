/** Every verb of this build against a live agent, in every format. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse as parseYaml } from 'yaml';
import type { Finished } from '#lab';
import { VERBS } from '../../../src/cli/verbs.ts';
import { type Bed, operatorBed } from '../operator/bed.ts';
import { jsonl } from '../operator/shape.ts';

let bed: Bed;
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);

test.before(async () => {
  bed = await operatorBed('cliv');
  const { node, peer } = bed.net.hosts;
  await peer.stream({ kind: 'tcp', to: node.ipv4, port: 22 });
  await peer.attempt({ proto: 'tcp', to: node.ipv4, port: 23, timeoutMs: 100 });
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
});

/** Verbs that print a value, with arguments; `@` stands for a file of the node. */
const ARGS: Readonly<Record<string, readonly string[]>> = {
  status: [],
  config: [],
  'config view': ['--origin'],
  reload: [],
  'endpoint list': [],
  'endpoint get': ['web'],
  'endpoint config': ['web'],
  'identity list': [],
  'identity get': ['1'],
  'ip list': [],
  'ip get': ['10.1.0.10'],
  'metrics list': [],
  'policy get': [],
  'policy status': [],
  'policy history': [],
  'policy selectors': [],
  'policy counters': [],
  explain: ['--from', '192.0.2.2', '--to', '192.0.2.1:22/TCP'],
  'policy explain': ['--from', '192.0.2.2', '--to', '192.0.2.1:22/TCP'],
  'policy validate': ['@web.yaml'],
  events: [],
  'bpf policy get': ['host'],
  'bpf ct list': [],
  'bpf ipcache list': [],
  'bpf ipcache get': ['10.1.0.10'],
  'bpf metrics list': [],
  'ct list': [],
  counters: [],
  devices: [],
  'hostfw devices': [],
  'hostfw mode': [],
  'failsafe list': [],
  'manifests status': [],
  'config check': ['@merlon.yaml'],
  version: [],
};
/** Streams: one object a line, whatever the format is called. */
const STREAMS = ['events', 'ct list', 'bpf ct list'];

function argsOf(verb: string): readonly string[] {
  const dirs = bed.net.hosts.node.dirs;
  return (ARGS[verb] ?? []).map((arg) => {
    if (arg === '@merlon.yaml') return join(dirs?.configDir ?? '', 'merlon.yaml');
    return arg.startsWith('@') ? join(dirs?.manifestsDir ?? '', arg.slice(1)) : arg;
  });
}

/** What the other tests of the command line say, in one text: `policy lint` or `'policy', 'lint'`. */
function otherTests(): string {
  const root = join(import.meta.dirname, '../../..');
  const files = globSync('test/{unit/cli,netns}/**/*.test.ts', {
    cwd: root,
    exclude: ['**/program.test.ts'],
  });
  return files.map((file) => readFileSync(join(root, file), 'utf8')).join('\n');
}

test.serial('verbs – every verb of this build is tried here, or named by a test of its own', (t) => {
  const text = otherTests();
  const isNamed = (name: string): boolean =>
    new RegExp(`'${name.split(' ').join("',\\s*'")}'|'${name} –|merlon ${name}`).test(text);
  const present = VERBS.filter((v) => v.load !== undefined).map((v) => v.name);
  t.deepEqual(
    present.filter((name) => ARGS[name] === undefined && !isNamed(name)),
    [],
  );
});

for (const verb of Object.keys(ARGS)) {
  test.serial(`${verb} – table, JSON, YAML and JSON lines, without colour`, async (t) => {
    const args = [...verb.split(' '), ...argsOf(verb)];
    const [table, json, yaml, lines] = await Promise.all(
      ['table', 'json', 'yaml', 'jsonl'].map((format) => merlon(...args, '-o', format)),
    );
    for (const each of [table, json, yaml, lines]) {
      t.is(each?.code, 0, each?.stderr);
      t.false(`${each?.stdout}${each?.stderr}`.includes('\u001b'), 'no colour');
    }
    t.regex(table?.stdout ?? '', /\S/);
    const rows = jsonl<unknown>(lines?.stdout ?? '');
    t.true(rows.length > 0);
    if (STREAMS.includes(verb)) t.true(jsonl<unknown>(json?.stdout ?? '').length > 0);
    else t.true(typeof JSON.parse(json?.stdout ?? '') === 'object');
    t.true(typeof parseYaml(yaml?.stdout ?? '') === 'object');
    for (const line of table?.stdout.split('\n') ?? []) t.is(line, line.trimEnd(), 'a line ends with blanks');
  });
}
