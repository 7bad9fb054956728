/** The agent as the local API sees it: every route answered from the tables, the datapath and the loop. */
import type {
  ConfigEntryView,
  EndpointRequest,
  EndpointView,
  EventQuery,
  FailsafeView,
  FlowQuery,
  HostfwModeView,
  IdentityView,
  MetricView,
  OneEventQuery,
  Parts,
  ReloadView,
} from '#api';
import { MerlonError } from '#kit/errors';
import type { HostMode } from '#datapath';
import { type Direction, protocolName } from '#model';
import { configChanges } from '#model/config';
import { errorFromProblem } from '#model/parse';
import { unsyncedTables } from '../input.ts';
import { untilJudged } from '../protect.ts';
import { beginMode } from '../mode-control.ts';
import { checkPatterns, manifestSettings } from '../settings.ts';
import { configOf, modesOf, setOne } from '../tables.ts';
import type { ViewContext } from './context.ts';
import { deviceViews } from './devices.ts';
import { modeView } from './mode.ts';
import { endpointView, endpointViews } from './endpoints.ts';
import { generationViews } from './generations.ts';
import { ipViews } from './ips.ts';
import { NumberNames } from './names.ts';
import { policyStatus, policyViews } from './policies.ts';
import { policyMap } from './policy-map.ts';
import { statusView } from './status.ts';
import { worldView } from './world.ts';
import { counterViews, eventViews, flowViews, oneEvent } from './traffic.ts';

/** A change that takes longer than this to be enforced is answered as not in time; it goes on all the same. */
const ENFORCE_TIMEOUT_MS = 10_000;

export class AgentView implements Parts {
  readonly #context: ViewContext;
  readonly #names: NumberNames;

  constructor(context: ViewContext) {
    this.#context = context;
    this.#names = new NumberNames(context);
  }

  status() {
    return statusView(this.#context);
  }

  config(): readonly ConfigEntryView[] {
    const { mode, policyAudit } = modesOf(this.#context.tables);
    const said: Readonly<Record<string, { readonly value: unknown; readonly origin: string } | undefined>> = {
      'hostfw.mode': mode === undefined ? undefined : { value: mode, origin: 'merlon hostfw mode' },
      'policy-audit-mode':
        policyAudit === undefined ? undefined : { value: policyAudit, origin: 'merlon config' },
    };
    return configOf(this.#context.tables).entries.map(({ key, shown, at }) => ({
      key,
      value: shown,
      origin: at?.file === undefined ? 'default' : `${at.file}:${at.line ?? 1}`,
      ...said[key],
    }));
  }

  /** Sets what can be set while the agent runs; strongest of all, and kept. Error: CONFIG_VALUE. */
  async setConfig(key: string, isOn: boolean): Promise<void> {
    if (key !== 'policy-audit-mode') {
      throw new MerlonError('NOT_SUPPORTED_YET', `this build cannot set "${key}" at run time yet`, {
        hint: 'write it into the configuration file and run `merlon reload`',
      });
    }
    await this.#context.modes.setPolicyAudit(isOn);
  }

