/**
 * One world on a bed: its packets as the first of their connections; then, under other policies and under the
 * first ones again, packets of the connections that were admitted, both ways (HF-3.3).
 */
import { ipEquals } from '#kit/ip';
import { evaluate, type World } from '#oracle';
import { permits } from '#policy';
import { flowText } from '../../unit/policy/compiled-world.ts';
import type { Construct } from '../../unit/policy/constructs.ts';
import { randomRequest } from '../../unit/policy/generate-proxy.ts';
import { Random } from '../../unit/policy/random.ts';
import { randomWorld } from '../../unit/policy/generate.ts';
import type { Bed } from './bed.ts';
import type { Done } from './compare.ts';
import { clearFlows } from './flows.ts';
import { coverageOf, KINDS, type Kind, type Pair, RARE_KINDS, randomPair } from './pairs.ts';
import { endpointAt, lets, passes, replyRoute, type Routed, type Want, wantOf } from './route.ts';
import { followUp, frameOfFlow, recordPorts } from './shape.ts';

export interface Report {
  /** Random pairs of policies and first packet. */
  pairs: number;
  /** Packets of admitted connections after a change of policy. */
  live: number;
  readonly kinds: Map<Kind, number>;
  readonly constructs: Map<Construct, number>;
  readonly programs: Map<string, number>;
  /** Redirects, and what was wrong with their proxy rules. */
  readonly redirects: { asked: number; readonly wrong: string[] };
  readonly done: Done[];
}

const RARE = Object.keys(RARE_KINDS) as (keyof typeof RARE_KINDS)[];

export function emptyReport(): Report {
  return {
    pairs: 0,
    live: 0,
    kinds: new Map([...KINDS, ...RARE].map((kind) => [kind, 0])),
    constructs: new Map(),
    programs: new Map(),
    redirects: { asked: 0, wrong: [] },
    done: [],
  };
}

const add = <K>(counts: Map<K, number>, key: K) => counts.set(key, (counts.get(key) ?? 0) + 1);

/** One world, `count` pairs at most; `isChanged`: and its connections through two changes of policy. */
export async function runWorld(
  bed: Bed,
  seed: number,
  count: number,
  isChanged: boolean,
  report: Report,
): Promise<void> {
  const world = randomWorld(seed);
  await bed.enforce(world);
  clearFlows(bed.datapath);
  const seen = new Set<string>();
  const admitted: Pair[] = [];
  for (let i = 0; i < count; i++) {
    const pair = randomPair(world, seed + 7919 * i, seen);
    if (pair === undefined) continue;
    report.pairs++;
    const { kinds, constructs } = coverageOf(world, pair);
    for (const kind of kinds) add(report.kinds, kind);
    for (const name of constructs) add(report.constructs, name);
    add(report.programs, `${pair.routed.program} IPv${pair.routed.flow.peer.family}`);
    runPair(bed, world, pair, report);
    askProxies(bed, world, pair, report);
    // Whoever speaks to himself has no other side.
    const isKept = recordPorts(pair.routed, pair.shape) !== undefined && !isToSelf(pair.routed);
    if (isKept && pair.want.kind === 'judged' && passes(pair.want)) admitted.push(pair);
  }
  if (!isChanged) return;
  const { policies, audit } = randomWorld(seed + 1);
  const { audit: _, ...rest } = world;
  const other: World = { ...rest, policies, ...(audit === undefined ? {} : { audit }) };
  for (const [what, then] of [
    ['under other policies', other],
    ['under the first policies again', world],
  ] as const) {
    await bed.enforce(then);
    for (const pair of admitted) runLive(bed, then, pair, what, report);
  }
}

const isToSelf = ({ source, destination }: Routed): boolean => ipEquals(source, destination);

function runPair(bed: Bed, world: World, pair: Pair, report: Report): void {
  const { routed, shape, want, frame, seed } = pair;
  const isOrphan = shape.fragment === 'later';
  if (routed.program === 'host_ingress') runXdp(bed, pair, report);
  report.done.push({ pair, what: 'the packet', want, isOrphan, ran: send(bed, routed, frame) });
  if (shape.fragment === 'first' && recordPorts(routed, shape) !== undefined && want.kind === 'judged') {
    const tail = frameOfFlow(routed, shape, new Random(seed), 'later');
    const isLive = passes(want);
    report.done.push({ pair, what: 'its later fragment', want, isLive, ran: send(bed, routed, tail) });
  }
  const next = secondHook(world, pair);
  if (next === undefined) return;
  const then = wantOf(world, next, shape.hopLimit);
  report.done.push({
    pair,
    what: 'the packet at its second hook',
    want: then,
    isOrphan,
    ran: send(bed, next, frame),
  });
}

