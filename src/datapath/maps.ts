/**
 * Creates or adopts every map under `<bpf-root>/maps/<name>@<layout>`. What is pinned keeps its contents and,
 * while anything is enforced, its size, whatever this start would have chosen: flows, verdicts and identities
 * outlive the agent. A map of another layout has another name and is left to `upgrade.ts`. Maps that name each other's entries by number go by one
 * layout together: a new table of rule sets over an arena in which the old one's programs still read would
 * be given their space. Rings are maps of their own, `ring<n>@<layout>`.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, unlinkSync } from 'node:fs';
import { MerlonError } from '#kit/errors';
import {
  closeFd,
  mapCreate,
  mapInfo,
  mapMemory,
  mapUpdate,
  mapView,
  objPin,
  possibleCpus,
  viewRelease,
  type Fd,
} from '#native';
import { MAPS, type MapName, RULESET_SIZE, STAGES } from '#wire/bpf';
import { getPin, type MapPin, mapPins, withPin } from './pins.ts';
import type { MapSizes } from './sizes.ts';
import { Stages } from './stages.ts';

const RINGBUF = 27;
const ARRAY_OF_MAPS = 12;
const PAGE = 4096;

/** A map of ours. */
export interface OpenMap {
  readonly name: string;
  readonly fd: Fd;
  readonly maxEntries: number;
  /** It was pinned before this start. */
  readonly isAdopted: boolean;
}

/** Pinned here; `stages` is each load's own (`stages.ts`). */
const MAP_NAMES = (Object.keys(MAPS) as MapName[]).filter((name) => name !== 'stages');

/** Maps whose entries refer to each other by number. */
const TOGETHER: ReadonlySet<string> = new Set<MapName>([
  'arena',
  'devices',
  'devices_high',
  'endpoint_prefix',
  'endpoints',
  'failsafe',
  'failsafe_port',
  'hostfw_control',
  'identity_class',
  'identity_page',
  'live',
  'port_class',
  'rule_count',
  'rulesets',
]);

const layoutTogether = createHash('sha256')
  .update([...TOGETHER].map((name) => MAPS[name as MapName].layout).join())
  .digest('hex')
  .slice(0, 8);

/** Pin of a map under `<bpf-root>/maps`. */
function mapPin(name: MapName): string {
  return `${name}@${TOGETHER.has(name) ? layoutTogether : MAPS[name].layout}`;
}

export class DatapathMaps implements Disposable {
  readonly #maps = new Map<string, OpenMap>();
  readonly rings: OpenMap[] = [];
  readonly stages: Stages;
  /** Maps whose size is not the wanted one, since they enforce; a sentence each. */
  readonly kept: string[] = [];
  readonly #bpfRoot: string;
  readonly #root: string;

  /** Errors: KERNEL_MAP, KERNEL_MEMORY. */
  constructor(bpfRoot: string, sizes: MapSizes, ringBytes: number) {
    this.#bpfRoot = bpfRoot;
    this.#root = `${bpfRoot}/maps`;
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    this.stages = new Stages(bpfRoot);
    this.#maps.set('stages', { name: 'stages', fd: this.stages.fd, maxEntries: STAGES, isAdopted: false });
    try {
      this.#resize(sizes);
      for (const name of MAP_NAMES) if (name !== 'events') this.#open(name, sizes[name]);
      this.#openRings(sizes.events, ringBytes);
    } catch (e) {
      this[Symbol.dispose]();
      throw e;
    }
  }

  get(name: MapName): OpenMap {
    return this.#maps.get(name) as OpenMap;
  }

  fd(name: MapName): Fd {
    return this.get(name).fd;
  }

