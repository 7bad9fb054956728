/** Opens the datapath: locks, pins, programs, worker; hands out its parts. Closing detaches nothing. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonicNs } from '#native';
import { EVENT_TYPE, LIVE_STATE, RULESET_HOST } from '#wire/bpf';
import { LocalAddresses } from './addrs.ts';
import type { Attachments } from './attach.ts';
import type { Background } from './background.ts';
import type { CompiledPolicy } from './compiled.ts';
import { Counters } from './counters.ts';
import { Devices } from './devices.ts';
import { Endpoints } from './endpoints.ts';
import { Epochs } from './epoch.ts';
import { Failsafe } from './failsafe.ts';
import { FLOW_TABLES, type FlowTables, roomOf } from './flow-tables.ts';
import { type FlowRecord, type FlowTimeouts, listFlows } from './flows.ts';
import type { Instance } from './instance.ts';
import { Ipcache } from './ipcache.ts';
import { CONTROL_MODE, type Control, controlFromWord, wordFromControl } from './layout.ts';
import type { Programs } from './load.ts';
import type { DatapathMaps } from './maps.ts';
import { policyMemory } from './memory.ts';
import { feederOf, type Opened, openParts } from './open.ts';
import type { DatapathOptions, Topic } from './options.ts';
import { Origins } from './origins.ts';
import { OriginsStore } from './origins-store.ts';
import { type Applied, PolicyTables } from './policy.ts';
import type { Upgrade } from './upgrade.ts';

export type HostMode = keyof typeof CONTROL_MODE;

/** What `merlon status` shows of the datapath. */
export interface DatapathStatus {
  readonly instance: string;
  readonly attach: 'tcx' | 'clsact';
  readonly programs: readonly {
    readonly name: string;
    readonly id: number;
    readonly tag: string;
    readonly verified: number;
  }[];
  readonly loadMs: Readonly<Record<string, number>>;
  readonly openMs: number;
  readonly generations: readonly {
    readonly key: string;
    readonly index: number;
    readonly generation: number;
  }[];
  readonly arena: { readonly usedBytes: number; readonly sizeBytes: number };
  readonly classes: { readonly identities: number; readonly ports: number };
  readonly origins: { readonly used: number; readonly shared: number; readonly limit: number };
  readonly memoryBytes: number;
  readonly maps: readonly { readonly name: string; readonly maxEntries: number }[];
  /** Records met by the last pass of the collector, rounded up to 16; 0 before the first. */
  readonly flowTables: readonly {
    readonly name: string;
    readonly entries: number;
    readonly capacity: number;
  }[];
  readonly features: readonly { readonly name: string; readonly present: boolean; readonly cost: string }[];
  readonly troubles: readonly string[];
}

/** Drift is rare, and reading everything back costs. */
const VERIFY_INTERVAL_MS = 60_000;
const NO_THREAD = 'the thread that reads events and waits for the kernel does not run; it is started again';
const UPGRADING = 'devices still run the programs of another release, over maps of another layout';

const ALL_EVENTS = (1 << EVENT_TYPE.VERDICT) | (1 << EVENT_TYPE.DROP) | (1 << EVENT_TYPE.FAILSAFE);

export class Datapath implements AsyncDisposable {
  readonly instance: Instance;
  readonly maps: DatapathMaps;
  readonly programs: Programs;
  readonly attachments: Attachments;
  readonly addresses: LocalAddresses;
  readonly ipcache: Ipcache;
  readonly endpoints: Endpoints;
  readonly devices: Devices;
  readonly failsafe: Failsafe;
  readonly counters: Counters;
  readonly origins: Origins;
  readonly policy: PolicyTables;
  readonly timeouts: FlowTimeouts;
  readonly #background: Background;
  readonly #flowTables: FlowTables;
  readonly #upgrade: Upgrade;
  readonly #opts: DatapathOptions;
  readonly #store: OriginsStore;
  readonly #live: Uint32Array;
  readonly #hostControl: BigUint64Array;
  readonly #epochs: Epochs;
  readonly #stack: AsyncDisposableStack;
  readonly #troubles: string[] = [];
  readonly #openMs: number;
  #settling: Promise<void> = Promise.resolve();
  #isSettling = false;
  #isVerifying = false;
  /** As it was set, here or by the process before. */
  #mode: { readonly mode: HostMode; readonly untilBootNs: bigint } = { mode: 'enforce', untilBootNs: 0n };

