/** Keeps the numbers of rule sets' origins in the state directory, so that they mean the same after a restart. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { errorMessage, MerlonError } from '#kit/errors';
import type { Origins, OriginsFile } from './origins.ts';

export class OriginsStore {
  readonly #path: string;
  readonly #origins: Origins;
  #written = '';

  constructor(stateDir: string, origins: Origins) {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    this.#path = `${stateDir}/origins.json`;
    this.#origins = origins;
  }

  /** Sentence about a file that could not be used; its loss costs names in events, never enforcement. */
  restore(): string | undefined {
    try {
      const text = readFileSync(this.#path, 'utf8');
      const file = JSON.parse(text) as OriginsFile;
      if (file.schema !== 1 || !Array.isArray(file.sets)) return `${this.#path} is of another release`;
      this.#origins.restore(file);
      this.#written = text;
      return undefined;
    } catch (e) {
      if ((e as { code?: string }).code === 'ENOENT') return undefined;
      return `${this.#path} cannot be read: ${errorMessage(e)}`;
    }
  }

  /** Writes when something changed. Errors: STATE_WRITE. */
  save(): void {
    const text = JSON.stringify(this.#origins.save());
    if (text === this.#written) return;
    const fresh = `${this.#path}.new`;
    try {
      const fd = openSync(fresh, 'w', 0o600);
      writeFileSync(fd, text);
      fsyncSync(fd);
      closeSync(fd);
      renameSync(fresh, this.#path);
    } catch (cause) {
      throw new MerlonError('STATE_WRITE', `${this.#path} cannot be written`, { cause });
    }
    this.#written = text;
  }
}
