/** `merlon bpf policy get`: one endpoint's policy as the kernel holds it, in the columns Cilium users know. */
import { call, type PolicyMapView } from '#api/client';
import { shortLabels } from '../labels.ts';
import type { Column } from '../output.ts';
import { place, rulesText, shortPlace } from '../place.ts';
import type { Run } from '../verb.ts';

const columns: readonly Column<PolicyMapView>[] = [
  { title: 'POLICY', cell: (r) => r.policy },
  { title: 'DIRECTION', cell: (r) => r.direction },
  { title: 'IDENTITY', cell: (r) => String(r.identity) },
  { title: 'LABELS', cell: (r) => shortLabels(r.labels).join(' '), wraps: true },
  { title: 'PORT/PROTO', cell: (r) => r.portProto, wraps: true },
  { title: 'PROXY PORT', cell: (r) => r.proxyPort },
  {
    title: 'RULES',
    cell: (r) => rulesText(r.rules, place),
    short: (r) => rulesText(r.rules, shortPlace),
    wraps: true,
  },
  { title: '', cell: (r) => (r.differs === undefined ? '' : `DIFFERS: ${r.differs}`) },
];

export const run: Run = async (context, [endpoint = 'host']) => {
  const rows = await call<readonly PolicyMapView[]>(
    `/v1/policy/map/${encodeURIComponent(endpoint)}`,
    context,
  );
  await context.output.rows(rows, columns, `no direction of ${endpoint} is enforced: everything passes`);
};
