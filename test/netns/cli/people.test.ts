/** What people meet: exit codes with one sentence, completion, who may ask, signals, the end. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { type Finished, run as runProgram, startAgent } from '#lab';
import { until } from '#kit/async';
import { type Bed, configOf, operatorBed, PROGRAM } from '../operator/bed.ts';

let bed: Bed;
const signal = new AbortController().signal;
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);

test.before(async () => {
  bed = await operatorBed('clip');
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
});

// ---- exit codes and sentences ----

test.serial('unreachable – one sentence names the socket and what to type', async (t) => {
  const { code, stdout, stderr } = await runProgram([PROGRAM, 'status', '--run-dir', '/nonexistent']);
  t.is(code, 7);
  t.is(stdout, '');
  t.regex(stderr, /^merlon: no agent at \/nonexistent\/merlon\.sock; .*\(systemctl status merlon, .*\)\n$/);
});

test.serial('unreachable – waiting for it to be ready ends in time', async (t) => {
  const { code, stderr } = await runProgram([
    PROGRAM,
    'status',
    '--wait-ready',
    '0.3',
    '--run-dir',
    '/nonexistent',
  ]);
  t.is(code, 124);
  t.regex(stderr, /^merlon: .*ready.*\n$/);
});

const wrong: readonly [what: string, args: readonly string[], code: number, says: RegExp][] = [
  ['a word that is no verb', ['statu'], 2, /did you mean "status"/],
  ['a word that is no verb below another', ['bpf', 'polic'], 2, /did you mean "bpf policy"/],
  ['a flag that is none', ['status', '--nope'], 2, /--nope/],
  ['a format that is none', ['status', '-o', 'xml'], 2, /one of table, json, yaml, jsonl/],
  ['an argument too many', ['status', 'x'], 2, /too many arguments/],
  ['an argument too few', ['endpoint', 'get'], 2, /missing required argument/],
  ['a flag without its value', ['events', '--since'], 2, /argument missing/],
  ['a number that is none', ['events', '--since', 'noon'], 2, /sequence number/],
  ['a verdict that is none', ['events', '--verdict', 'maybe'], 2, /one of ALLOWED/],
  ['a port that is none', ['ct', 'list', '--port', '70000'], 2, /0 to 65535/],
  ['an address that is none', ['ip', 'get', 'here'], 2, /"here"/],
  ['an endpoint that is not there', ['endpoint', 'get', 'wep'], 1, /did you mean "web"/],
  ['an endpoint of the kernel that is not there', ['bpf', 'policy', 'get', '77'], 1, /merlon endpoint list/],
  ['an identity that is not there', ['identity', 'get', '77'], 1, /merlon identity list/],
  ['a policy that is not there', ['policy', 'get', 'hots'], 1, /did you mean "host"/],
  ['a key that cannot be set', ['config', 'enable-ipv4=false'], 2, /configuration file/],
  ['a file that is not there', ['policy', 'validate', '/nonexistent'], 2, /no such file\n$/],
  ['a file without objects', ['policy', 'lint', '/dev/null'], 2, /no objects in \/dev\/null/],
  ['a path through a file', ['policy', 'lint', '/etc/passwd/x'], 2, /no directory/],
  ['a flag that is nearly one', ['policy', 'test', '--wach', 'x'], 2, /'--wach' \(did you mean --watch\?\)/],
  ['a verb without what it needs', ['policy', 'show'], 2, /`merlon help policy show`/],
  ['a port above the last', ['explain', '--from', 'web', '--to', 'client:70000'], 2, /above 65535/],
  ['a port by name', ['explain', '--from', 'web', '--to', 'client:http'], 2, /which port, by number/],
  [
    'a type of ICMP for TCP',
    ['explain', '--from', 'web', '--to', 'client:1', '--icmp-type', '8'],
    2,
    /client\/icmp/,
  ],
  [
    'a device that has no program',
    ['explain', '--from', 'web', '--to', 'client:1', '--dev', 'eth9'],
    2,
    /"eth9"/,
  ],
  ['an entity that is none', ['explain', '--from', 'entity:wrld', '--to', 'web:1'], 2, /did you mean world/],
  ['a node that is not there', ['explain', '--from', 'node:zz', '--to', 'web:1'], 2, /one of /],
  [
    'labels that nobody has',
    ['explain', '--from', 'labels:app=wep', '--to', 'web:1'],
    2,
    /did you mean app=web/,
  ],
  ['an identity that nobody has', ['explain', '--from', 'identity:77', '--to', 'web:1'], 2, /identity 77/],
  [
    'a Service of a running node',
    ['explain', '--from', 'web', '--to', 'service:a/b:1'],
    2,
    /in case files only/,
  ],
  ['a drop of nobody', ['explain', '--last-drop', '--from', 'wep'], 2, /did you mean "web"/],
  ['a generation that is not kept', ['policy', 'diff', 'gen:99999'], 2, /not kept.*merlon policy history/],
  ['a past on paper', ['explain', '--last-drop', '--world', 'x'], 2, /neither events nor a past/],
  ['a shell that is none', ['completion', 'cmd'], 2, /one of bash, zsh, fish/],
  ['a namespace that is missing', ['endpoint', 'add', 'x'], 2, /--netns/],
  ['help of a word that is no verb', ['help', 'statsu'], 2, /did you mean "status"/],
];
for (const [what, args, code, says] of wrong) {
  test.serial(`exit codes – ${what}`, async (t) => {
    const ended = await merlon(...args);
    t.is(ended.code, code, ended.stderr);
    t.is(ended.stdout, '');
    t.regex(ended.stderr, /^merlon: [^\n]+\n$/);
    t.regex(ended.stderr, says);
  });
}

test.serial('completion – verbs, flags and the names that live in the agent', async (t) => {
  const complete = async (...words: readonly string[]): Promise<readonly string[]> =>
    (await merlon('__complete', '--', ...words)).stdout.split('\n').filter((line) => line !== '');
  t.deepEqual(await complete('endpo'), ['endpoint']);
  t.true((await complete('endpoint', '')).includes('list'));
  t.deepEqual(await complete('endpoint', 'get', ''), ['client', 'web']);
  t.deepEqual(await complete('bpf', 'policy', 'get', 'h'), ['host']);
  t.deepEqual(await complete('policy', 'get', ''), ['host', 'web']);
  t.true((await complete('identity', 'get', '')).includes('1'));
  t.deepEqual(await complete('status', '--wa'), ['--wait-ready']);
  t.deepEqual(await complete('status', '-o', 'js'), ['json', 'jsonl']);
  t.deepEqual(await complete('policy', 'test', '-o', 'ju'), ['junit']);
  t.deepEqual(await complete('policy', 'sele'), ['selectors']);
  t.false((await complete('policy', '')).includes('apply'), 'a verb that this build does not have');
  t.deepEqual(await complete('policy', 'get', 'web', ''), [], 'it takes one name');
  t.deepEqual(await complete('policy', 'get', '-o', 'json', 'w'), ['web']);
  t.deepEqual(await complete('explain', '--from', 'default/w'), ['default/web']);
  t.deepEqual(await complete('policy', 'diff', 'gen:p'), ['gen:previous']);
  t.deepEqual(await complete('events', '--verdict', 'DEN'), ['DENIED']);
  t.deepEqual(await complete('explain', '--world', ''), [], 'a file');
  const { runDir = '' } = bed.net.hosts.node.dirs ?? {};
  t.deepEqual(await complete('endpoint', 'get', '--run-dir', '/nonexistent', ''), []);
  t.deepEqual(await complete('endpoint', 'get', '--run-dir', runDir, 'w'), ['web']);
});

/** What bash would put in the place of the last word of a line: it ends words at `:` and `=`, too. */
async function bashCompletes(line: string): Promise<readonly string[]> {
  const { runDir = '' } = bed.net.hosts.node.dirs ?? {};
  const script = `eval "$(${PROGRAM} completion bash)"
    export MERLON_RUN_DIR=${runDir}
    merlon() { ${PROGRAM} "$@"; }
    COMP_LINE='${line}' COMP_POINT=${line.length}; _merlon; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await runProgram(['bash', '-c', script]);
  if (code !== 0 || stderr !== '') throw new Error(`bash ended with ${code}: ${stderr}`);
  return stdout.split('\n').filter((word) => word !== '');
}

const lines: readonly [line: string, words: readonly string[]][] = [
  ['merlon failsa', ['failsafe']],
  ['merlon status --wa', ['--wait-ready']],
  ['sudo /usr/bin/merlon endpoint get ', ['client', 'web']],
  ['merlon policy diff gen:p', ['previous']],
  ['merlon endpoint config 1 PolicyAuditMode=E', ['Enabled']],
  ['merlon policy lint deploy/', []],
];
for (const [line, words] of lines) {
  test.serial(`completion – bash, ${line}`, async (t) => {
    t.deepEqual(await bashCompletes(line), words);
  });
}

// ---- who may ask ----

const NOBODY = ['--reuid', '65534', '--regid', '65534'];

test.serial('permission – another user is told whose the socket is', async (t) => {
  const runDir = bed.net.hosts.node.dirs?.runDir ?? '';
  const { code, stderr } = await runProgram([
    'setpriv',
    ...NOBODY,
    '--clear-groups',
    PROGRAM,
    'status',
    '--run-dir',
    runDir,
  ]);
  t.is(code, 7);
  t.regex(stderr, /^merlon: no permission to open .*merlon\.sock \(.*root.*\)\n$/);
});

test.serial('permission – members of the group merlon may ask, where there is one', async (t) => {
  const { node } = bed.net.hosts;
  const runDir = node.dirs?.runDir ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'merlon-group-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const gid = 47_747;
  await writeFile(join(folder, 'group'), `root:x:0:\nmerlon:x:${gid}:\n`);
  // The agent sees a machine that has the group; nothing of this one is changed.
  const program = join(folder, 'merlon');
  const mount = `mount --bind ${folder}/group /etc/group && exec ${PROGRAM} "$@"`;
  await writeFile(program, `#!/bin/sh\nexec unshare -m sh -c '${mount}' sh "$@"\n`, { mode: 0o755 });
  t.is(await bed.agent.stop(), 0);
  await using agent = await startAgent(node, { program, config: configOf(bed.net) });
  t.true(agent.isRunning);
  const ask = (groups: string) =>
    runProgram(['setpriv', ...NOBODY, ...groups.split(' '), PROGRAM, 'status', '--run-dir', runDir]);
  t.is((await ask(`--groups ${gid}`)).code, 0);
  t.is((await ask('--clear-groups')).code, 7);
  await agent.stop();
  bed.agent = await startAgent(node, { program: PROGRAM, config: configOf(bed.net) });
});