/** A redirect names the proxy rules that let pass what the rules let pass, though nobody serves them yet. */
function askProxies(bed: Bed, world: World, { routed, want, seed }: Pair, { redirects }: Report): void {
  if (want.kind !== 'judged') return;
  for (const { subject, direction, peer, verdict } of want.by) {
    if (verdict !== 'redirect') continue;
    redirects.asked++;
    const flow = { ...routed.flow, subject, direction, peer };
    const rules = bed.proxyOf(flow);
    for (let n = 0; n < 3; n++) {
      const request = randomRequest(new Random(seed + n));
      const { parser, permitted } = evaluate(world, { ...flow, request });
      if (rules !== undefined && rules.parser === parser && permits(rules, request) === permitted) continue;
      const found = rules === undefined ? 'no rules' : `${rules.parser} that ${permits(rules, request)}`;
      const asked = `${JSON.stringify(request)}: ${parser} that ${permitted}`;
      redirects.wrong.push(`flow seed ${seed}, ${flowText(flow)}: ${found} instead of ${asked}`);
    }
  }
}

/** From one endpoint to another: the second one judges at its own device, with the first one's record there. */
function secondHook(world: World, { routed, want }: Pair): Routed | undefined {
  const { program, flow, source, destination } = routed;
  const target = endpointAt(world, destination);
  if (program !== 'pod_egress' || target === undefined || target.id === routed.device || !passes(want))
    return undefined;
  return {
    ...routed,
    flow: { ...flow, subject: target.id, direction: 'ingress', peer: source },
    program: 'pod_ingress',
    device: target.id,
    isForwarded: true,
  };
}

function send(bed: Bed, { program, device, isForwarded }: Routed, frame: Uint8Array<ArrayBuffer>) {
  return bed.run(program, frame, { device, cameBy: isForwarded ? bed.ifindex(0) : 0 });
}

/** XDP drops what is malformed, and a SYN that policy refuses; all else it leaves to tc. */
function runXdp(bed: Bed, pair: Pair, report: Report): void {
  const { want, shape, routed } = pair;
  const isSyn = routed.flow.protocol === 6 && shape.isSyn && shape.fragment !== 'later';
  const isMalformed = want.kind === 'drop' && ['MARTIAN', 'LAND'].includes(want.reason);
  // What a proxy or an authentication is asked about is refused where those would be asked: not in XDP.
  const refusal = want.kind === 'judged' ? want.by.find((one) => !lets(one)) : undefined;
  const isDenied = refusal?.verdict === 'deny' || refusal?.verdict === 'default-deny';
  const isEarly = want.kind === 'judged' ? isSyn && isDenied : isMalformed;
  const early: Want = isEarly ? want : { kind: 'pass' };
  const ran = bed.run('xdp_host', pair.frame, { device: 0 });
  report.done.push({ pair, what: 'the packet in XDP', want: early, isXdp: true, ran });
}

/** Packets of an admitted connection, both ways; the policy of this moment judges it as if it were new. */
function runLive(bed: Bed, world: World, pair: Pair, when: string, report: Report): void {
  const { routed, shape } = pair;
  const want = wantOf(world, routed, shape.hopLimit);
  const reply = replyRoute(world, routed);
  const forth = { what: `a packet ${when}`, route: routed, frame: followUp(routed, shape, false) };
  const back = { what: `an answer ${when}`, route: reply, frame: followUp(routed, shape, true) };
  // Answers first, then again: what the first of them finds out, the later ones find in the record.
  for (const { what, route, frame } of [forth, back, forth, back, forth]) {
    if (route === undefined) continue;
    report.live++;
    report.done.push({
      pair,
      what,
      want: liveWant(want, route, routed),
      isLive: true,
      ran: send(bed, route, frame),
    });
  }
}

/** An answer's refusal is told in the answer's own direction. */
function liveWant(want: Want, route: Routed, forward: Routed): Want {
  if (route === forward || want.kind !== 'judged') return want;
  const turned = { ingress: 'egress', egress: 'ingress' } as const;
  return { kind: 'judged', by: want.by.map((one) => ({ ...one, direction: turned[one.direction] })) };
}
