/** What a person may ask of an endpoint, and what is kept of one. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import type { MerlonError } from '#kit/errors';
import { labelSet } from '#kit/labels';
import {
  deviceName,
  type EndpointRequest,
  endpointSpec,
  isEndpointId,
  netnsPath,
  nextId,
  stateFile,
} from '#endpoint';
import { type EndpointRecord, Records } from '../../../src/endpoint/record.ts';

const request = (more: Partial<EndpointRequest> = {}): EndpointRequest => ({
  name: 'web',
  netns: 'blue',
  labels: ['app=web'],
  ips: ['10.0.0.5'],
  ...more,
});

test('endpointSpec – canonical addresses, labels with the agent’s', (t) => {
  const spec = endpointSpec(
    request({
      ips: ['10.0.0.5/32', 'FD00:0::5', 'fd00::5', '10.1.0.7/16'],
      labels: ['app=web', 'container:image=x'],
    }),
    'c1',
  );
  t.deepEqual(spec.addresses, ['10.0.0.5', 'fd00::5', '10.1.0.0/16']);
  t.deepEqual(spec.labels.key.split(';'), [
    'container:image=x',
    'k8s:app=web',
    'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=default',
    'k8s:io.cilium.k8s.policy.cluster=c1',
    'k8s:io.cilium.k8s.policy.serviceaccount=default',
    'k8s:io.kubernetes.pod.namespace=default',
  ]);
});

const refused: readonly [
  what: string,
  more: Partial<EndpointRequest>,
  code: MerlonError['code'],
  text: RegExp,
][] = [
  ['no address', { ips: [] }, 'ENDPOINT_ADDRESS', /default\/web has no address of its own/],
  ['only a prefix', { ips: ['10.0.0.0/24'] }, 'ENDPOINT_ADDRESS', /has no address of its own/],
  [
    'no address at all',
    { ips: ['10.0.0'] },
    'ENDPOINT_ADDRESS',
    /"10\.0\.0" is neither an address nor a prefix/,
  ],
  ['loopback', { ips: ['127.0.0.1'] }, 'ENDPOINT_ADDRESS', /127\.0\.0\.1 is loopback/],
  ['link-local', { ips: ['fe80::1'] }, 'ENDPOINT_ADDRESS', /link-local/],
  ['multicast', { ips: ['224.0.0.1'] }, 'ENDPOINT_ADDRESS', /multicast/],
  ['everything', { ips: ['10.0.0.1', '0.0.0.0/0'] }, 'ENDPOINT_ADDRESS', /unspecified/],
  ['a name with a slash', { name: 'a/b' }, 'USAGE', /"a\/b" is no name/],
  ['an upper-case namespace', { namespace: 'Prod' }, 'USAGE', /"Prod" is no namespace/],
  ['a label without key', { labels: ['=x'] }, 'LABEL_SYNTAX', /"=x" is no label/],
  ['a label with a space', { labels: ['a b=c'] }, 'LABEL_SYNTAX', /"a b=c" is no label/],
  ['a reserved label', { labels: ['reserved:host'] }, 'LABEL_SYNTAX', /not given to endpoints/],
  [
    'a label of the agent',
    { labels: ['io.kubernetes.pod.namespace=kube-system'] },
    'LABEL_SYNTAX',
    /the agent sets/,
  ],
  ['a label twice', { labels: ['app=a', 'app=b'] }, 'LABEL_SYNTAX', /k8s:app=a and k8s:app=b contradict/],
];
for (const [what, more, code, text] of refused) {
  test(`endpointSpec – refuses ${what}`, (t) => {
    const e = t.throws(() => endpointSpec(request(more), 'default'), { message: text });
    t.is((e as MerlonError).code, code);
  });
}

test('netnsPath – name, path, process id', (t) => {
  t.is(netnsPath('blue'), '/run/netns/blue');
  t.is(netnsPath('/proc/1/ns/net'), '/proc/1/ns/net');
  t.is(netnsPath('4194999'), '/proc/4194999/ns/net');
  for (const bad of ['', '..', 'a/b', '.']) t.throws(() => netnsPath(bad), { message: /is no name/ }, bad);
});

test('deviceName – fits, is stable, differs by namespace', (t) => {
  t.regex(deviceName('lxc', 'default', 'web'), /^lxc[0-9a-f]{11}$/);
  t.is(deviceName('lxc', 'default', 'web'), deviceName('lxc', 'default', 'web'));
  t.not(deviceName('lxc', 'default', 'web'), deviceName('lxc', 'prod', 'web'));
  t.true(deviceName('abcd', 'default', 'web').length <= 15);
});

test('nextId – as a plain search says', (t) => {
  const ids = fc.uniqueArray(
    fc.integer({ min: 65530, max: 65535 }).chain((id) => fc.constantFrom(id, 65536 - id)),
  );
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 65535 }), ids, (last, list) => {
      const taken = new Set(list);
      const after = Array.from({ length: 65535 }, (_, at) => at + 1).filter((id) => !taken.has(id));
      return nextId(last, (id) => taken.has(id)) === (after.find((id) => id > last) ?? after[0]);
    }),
    { numRuns: 50 },
  );
  t.is(
    nextId(7, () => true),
    undefined,
  );
  t.deepEqual([0, 1, 65535, 65536, 1.5].map(isEndpointId), [false, true, true, false, false]);
});

test('Records – come back as written; temporary and foreign files are passed over', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'merlon-records-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const records = new Records(dir);
  const record: EndpointRecord = {
    id: 12,
    kind: 'made',
    name: 'web',
    namespace: 'default',
    labels: labelSet([{ source: 'k8s', key: 'a', value: 'x;y=z' }]),
    addresses: ['10.0.0.5', 'fd00::5'],
    device: 'lxc0123456789a',
    netns: '/run/netns/blue',
    netnsCookie: 2n ** 60n,
    peer: 'eth0',
    mtu: 1500,
  };
  await records.write(record);
  await records.writeLastId(12);
  const folder = join(dir, 'endpoints');
  for (const name of ['13.json.tmp', 'notes.txt', '70000.json']) await writeFile(join(folder, name), 'x');
  const bad = (e: MerlonError) => t.fail(e.message);
  t.deepEqual(await records.read(bad), [record]);
  t.is(await records.lastId(bad), 12);
});

test('stateFile – no bytes make reading throw; the file is put aside', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'merlon-state-'));
  t.teardown(() => rm(dir, { recursive: true }));
  const path = join(dir, 'x');
  const file = stateFile(path, 3, (content) => (content instanceof Map ? content : undefined));
  const value = new Map<string, unknown>([
    ['a', 1n],
    ['b', new Map([[1, 'c']])],
  ]);
  await file.write(value);
  t.deepEqual(await file.read((e) => t.fail(e.message)), value);
  const good = await readFile(path);
  for (const bad of [
    good.subarray(0, good.length - 4),
    Buffer.from('{}'),
    Buffer.from('7'),
    Buffer.from([0xff, 0]),
  ]) {
    await writeFile(path, bad);
    const told: string[] = [];
    t.is(await file.read((e) => void told.push(e.code)), undefined);
    t.deepEqual(told, ['STATE_CORRUPT']);
    t.deepEqual((await readdir(dir)).sort(), ['x.bad']);
  }
  t.is(await file.read((e) => t.fail(e.message)), undefined, 'none is none');
  await Promise.all(Array.from({ length: 20 }, (_, at) => file.write(new Map([['at', at]]))));
  t.deepEqual(await file.read((e) => t.fail(e.message)), new Map([['at', 19]]), 'the last of many at once');
  t.deepEqual((await readdir(dir)).sort(), ['x', 'x.bad']);
  await rm(path);
  const blocked = stateFile(join(path, 'y'), 1, () => 1);
  await writeFile(path, '');
  const e = await t.throwsAsync(blocked.write(1));
  t.is((e as MerlonError).code, 'STATE_WRITE');
});
