/**
 * Why an event of the kernel says what it says: the packet, what decided, the way it came by and the rules of the
 * generation that judged it, and whether today's would say the same. The kernel's word stands, whatever the
 * rules on paper come to.
 */
import { call, type EndpointView, type EndView, type EventView } from '#api/client';
import {
  type CaseFlow,
  documentsDigest,
  flowProtocol,
  type Generation,
  generationFromText,
  snapshotFromJson,
  SnapshotRun,
} from '#cases';
import { MerlonError } from '#kit/errors';
import { parseIp } from '#kit/ip';
import { endpointNamed } from '#model';
import { fitting, resultText, type ResultView, resultView } from './explain-text.ts';
import { shortName } from './labels.ts';
import { place, rulesText } from './place.ts';
import { REASON_MEANING } from './reasons.ts';
import type { Context } from './verb.ts';

/** Explains an event. Exit code 0: the packet passed, 1: it did not. */
export async function explainEvent(context: Context, event: EventView): Promise<number> {
  const live = new SnapshotRun(snapshotFromJson(await call('/v1/world', context)));
  const active = await generationOf(context, undefined);
  const kept = await generationOf(context, event.generation);
  const then = kept === undefined ? live : live.at(kept);
  const judged = judgedFlow(event, then);
  const result = judged && resultView(judgedResult(then, judged, event));
  const hasChanged =
    kept !== undefined && active !== undefined && documentsDigest(kept) !== documentsDigest(active);
  const now = hasChanged && judged !== undefined ? resultView(judgedResult(live, judged, event)) : undefined;
  const notes = [
    ...(kept === undefined ? [`generation ${event.generation} is not kept: these are the rules of now`] : []),
    ...(result === undefined ? [] : identityNotes(event, result)),
    ...(result === undefined || isSame(event, result) ? [] : [disagreement(event, result)]),
  ];
  const policy = policyThen(event, kept, active, now);
  const view = {
    event,
    meaning: meaningOf(event),
    ...(kept === undefined ? {} : { generation: kept.generation, enforcedAt: kept.enforcedAt }),
    notes,
    ...(result === undefined ? {} : { result }),
    policy,
    ...(now === undefined ? {} : { now }),
  };
  await context.output.value(view, () => {
    const parts = [
      ...eventLines(event),
      ...notes.map((note) => `note: ${note}`),
      ...(result === undefined ? [] : [resultText(result).trimEnd()]),
      '',
      policy,
    ];
    return fitting(`${parts.join('\n')}\n`, context.output.width);
  });
  return ['DENIED', 'DROPPED', 'REVOKED'].includes(event.verdict) ? 1 : 0;
}

/**
 * The last packet that did not pass; `from`: of an address, or of any address of an endpoint by its name or number.
 * Throws `NOT_FOUND`, `ENDPOINT_NOT_FOUND`.
 */
export async function lastDrop(context: Context, from: string | undefined): Promise<EventView> {
  if (from === undefined || parseIp(from) !== undefined) return dropFrom(context, from);
  const endpoints = await call<readonly EndpointView[]>('/v1/endpoints', context);
  const { ipv4, ipv6 } = endpointNamed(endpoints, from);
  let last: EventView | undefined;
  for (const address of [...ipv4, ...ipv6]) {
    const found = await orAbsent(dropFrom(context, address));
    if (found !== undefined && found.seq > (last?.seq ?? 0)) last = found;
  }
  if (last !== undefined) return last;
  throw new MerlonError('NOT_FOUND', `no refusal of a packet from ${from} is kept`, {
    hint: '`merlon events` lists what is kept',
  });
}

function dropFrom(context: Context, address: string | undefined): Promise<EventView> {
  const query = address === undefined ? '' : `?from=${encodeURIComponent(address)}`;
  return call<EventView>(`/v1/events/last-drop${query}`, context);
}

async function orAbsent<V>(answer: Promise<V>): Promise<V | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof MerlonError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** Undefined: it is not kept any more. */
async function generationOf(context: Context, number: number | undefined): Promise<Generation | undefined> {
  const text = await orAbsent(call<string>(`/v1/generations/${number ?? 'active'}`, context));
  return text === undefined ? undefined : generationFromText(text, 'the agent');
}

/** The connection that was judged: of an answer the one it answers. Undefined for what carries no IP. */
function judgedFlow(event: EventView, world: SnapshotRun): CaseFlow | undefined {
  const protocol = flowProtocol(event.proto) ?? Number(event.proto);
  if (event.ethertype !== undefined || !Number.isInteger(protocol)) return undefined;
  const isReply = event.reply === true;
  const [from, to] = isReply ? [event.destination, event.source] : [event.source, event.destination];
  const type = event.icmpType;
  return {
    from: world.party(from.ip),
    to: world.party(to.ip),
    protocol,
    port: type === undefined ? to.port : isReply ? requestOf(event.proto, type) : type,
    icmpCode: event.icmpCode,
    ct: 'new',
    request: undefined,
    direction: 'both',
  };
}

