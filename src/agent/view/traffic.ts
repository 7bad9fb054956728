/** Flow records, counters and events as the API answers them. */
import type { CountersView, EventQuery, EventView, FlowQuery, FlowView, LostView, OneEventQuery } from '#api';
import type { DropCounter, FlowEnd, FlowRecord, FlowVerdict } from '#datapath';
import { describe, type EventLog, isRefusal, read } from '#flow';
import { MerlonError } from '#kit/errors';
import { hasPorts, protocolName } from '#model';
import type { ViewContext } from './context.ts';
import type { NumberNames } from './names.ts';

/** The words of events for the verdicts that a record can carry. */
const VERDICT_WORDS: Readonly<Record<string, string>> = {
  ALLOW: 'ALLOWED',
  DENY: 'DENIED',
  DEFAULT_DENY: 'DENIED',
  REDIRECT: 'REDIRECTED',
};

export async function* flowViews(
  { datapath }: ViewContext,
  names: NumberNames,
  { between }: FlowQuery,
): AsyncGenerator<FlowView> {
  for (const chunk of datapath.flows(between)) for (const record of chunk) yield flowView(record, names);
}

function flowView(r: FlowRecord, names: NumberNames): FlowView {
  const end = ({ ip, port, identity }: FlowEnd): FlowView['initiator'] => ({
    ip,
    ...(port === undefined || !hasPorts(r.protocol) ? {} : { port }),
    identity,
  });
  const verdict = (v: FlowVerdict) => ({
    verdict: VERDICT_WORDS[v.verdict] ?? v.verdict,
    ...rulesOf(v, names),
    generation: v.generation,
  });
  const { egress, ingress } = r.verdicts;
  return {
    family: r.family,
    protocol: protocolName(r.protocol),
    direction: r.direction,
    initiator: end(r.initiator),
    responder: end(r.responder),
    state: r.state,
    flags: r.flags,
    created: names.wallTime(r.created),
    lastSeen: names.wallTime(r.lastSeen),
    expires: names.wallTime(r.expires),
    packets: r.packets,
    bytes: { forward: Number(r.bytes.forward), reply: Number(r.bytes.reply) },
    verdicts: {
      ...(egress === undefined ? {} : { egress: verdict(egress) }),
      ...(ingress === undefined ? {} : { ingress: verdict(ingress) }),
    },
    flow: r.flow.toString(16),
  };
}

/** Of a flow that staged policies alone would refuse: what lets it pass, and those. */
function rulesOf({ origin }: FlowVerdict, names: NumberNames) {
  const { rules, enforced } = names.origin(origin);
  return enforced === undefined ? { rules } : { rules: enforced, staged: rules };
}

/** Hits of rules; an origin of several rules counts for each of them, and says that it is shared. */
export function counterViews({ datapath, tables }: ViewContext, names: NumberNames): CountersView {
  const rules = new Map<
    string,
    { packets: number; bytes: number; flows: number; lastHit: number; shared: boolean }
  >();
  for (const policy of tables.manifests.policies.all()) {
    for (const rule of policy.specs.flatMap((s) => s.rules)) {
      rules.set(rule.id, { packets: 0, bytes: 0, flows: 0, lastHit: 0, shared: false });
    }
  }
  for (const { origin, packets, bytes, flows, lastHit } of datapath.counters.origins(
    datapath.origins.limit,
  )) {
    const { rules: told, enforced = [], staged = [] } = names.origin(origin);
    const ids = [...told, ...enforced, ...staged];
    for (const { id } of ids) {
      const sum = rules.get(id) ?? { packets: 0, bytes: 0, flows: 0, lastHit: 0, shared: false };
      rules.set(id, {
        packets: sum.packets + Number(packets),
        bytes: sum.bytes + Number(bytes),
        flows: sum.flows + Number(flows),
        lastHit: Math.max(sum.lastHit, lastHit),
        shared: sum.shared || ids.length > 1,
      });
    }
  }
  const slots = datapath.devices.bySlot();
  const byReason = ({ reason, ifindex, packets, bytes }: DropCounter): CountersView['drops'][number] => ({
    reason,
    device: ifindex === 0 ? 'other' : names.device(ifindex),
    packets: Number(packets),
    bytes: Number(bytes),
  });
  return {
    rules: [...rules]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { lastHit, ...sum }]) => ({
        ...names.rule(id),
        ...sum,
        ...(lastHit === 0 ? {} : { lastHit: names.wallTime(lastHit) }),
      })),
    drops: datapath.counters.drops(slots).map(byReason),
    audited: datapath.counters.audited(slots).map(byReason),
    paths: Object.fromEntries(
      Object.entries(datapath.counters.stats())
        .filter(([name]) => name !== 'MAX')
        .map(([name, n]) => [name.toLowerCase(), Number(n)]),
    ),
  };
}

export async function* eventViews(
  { log }: ViewContext,
  names: NumberNames,
  query: EventQuery,
  signal: AbortSignal,
): AsyncGenerator<EventView | LostView> {
  for await (const reading of read(log, { ...query, signal })) {
    if (reading.kind === 'lost') {
      yield { lost: { before: reading.before, why: 'only the last events are kept in memory' } };
    } else yield describe(reading.view, reading.seq, names);
  }
}

/** One event by its number, or the last refusal. Throws `NOT_FOUND`. */
export function oneEvent({ log }: ViewContext, names: NumberNames, query: OneEventQuery): EventView {
  const found = 'seq' in query ? bySequence(log, query.seq, names) : lastDrop(log, query.source, names);
  if (found !== undefined) return found;
  const kept = log.first === log.next ? 'none is' : `${log.first} to ${log.next - 1} are`;
  const sentence =
    'seq' in query
      ? `event ${query.seq} is not kept: ${kept}`
      : `no refusal${query.source === undefined ? '' : ` of a packet from ${query.source}`} is kept`;
  throw new MerlonError('NOT_FOUND', sentence, { hint: '`merlon events` lists what is kept' });
}

function bySequence(log: EventLog, seq: number, names: NumberNames): EventView | undefined {
  const view = log.record(seq);
  return view && describe(view, seq, names);
}

function lastDrop(log: EventLog, source: string | undefined, names: NumberNames): EventView | undefined {
  for (let seq = log.next - 1; seq >= log.first; seq--) {
    const view = log.record(seq);
    if (view === undefined || !isRefusal(view)) continue;
    const event = describe(view, seq, names);
    if (source === undefined || event.source.ip === source) return event;
  }
  return undefined;
}
