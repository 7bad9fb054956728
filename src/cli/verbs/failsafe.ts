/** `merlon failsafe list`: what passes whatever the policy says. */
import { call, type FailsafeView } from '#api/client';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

const columns: readonly Column<FailsafeView>[] = [
  { title: '#', cell: (f) => String(f.entry), align: 'right' },
  { title: 'DIRECTION', cell: (f) => f.direction },
  { title: 'PROTOCOL', cell: (f) => f.protocol },
  { title: 'PORT', cell: (f) => f.port },
  { title: 'PEERS', cell: (f) => f.cidrs.join(', '), wraps: true },
  { title: 'DEVICE', cell: (f) => f.device || 'any' },
  { title: 'WHY', cell: (f) => f.why, wraps: true },
];

export const run: Run = async (context) => {
  await context.output.rows(
    await call<readonly FailsafeView[]>('/v1/failsafe', context),
    columns,
    'no failsafe entries: a wrong policy can lock you out',
  );
};
