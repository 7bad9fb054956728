/**
 * What is taken away is gone at once, in both directions, for connections that were allowed, too; what is
 * given back revives them. By policies, and by the identity of the peer. The world is that of bed.ts.
 */
import test, { type ExecutionContext } from 'ava';
import { until } from '#kit/async';
import type { LabStream } from '#lab';
import {
  address,
  bed,
  type Bed,
  carried,
  FAMILIES,
  hostPolicy,
  type Manifest,
  podPolicy,
  ports,
  testSignal,
} from './bed.ts';

const limits = { signal: testSignal(), timeoutMs: 60_000, intervalMs: 10 };

type Both = readonly { readonly what: string; readonly stream: LabStream; readonly isPush: boolean }[];

/** Connections and datagrams, questions and pure answers, between two hosts in both families. */
async function talk(
  b: Bed,
  from: 'peer' | 'node' | 'blue',
  to: 'peer' | 'node' | 'red' | 'blue',
): Promise<Both> {
  const server = b.host(to);
  await Promise.all([
    server.serveTcp(80),
    server.serveUdp(80),
    server.serveTcp(90, { mode: 'push', intervalMs: 10 }),
    server.serveUdp(90, { mode: 'push', intervalMs: 10 }),
  ]);
  const kinds = [
    { kind: 'tcp', port: 80 },
    { kind: 'udp', port: 80 },
    { kind: 'tcp', port: 90, push: true },
    { kind: 'udp', port: 90, push: true },
  ] as const;
  const all = await Promise.all(
    FAMILIES.flatMap((family) =>
      kinds.map(async (spec) => ({
        what: `${spec.kind}/${spec.port} IPv${family} from ${from} to ${to}`,
        stream: await b.host(from).stream({ ...spec, to: address(to, family), intervalMs: 10 }),
        isPush: spec.port === 90,
      })),
    ),
  );
  await Promise.all(all.map(({ stream }) => carried(stream, 5)));
  return all;
}

/** Nothing is received any more, though it is sent. */
async function isCut(t: ExecutionContext, all: Both, why: string): Promise<void> {
  const start = await Promise.all(all.map(({ stream }) => stream.report()));
  // One record may have been on its way; and each of these sends or is sent to every 10 ms.
  const [asking] = all;
  const from = start[0]?.sent ?? 0;
  await until(async () => ((await asking?.stream.report())?.sent ?? 0) >= from + 30 || undefined, {
    ...limits,
    what: 'thirty more records',
  });
  for (const [at, { what, stream }] of all.entries()) {
    const { received } = await stream.report();
    const more = received - (start[at]?.received ?? 0);
    t.true(more <= 1, `${why}: ${more} records passed of ${what}`);
  }
}

async function goesOn(all: Both): Promise<void> {
  await Promise.all(all.map(({ stream, what }) => carried(stream, 5, `records of ${what}`)));
}

/** Stops them; none has ended before. */
async function goOnToTheEnd(t: ExecutionContext, all: Both): Promise<void> {
  const reports = await Promise.all(all.map(({ stream }) => stream.stop()));
  for (const [at, { error }] of reports.entries()) t.is(error, undefined, all[at]?.what);
}

const both = (selector: Readonly<Record<string, unknown>>) => ({
  ...selector,
  toPorts: ports('80/TCP', '80/UDP', '90/TCP', '90/UDP'),
});

interface Case {
  readonly what: string;
  readonly name: string;
  readonly from: 'peer' | 'node' | 'blue';
  readonly to: 'peer' | 'node' | 'red';
  /** In force throughout: the direction is closed by default. */
  readonly base: Manifest;
  readonly allow: Manifest;
}

const all = { fromEntities: ['all'] };
const CASES: readonly Case[] = [
  {
    what: 'into the node',
    name: 'revin',
    from: 'peer',
    to: 'node',
    base: hostPolicy('base', { ingress: [{}], egress: [{}] }),
    allow: hostPolicy('allow', { ingress: [both(all)] }),
  },
  {
    what: 'out of the node',
    name: 'revout',
    from: 'node',
    to: 'peer',
    base: hostPolicy('base', { ingress: [{}], egress: [{}] }),
    allow: hostPolicy('allow', { egress: [both({ toEntities: ['all'] })] }),
  },
  {
    what: 'into a pod',
    name: 'revpod',
    from: 'blue',
    to: 'red',
    base: podPolicy('base', { app: 'red' }, { ingress: [{}], egress: [{}] }),
    allow: podPolicy(
      'allow',
      { app: 'red' },
      { ingress: [both({ fromEndpoints: [{ matchLabels: { app: 'blue' } }] })] },
    ),
  },
  {
    what: 'out of a pod',
    name: 'revegress',
    from: 'blue',
    to: 'red',
    base: podPolicy('base', { app: 'blue' }, { ingress: [{}], egress: [{}] }),
    allow: podPolicy(
      'allow',
      { app: 'blue' },
      { egress: [both({ toEndpoints: [{ matchLabels: { app: 'red' } }] })] },
    ),
  },
];

