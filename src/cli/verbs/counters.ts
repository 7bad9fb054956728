/** `merlon counters`: hits of rules, drops by reason and device, paths taken. `bpf metrics list`: the last two. */
import { call, type CountersView } from '#api/client';
import { type Column, type Output, size } from '../output.ts';
import { place, shortPlace } from '../place.ts';
import type { Run } from '../verb.ts';

type RuleRow = CountersView['rules'][number];
type DropRow = CountersView['drops'][number];

const ruleColumns: readonly Column<RuleRow>[] = [
  { title: 'RULE', cell: (r) => (r.shared ? `${r.id} (shared)` : r.id) },
  { title: 'FLOWS', cell: (r) => String(r.flows), align: 'right' },
  { title: 'PACKETS', cell: (r) => String(r.packets), align: 'right' },
  { title: 'BYTES', cell: (r) => size(r.bytes), align: 'right' },
  {
    title: 'LAST HIT',
    cell: (r) => r.lastHit?.slice(0, 19).replace('T', ' ') ?? 'never',
    short: (r) => r.lastHit?.slice(11, 19) ?? 'never',
  },
  { title: 'WHERE', cell: place, short: shortPlace, wraps: true },
];

const reasonColumns = (title: string): readonly Column<DropRow>[] => [
  { title, cell: (r) => r.reason },
  { title: 'DEVICE', cell: (r) => r.device },
  { title: 'PACKETS', cell: (r) => String(r.packets), align: 'right' },
  { title: 'BYTES', cell: (r) => size(r.bytes), align: 'right' },
];

export const run: Run = async (context) => {
  const view = await call<CountersView>('/v1/counters', context);
  const { output } = context;
  await output.value(view, () => {
    const rules = view.rules.length === 0 ? 'no rules\n' : output.table(view.rules, ruleColumns);
    return `${rules}\n${dropsAndPaths(view, output)}`;
  });
};

/** What the programs counted, without the rules. */
export const runMetrics: Run = async (context) => {
  const { rules: _, ...rest } = await call<CountersView>('/v1/counters', context);
  await context.output.value(rest, () => dropsAndPaths(rest, context.output));
};

function dropsAndPaths(view: Omit<CountersView, 'rules'>, output: Output): string {
  const drops =
    view.drops.length === 0 ? 'nothing dropped\n' : output.table(view.drops, reasonColumns('DROP REASON'));
  const passed =
    view.audited.length === 0 ? '' : `\n${output.table(view.audited, reasonColumns('PASSED BY AUDIT'))}`;
  const paths = Object.entries(view.paths).map(([name, packets]) => ({ name, packets }));
  const pathTable = output.table(paths, [
    { title: 'PATH', cell: (p) => p.name },
    { title: 'PACKETS', cell: (p) => String(p.packets), align: 'right' },
  ]);
  return `${drops}${passed}\n${pathTable}`;
}
