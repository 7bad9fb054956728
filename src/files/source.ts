/** The manifest directories as a source: watches, reads, judges, writes rows (HF-11.1 to HF-11.3). */
import { isDeepStrictEqual } from 'node:util';
import { Mutex } from '#kit/async';
import type { Clock } from '#kit/clock';
import type { CidrGroupRow, EndpointSliceRow, Policy, ServiceRow, WorkloadRow } from '#model';
import { type ManifestObject, type ParseOptions } from '#model/parse';
import type { Database, Source, Table } from '#table';
import { type FileSystem, nodeFileSystem } from './filesystem.ts';
import { type Accepted, type AcceptedFiles, acceptedKey, type Judgement, judge, parseFile } from './judge.ts';
import { type ManifestFile, readSnapshot, type Snapshot } from './snapshot.ts';
import {
  fileRow,
  INITIAL_STATUS,
  type ManifestFileRow,
  type ManifestObjectRow,
  type ManifestsStatus,
  objectRow,
} from './status.ts';
import type { Owner } from './trust.ts';
import { Wakeup } from './wakeup.ts';
import { type Watched, Watchers } from './watchers.ts';
import { dirname } from 'node:path';

/** Quiet time after the last event before reading, and the longest time that events can put it off. */
const QUIET_MS = 500;
const MAX_QUIET_MS = 5000;
/** Pause between two readings when no event tells of a change. */
const RESCAN_MS = 60_000;
/** Readings in a row that may differ before the status says so. */
const PATIENCE = 10;

/** Tables that the source fills. Its rows have the owner `options.parse.source` where tables have owners. */
export interface ManifestTables {
  readonly policies: Table<Policy>;
  readonly workloads: Table<WorkloadRow>;
  readonly cidrGroups: Table<CidrGroupRow>;
  readonly services: Table<ServiceRow>;
  readonly endpointSlices: Table<EndpointSliceRow>;
  readonly objects: Table<ManifestObjectRow>;
  readonly files: Table<ManifestFileRow>;
}

/** How the source works; everything but `paths` may change at run time. */
export interface ManifestSettings {
  readonly paths: readonly string[];
  readonly perFile: boolean;
  readonly trustAnyOwner: boolean;
  readonly parse: ParseOptions;
}

/** What the source needs. */
export interface ManifestSourceOptions {
  readonly db: Database;
  readonly tables: ManifestTables;
  readonly settings: ManifestSettings;
  readonly clock: Clock;
  /** User and group of the agent. */
  readonly agent: Owner;
  /** Policies that were enforced when the agent started: with them an empty first reading is held. */
  readonly activeBefore: number;
  readonly fs?: FileSystem;
  /** Called after every reading whose outcome differs from the one before. */
  readonly onStatus?: (status: ManifestsStatus) => void;
}

/** The running source. `run` reads and watches until its signal aborts. */
export class ManifestSource {
  readonly #options: ManifestSourceOptions;
  readonly #fs: FileSystem;
  readonly #mutex = new Mutex();
  readonly #wakeup = new Wakeup();
  readonly #synced: readonly Source[];
  #settings: ManifestSettings;
  /** Directories of the last reading; for those that are missing the one above, where they will appear. */
  #toWatch: readonly Watched[] = [];
  #acceptedHash: string | undefined;
  #status: ManifestsStatus;
  #accepted: AcceptedFiles = new Map();
  #activePolicies: number;
  #devices: ReadonlyMap<string, bigint> = new Map();
  #parsed = new Map<string, { readonly hash: string; readonly objects: readonly ManifestObject[] }>();

  constructor(options: ManifestSourceOptions) {
    this.#options = options;
    this.#fs = options.fs ?? nodeFileSystem;
    this.#settings = options.settings;
    this.#activePolicies = options.activeBefore;
    this.#status = { ...INITIAL_STATUS, policies: options.activeBefore };
    const { policies, workloads, cidrGroups, services, endpointSlices } = options.tables;
    const name = options.settings.parse.source;
    const tables = [policies, workloads, cidrGroups, services, endpointSlices];
    this.#synced = tables.map((table) => table.source(name));
  }

