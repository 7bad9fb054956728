/**
 * The set-up on real machines: a clone that belongs to another user than the one who runs things, an install
 * that was killed, and a bare Debian. These fetch packages, so they take minutes, not seconds.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { until } from '#kit/async';

const ROOT = join(import.meta.dirname, '../..');
/** Survives the run: a bare Debian is made once a machine. */
const CACHE = '/var/cache/merlon-test';

interface Clone extends Disposable {
  readonly dir: string;
  readonly uid: number;
  readonly user: string;
}

/** A copy of this tree, without what set-up and build make, that belongs to a user made for it. */
function cloneOfAnotherUser(): Clone {
  // Both names are swept when this process is killed.
  const user = `ml-user-${process.pid}`;
  const base = mkdtempSync(join(tmpdir(), `ml-clone-${process.pid}-`));
  const dir = join(base, 'merlon');
  const sh = (command: string): string => {
    const ended = spawnSync('sh', ['-euc', command], { encoding: 'utf8' });
    if (ended.status !== 0) throw new Error(`${command}: ${ended.stderr}`);
    return ended.stdout.trim();
  };
  sh(`useradd --no-create-home --shell /usr/sbin/nologin ${user}; chmod 755 ${base}`);
  mkdirSync(dir);
  const left = ['node_modules', 'build'].map((name) => `--exclude=./${name}`).join(' ');
  sh(`tar -C ${ROOT} ${left} -cf - . | tar -C ${dir} -xf -; chown -R ${user}: ${dir}`);
  return {
    dir,
    user,
    uid: Number(sh(`id -u ${user}`)),
    [Symbol.dispose]: () => {
      rmSync(base, { recursive: true, force: true });
      sh(`userdel ${user}`);
    },
  };
}

function foreignFiles({ dir, uid }: Clone): readonly string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter(
    (file) => lstatSync(join(dir, file)).uid !== uid,
  );
}

interface Ended {
  readonly status: number | null;
  readonly said: string;
}

function ending(child: ChildProcess): Promise<Ended> {
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, said }));
  });
}

const running = new Set<number>();

/** Starts it in a process group of its own. */
function start(cwd: string, command: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const { pid } = child;
  if (pid !== undefined) {
    running.add(pid);
    child.once('close', () => running.delete(pid));
  }
  return child;
}

// Groups of their own hear nothing of what ends this one.
process.once('SIGTERM', () => {
  for (const pid of running) process.kill(-pid, 'SIGKILL');
  process.exit(143);
});

test.serial(
  "set-up – root works in another user's clone, also after a kill, and leaves all of it to the owner",
  async (t) => {
    t.timeout(600_000);
    using clone = cloneOfAnotherUser();
    const killed = start(clone.dir, 'deploy/setup.sh', 'dev');
    const dead = ending(killed);
    const half = join(clone.dir, 'node_modules/typescript');
    await until(() => existsSync(half), {
      what: 'a half-made node_modules',
      timeoutMs: 300_000,
      signal: AbortSignal.timeout(310_000),
    });
    process.kill(-(killed.pid ?? 0), 'SIGKILL');
    await dead;
    t.false(existsSync(join(clone.dir, 'build/setup/modules')), 'a killed install does not count as done');

    const ok = await ending(start(clone.dir, './merlon', 'ok'));
    t.true(existsSync(join(clone.dir, 'build/setup/modules')), ok.said);
    t.regex(ok.said, /all ok|\d+ of \d+ failed/, 'the checks ran');
    const built = await ending(start(clone.dir, './merlon', 'build'));
    t.is(built.status, 0, built.said);
    t.deepEqual(foreignFiles(clone), []);

    const again = await ending(start(clone.dir, 'deploy/setup.sh', 'dev'));
    t.deepEqual(again, { status: 0, said: '' }, 'a finished set-up has nothing to do or say');

    const asOwner = ['--reuid', clone.user, '--regid', clone.user, '--clear-groups', './merlon', 'unit'];
    const unit = await ending(start(clone.dir, 'setpriv', ...asOwner, 'test/unit/kit/ip.test.ts'));
    t.is(unit.status, 0, unit.said);
    t.deepEqual(foreignFiles(clone), []);
  },
);

test.serial('lock file – is what this npm would write', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'ml-lock-'));
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc'])
      cpSync(join(ROOT, file), join(dir, file));
    const npm = spawnSync('npm', ['install', '--package-lock-only', '--loglevel=error'], {
      cwd: dir,
      encoding: 'utf8',
    });
    t.is(npm.status, 0, npm.stderr);
    t.is(
      readFileSync(join(dir, 'package-lock.json'), 'utf8'),
      readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.serial('set-up – a bare Debian is ready for the program', async (t) => {
  t.timeout(600_000);
  const script = join(ROOT, 'test/setup/bare.sh');
  const commands = [
    'deploy/setup.sh demo',
    'deploy/setup.sh demo',
    './merlon version',
    '(cd / && /srv/merlon/build/bin/merlon version)',
    // Debian's npm reads lock files in its own way; a pin counts only if that one takes it, too.
    'mkdir /tmp/lock && cp package.json package-lock.json .npmrc /tmp/lock && cd /tmp/lock',
    'npm --version && npm install --package-lock-only --loglevel=error',
  ].join(' && ');
  const { status, said } = await ending(start(ROOT, script, CACHE, 'sh', '-c', commands));
  t.log(said);
  t.is(status, 0, said);
  t.is(said.match(/installing node_modules/g)?.length, 1, 'the second run installed nothing');
});
