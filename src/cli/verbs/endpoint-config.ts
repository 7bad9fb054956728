/** `merlon endpoint config`: options of one endpoint, in Cilium's words. */
import { call, type EndpointView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { optionOf } from '../option.ts';
import type { Run } from '../verb.ts';
import { oneEndpoint } from './endpoint-get.ts';

export const run: Run = async (context, [wanted = '', ...settings]) => {
  if (wanted === 'host') {
    throw new MerlonError('USAGE', 'the node itself is set by `merlon hostfw mode enforce|audit`');
  }
  const options = settings.map(optionOf);
  const endpoint = await oneEndpoint(context, wanted);
  for (const { isOn } of options) {
    await call<void>(`/v1/endpoints/${endpoint.id}/audit`, {
      ...context,
      method: 'POST',
      body: { value: isOn },
    });
  }
  if (options.length > 0)
    context.output.message(`Endpoint ${endpoint.id} configuration updated successfully`);
  const after = options.length === 0 ? endpoint : await oneEndpoint(context, String(endpoint.id));
  await context.output.value(after.options, () => render(after));
};

function render({ options }: EndpointView): string {
  return Object.entries(options)
    .map(([name, value]) => `${name.padEnd(24)}: ${value}\n`)
    .join('');
}
