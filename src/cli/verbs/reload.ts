/** `merlon reload`: all or nothing; what needs a restart is named. */
import { call, type ReloadView } from '#api/client';
import type { Run } from '../verb.ts';

export const run: Run = async (context) => {
  const view = await call<ReloadView>('/v1/reload', { ...context, method: 'POST' });
  await context.output.value(view, () => {
    const { policies, generation } = view;
    const keys = view.changed.length === 0 ? 'unchanged' : `changed ${view.changed.join(', ')}`;
    const inForce = `${policies} ${policies === 1 ? 'policy' : 'policies'} in force, generation ${generation}`;
    const lines = [`configuration ${keys}; ${inForce}`];
    if (view.needsRestart.length > 0) {
      lines.push(`only after a restart of the agent: ${view.needsRestart.join(', ')}`);
    }
    return `${lines.join('\n')}\n`;
  });
};
