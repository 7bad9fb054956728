/** A manifest source over a fake file system and a fake clock. */
import { until } from '#kit/async';
import { fakeClock } from '#kit/clock';
import {
  type FileSystem,
  formatProblem,
  type ManifestFileRow,
  type ManifestObjectRow,
  type ManifestSettings,
  ManifestSource,
} from '#files';
import type { CidrGroupRow, EndpointSliceRow, ServiceRow, Policy, WorkloadRow } from '#model';
import { DEFAULT_PARSE_OPTIONS } from '#model/parse';
import { Database } from '#table';
import { FakeFileSystem } from '../../fakes/file-system.ts';

export const SETTINGS: ManifestSettings = {
  paths: ['/m'],
  perFile: false,
  trustAnyOwner: false,
  parse: DEFAULT_PARSE_OPTIONS,
};
export const never = new AbortController().signal;

/** A policy `name` that allows one TCP port. */
export function policy(name: string, port = 80): string {
  return `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}}
spec: {endpointSelector: {}, ingress: [{toPorts: [{ports: [{port: "${port}", protocol: TCP}]}]}]}
`;
}
/** A workload on a device of its name. */
export const workload = (name: string) =>
  `{apiVersion: merlon.io/v1, kind: Workload, metadata: {name: ${name}}, spec: {hostDevice: ${name}, addresses: [10.0.0.1]}}\n`;

interface Given {
  readonly settings?: Partial<ManifestSettings>;
  readonly activeBefore?: number;
  readonly fs?: FileSystem;
}

/** A source over a fake file system with the directory `/m`, and its tables. */
export function bench({ settings, activeBefore = 0, fs: other }: Given = {}) {
  const fs = new FakeFileSystem();
  fs.mkdir('/m');
  const clock = fakeClock();
  const db = new Database({ clock, validate: true });
  const tables = {
    policies: db.table<Policy>({ name: 'policies', key: (r) => r.key, owner: (r) => r.source }),
    workloads: db.table<WorkloadRow>({ name: 'workloads', key: (r) => r.key }),
    cidrGroups: db.table<CidrGroupRow>({ name: 'cidr-groups', key: (r) => r.name }),
    services: db.table<ServiceRow>({ name: 'services', key: (r) => r.key }),
    endpointSlices: db.table<EndpointSliceRow>({ name: 'endpoint-slices', key: (r) => r.key }),
    objects: db.table<ManifestObjectRow>({ name: 'objects', key: (r) => r.key }),
    files: db.table<ManifestFileRow>({ name: 'files', key: (r) => r.file }),
  };
  const source = new ManifestSource({
    db,
    tables,
    clock,
    settings: { ...SETTINGS, ...settings },
    agent: { uid: 0, gid: 0 },
    activeBefore,
    fs: other ?? fs,
  });
  const names = () => [...tables.policies.all()].map((p) => p.name).sort();
  const reload = () => source.reload({ signal: never });
  const problems = () => source.status.problems.map(formatProblem);
  return { fs, clock, db, tables, source, names, reload, problems };
}

/** Waits, on the real clock, until the fake one has a sleeper: the source has done what it could. */
export async function idle(b: ReturnType<typeof bench>, wakeMs?: number): Promise<void> {
  const isDone = () => b.clock.sleeping > 0 && (wakeMs === undefined || b.clock.nextWakeMs === wakeMs);
  await until(isDone, { what: 'the source sleeps', timeoutMs: 60_000, signal: never, intervalMs: 1 });
}
