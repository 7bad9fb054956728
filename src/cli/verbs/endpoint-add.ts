/** `merlon endpoint add`: a namespace becomes an endpoint; answers once its policy is enforced. */
import { resolve } from 'node:path';
import { call, type EndpointRequest, type EndpointView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { list, type Run, text } from '../verb.ts';

export const run: Run = async (context, [name = ''], options) => {
  const netns = text(options, 'netns');
  if (netns === undefined) {
    throw new MerlonError('USAGE', 'which namespace? --netns is missing', {
      hint: '`ip netns list` shows the named ones',
    });
  }
  const namespace = text(options, 'namespace');
  const body: EndpointRequest = {
    name,
    // A path is the caller's, not the agent's, whose working directory is another.
    netns: netns.includes('/') ? resolve(netns) : netns,
    labels: commas(list(options, 'labels')),
    ips: commas(list(options, 'ip')),
    ...(namespace === undefined ? {} : { namespace }),
  };
  const made = await call<EndpointView>('/v1/endpoints', { ...context, method: 'POST', body });
  await context.output.value(
    made,
    () =>
      `endpoint ${made.id} ${made.namespace}/${made.name}: ${[...made.ipv4, ...made.ipv6].join(', ')} on ${made.device}, identity ${made.identity}\n`,
  );
};

function commas(given: readonly string[]): readonly string[] {
  return given.flatMap((g) => g.split(',')).filter((g) => g !== '');
}
