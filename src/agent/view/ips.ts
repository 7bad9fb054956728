/** Addresses and identities: what the kernel's maps hold, beside what they should hold. */
import type { IpView } from '#api';
import { type IpcacheRow, RESERVED_IDENTITY } from '#model';
import type { ViewContext } from './context.ts';
import type { NumberNames } from './names.ts';

/** Every prefix that either side knows. What the kernel has is read out of it for each answer. */
export function ipViews({ loop, datapath }: ViewContext, names: NumberNames): readonly IpView[] {
  const held = datapath.ipcache.read();
  const wanted = loop.enforced?.ipcache ?? [];
  const known = new Set(wanted.map(({ prefix }) => prefix));
  const rows = wanted.map((row): IpView => {
    const kernel = held.get(row.prefix)?.identity;
    return {
      prefix: row.prefix,
      identity: row.identity,
      labels: names.labels(row.identity),
      source: sourceOf(row),
      inKernel: kernel === row.identity,
      ...(kernel === undefined ? {} : { kernelIdentity: kernel }),
    };
  });
  const strays = [...held].filter(([prefix]) => !known.has(prefix));
  return [
    ...rows,
    ...strays.map(([prefix, { identity }]): IpView => {
      const labels = names.labels(identity);
      return { prefix, identity, labels, source: 'kernel', inKernel: true, kernelIdentity: identity };
    }),
  ];
}

/** Who put the prefix there. */
function sourceOf({ isEndpoint, isNode, identity }: IpcacheRow): IpView['source'] {
  if (isEndpoint) return 'endpoint';
  if (isNode) return 'node';
  return identity === RESERVED_IDENTITY.host ? 'local' : 'policy';
}
