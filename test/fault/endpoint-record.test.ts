/**
 * The record of an endpoint, or the name of its namespace, is unreadable or gone when the agent starts: what the kernel enforces for it stays
 * in force, says so, and can be taken away. The world is that of test/netns/proof/bed.ts.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { EndpointView } from '#api/client';
import { address, type Bed, bed, FAMILIES, podPolicy, ports } from '../netns/proof/bed.ts';
import { type Kind, traffic } from '../netns/proof/traffic.ts';

const fromBlue = { fromEndpoints: [{ matchLabels: { app: 'blue' } }], toPorts: ports('80/TCP') };
const POLICY = podPolicy('red', { app: 'red' }, { ingress: [fromBlue] });
const OPENED = podPolicy(
  'red',
  { app: 'red' },
  { ingress: [fromBlue, { fromEntities: ['all'], toPorts: ports('81/TCP') }] },
);

const KINDS: readonly Kind[] = [
  { name: 'connection between pods', from: 'blue', to: 'red', kind: 'tcp', port: 80, expect: 'open' },
  { name: 'new between pods', from: 'blue', to: 'red', kind: 'tcp-new', port: 80, expect: 'open' },
  { name: 'refused to the pod', from: 'peer', to: 'red', kind: 'tcp-new', port: 80, expect: 'timeout' },
  { name: 'refused by its port', from: 'blue', to: 'red', kind: 'tcp-new', port: 81, expect: 'timeout' },
];

/** With prefixes behind it, which stand beside its record in the kernel. */
const addRed = async (b: Bed): Promise<void> => {
  const ips = [...FAMILIES.map((f) => address('red', f)), '10.244.9.0/28', 'fd00:10:244:9::/64'];
  await b.api('/v1/endpoints', 'POST', { name: 'red', netns: b.host('red').netns, labels: ['app=red'], ips });
};

const make = async (name: string): Promise<Bed> => {
  const b = await bed({ name, pods: ['blue'], manifests: { 'red.yaml': [POLICY] } });
  await addRed(b);
  for (const port of [80, 81]) await b.host('red').serveTcp(port);
  return b;
};

const endpointsOf = (b: Bed) => b.api<readonly EndpointView[]>('/v1/endpoints');

async function endpointAt(b: Bed, ip: string): Promise<EndpointView> {
  const found = (await endpointsOf(b)).find(({ ipv4 }) => ipv4.includes(ip));
  if (found === undefined) throw new Error(`no endpoint has ${ip}`);
  return found;
}

const redOf = (b: Bed) => endpointAt(b, address('red', 4));
const recordOf = (b: Bed, { id }: EndpointView) => join(b.dirs.stateDir, 'endpoints', `${id}.json`);
const told = async (b: Bed) =>
  (await b.status()).degraded.map(({ message }) => message).filter((message) => message.includes('is lost'));
const hasDevice = async (b: Bed, device: string) =>
  (await b.node.mustExec('ip', ['-o', 'link'])).includes(` ${device}@`);
const isPinned = (b: Bed, { ifindex }: EndpointView) =>
  readdirSync(join(b.dirs.bpfRoot, 'links')).some((pin) => pin.endsWith(`_${ifindex}`));
const probes = (b: Bed, port: number) =>
  Promise.all(FAMILIES.map((f) => b.peer.probeTcp(address('red', f), port, { timeoutMs: 500 })));

const spoil: Readonly<Record<string, (path: string) => void>> = {
  unreadable: (path) => writeFileSync(path, '{"version": 1, "content": {"id"'),
  missing: (path) => rmSync(path),
};

