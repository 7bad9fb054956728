/** `merlon endpoint list`, in the columns that Cilium users know. */
import { call, type DirectionState, type EndpointView } from '#api/client';
import { shortLabels } from '../labels.ts';
import type { Column, Output } from '../output.ts';
import type { Run } from '../verb.ts';

/** Cilium's words: what is in audit enforces nothing. */
const STATES: Readonly<Record<DirectionState, string>> = {
  disabled: 'Disabled',
  enforce: 'Enabled',
  audit: 'Disabled (Audit)',
};

/** A row a label, as the reference prints: the first line carries everything else. */
interface Line {
  readonly endpoint: EndpointView | undefined;
  readonly label: string;
}

const columns: readonly Column<Line>[] = [
  { title: 'ENDPOINT', cell: (l) => (l.endpoint === undefined ? '' : String(l.endpoint.id)) },
  {
    title: 'POLICY (ingress)',
    cell: (l) => (l.endpoint === undefined ? '' : STATES[l.endpoint.policy.ingress]),
  },
  {
    title: 'POLICY (egress)',
    cell: (l) => (l.endpoint === undefined ? '' : STATES[l.endpoint.policy.egress]),
  },
  { title: 'IDENTITY', cell: (l) => (l.endpoint === undefined ? '' : String(l.endpoint.identity)) },
  { title: 'LABELS', cell: (l) => l.label, wraps: true },
  { title: 'IPv6', cell: (l) => l.endpoint?.ipv6.join(',') ?? '' },
  { title: 'IPv4', cell: (l) => l.endpoint?.ipv4.join(',') ?? '' },
  { title: 'STATUS', cell: (l) => l.endpoint?.state ?? '' },
];

/** Endpoints as table, or as the API gave them. */
export async function printEndpoints(output: Output, rows: readonly EndpointView[]): Promise<void> {
  if (!output.isForPeople) return output.rows(rows, [], '');
  const lines = rows.flatMap((endpoint) => {
    const labels = endpoint.labels.length === 0 ? [''] : shortLabels(endpoint.labels);
    return labels.map((label, i): Line => ({ endpoint: i === 0 ? endpoint : undefined, label }));
  });
  await output.rows(lines, columns, 'no endpoints; `merlon endpoint add` makes one');
}

export const run: Run = async (context) => {
  await printEndpoints(context.output, await call<readonly EndpointView[]>('/v1/endpoints', context));
};
