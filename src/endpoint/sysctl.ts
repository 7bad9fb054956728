/**
 * Kernel settings of the node that endpoints need; what they were is kept, so that uninstalling gives it back.
 * Synchronous: /proc/sys/net shows the namespace of the thread that opens it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorMessage, MerlonError } from '#kit/errors';
import { type StateFile, stateFile } from './state-file.ts';

const ROOT = '/proc/sys/net';

/** Values before our time, by path below /proc/sys/net. */
type Before = ReadonlyMap<string, string>;

function beforeFile(stateDir: string): StateFile<Before> {
  const check = (content: unknown) => (content instanceof Map ? (content as Before) : undefined);
  return stateFile(join(stateDir, 'sysctls.json'), 1, check);
}

function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8').trim();
  } catch {
    return undefined; // no such device or no IPv6: nothing to set either
  }
}

function setSysctl(path: string, value: string): void {
  try {
    writeFileSync(join(ROOT, path), value);
  } catch (cause) {
    const message = `cannot set net/${path} to ${value}: ${errorMessage(cause)}`;
    throw new MerlonError('KERNEL_PERMISSION', message, { cause });
  }
}

/** Sets a device's own values; they go with the device. */
export function setDeviceSysctls(device: string): void {
  const values = {
    [`ipv4/conf/${device}/rp_filter`]: '0',
    [`ipv4/conf/${device}/forwarding`]: '1',
    [`ipv6/conf/${device}/forwarding`]: '1',
    [`ipv6/conf/${device}/accept_ra`]: '0',
    [`ipv6/conf/${device}/accept_dad`]: '0',
  };
  for (const [path, value] of Object.entries(values)) {
    if (readSysctl(path) !== undefined) setSysctl(path, value);
  }
}

/** Settings of the whole node, in the order in which they are to be set. */
function wanted(): readonly (readonly [path: string, value: string])[] {
  // A node that forwards ignores router advertisements unless told otherwise, and loses its default route.
  const advertised = deviceNames()
    .map((device) => `ipv6/conf/${device}/accept_ra`)
    .filter((path) => readSysctl(path) === '1')
    .map((path) => [path, '2'] as const);
  return [...advertised, ['ipv4/ip_forward', '1'], ['ipv6/conf/all/forwarding', '1']];
}

function deviceNames(): readonly string[] {
  try {
    return readdirSync(join(ROOT, 'ipv6/conf')).filter((name) => name !== 'all');
  } catch {
    return []; // a kernel without IPv6
  }
}

/** Makes the node forward. What was there before is on disk before the first change. */
export async function enableForwarding(
  stateDir: string,
  onBad: (problem: MerlonError) => void,
): Promise<void> {
  const changes = wanted().filter(([path, value]) => {
    const now = readSysctl(path);
    return now !== undefined && now !== value;
  });
  if (changes.length === 0) return;
  const file = beforeFile(stateDir);
  const before = new Map((await file.read(onBad)) ?? []);
  for (const [path] of changes) if (!before.has(path)) before.set(path, readSysctl(path) ?? '');
  await file.write(before);
  for (const [path, value] of changes) setSysctl(path, value);
}

/** Gives back what `enableForwarding` changed; devices that are gone are passed over. */
export async function restoreSysctls(stateDir: string, onBad: (problem: MerlonError) => void): Promise<void> {
  const file = beforeFile(stateDir);
  const before = [...((await file.read(onBad)) ?? [])];
  // Forwarding first: turning it off resets every device's accept_ra behaviour.
  const isDevice = ([path]: readonly [string, string]) => Number(path.endsWith('/accept_ra'));
  for (const [path, value] of before.sort((a, b) => isDevice(a) - isDevice(b))) {
    if (readSysctl(path) !== undefined) setSysctl(path, value);
  }
  await file.remove();
}
