/**
 * The datapath's control: loads the programs, owns their maps, and makes the kernel hold what tables say.
 *
 *   compiled policy ──▶ classes, slots, control words      events, flows, counters ──▶ agent
 *   rows: ipcache, addresses, devices, endpoints, failsafe ──▶ maps, links
 *
 * Rows in: CompiledPolicy, IpcacheRow, AddressRow, DeviceRow, EndpointRow, FailsafeRow. Out: event records,
 * flow records, counters, status. Invariants:
 *
 * - What is enforced outlives this process: maps and links are pinned, closing detaches nothing, a start
 *   adopts what it finds and switches nothing that has not changed.
 * - No store shows a packet half of a change: `policy.ts` says how policy changes, `ipcache.ts` how identities
 *   do, `devices.ts` in which order a device gets its programs.
 * - Nothing is used again before a grace period has passed since the last store that led to it. Waiting for
 *   one, and reading the rings, happens in a worker; the main loop never waits for the kernel.
 * - One agent a bpf-root (lock), one network namespace an instance; ours are the programs that carry our
 *   instance id.
 */
import { Datapath } from './datapath.ts';
import type { DatapathOptions } from './options.ts';

export type { Attached } from './attach.ts';
export type { DropCounter, OriginCounter } from './counters.ts';
export { Datapath, type DatapathStatus, type HostMode } from './datapath.ts';
export type { DatapathOptions } from './options.ts';
export type { XdpMode } from './devices.ts';
export type { FlowEnd, FlowRecord, FlowTimeouts, FlowVerdict } from './flows.ts';
export type { IpcacheValue } from './ipcache.ts';
export { RULESET_HOST } from './layout.ts';
export type { Applied } from './policy.ts';
export type { CellReading, DirectionReading, PolicyReading, PortRuns, RulesetReading } from './reading.ts';
export { SLOT_BYTES as EVENT_SLOT_BYTES } from './ring.ts';
export { UdpServers } from './udp-servers.ts';
export { judgedDevices, type Uninstalled, uninstall } from './uninstall.ts';

/** Opens the datapath of this network namespace; see {@link Datapath.open}. */
export function openDatapath(opts: DatapathOptions): Promise<Datapath> {
  return Datapath.open(opts);
}
