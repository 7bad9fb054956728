import test from 'ava';
import { formatError } from '#kit/errors';
import { loadNodeConfig } from '#files';
import { FakeFileSystem } from '../../fakes/file-system.ts';

const HEAD = 'apiVersion: merlon.io/v1\nkind: NodeConfig\n';

function bench() {
  const fs = new FakeFileSystem();
  fs.mkdir('/etc');
  fs.mkdir('/etc/merlon');
  fs.write('/etc/merlon/merlon.yaml', `${HEAD}labels: {a: x, b: y}\nenable-policy: always\n`);
  const load = (isOptional = false) =>
    loadNodeConfig({ file: '/etc/merlon/merlon.yaml', isOptional, agent: { uid: 0, gid: 0 }, fs });
  const failure = () => load().then(() => 'no failure', formatError);
  return { fs, load, failure };
}

test('config files – merlon.d comes after the main file, in lexical order', async (t) => {
  const { fs, load } = bench();
  fs.mkdir('/etc/merlon/merlon.d');
  fs.write('/etc/merlon/merlon.d/20.yaml', `${HEAD}labels: {b: last}\n`);
  fs.write('/etc/merlon/merlon.d/10.yaml', `${HEAD}labels: {b: first, c: z}\nenable-policy: never\n`);
  fs.write('/etc/merlon/merlon.d/30.yaml~', 'left: [over');
  fs.write('/etc/merlon/merlon.d/.40.yaml', 'left: [over');
  const { config, problems } = await load();
  t.deepEqual(problems, []);
  t.deepEqual(config?.values.labels, { a: 'x', b: 'last', c: 'z' });
  t.is(config?.values['enable-policy'], 'never');
  t.is(config?.entries.find((e) => e.key === 'enable-policy')?.at?.file, '/etc/merlon/merlon.d/10.yaml');
});

test('config files – what is wrong in any of them is told with its file', async (t) => {
  const { fs, load } = bench();
  fs.mkdir('/etc/merlon/merlon.d');
  fs.write('/etc/merlon/merlon.d/10.yaml', `${HEAD}hostfw: {enabld: true}\n`);
  const { config, problems } = await load();
  t.is(config, undefined);
  t.deepEqual(problems[0]?.at, {
    file: '/etc/merlon/merlon.d/10.yaml',
    line: 3,
    column: 10,
    path: 'hostfw.enabld',
  });
});

test('config files – a missing file is the defaults only where that was said', async (t) => {
  const { fs, load, failure } = bench();
  fs.remove('/etc/merlon/merlon.yaml');
  t.is((await load(true)).config?.values['enable-policy'], 'default');
  t.regex(
    await failure(),
    /^\/etc\/merlon\/merlon\.yaml: the configuration cannot be read: ENOENT.* \(check the path given to --config\)$/,
  );
});

const refused: readonly [what: string, arrange: (fs: FakeFileSystem) => void, want: RegExp][] = [
  [
    'everybody can write',
    (fs) => fs.write('/etc/merlon/merlon.yaml', HEAD, { mode: 0o666 }),
    /everybody can write \/etc\/merlon\/merlon\.yaml \(chmod o-w/,
  ],
  [
    'belongs to another user',
    (fs) => fs.write('/etc/merlon/merlon.yaml', HEAD, { uid: 5 }),
    /belongs to user 5, not to root \(chown root/,
  ],
  [
    'is too large',
    (fs) => fs.write('/etc/merlon/merlon.yaml', `#${'x'.repeat(2 ** 20)}`),
    /the file has 1048577 bytes, the limit is 1048576/,
  ],
  ['is no text', (fs) => fs.write('/etc/merlon/merlon.yaml', Uint8Array.of(0xff)), /it is not UTF-8 text/],
  ['is no file', (fs) => fs.fifo('/etc/merlon/merlon.yaml'), /it is no regular file/],
];
for (const [what, arrange, want] of refused) {
  test(`config files – one that ${what} is refused`, async (t) => {
    const { fs, failure } = bench();
    arrange(fs);
    t.regex(await failure(), want);
  });
}