for (const [how, damage] of Object.entries(spoil))
  test(`record – ${how}: no verdict changes, policies still reach the endpoint, and it can be removed`, async (t) => {
    await using b = await make(`lost${how.slice(0, 4)}`);
    const before = await redOf(b);
    const all = await traffic(b, KINDS);
    await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
    damage(recordOf(b, before));
    await all.through('start', () => b.start());
    await all.through('SIGKILL again', () => b.agent.kill('SIGKILL'));
    await all.through('start again', () => b.start());
    const after = await redOf(b);
    t.deepEqual([after.id, after.identity, after.device], [before.id, before.identity, before.device]);
    t.deepEqual([after.ipv4, after.ipv6, after.labels], [before.ipv4, before.ipv6, before.labels]);
    const [sentence = ''] = await told(b);
    for (const part of [recordOf(b, before), before.device, `merlon endpoint remove ${before.id}`])
      t.true(sentence.includes(part), `${part} in: ${sentence}`);
    await all.judge(t);
    await b.apply({ 'red.yaml': [OPENED] });
    t.deepEqual(await probes(b, 81), ['open', 'open'], 'a change of policy reaches it');
    t.deepEqual(await probes(b, 80), ['timeout', 'timeout']);
    const { code, stderr } = await b.agent.merlon(['endpoint', 'remove', String(before.id)]);
    t.is(code, 0, stderr);
    t.false((await endpointsOf(b)).some(({ id }) => id === before.id));
    t.false(await hasDevice(b, before.device));
    t.deepEqual(await told(b), []);
  });

test('namespace – nameless at a start, and alive: it is judged as long as its device is there', async (t) => {
  await using b = await make('nameless');
  const before = await redOf(b);
  const all = await traffic(b, KINDS);
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
  await b.node.mustExec('ip', ['netns', 'del', b.host('red').netnsName]);
  await all.through('start', () => b.start());
  const { degraded } = await b.status();
  t.true(degraded.some(({ message }) => message.includes('no network namespace')));
  t.true(isPinned(b, before), 'its device has programs');
  await all.judge(t);
});

test('record – unreadable: what was in it stays beside it', async (t) => {
  await using b = await make('lostbad');
  const red = await redOf(b);
  await b.agent.kill('SIGKILL');
  writeFileSync(recordOf(b, red), 'torn');
  await b.start();
  t.is(readFileSync(`${recordOf(b, red)}.bad`, 'utf8'), 'torn');
});

test('record – missing: adding the endpoint again restores it under its number', async (t) => {
  await using b = await make('lostagain');
  const before = await redOf(b);
  const all = await traffic(b, KINDS);
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
  rmSync(recordOf(b, before));
  await all.through('start', () => b.start());
  await all.through('added again', () => addRed(b));
  const after = await redOf(b);
  t.deepEqual([after.id, after.name, after.ifindex], [before.id, before.name, before.ifindex]);
  t.deepEqual(await told(b), []);
  await all.through('SIGKILL with its record', () => b.agent.kill('SIGKILL'));
  await all.through('start with its record', () => b.start());
  t.is((await redOf(b)).name, before.name);
  await all.judge(t);
});

test('record – missing, and the numbers of identities with it: the last rule set stays, until it is removed', async (t) => {
  await using b = await make('lostboth');
  const before = await redOf(b);
  const all = await traffic(b, KINDS);
  await all.through('SIGKILL', () => b.agent.kill('SIGKILL'));
  rmSync(recordOf(b, before));
  rmSync(join(b.dirs.stateDir, 'identities.json'));
  await all.through('start', () => b.start());
  const after = await redOf(b);
  t.is(after.state, 'kept');
  t.regex((await told(b))[0] ?? '', /its last rule set stays/);
  await all.through('a change of policy', () => b.apply({ 'red.yaml': [OPENED] }));
  await all.through('no policy', () => b.apply({ 'red.yaml': undefined }));
  await all.judge(t);
  const { code, stderr } = await b.agent.merlon(['endpoint', 'remove', String(before.id)]);
  t.is(code, 0, stderr);
  t.false(await hasDevice(b, before.device));
  await b.reload();
  t.false(isPinned(b, before));
});

test('record – missing: `uninstall` takes the device away all the same', async (t) => {
  await using b = await make('lostunin');
  const red = await redOf(b);
  await b.agent.kill('SIGKILL');
  rmSync(recordOf(b, red));
  const { code, stderr } = await b.uninstall();
  t.is(code, 0, stderr);
  t.false(await hasDevice(b, red.device));
});