  /** What became of the files, as of the last reading. */
  get status(): ManifestsStatus {
    return this.#status;
  }

  /** Reads now, whatever the quiet time; a directory on another device is taken as it is. */
  async reload({ signal }: { readonly signal: AbortSignal }): Promise<ManifestsStatus> {
    return this.#scan('reload', signal);
  }

  /** Accepts what is there, even nothing: `merlon policy clear`. */
  async clear({ signal }: { readonly signal: AbortSignal }): Promise<ManifestsStatus> {
    return this.#scan('clear', signal);
  }

  /** New settings; texts are judged again with them at the next reading, which follows at once. */
  configure(settings: ManifestSettings): void {
    if (isDeepStrictEqual(settings, this.#settings)) return;
    if (!isDeepStrictEqual(settings.parse, this.#settings.parse)) this.#parsed.clear();
    this.#settings = settings;
    this.#wakeup.ring();
  }

  /** Reads once and then after every change, until the signal aborts. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { clock } = this.#options;
    using watchers = new Watchers(this.#fs, () => this.#wakeup.ring());
    // Before the first reading: a change during it is an event after it.
    watchers.set(this.#settings.paths.map((path) => ({ path, id: '' })));
    while (!signal.aborted) {
      const seen = this.#wakeup.count;
      await this.#scan('event', signal).catch((e: unknown) => {
        if (!signal.aborted) throw e;
      });
      if (signal.aborted) return;
      watchers.set(this.#toWatch);
      const isChanged = await this.#wakeup.wait(seen, RESCAN_MS, clock, signal).catch(() => false);
      if (isChanged) await this.#wakeup.quiet(QUIET_MS, MAX_QUIET_MS, clock, signal).catch(() => undefined);
    }
  }

  async #scan(why: 'event' | 'reload' | 'clear', signal: AbortSignal): Promise<ManifestsStatus> {
    using _lock = await this.#mutex.lock(signal);
    const snapshot = await this.#readStable(signal);
    const missing = snapshot.missing.map(({ path }) => ({ path: dirname(path), id: '' }));
    this.#toWatch = [...snapshot.watched, ...missing];
    const { perFile, parse } = this.#settings;
    const judgement = judge(snapshot, {
      parse,
      perFile,
      previous: this.#accepted,
      activePolicies: this.#activePolicies,
      devices: why === 'reload' ? new Map([...this.#devices, ...snapshot.devices]) : this.#devices,
      force: why === 'clear',
      parsed: (file) => this.#objectsOf(file),
    });
    this.#forget(snapshot);
    this.#commit(snapshot, judgement);
    return this.#status;
  }

  async #readStable(signal: AbortSignal): Promise<Snapshot> {
    const { clock, agent } = this.#options;
    const { paths, trustAnyOwner } = this.#settings;
    for (let attempt = 1; ; attempt++) {
      const snapshot = await readSnapshot({ fs: this.#fs, paths, agent, trustAnyOwner });
      if (snapshot !== undefined) return snapshot;
      if (attempt === PATIENCE) {
        this.#setStatus({
          ...this.#status,
          state: 'pending',
          message: 'the manifests keep changing while they are read',
        });
      }
      await clock.sleep(QUIET_MS, signal);
    }
  }

  /** Objects of a file; those of an unchanged file as they were, positions and problems included. */
  #objectsOf(file: ManifestFile): readonly ManifestObject[] {
    const known = this.#parsed.get(file.file);
    if (known !== undefined && known.hash === file.hash) return known.objects;
    const objects = parseFile(file, this.#settings.parse);
    this.#parsed.set(file.file, { hash: file.hash, objects });
    return objects;
  }

  #forget(snapshot: Snapshot): void {
    const present = new Set(snapshot.files.map((f) => f.file));
    for (const file of this.#parsed.keys()) if (!present.has(file)) this.#parsed.delete(file);
  }

  /** Takes over what the judgement accepts and writes all rows in one transaction. */
  #commit(snapshot: Snapshot, judgement: Judgement): void {
    const { db, tables } = this.#options;
    const owner = this.#settings.parse.source;
    const isTaken = judgement.state === 'accepted' || judgement.accepted !== this.#accepted;
    const isNew = isTaken && snapshot.hash !== this.#acceptedHash;
    if (isTaken) {
      this.#accepted = judgement.accepted;
      this.#acceptedHash = snapshot.hash;
      this.#devices = snapshot.devices;
    }
    const all = [...this.#accepted.values()].flat();
    const policies = all.flatMap((a) => (a.kind === 'policy' ? [a.row] : []));
    const workloads = all.flatMap((a) => (a.kind === 'workload' ? [a.row] : []));
    const cidrGroups = all.flatMap((a) => (a.kind === 'cidrGroup' ? [a.row] : []));
    const services = all.flatMap((a) => (a.kind === 'service' ? [a.row] : []));
    const endpointSlices = all.flatMap((a) => (a.kind === 'endpointSlice' ? [a.row] : []));
    if (isTaken) this.#activePolicies = policies.length;
    const generation = this.#status.generation + (isNew ? 1 : 0);
    const files = judgement.files.map(fileRow);
    const live = new Map(all.map((one) => [acceptedKey(one), this.#acceptedIn(one, generation)]));
    db.write((txn) => {
      if (isTaken) {
        tables.policies.replace(txn, policies, owner);
        tables.workloads.replace(txn, workloads, owner);
        tables.cidrGroups.replace(txn, cidrGroups, owner);
        tables.services.replace(txn, services, owner);
        tables.endpointSlices.replace(txn, endpointSlices, owner);
      }
      // Where nothing was enforced, a set that is refused leaves nothing enforced: nobody need wait for it.
      if (isTaken || this.#activePolicies === 0) {
        for (const source of this.#synced) source.markSynced(txn);
      }
      tables.objects.replace(txn, objectRows(judgement, live), owner);
      tables.files.replace(txn, files, owner);
    });
    const { state, message, problems } = judgement;
    const revision = isTaken
      ? Math.max(
          1,
          tables.policies.revision,
          tables.workloads.revision,
          tables.cidrGroups.revision,
          tables.services.revision,
          tables.endpointSlices.revision,
        )
      : this.#status.revision;
    this.#setStatus({
      state,
      message,
      problems,
      generation,
      revision,
      policies: this.#activePolicies,
      hash: snapshot.hash,
      files,
    });
  }

  /** Generation in which this version was accepted; that of an object unchanged since stays. */
  #acceptedIn(accepted: Accepted, generation: number): number {
    const { policies, objects } = this.#options.tables;
    const key = acceptedKey(accepted);
    const isSame = accepted.kind === 'policy' && policies.get(key)?.contentHash === accepted.row.contentHash;
    return (isSame ? objects.get(key)?.status.acceptedGeneration : undefined) ?? generation;
  }

  #setStatus(status: ManifestsStatus): void {
    const isSame = isDeepStrictEqual(status, this.#status);
    this.#status = status;
    if (!isSame) this.#options.onStatus?.(status);
  }
}

/** One row an object; of two with one key the one that is wrong. */
function objectRows(judgement: Judgement, live: ReadonlyMap<string, number>): Iterable<ManifestObjectRow> {
  const rows = new Map<string, ManifestObjectRow>();
  for (const file of judgement.files) {
    for (const object of file.objects) {
      const row = objectRow(object, file, live.get(object.key));
      if (!rows.has(row.key) || row.status.state === 'invalid') rows.set(row.key, row);
    }
  }
  return rows.values();
}
