/**
 * Endpoints that the kernel enforces and whose record is lost: not readable, or not there. They go on being
 * enforced. Their identity tells their labels, so that policies still reach them; where it does not, all that is
 * theirs in the kernel is kept as it is. Names are lost either way.
 */
import { errorMessage, MerlonError } from '#kit/errors';
import { type LabelSet, labelSet } from '#kit/labels';
import { type KernelEndpoint, LABEL_NAMESPACE, type LinkRow } from '#model';
import { isDeviceName } from './device.ts';
import type { InForce } from './options.ts';
import type { EndpointRecord } from './record.ts';

/** An endpoint without a record. */
export interface LostEndpoint {
  readonly kernel: KernelEndpoint;
  readonly record: EndpointRecord;
  /** Its labels are not known. */
  readonly isKept: boolean;
}

/** The endpoints in force that have none of the `known` records and whose devices are there, owned by none of them. */
export function lostEndpoints(
  { endpoints, labelsOf }: InForce,
  known: readonly EndpointRecord[],
  links: { get(ifindex: number): Pick<LinkRow, 'name' | 'kind'> | undefined },
  prefix: string,
): readonly LostEndpoint[] {
  return endpoints.flatMap((kernel) => {
    const link = links.get(kernel.ifindex);
    if (link === undefined) return [];
    const { name, kind } = link;
    if (known.some(({ id, device }) => id === kernel.id || device === name)) return [];
    const labels = labelsOf(kernel.identity);
    const isMade = kind === 'veth' && isDeviceName(prefix, name);
    return { kernel, record: lostRecord(kernel, { name, isMade }, labels), isKept: labels === undefined };
  });
}

/** What stands in for the record. It is never written: each start makes it anew. */
function lostRecord(
  kernel: KernelEndpoint,
  device: { readonly name: string; readonly isMade: boolean },
  labels: LabelSet | undefined,
): EndpointRecord {
  const { id, addresses, audit } = kernel;
  // Labels of prefixes come from the addresses again.
  const own = labelSet((labels?.labels ?? []).filter(({ source }) => source !== 'cidr'));
  return {
    id,
    kind: device.isMade ? 'made' : 'workload',
    name: `lost-${id}`,
    namespace: own.labels.find(({ key }) => key === LABEL_NAMESPACE)?.value ?? 'default',
    labels: own,
    addresses,
    device: device.name,
    netns: '',
    netnsCookie: 0n,
    peer: '',
    mtu: 0,
    ...(audit === undefined ? {} : { audit }),
  };
}

/** The sentence about it. */
export function lostProblem(
  { id, device, kind }: EndpointRecord,
  path: string,
  unreadable: MerlonError | undefined,
  isKept: boolean,
): MerlonError {
  const why = unreadable === undefined ? `${path} is missing` : errorMessage(unreadable);
  const how = isKept
    ? 'its labels are not known: its last rule set stays, and no change of policy reaches it'
    : 'it is enforced by the labels of its identity';
  const remedy =
    kind === 'made'
      ? `add it again, or remove it: \`merlon endpoint remove ${id}\``
      : 'its Workload restores it';
  return new MerlonError(
    'STATE_CORRUPT',
    `the record of endpoint ${id} on device ${device} is lost (${why}); ${how}; ${remedy}`,
    { cause: unreadable },
  );
}

/**
 * What there still is of an endpoint whose namespace is gone. The namespace may live on without its name: as long
 * as the node's end of the device (`link`) is there, it has to be judged.
 */
export function leftOf(
  { id }: EndpointRecord,
  link: LinkRow | undefined,
  inForce: InForce | undefined,
): { readonly ifindex?: number; readonly mac?: string } {
  if (link === undefined) return {};
  return { ifindex: link.ifindex, mac: inForce?.endpoints.find((one) => one.id === id)?.mac ?? '' };
}
