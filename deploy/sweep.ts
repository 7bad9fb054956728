/**
 * Removes what killed runs left on the machine: topologies and pins whose owner is gone, and what the tests of the
 * set-up make. Prints one line for each, `WHAT of CLONE`; prints nothing when there is nothing. Needs root.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sweepLab } from '#lab';

const numbers = (dir: string): readonly string[] => readdirSync(dir).filter((name) => /^\d+$/.test(name));

/** Ends whoever works below a folder. */
function endThoseIn(dir: string): void {
  for (const pid of numbers('/proc')) {
    try {
      if (`${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${dir}/`)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It is gone, which is what was wanted.
    }
  }
}

/** Clones and users `ml-…-PID` of test/setup whose process is no more. */
function sweepSetup(): readonly string[] {
  const isLeft = (name: string): boolean => {
    const [, pid] = /^ml-(?:clone|user)-(\d+)(?:-|$)/.exec(name) ?? [];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  };
  const clones = readdirSync(tmpdir()).filter(isLeft);
  for (const name of clones) {
    endThoseIn(join(tmpdir(), name));
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(':')[0] ?? [])
    .filter(isLeft);
  for (const name of users) spawnSync('userdel', [name]);
  return [...clones, ...users];
}

for (const { prefix, cwd } of await sweepLab()) console.log(`${prefix} of ${cwd ?? 'nobody'}`);
for (const name of sweepSetup()) console.log(`${name} of nobody`);
