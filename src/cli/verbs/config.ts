/** `merlon config view`: every key as the agent has it, with who set it. */
import { call, type ConfigEntryView } from '#api/client';
import { MerlonError } from '#kit/errors';
import type { Column } from '../output.ts';
import type { Run } from '../verb.ts';

export const run: Run = async (context, args, options) => {
  if (args[0] !== undefined) {
    throw new MerlonError('NOT_SUPPORTED_YET', `this build cannot set "${args[0]}" at run time yet`, {
      hint: 'write it into the configuration file and run `merlon reload`',
    });
  }
  const rows = await call<readonly ConfigEntryView[]>('/v1/config', context);
  const columns: Column<ConfigEntryView>[] = [
    { title: 'KEY', cell: (r) => r.key },
    { title: 'VALUE', cell: (r) => (r.value === undefined ? '' : JSON.stringify(r.value)), wraps: true },
  ];
  if (options['origin'] === true) columns.push({ title: 'ORIGIN', cell: (r) => r.origin, wraps: true });
  await context.output.rows(rows, columns, 'the agent has no configuration');
};
