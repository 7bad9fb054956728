/**
 * Audit with the real agent and real sockets: what it lets pass and says of it, that it outlives kill, restart
 * and reboot, and that no word of a verb is ever heard half: traffic runs through every switch.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { EndpointView, EventView, HostfwModeView, PolicyMapView } from '#api/client';
import { until } from '#kit/async';
import type { LabStream } from '#lab';
import { ethernet, frame, ip, tcp, udp } from '../../packet/builder.ts';
import {
  address,
  type Bed,
  bed,
  ECHO,
  FAMILIES,
  type Family,
  hostPolicy,
  podPolicy,
  ports,
  testSignal,
} from './bed.ts';
import { linkOf, sealed, Wire } from './raw.ts';
import { type Kind, traffic } from './traffic.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 20 };

/** The node takes 80 and 53 of all, and sends to 80; red takes 80 of blue. */
const POLICIES = [
  hostPolicy('node', {
    ingress: [
      { fromEntities: ['all'], toPorts: ports('80/TCP', '53/UDP') },
      { fromEntities: ['all'], icmps: ECHO },
    ],
    egress: [{ toEntities: ['all'], toPorts: ports('80/TCP') }],
  }),
  podPolicy(
    'red',
    { app: 'red' },
    {
      ingress: [{ fromEndpoints: [{ matchLabels: { app: 'blue' } }], toPorts: ports('80/TCP') }],
    },
  ),
];

async function make(name: string, config: Readonly<Record<string, unknown>> = {}): Promise<Bed> {
  const b = await bed({ name, config, pods: ['red', 'blue'], manifests: { 'all.yaml': POLICIES } });
  const hosts = [b.node, b.peer, b.host('red')];
  await Promise.all(hosts.flatMap((host) => [host.serveTcp(80), host.serveTcp(81), host.serveUdp(53)]));
  return b;
}

/** Runs a verb that has to succeed. */
async function say(b: Bed, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await b.agent.merlon(args);
  if (code !== 0) throw new Error(`merlon ${args.join(' ')}: exit ${code}: ${stderr}`);
  return stdout;
}

/** What becomes of the violations: of the node, inwards and outwards, and of the pod. */
const VIOLATIONS = [
  { what: 'ingress', from: 'peer', to: 'node' },
  { what: 'egress', from: 'node', to: 'peer' },
  { what: 'red', from: 'peer', to: 'red' },
] as const;
type Violation = (typeof VIOLATIONS)[number]['what'];

async function expectPassing(
  t: ExecutionContext,
  b: Bed,
  when: string,
  passing: readonly Violation[],
): Promise<void> {
  const got = await Promise.all(
    FAMILIES.flatMap((family) =>
      VIOLATIONS.map(async ({ what, from, to }) => {
        const patience = passing.includes(what) ? {} : { timeoutMs: 400 };
        return [what, family, await b.host(from).probeTcp(address(to, family), 81, patience)] as const;
      }),
    ),
  );
  for (const [what, family, outcome] of got)
    t.is(outcome, passing.includes(what) ? 'open' : 'timeout', `${when}: ${what}, IPv${family}`);
}

/** The first event of this connection that is wanted. */
async function eventOf(b: Bed, wanted: (event: EventView) => boolean): Promise<EventView> {
  const find = async (): Promise<EventView | undefined> => {
    const lines = (await say(b, 'events', '-o', 'json')).trim().split('\n');
    return lines.map((line) => JSON.parse(line) as EventView).find(wanted);
  };
  return until(find, { ...limits, what: 'an event' });
}

const stalled = async (stream: LabStream): Promise<void> => {
  let last = -1;
  let same = 0;
  await until(
    async () => {
      const { received } = await stream.report();
      same = received === last ? same + 1 : 0;
      last = received;
      return same > 20 || undefined;
    },
    { ...limits, what: 'the stream to stall' },
  );
};

