/**
 * Whether an endpoint is judged yet. A new device stays down until its record, its rule set and its programs
 * are in the kernel: no packet of an endpoint ever passes unjudged.
 */
import type { Datapath } from '#datapath';
import { until } from '#kit/async';
import type { EndpointRow } from '#model';
import type { Database } from '#table';
import type { PolicyLoop } from './policy-loop.ts';

/** Programs on a pod's device: one each way. */
const HOOKS = 2;
const TIMEOUT_MS = 10_000;

/** Resolves once the endpoint's device is judged both ways. Errors: TIMEOUT, and those of a failed pass. */
export async function untilJudged(
  row: EndpointRow,
  parts: { readonly db: Database; readonly loop: PolicyLoop; readonly datapath: Datapath },
  signal: AbortSignal,
): Promise<void> {
  const { db, loop, datapath } = parts;
  await loop.settled(db.revision, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
  await until(() => datapath.devices.hooks(row.ifindex).length >= HOOKS, {
    signal,
    timeoutMs: TIMEOUT_MS,
    intervalMs: 2,
    what: `programs on device ${row.device}`,
  });
}
