/** `merlon devices`, `merlon hostfw devices`: selected or why not, hooks, packets judged. */
import { call, type DeviceView } from '#api/client';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

export const run: Run = async (context) => {
  const rows = await call<readonly DeviceView[]>('/v1/devices', context);
  const { output } = context;
  const columns: readonly Column<DeviceView>[] = [
    { title: 'DEVICE', cell: (d) => d.name },
    { title: 'INDEX', cell: (d) => String(d.ifindex), align: 'right' },
    { title: 'KIND', cell: (d) => d.kind },
    { title: 'SELECTED', cell: (d) => (d.selected ? 'yes' : 'no') },
    { title: 'WHY', cell: (d) => d.reason, wraps: true },
    { title: 'HOOKS', cell: (d) => d.hooks.map((h) => `${h.hook} ${h.programId}`).join(', '), wraps: true },
    { title: 'DROPPED', cell: (d) => String(d.dropped), align: 'right' },
    { title: '', cell: (d) => (d.unprotected ? output.paint('red', 'UNPROTECTED') : '') },
  ];
  await output.rows(rows, columns, 'no devices');
};
