/**
 * Runs a scene's probes and says of each what its sockets saw and which event explains it. The event is the
 * one with the probe's own five-tuple; nothing else counts as an explanation.
 */
import type { EventView } from '#api/client';
import type { AttemptResult, Host } from '#lab';
import type { Because, Probe } from './script.ts';
import type { World } from './world.ts';

/** What a silent drop costs. Who expects an answer waits longer, on a machine that has much to do. */
const TIMEOUT_MS = { open: 5000, timeout: 700 } as const;

export interface Observation {
  readonly probe: Probe;
  readonly family: 4 | 6;
  readonly result: AttemptResult;
  /** The event that explains it; undefined when none came. */
  readonly event: EventView | undefined;
  /** What is wrong with it; empty when it came out as expected for the expected reason. */
  readonly mismatch: string;
}

/** Where events are looked up: all those that have come so far, and a way to wait for more. */
export interface EventSource {
  readonly all: () => readonly EventView[];
  /** Resolves when `found` is true of what has come, or after a short time without it. */
  readonly settle: (found: () => boolean) => Promise<void>;
}

/** Every probe over both families, all at once. */
export async function observe(
  world: World,
  probes: readonly Probe[],
  events: EventSource,
): Promise<readonly Observation[]> {
  const from = events.all().length;
  const runs = await Promise.all(
    probes.flatMap((probe) => (probe.families ?? [4, 6]).map((family) => attempt(world, probe, family))),
  );
  const fresh = (): readonly EventView[] => events.all().slice(from);
  // Each hook on the way has its own event; waiting goes on until the one that is asked for has come.
  await events.settle(() =>
    runs.every(({ probe, result }) => mismatch(probe, result, explain(fresh(), probe, result)) === ''),
  );
  const seen = fresh();
  return runs.map(({ probe, family, result }) => {
    const event = explain(seen, probe, result);
    return { probe, family, result, event, mismatch: mismatch(probe, result, event) };
  });
}

async function attempt(
  world: World,
  probe: Probe,
  family: 4 | 6,
): Promise<{ readonly probe: Probe; readonly family: 4 | 6; readonly result: AttemptResult }> {
  const host: Host = world.host(probe.from);
  const result = await host.attempt({
    proto: probe.proto,
    to: world.address(probe.to, family),
    timeoutMs: TIMEOUT_MS[probe.expect],
    ...(probe.port === undefined ? {} : { port: probe.port }),
    ...(probe.proto === 'http' ? { method: 'POST', path: '/v1/request-landing' } : {}),
  });
  return { probe, family, result };
}

/** The refusal where there is one, else the verdict with the rule that was asked for, else any of the flow. */
function explain(events: readonly EventView[], probe: Probe, result: AttemptResult): EventView | undefined {
  const own = events.filter((e) => isOf(e, result));
  return (
    own.find((e) => e.verdict !== 'ALLOWED') ??
    own.find((e) => isExplainedBy(e, probe.because)) ??
    own.find((e) => e.rules.length > 0) ??
    own[0]
  );
}

function isOf(event: EventView, result: AttemptResult): boolean {
  if (event.source.ip !== result.source || event.destination.ip !== result.to) return false;
  if (result.proto === 'icmp') return event.proto.startsWith('ICMP');
  const isSamePort = event.source.port === result.sourcePort && event.destination.port === result.port;
  return isSamePort && event.proto === (result.proto === 'udp' ? 'UDP' : 'TCP');
}

function isExplainedBy(event: EventView, because: Because): boolean {
  if (event.verdict !== because.verdict) return false;
  if (because.isFailsafe === true) return event.kind === 'failsafe';
  return because.rule === undefined
    ? event.rules.length === 0
    : event.rules.some((rule) => rule.id === because.rule);
}

function mismatch(probe: Probe, result: AttemptResult, event: EventView | undefined): string {
  if (result.outcome !== probe.expect) return `expected ${probe.expect}, the socket saw ${result.outcome}`;
  if (event === undefined) return 'no event has this five-tuple';
  if (isExplainedBy(event, probe.because)) return '';
  const { verdict, rule, isFailsafe } = probe.because;
  const wanted = isFailsafe === true ? 'failsafe' : (rule ?? 'no rule');
  const got = event.rules.map((r) => r.id).join(' ') || (event.kind === 'failsafe' ? 'failsafe' : 'no rule');
  return `expected ${verdict} by ${wanted}, the event says ${event.verdict} by ${got}`;
}
