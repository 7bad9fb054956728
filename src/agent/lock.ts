/** One agent a run directory: a second one is refused with one sentence instead of stealing the socket. */
import { constants } from 'node:fs';
import { join } from 'node:path';
import { MerlonError } from '#kit/errors';
import { closeFd, flock, LOCK, openFd } from '#native';

export class RunDirLock implements Disposable {
  readonly #fd: number;

  /** Error: AGENT_RUNNING. */
  constructor(runDir: string) {
    this.#fd = openFd(join(runDir, 'agent.lock'), constants.O_CREAT | constants.O_RDWR, 0o600);
    if (flock(this.#fd, LOCK.exclusive | LOCK.nonBlocking)) return;
    closeFd(this.#fd);
    throw new MerlonError('AGENT_RUNNING', `another agent runs with the run directory ${runDir}`);
  }

  [Symbol.dispose](): void {
    closeFd(this.#fd);
  }
}
