/**
 * Bad input of every kind, given to a live agent: one clear sentence with its place and what to do, and a
 * probe that shows that what was enforced before still is.
 */
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Finished, mustRun } from '#lab';
import { POLICY_ANNOTATIONS, REFUSED_KINDS } from '#model/parse';
import { type Bed, operatorBed, POLICIES, PROGRAM } from './operator/bed.ts';
import { annotated, REFUSED_VALUES } from './operator/refused.ts';

let bed: Bed;
let manifests = '';
let configFile = '';
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);

test.before(async () => {
  bed = await operatorBed('bad');
  const { dirs } = bed.net.hosts.node;
  manifests = dirs?.manifestsDir ?? '';
  configFile = join(dirs?.configDir ?? '', 'merlon.yaml');
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
});

/** What the bed's policies admit passes, what they refuse does not, to the node and to a pod. */
async function holds(t: ExecutionContext): Promise<void> {
  const { node, peer, client } = bed.net.hosts;
  const short = { timeoutMs: 150 };
  const seen = await Promise.all([
    peer.probeTcp(node.ipv4, 22),
    peer.probeTcp(node.ipv6, 22),
    client.probeTcp('10.1.0.10', 80),
    peer.probeTcp(node.ipv4, 23, short),
    peer.probeTcp(node.ipv6, 23, short),
    client.probeTcp('10.1.0.10', 81, short),
  ]);
  t.deepEqual(seen, ['open', 'open', 'open', 'timeout', 'timeout', 'timeout']);
}

