import test, { type ExecutionContext } from 'ava';
import { createHash } from 'node:crypto';
import { statusText } from '#files';
import type { FakeFileSystem } from '../../fakes/file-system.ts';
import { bench, never, policy, workload } from './bench.ts';

test('source – rows of all documents of all files, with status', async (t) => {
  const b = bench();
  b.fs.write('/m/b.yaml', `${policy('two')}---\n${workload('w')}`);
  b.fs.write('/m/a.yml', policy('one'));
  b.fs.write(
    '/m/c.json',
    JSON.stringify({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumClusterwideNetworkPolicy',
      metadata: { name: 'three' },
      spec: { nodeSelector: {}, ingress: [{}] },
    }),
  );
  const status = await b.reload();
  t.is(status.state, 'accepted');
  t.deepEqual(b.names(), ['one', 'three', 'two']);
  t.deepEqual(
    [...b.tables.workloads.all()].map((w) => w.key),
    ['default/w'],
  );
  t.deepEqual(
    status.files.map((f) => [f.file, f.state, f.objects]),
    [
      ['/m/a.yml', 'accepted', ['CiliumNetworkPolicy/default/one']],
      ['/m/b.yaml', 'accepted', ['CiliumNetworkPolicy/default/two', 'Workload/default/w']],
      ['/m/c.json', 'accepted', ['CiliumClusterwideNetworkPolicy//three']],
    ],
  );
  t.is(b.tables.objects.get('CiliumNetworkPolicy/default/one')?.status.state, 'pending');
  t.true(b.tables.policies.isSynced);
  const sum = (text: string) => createHash('sha256').update(text).digest('hex');
  t.is(status.files[0]?.hash, sum(policy('one')));
  t.is(status.hash, sum(status.files.map((f) => `${f.hash}  ${f.file.slice(3)}\n`).join('')));
});

test('source – leftovers of editors and packages, directories and devices are no manifests', async (t) => {
  const b = bench();
  for (const name of [
    '.hidden.yaml',
    'a.yaml~',
    'a.swp',
    '.a.yaml.swp',
    '#a.yaml#',
    'a.yaml.bak',
    'a.yaml.rpmnew',
    'a.yaml.dpkg-old',
    'README',
  ]) {
    b.fs.write(`/m/${name}`, 'not: [a manifest');
  }
  b.fs.mkdir('/m/dir.yaml');
  b.fs.write('/m/dir.yaml/deep.yaml', 'not: [a manifest');
  b.fs.fifo('/m/fifo.yaml');
  b.fs.write('/m/good.yaml', policy('good'));
  t.is((await b.reload()).state, 'accepted');
  t.deepEqual(b.names(), ['good']);
});

test('source – a ConfigMap mount and a linked directory are read once each', async (t) => {
  const b = bench();
  b.fs.mkdir('/m/..2026_1');
  b.fs.write('/m/..2026_1/a.yaml', policy('a'));
  b.fs.link('/m/..data', '..2026_1');
  b.fs.link('/m/a.yaml', '..data/a.yaml');
  b.fs.mkdir('/shop');
  b.fs.write('/shop/b.yaml', policy('b'));
  b.fs.link('/m/shop', '/shop');
  t.is((await b.reload()).state, 'accepted');
  t.deepEqual(b.names(), ['a', 'b']);
});

test('source – one wrong document refuses the set, and what was accepted stays', async (t) => {
  const b = bench();
  b.fs.write('/m/a.yaml', policy('a'));
  b.fs.write('/m/b.yaml', policy('b'));
  await b.reload();
  b.fs.write('/m/a.yaml', policy('a', 81));
  b.fs.write('/m/b.yaml', policy('b', 70000));
  b.fs.write('/m/c.yaml', policy('c'));
  const before = b.tables.policies.revision;
  const status = await b.reload();
  t.is(status.state, 'invalid');
  t.deepEqual(b.names(), ['a', 'b']);
  t.is(b.tables.policies.revision, before);
  t.deepEqual(b.problems(), [
    '/m/b.yaml:4:67: spec.ingress[0].toPorts[0].ports[0].port: unable to parse port: 70000 is above 65535 (ports are 0 to 65535)',
  ]);
  t.deepEqual(
    status.files.map((f) => f.state),
    ['waiting', 'invalid', 'waiting'],
  );
  const object = b.tables.objects.get('CiliumNetworkPolicy/default/b')?.status;
  t.is(object?.state, 'invalid');
  t.regex(object?.reason ?? '', /; the version accepted before stays enforced$/);
  t.is(b.tables.objects.get('CiliumNetworkPolicy/default/c')?.status.state, 'held');
  b.fs.write('/m/b.yaml', policy('b'));
  t.is((await b.reload()).state, 'accepted');
  t.deepEqual(b.names(), ['a', 'b', 'c']);
});

