/** `merlon policy history`: the generations that are kept, and what changed from one to the next. */
import type { GenerationView } from '#api/client';
import { keeperOf } from '../generations.ts';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

const columns: readonly Column<GenerationView>[] = [
  { title: 'GENERATION', cell: (g) => `${g.generation}${g.active ? ' (active)' : ''}` },
  { title: 'ENFORCED AT', cell: (g) => g.enforcedAt.replace(/\.\d+Z$/, 'Z') },
  { title: 'POLICIES', cell: (g) => String(g.policies), align: 'right' },
  { title: 'CHANGES', cell: changesText, wraps: true },
];

/** `+ added, ~ changed, - removed`; what no policy shows is a label, a group or a setting. */
function changesText({ changes }: GenerationView): string {
  if (changes === undefined) return '';
  const marked = (mark: string, names: readonly string[]) => names.map((name) => `${mark}${name}`);
  const all = [
    ...marked('+', changes.added),
    ...marked('~', changes.changed),
    ...marked('-', changes.removed),
  ];
  const more = all.length - 6;
  if (all.length === 0) return 'no policy; a CIDR group, service, node label or setting';
  return more > 0 ? `${all.slice(0, 6).join(' ')} and ${more} more` : all.join(' ');
}

export const run: Run = async (context, _args, options) => {
  const rows = (await keeperOf(context, options)).list();
  await context.output.rows(rows, columns, 'nothing was enforced yet');
};