/** One line on stderr, nothing on stdout, and the exit code of unusable input. */
function isRefused(t: ExecutionContext, ended: Finished, says: RegExp): void {
  t.is(ended.code, 2, ended.stderr);
  t.is(ended.stdout, '');
  t.regex(ended.stderr, /^merlon: [^\n]+\n$/, 'one sentence');
  t.notRegex(ended.stderr, /defect in merlon|undefined|\[object/);
  t.regex(ended.stderr, says);
}

// ---- manifests ----

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
/** At this line and column of the file (or anywhere in it), this sentence. */
const at = (place: string, says: RegExp): RegExp =>
  new RegExp(`^merlon: ${escaped(join(manifests, 'bad.yaml'))}:${place}: .*${says.source}`);

async function refusesManifest(
  t: ExecutionContext,
  text: string,
  place: string,
  says: RegExp,
): Promise<void> {
  const file = join(manifests, 'bad.yaml');
  t.teardown(() => rm(file, { force: true }));
  await writeFile(file, text, { mode: 0o640 });
  isRefused(t, await merlon('reload'), at(place, says));
  const status = await merlon('manifests', 'status', '--wait');
  t.is(status.code, 2);
  t.regex(status.stderr, says);
  await holds(t);
  await rm(file);
  const reloaded = await merlon('reload');
  t.is(reloaded.code, 0, reloaded.stderr);
}

const web = POLICIES['web.yaml'].replace('name: web', 'name: bad');
const LINE_COLUMN = String.raw`\d+:\d+`;
const broken: readonly [what: string, text: string, place: string, says: RegExp][] = [
  [
    'malformed YAML',
    web.replace('  ingress:', ' ingress: ['),
    LINE_COLUMN,
    /YAML|mapping|indent|flow|found|expected/i,
  ],
  [
    'an unknown key',
    web.replace('fromEndpoints', 'fromEndpoint'),
    '10:7',
    /fromEndpoint.*did you mean.*fromEndpoints/,
  ],
  ['a key that no object has', `${web}status: {}\nsepc: {}\n`, '18:1', /sepc.*did you mean.*spec/],
  ['a port of 70000', web.replace('"80"', '"70000"'), '15:21', /70000.*0 to 65535|65535/],
  [
    'an except outside its CIDR',
    web.replace(
      /fromEndpoints:[^]*app: client\n/,
      'fromCIDRSet:\n        - cidr: 10.0.0.0/8\n          except:\n            - 192.0.2.0/24\n',
    ),
    '13:15',
    /10\.0\.0\.0\/8 does not contain the exception 192\.0\.2\.0\/24/,
  ],
  ['one name twice', `${web}---\n${web}`, LINE_COLUMN, /bad.*(twice|already|keep one)/],
  ['a label that is none', web.replace('app: web', 'app: "-web-"'), LINE_COLUMN, /-web-/],
  [
    'a kind that is none',
    web.replace('CiliumNetworkPolicy', 'CiliumNetwrkPolicy'),
    '2:7',
    /CiliumNetworkPolicy/,
  ],
  ['a file without an object', 'just words\n', LINE_COLUMN, /./],
  ['bytes that are no text', '\u0000\u0001\u0002', String.raw`\d+(:\d+)?`, /./],
];
for (const [what, text, place, says] of broken) {
  test.serial(`manifest – ${what}`, (t) => refusesManifest(t, text, place, says));
}

test.serial('manifest – a name that another file has', async (t) => {
  const file = join(manifests, 'zzz.yaml');
  t.teardown(() => rm(file, { force: true }));
  await writeFile(file, POLICIES['web.yaml'], { mode: 0o640 });
  const ended = await merlon('reload');
  isRefused(t, ended, /web\.yaml/);
  t.regex(ended.stderr, /zzz\.yaml/, 'both places are named');
  await holds(t);
  await rm(file);
  t.is((await merlon('reload')).code, 0);
});

test.serial('manifest – a file of 2 MiB', async (t) => {
  const file = join(manifests, 'large.yaml');
  t.teardown(() => rm(file, { force: true }));
  await writeFile(file, `# ${'x'.repeat(2 << 20)}\n`, { mode: 0o640 });
  isRefused(t, await merlon('reload'), /large\.yaml:1:1: .*1048576.*split/);
  await holds(t);
  await rm(file);
  t.is((await merlon('reload')).code, 0);
});

test.serial('manifest – a file that others can write', async (t) => {
  const file = join(manifests, 'web.yaml');
  t.teardown(() => chmod(file, 0o640));
  await chmod(file, 0o666);
  isRefused(t, await merlon('reload'), /web\.yaml(:1:1)?: .*writ.*chmod/);
  await holds(t);
  await chmod(file, 0o640);
  t.is((await merlon('reload')).code, 0);
});

test.serial('manifest – all files gone at once', async (t) => {
  for (const name of Object.keys(POLICIES)) await rm(join(manifests, name));
  t.teardown(() => putBack());
  const ended = await merlon('reload');
  t.is(ended.code, 1, ended.stdout);
  t.regex(ended.stderr, /^merlon: all manifests are gone at once; the 2 policies stay enforced; [^\n]+\n$/);
  t.is((await merlon('manifests', 'status', '--wait')).code, 1);
  await holds(t);
  isRefused(t, await merlon('policy', 'clear'), /--yes/);
  t.is((await merlon('policy', 'clear', '--yes')).code, 0);
  const { node, peer } = bed.net.hosts;
  t.is(await peer.probeTcp(node.ipv4, 23), 'open', 'nothing is enforced once a person has said so');
  await putBack();
  t.is((await merlon('reload')).code, 0);
});

async function putBack(): Promise<void> {
  for (const [name, text] of Object.entries(POLICIES)) {
    await writeFile(join(manifests, name), text, { mode: 0o640 });
  }
}

for (const { kind, apiVersions } of REFUSED_KINDS) {
  const text = `{apiVersion: ${apiVersions[0]}, kind: ${kind}, metadata: {name: refused}}\n`;
  test.serial(`refused – the kind ${kind}`, (t) =>
    refusesManifest(t, text, LINE_COLUMN, /is not supported yet/),
  );
}
for (const key of Object.keys(POLICY_ANNOTATIONS)) {
  const value = REFUSED_VALUES[key];
  const [written, says] = value === undefined ? ['maybe', /is no value of/] : [value, /is not supported yet/];
  test.serial(`refused – the annotation ${key}`, (t) =>
    refusesManifest(t, annotated(key, written), LINE_COLUMN, says),
  );
}

// ---- configuration ----

const config = (more: string): string =>
  `apiVersion: merlon.io/v1\nkind: NodeConfig\nsources: {directory: {paths: [${manifests}]}}\nfailsafe: {sshFrom: [203.0.113.7/32]}\n${more}\n`;
const badConfig: readonly [what: string, text: string, place: string, says: RegExp][] = [
  ['a typo in a key', 'enable-ipv44: true', '5:1', /enable-ipv44.*did you mean.*enable-ipv4/],
  ['a typo inside a group', 'hostfw: {enabeld: true}', '5:10', /enabeld.*did you mean enabled/],
  ['a value of the wrong type', 'enable-ipv4: maybe', '5:14', /enable-ipv4/],
  ['a value that is out of range', 'cluster-id: 700', '5:13', /cluster-id|255|511/],
  ['the guard that this build lacks', 'hostfw: {guard: auto}', '5:10', /guard.*not supported yet/],
  ['labels that are no labels', 'labels: {"-bad-": x}', LINE_COLUMN, /-bad-/],
  ['a list under labels', 'labels: [a, b]', LINE_COLUMN, /identityLabels/],
  ['malformed YAML', 'labels: {', LINE_COLUMN, /./],
  ['another kind', '---\nkind: Pod', LINE_COLUMN, /./],
];
for (const [what, more, place, says] of badConfig) {
  test.serial(`configuration – ${what}`, async (t) => {
    t.teardown(() => writeFile(configFile, config('')));
    await writeFile(configFile, config(more), { mode: 0o640 });
    const where = new RegExp(`^merlon: ${escaped(configFile)}:${place}: .*${says.source}`);
    isRefused(t, await merlon('reload'), where);
    const check = await merlon('config', 'check', configFile);
    t.is(check.code, 2);
    t.regex(check.stderr, says);
    await holds(t);
    await writeFile(configFile, config(''));
    t.is((await merlon('reload')).code, 0);
  });
}

test.serial('configuration – a device pattern that matches nothing, required', async (t) => {
  await writeFile(configFile, config('devices: {patterns: ["enp7+"], requireAll: true}'));
  isRefused(t, await merlon('reload'), /enp7\+.*merlon devices/);
  await holds(t);
  await writeFile(configFile, config(''));
  t.is((await merlon('reload')).code, 0);
});

test.serial('configuration – a device pattern that matches nothing, beside one that does', async (t) => {
  await writeFile(configFile, config('devices: {patterns: ["enp7+", "eth+"]}'));
  t.is((await merlon('reload')).code, 0);
  const { degraded, notEnforced } = await bed.agent.json<{
    degraded: readonly { message: string }[];
    notEnforced: readonly { what: string; why: string }[];
  }>(['status']);
  t.regex(JSON.stringify([degraded, notEnforced]), /enp7\+/, 'the operator can see it');
  await holds(t);
  await writeFile(configFile, config(''));
  t.is((await merlon('reload')).code, 0);
});

// ---- agents ----

async function secondAgent(text: string, runDir?: string): Promise<Finished> {
  const { node } = bed.net.hosts;
  const file = join(bed.net.dir, 'second.yaml');
  await writeFile(file, text, { mode: 0o640 });
  const own = join(bed.net.dir, 'second');
  const flags = [
    '--config',
    file,
    '--state-dir',
    join(own, 'state'),
    '--bpf-root',
    `${node.dirs?.bpfRoot}-second`,
  ];
  return node.exec(PROGRAM, ['agent', ...flags, '--run-dir', runDir ?? join(own, 'run')], {
    timeoutMs: 60_000,
  });
}

test.serial('agent – a second one on the same run directory', async (t) => {
  const ended = await secondAgent(config(''), bed.net.hosts.node.dirs?.runDir);
  t.is(ended.code, 1);
  t.regex(
    ended.stderr,
    /^merlon: another agent runs with the run directory .* \(stop the other agent, or .*\)\n$/,
  );
  t.true(bed.agent.isRunning);
  await holds(t);
});

for (const [what, more, says] of [
  ['a configuration with a typo', 'enable-ipv44: true', /:5:1: .*did you mean/],
  ['the guard that this build lacks', 'hostfw: {guard: auto}', /:5:10: .*guard.*not supported yet/],
  ['a required device that is not there', 'devices: {patterns: ["enp7+"], requireAll: true}', /enp7\+/],
] as const) {
  test.serial(`agent – does not start with ${what}`, async (t) => {
    isRefused(t, await secondAgent(config(more)), says);
    await holds(t);
  });
}

test.serial('agent – does not start with a configuration that is not there', async (t) => {
  const { node } = bed.net.hosts;
  const ended = await node.exec(PROGRAM, [
    'agent',
    '--config',
    '/nonexistent/merlon.yaml',
    '--run-dir',
    bed.net.dir,
  ]);
  isRefused(t, ended, /\/nonexistent\/merlon\.yaml: .*(no such file|not there|does not exist).*--config/);
});

test.serial('agent – does not start as another user', async (t) => {
  const flags = ['--state-dir', '/tmp/ml-nobody/state', '--run-dir', '/tmp/ml-nobody/run'];
  const user = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  const ended = await bed.net.hosts.node.exec('setpriv', [...user.slice(1), PROGRAM, 'agent', ...flags]);
  t.is(ended.code, 1, ended.stderr);
  t.regex(ended.stderr, /^merlon: [^\n]*root[^\n]*\n$/);
});

// ---- endpoints ----

const add = (name: string, ...args: readonly string[]): Promise<Finished> =>
  merlon('endpoint', 'add', name, ...args);
const NETNS = (): readonly string[] => ['--netns', bed.net.hosts.peer.netns];
const badEndpoints: readonly [what: string, name: string, args: () => readonly string[], says: RegExp][] = [
  [
    'a namespace that is not there',
    'x',
    () => ['--netns', 'nowhere', '--ip', '10.1.0.20'],
    /nowhere.*ip netns list/,
  ],
  [
    'a path that is no namespace',
    'x',
    () => ['--netns', '/etc/hostname', '--ip', '10.1.0.20'],
    /\/etc\/hostname/,
  ],
  ['an address that is none', 'x', () => [...NETNS(), '--ip', '10.1.0.300'], /"10\.1\.0\.300"/],
  ['an address that nobody can have', 'x', () => [...NETNS(), '--ip', '127.0.0.9'], /127\.0\.0\.9/],
  ['an address of another endpoint', 'x', () => [...NETNS(), '--ip', '10.1.0.10'], /10\.1\.0\.10.*web/],
  ['an address of the node', 'x', () => [...NETNS(), '--ip', '192.0.2.1'], /192\.0\.2\.1/],
  ['no address', 'x', NETNS, /--ip/],
  ['labels that are none', 'x', () => [...NETNS(), '--ip', '10.1.0.20', '--labels', 'a=b=c d'], /"a=b=c d"/],
  [
    'labels that only the agent sets',
    'x',
    () => [...NETNS(), '--ip', '10.1.0.20', '--labels', 'reserved:host'],
    /reserved/,
  ],
  ['a name that is none', 'X_Y', () => [...NETNS(), '--ip', '10.1.0.20'], /"X_Y"/],
  ['the name of another endpoint', 'web', () => [...NETNS(), '--ip', '10.1.0.20'], /web/],
  [
    'the namespace of another endpoint',
    'x',
    () => ['--netns', bed.net.hosts.web.netns, '--ip', '10.1.0.20'],
    /./,
  ],
];
for (const [what, name, args, says] of badEndpoints) {
  test.serial(`endpoint add – ${what}`, async (t) => {
    isRefused(t, await add(name, ...args()), says);
    const endpoints = await bed.agent.json<readonly { name: string }[]>(['endpoint', 'list']);
    t.deepEqual(endpoints.map((e) => e.name).sort(), ['client', 'web']);
    const links = await mustRun(['nsenter', `--net=${bed.net.hosts.peer.netns}`, 'ip', '-o', 'link']);
    t.is(links.trim().split('\n').length, 2, 'nothing is left in the namespace');
    await holds(t);
  });
}