  private constructor(opts: DatapathOptions, parts: Opened, stack: AsyncDisposableStack, openMs: number) {
    this.#opts = opts;
    this.#openMs = openMs;
    ({ instance: this.instance, maps: this.maps, programs: this.programs } = parts);
    ({ attachments: this.attachments, background: this.#background } = parts);
    this.#stack = stack;
    this.timeouts = parts.timeouts;
    this.#flowTables = parts.flowTables;
    this.#live = parts.live;
    this.#epochs = new Epochs(this.#live, (clock) => this.instance.saveClock(clock), this.instance.clock);
    this.origins = new Origins(this.maps.get('rule_count').maxEntries);
    this.#store = new OriginsStore(opts.stateDir, this.origins);
    this.counters = new Counters(this.maps);
    this.addresses = new LocalAddresses(this.maps);
    this.ipcache = new Ipcache(this.maps, this.#epochs, feederOf(this.maps, this.programs));
    this.endpoints = new Endpoints(this.maps, (then) => this.#afterGrace(then));
    this.#upgrade = parts.upgrade;
    this.devices = new Devices({
      upgrade: this.#upgrade,
      maps: this.maps,
      attachments: this.attachments,
      programs: this.programs,
      afterGrace: (then) => this.#afterGrace(then),
      endpoints: this.endpoints,
      xdpMode: opts.xdpMode ?? 'auto',
      counters: this.counters,
    });
    this.failsafe = new Failsafe(
      this.maps,
      opts.ifindexOf,
      () => this.#background.wait(),
      (isIntact) => this.#looked('contents of failsafe', isIntact ? [] : ['failsafe entries']),
    );
    const mem = policyMemory({
      rulesets: this.maps.view('rulesets'),
      arena: this.maps.view('arena'),
      identityPage: this.maps.view('identity_page'),
      identityClass: this.maps.view('identity_class'),
      portClass: this.maps.view('port_class'),
      hostControl: this.maps.view('hostfw_control'),
    });
    this.#hostControl = mem.hostControl;
    this.policy = new PolicyTables({
      mem,
      grace: this.#background,
      origins: this.origins,
      endpoints: this.endpoints,
      nextGeneration: () => this.instance.nextGeneration(),
      clearCounter: (origin) => this.counters.clearOrigin(origin),
      blocksFrom: opts.blocksFrom,
    });
  }

  /**
   * Locks, adopts or creates the pins, loads the programs, starts the worker. Programs hang nowhere new yet:
   * `devices.update` attaches. Errors: INSTANCE_*, KERNEL_*.
   */
  static async open(opts: DatapathOptions): Promise<Datapath> {
    const start = performance.now();
    await using stack = new AsyncDisposableStack();
    const parts = await openParts(opts, stack);
    const datapath = new Datapath(opts, parts, stack.move(), performance.now() - start);
    try {
      await datapath.#adopt();
    } catch (e) {
      await datapath[Symbol.asyncDispose]();
      throw e;
    }
    return datapath;
  }

  async #adopt(): Promise<void> {
    const lost = this.#store.restore();
    if (lost !== undefined) this.#troubles.push(lost);
    this.#mode = { mode: this.hostMode, untilBootNs: this.#hostControl[2] as bigint };
    this.endpoints.adopt();
    this.devices.adopt();
    this.ipcache.adopt();
    this.#troubles.push(...(await this.policy.adopt()));
    for (const [, , generation] of this.policy.generations()) this.instance.advanceTo(generation);
    this.setInterest(ALL_EVENTS);
    await this.#background.ready;
    const timer = setInterval(() => {
      this.verify().catch((err: unknown) =>
        this.#opts.onProblem('reading back', 'reading the kernel back failed', err),
      );
    }, VERIFY_INTERVAL_MS);
    this.#stack.defer(() => clearInterval(timer));
  }

  /**
   * Reads back what packets read, in slices, and repairs what is not as it was written: policy, ipcache,
   * endpoints, devices, addresses, mode (failsafe entries are compared when they are set). Sentences about what was
   * found.
   */
  async verify(): Promise<readonly string[]> {
    if (this.#isVerifying) return [];
    this.#isVerifying = true;
    try {
      const found = [...(await this.policy.verify())];
      const addresses = await this.ipcache.repair(() => nextTurn());
      if (addresses > 0) found.push(`${addresses} entries of the ipcache`);
      const others = [
        [this.endpoints.repair(), 'endpoints'],
        [this.devices.repair(), 'records of devices'],
        [this.maps.repair(), 'pins of maps'],
        [this.addresses.repair(), 'addresses of the node'],
      ] as const;
      for (const [count, what] of others) if (count > 0) found.push(`${count} ${what}`);
      if (this.#repairMode()) found.push('the mode of the host');
      if (found.length > 0) this.#epochs.advance([], true);
      this.#looked('contents of the kernel', found);
      this.#opts.onOver?.('reading back');
      this.#settle();
      return found;
    } finally {
      this.#isVerifying = false;
    }
  }

  /** What was repaired is told until a later look finds everything as it was written. */
  #looked(topic: Topic, found: readonly string[]): void {
    const sentence = 'the kernel held something else than was written, and was repaired';
    if (found.length === 0) this.#opts.onOver?.(topic);
    else this.#opts.onProblem(topic, `${sentence}: ${found.join(', ')}`);
  }

  /** Makes the kernel enforce this policy; resolves once it does. Errors: POLICY_NO_ROOM, POLICY_VERIFY_FAILED. */
  async applyPolicy(compiled: CompiledPolicy): Promise<Applied> {
    const applied = await this.policy.apply(compiled);
    this.#upgrade.policyIsInPlace();
    if (applied.rejudge.some((identity) => this.ipcache.uses(identity))) this.#epochs.advance([], true);
    this.#settle();
    this.#saveOrigins();
    return applied;
  }

  /** What is enforced is: a file that cannot be written costs the rules' names after the next start. */
  #saveOrigins(): void {
    try {
      this.#store.save();
      this.#opts.onOver?.('numbers of rules');
    } catch (err) {
      this.#opts.onProblem(
        'numbers of rules',
        'events and counters may not find their rules after a start',
        err,
      );
    }
  }

  /** Tidies up after switches; one run at a time, begun anew when another switch came meanwhile. */
  #settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    const sentence = 'tidying up after a policy change failed; it is tried again with the next one';
    this.#settling = this.policy
      .settle()
      .then(
        () => this.#opts.onOver?.('tidying up'),
        (err: unknown) => this.#opts.onProblem('tidying up', sentence, err),
      )
      .finally(() => {
        this.#isSettling = false;
      });
  }

  #afterGrace(then: () => void): void {
    const over = (): void => {
      then();
      this.#opts.onOver?.('grace periods');
    };
    this.#background
      .wait()
      .then(over, (err: unknown) =>
        this.#opts.onProblem('grace periods', 'a grace period was not to be had', err),
      );
  }

