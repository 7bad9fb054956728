/** The policy tools and the files that they are given: sets, lists, what is no case; and the selectors of files. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { examples, merlon, withFile } from './merlon.ts';

test('policy selectors – each with owner, users, identities by number and name, and place', async (t) => {
  const world = `${examples}/frontend-to-backend.case.yaml`;
  const { code, out } = await merlon('policy', 'selectors', '--world', world);
  t.is(code, 0);
  t.regex(out, /^SELECTOR +LABELS +USERS +IDENTITIES +WHERE\n/);
  t.regex(
    out,
    /^\{any:app=backend k8s:io\.kubernetes\.pod\.namespace=shop\} +CNP\/shop\/allow-frontend +1 subject +\d+ \(shop\/backend\) +.*frontend-to-backend\.yaml:3$/m,
  );
  t.regex(out, /^\{any:app=frontend .* 1 peer +\d+ \(shop\/frontend\) +.*frontend-to-backend\.yaml:13$/m);
  const json = JSON.parse((await merlon('policy', 'selectors', '--world', world, '-o', 'json')).out);
  t.like(json[0], {
    role: 'subject',
    labels: ['CiliumNetworkPolicy/shop/allow-frontend'],
    users: 1,
    names: ['shop/backend'],
  });
  t.deepEqual(Object.keys(json[0]), [
    'node',
    'selector',
    'role',
    'labels',
    'users',
    'identities',
    'names',
    'rules',
  ]);
});

test('policy selectors – of files: only theirs, as if they were applied; nobody is `none`', async (t) => {
  await withFile(
    `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: fresh, namespace: shop}
spec:
  endpointSelector: {matchLabels: {app: bakcend}}
  ingress: [{fromCIDR: [192.0.2.0/24]}]
`,
    async (file) => {
      const world = `${examples}/frontend-to-backend.case.yaml`;
      const { out } = await merlon('policy', 'selectors', file, '--world', world);
      t.regex(out, /^\{any:app=bakcend .* CNP\/shop\/fresh +1 subject +none +/m);
      t.regex(out, /^192\.0\.2\.0\/24 +CNP\/shop\/fresh +1 peer +\d+ \(192\.0\.2\.0\/24\)/m);
      t.false(out.includes('allow-frontend'));
    },
  );
});

test('policy selectors – several nodes: each selector as every node sees it', async (t) => {
  const world = `${examples}/host-firewall-worker.case.yaml`;
  const { out } = await merlon('policy', 'selectors', '--world', world);
  t.regex(out, /^node-a +node \{\} +CCNP\/worker-host-firewall +1 subject +1 \(node:node-a\)/m);
  t.regex(out, /^node-b +node \{\} +CCNP\/worker-host-firewall +1 subject +1 \(node:node-b\)/m);
});

const shop = (name: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}, namespace: shop}
spec: {endpointSelector: {}, ingress: [{fromEndpoints: [{}]}]}
`;

test('one name twice – is an error of every tool that takes a set of files', async (t) => {
  await withFile(`${shop('a')}---\n${shop('a')}`, async (file) => {
    for (const args of [
      ['validate', file],
      ['lint', file],
      ['diff', '--from', file, '/dev/null'],
      ['selectors', file, '--world', `${examples}/namespace-isolation.case.yaml`],
    ]) {
      const { code, out, err } = await merlon('policy', ...args);
      t.is(code, 2, args[0]);
      t.regex(
        out + err,
        /one\.case\.yaml:6:1: .*CiliumNetworkPolicy a stands in .*one\.case\.yaml:1 already/,
      );
    }
  });
});

test('lists – what kubectl hands out several objects in is taken apart', async (t) => {
  const item = (name: string) =>
    `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: ${name}, namespace: shop, uid: u}, spec: {endpointSelector: {}, ingress: [{}]}, status: {}}`;
  const list = (kind: string) => `{apiVersion: v1, kind: ${kind}, items: [\n${item('a')},\n${item('b')}]}`;
  for (const kind of ['List', 'CiliumNetworkPolicyList']) {
    await withFile(list(kind), async (file) => {
      const { out } = await merlon('policy', 'lint', file);
      t.regex(out, /one\.case\.yaml:2:\d+: note: shop\/a: items\[0\]\.spec\.ingress\[0\]/);
      t.regex(out, /one\.case\.yaml:3:\d+: note: shop\/b: items\[1\]\.spec\.ingress\[0\]/);
      t.regex(out, /^2 policies, 2 notes$/m);
    });
  }
});

test('policy test – a file of policies is told from a case', async (t) => {
  await withFile(shop('a'), async (file) => {
    const { code, err } = await merlon('policy', 'test', file);
    t.is(code, 2);
    t.regex(err, /one\.case\.yaml:1:1: a CiliumNetworkPolicy is no case \(.* policyFiles\)/);
    const asWorld = await merlon('explain', '--from', 'a', '--to', 'b:1', '--world', file);
    t.is(asWorld.code, 2);
    t.regex(asWorld.err, /a CiliumNetworkPolicy is no case/);
  });
});

test('policy test – a file that cannot be read is named once', async (t) => {
  const { code, err } = await merlon('policy', 'test', '/nonexistent');
  t.is(code, 2);
  t.is(err, 'cannot read /nonexistent: no such file\n');
});

test('explain – without an agent, it says how a world on paper is named', async (t) => {
  const { code, err } = await merlon('explain', '--from', 'a', '--to', 'b:1', '--run-dir', '/nonexistent');
  t.is(code, 7);
  t.regex(err, /without an agent, name a case file with --world/);
});

test('policy diff – a cluster-wide policy is named by kind and name', async (t) => {
  const host = `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: host}
spec: {nodeSelector: {}, ingress: [{fromEntities: [remote-node]}]}
`;
  await withFile(host, async (file) => {
    const { out } = await merlon('policy', 'diff', '--from', '/dev/null', file);
    t.regex(out, /^text: CiliumClusterwideNetworkPolicy\/host \(added\)/m);
  });
});

test('policy test – nothing is watched that cannot change', async (t) => {
  const { code, err } = await merlon('policy', 'test', '--watch', '-');
  t.is(code, 2);
  t.regex(err, /standard input does not change.*`merlon help policy test`/);
});

test('policy validate, lint – a file that is no text is told like any other that is wrong', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'merlon-text-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'a.yaml'), Buffer.from([0x61, 0xff]));
  await writeFile(join(folder, 'b.yaml'), shop('b').replace('v2', 'v3'));
  for (const verb of ['validate', 'lint']) {
    const { code, out } = await merlon('policy', verb, folder);
    t.is(code, 2);
    t.regex(out, /a\.yaml:1:2: error: the file is not UTF-8 text \[MANIFEST_SYNTAX\]\n    save it as UTF-8/);
    t.regex(out, /b\.yaml:1:13: error: .*\[MANIFEST_KIND\]/);
  }
});

test('policy validate – a case file and a configuration are told what judges them', async (t) => {
  const asPolicy = await merlon('policy', 'validate', `${examples}/monitoring.case.yaml`);
  t.is(asPolicy.code, 2);
  t.regex(asPolicy.out, /kind is missing .*\n +a case file is run by `merlon policy test`/);
  const config = await merlon('policy', 'validate', `${examples}/../merlon.yaml`);
  t.is(config.code, 2);
  t.regex(config.out, /NodeConfig .*\n +`merlon config check` judges configuration files/);
});

test('policy lint – the list of codes is no list of findings', async (t) => {
  const { code, err } = await merlon('policy', 'lint', '--codes', '-o', 'sarif');
  t.is(code, 2);
  t.regex(err, /-o sarif is for findings/);
});
