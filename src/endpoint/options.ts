/** What endpoints are opened with, and the table that they fill. */
import type { MerlonError } from '#kit/errors';
import type { LabelSet } from '#kit/labels';
import type { AddressRow, EndpointRow, Identity, KernelEndpoint, LinkRow, WorkloadRow } from '#model';
import type { Clock, Database, Table } from '#table';

/** What names of the devices that are made begin with. */
export const DEVICE_PREFIX = 'lxc';
/** Name under which the table is marked synced. */
export const ENDPOINT_SOURCE = 'endpoints';

/** What the kernel has enforced since before this start, and the labels of its identities as far as known. */
export interface InForce {
  readonly endpoints: readonly KernelEndpoint[];
  readonly labelsOf: (identity: Identity) => LabelSet | undefined;
}

export interface EndpointOptions {
  readonly db: Database;
  readonly endpoints: Table<EndpointRow>;
  /** Links of the node's namespace; must be synced. */
  readonly links: Table<LinkRow>;
  /** The node's own addresses: no endpoint may have one of them. */
  readonly addresses?: Table<AddressRow>;
  readonly workloads?: Table<WorkloadRow>;
  readonly inForce?: InForce;
  readonly stateDir: string;
  readonly clock: Clock;
  /** The number of a label set; called inside no transaction, once or more for the same set. */
  readonly identityOf: (labels: LabelSet) => Identity | Promise<Identity>;
  readonly cluster?: string;
  /** `cni.devicePrefix`; default `lxc`. */
  readonly devicePrefix?: string;
  /** Of the devices made; default 1500. */
  readonly mtu?: number;
  /**
   * Resolves when the endpoint's new device, which is there and down, has its programs. Its row, in state
   * `waiting`, is in the table by then. Absent: devices come up at once.
   */
  readonly beforeUp?: (row: EndpointRow, signal: AbortSignal) => Promise<void>;
  /** Something is degraded: a record put aside, an endpoint that could not be restored. */
  readonly onProblem: (problem: MerlonError, topic?: string) => void;
  /** What was told under this topic is over, if anything was. */
  readonly onOver?: (topic: string) => void;
  /** A change of workloads has come to the table of endpoints, or was found to ask for none. */
  readonly onWorkloads?: () => void;
}

/** Makes the table of endpoints; it waits for `Endpoints.open`. */
export function endpointTable(db: Database): Table<EndpointRow> {
  return db.table<EndpointRow>({
    name: 'endpoints',
    key: (row) => row.id,
    indexes: {
      name: (row) => [`${row.namespace}/${row.name}`],
      device: (row) => [row.device],
      address: (row) => row.addresses,
    },
    sources: [ENDPOINT_SOURCE],
  });
}