/** What an echo reply, or a timestamp reply, answers. */
const requestOf = (proto: string, type: number): number => (proto === 'ICMPv6' ? 128 : type === 14 ? 13 : 8);

function judgedResult(world: SnapshotRun, flow: CaseFlow, event: EventView) {
  const isReply = event.reply === true;
  const [from, to] = isReply ? [event.destination, event.source] : [event.source, event.destination];
  const [result] = world.results(flow, {
    device: event.device,
    ...(from.port === undefined ? {} : { sourcePort: from.port }),
    ...(event.tcpFlags === undefined || isReply ? {} : { tcpFlags: event.tcpFlags }),
    ...(event.flow === undefined
      ? {}
      : { record: `record ${event.flow}${isReply ? ', which this packet answers' : ''}` }),
    labels: { [from.ip]: from.labels, [to.ip]: to.labels },
  });
  if (result === undefined) throw new MerlonError('INTERNAL', 'a flow without a result');
  return result;
}

function meaningOf({ reason, kind }: EventView): string {
  if (kind === 'failsafe') return 'A failsafe entry let it pass, whatever the policy says.';
  if (reason === undefined) return 'Policy lets it pass.';
  return REASON_MEANING[reason as keyof typeof REASON_MEANING] ?? '';
}

function eventLines(event: EventView): readonly string[] {
  const { seq, time, verdict, reason, proto, tcpFlags, icmpType, direction, device, generation } = event;
  const what = icmpType === undefined ? (tcpFlags ?? '') : `type ${icmpType}`;
  const end = (one: EndView) =>
    `${one.port === undefined ? one.ip : one.ip.includes(':') ? `[${one.ip}]:${one.port}` : `${one.ip}:${one.port}`} (${shortName(one.labels) || `identity ${one.identity}`})`;
  const by = rulesText(event.rules, place);
  return [
    `event ${seq} at ${time}: ${verdict}${reason === undefined ? '' : ` ${reason}`}. ${meaningOf(event)}`,
    `  ${[proto, what].filter((word) => word !== '').join(' ')} ${end(event.source)} → ${end(event.destination)}`,
    `  ${direction} on ${device}, generation ${generation}${event.xdp === true ? ', before the stack (XDP)' : ''}`,
    ...(by === '' ? [] : [`  decided by ${by}`]),
  ];
}

/** Refusals that policy gives; of all others the rules know nothing. */
const BY_POLICY = ['POLICY_DENIED', 'POLICY_DENY', 'AUTH_REQUIRED', 'L7_PROXY_UNAVAILABLE', 'FLOW_REVOKED'];

function isSame(event: EventView, result: ResultView): boolean {
  const last = result.path?.at(-1)?.stages.at(-1);
  if (event.kind === 'failsafe') return last?.stage === 'failsafe';
  if (event.verdict === 'AUDIT') return result.verdict === 'audit';
  const reason = last?.outcome === 'dropped' ? last.reason : undefined;
  if (event.reason === 'FLOW_REVOKED') return reason !== undefined && BY_POLICY.includes(reason);
  return reason === event.reason;
}

function disagreement(event: EventView, result: ResultView): string {
  if (event.reason !== undefined && !BY_POLICY.includes(event.reason))
    return 'it was refused before its rules counted; what they say of such packets stands below';
  return `the rules below come to ${result.verdict} for a packet of a new connection; the kernel’s word stands, by what it knew of this one`;
}

/** Whose address it was then is what counts; whose it is now may surprise. */
function identityNotes(event: EventView, { sides }: ResultView): readonly string[] {
  return [event.source, event.destination].flatMap((end) => {
    if (end.labels.length === 0) {
      return [
        `who identity ${end.identity} (${end.ip}) was is not known any more; it is shown as who it is now`,
      ];
    }
    const peer = sides.find((side) => side.peerName.includes(end.ip))?.peer;
    if (peer === undefined || peer.labels.join() === [...end.labels].sort().join()) return [];
    return peer.labels.length === end.labels.length &&
      end.labels.every((label) => peer.labels.includes(label))
      ? []
      : [`${end.ip} was ${end.labels.join(' ')} then`];
  });
}

function policyThen(
  event: EventView,
  kept: Generation | undefined,
  active: Generation | undefined,
  now: ResultView | undefined,
): string {
  if (kept === undefined || active === undefined)
    return `what was enforced then (generation ${event.generation}) is not kept`;
  if (now === undefined)
    return `policy is still what it was (generation ${kept.generation}, since ${kept.enforcedAt})`;
  const diff = `merlon policy diff --from gen:${kept.generation} gen:${active.generation}`;
  return `policy has changed since (generation ${active.generation}, ${active.enforcedAt}): such a packet would now get ${now.verdict}\n\`${diff}\` shows what changed`;
}
