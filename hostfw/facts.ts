/**
 * What the failsafe has to know of this node: on which ports sshd listens, and which resolvers are asked.
 * Both are read from files, so nothing here needs the network.
 */
import { type FSWatcher, readdirSync, readFileSync, readlinkSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { formatIp, parseIp } from '#kit/ip';
import type { NodeFacts } from './failsafe.ts';

export interface FactPaths {
  readonly proc: string;
  readonly resolvConf: string;
}

const SYSTEM_PATHS: FactPaths = { proc: '/proc', resolvConf: '/etc/resolv.conf' };

/** TCP_LISTEN of the kernel's include/net/tcp_states.h, as /proc/net/tcp prints it. */
const LISTEN = '0A';

/** The facts as they are now. A file that cannot be read means none of what it would have told. */
export function readFacts(paths: FactPaths = SYSTEM_PATHS): NodeFacts {
  return { sshPorts: sshPorts(paths.proc), resolvers: resolvers(paths.resolvConf) };
}

/** Calls `changed` when resolv.conf was written or replaced, until disposed. */
export function watchResolvers(changed: () => void, paths: FactPaths = SYSTEM_PATHS): Disposable {
  let watcher: FSWatcher | undefined;
  try {
    // The folder is watched, not the file: resolvconf and NetworkManager replace it by rename.
    watcher = watch(dirname(paths.resolvConf), { persistent: false }, (_event, name) => {
      if (name === null || name === basename(paths.resolvConf)) changed();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // Without inotify the resolvers stay as they were at start; the periodic reading repairs that.
  }
  return { [Symbol.dispose]: () => watcher?.close() };
}

function resolvers(path: string): readonly string[] {
  const found = new Set<string>();
  for (const line of lines(path)) {
    const ip = parseIp(/^nameserver\s+([^\s%]+)/.exec(line)?.[1] ?? '');
    // A resolver on loopback is reached without any device that we judge.
    if (ip === undefined || isLoopback(ip.bytes)) continue;
    found.add(formatIp(ip));
  }
  return [...found].sort();
}

function isLoopback(bytes: Uint8Array): boolean {
  return bytes.length === 4 ? bytes[0] === 127 : bytes.every((b, i) => b === (i === 15 ? 1 : 0));
}

function sshPorts(proc: string): readonly number[] {
  const listening = new Map<string, number>();
  for (const file of ['net/tcp', 'net/tcp6']) {
    for (const line of lines(`${proc}/${file}`).slice(1)) {
      const fields = line.trim().split(/\s+/);
      const port = Number.parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (fields[3] === LISTEN && Number.isInteger(port)) listening.set(fields[9] ?? '', port);
    }
  }
  if (listening.size === 0) return [];
  const ports = new Set<number>();
  for (const pid of pidsNamed(proc, 'sshd')) {
    for (const inode of socketsOf(proc, pid)) {
      const port = listening.get(inode);
      if (port !== undefined) ports.add(port);
    }
  }
  return [...ports].sort((a, b) => a - b);
}

function pidsNamed(proc: string, name: string): readonly string[] {
  return entries(proc).filter((pid) => /^\d+$/.test(pid) && lines(`${proc}/${pid}/comm`)[0] === name);
}

function socketsOf(proc: string, pid: string): readonly string[] {
  const folder = `${proc}/${pid}/fd`;
  return entries(folder).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1] ?? [];
    } catch {
      // Closed between listing and reading.
      return [];
    }
  });
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function lines(path: string): readonly string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return [];
  }
}