  /** Resolves when nothing is left to tidy up. */
  async settled(): Promise<void> {
    await this.#settling;
  }

  /** The host endpoint's switch as it stands. */
  hostControl(): Control {
    return controlFromWord(this.#hostControl[0] as bigint);
  }

  /** The host endpoint's mode as the kernel has it. */
  get hostMode(): HostMode {
    const { mode } = this.hostControl();
    return (Object.keys(CONTROL_MODE) as HostMode[]).find((name) => CONTROL_MODE[name] === mode) ?? 'enforce';
  }

  /** Switches the host endpoint's mode; `untilBootNs` 0: until it is switched again. */
  setHostMode(mode: HostMode, untilBootNs = 0n): void {
    this.#mode = { mode, untilBootNs };
    Atomics.store(this.#hostControl, 2, untilBootNs);
    const word = wordFromControl({ ...this.hostControl(), mode: CONTROL_MODE[mode] });
    Atomics.store(this.#hostControl, 0, word);
  }

  /** Sets the mode anew where memory has another than was set; whether it had. */
  #repairMode(): boolean {
    const { mode, untilBootNs } = this.#mode;
    if (this.hostControl().mode === CONTROL_MODE[mode] && this.#hostControl[2] === untilBootNs) return false;
    this.setHostMode(mode, untilBootNs);
    return true;
  }

  /** Which event types the datapath reports, as bits by number of the type. */
  setInterest(types: number): void {
    Atomics.store(this.#live, LIVE_STATE.interest / 4, types);
  }

  /** Live flow records, a chunk at a time; `between`: those of these two addresses, whoever began. */
  *flows(between?: readonly [string, string]): Generator<FlowRecord[]> {
    yield* listFlows(this.maps, this.timeouts, this.nowSeconds(), between);
  }

  /** Seconds of the clock that flow records and counters carry. */
  nowSeconds(): number {
    return Number(monotonicNs() / 1_000_000_000n);
  }

  /** Generation of the host endpoint's policy; 0 = none yet. */
  get hostGeneration(): number {
    return this.policy.rulesets.live.get(RULESET_HOST)?.active.generation ?? 0;
  }

  status(): DatapathStatus {
    const { arena } = this.policy.rulesets;
    return {
      instance: this.instance.id.toString(16).padStart(16, '0'),
      attach: this.attachments.hasTcx ? 'tcx' : 'clsact',
      programs: [...this.programs.all()].map(({ name, info }) => ({
        name,
        id: info.id,
        tag: info.tag,
        verified: info.verifiedInstructions,
      })),
      loadMs: this.programs.loadMs,
      openMs: this.#openMs,
      generations: [...this.policy.generations()].map(([key, index, generation]) => ({
        key,
        index,
        generation,
      })),
      arena: { usedBytes: arena.used * 8, sizeBytes: arena.words * 8 },
      classes: {
        identities: this.policy.identities.axis.weights.size,
        ports: this.policy.ports.axis.weights.size,
      },
      origins: { used: this.origins.size, shared: this.origins.shared, limit: this.origins.limit },
      memoryBytes: this.maps.memoryBytes(),
      maps: [...this.maps.all()].map(({ name, maxEntries }) => ({ name, maxEntries })),
      flowTables: FLOW_TABLES.map((row) => ({
        name: row.table,
        entries: this.#flowTables.entries(row.table),
        capacity: roomOf(row, this.maps.get(row.table).maxEntries),
      })),
      features: this.#features(),
      troubles: [
        ...this.#troubles,
        ...this.maps.kept,
        ...this.#flowTables.troubles(),
        ...(this.#upgrade.isUnderWay ? [UPGRADING] : []),
        ...(this.#background.isAlive ? [] : [NO_THREAD]),
      ],
    };
  }

  #features() {
    const tcx = {
      name: 'tcx',
      present: this.attachments.hasTcx,
      cost: 'clsact: a restart of tc may remove filters',
    };
    const absent = this.programs.absent.map(({ object, reason }) => ({
      name: `${object} programs`,
      present: false,
      cost: reason.split('\n', 1)[0] ?? '',
    }));
    return [tcx, ...absent];
  }

  /** Gives everything back but what is pinned: enforcement goes on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settling;
    await this.#stack[Symbol.asyncDispose]();
  }
}