// ---- signals, and the end ----

test.serial('agent – a hang-up reads the configuration again, and it goes on', async (t) => {
  const dirs = bed.net.hosts.node.dirs;
  const file = join(dirs?.configDir ?? '', 'merlon.yaml');
  const config = { ...configOf(bed.net), 'cluster-name': 'default', labels: { role: 'db' } };
  await writeFile(file, JSON.stringify(config));
  bed.agent.notify('SIGHUP');
  const hasLabel = async (): Promise<boolean> => {
    const entries = await bed.agent.json<readonly { key: string; value: unknown }[]>(['config', 'view']);
    return JSON.stringify(entries.find((e) => e.key === 'labels')?.value) === '{"role":"db"}';
  };
  await until(hasLabel, { signal, timeoutMs: 60_000, what: 'the new label' });
  t.true(bed.agent.isRunning);
});

test.serial(
  'uninstall – not while the agent runs; then nothing is left, and twice is no error',
  async (t) => {
    const { node, peer } = bed.net.hosts;
    const dirs = node.dirs;
    const args = ['uninstall', '--state-dir', dirs?.stateDir ?? '', '--bpf-root', dirs?.bpfRoot ?? ''];
    const early = await merlon(...args);
    t.is(early.code, 1);
    t.regex(early.stderr, /^merlon: another agent runs .*\n$/);
    t.is(await bed.agent.stop(), 0);
    t.is(
      await peer.probeTcp(node.ipv4, 23, { timeoutMs: 300 }),
      'timeout',
      'a stopped agent leaves enforcement',
    );
    const { code, stdout } = await merlon(...args);
    t.is(code, 0);
    t.regex(stdout, /^removed \d+ links, .* 2 endpoint devices\n$/);
    t.is(await peer.probeTcp(node.ipv4, 23), 'open');
    const again = await merlon(...args);
    t.is(again.code, 0);
    t.is(again.stdout, 'nothing of merlon was there\n');
  },
);
