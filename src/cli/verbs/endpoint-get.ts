/** `merlon endpoint get`: one endpoint, by id or name. */
import { call, type EndpointView } from '#api/client';
import { MerlonError } from '#kit/errors';
import { nearest } from '#kit/nearest';
import type { Context, Run } from '../verb.ts';

export const run: Run = async (context, [wanted = '']) => {
  const found = await endpointNamed(context, wanted);
  await context.output.value(found, () => render(found));
};

/** The endpoint of this id or name. Error: ENDPOINT_NOT_FOUND. */
export async function endpointNamed(context: Context, wanted: string): Promise<EndpointView> {
  const all = await call<readonly EndpointView[]>('/v1/endpoints', context);
  const found = all.find(
    (e) => String(e.id) === wanted || e.name === wanted || `${e.namespace}/${e.name}` === wanted,
  );
  if (found !== undefined) return found;
  const close = nearest(
    wanted,
    all.map((e) => e.name),
  );
  throw new MerlonError('ENDPOINT_NOT_FOUND', `no endpoint "${wanted}"`, {
    hint: close === undefined ? '`merlon endpoint list` shows them' : `did you mean "${close}"?`,
  });
}

function render(e: EndpointView): string {
  const rows: [string, string][] = [
    ['Endpoint', `${e.id} ${e.namespace}/${e.name}`],
    ['State', e.state],
    ['Identity', String(e.identity)],
    ['Labels', e.labels.join('\n')],
    ['Addresses', [...e.ipv4, ...e.ipv6].join(', ')],
    ['Device', `${e.device} (${e.ifindex})${e.netns === undefined ? '' : `, in ${e.netns}`}`],
    ['Policy', `ingress ${e.policy.ingress}, egress ${e.policy.egress}, generation ${e.generation}`],
    ['Options', `PolicyAuditMode ${e.options.PolicyAuditMode}`],
    ['Rule set', e.ruleSet],
  ];
  return `${rows.map(([name, value]) => `${`${name}:`.padEnd(12)}${value.replaceAll('\n', `\n${' '.repeat(12)}`)}`).join('\n')}\n`;
}
