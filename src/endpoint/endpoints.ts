/**
 * The endpoints of this node and their life.
 *
 *   add ──▶ record on disk ──▶ device ──▶ row ready ──device gone──▶ disconnected ──30 s──▶ removed
 *   workload row ──▶ record (keeps the id) ──▶ row, as long as its device is there
 *
 * Additions and removals happen one at a time. The record is written before the device is made: what a crash
 * leaves half done is finished or cleared at the next start.
 */
import { Mutex } from '#kit/async';
import { MerlonError } from '#kit/errors';
import { endpointNamed, type EndpointRow, type Identity, type LinkRow, type WorkloadRow } from '#model';
import { type Netlink, openNetlink } from '#netlink';
import { netnsCookie } from '#native';
import { deviceName, makeDevice, type PlumbedDevice, plumb, unplumb } from './device.ts';
import { leftOf, lostEndpoints, lostProblem } from './lost.ts';
import { type OpenNetns, openNetns } from './netns.ts';
import { DEVICE_PREFIX, ENDPOINT_SOURCE, type EndpointOptions } from './options.ts';
import { differenceOf, type EndpointRecord, isOther, nextId, Records, withAudit } from './record.ts';
import { type EndpointRequest, type EndpointSpec, endpointSpec, mtuFor } from './spec.ts';
import { enableForwarding } from './sysctl.ts';
import { asProblem, LOOK, nameOf, topicOf } from './telling.ts';

/** How long an endpoint whose device is gone keeps its row (HF-11.7). */
export const GRACE_MS = 30_000;
const PEER = 'eth0';

export class Endpoints implements AsyncDisposable {
  readonly #options: EndpointOptions;
  readonly #netlink: Netlink;
  readonly #records: Records;
  readonly #byName = new Map<string, EndpointRecord>();
  /** Of these, by id, something stands in for the record on disk. */
  readonly #lost = new Map<number, EndpointRecord>();
  readonly #mutex = new Mutex();
  readonly #ending = new AbortController();
  readonly #graces = new Map<number, AbortController>();
  readonly #problems = new Map<string, MerlonError>();
  readonly #listeners = new DisposableStack();
  #isLookDue = false;
  #lastId = 0;
  #seen = { workloads: -1, db: 0 };

  private constructor(options: EndpointOptions) {
    this.#options = options;
    this.#netlink = openNetlink();
    this.#records = new Records(options.stateDir);
  }

