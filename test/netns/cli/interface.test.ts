/** What other programs rely on: the JSON of the verbs, field by field. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Finished, mustRun } from '#lab';
import { until } from '#kit/async';
import { IPCACHE_ENDPOINT, IPCACHE_ENTRY_SIZE } from '#wire/bpf';
import { type Bed, operatorBed, POLICIES, PROGRAM } from '../operator/bed.ts';
import { differences, jsonl, type Shape } from '../operator/shape.ts';

let bed: Bed;
const signal = new AbortController().signal;
const merlon = (...args: readonly string[]): Promise<Finished> => bed.agent.merlon(args);

function hasShape(t: ExecutionContext, value: unknown, shape: Shape): void {
  t.deepEqual(differences(value, shape), []);
}

test.before(async () => {
  bed = await operatorBed('clij');
});
test.after.always(async () => {
  await bed?.[Symbol.asyncDispose]();
});

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
    const wait = { signal, timeoutMs: 60_000, what: 'the event', intervalMs: 50 };
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
  await until(() => text !== '', { signal, timeoutMs: 60_000, what: 'the first event' });
  const { sourcePort } = await peer.attempt({ proto: 'tcp', to: node.ipv4, port: 22 });
  await until(() => text.includes(`"port":${sourcePort}`), { signal, timeoutMs: 60_000, what: 'the event' });
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

test.serial('bpf policy get, ip list – what the kernel holds, and what is wrong with it', async (t) => {
  interface Row {
    readonly policy: string;
    readonly identity: number;
    readonly portProto: string;
    readonly rules: readonly { readonly id: string }[];
    readonly differs?: string;
  }
  const host = await bed.agent.json<readonly Row[]>(['bpf', 'policy', 'get', 'host']);
  t.true(host.length > 0);
  for (const row of host) {
    t.like(row, { policy: 'Allow', portProto: '22/TCP', rules: [{ id: 'host/0/ingress/0' }] });
    t.is(row.differs, undefined);
  }
  t.deepEqual(await bed.agent.json<readonly Row[]>(['bpf', 'policy', 'get', 'client']), []);
  // Somebody writes into the kernel's map of /32 addresses: 10.1.0.10 is 256 or so, now 10.9.9.9 is, too.
  const pins = bed.net.hosts.node.dirs?.bpfRoot ?? '';
  const map = (await mustRun(['find', pins, '-name', 'ipcache_host4@*'])).trim();
  const entry = (identity: number, flags: number): readonly number[] => {
    const words = new Uint32Array(IPCACHE_ENTRY_SIZE / 4);
    words.set([identity, flags]);
    return [...new Uint8Array(words.buffer)];
  };
  const hex = (bytes: readonly number[]) => bytes.map((b) => b.toString(16).padStart(2, '0'));
  const stray = ['key', 'hex', ...hex([10, 9, 9, 9])];
  await mustRun(['bpftool', 'map', 'update', 'pinned', map, ...stray, 'value', 'hex', ...hex(entry(77, 0))]);
  await mustRun(['bpftool', 'map', 'delete', 'pinned', map, 'key', 'hex', ...hex([10, 1, 0, 11])]);
  const ips = await bed.agent.json<
    readonly { prefix: string; source: string; inKernel: boolean; kernelIdentity?: number }[]
  >(['ip', 'list']);
  t.like(
    ips.find((ip) => ip.prefix === '10.9.9.9/32'),
    { source: 'kernel', kernelIdentity: 77 },
  );
  t.like(
    ips.find((ip) => ip.prefix === '10.1.0.11/32'),
    { inKernel: false, kernelIdentity: undefined },
  );
  const { stdout } = await merlon('bpf', 'ipcache', 'list');
  t.regex(stdout, /10\.9\.9\.9\/32 .* STRAY\n/);
  t.regex(stdout, /10\.1\.0\.11\/32 .* MISSING\n/);
  const client = ips.find((ip) => ip.prefix === 'fd00:1::11/128')?.kernelIdentity ?? 0;
  await mustRun(['bpftool', 'map', 'delete', 'pinned', map, ...stray]);
  const back = hex(entry(client, IPCACHE_ENDPOINT));
  await mustRun([
    'bpftool',
    'map',
    'update',
    'pinned',
    map,
    'key',
    'hex',
    ...hex([10, 1, 0, 11]),
    'value',
    'hex',
    ...back,
  ]);
  t.is(await bed.net.hosts.client.probeTcp('10.1.0.10', 80), 'open');
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
