/**
 * What the API server asks of the agent: one method a route. The agent hands in an object that implements it;
 * the server knows no part by name.
 */
import type {
  ConfigEntryView,
  CountersView,
  DeviceView,
  EndpointRequest,
  EndpointView,
  EventView,
  FailsafeView,
  FlowView,
  GenerationView,
  HostfwModeView,
  IdentityView,
  IpView,
  LostView,
  ManifestsView,
  MetricView,
  PolicyMapView,
  PolicyStatusView,
  PolicyView,
  ReloadView,
  StatusView,
} from './views.ts';

type Awaitable<T> = T | Promise<T>;

export interface EventQuery {
  /** First sequence number wanted; undefined = only what comes (follow) or all that is kept. */
  readonly since: number | undefined;
  readonly follow: boolean;
}

/** One event: of a number, or the last that tells of a packet that did not pass. */
export type OneEventQuery =
  | { readonly seq: number }
  | { readonly lastDrop: true; readonly source: string | undefined };

/** Records between two addresses, whoever began; undefined: all. */
export interface FlowQuery {
  readonly between: readonly [string, string] | undefined;
}

export interface Parts {
  status(): Awaitable<StatusView>;
  config(): Awaitable<readonly ConfigEntryView[]>;
  /** Resolves once it is in force. */
  setConfig(key: string, isOn: boolean): Promise<void>;
  hostfwMode(): Awaitable<HostfwModeView>;
  /** Resolves once it is in force; without a direction, of both. */
  setHostfwMode(
    mode: HostfwModeView['mode'],
    direction: 'ingress' | 'egress' | undefined,
  ): Promise<HostfwModeView>;
  reload(): Promise<ReloadView>;
  /** Resolves once what the directory holds is enforced, even nothing. */
  clearPolicies(): Promise<void>;
  devices(): Awaitable<readonly DeviceView[]>;
  endpoints(): Awaitable<readonly EndpointView[]>;
  /** Resolves once the endpoint is enforced. */
  addEndpoint(request: EndpointRequest): Promise<EndpointView>;
  removeEndpoint(name: string): Promise<void>;
  /** `PolicyAuditMode` of one endpoint; resolves once it is in force. */
  configureEndpoint(name: string, audit: boolean): Promise<void>;
  identities(): Awaitable<readonly IdentityView[]>;
  ips(): Awaitable<readonly IpView[]>;
  policies(): Awaitable<readonly PolicyView[]>;
  policyStatus(): Awaitable<PolicyStatusView>;
  /** What the enforced policy was compiled from, for tools that ask what would come of a flow or a change. */
  world(): Awaitable<unknown>;
  /** The newest first. */
  generations(): Awaitable<readonly GenerationView[]>;
  /** The text of the generation that a number belongs to; undefined: of the active one. */
  generation(number: number | undefined): Promise<string>;
  manifests(): Awaitable<ManifestsView>;
  flows(query: FlowQuery): AsyncIterable<FlowView>;
  counters(): Awaitable<CountersView>;
  events(query: EventQuery, signal: AbortSignal): AsyncIterable<EventView | LostView>;
  /** Throws `NOT_FOUND`. */
  event(query: OneEventQuery): EventView;
  failsafe(): Awaitable<readonly FailsafeView[]>;
  policyMap(endpoint: string): Awaitable<readonly PolicyMapView[]>;
  metrics(): Awaitable<readonly MetricView[]>;
}
