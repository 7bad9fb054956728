/** The world as this agent enforces it, for the tools of `#cases`. */
import { hostname } from 'node:os';
import { type NodeFacts, snapshotToJson } from '#cases';
import { MerlonError } from '#kit/errors';
import { parseOptions } from '../settings.ts';
import { configOf } from '../tables.ts';
import type { ControlInput } from '../control.ts';
import type { ViewContext } from './context.ts';

export function worldView(context: ViewContext): unknown {
  const { loop, tables } = context;
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
    world: { ...input, node: hostname(), endpoints, numbering, failsafe: [...tables.failsafe.all()] },
    parse: parseOptions(configOf(tables)),
    node: nodeFacts(context, input),
  });
}

/** What decides about packets besides policy. */
function nodeFacts({ tables, datapath }: ViewContext, input: ControlInput): NodeFacts {
  const { values } = configOf(tables);
  const devices = [...tables.devices.all()].filter((row) => row.selected && row.kind === 'external');
  return {
    mode: datapath.hostMode,
    hostAudit: input.hostAudit ?? [],
    auditedEndpoints: input.endpoints.filter((row) => row.audit === true).map((row) => row.id),
    failsafe: [...tables.failsafe.all()],
    builtins: {
      dhcp: values['hostfw.builtin.dhcp'] !== false,
      fragNeeded: values['allow-icmp-frag-needed'] !== false,
      icmp6Redirect: values['hostfw.builtin.icmp6Redirect'] === 'pass',
    },
    hasProxy: false,
    devices: devices.map((row) => row.name),
    endpointDevices: Object.fromEntries([...tables.endpoints.all()].map((row) => [row.id, row.device])),
  };
}
