/** Undoes every endpoint of a node without an agent: what `merlon uninstall` needs. */
import { openNetlink } from '#netlink';
import { isDeviceName, unplumb } from './device.ts';
import { DEVICE_PREFIX } from './options.ts';
import { Records } from './record.ts';

/**
 * Removes the devices that were made and every record; how many devices there were. `judged`: devices that
 * carried programs, among which are those whose records are lost.
 */
export async function removeEndpoints(stateDir: string, judged: readonly number[] = []): Promise<number> {
  using netlink = openNetlink();
  const records = new Records(stateDir);
  let count = 0;
  for (const record of await records.read(() => {})) {
    if (record.kind === 'made' && netlink.link(record.device) !== undefined) {
      unplumb(netlink, record.device);
      count += 1;
    }
    await records.remove(record.id);
  }
  for (const ifindex of judged) {
    const link = netlink.link(ifindex);
    if (link?.kind !== 'veth' || !isDeviceName(DEVICE_PREFIX, link.name)) continue;
    unplumb(netlink, link.name);
    count += 1;
  }
  return count;
}
