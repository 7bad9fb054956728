/**
 * What verbs say of modes and audit, carried out: kept on disk first, so that nothing is in force that a reboot
 * forgets, then in the tables, then in the kernel.
 *
 * Audit begins at once and ends last: where a word leaves the node's audit for that of one direction, the rule
 * set that knows of it is in place before the mode changes, so that nothing is refused in between.
 */
import type { Datapath } from '#datapath';
import type { Endpoints, StateFile } from '#endpoint';
import { Mutex } from '#kit/async';
import type { Direction } from '#model';
import type { Database } from '#table';
import { hostMode, type Modes, withMode, withPolicyAudit } from './modes.ts';
import type { PolicyLoop } from './policy-loop.ts';
import { type AgentTables, configOf, modesOf, setOne } from './tables.ts';

/** A change that takes longer than this to be enforced is answered as not in time; it goes on all the same. */
const ENFORCE_TIMEOUT_MS = 10_000;

export interface ModeControlOptions {
  readonly db: Database;
  readonly tables: AgentTables;
  readonly datapath: Datapath;
  readonly endpoints: Endpoints;
  readonly loop: PolicyLoop;
  readonly file: StateFile<Modes>;
}

/** The host's mode as the tables have it, into the kernel: one store, and none when it is there already. */
export function applyMode(datapath: Datapath, tables: AgentTables): void {
  const mode = hostMode(configOf(tables), modesOf(tables));
  if (datapath.hostMode !== mode) datapath.setHostMode(mode);
}

/** The same, but audit of the node goes on until the policies of these tables are enforced. */
export function beginMode(datapath: Datapath, tables: AgentTables): void {
  if (datapath.hostMode !== 'audit') applyMode(datapath, tables);
}

export class ModeControl {
  readonly #options: ModeControlOptions;
  readonly #mutex = new Mutex();

  constructor(options: ModeControlOptions) {
    this.#options = options;
  }

  /** `hostfw mode MODE [--direction D]`. Errors: USAGE, STATE_WRITE, TIMEOUT. */
  async setMode(mode: Parameters<typeof withMode>[2], direction: Direction | undefined): Promise<void> {
    using _ = await this.#mutex.lock();
    const { tables } = this.#options;
    await this.#set(withMode(configOf(tables), modesOf(tables), mode, direction));
  }

  /** `config PolicyAuditMode=…`: of everything, whatever was set for parts of it. */
  async setPolicyAudit(isOn: boolean): Promise<void> {
    using _ = await this.#mutex.lock();
    const { tables, endpoints } = this.#options;
    const modes = withPolicyAudit(configOf(tables), modesOf(tables), isOn);
    await endpoints.setAudit(undefined, undefined);
    await this.#set(modes);
  }

  /** `endpoint config ID PolicyAuditMode=…`. Errors: ENDPOINT_NOT_FOUND, STATE_WRITE, TIMEOUT. */
  async setEndpointAudit(name: string, isOn: boolean): Promise<void> {
    await this.#options.endpoints.setAudit(name, isOn);
    await this.#enforced();
  }

  async #set(modes: Modes): Promise<void> {
    const { db, tables, datapath, file } = this.#options;
    await file.write(modes);
    setOne(db, tables.modes, 'verbs', modes);
    beginMode(datapath, tables);
    await this.#enforced();
  }

  async #enforced(): Promise<void> {
    const { db, loop, datapath, tables } = this.#options;
    db.flush();
    // Before the first policy there is nothing to wait for: whatever comes is enforced as it is said now.
    if (loop.enforced !== undefined) await loop.settled(db.revision, AbortSignal.timeout(ENFORCE_TIMEOUT_MS));
    applyMode(datapath, tables);
  }
}
