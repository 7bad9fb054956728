/** The reconcilers: which table the kernel is made equal to, and by what. */
import type { Logger } from 'pino';
import { systemClock } from '#kit/clock';
import { MerlonError } from '#kit/errors';
import type { Datapath } from '#datapath';
import type { DeviceRow, FailsafeRow, LocalAddressRow } from '#model';
import { type Problem, type Reconciler, reconcile } from '#table';
import type { AgentTables } from './tables.ts';

export interface Reconcilers extends AsyncDisposable {
  readonly devices: Reconciler<DeviceRow>;
  readonly addresses: Reconciler<LocalAddressRow>;
  readonly failsafe: Reconciler<FailsafeRow>;
}

const BACKOFF = { minMs: 50, maxMs: 30_000 } as const;
/** Drift is rare and reading everything costs: once a minute. */
const PRUNE_INTERVAL_MS = 60_000;

export function startReconcilers(
  tables: AgentTables,
  datapath: Datapath,
  logger: Logger,
  signal: AbortSignal,
): Reconcilers {
  const onProblem = (problem: Problem<unknown> | { readonly prune: unknown }): void => {
    if ('prune' in problem)
      return logger.warn({ err: problem.prune }, 'a check for drift failed; it is tried again');
    const { error: err } = problem.status;
    const what = 'a row could not be carried out; it is tried again';
    // Devices wait for the first policy of this release, as the datapath has told.
    const isUpgrade = err instanceof MerlonError && err.code === 'INSTANCE_UPGRADE';
    logger[isUpgrade ? 'debug' : 'warn']({ row: problem.row, err }, what);
  };
  const pruneIntervalMs = PRUNE_INTERVAL_MS;
  const common = { clock: systemClock, signal, backoff: BACKOFF, pruneIntervalMs, onProblem };
  const addresses = reconcile<LocalAddressRow>({
    ...common,
    table: tables.localAddresses,
    ops: {
      update: (row) => datapath.addresses.update(row),
      delete: (row) => datapath.addresses.delete(row),
      prune: (rows) => datapath.addresses.prune(rows),
    },
  });
  const devices = reconcile<DeviceRow>({
    ...common,
    table: tables.devices,
    ops: {
      update: (row) => datapath.devices.update(row),
      delete: (row) => datapath.devices.delete(row),
      prune: (rows) => datapath.devices.prune(rows),
    },
  });
  // Entries of one port share a group, so the set is written as a whole.
  const setAll = async (): Promise<void> => datapath.failsafe.set([...tables.failsafe.all()]);
  const failsafe = reconcile<FailsafeRow>({
    ...common,
    table: tables.failsafe,
    ops: { updateBatch: setAll, deleteBatch: setAll, prune: async () => setAll() },
  });
  return {
    devices,
    addresses,
    failsafe,
    async [Symbol.asyncDispose]() {
      for (const one of [failsafe, devices, addresses]) await one[Symbol.asyncDispose]();
    },
  };
}
