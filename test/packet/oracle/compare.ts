/** What each run should have done, held against what it did: the verdict, and every event with its rules. */
import { formatHex } from '#kit/bytes';
import { formatIp } from '#kit/ip';
import { originOf } from '#model';
import {
  DROP_REASON,
  EVENT_F_AUDIT,
  EVENT_F_INGRESS,
  EVENT_F_XDP,
  EVENT_TYPE,
  type Event,
  VERDICT,
} from '#wire/bpf';
import { flowText } from '../../unit/policy/compiled-world.ts';
import type { Bed, Ran } from './bed.ts';
import type { Pair } from './pairs.ts';
import { type Judgement, lets, passes, type Want } from './route.ts';

/** One frame's run. */
export interface Done {
  readonly pair: Pair;
  /** Which frame of the pair, in words. */
  readonly what: string;
  readonly want: Want;
  readonly ran: Ran;
  /** A known connection: that it goes on is no event, and a refusal may be told as its revocation. */
  readonly isLive?: boolean;
  readonly isXdp?: boolean;
  /** A later fragment whose first one never came. */
  readonly isOrphan?: boolean;
}

/** All that is otherwise than it must be, in words. */
export async function disagreements(bed: Bed, all: readonly Done[]): Promise<readonly string[]> {
  const events = await bed.allEvents();
  // Numbers keep their rules until they run out, which they do not here.
  const rulesOf = (origin: number) => bed.datapath.origins.rulesOf(origin)?.join() ?? `origin ${origin}`;
  return all.flatMap((done) => {
    const heard = events.slice(...done.ran.events).map((event) => eventText(event, done, rulesOf));
    const meant = expectedEvents(done);
    const verdict = passes(done.want) ? 'pass' : 'drop';
    const isSame = withoutAudit(heard, done).join() === meant.join();
    if (done.ran.verdict === verdict && isSame) return [];
    const was = `${done.ran.verdict} [${heard.join('; ')}]`;
    return [`${describe(done)}: ${was} instead of ${verdict} [${meant.join('; ')}]`];
  });
}

function describe({ pair, what }: Done): string {
  const { routed, shape, frame, seed } = pair;
  const ends = `${formatIp(routed.source)} → ${formatIp(routed.destination)}`;
  const form = `${shape.fragment === 'none' ? '' : `${shape.fragment} fragment, `}source port ${shape.sourcePort}`;
  return `flow seed ${seed}, ${what} (${flowText(routed.flow)}; ${routed.program} ${routed.device}, ${ends}, ${form}, ${formatHex(frame)})`;
}

const VERDICT_OF = {
  allow: VERDICT.ALLOW,
  deny: VERDICT.DENY,
  'default-deny': VERDICT.DEFAULT_DENY,
  redirect: VERDICT.REDIRECT,
  auth: VERDICT.AUTH,
} as const;

function eventText(event: Event, { isLive }: Done, rulesOf: (origin: number) => string): string {
  const isAudit = (event.flags & EVENT_F_AUDIT) !== 0;
  const type = event.version >> 4 === EVENT_TYPE.DROP ? 'drop' : isAudit ? 'audit' : 'allow';
  const direction = (event.flags & EVENT_F_INGRESS) !== 0 ? 'ingress' : 'egress';
  const xdp = (event.flags & EVENT_F_XDP) !== 0 ? ' in XDP' : '';
  const verdict = event.verdict & 0xf;
  const isRevoked = isLive === true && event.reason === DROP_REASON.FLOW_REVOKED;
  const denied = REFUSED_BY[verdict] ?? DROP_REASON.POLICY_DENIED;
  const reason = isRevoked ? denied : event.reason;
  return `${type} ${direction}${xdp} reason ${reason} verdict ${verdict} by ${rulesOf(event.origin)}`;
}

/** Without what audit says of a live flow: once, when it is judged anew, and then as of one that is revoked. */
function withoutAudit(heard: readonly string[], { want, isLive }: Done): readonly string[] {
  if (isLive !== true || want.kind !== 'judged') return heard;
  const plain = (text: string): string => text.replace(/reason \d+/, '');
  const audited = want.by.flatMap(auditText).map(plain);
  return heard.filter((text) => !audited.includes(plain(text)));
}

/** What audit, or a staged policy, has to say of what passes. */
function auditText({ direction, verdict, rules, audited, staged }: Judgement): string[] {
  if (verdict !== 'allow' && audited !== true) return [];
  if (verdict === 'allow' && staged === undefined) return [];
  const reason =
    REFUSED_BY[VERDICT_OF[verdict === 'allow' ? (staged?.verdict ?? verdict) : verdict]] ??
    DROP_REASON.POLICY_DENIED;
  const by = originOf({
    verdict,
    origin: rules,
    ...(staged === undefined ? {} : { staged: { ...staged, origin: staged.rules } }),
  });
  return [`audit ${direction} reason ${reason} verdict ${VERDICT_OF[verdict]} by ${by.join()}`];
}

function expectedEvents(done: Done): readonly string[] {
  const { want, pair, isXdp, isLive } = done;
  const xdp = isXdp === true ? ' in XDP' : '';
  if (want.kind === 'pass' || (isLive === true && passes(want))) return [];
  if (want.kind === 'drop') {
    const direction = pair.routed.program.endsWith('ingress') ? 'ingress' : 'egress';
    const reason = DROP_REASON[want.reason as keyof typeof DROP_REASON];
    return [`drop ${direction}${xdp} reason ${reason} verdict 0 by `];
  }
  const text = (one: Judgement) => {
    const [audit] = auditText(one);
    const { direction, verdict, rules, staged } = one;
    const isOrphan = done.isOrphan === true && verdict === 'default-deny';
    if (audit !== undefined)
      return isOrphan ? audit.replace(/reason \d+/, `reason ${DROP_REASON.FRAG_NOT_FOUND}`) : audit;
    const type = verdict === 'allow' ? 'allow' : 'drop';
    const reason = reasonOf(verdict, done);
    const more = staged === undefined ? {} : { staged: { ...staged, origin: staged.rules } };
    const by = originOf({ verdict, origin: rules, ...more });
    return `${type} ${direction}${xdp} reason ${reason} verdict ${VERDICT_OF[verdict]} by ${by.join()}`;
  };
  const refusal = want.by.find((one) => !lets(one));
  // All that allowed are named, the node first.
  return refusal === undefined ? want.by.toReversed().map(text) : [text(refusal)];
}

/** Why a verdict refuses; what nothing serves and nobody proves, each by its own reason. */
const REFUSED_BY: Readonly<Record<number, number>> = {
  [VERDICT.DENY]: DROP_REASON.POLICY_DENY,
  [VERDICT.REDIRECT]: DROP_REASON.L7_PROXY_UNAVAILABLE,
  [VERDICT.AUTH]: DROP_REASON.AUTH_REQUIRED,
};

function reasonOf(verdict: Judgement['verdict'], { isOrphan }: Done): number {
  if (verdict === 'allow') return DROP_REASON.NONE;
  if (verdict !== 'default-deny') return REFUSED_BY[VERDICT_OF[verdict]] ?? DROP_REASON.NONE;
  return isOrphan === true ? DROP_REASON.FRAG_NOT_FOUND : DROP_REASON.POLICY_DENIED;
}