test('source – per file, a wrong file keeps its own objects and lets the others change', async (t) => {
  const b = bench({ settings: { perFile: true } });
  b.fs.write('/m/a.yaml', `${policy('a')}---\n${policy('moves')}`);
  b.fs.write('/m/b.yaml', policy('b'));
  await b.reload();
  b.fs.write('/m/a.yaml', 'kind: [');
  b.fs.write('/m/b.yaml', `${policy('b', 81)}---\n${policy('moves', 82)}`);
  const status = await b.reload();
  t.is(status.state, 'invalid');
  t.deepEqual(b.names(), ['a', 'b', 'moves']);
  const file = (name: string) => b.tables.policies.get(`CiliumNetworkPolicy/default/${name}`)?.at.file;
  t.deepEqual(['a', 'b', 'moves'].map(file), ['/m/a.yaml', '/m/b.yaml', '/m/b.yaml']);
  t.deepEqual(
    status.files.map((f) => f.state),
    ['invalid', 'accepted'],
  );
});

test('source – one name in two places is an error that names both', async (t) => {
  const b = bench();
  b.fs.write('/m/a.yaml', policy('same'));
  b.fs.write('/m/b.yaml', `${policy('other')}---\n${policy('same')}`);
  await b.reload();
  t.deepEqual(b.problems(), [
    '/m/b.yaml:6:1: CiliumNetworkPolicy default/same is already in /m/a.yaml:1:1 (keep one of the two, or give one another name)',
  ]);
});

