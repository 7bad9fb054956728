/** `merlon counters`: hits of rules, drops by reason and device, paths taken. */
import { call, type CountersView } from '#api/client';
import { type Column, size, table } from '../output.ts';
import type { Run } from '../verb.ts';

type RuleRow = CountersView['rules'][number];
type DropRow = CountersView['drops'][number];

const ruleColumns: readonly Column<RuleRow>[] = [
  { title: 'RULE', cell: (r) => (r.shared ? `${r.id} (shared)` : r.id) },
  { title: 'FLOWS', cell: (r) => String(r.flows), align: 'right' },
  { title: 'PACKETS', cell: (r) => String(r.packets), align: 'right' },
  { title: 'BYTES', cell: (r) => size(r.bytes), align: 'right' },
  { title: 'LAST HIT', cell: (r) => r.lastHit?.slice(0, 19).replace('T', ' ') ?? 'never' },
  { title: 'WHERE', cell: (r) => (r.file === undefined ? '' : `${r.file}:${r.line ?? 1}`) },
];

const dropColumns: readonly Column<DropRow>[] = [
  { title: 'DROP REASON', cell: (r) => r.reason },
  { title: 'DEVICE', cell: (r) => r.device },
  { title: 'PACKETS', cell: (r) => String(r.packets), align: 'right' },
  { title: 'BYTES', cell: (r) => size(r.bytes), align: 'right' },
];

export const run: Run = async (context) => {
  const view = await call<CountersView>('/v1/counters', context);
  await context.output.value(view, () => {
    const rules = view.rules.length === 0 ? 'no rules\n' : table(view.rules, ruleColumns);
    const drops = view.drops.length === 0 ? 'nothing dropped\n' : table(view.drops, dropColumns);
    const paths = Object.entries(view.paths).map(([name, packets]) => ({ name, packets }));
    const pathTable = table(paths, [
      { title: 'PATH', cell: (p) => p.name },
      { title: 'PACKETS', cell: (p) => String(p.packets), align: 'right' },
    ]);
    return `${rules}\n${drops}\n${pathTable}`;
  });
};
