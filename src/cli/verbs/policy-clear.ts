/** `merlon policy clear`: the one way from a directory that emptied at once to no policy at all. */
import { call } from '#api/client';
import { MerlonError } from '#kit/errors';
import type { Run } from '../verb.ts';

export const run: Run = async (context, _args, options) => {
  if (options['yes'] !== true) {
    throw new MerlonError('USAGE', 'what no policy selects is open: this may open the node', {
      hint: 'say --yes if that is meant',
    });
  }
  await call<void>('/v1/policy/clear', { ...context, method: 'POST' });
  context.output.message('enforced is what the manifest directory holds now');
};
