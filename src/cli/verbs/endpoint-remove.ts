/** `merlon endpoint remove`: undoes `endpoint add`. */
import { call } from '#api/client';
import type { Run } from '../verb.ts';

export const run: Run = async (context, [name = '']) => {
  await call<void>(`/v1/endpoints/${encodeURIComponent(name)}`, { ...context, method: 'DELETE' });
  context.output.message(`endpoint ${name} is gone`);
};
