/** `merlon policy get`: the policies of the agent with their state. */
import { call, type PolicyView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';
import type { Column, Output } from '../output.ts';
import { place, shortPlace } from '../place.ts';
import type { Run } from '../verb.ts';

/** Kinds as people abbreviate them. */
export const SHORT_KINDS: Readonly<Record<string, string>> = {
  CiliumNetworkPolicy: 'CNP',
  CiliumClusterwideNetworkPolicy: 'CCNP',
  NetworkPolicy: 'KNP',
};

const columns: readonly Column<PolicyView>[] = [
  { title: 'KIND', cell: (p) => SHORT_KINDS[p.kind] ?? p.kind },
  { title: 'NAME', cell: titleOf },
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
];

export const run: Run = async ({ output, ...context }, [name]) => {
  const all = await call<readonly PolicyView[]>('/v1/policies', context);
  const rows =
    name === undefined ? all : all.filter((p) => p.name === name || `${p.namespace}/${p.name}` === name);
  if (name !== undefined && rows.length === 0) throw notFound(name, all);
  await output.rows(rows, columns, 'no policies: every direction of every endpoint is open', notesText);
};

/** The table, and below it whatever there is to say of single policies. */
export function policyTable(output: Output, rows: readonly PolicyView[]): string {
  return output.table(rows, columns) + notesText(rows);
}

function titleOf({ namespace, name }: PolicyView): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** A sentence a line: in a column of its own it would have no room. */
function notesText(rows: readonly PolicyView[]): string {
  const lines = rows.flatMap((row) => notesOf(row).map((note) => `${titleOf(row)}: ${note}\n`));
  return lines.length === 0 ? '' : `\n${lines.join('')}`;
}

function notesOf({ status: { reason, warnings, findings = [] } }: PolicyView): readonly string[] {
  const open = findings.filter(({ settling }) => settling === true);
  const soFar = open.map(({ message, hint }) => `so far: ${message} (${hint})`);
  return [...(reason === undefined ? [] : [reason]), ...warnings, ...soFar];
}

function notFound(name: string, all: readonly PolicyView[]): MerlonError {
  const close = nearest(
    name,
    all.map((p) => p.name),
  );
  return new MerlonError('NOT_FOUND', `no policy "${name}"`, {
    hint: close === undefined ? '`merlon policy get` shows them' : `did you mean "${close}"?`,
  });
}
