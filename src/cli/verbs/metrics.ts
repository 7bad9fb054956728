/** `merlon metrics list`. */
import { call, type MetricView } from '#api/client';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

const columns: readonly Column<MetricView>[] = [
  { title: 'METRIC', cell: (r) => r.name },
  {
    title: 'LABELS',
    cell: (r) =>
      Object.entries(r.labels)
        .map(([k, v]) => `${k}="${v}"`)
        .join(' '),
  },
  { title: 'VALUE', cell: (r) => String(r.value), align: 'right' },
];

export const run: Run = async (context) => {
  await context.output.rows(await call<readonly MetricView[]>('/v1/metrics', context), columns, 'no metrics');
};
