/** Every verb of this build against a live agent, in every format. */
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

/** Arguments of the verbs that need some; a verb of this build that is missing in both lists fails the test. */
const ARGS: Readonly<Record<string, readonly string[]>> = {
  status: [],
  config: [],
  'config view': ['--origin'],
  reload: [],
  'endpoint list': [],
  'endpoint get': ['web'],
  'identity list': [],
  'identity get': ['1'],
  'ip list': [],
  'ip get': ['10.1.0.10'],
  'metrics list': [],
  'policy get': [],
  'policy status': [],
  'policy counters': [],
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
  'failsafe list': [],
  'manifests status': [],
  'config check': ['@merlon.yaml'],
  version: [],
};
/** Verbs with tests of their own: they change something, or print what is no value. */
const OWN_TESTS = [
  'agent',
  'endpoint add',
  'endpoint remove',
  'policy clear',
  'policy test',
  'policy trace',
  'policy explain',
  'policy diff',
  'explain',
  'demo',
  'uninstall',
  'completion',
  '__complete',
  'help',
];
/** Streams: one object a line, whatever the format is called. */
const STREAMS = ['events', 'ct list', 'bpf ct list'];

function argsOf(verb: string): readonly string[] {
  const dirs = bed.net.hosts.node.dirs;
  return (ARGS[verb] ?? []).map((arg) => {
    if (arg === '@merlon.yaml') return join(dirs?.configDir ?? '', 'merlon.yaml');
    return arg.startsWith('@') ? join(dirs?.manifestsDir ?? '', arg.slice(1)) : arg;
  });
}

test.serial('verbs – every verb of this build is tried here or has a test of its own', (t) => {
  const present = VERBS.filter((v) => v.load !== undefined).map((v) => v.name);
  t.deepEqual([...Object.keys(ARGS), ...OWN_TESTS].sort(), [...present].sort());
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
