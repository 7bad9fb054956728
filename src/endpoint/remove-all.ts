/** Undoes every endpoint of a node without an agent: what `merlon uninstall` needs. */
import { openNetlink } from '#netlink';
import { unplumb } from './device.ts';
import { Records } from './record.ts';

/** Removes the devices that were made and every record; how many devices there were. */
export async function removeEndpoints(stateDir: string): Promise<number> {
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
  return count;
}
