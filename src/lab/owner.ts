/**
 * Who a topology belongs to. Each has a folder `/run/merlon-lab/<prefix>` with `owner.json` in it; every name
 * the lab makes outside that folder (namespace, bpffs folder, cgroup) begins with the prefix. So whatever a
 * killed test leaves can be found by name, and told from what a living one still uses by its owner.
 */
import { mkdir, readdir, readFile, rm, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun, run } from './run.ts';

const LAB_DIR = '/run/merlon-lab';
export const NETNS_DIR = '/run/netns';
export const BPFFS = '/sys/fs/bpf';

interface Owner {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: tells a reused pid from its first bearer. */
  readonly startTime: string;
  /** Where it worked: which clone it belongs to, where several are tested beside each other. */
  readonly cwd: string;
}

/** Start time of a process in clock ticks since boot; undefined when there is none (zombies count as none). */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name in parentheses may hold spaces: count the fields after its end.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields === undefined || fields[0] === 'Z' ? undefined : fields[19];
}

/** Makes the folder of a topology of this process and records its owner. */
export async function claim(prefix: string): Promise<string> {
  const dir = join(LAB_DIR, prefix);
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const owner: Owner = {
    pid: process.pid,
    startTime: (await startTimeOf(process.pid)) ?? '',
    cwd: process.cwd(),
  };
  await writeFile(join(dir, 'owner.json'), JSON.stringify(owner));
  return dir;
}

let count = 0;

/** The next name of this process; found and swept by it. `tag`: 1–20 of a–z, 0–9. */
export const nextPrefix = (tag: string): string => `ml-${tag}-${process.pid}-${++count}`;

/** A folder for pins that stand without a topology. Not made: whoever pins makes it. */
export async function pinFolder(tag: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const prefix = nextPrefix(tag);
  await claim(prefix);
  return {
    path: join(BPFFS, `${prefix}-pins`),
    [Symbol.asyncDispose]: () => removeTopology(prefix),
  };
}

/** The cgroup2 mount point, from mountinfo; undefined where there is none. */
export async function cgroupMount(): Promise<string | undefined> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.find((line) => line.includes(' - cgroup2 '))?.split(' ')[4];
}

/** Mounts a bpffs where there is none yet. */
export async function ensureBpffs(signal?: AbortSignal): Promise<void> {
  const script = `mountpoint -q ${BPFFS} || mount -t bpf bpf ${BPFFS}`;
  await mustRun(['flock', '/run/lock', 'sh', '-c', script], signal === undefined ? {} : { signal });
}

/** Process ids whose network namespace is one of `inodes`. */
async function processesIn(inodes: ReadonlySet<bigint>): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const inside = await Promise.all(
    pids.map(async (pid) => {
      const ns = await stat(`/proc/${pid}/ns/net`, { bigint: true }).catch(() => undefined);
      return ns !== undefined && inodes.has(ns.ino) && pid !== process.pid;
    }),
  );
  return pids.filter((_, at) => inside[at]);
}

async function startingWith(dir: string, prefix: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  return names.filter((name) => name.startsWith(`${prefix}-`));
}

/** Removes a folder tree of a kernel file system, where files cannot be unlinked but folders can be removed. */
async function removeCgroup(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
    if (entry.isDirectory()) await removeCgroup(join(dir, entry.name));
  }
  await rmdir(dir).catch(() => {});
}

/**
 * Removes everything that carries `prefix`: processes inside its namespaces first, then namespaces (their
 * devices go with them), pins, cgroups, and the folder with the owner's record last, so that an interrupted
 * removal is found again.
 */
export async function removeTopology(prefix: string): Promise<void> {
  const namespaces = await startingWith(NETNS_DIR, prefix);
  const inodes = new Set<bigint>();
  for (const name of namespaces) {
    const ns = await stat(join(NETNS_DIR, name), { bigint: true }).catch(() => undefined);
    // Nothing mounted on the name (an interrupted `ip netns add`): a plain file, not a namespace.
    if (ns !== undefined) inodes.add(ns.ino);
  }
  for (const pid of await processesIn(inodes)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone in the meantime, which is what was wanted.
    }
  }
  const deletions = namespaces.map((name) => `netns del ${name}\n`).join('');
  if (deletions !== '') {
    await run(['ip', '-force', '-batch', '-'], { input: deletions });
    // A name without a mount is left by `netns del`; take the file itself away.
    await Promise.all(namespaces.map((name) => unlink(join(NETNS_DIR, name)).catch(() => {})));
  }
  for (const name of await startingWith(BPFFS, prefix))
    await rm(join(BPFFS, name), { recursive: true, force: true });
  const cgroups = await cgroupMount();
  if (cgroups !== undefined) {
    for (const name of await startingWith(cgroups, prefix)) await removeCgroup(join(cgroups, name));
  }
  await rm(join(LAB_DIR, prefix), { recursive: true, force: true });
}

/** What a dead owner left. */
export interface Swept {
  readonly prefix: string;
  /** Where the owner worked; undefined when it died too early to say so. */
  readonly cwd: string | undefined;
}

/** Removes the leftovers of every topology whose owner is no more. */
export async function sweepLab(): Promise<readonly Swept[]> {
  const removed: Swept[] = [];
  for (const prefix of await readdir(LAB_DIR).catch(() => [])) {
    const text = await readFile(join(LAB_DIR, prefix, 'owner.json'), 'utf8').catch(() => undefined);
    if (text === undefined) {
      // Being claimed this moment, or torn: judged by the pid in its name.
      const [, pid] = /-(\d+)-\d+$/.exec(prefix) ?? [];
      if (pid === undefined) continue; // no topology's, such as the cache of compiled code
      if ((await startTimeOf(Number(pid))) !== undefined) continue;
    } else if (await isAlive(text)) continue;
    await removeTopology(prefix);
    removed.push({ prefix, cwd: ownerOf(text ?? '')?.cwd });
  }
  return removed;
}

async function isAlive(text: string): Promise<boolean> {
  const owner = ownerOf(text);
  return owner !== undefined && (await startTimeOf(owner.pid)) === owner.startTime;
}

/** Undefined when it is no JSON: written by nobody who lives. */
function ownerOf(text: string): Owner | undefined {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    return undefined;
  }
}
