/** What may lie in a manifest directory of a real file system, and what becomes of files that change there. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { nodeFileSystem } from '../../../src/files/filesystem.ts';
import { bench, policy } from './bench.ts';

/** A source over a directory of its own with one good policy, accepted. */
async function real(t: ExecutionContext) {
  const root = mkdtempSync(join(tmpdir(), 'ml-d-'));
  t.teardown(() => {
    chmodSync(root, 0o755);
    rmSync(root, { recursive: true });
  });
  const path = (name: string): string => join(root, name);
  writeFileSync(path('good.yaml'), policy('good'));
  const b = bench({ fs: nodeFileSystem, settings: { paths: [root], trustAnyOwner: true } });
  t.is((await b.reload()).state, 'accepted');
  return { ...b, root, path };
}

type Real = Awaited<ReturnType<typeof real>>;

const ignored: readonly [what: string, make: (r: Real, t: ExecutionContext) => void | Promise<void>][] = [
  ['a FIFO', ({ path }) => void execFileSync('mkfifo', [path('a.yaml')])],
  ['a device', ({ path }) => symlinkSync('/dev/zero', path('a.yaml'))],
  [
    'a socket',
    ({ path }, t) =>
      new Promise((resolve) => {
        const server = createServer().listen(path('a.yaml'), resolve);
        t.teardown(() => void server.close());
      }),
  ],
  ['a directory', ({ path }) => mkdirSync(path('a.yaml'))],
  ['a directory linked into itself', ({ root, path }) => symlinkSync(root, path('.round'))],
  ['a link of another name to itself', ({ path }) => symlinkSync('round', path('round'))],
  ['what an editor writes', ({ path }) => writeFileSync(path('.good.yaml.swp'), '\0\0')],
  ['what a package leaves', ({ path }) => writeFileSync(path('good.yaml.dpkg-new'), 'a: [')],
];
for (const [what, make] of ignored) {
  test(`odd files – ${what} is no manifest`, async (t) => {
    const r = await real(t);
    await make(r, t);
    t.is((await r.reload()).state, 'accepted');
    t.deepEqual(r.names(), ['good']);
  });
}

const refused: readonly [what: string, make: (r: Real) => void, says: RegExp][] = [
  ['a link that leads nowhere', ({ path }) => symlinkSync('no', path('a.yaml')), /does not exist.*remove it/],
  ['a link to itself', ({ path }) => symlinkSync('a.yaml', path('a.yaml')), /in a circle.*remove it/],
  [
    'a directory linked twice, whose files are there twice then',
    ({ root, path }) => symlinkSync(root, path('round')),
    /CiliumNetworkPolicy default\/good is already in .*good\.yaml:1:1/,
  ],
  [
    'a file of a hundred megabytes',
    ({ path }) => {
      writeFileSync(path('a.yaml'), '');
      truncateSync(path('a.yaml'), 100e6);
    },
    /a\.yaml:1:1: the file has 100000000 bytes, the limit is 1048576/,
  ],
  [
    'half of a file',
    ({ path }) => writeFileSync(path('a.yaml'), policy('a').slice(0, -4)),
    /a\.yaml:\d+:\d+: not valid YAML/,
  ],
  [
    'an executable',
    ({ path }) => writeFileSync(path('a.yaml'), Buffer.from([0x7f, 0x45, 0xff])),
    /not UTF-8/,
  ],
];
for (const [what, make, says] of refused) {
  test(`odd files – ${what} refuses the set, and its end ends that`, async (t) => {
    const r = await real(t);
    writeFileSync(r.path('other.yaml'), policy('other'));
    make(r);
    const status = await r.reload();
    t.is(status.state, 'invalid');
    t.regex(r.problems().join('\n'), says);
    t.deepEqual(r.names(), ['good'], 'nothing of the set counts');
    for (const name of ['a.yaml', 'round']) rmSync(r.path(name), { force: true });
    t.is((await r.reload()).state, 'accepted');
    t.deepEqual(r.names(), ['good', 'other']);
  });
}

test('odd files – a file renamed over another, and one edited in place, count as written', async (t) => {
  const r = await real(t);
  writeFileSync(r.path('.new'), policy('renamed'));
  renameSync(r.path('.new'), r.path('good.yaml'));
  t.is((await r.reload()).state, 'accepted');
  t.deepEqual(r.names(), ['renamed']);
  writeFileSync(r.path('good.yaml'), policy('edited'));
  t.is((await r.reload()).state, 'accepted');
  t.deepEqual(r.names(), ['edited']);
});

test('odd files – a ConfigMap that is swapped counts as a whole', async (t) => {
  const r = await real(t);
  unlinkSync(r.path('good.yaml'));
  for (const version of ['1', '2']) {
    mkdirSync(r.path(`..${version}`));
    for (const name of ['a', 'b'])
      writeFileSync(r.path(`..${version}/${name}.yaml`), policy(`${name}${version}`));
  }
  symlinkSync('..1', r.path('..data'));
  for (const name of ['a', 'b']) symlinkSync(`..data/${name}.yaml`, r.path(`${name}.yaml`));
  t.is((await r.reload()).state, 'accepted');
  t.deepEqual(r.names(), ['a1', 'b1']);
  symlinkSync('..2', r.path('..data_tmp'));
  renameSync(r.path('..data_tmp'), r.path('..data'));
  rmSync(r.path('..1'), { recursive: true });
  t.is((await r.reload()).state, 'accepted');
  t.deepEqual(r.names(), ['a2', 'b2']);
});

test('odd files – ten thousand files are a set like any other', async (t) => {
  const r = await real(t);
  for (let i = 1; i < 10_000; i++) writeFileSync(r.path(`p${i}.yaml`), policy(`p${i}`));
  t.is((await r.reload()).state, 'accepted');
  t.is(r.names().length, 10_000);
});
