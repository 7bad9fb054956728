/** `merlon policy get`: the policies of the agent with their state. */
import { call, type PolicyView } from '#api/client';
import { MerlonError } from '#kit/errors';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

const SHORT: Readonly<Record<string, string>> = {
  CiliumNetworkPolicy: 'CNP',
  CiliumClusterwideNetworkPolicy: 'CCNP',
  NetworkPolicy: 'KNP',
};

export const policyColumns: readonly Column<PolicyView>[] = [
  { title: 'KIND', cell: (p) => SHORT[p.kind] ?? p.kind },
  { title: 'NAME', cell: (p) => (p.namespace === undefined ? p.name : `${p.namespace}/${p.name}`) },
  { title: 'STATE', cell: (p) => p.status.state },
  { title: 'RULES', cell: (p) => String(p.rules), align: 'right' },
  {
    title: 'SELECTS',
    cell: (p) => (p.status.selects === undefined ? '' : String(p.status.selects)),
    align: 'right',
  },
  { title: 'WHERE', cell: (p) => (p.file === undefined ? p.source : `${p.file}:${p.line ?? 1}`) },
  {
    title: 'NOTES',
    cell: (p) => [p.status.reason, ...p.status.warnings].filter((n) => n !== undefined).join('; '),
  },
];

export const run: Run = async (context, [name]) => {
  const all = await call<readonly PolicyView[]>('/v1/policies', context);
  const rows =
    name === undefined ? all : all.filter((p) => p.name === name || `${p.namespace}/${p.name}` === name);
  if (name !== undefined && rows.length === 0) throw new MerlonError('NOT_FOUND', `no policy "${name}"`);
  await context.output.rows(rows, policyColumns, 'no policies: every direction of every endpoint is open');
};
