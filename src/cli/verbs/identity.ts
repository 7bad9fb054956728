/** `merlon identity list|get`. */
import { call, type IdentityView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { shortLabels } from '../labels.ts';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

const columns: readonly Column<IdentityView>[] = [
  { title: 'ID', cell: (r) => String(r.id) },
  { title: 'LABELS', cell: (r) => shortLabels(r.labels).join(' '), wraps: true },
  {
    title: 'PREFIXES',
    cell: (r) =>
      r.prefixes.length > 3
        ? `${r.prefixes.slice(0, 3).join(', ')}, … (${r.prefixes.length})`
        : r.prefixes.join(', '),
    wraps: true,
  },
];

export const run: Run = async (context, [wanted]) => {
  const all = await call<readonly IdentityView[]>('/v1/identities', context);
  if (wanted === undefined) return context.output.rows(all, columns, 'no identities');
  const found = all.find((i) => String(i.id) === wanted);
  if (found === undefined) throw new MerlonError('IDENTITY_NOT_FOUND', `no identity ${wanted}`);
  await context.output.value(found, () => render(found));
};

function render({ id, labels, prefixes }: IdentityView): string {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['Identity', [String(id)]],
    ['Labels', labels],
    ['Prefixes', prefixes],
  ];
  return rows
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `${`${name}:`.padEnd(10)}${values.join(`\n${' '.repeat(10)}`)}\n`)
    .join('');
}