test('audit – a violation passes and is told with its rule; the live flow ends with audit', async (t) => {
  await using b = await make('auditlive');
  await expectPassing(t, b, 'enforced', []);
  await say(b, 'hostfw', 'mode', 'audit');
  await say(b, 'endpoint', 'config', 'red', 'PolicyAuditMode=Enabled');
  const streams = await Promise.all(
    FAMILIES.flatMap((family) =>
      VIOLATIONS.map(async ({ what, from, to }) => {
        const stream = await b.host(from).stream({ kind: 'tcp', to: address(to, family), port: 81 });
        return { what, family, stream };
      }),
    ),
  );
  const drops = (await b.drops())['POLICY_DENIED'] ?? 0;
  for (const { what, family, stream } of streams) {
    await until(async () => (await stream.report()).received > 10 || undefined, { ...limits, what });
    const { source, sourcePort } = await stream.report();
    const event = await eventOf(b, (e) => e.source.ip === source && e.source.port === sourcePort);
    t.like(event, { verdict: 'AUDIT', reason: 'POLICY_DENIED', kind: 'verdict' }, `${what} IPv${family}`);
    t.is(event.rules[0]?.id, what === 'red' ? 'default/red/0' : 'node/0');
    t.regex(event.rules[0]?.file ?? '', /all\.yaml$/);
    t.true((event.rules[0]?.line ?? 0) > 0);
  }
  const counters = await b.counters();
  const audited = counters.audited.filter(({ reason }) => reason === 'POLICY_DENIED');
  t.true(audited.reduce((sum, { packets }) => sum + packets, 0) >= 6 * 10);
  t.is((await b.drops())['POLICY_DENIED'] ?? 0, drops, 'nothing of it counts as dropped');
  t.regex(await say(b, 'metrics', 'list'), /merlon_audit_total.*POLICY_DENIED/);
  t.regex(await say(b, 'counters'), /PASSED BY AUDIT[\s\S]*POLICY_DENIED/);
  t.true((await b.flows((flow) => flow.flags.includes('audited'))).length >= 6);
  await say(b, 'hostfw', 'mode', 'enforce');
  await say(b, 'endpoint', 'config', 'red', 'PolicyAuditMode=Disabled');
  for (const { what, family, stream } of streams) {
    await stalled(stream);
    const { source, sourcePort } = await stream.stop();
    const isOf = (e: EventView) =>
      [e.source, e.destination].some((end) => end.ip === source && end.port === sourcePort);
    const event = await eventOf(b, (e) => e.verdict === 'REVOKED' && isOf(e));
    t.is(event.reason, 'FLOW_REVOKED', `${what} IPv${family}`);
  }
  await expectPassing(t, b, 'enforced again', []);
});

test('audit – every scope alone, and how it is shown', async (t) => {
  await using b = await make('auditscope');
  const steps: readonly (readonly [
    verb: string,
    passing: readonly Violation[],
    ingress: string,
    egress: string,
    /** Endpoints in audit. */
    audited: number,
  ])[] = [
    ['hostfw mode audit --direction ingress', ['ingress'], 'audit', 'enforce', 0],
    ['hostfw mode audit', ['ingress', 'egress'], 'audit', 'audit', 0],
    ['hostfw mode enforce --direction ingress', ['egress'], 'enforce', 'audit', 0],
    ['endpoint config red PolicyAuditMode=Enabled', ['egress', 'red'], 'enforce', 'audit', 1],
    ['hostfw mode enforce', ['red'], 'enforce', 'enforce', 1],
    ['config PolicyAuditMode=true', ['ingress', 'egress', 'red'], 'audit', 'audit', 2],
    ['endpoint config red PolicyAuditMode=Disabled', ['ingress', 'egress'], 'audit', 'audit', 1],
    ['hostfw mode enforce', [], 'enforce', 'enforce', 1],
    ['config PolicyAuditMode=false', [], 'enforce', 'enforce', 0],
  ];
  for (const [verb, passing, ingress, egress, audited] of steps) {
    await say(b, ...verb.split(' '));
    await expectPassing(t, b, verb, passing);
    const { hostfw, endpoints } = await b.status();
    t.deepEqual({ ...hostfw.direction }, { ingress, egress } as never, verb);
    t.is(endpoints.audited, audited, verb);
    const red = (await b.api<readonly EndpointView[]>('/v1/endpoints')).find(({ name }) => name === 'red');
    t.is(red?.policy.ingress, passing.includes('red') ? 'audit' : 'enforce', verb);
    t.is(red?.options.PolicyAuditMode, passing.includes('red') ? 'Enabled' : 'Disabled', verb);
  }
  await say(b, 'endpoint', 'config', 'red', 'PolicyAuditMode=Enabled');
  t.regex(await say(b, 'endpoint', 'list'), /^\d+ +Disabled \(Audit\) +Disabled /m);
  t.regex(await say(b, 'endpoint', 'get', 'red'), /PolicyAuditMode Enabled/);
  t.regex(await say(b, 'endpoint', 'config', 'red'), /^PolicyAuditMode +: Enabled$/m);
  t.regex(await say(b, 'status'), /2 \(2 ready, 1 in audit\)/);
});