  hostfwMode(): HostfwModeView {
    return modeView(this.#context);
  }

  async setHostfwMode(mode: HostMode, direction: Direction | undefined): Promise<HostfwModeView> {
    await this.#context.modes.setMode(mode, direction);
    return modeView(this.#context);
  }

  /** Reads configuration and manifests again. An invalid file changes nothing and is the error. */
  async reload(): Promise<ReloadView> {
    const { files, db, tables, manifests, endpoints, loop } = this.#context;
    const before = configOf(tables);
    const after = await files.read();
    checkPatterns(tables, after);
    const { changed, needsRestart } = configChanges(before, after);
    setOne(db, tables.settings, 'config', { config: after });
    beginMode(this.#context.datapath, tables);
    manifests.configure(manifestSettings(after));
    // Who reloads has seen something wrong: what hangs where is looked at now, not in a minute.
    this.#context.reconcilers.devices.requestPrune();
    const signal = AbortSignal.timeout(ENFORCE_TIMEOUT_MS);
    const { problems, state, message } = await manifests.reload({ signal });
    const [first] = problems;
    if (first !== undefined) throw errorFromProblem(first);
    // The configuration counts all the same; what somebody did to the directory does not.
    if (state === 'held') throw new MerlonError('FAILED', message);
    db.flush();
    // A workload becomes an endpoint first.
    await endpoints.settled();
    db.flush();
    await loop.settled(db.revision, signal);
    this.#context.report.write();
    const { instance } = this.#context.datapath;
    return {
      changed,
      needsRestart,
      policies: tables.manifests.policies.size,
      generation: instance.generation,
    };
  }

  /** Enforces what the directory holds, even nothing. */
  async clearPolicies(): Promise<void> {
    const { manifests, db, loop, report } = this.#context;
    const signal = AbortSignal.timeout(ENFORCE_TIMEOUT_MS);
    const { problems } = await manifests.clear({ signal });
    const [first] = problems;
    if (first !== undefined) throw errorFromProblem(first);
    db.flush();
    await loop.settled(db.revision, signal);
    report.write();
  }

  world() {
    return worldView(this.#context);
  }

  generations() {
    return generationViews(this.#context);
  }

  async generation(number: number | undefined): Promise<string> {
    const { generations } = this.#context;
    return generations.get(number ?? generations.active);
  }

  devices() {
    return deviceViews(this.#context);
  }

  endpoints() {
    return endpointViews(this.#context);
  }

  async addEndpoint(request: EndpointRequest): Promise<EndpointView> {
    const { endpoints, loop, tables } = this.#context;
    const waiting = unsyncedTables(tables);
    if (loop.enforced === undefined && waiting.length > 0) {
      throw new MerlonError('FAILED', `the agent has no policy yet, it waits for ${waiting.join(', ')}`, {
        hint: 'an endpoint would not be protected; `merlon status` tells what is wrong',
      });
    }
    const row = await endpoints.add(request);
    await untilJudged(row, this.#context, AbortSignal.timeout(ENFORCE_TIMEOUT_MS));
    return endpointView(this.#context, row);
  }

  async removeEndpoint(name: string): Promise<void> {
    const { endpoints, loop, db } = this.#context;
    await endpoints.remove(name);
    await loop.settled(db.revision, AbortSignal.timeout(ENFORCE_TIMEOUT_MS));
  }

  async configureEndpoint(name: string, audit: boolean): Promise<void> {
    await this.#context.modes.setEndpointAudit(name, audit);
  }

  identities(): readonly IdentityView[] {
    const enforced = this.#context.loop.enforced;
    const prefixes = new Map<number, string[]>();
    for (const { prefix, identity } of enforced?.ipcache ?? []) {
      prefixes.set(identity, [...(prefixes.get(identity) ?? []), prefix]);
    }
    return (enforced?.identities ?? [])
      .map(({ id }) => ({ id, labels: this.#names.labels(id), prefixes: prefixes.get(id) ?? [] }))
      .sort((a, b) => a.id - b.id);
  }

  ips() {
    return ipViews(this.#context, this.#names);
  }

  policies() {
    return policyViews(this.#context);
  }

  policyStatus() {
    return policyStatus(this.#context);
  }

  manifests() {
    return this.#context.report.view();
  }

  flows(query: FlowQuery) {
    return flowViews(this.#context, this.#names, query);
  }

  event(query: OneEventQuery) {
    return oneEvent(this.#context, this.#names, query);
  }

  counters() {
    return counterViews(this.#context, this.#names);
  }

  events(query: EventQuery, signal: AbortSignal) {
    return eventViews(this.#context, this.#names, query, signal);
  }

  failsafe(): readonly FailsafeView[] {
    return [...this.#context.tables.failsafe.all()].map((row) => ({
      entry: row.entry,
      direction: row.direction,
      protocol: protocolName(row.protocol),
      port: row.port === row.endPort ? String(row.port) : `${row.port}-${row.endPort}`,
      cidrs: row.cidrs,
      device: row.device,
      why: row.why,
    }));
  }

  policyMap(endpoint: string) {
    return policyMap(this.#context, this.#names, endpoint);
  }

  metrics(): readonly MetricView[] {
    const counters = this.counters();
    const { loop, datapath } = this.#context;
    const one = (name: string, value: number, labels: Record<string, string> = {}): MetricView => ({
      name,
      labels,
      value,
    });
    return [
      one('merlon_policy_generation', datapath.instance.generation),
      one('merlon_endpoints', this.#context.tables.endpoints.size),
      one('merlon_policies', this.#context.tables.manifests.policies.size),
      one('merlon_time_to_enforce_ms', rounded(loop.times.summary.p50), { quantile: '0.5' }),
      one('merlon_time_to_enforce_ms', rounded(loop.times.summary.p99), { quantile: '0.99' }),
      one('merlon_events_total', Number(datapath.counters.stats().EVENT_SENT)),
      ...counters.audited.map((d) =>
        one('merlon_audit_total', d.packets, { reason: d.reason, device: d.device }),
      ),
      ...counters.drops.map((d) =>
        one('merlon_drop_total', d.packets, { reason: d.reason, device: d.device }),
      ),
      ...Object.entries(counters.paths).map(([path, n]) => one('merlon_path_total', n, { path })),
      ...counters.rules.map((r) => one('merlon_rule_packets_total', r.packets, { rule: r.id })),
    ];
  }
}

/** Microseconds are the last digit that means anything. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