for (const { what, name, from, to, base, allow } of CASES)
  test(`revocation – ${what}: cut within a packet each way, and revived`, async (t) => {
    const pods = from === 'blue' ? (['red', 'blue'] as const) : [];
    await using b = await bed({ name, pods, manifests: { 'base.yaml': [base], 'allow.yaml': [allow] } });
    const streams = await talk(b, from, to);
    for (let round = 0; round < 2; round++) {
      await b.apply({ 'allow.yaml': undefined });
      await isCut(t, streams, `round ${round}`);
      t.true(((await b.drops())['FLOW_REVOKED'] ?? 0) > 0);
      await b.apply({ 'allow.yaml': [allow] });
      await goesOn(streams);
    }
    for (const { stream, what: which, isPush } of streams) {
      const { error, lost } = await stream.stop();
      t.is(error, undefined, which);
      if (which.startsWith('tcp'))
        t.deepEqual(lost, [], `${which}: what was cut came later${isPush ? '' : ', too'}`);
    }
  });

const NODES = [{ name: 'peer', addresses: FAMILIES.map((family) => address('peer', family)) }];

test('identity – a peer that is a node no longer is cut, and revived when it is one again', async (t) => {
  const nodesOnly = hostPolicy('nodes', {
    ingress: [both({ fromEntities: ['remote-node'] })],
    egress: [both({ toEntities: ['remote-node'] })],
  });
  await using b = await bed({
    name: 'identity',
    config: { nodes: NODES },
    manifests: { 'nodes.yaml': [nodesOnly] },
  });
  const streams = [...(await talk(b, 'peer', 'node')), ...(await talk(b, 'node', 'peer'))];
  for (let round = 0; round < 2; round++) {
    await b.configure({ nodes: [] });
    await isCut(t, streams, `round ${round}`);
    await b.configure({ nodes: NODES });
    await goesOn(streams);
  }
  await goOnToTheEnd(t, streams);
});

test('identity – a peer that moves under a denied prefix is cut, and revived when the prefix goes', async (t) => {
  const everybody = hostPolicy('everybody', {
    ingress: [both(all)],
    egress: [both({ toEntities: ['all'] })],
  });
  const denied = ['192.0.2.2/32', '2001:db8::2/128'];
  const deny = hostPolicy('deny', { ingressDeny: [{ fromCIDR: denied }], egressDeny: [{ toCIDR: denied }] });
  await using b = await bed({ name: 'prefix', manifests: { 'everybody.yaml': [everybody] } });
  const streams = [...(await talk(b, 'peer', 'node')), ...(await talk(b, 'node', 'peer'))];
  await b.apply({ 'deny.yaml': [deny] });
  await isCut(t, streams, 'denied');
  await b.apply({ 'deny.yaml': undefined });
  await goesOn(streams);
  await goOnToTheEnd(t, streams);
});

test('identity – a workload whose labels change is cut, and revived when they are back', async (t) => {
  const blueOnly = hostPolicy('blue-only', {
    ingress: [both({ fromEndpoints: [{ matchLabels: { app: 'blue' } }] })],
    egress: [both({ toEndpoints: [{ matchLabels: { app: 'blue' } }] })],
  });
  const workload = (app: string): Manifest => ({
    apiVersion: 'merlon.io/v1',
    kind: 'Workload',
    metadata: { name: 'blue', namespace: 'default' },
    spec: {
      hostDevice: 'mlv-blue',
      addresses: FAMILIES.map((family) => address('blue', family)),
      labels: { app },
    },
  });
  await using b = await bed({ name: 'labels', manifests: { 'blue-only.yaml': [blueOnly] } });
  const blue = b.host('blue');
  await b.node.ip(
    `link add mlv-blue type veth peer name eth0 netns ${blue.netnsName}`,
    'link set mlv-blue up',
    'addr add fe80::fe/64 dev mlv-blue nodad',
    // The node speaks with its own addresses, not with one of this device.
    'route add 10.244.0.12/32 dev mlv-blue src 192.0.2.1',
  );
  await b.node.mustExec('ip', '-6 route add fd00:10:244::12/128 dev mlv-blue src 2001:db8::1'.split(' '));
  await blue.ip(
    'link set eth0 up',
    'addr add 10.244.0.12/32 dev eth0',
    'addr add fd00:10:244::12/128 dev eth0 nodad',
    'route add 192.0.2.1 dev eth0',
    'route add default via 192.0.2.1',
  );
  await blue.mustExec('ip', '-6 route add default via fe80::fe dev eth0'.split(' '));
  await b.apply({ 'blue.yaml': [workload('blue')] });
  const streams = [...(await talk(b, 'blue', 'node')), ...(await talk(b, 'node', 'blue'))];
  for (const [round, isAsked] of [true, false, true, false].entries()) {
    const set = (app: string) =>
      isAsked ? b.apply({ 'blue.yaml': [workload(app)] }) : b.write('blue.yaml', [workload(app)]);
    await set('green');
    await isCut(t, streams, `round ${round}`);
    await set('blue');
    await goesOn(streams);
  }
  await goOnToTheEnd(t, streams);
});