test('audit – outlives kill, restart and reboot', async (t) => {
  await using b = await make('auditkeep');
  const restart = async (): Promise<void> => {
    await b.agent.kill('SIGKILL');
    await b.start();
  };
  const reboot = async (): Promise<void> => {
    await b.agent.stop();
    for (const entry of readdirSync(b.dirs.bpfRoot)) rmSync(join(b.dirs.bpfRoot, entry), { recursive: true });
    await b.start();
  };
  await say(b, 'hostfw', 'mode', 'audit', '--direction', 'ingress');
  await say(b, 'endpoint', 'config', 'red', 'PolicyAuditMode=Enabled');
  await restart();
  await expectPassing(t, b, 'parts, after SIGKILL', ['ingress', 'red']);
  await reboot();
  await expectPassing(t, b, 'parts, after a reboot', ['ingress', 'red']);
  await say(b, 'config', 'PolicyAuditMode=true');
  await reboot();
  await expectPassing(t, b, 'everything, after a reboot', ['ingress', 'egress', 'red']);
  t.is((await b.status()).hostfw.mode, 'audit');
  await say(b, 'config', 'PolicyAuditMode=false');
  await restart();
  await expectPassing(t, b, 'enforced, after SIGKILL', []);
});

test('audit – keys of the configuration, and verbs that stand above them', async (t) => {
  await using b = await make('auditkeys', { hostfw: { mode: 'audit' } });
  await expectPassing(t, b, 'key', ['ingress', 'egress']);
  t.regex((await b.agent.json<HostfwModeView>(['hostfw', 'mode'])).origin, /merlon\.yaml:\d+$/);
  await say(b, 'hostfw', 'mode', 'enforce');
  await expectPassing(t, b, 'verb', []);
  await b.reload();
  await expectPassing(t, b, 'verb, after a reload', []);
  const shown = await b.agent.json<readonly { key: string; origin: string }[]>([
    'config',
    'view',
    '--origin',
  ]);
  t.is(shown.find(({ key }) => key === 'hostfw.mode')?.origin, 'merlon hostfw mode');
  await say(b, 'hostfw', 'mode', 'audit');
  t.regex(
    (await b.agent.json<HostfwModeView>(['hostfw', 'mode'])).origin,
    /merlon\.yaml/,
    'the file says the same',
  );
  await b.configure({ hostfw: { mode: 'enforce' }, 'policy-audit-mode': true });
  await expectPassing(t, b, 'everything', ['ingress', 'egress', 'red']);
  await b.configure({ 'policy-audit-mode': false });
  await expectPassing(t, b, 'nothing', []);
  await b.agent.merlon(['hostfw', 'mode', 'off']);
  t.is((await b.status()).hostfw.mode, 'off');
  const refused = await b.agent.merlon(['hostfw', 'mode', 'audit', '--direction', 'ingress']);
  t.is(refused.code, 2);
  t.regex(refused.stderr, /the mode is off/);
  await say(b, 'hostfw', 'mode', 'enforce');
  await expectPassing(t, b, 'enforced', []);
});

