/** The world as this agent enforces it, for the tools of `#cases`. */
import { hostname } from 'node:os';
import { snapshotToJson } from '#cases';
import { MerlonError } from '#kit/errors';
import { parseOptions } from '../settings.ts';
import { configOf } from '../tables.ts';
import type { ViewContext } from './context.ts';

export function worldView({ loop, tables, datapath }: ViewContext): unknown {
  const { enforced } = loop;
  if (enforced === undefined) {
    throw new MerlonError('FAILED', 'no policy is enforced yet', {
      hint: '`merlon status` tells what it waits for',
    });
  }
  const { input, numbering } = enforced;
  const endpoints = input.endpoints.map(({ id, namespace, name, addresses, labels, namedPorts }) => ({
    id,
    name: `${namespace}/${name}`,
    addresses,
    labels,
    ...(namedPorts === undefined ? {} : { namedPorts }),
  }));
  return snapshotToJson({
    world: { ...input, node: hostname(), endpoints, numbering },
    parse: parseOptions(configOf(tables)),
    hostAudit: datapath.hostMode === 'audit',
  });
}