  /**
   * Restores what the state folder remembers, marks the table synced and goes on watching links and workloads.
   * A record whose namespace is another one now is told and passed over; so is one that is unreadable, unless the
   * kernel enforces the endpoint: then it goes on being enforced.
   */
  static async open(options: EndpointOptions): Promise<Endpoints> {
    const self = new Endpoints(options);
    const { onProblem, db, endpoints, links, workloads } = options;
    self.#lastId = await self.#records.lastId(onProblem);
    const anew: EndpointRecord[] = [];
    const bad = new Map<number, MerlonError>();
    for (const record of await self.#records.read((problem, id) => void bad.set(id, problem))) {
      self.#byName.set(nameOf(record), record);
      if (record.kind === 'workload') await self.#restoreWorkload(record);
      else if (options.beforeUp !== undefined && self.#deviceNamed(record.device) === undefined)
        anew.push(record);
      else await self.#restore(record);
    }
    await self.#keepLost(bad);
    if (workloads?.isSynced === true) await self.#syncWorkloads();
    db.write((txn) => endpoints.source(ENDPOINT_SOURCE).markSynced(txn));
    self.#listeners.use(links.onChange(() => self.#lookSoon()));
    if (workloads !== undefined) self.#listeners.use(workloads.onChange(() => self.#lookSoon()));
    self.#lookSoon();
    self.#restoreSoon(anew);
    return self;
  }

  /** What is wrong with an endpoint or workload, by `namespace/name`. */
  problemOf(name: string): MerlonError | undefined {
    return this.#problems.get(name);
  }

  /**
   * The revision of the database at which the table of endpoints has what the manifests say of workloads;
   * undefined while a change of theirs is on its way.
   */
  get workloadsRevision(): number | undefined {
    const { workloads } = this.#options;
    return workloads === undefined || workloads.revision === this.#seen.workloads ? this.#seen.db : undefined;
  }

  /** Resolves once the table shows what links and workloads were when it was called. */
  async settled(): Promise<void> {
    using _ = await this.#mutex.lock(this.#ending.signal);
  }

  /** Adds an endpoint; once more with the same request is the same endpoint, its device repaired. */
  async add(request: EndpointRequest): Promise<EndpointRow> {
    const spec = endpointSpec(request, this.#options.cluster ?? 'default');
    using _ = await this.#mutex.lock(this.#ending.signal);
    using netns = openNetns(spec.netns);
    this.#checkNetns(spec, netns);
    const known = this.#byName.get(nameOf(spec));
    if (known !== undefined) {
      this.#checkSame(known, spec, netns);
      return await this.#plumbed(known, netns); // the namespace is open until it is done
    }
    const device = deviceName(this.#devicePrefix, spec.namespace, spec.name);
    const lost = this.#lostOn(device);
    await this.#checkAddresses(spec, lost);
    const fields = {
      ...spec,
      kind: 'made' as const,
      device,
      netns: netns.path,
      netnsCookie: netns.cookie,
      peer: PEER,
      mtu: mtuFor(spec, this.#options.mtu ?? 1500),
    };
    const record = await this.#newRecord(fields, lost);
    try {
      const row = await this.#plumbed(record, netns);
      this.#isFound(lost);
      return row;
    } catch (e) {
      if (lost === undefined) await this.#forget(record);
      else await this.#records.remove(record.id);
      this.#byName.delete(nameOf(record));
      throw e;
    }
  }

  /** Removes an endpoint that `add` made: device, record and row. Errors: ENDPOINT_NOT_FOUND, FAILED. */
  async remove(name: string): Promise<void> {
    using _ = await this.#mutex.lock(this.#ending.signal);
    const record = this.#find(name);
    if (record.kind === 'workload') {
      throw new MerlonError('FAILED', `${nameOf(record)} is described by a manifest`, {
        hint: 'remove the Workload from the manifest folder',
      });
    }
    unplumb(this.#netlink, record.device);
    await this.#forget(record);
  }

  /** Keeps `PolicyAuditMode` of one endpoint, or of all (undefined: not set). Error: ENDPOINT_NOT_FOUND. */
  async setAudit(name: string | undefined, audit: boolean | undefined): Promise<void> {
    using _ = await this.#mutex.lock(this.#ending.signal);
    const { db, endpoints } = this.#options;
    for (const record of name === undefined ? this.#byName.values() : [this.#find(name)]) {
      const row = endpoints.get(record.id);
      if (row?.state === 'kept') {
        if (name === undefined) continue;
        throw new MerlonError('FAILED', `${nameOf(record)} is kept as it is: its record is lost`);
      }
      const after = withAudit(record, audit);
      if (this.#lost.has(record.id)) this.#lost.set(record.id, after);
      else if (record.audit !== audit) await this.#records.write(after);
      this.#byName.set(nameOf(after), after);
      if (row !== undefined) db.write((txn) => endpoints.putIfChanged(txn, withAudit(row, audit)));
    }
  }

  #find(name: string): EndpointRecord {
    return endpointNamed([...this.#byName.values()], name);
  }

  get #devicePrefix(): string {
    return this.#options.devicePrefix ?? DEVICE_PREFIX;
  }

  /** What the kernel enforces goes on being enforced, whatever became of its record; `bad`: what was unreadable. */
  async #keepLost(bad: ReadonlyMap<number, MerlonError>): Promise<void> {
    const { inForce, links, onProblem } = this.#options;
    const known = [...this.#byName.values()];
    for (const lost of inForce === undefined
      ? []
      : lostEndpoints(inForce, known, links, this.#devicePrefix)) {
      const { record, kernel, isKept } = lost;
      const problem = lostProblem(record, this.#records.pathOf(record.id), bad.get(record.id), isKept);
      this.#byName.set(nameOf(record), record);
      this.#lost.set(record.id, record);
      this.#problems.set(nameOf(record), problem);
      onProblem(problem, topicOf(record));
      const { ifindex, mac } = kernel;
      await this.#putRow(record, isKept ? 'kept' : 'ready', isKept ? kernel : { ifindex, mac });
    }
    for (const [id, problem] of bad) if (!this.#lost.has(id)) onProblem(problem);
  }

  #lostOn(device: string): EndpointRecord | undefined {
    return [...this.#lost.values()].find((record) => record.device === device);
  }

  /** It has a record of its own again. */
  #isFound(lost: EndpointRecord | undefined): void {
    if (lost === undefined) return;
    this.#lost.delete(lost.id);
    this.#byName.delete(nameOf(lost));
    this.#isWell(lost);
  }

  #checkNetns(spec: EndpointSpec, netns: OpenNetns): void {
    if (netns.cookie === netnsCookie()) {
      throw new MerlonError(
        'NETNS_NOT_FOUND',
        `${netns.path} is the node's own namespace: it is the host, no endpoint`,
      );
    }
    for (const record of this.#byName.values()) {
      if (record.netnsCookie === netns.cookie && nameOf(record) !== nameOf(spec)) {
        throw new MerlonError(
          'ENDPOINT_EXISTS',
          `namespace ${spec.netns} belongs to endpoint ${nameOf(record)}`,
        );
      }
    }
  }

  #checkSame(known: EndpointRecord, spec: EndpointSpec, netns: OpenNetns): void {
    const differs = differenceOf(known, spec, netns.cookie);
    if (differs === undefined) return;
    throw new MerlonError('ENDPOINT_EXISTS', `there is an endpoint ${nameOf(spec)} already, ${differs}`, {
      hint: `remove it first: \`merlon endpoint remove ${nameOf(spec)}\``,
    });
  }

  /** An address has one owner. One whose device is gone makes way at once. */
  async #checkAddresses(
    spec: Pick<EndpointSpec, 'addresses' | 'namespace' | 'name'>,
    lost: EndpointRecord | undefined,
  ): Promise<void> {
    const { endpoints, addresses } = this.#options;
    const own = new Set([...(addresses?.all() ?? [])].map(({ address }) => address));
    for (const address of spec.addresses) {
      if (own.has(address))
        throw new MerlonError('ENDPOINT_ADDRESS', `${address} is an address of this node`);
      for (const other of [...endpoints.by('address', address)]) {
        if (nameOf(other) === nameOf(spec) || other.id === lost?.id) continue;
        if (other.state !== 'disconnected') {
          throw new MerlonError('ENDPOINT_ADDRESS', `${address} belongs to endpoint ${nameOf(other)}`);
        }
        const record = this.#byName.get(nameOf(other));
        if (record?.kind === 'made') await this.#forget(record);
        else this.#dropRow(other.id);
      }
    }
  }

  /** Gives it an id, that of the one that was lost if it is that one, and writes it down. */
  async #newRecord(
    fields: Omit<EndpointRecord, 'id'>,
    lost: EndpointRecord | undefined,
  ): Promise<EndpointRecord> {
    const taken = new Set([...this.#byName.values()].map(({ id }) => id));
    const id = lost?.id ?? nextId(this.#lastId, (candidate) => taken.has(candidate));
    if (id === undefined) throw new MerlonError('ENDPOINT_LIMIT', 'all 65,535 endpoint numbers are in use');
    const record = { id, ...fields };
    await this.#records.write(record);
    if (lost === undefined) await this.#records.writeLastId(id);
    if (lost === undefined) this.#lastId = id;
    this.#byName.set(nameOf(record), record);
    return record;
  }

  /**
   * Device and row of a made endpoint. A new device stays down until `beforeUp` has put programs on it: no
   * packet goes unjudged. What was begun is taken back when it fails.
   */
  async #plumbed(record: EndpointRecord, netns: OpenNetns): Promise<EndpointRow> {
    const { stateDir, onProblem, beforeUp } = this.#options;
    await enableForwarding(stateDir, onProblem);
    const made = makeDevice(this.#netlink, netns, record);
    try {
      if (made.isNew && beforeUp !== undefined) {
        await beforeUp(await this.#putRow(record, 'waiting', made), this.#ending.signal);
      }
      return await this.#putRow(record, 'ready', plumb(this.#netlink, netns, record));
    } catch (e) {
      if (made.isNew) unplumb(this.#netlink, record.device);
      throw e;
    }
  }

  async #putRow(
    record: EndpointRecord,
    state: EndpointRow['state'],
    device: Partial<PlumbedDevice> & { readonly identity?: Identity },
  ): Promise<EndpointRow> {
    const { db, endpoints, identityOf } = this.#options;
    const row: EndpointRow = {
      id: record.id,
      name: record.name,
      namespace: record.namespace,
      ifindex: device.ifindex ?? 0,
      device: record.device,
      addresses: record.addresses,
      labels: record.labels,
      identity: device.identity ?? (await identityOf(record.labels)),
      mac: device.mac ?? '',
      netns: record.netns === '' ? undefined : record.netns,
      netnsCookie: record.netnsCookie,
      state,
      ...(record.audit === undefined ? {} : { audit: record.audit }),
    };
    this.#endGrace(record.id);
    db.write((txn) => endpoints.putIfChanged(txn, row));
    return row;
  }

  #dropRow(id: number): void {
    this.#endGrace(id);
    this.#options.db.write((txn) => this.#options.endpoints.delete(txn, id));
  }

  async #forget(record: EndpointRecord): Promise<void> {
    this.#byName.delete(nameOf(record));
    this.#lost.delete(record.id);
    this.#isWell(record);
    this.#dropRow(record.id);
    await this.#records.remove(record.id);
  }

  /** Nothing is wrong with it any more, or it is none any more. */
  #isWell(record: EndpointRecord): void {
    this.#problems.delete(nameOf(record));
    this.#options.onOver?.(topicOf(record));
  }

  /** Puts a remembered endpoint in place again; where that fails it is disconnected and has its grace. */
  async #restore(record: EndpointRecord): Promise<void> {
    try {
      using netns = openNetns(record.netns);
      const isSame = netns.cookie === record.netnsCookie;
      // A name may be given to a new namespace, after a reboot too; a process id means somebody else then.
      if (!isSame && record.netns.startsWith('/proc/')) {
        throw new MerlonError('NETNS_NOT_FOUND', `${record.netns} is another namespace now`);
      }
      const current = isSame ? record : { ...record, netnsCookie: netns.cookie };
      if (!isSame) {
        await this.#records.write(current);
        this.#byName.set(nameOf(current), current);
      }
      await this.#plumbed(current, netns);
      this.#isWell(record);
    } catch (e) {
      const problem = asProblem(e, `endpoint ${nameOf(record)} is disconnected`);
      this.#problems.set(nameOf(record), problem);
      this.#options.onProblem(problem, topicOf(record));
      const link = this.#deviceNamed(record.device);
      await this.#putRow(record, 'disconnected', leftOf(record, link, this.#options.inForce));
      this.#beginGrace(record);
    }
  }

  /** After a reboot devices are made anew; they come up once they are judged, which needs the table synced. */
  #restoreSoon(records: readonly EndpointRecord[]): void {
    const all = async (): Promise<void> => {
      using _ = await this.#mutex.lock(this.#ending.signal);
      for (const record of records) await this.#restore(record);
    };
    all().catch((e: unknown) => {
      if (!this.#ending.signal.aborted) this.#options.onProblem(asProblem(e, 'endpoints cannot be restored'));
    });
  }

  /** Until the manifests have been read, what is remembered of them holds. */
  async #restoreWorkload(record: EndpointRecord): Promise<void> {
    const device = this.#deviceNamed(record.device);
    if (device !== undefined) await this.#putRow(record, 'ready', { ifindex: device.ifindex });
  }

  #deviceNamed(name: string): LinkRow | undefined {
    return [...this.#options.links.all()].find((link) => link.name === name);
  }

  #beginGrace(record: EndpointRecord): void {
    this.#endGrace(record.id);
    const grace = new AbortController();
    this.#graces.set(record.id, grace);
    const signal = AbortSignal.any([grace.signal, this.#ending.signal]);
    this.#options.clock
      .sleep(GRACE_MS, signal)
      .then(() => this.#graceOver(record, signal))
      .catch((e: unknown) => {
        if (!signal.aborted)
          this.#options.onProblem(asProblem(e, `removal of endpoint ${nameOf(record)}`), topicOf(record));
      });
  }

  #endGrace(id: number): void {
    this.#graces.get(id)?.abort();
    this.#graces.delete(id);
  }

  async #graceOver(record: EndpointRecord, signal: AbortSignal): Promise<void> {
    using _ = await this.#mutex.lock(signal);
    if (signal.aborted || this.#byName.get(nameOf(record))?.id !== record.id) return;
    if (record.kind === 'made') {
      unplumb(this.#netlink, record.device);
      await this.#forget(record);
    } else this.#dropRow(record.id);
  }

  /** Looks at links and workloads once what is going on now has been done; many calls make one look. */
  #lookSoon(): void {
    if (this.#isLookDue || this.#ending.signal.aborted) return;
    this.#isLookDue = true;
    this.#look().catch((e: unknown) => {
      if (!this.#ending.signal.aborted)
        this.#options.onProblem(asProblem(e, 'endpoints cannot be brought up to date'), LOOK);
    });
  }

  async #look(): Promise<void> {
    using _ = await this.#mutex.lock(this.#ending.signal);
    this.#isLookDue = false;
    const { endpoints, links, workloads } = this.#options;
    for (const row of [...endpoints.all()]) {
      const record = this.#byName.get(nameOf(row));
      if (record?.kind !== 'made' || row.state !== 'ready' || links.get(row.ifindex) !== undefined) continue;
      // The table may lag behind: our own new devices are in the kernel before they are in it.
      if (this.#netlink.link(row.ifindex) === undefined) await this.#restore(record);
    }
    if (workloads?.isSynced === true) await this.#syncWorkloads();
    this.#options.onOver?.(LOOK);
  }

  async #syncWorkloads(): Promise<void> {
    const { db, workloads, onWorkloads } = this.#options;
    const revision = workloads?.revision ?? 0;
    await this.#followWorkloads();
    if (revision === this.#seen.workloads) return;
    this.#seen = { workloads: revision, db: db.revision };
    onWorkloads?.();
  }

  async #followWorkloads(): Promise<void> {
    const wanted = new Map([...(this.#options.workloads?.all() ?? [])].map((row) => [row.key, row]));
    const devices = new Set([...wanted.values()].map(({ hostDevice }) => hostDevice));
    for (const [name, record] of [...this.#byName]) {
      const isWanted = this.#lost.has(record.id) ? devices.has(record.device) : wanted.has(name);
      if (record.kind === 'workload' && !isWanted) await this.#forget(record);
    }
    for (const [name, workload] of wanted) {
      try {
        await this.#syncWorkload(workload);
        this.#problems.delete(name);
      } catch (e) {
        if (!(e instanceof MerlonError)) throw e;
        this.#problems.set(
          name,
          new MerlonError(e.code, e.message, { cause: e, at: workload.at, hint: e.hint }),
        );
      }
    }
  }

  /** A workload is an endpoint while its device is there. A change keeps its id. */
  async #syncWorkload(workload: WorkloadRow): Promise<void> {
    const { endpoints } = this.#options;
    const { name, namespace, labels, addresses, hostDevice } = workload;
    const known = this.#byName.get(workload.key);
    if (known?.kind === 'made') {
      throw new MerlonError('ENDPOINT_EXISTS', `endpoint ${workload.key} was added by hand`);
    }
    const lost = known === undefined ? this.#lostOn(hostDevice) : undefined;
    await this.#checkAddresses(workload, lost);
    const fields = { name, namespace, labels, addresses, device: hostDevice };
    const rest = { kind: 'workload' as const, netns: '', netnsCookie: 0n, peer: '', mtu: 0 };
    let record = known ?? (await this.#newRecord({ ...fields, ...rest }, lost));
    this.#isFound(lost);
    if (isOther(record, fields)) {
      record = { ...record, ...fields };
      await this.#records.write(record);
      this.#byName.set(workload.key, record);
    }
    const device = this.#deviceNamed(hostDevice);
    const row = endpoints.get(record.id);
    if (device !== undefined) await this.#putRow(record, 'ready', { ifindex: device.ifindex });
    else if (row?.state === 'ready') {
      await this.#putRow(record, 'disconnected', {});
      this.#beginGrace(record);
    }
    if (device === undefined) {
      throw new MerlonError('ENDPOINT_DEVICE', `the node has no device ${hostDevice}`, {
        hint: 'the endpoint begins when it appears',
      });
    }
  }

  /** Stops watching; devices, records and rows stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort(new MerlonError('AGENT_STOPPING', 'the agent is stopping'));
    this.#listeners.dispose();
    for (const id of [...this.#graces.keys()]) this.#endGrace(id);
    using _ = await this.#mutex.lock();
    this.#netlink[Symbol.dispose]();
  }
}