test('audit – what a verb does not understand changes nothing and exits 2', async (t) => {
  await using b = await make('auditwords');
  const cases: readonly (readonly [args: string, code: number, message: RegExp])[] = [
    ['hostfw mode observe', 2, /"mode" must be enforce, audit, failsafe, off, not "observe"/],
    ['hostfw mode audit --direction sideways', 2, /"direction" must be ingress, egress, not "sideways"/],
    ['hostfw mode --direction ingress', 2, /needs a mode/],
    ['hostfw mode off --direction ingress', 2, /"off" is the whole node's/],
    [
      'endpoint config red PolicyAuditMode=perhaps',
      2,
      /PolicyAuditMode is Enabled or Disabled, not "perhaps"/,
    ],
    ['endpoint config red PolicyAuditMod=Enabled', 2, /did you mean "PolicyAuditMode"/],
    ['endpoint config host PolicyAuditMode=Enabled', 2, /merlon hostfw mode/],
    ['endpoint config nobody PolicyAuditMode=Enabled', 1, /no endpoint "nobody"/],
    ['config PolicyAuditMode', 2, /Enabled or Disabled/],
    ['config enable-policy=always', 2, /no option "enable-policy" to set at run time/],
  ];
  for (const [args, code, message] of cases) {
    const done = await b.agent.merlon(args.split(' '));
    t.is(done.code, code, `${args}: ${done.stderr}`);
    t.regex(done.stderr, message, args);
  }
  t.is((await b.agent.json<HostfwModeView>(['hostfw', 'mode'])).mode, 'enforce');
  await expectPassing(t, b, 'as before', []);
});

/** The same policy in audit, or enforced. */
const lockDown = (isStaged: boolean) => {
  const policy = hostPolicy('lock-down', {
    ingress: [{ fromEntities: ['all'], toPorts: ports('80/TCP') }],
    ingressDeny: [{ fromCIDR: ['192.0.2.2/32', '2001:db8::2/128'], toPorts: ports('53/UDP') }],
  });
  const annotations = { 'merlon.io/enforcement': 'audit' };
  return isStaged ? { ...policy, metadata: { ...policy.metadata, annotations } } : policy;
};

test('audit – a staged host policy refuses nothing and says what it would; enforced, it cuts the live flow', async (t) => {
  const manifests = { 'lock.yaml': [lockDown(true)] };
  await using b = await bed({ name: 'auditstage', manifests });
  await Promise.all([b.node.serveTcp(80), b.node.serveTcp(81), b.node.serveUdp(53)]);
  t.deepEqual({ ...(await b.status()).hostfw.direction }, { ingress: 'audit', egress: 'disabled' } as never);
  const streams = await Promise.all(
    FAMILIES.flatMap((family) =>
      (
        [
          ['tcp', 81, 'lock-down/0', 'POLICY_DENIED'],
          ['udp', 53, 'lock-down/0/ingressDeny/0', 'POLICY_DENY'],
        ] as const
      ).map(async ([kind, port, rule, reason]) => {
        const stream = await b.peer.stream({ kind, to: address('node', family), port });
        return { stream, rule, reason, what: `${kind}, IPv${family}` };
      }),
    ),
  );
  for (const { stream, rule, reason, what } of streams) {
    await until(async () => (await stream.report()).received > 10 || undefined, { ...limits, what });
    const { source, sourcePort } = await stream.report();
    const event = await eventOf(b, (e) => e.source.ip === source && e.source.port === sourcePort);
    t.like(event, { verdict: 'AUDIT', reason, enforced: [] }, what);
    t.is(event.rules[0]?.id, rule);
    t.regex(`${event.rules[0]?.file}:${event.rules[0]?.line}`, /lock\.yaml:\d+$/);
  }
  t.deepEqual(
    (await b.counters()).drops.filter(({ reason }) => reason.startsWith('POLICY')),
    [],
  );
  const held = await b.agent.json<readonly PolicyMapView[]>(['bpf', 'policy', 'get', 'host']);
  t.true(held.some(({ policy, rules }) => policy === 'Audit' && rules[0]?.id.includes('ingressDeny')));
  t.true(held.every(({ differs }) => differs === undefined));
  const why = ['--from', address('peer', 4), '--to', `${address('node', 4)}:81/TCP`];
  t.regex(
    await say(b, 'explain', ...why),
    /in audit[\s\S]*with the policies in audit: default-deny by lock-down\/0[\s\S]*verdict: audit/,
  );
  t.regex(
    await say(b, 'events', '--verdict', 'AUDIT'),
    /AUDIT +ingress.*POLICY_DENIED, in audit: lock-down\/0/,
  );
  await b.apply({ 'lock.yaml': [lockDown(false)] });
  for (const { stream, what } of streams) {
    await stalled(stream);
    const { source, sourcePort } = await stream.stop();
    const event = await eventOf(
      b,
      (e) => e.verdict === 'REVOKED' && e.source.ip === source && e.source.port === sourcePort,
    );
    t.is(event.reason, 'FLOW_REVOKED', what);
  }
  for (const family of FAMILIES) {
    t.is(await b.peer.probeTcp(address('node', family), 80), 'open');
    t.is(await b.peer.probeTcp(address('node', family), 81, { timeoutMs: 400 }), 'timeout');
  }
});

test('audit – a policy in audit beside enforced ones: what is enforced decides', async (t) => {
  const enforced = hostPolicy('base', {
    ingress: [{ fromEntities: ['all'], toPorts: ports('80/TCP', '82/TCP') }],
  });
  await using b = await bed({ name: 'auditbeside', manifests: { 'base.yaml': [enforced], 'lock.yaml': [] } });
  await Promise.all([80, 81, 82].map((port) => b.node.serveTcp(port)));
  const deny = hostPolicy('tighter', {
    ingress: [{ fromEntities: ['all'], toPorts: ports('81/TCP') }],
    ingressDeny: [{ fromEntities: ['all'], toPorts: ports('82/TCP') }],
  });
  const annotations = { 'merlon.io/enforcement': 'audit' };
  await b.apply({ 'lock.yaml': [{ ...deny, metadata: { ...deny.metadata, annotations } }] });
  const try_ = async (family: Family, port: number) => {
    const timeoutMs = port === 81 ? 400 : 15_000;
    const got = await b.peer.attempt({ proto: 'tcp', to: address('node', family), port, timeoutMs });
    const event = await eventOf(b, (e) => e.source.ip === got.source && e.source.port === got.sourcePort);
    return { outcome: got.outcome, event };
  };
  for (const family of FAMILIES) {
    const allowed = await try_(family, 80);
    t.is(allowed.outcome, 'open');
    t.like(allowed.event, { verdict: 'ALLOWED' });
    const wouldAllow = await try_(family, 81);
    t.is(wouldAllow.outcome, 'timeout');
    t.like(wouldAllow.event, { verdict: 'DENIED', reason: 'POLICY_DENIED' });
    t.deepEqual(
      wouldAllow.event.rules.map(({ id }) => id),
      ['base/0'],
    );
    t.deepEqual(
      wouldAllow.event.staged?.map(({ id }) => id),
      ['tighter/0/ingress/0'],
    );
    const wouldDeny = await try_(family, 82);
    t.is(wouldDeny.outcome, 'open');
    t.like(wouldDeny.event, { verdict: 'AUDIT', reason: 'POLICY_DENY' });
    t.deepEqual(
      wouldDeny.event.rules.map(({ id }) => id),
      ['tighter/0/ingressDeny/0'],
    );
    t.deepEqual(
      wouldDeny.event.enforced?.map(({ id }) => id),
      ['base/0/ingress/0'],
    );
  }
});

test('audit – what the kernel holds says so', async (t) => {
  await using b = await make('auditheld');
  const held = (endpoint: string) =>
    b.agent.json<readonly PolicyMapView[]>(['bpf', 'policy', 'get', endpoint]);
  const deny = hostPolicy('deny', { ingressDeny: [{ fromCIDR: ['198.51.100.0/24'] }] });
  await b.apply({ 'deny.yaml': [deny] });
  const words = async () =>
    new Set((await held('host')).filter((r) => r.direction === 'Ingress').map((r) => r.policy));
  t.deepEqual(await words(), new Set(['Allow', 'Deny']));
  await say(b, 'hostfw', 'mode', 'audit', '--direction', 'ingress');
  t.deepEqual(await words(), new Set(['Allow', 'Audit']));
  await say(b, 'hostfw', 'mode', 'audit');
  t.deepEqual(await words(), new Set(['Allow', 'Audit']));
  t.true((await held('host')).every(({ differs }) => differs === undefined));
});

/** Nothing of this may change while modes switch: what policy allows, to and from everybody. */
const KINDS: readonly Kind[] = [
  { name: 'connection to the node', from: 'peer', to: 'node', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'connection of the node', from: 'node', to: 'peer', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'connection between pods', from: 'blue', to: 'red', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'datagrams to the node', from: 'peer', to: 'node', kind: 'udp', port: 53, expect: 'open' },
  { name: 'new to the node', from: 'peer', to: 'node', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'new between pods', from: 'blue', to: 'red', kind: 'tcp-new', port: 80, expect: 'open' },
];

/** Frames that no mode lets pass: odd flags, and a source of the node's own. */
function forbidden(mac: { readonly own: string; readonly node: string }, family: Family) {
  const eth = ethernet({ src: mac.own, dst: mac.node });
  const to = address('node', family);
  return {
    flags: sealed(
      frame(eth, ip({ src: address('peer', family), dst: to }), tcp({ src: 9, dst: 80, flags: 'SF' })),
    ),
    forged: sealed(frame(eth, ip({ src: to, dst: to }), udp({ src: 9, dst: 53 }))),
  };
}

test('audit – through every switch allowed traffic goes on, and what is no word of policy still drops', async (t) => {
  await using b = await make('auditswitch');
  const { address: node } = await linkOf(b.node);
  using wire = await Wire.open(b.peer);
  const frames = FAMILIES.flatMap((family) => Object.values(forbidden({ own: wire.mac, node }, family)));
  const all = await traffic(b, KINDS);
  const counted = async (): Promise<number> => {
    const drops = await b.drops();
    return ['INVALID_TCP_FLAGS', 'SPOOFED_LOCAL_SOURCE', 'LAND'].reduce((sum, r) => sum + (drops[r] ?? 0), 0);
  };
  const before = await counted();
  let sent = 0;
  const ending = new AbortController();
  const flood = (async () => {
    while (!ending.signal.aborted) {
      for (const bytes of frames) wire.sendBytes(bytes);
      sent += frames.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  for (const round of [1, 2])
    for (const verb of [
      'hostfw mode audit',
      'hostfw mode audit --direction ingress',
      'hostfw mode enforce --direction ingress',
      'hostfw mode enforce',
      'endpoint config red PolicyAuditMode=Enabled',
      'endpoint config red PolicyAuditMode=Disabled',
      'config PolicyAuditMode=true',
      'config PolicyAuditMode=false',
    ])
      await all.through(`${verb}, ${round}`, () => say(b, ...verb.split(' ')), 2);
  ending.abort();
  await flood;
  await until(async () => (await counted()) - before >= sent || undefined, { ...limits, what: 'all drops' });
  t.is((await counted()) - before, sent, 'every forbidden frame was dropped');
  await all.judge(t);
});
