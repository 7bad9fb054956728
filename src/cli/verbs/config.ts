/** `merlon config view`: every key as the agent has it, with who set it. `config KEY=VALUE` sets one. */
import { call, type ConfigEntryView } from '#api/client';
import type { Column } from '../output.ts';
import { optionOf } from '../option.ts';
import type { Run } from '../verb.ts';

export const run: Run = async (context, args, options) => {
  if (args[0] !== undefined) {
    const { key, isOn } = optionOf(args[0]);
    await call<void>(`/v1/config/${key}`, { ...context, method: 'POST', body: { value: isOn } });
    context.output.message(`${key} is ${isOn}, for everything and until it is set otherwise`);
    return;
  }
  const rows = await call<readonly ConfigEntryView[]>('/v1/config', context);
  const columns: Column<ConfigEntryView>[] = [
    { title: 'KEY', cell: (r) => r.key },
    { title: 'VALUE', cell: (r) => (r.value === undefined ? '' : JSON.stringify(r.value)), wraps: true },
  ];
  if (options['origin'] === true) columns.push({ title: 'ORIGIN', cell: (r) => r.origin, wraps: true });
  await context.output.rows(rows, columns, 'the agent has no configuration');
};
