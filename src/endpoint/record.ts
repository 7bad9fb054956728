/** What is kept of an endpoint on disk: `<state-dir>/endpoints/<id>.json`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { MerlonError } from '#kit/errors';
import { formatLabel, type LabelSet, labelSet, parseLabel } from '#kit/labels';
import { type StateFile, stateFile } from './state-file.ts';

/** An endpoint we made, or a workload that a manifest describes. */
export interface EndpointRecord {
  readonly id: number;
  readonly kind: 'made' | 'workload';
  readonly name: string;
  readonly namespace: string;
  readonly labels: LabelSet;
  readonly addresses: readonly string[];
  /** Device on the node. */
  readonly device: string;
  /** Path of the namespace; empty for workloads. */
  readonly netns: string;
  /** Of the namespace in which the device was made; 0 for workloads. Unique per boot. */
  readonly netnsCookie: bigint;
  /** Device inside the namespace; empty for workloads. */
  readonly peer: string;
  readonly mtu: number;
  /** `PolicyAuditMode` as somebody set it. */
  readonly audit?: boolean;
}

const VERSION = 1;
const FILE = /^(\d{1,5})\.json$/;

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function recordOf(content: unknown): EndpointRecord | undefined {
  const r = content as Record<string, unknown> | null;
  if (typeof r !== 'object' || r === null) return undefined;
  const { id, kind, name, namespace, addresses, device, netns, netnsCookie, peer, mtu, labels, audit } = r;
  if (typeof id !== 'number' || !isEndpointId(id) || typeof mtu !== 'number') return undefined;
  if (kind !== 'made' && kind !== 'workload') return undefined;
  if (!isText(name) || !isText(namespace) || !isText(device) || !isText(netns) || !isText(peer))
    return undefined;
  if (!isTexts(addresses) || !isTexts(labels) || typeof netnsCookie !== 'bigint') return undefined;
  if (audit !== undefined && typeof audit !== 'boolean') return undefined;
  const parsed = labels.map((text) => parseLabel(text)).filter((label) => label !== undefined);
  if (parsed.length !== labels.length) return undefined;
  return {
    id,
    kind,
    name,
    namespace,
    addresses,
    device,
    netns,
    netnsCookie,
    peer,
    mtu,
    labels: labelSet(parsed),
    ...(audit === undefined ? {} : { audit }),
  };
}

/** Ids of endpoints: 16 bits, 0 is the host's. */
export function isEndpointId(id: number): boolean {
  return Number.isInteger(id) && id >= 1 && id <= 0xffff;
}

/** The lowest id after `last` that is not taken, going round at the end; undefined when all are taken. */
export function nextId(last: number, taken: (id: number) => boolean): number | undefined {
  for (let step = 1; step <= 0xffff; step++) {
    const id = ((last + step - 1) % 0xffff) + 1;
    if (!taken(id)) return id;
  }
  return undefined;
}

/** The records of a state folder, and the last id given. */
export class Records {
  readonly #dir: string;
  readonly #last: StateFile<number>;

  constructor(stateDir: string) {
    this.#dir = join(stateDir, 'endpoints');
    const isId = (value: unknown) => (typeof value === 'number' && isEndpointId(value) ? value : undefined);
    this.#last = stateFile(join(this.#dir, 'last-id'), VERSION, isId);
  }

  /** Where the record of an endpoint lies. */
  pathOf(id: number): string {
    return join(this.#dir, `${id}.json`);
  }

  #file(id: number): StateFile<EndpointRecord> {
    const ofId = (content: unknown) => {
      const record = recordOf(content);
      return record?.id === id ? record : undefined;
    };
    return stateFile(this.pathOf(id), VERSION, ofId);
  }

  /** All that can be read, by id; the faults of the others go to `onBad`. */
  async read(onBad: (problem: MerlonError, id: number) => void): Promise<readonly EndpointRecord[]> {
    const names = await readdir(this.#dir).catch(() => []);
    const ids = names.map((name) => Number(FILE.exec(name)?.[1])).filter(isEndpointId);
    const records = await Promise.all(
      ids.sort((a, b) => a - b).map((id) => this.#file(id).read((problem) => onBad(problem, id))),
    );
    return records.filter((record) => record !== undefined);
  }

  async lastId(onBad: (problem: MerlonError) => void): Promise<number> {
    return (await this.#last.read(onBad)) ?? 0;
  }

  async write(record: EndpointRecord): Promise<void> {
    const labels = record.labels.labels.map(formatLabel);
    await this.#file(record.id).write({ ...record, labels } as unknown as EndpointRecord);
  }

  writeLastId(id: number): Promise<void> {
    return this.#last.write(id);
  }

  remove(id: number): Promise<void> {
    return this.#file(id).remove();
  }
}

/** The same with another setting of audit. */
export function withAudit<R extends { readonly audit?: boolean }>(of: R, audit: boolean | undefined): R {
  const { audit: _, ...rest } = of;
  return { ...rest, ...(audit === undefined ? {} : { audit }) } as R;
}

/** Whether a workload's manifest now says something else than what is kept of it. */
export function isOther(
  record: EndpointRecord,
  fields: Pick<EndpointRecord, 'labels' | 'addresses' | 'device'>,
): boolean {
  return (
    record.labels.key !== fields.labels.key ||
    record.device !== fields.device ||
    record.addresses.join() !== fields.addresses.join()
  );
}

/** What a request says otherwise than the record of the endpoint that has its name; undefined: nothing. */
export function differenceOf(
  known: EndpointRecord,
  spec: Pick<EndpointRecord, 'labels' | 'addresses'>,
  netnsCookie: bigint,
): string | undefined {
  if (known.kind === 'workload') return 'which a manifest describes';
  if (known.netnsCookie !== netnsCookie) return `in namespace ${known.netns}`;
  if (known.labels.key !== spec.labels.key) return 'with other labels';
  const isSame = [...known.addresses].sort().join() === [...spec.addresses].sort().join();
  return isSame ? undefined : `with the addresses ${known.addresses.join(', ')}`;
}
