/** `merlon reload`: all or nothing; what needs a restart is named. */
import { call, type ReloadView } from '#api/client';
import type { Run } from '../verb.ts';

export const run: Run = async (context) => {
  const view = await call<ReloadView>('/v1/reload', { ...context, method: 'POST' });
  await context.output.value(view, () => {
    const lines = [view.changed.length === 0 ? 'nothing changed' : `changed: ${view.changed.join(', ')}`];
    if (view.needsRestart.length > 0) {
      lines.push(`only after a restart of the agent: ${view.needsRestart.join(', ')}`);
    }
    return `${lines.join('\n')}\n`;
  });
};
