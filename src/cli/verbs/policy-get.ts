/** `merlon policy get`: the policies of the agent with their state. */
import { call, type PolicyView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';
import type { Column } from '../output.ts';
import { place, shortPlace } from '../place.ts';
import type { Run } from '../verb.ts';

/** Kinds as people abbreviate them. */
export const SHORT_KINDS: Readonly<Record<string, string>> = {
  CiliumNetworkPolicy: 'CNP',
  CiliumClusterwideNetworkPolicy: 'CCNP',
  NetworkPolicy: 'KNP',
};

export const policyColumns: readonly Column<PolicyView>[] = [
  { title: 'KIND', cell: (p) => SHORT_KINDS[p.kind] ?? p.kind },
  { title: 'NAME', cell: (p) => (p.namespace === undefined ? p.name : `${p.namespace}/${p.name}`) },
  { title: 'STATE', cell: (p) => p.status.state },
  { title: 'RULES', cell: (p) => String(p.rules), align: 'right' },
  {
    title: 'SELECTS',
    cell: (p) => (p.status.selects === undefined ? '' : String(p.status.selects)),
    align: 'right',
  },
  {
    title: 'WHERE',
    cell: (p) => place(p) || p.source,
    short: (p) => shortPlace(p) || p.source,
    wraps: true,
  },
  {
    title: 'NOTES',
    cell: notes,
    wraps: true,
  },
];

function notes({ status: { reason, warnings, findings = [] } }: PolicyView): string {
  const open = findings.filter(({ settling }) => settling === true);
  const soFar = open.map(({ message, hint }) => `so far: ${message} (${hint})`);
  return [reason, ...warnings, ...soFar].filter((note) => note !== undefined).join('; ');
}

export const run: Run = async (context, [name]) => {
  const all = await call<readonly PolicyView[]>('/v1/policies', context);
  const rows =
    name === undefined ? all : all.filter((p) => p.name === name || `${p.namespace}/${p.name}` === name);
  if (name !== undefined && rows.length === 0) throw notFound(name, all);
  await context.output.rows(rows, policyColumns, 'no policies: every direction of every endpoint is open');
};

function notFound(name: string, all: readonly PolicyView[]): MerlonError {
  const close = nearest(
    name,
    all.map((p) => p.name),
  );
  return new MerlonError('NOT_FOUND', `no policy "${name}"`, {
    hint: close === undefined ? '`merlon policy get` shows them' : `did you mean "${close}"?`,
  });
}
