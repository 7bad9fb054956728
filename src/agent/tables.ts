/** The agent's tables: every row that a source writes, a compiler derives or a reconciler carries out. */
import { endpointTable } from '#endpoint';
import type { ManifestFileRow, ManifestObjectRow, ManifestTables } from '#files';
import type { NodeFacts } from '#hostfw';
import type {
  CidrGroupRow,
  EndpointSliceRow,
  ServiceRow,
  DeviceRow,
  EndpointRow,
  FailsafeRow,
  LocalAddressRow,
  Policy,
  WorkloadRow,
} from '#model';
import type { NodeConfig } from '#model/config';
import { type NetdevTables, netdevTables } from '#netdev';
import type { Database, Table } from '#table';
import { type Modes, NO_MODES } from './modes.ts';

/** The configuration in force, one row; a table so that what is derived from it follows a reload. */
export interface SettingsRow {
  readonly config: NodeConfig;
}

export interface AgentTables {
  readonly netdev: NetdevTables;
  readonly manifests: ManifestTables;
  readonly settings: Table<SettingsRow>;
  /** What verbs set beside the files, one row. */
  readonly modes: Table<Modes>;
  readonly facts: Table<NodeFacts>;
  readonly endpoints: Table<EndpointRow>;
  /** Endpoints whose record the kernel has, with their identities: their devices carry programs. */
  readonly enforced: Table<EndpointRow>;
  /** Derived. */
  readonly devices: Table<DeviceRow>;
  readonly localAddresses: Table<LocalAddressRow>;
  readonly failsafe: Table<FailsafeRow>;
}

const ONE = 'node';

export function agentTables(db: Database): AgentTables {
  const owner = (row: { readonly source: string }): string => row.source;
  const sources = ['directory'];
  return {
    netdev: netdevTables(db),
    manifests: {
      policies: db.table<Policy>({ name: 'policies', key: (p) => p.key, owner, sources }),
      workloads: db.table<WorkloadRow>({ name: 'workloads', key: (w) => w.key, owner, sources }),
      cidrGroups: db.table<CidrGroupRow>({ name: 'cidr-groups', key: (g) => g.name, owner, sources }),
      services: db.table<ServiceRow>({ name: 'services', key: (s) => s.key, owner, sources }),
      endpointSlices: db.table<EndpointSliceRow>({
        name: 'endpoint-slices',
        key: (s) => s.key,
        owner,
        sources,
      }),
      objects: db.table<ManifestObjectRow>({ name: 'objects', key: (o) => o.key }),
      files: db.table<ManifestFileRow>({ name: 'files', key: (f) => f.file }),
    },
    settings: db.table<SettingsRow>({ name: 'settings', key: () => ONE, sources: ['config'] }),
    modes: db.table<Modes>({ name: 'modes', key: () => ONE, sources: ['verbs'] }),
    facts: db.table<NodeFacts>({ name: 'facts', key: () => ONE, sources: ['facts'] }),
    endpoints: endpointTable(db),
    enforced: db.table<EndpointRow>({ name: 'enforced', key: (e) => e.id, sources: ['policy'] }),
    devices: db.table<DeviceRow>({ name: 'devices', key: (d) => d.ifindex }),
    localAddresses: db.table<LocalAddressRow>({ name: 'local-addresses', key: (a) => a.address }),
    failsafe: db.table<FailsafeRow>({ name: 'failsafe', key: (f) => f.entry }),
  };
}

/** The configuration in force. Only after it was read for the first time. */
export function configOf(tables: AgentTables): NodeConfig {
  const row = tables.settings.get(ONE);
  if (row === undefined) throw new Error('the configuration has not been read yet');
  return row.config;
}

/** What verbs have set. */
export function modesOf(tables: AgentTables): Modes {
  return tables.modes.get(ONE) ?? NO_MODES;
}

/** Replaces the one row of a table that has one. */
export function setOne<R>(db: Database, table: Table<R>, source: string, row: R): void {
  db.write((txn) => {
    table.putIfChanged(txn, row);
    table.source(source).markSynced(txn);
  });
}