const refused: readonly [what: string, arrange: (fs: FakeFileSystem) => void, want: RegExp][] = [
  [
    'a file of 2 MiB',
    (fs) => fs.write('/m/a.yaml', `#${'x'.repeat(2 * 1024 * 1024)}`),
    /^\/m\/a\.yaml:1:1: the file has 2097153 bytes, the limit is 1048576 \(split it/,
  ],
  [
    'a file that everybody can write',
    (fs) => fs.write('/m/a.yaml', policy('a'), { mode: 0o666 }),
    /^\/m\/a\.yaml:1:1: everybody can write \/m\/a\.yaml \(chmod o-w \/m\/a\.yaml\)/,
  ],
  [
    'a file that a foreign group can write',
    (fs) => fs.write('/m/a.yaml', policy('a'), { mode: 0o664, gid: 50 }),
    /the group 50 can write .*chmod g-w/,
  ],
  [
    'a file of another user',
    (fs) => fs.write('/m/a.yaml', policy('a'), { uid: 1000 }),
    /belongs to user 1000, not to root \(chown root/,
  ],
  [
    'a directory that everybody can write',
    (fs) => fs.mkdir('/m', { mode: 0o777 }),
    /everybody can write \/m \(chmod o-w \/m\)/,
  ],
  [
    'a file that cannot be read',
    (fs) => {
      fs.write('/m/a.yaml', '');
      fs.fail('/m/a.yaml', 'EACCES');
    },
    /the file cannot be read: permission denied \(make it readable for root\)/,
  ],
  [
    'a link that leads nowhere',
    (fs) => fs.link('/m/a.yaml', 'gone.yaml'),
    /the file cannot be read: it does not exist \(a link leads nowhere, remove it\)/,
  ],
  [
    'bytes that are no UTF-8',
    (fs) => fs.write('/m/a.yaml', Uint8Array.of(0x61, 0xff, 0xfe)),
    /the file is not UTF-8 text/,
  ],
  [
    'more than 64 MiB together',
    (fs) => {
      for (let i = 0; i < 65; i++) fs.write(`/m/${i}.yaml`, `#${'x'.repeat(1024 * 1024 - 1)}`);
    },
    /all manifests together have more than 67108864 bytes/,
  ],
];
for (const [what, arrange, want] of refused) {
  test(`source – refuses ${what}`, async (t) => {
    const b = bench();
    arrange(b.fs);
    t.is((await b.reload()).state, 'invalid');
    t.true(
      b.problems().some((p) => want.test(p)),
      b.problems().join('\n'),
    );
    t.deepEqual(b.names(), []);
  });
}

test('source – refuses more than 10,000 documents', async (t) => {
  const b = bench();
  for (let i = 0; i < 3; i++) b.fs.write(`/m/${i}.yaml`, 'a: 1\n---\n'.repeat(3334));
  await b.reload();
  t.true(b.problems().some((p) => /have 10002 documents, the limit is 10000/.test(p)));
});

test('source – any owner is trusted where the configuration says so', async (t) => {
  const b = bench({ settings: { trustAnyOwner: true } });
  b.fs.write('/m/a.yaml', policy('a'), { uid: 1000, mode: 0o666 });
  t.is((await b.reload()).state, 'accepted');
});

test('source – root’s group may write, and a sticky directory is safe', async (t) => {
  const b = bench();
  b.fs.mkdir('/m', { mode: 0o1777 });
  b.fs.write('/m/a.yaml', policy('a'), { mode: 0o664 });
  t.is((await b.reload()).state, 'accepted');
});

/** That the set is held: the one policy stays, the message tells why and what to do. */
async function isHeld(t: ExecutionContext, b: ReturnType<typeof bench>, why: RegExp): Promise<void> {
  const status = await b.source.reload({ signal: never });
  t.is(status.state, 'held');
  t.regex(status.message, why);
  t.regex(status.message, /stays enforced/);
  t.deepEqual(b.names(), ['a']);
}

async function withOnePolicy() {
  const b = bench();
  b.fs.write('/m/a.yaml', policy('a'));
  await b.reload();
  return b;
}

test('source – holds when all files are gone at once', async (t) => {
  const b = await withOnePolicy();
  b.fs.remove('/m/a.yaml');
  await isHeld(t, b, /all manifests are gone at once.*merlon policy clear --yes/);
});

test('source – holds when the directory is gone, and takes it back when it returns', async (t) => {
  const b = await withOnePolicy();
  b.fs.remove('/m');
  await isHeld(t, b, /^\/m: it does not exist/);
  b.fs.mkdir('/m');
  b.fs.write('/m/b.yaml', policy('b'));
  t.is((await b.reload()).state, 'accepted');
  t.deepEqual(b.names(), ['b']);
});

test('source – holds when the directory cannot be read', async (t) => {
  const b = await withOnePolicy();
  b.fs.fail('/m', 'EACCES');
  await isHeld(t, b, /^\/m: permission denied/);
});

test('source – holds when every file is empty', async (t) => {
  const b = await withOnePolicy();
  b.fs.write('/m/a.yaml', '# nothing left\n');
  await isHeld(t, b, /no manifest has an object left/);
});

test('source – removing the last but one file is normal', async (t) => {
  const b = await withOnePolicy();
  b.fs.write('/m/b.yaml', policy('b'));
  await b.reload();
  b.fs.remove('/m/a.yaml');
  t.is((await b.reload()).state, 'accepted');
  t.deepEqual(b.names(), ['b']);
});

test('source – clear takes the empty set as meant', async (t) => {
  const b = await withOnePolicy();
  b.fs.remove('/m/a.yaml');
  t.is((await b.source.clear({ signal: never })).state, 'accepted');
  t.deepEqual(b.names(), []);
});

test('source – an empty directory at the start is nothing, unless policies were enforced before', async (t) => {
  const fresh = bench();
  t.is((await fresh.reload()).state, 'accepted');
  t.true(fresh.tables.policies.isSynced);
  const restarted = bench({ activeBefore: 3 });
  const status = await restarted.reload();
  t.is(status.state, 'held');
  t.regex(status.message, /the 3 policies stay enforced/);
  t.false(restarted.tables.policies.isSynced);
});

test('source – the status tells how many policies are in force', async (t) => {
  const b = await withOnePolicy();
  t.is(b.source.status.policies, 1);
  b.fs.remove('/m/a.yaml');
  t.is((await b.source.clear({ signal: never })).policies, 0);
  t.is(bench({ activeBefore: 3 }).source.status.policies, 3);
});

test('source – a directory that never was there holds nothing back', async (t) => {
  const b = bench({ settings: { paths: ['/m', '/other'] } });
  b.fs.write('/m/a.yaml', policy('a'));
  const first = await b.reload();
  t.is(first.state, 'accepted');
  t.is(first.message, '/other: it does not exist');
  b.fs.write('/m/a.yaml', policy('b'));
  t.is((await b.reload()).state, 'accepted');
  t.deepEqual(b.names(), ['b']);
});

test('source – unchanged files are not judged again and rows keep their revision', async (t) => {
  const b = bench();
  b.fs.write('/m/a.yaml', policy('a'));
  b.fs.write('/m/b.yaml', policy('b'));
  await b.reload();
  const row = b.tables.policies.get('CiliumNetworkPolicy/default/a');
  const revision = b.tables.policies.revisionOf('CiliumNetworkPolicy/default/a');
  b.fs.write('/m/b.yaml', policy('b', 443));
  await b.reload();
  t.is(b.tables.policies.get('CiliumNetworkPolicy/default/a'), row);
  t.is(b.tables.policies.revisionOf('CiliumNetworkPolicy/default/a'), revision);
  t.is(b.source.status.generation, 2);
});

test('source – the status file says applied only when it is enforced', async (t) => {
  const b = await withOnePolicy();
  const state = (isApplied: boolean) =>
    JSON.parse(statusText(b.source.status, isApplied)) as { state: string; files: { state: string }[] };
  t.is(state(false).state, 'pending');
  t.is(state(true).state, 'applied');
  t.is(state(true).files[0]?.state, 'applied');
  b.fs.write('/m/a.yaml', policy('a', 70000));
  await b.reload();
  t.is(state(true).state, 'invalid');
  const [error] = (
    JSON.parse(statusText(b.source.status, true)) as { errors: { text: string; at: object }[] }
  ).errors;
  t.regex(error?.text ?? '', /^\/m\/a\.yaml:4:67: .*70000 is above 65535/);
});
