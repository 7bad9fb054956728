import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parseLabel, type LabelSet, labelSet } from '#kit/labels';
import type { Identity, KernelEndpoint } from '#model';
import { deviceName } from '../../../src/endpoint/device.ts';
import { lostEndpoints, lostProblem } from '../../../src/endpoint/lost.ts';
import { type EndpointRecord, Records } from '../../../src/endpoint/record.ts';

const labelsOf = (...texts: string[]): LabelSet => labelSet(texts.flatMap((text) => parseLabel(text) ?? []));

const RECORD: EndpointRecord = {
  id: 7,
  kind: 'made',
  name: 'red',
  namespace: 'default',
  labels: labelsOf('k8s:app=red'),
  addresses: ['10.244.0.7'],
  device: deviceName('lxc', 'default', 'red'),
  netns: '/run/netns/red',
  netnsCookie: 12n,
  peer: 'eth0',
  mtu: 1500,
};

async function folder(t: { teardown(fn: () => void): void }) {
  const dir = mkdtempSync(join(tmpdir(), 'merlon-records-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const records = new Records(dir);
  mkdirSync(join(dir, 'endpoints'));
  await records.write(RECORD);
  return { records, endpoints: join(dir, 'endpoints') };
}

test('Records – one that was written is read', async (t) => {
  const { records } = await folder(t);
  t.deepEqual(await records.read((problem) => t.fail(problem.message)), [RECORD]);
});

const VALID = JSON.stringify({
  version: 1,
  content: { ...RECORD, netnsCookie: { $bigint: '12' }, labels: [] },
});

for (const [what, text] of Object.entries({
  empty: '',
  torn: VALID.slice(0, 60),
  'no object': '7',
  'of another endpoint': VALID.replace('"id":7', '"id":9'),
  'with a field of another kind': VALID.replace('"mtu":1500', '"mtu":"1500"'),
  'with labels that are none': VALID.replace('"labels":[]', '"labels":[""]'),
}))
  test(`Records – a file that is ${what} is told under its number and put aside, the others are read`, async (t) => {
    const { records, endpoints } = await folder(t);
    const other = { ...RECORD, id: 8, name: 'blue' };
    await records.write(other);
    writeFileSync(records.pathOf(7), text);
    const told: [number, string][] = [];
    t.deepEqual(await records.read(({ code }, id) => void told.push([id, code])), [other]);
    t.deepEqual(told, [[7, 'STATE_CORRUPT']]);
    t.deepEqual(readdirSync(endpoints).sort(), ['7.json.bad', '8.json']);
    t.is(readFileSync(`${records.pathOf(7)}.bad`, 'utf8'), text);
  });

const NAMESPACE = 'k8s:io.kubernetes.pod.namespace=shop';
const KERNEL: KernelEndpoint = {
  id: 7,
  identity: 300 as Identity,
  ifindex: 5,
  addresses: ['10.244.0.7', 'fd00::7'],
  mac: '02:00:00:00:00:07',
};
const links = new Map([
  [5, { name: RECORD.device, kind: 'veth' }],
  [6, { name: 'veth12ab', kind: 'veth' }],
]);
const lost = (kernel: KernelEndpoint, known: readonly EndpointRecord[] = [], labels?: LabelSet) =>
  lostEndpoints({ endpoints: [kernel], labelsOf: () => labels }, known, links, 'lxc');

test('lostEndpoints – the labels of its identity are its labels, but for those that addresses give', (t) => {
  const labels = labelsOf('k8s:app=red', NAMESPACE, 'cidr:10.244.0.7/32');
  const [found] = lost(KERNEL, [], labels);
  t.false(found?.isKept);
  t.is(found?.record.labels.key, labelsOf('k8s:app=red', NAMESPACE).key);
  t.is(found?.record.namespace, 'shop');
  t.deepEqual(found?.record.addresses, KERNEL.addresses);
  t.is(found?.record.kind, 'made');
});

test('lostEndpoints – one whose identity is not known is kept; one on a foreign device is a workload', (t) => {
  t.true(lost(KERNEL)[0]?.isKept);
  t.is(lost({ ...KERNEL, ifindex: 6 })[0]?.record.kind, 'workload');
});

test('lostEndpoints – none is lost that has a record, whose device has another one, or whose device is gone', (t) => {
  t.deepEqual(lost(KERNEL, [RECORD]), []);
  t.deepEqual(lost({ ...KERNEL, id: 9 }, [RECORD]), []);
  t.deepEqual(lost({ ...KERNEL, ifindex: 99 }), []);
});

test('lostProblem – the sentence names file, device and remedy', (t) => {
  for (const isKept of [false, true]) {
    const { code, message } = lostProblem(RECORD, '/state/endpoints/7.json', undefined, isKept);
    t.is(code, 'STATE_CORRUPT');
    for (const part of ['/state/endpoints/7.json is missing', RECORD.device, '`merlon endpoint remove 7`'])
      t.true(message.includes(part), part);
  }
});
