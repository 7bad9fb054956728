/** Finding a network namespace by what a person calls it. */
import { constants, existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { MerlonError } from '#kit/errors';
import { closeFd, type Fd, netnsCookie, openFd } from '#native';

const NAMED_DIR = '/run/netns';

/** An open namespace. */
export interface OpenNetns extends Disposable {
  readonly path: string;
  readonly fd: Fd;
  /** Unique per boot. */
  readonly cookie: bigint;
}

/** The path behind a name (`ip netns`), a path, or a process id. */
export function netnsPath(given: string): string {
  if (isAbsolute(given)) return given;
  if (given === '' || given.includes('/') || given === '.' || given === '..') {
    throw new MerlonError(
      'NETNS_NOT_FOUND',
      `"${given}" is no name, absolute path or process id of a namespace`,
    );
  }
  const named = `${NAMED_DIR}/${given}`;
  return /^\d+$/.test(given) && !existsSync(named) ? `/proc/${given}/ns/net` : named;
}

/** Opens a namespace. Error: NETNS_NOT_FOUND, also when the path is something else. */
export function openNetns(given: string): OpenNetns {
  const path = netnsPath(given);
  let fd: Fd | undefined;
  try {
    const opened = openFd(path, constants.O_RDONLY);
    fd = opened;
    const cookie = netnsCookie(opened);
    return { path, fd: opened, cookie, [Symbol.dispose]: () => closeFd(opened) };
  } catch (cause) {
    if (fd !== undefined) closeFd(fd);
    const what =
      fd === undefined ? `there is no network namespace ${given}` : `${path} is no network namespace`;
    throw new MerlonError('NETNS_NOT_FOUND', what, { cause });
  }
}