  /** Every map with its descriptor. */
  all(): Iterable<OpenMap> {
    return [...this.#maps.values(), ...this.rings];
  }

  /** An array's contents as memory. */
  view(name: MapName): ArrayBuffer {
    const { maxEntries, fd } = this.get(name);
    const bytes = roundUp(MAPS[name].valueSize, 8) * maxEntries;
    return mapView(fd, roundUp(bytes, PAGE));
  }

  /** Kernel memory of all maps, bytes. */
  memoryBytes(): number {
    let sum = 0;
    for (const { fd } of this.all()) sum += mapMemory(fd);
    return sum;
  }

  /** Pins maps again whose pin is gone: without it the next start would begin with an empty one. How many. */
  repair(): number {
    const paths = [
      ...MAP_NAMES.filter((name) => name !== 'events').map(
        (name) => [this.fd(name), `${this.#root}/${mapPin(name)}`] as const,
      ),
      [this.stages.fd, this.stages.path] as const,
      ...this.rings.map(({ fd, name }) => [fd, `${this.#root}/${name}@${MAPS.events.layout}`] as const),
    ];
    const missing = paths.filter(([, path]) => !existsSync(path));
    for (const [fd, path] of missing) objPin(fd, path);
    return missing.length;
  }

  /** Pinned maps that are none of these: of another layout. */
  foreign(): readonly MapPin[] {
    const ours = new Set(MAP_NAMES.map((name) => `${this.#root}/${mapPin(name)}`));
    for (const { name } of this.rings) ours.add(`${this.#root}/${name}@${MAPS.events.layout}`);
    return mapPins(this.#bpfRoot).filter(({ path }) => !ours.has(path));
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.all()) closeFd(fd);
    this.#maps.clear();
    this.rings.length = 0;
  }

  /** Makes way for maps of other sizes; those that name each other's entries go together. */
  #resize(sizes: MapSizes): void {
    const changed = MAP_NAMES.filter((name) => this.#hasOtherSize(name, sizes[name]));
    if (changed.length === 0) return;
    if (this.#isEnforcing()) {
      for (const name of changed)
        this.kept.push(
          `map ${name} keeps its size, not the ${sizes[name]} entries now asked for, since it enforces; ` +
            'after `merlon uninstall` the next start has the new size',
        );
      return;
    }
    const isGroup = changed.some((name) => TOGETHER.has(name));
    const names = new Set([...changed, ...(isGroup ? MAP_NAMES.filter((name) => TOGETHER.has(name)) : [])]);
    for (const { path } of mapPins(this.#bpfRoot))
      if ([...names].some((name) => path === `${this.#root}/${mapPin(name)}`)) unlinkSync(path);
  }

  #hasOtherSize(name: MapName, wanted: number): boolean {
    const entries = withPin(`${this.#root}/${mapPin(name)}`, (fd) => mapInfo(fd).maxEntries);
    // The kernel rounds what has a list a CPU.
    return entries !== undefined && Math.abs(entries - wanted) >= possibleCpus();
  }

  /** Has any rule set, or the host endpoint, a policy? */
  #isEnforcing(): boolean {
    const controls = (name: MapName, stride: number) =>
      withPin(`${this.#root}/${mapPin(name)}`, (fd) => {
        const { maxEntries, valueSize } = mapInfo(fd);
        const memory = mapView(fd, roundUp(roundUp(valueSize, 8) * maxEntries, PAGE), false);
        const words = new BigUint64Array(memory);
        let isSet = false;
        for (let i = 0; i < maxEntries; i++) isSet ||= words[(i * stride) / 8] !== 0n;
        viewRelease(memory);
        return isSet;
      }) ?? false;
    return controls('hostfw_control', MAPS.hostfw_control.valueSize) || controls('rulesets', RULESET_SIZE);
  }

  #open(name: MapName, maxEntries: number, innerFd?: Fd): OpenMap {
    const { type, keySize, valueSize, flags } = MAPS[name];
    const spec = { type, name: name.slice(0, 15), keySize, valueSize, flags, maxEntries };
    const map = this.#adopt(name, mapPin(name), spec) ?? {
      name,
      fd: create({ ...spec, ...(innerFd === undefined ? {} : { innerFd }) }, `${this.#root}/${mapPin(name)}`),
      maxEntries,
      isAdopted: false,
    };
    this.#maps.set(name, map);
    return map;
  }

  #adopt(name: string, pin: string, want: { type: number; keySize: number; valueSize: number }) {
    const fd = getPin(`${this.#root}/${pin}`);
    if (fd === undefined) return undefined;
    const info = mapInfo(fd);
    if (info.type === want.type && info.keySize === want.keySize && info.valueSize === want.valueSize)
      return { name, fd, maxEntries: info.maxEntries, isAdopted: true };
    closeFd(fd);
    throw new MerlonError('INSTANCE_SCHEMA', `the pinned map ${pin} has another layout than its name says`);
  }

  #openRings(count: number, bytes: number): void {
    const layout = MAPS.events.layout;
    const spec = { type: RINGBUF, keySize: 0, valueSize: 0, flags: 0, maxEntries: bytes };
    for (let i = 0; i < count; i++) {
      const pin = `ring${i}@${layout}`;
      const ring = this.#adopt(`ring${i}`, pin, spec);
      const fd = ring?.fd ?? create({ ...spec, name: `ring${i}` }, `${this.#root}/${pin}`);
      this.rings.push(ring ?? { name: `ring${i}`, fd, maxEntries: bytes, isAdopted: false });
    }
    const events = this.#open('events', count, (this.rings[0] as OpenMap).fd);
    if (events.isAdopted) return;
    this.rings.forEach((ring, i) => mapUpdate(events.fd, Uint32Array.of(i), Uint32Array.of(ring.fd)));
  }
}

/** A one-entry map of maps of this process alone; an update of it waits for a grace period. */
export function createGraceMap(): { outer: Fd; inner: Fd } {
  const spec = { type: 2, name: 'grace', keySize: 4, valueSize: 4, maxEntries: 1 };
  const inner = mapCreate(spec);
  return { inner, outer: mapCreate({ ...spec, type: ARRAY_OF_MAPS, innerFd: inner }) };
}

function create(spec: Parameters<typeof mapCreate>[0], path: string): Fd {
  let fd: Fd;
  try {
    fd = mapCreate(spec);
  } catch (cause) {
    const code = (cause as { code?: string }).code === 'ENOMEM' ? 'KERNEL_MEMORY' : 'KERNEL_MAP';
    throw new MerlonError(code, `map ${spec.name} of ${spec.maxEntries} entries cannot be made`, { cause });
  }
  try {
    objPin(fd, path);
  } catch (cause) {
    closeFd(fd);
    throw new MerlonError('KERNEL_NO_BPFFS', `map ${spec.name} cannot be pinned as ${path}`, { cause });
  }
  return fd;
}

function roundUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
