/**
 * Takes merlon off this node, also with the agent dead: first what hangs in a packet's way, then maps, then
 * the devices it made, then the settings it changed. Running it twice does no harm.
 */
import { rmSync } from 'node:fs';
import { judgedDevices, uninstall as uninstallDatapath } from '#datapath';
import { removeEndpoints, restoreSysctls } from '#endpoint';
import { RunDirLock } from './lock.ts';
import { existsSync } from 'node:fs';

export interface UninstallOptions {
  readonly stateDir: string;
  readonly runDir: string;
  readonly bpfRoot: string;
  /** Programs and pins stay and go on enforcing. */
  readonly keepEnforcing: boolean;
  /** State goes, too. */
  readonly purge: boolean;
}

/** What was there and is no more. */
export interface UninstallReport {
  readonly links: number;
  readonly filters: number;
  readonly pins: number;
  readonly endpoints: number;
  readonly stateRemoved: boolean;
}

/** Errors: AGENT_RUNNING, INSTANCE_LOCKED, KERNEL_*. */
export async function uninstall(options: UninstallOptions): Promise<UninstallReport> {
  const { stateDir, runDir, bpfRoot, keepEnforcing, purge } = options;
  using _lock = existsSync(runDir) ? new RunDirLock(runDir) : undefined;
  const nothing = { links: 0, filters: 0, pins: 0 };
  const judged = keepEnforcing ? [] : judgedDevices(bpfRoot);
  const datapath = keepEnforcing ? nothing : uninstallDatapath({ bpfRoot });
  let endpoints = 0;
  if (!keepEnforcing) {
    endpoints = await removeEndpoints(stateDir, judged);
    await restoreSysctls(stateDir, () => {});
  }
  const stateRemoved = purge && existsSync(stateDir);
  if (purge) rmSync(stateDir, { recursive: true, force: true });
  rmSync(runDir, { recursive: true, force: true });
  return { ...datapath, endpoints, stateRemoved };
}
