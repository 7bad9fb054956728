/** The command line against a live agent: verbs, formats, exit codes, and the JSON that other programs rely on. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parse as parseYaml } from 'yaml';
import { type Finished, run as runProgram, startAgent } from '#lab';
import { until } from '#kit/async';
import { VERBS } from '../../src/cli/verbs.ts';
import { type Bed, configOf, operatorBed, POLICIES, PROGRAM } from './operator/bed.ts';
import { differences, type Shape } from './operator/shape.ts';

let bed: Bed;
const signal = new AbortController().signal;

const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);
const jsonl = <T>(text: string): readonly T[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);

function hasShape(t: ExecutionContext, value: unknown, shape: Shape): void {
  t.deepEqual(differences(value, shape), []);
}

test.before(async () => {
  bed = await operatorBed('cli');
  const { node, peer } = bed.net.hosts;
  await peer.stream({ kind: 'tcp', to: node.ipv4, port: 22 });
  await peer.attempt({ proto: 'tcp', to: node.ipv4, port: 23, timeoutMs: 100 });
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
});

// ---- every verb, every format ----

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

// ---- what other programs rely on ----

const END: Shape = { ip: /^[0-9a-f.:]+$/, 'port?': 'number', identity: 'number', labels: ['string'] };
const RULE: Shape = { id: 'string', 'file?': /^\//, 'line?': 'number' };
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const STATE: Shape = { oneOf: ['disabled', 'enforce', 'audit'] };

const EVENT: Shape = {
  seq: 'number',
  time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/,
  kind: { oneOf: ['verdict', 'failsafe', 'l7'] },
  verdict: { oneOf: ['ALLOWED', 'REDIRECTED', 'DENIED', 'AUDIT', 'REVOKED', 'DROPPED'] },
  'reason?': /^[A-Z0-9_]+$/,
  direction: { oneOf: ['ingress', 'egress'] },
  device: 'string',
  source: END,
  destination: END,
  proto: /^(TCP|UDP|SCTP|ICMP|ICMPv6|\d+)$/,
  match: 'string',
  rules: [RULE],
  generation: 'number',
};

interface EventLike {
  readonly seq: number;
  readonly verdict: string;
  readonly reason?: string;
  readonly direction: string;
  readonly source: { readonly ip: string; readonly port?: number };
  readonly destination: { readonly ip: string; readonly port?: number };
  readonly rules: readonly { readonly id: string; readonly file?: string; readonly line?: number }[];
}

test.serial('status – the fields that the interface promises', async (t) => {
  const status = await bed.agent.json<Record<string, unknown>>(['status']);
  hasShape(t, status, {
    ready: { oneOf: [true] },
    hostfw: {
      mode: { oneOf: ['enforce', 'audit', 'failsafe', 'off'] },
      generation: 'number',
      direction: { ingress: STATE, egress: STATE },
    },
    devices: [
      {
        name: 'string',
        selected: 'boolean',
        reason: 'string',
        hooks: [{ hook: 'string', program: 'string', programId: 'number' }],
      },
    ],
    degraded: [{ code: 'string', message: 'string', 'file?': 'string', 'line?': 'number' }],
    notEnforced: [{ what: 'string', why: 'string' }],
  });
  const { hostfw, devices, notEnforced, degraded } = status as {
    hostfw: { mode: string; transaction?: unknown; unlockedUntil?: unknown; direction: unknown };
    devices: readonly { name: string; selected: boolean }[];
    notEnforced: readonly { what: string }[];
    degraded: readonly unknown[];
  };
  t.is(hostfw.mode, 'enforce');
  t.deepEqual(hostfw.direction, { ingress: 'enforce', egress: 'disabled' });
  t.is(hostfw.transaction, undefined);
  t.is(hostfw.unlockedUntil, undefined);
  t.true(devices.find((d) => d.name === 'eth0')?.selected);
  t.true(notEnforced.some((n) => n.what.includes('hostfw.guard')));
  t.deepEqual(degraded, [], 'a node with nothing wrong is not degraded');
});

for (const family of [4, 6] as const) {
  test.serial(`events – the probe’s own five-tuple with rule, file and line, IPv${family}`, async (t) => {
    const { node, peer } = bed.net.hosts;
    const to = family === 4 ? node.ipv4 : node.ipv6;
    const open = await peer.attempt({ proto: 'tcp', to, port: 22 });
    const closed = await peer.attempt({ proto: 'tcp', to, port: 23, timeoutMs: 300 });
    t.is(open.outcome, 'open');
    t.is(closed.outcome, 'timeout');
    const find = async (port: number): Promise<EventLike | undefined> => {
      const { stdout } = await merlon('events', '-o', 'json');
      const events = jsonl<EventLike>(stdout);
      for (const event of events) hasShape(t, event, EVENT);
      t.deepEqual(
        events.map((e) => e.seq),
        events.map((e) => e.seq).toSorted((a, b) => a - b),
      );
      return events.find((e) => e.source.ip === open.source && e.source.port === port);
    };
    const wait = { signal, timeoutMs: 5000, what: 'the event', intervalMs: 50 };
    const allowed = await until(() => find(open.sourcePort), wait);
    const denied = await until(() => find(closed.sourcePort), wait);
    t.like(allowed, { verdict: 'ALLOWED', direction: 'ingress', destination: { ip: to, port: 22 } });
    t.is(allowed.reason, undefined);
    t.like(allowed.rules[0], { id: 'host/0/ingress/0', line: 10 });
    t.regex(allowed.rules[0]?.file ?? '', /\/host\.yaml$/);
    t.like(denied, { verdict: 'DENIED', reason: 'POLICY_DENIED', destination: { ip: to, port: 23 } });
    t.like(denied.rules[0], { id: 'host/0' });
    const since = await merlon('events', '--since', String(denied.seq), '-o', 'json');
    t.is(jsonl<EventLike>(since.stdout)[0]?.seq, denied.seq);
    const last = await merlon('events', '--last', '1', '--verdict', 'denied', '-o', 'json');
    t.is(jsonl<EventLike>(last.stdout).length, 1);
  });
}

test.serial('events – following goes on with what comes, until it is ended', async (t) => {
  const { peer, node } = bed.net.hosts;
  const child = node.spawn(
    PROGRAM,
    ['events', '--follow', '-o', 'json', '--run-dir', node.dirs?.runDir ?? ''],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  await until(() => text !== '', { signal, timeoutMs: 5000, what: 'the first event' });
  const { sourcePort } = await peer.attempt({ proto: 'tcp', to: node.ipv4, port: 22 });
  await until(() => text.includes(`"port":${sourcePort}`), { signal, timeoutMs: 5000, what: 'the event' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  t.is(await ended, 0, 'a stream that its reader ends is no error');
});

test.serial('ct list – one object a record, from the initiator’s side', async (t) => {
  const { node, peer } = bed.net.hosts;
  const held = await peer.stream({ kind: 'tcp', to: node.ipv4, port: 22 });
  const { stdout } = await merlon('ct', 'list', '--port', '22', '-o', 'json');
  const flows = jsonl<Record<string, unknown>>(stdout);
  const end: Shape = { ip: 'string', 'port?': 'number', identity: 'number' };
  const counts: Shape = { forward: 'number', reply: 'number' };
  const verdict: Shape = { verdict: 'string', rules: [RULE], generation: 'number' };
  for (const flow of flows) {
    hasShape(t, flow, {
      family: { oneOf: [4, 6] },
      protocol: 'string',
      direction: { oneOf: ['in', 'out'] },
      initiator: end,
      responder: end,
      state: { oneOf: ['new', 'unproven', 'established', 'closing'] },
      flags: [{ oneOf: ['audited', 'failsafe', 'seeded', 'revoked', 'overflow'] }],
      created: TIME,
      lastSeen: TIME,
      expires: TIME,
      packets: counts,
      bytes: counts,
      verdicts: { 'ingress?': verdict, 'egress?': verdict },
      flow: 'string',
    });
  }
  const own = flows.find((f) => (f['initiator'] as { port?: number }).port === held.sourcePort);
  t.like(own, {
    family: 4,
    protocol: 'TCP',
    direction: 'in',
    initiator: { ip: held.source, port: held.sourcePort },
    responder: { ip: node.ipv4, port: 22, identity: 1 },
    state: 'established',
    verdicts: { ingress: { verdict: 'ALLOWED' } },
  });
  await held.stop();
});

test.serial('counters – rules with hits, drops by reason and device', async (t) => {
  const counters = await bed.agent.json<{
    rules: readonly { id: string; packets: number; flows: number; lastHit?: string }[];
    drops: readonly { reason: string; device: string; packets: number }[];
  }>(['counters']);
  hasShape(t, counters, {
    rules: [
      {
        id: 'string',
        packets: 'number',
        bytes: 'number',
        flows: 'number',
        'lastHit?': TIME,
        shared: 'boolean',
      },
    ],
    drops: [{ reason: 'string', device: 'string', packets: 'number' }],
  });
  const rule = counters.rules.find((r) => r.id === 'host/0/ingress/0');
  t.true((rule?.packets ?? 0) > 0 && (rule?.flows ?? 0) > 0);
  t.regex(rule?.lastHit ?? '', TIME);
  const drop = counters.drops.find((d) => d.reason === 'POLICY_DENIED' && d.device === 'eth0');
  t.true((drop?.packets ?? 0) > 0);
});

test.serial('manifests status – applied, waited for by hash, not in time, invalid', async (t) => {
  const dirs = bed.net.hosts.node.dirs;
  const view = await bed.agent.json<{ state: string; hash: string; files: readonly { hash: string }[] }>([
    'manifests',
    'status',
    '--wait',
  ]);
  t.is(view.state, 'applied');
  const wait = (hash: string, seconds: string) =>
    merlon('manifests', 'status', '--wait', '--for-hash', hash, '--timeout', seconds);
  t.is((await wait(view.hash, '5')).code, 0);
  t.is((await wait(view.files[0]?.hash ?? '', '5')).code, 0);
  const late = await wait('0'.repeat(64), '0.3');
  t.is(late.code, 124);
  t.regex(late.stderr, /^merlon: .*000.*\n$/);
  const file = join(dirs?.manifestsDir ?? '', 'bad.yaml');
  await writeFile(file, POLICIES['web.yaml'].replace('"80"', '"70000"').replace('name: web', 'name: bad'), {
    mode: 0o640,
  });
  t.is((await merlon('reload')).code, 2);
  const invalid = await merlon('manifests', 'status', '--wait');
  t.is(invalid.code, 2);
  t.regex(invalid.stderr, new RegExp(`^${file}:15:21: .*70000.*\n$`));
  const onDisk = JSON.parse(await readFile(join(dirs?.runDir ?? '', 'manifests.status.json'), 'utf8')) as {
    state: string;
    files: readonly { file: string; hash: string; objects: unknown; state: string; errors: unknown[] }[];
  };
  t.is(onDisk.state, 'invalid');
  t.is(onDisk.files.find((f) => f.file === file)?.errors.length, 1);
  await rm(file);
  const reloaded = await merlon('reload');
  t.is(reloaded.code, 0, reloaded.stderr);
  t.is((await merlon('manifests', 'status', '--wait')).code, 0);
});

test.serial('endpoint add, remove – with the words of the list, and twice is refused', async (t) => {
  const { client } = bed.net.hosts;
  await bed.agent.json(['endpoint', 'remove', 'client', '-o', 'json']).catch(() => undefined);
  const add = [
    'endpoint',
    'add',
    'client',
    '--netns',
    client.netns,
    '--labels',
    'app=client',
    '--ip',
    '10.1.0.11',
  ];
  const made = await bed.agent.json<Record<string, unknown>>([...add, '--ip', 'fd00:1::11']);
  t.like(made, { name: 'client', namespace: 'default', ipv4: ['10.1.0.11'], ipv6: ['fd00:1::11'] });
  const again = await merlon(...add);
  t.is(again.code, 2);
  t.regex(again.stderr, /^merlon: .*client.*\n$/);
  const missing = await merlon('endpoint', 'remove', 'nobody');
  t.is(missing.code, 1);
  t.regex(missing.stderr, /^merlon: .*"nobody".*\n$/);
  t.is(await client.probeTcp('10.1.0.10', 80), 'open');
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
  ['a file that is not there', ['policy', 'validate', '/nonexistent'], 2, /no such file/],
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
});

test.serial('completion – what bash loads is valid, and completes', async (t) => {
  const script = `eval "$(${PROGRAM} completion bash)"
    merlon() { ${PROGRAM} "$@"; }
    COMP_WORDS=(merlon failsa); COMP_CWORD=1; _merlon; echo "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await runProgram(['bash', '-c', script]);
  t.is(code, 0, stderr);
  t.is(stdout.trim(), 'failsafe');
});

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
  await until(hasLabel, { signal, timeoutMs: 5000, what: 'the new label' });
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
