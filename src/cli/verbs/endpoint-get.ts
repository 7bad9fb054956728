/** `merlon endpoint get`: one endpoint, by id or name. */
import { call, type EndpointView } from '#api/client';
import { endpointNamed } from '#model';
import type { Context, Run } from '../verb.ts';

export const run: Run = async (context, [wanted = '']) => {
  const found = await oneEndpoint(context, wanted);
  await context.output.value(found, () => render(found));
};

/** The endpoint of this id or name. Error: ENDPOINT_NOT_FOUND. */
export async function oneEndpoint(context: Context, wanted: string): Promise<EndpointView> {
  return endpointNamed(await call<readonly EndpointView[]>('/v1/endpoints', context), wanted);
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
    ['Selected by', e.policies.join('\n') || 'no policy'],
    // Contents are told by their digests, of which a few digits tell apart what one node has.
    ['Rule set', e.ruleSet.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/g, '$1')],
  ];
  return `${rows.map(([name, value]) => `${`${name}:`.padEnd(13)}${value.replaceAll('\n', `\n${' '.repeat(13)}`)}`).join('\n')}\n`;
}
