/** Devices as `merlon devices` shows them. */
import type { DeviceView } from '#api';
import type { DropCounter } from '#datapath';
import type { DeviceRow } from '#model';
import type { ViewContext } from './context.ts';

export function deviceViews({ tables, datapath, reconcilers }: ViewContext): readonly DeviceView[] {
  const drops = dropsByDevice(datapath.counters.drops(datapath.devices.bySlot()));
  return [...tables.devices.all()].map((row) => {
    const hooks = datapath.devices.hooks(row.ifindex);
    const status = reconcilers.devices.status(row.ifindex);
    const refusal = datapath.devices.xdpRefusal(row.ifindex);
    const failure =
      status?.kind === 'error' ? `: ${status.reason}` : refusal === undefined ? '' : `; no XDP: ${refusal}`;
    return {
      name: row.name,
      ifindex: row.ifindex,
      kind: row.kind,
      selected: row.selected,
      reason: `${row.reason}${failure}`,
      hooks: hooks.map(({ hook, program, programId, linkId, tag }) => ({
        hook,
        program,
        programId,
        linkId,
        tag,
      })),
      dropped: drops.get(row.ifindex) ?? 0,
      unprotected: row.selected
        ? !['ingress', 'egress'].every((side) => hooks.some(({ hook }) => hook.endsWith(side)))
        : isForgotten(row, tables.netdev.addresses.by('device', row.ifindex)),
    };
  });
}

/** A device that policy leaves out although packets to this node's addresses may come in by it. */
function isForgotten(row: DeviceRow, addresses: Iterable<{ readonly scope: number }>): boolean {
  const SCOPE_UNIVERSE = 0;
  const isPort = row.reason.includes('port of');
  if (row.name === 'lo' || isPort || row.reason.includes('is down')) return false;
  return [...addresses].some((address) => address.scope === SCOPE_UNIVERSE);
}

function dropsByDevice(drops: readonly DropCounter[]): ReadonlyMap<number, number> {
  const sums = new Map<number, number>();
  for (const { ifindex, packets } of drops) sums.set(ifindex, (sums.get(ifindex) ?? 0) + Number(packets));
  return sums;
}
