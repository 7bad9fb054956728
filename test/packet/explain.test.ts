/**
 * Explanations against the datapath: for random worlds, packets and failsafe entries, the stage that an
 * explanation names as deciding must be what the attached programs did: verdict, reason, rules, failsafe.
 * MERLON_SEED repeats a run, MERLON_WORLDS makes it longer.
 */
import test from 'ava';
import { type Hook, type NodeFacts, SnapshotRun } from '#cases';
import { formatIp } from '#kit/ip';
import type { FailsafeRow } from '#model';
import { DEFAULT_PARSE_OPTIONS } from '#model/parse';
import { EMPTY_NUMBERING } from '#policy';
import { DROP_REASON_NAMES, EVENT_F_AUDIT, EVENT_TYPE, type Event } from '#wire/bpf';
import { randomWorld } from '../unit/policy/generate.ts';
import { flowText } from '../unit/policy/compiled-world.ts';
import { Random } from '../unit/policy/random.ts';
import { Bed } from './oracle/bed.ts';
import { clearFlows } from './oracle/flows.ts';
import { type Pair, randomPair } from './oracle/pairs.ts';
import { endpointAt, isLocal } from './oracle/route.ts';

const seed = Number(process.env['MERLON_SEED'] ?? Date.now() % 2 ** 31);
const WORLDS = Number(process.env['MERLON_WORLDS'] ?? 160);
const FLOWS_A_WORLD = 90;

/** Ports that flows like, now and then with a peer that has many. */
function randomFailsafe(random: Random): readonly FailsafeRow[] {
  return random.many(0, 8, (i) => {
    const port = random.pick([22, 53, 80, 443, 8080]);
    return {
      entry: i + 1,
      direction: random.pick(['in', 'out']),
      protocol: random.pick([6, 17]),
      port,
      endPort: port + random.pick([0, 5]),
      cidrs: random.many(1, 2, () => random.pick(['0.0.0.0/0', '::/0', '10.0.0.0/8', '203.0.113.0/24'])),
      device: '',
      why: 'drawn',
    };
  });
}

/** What the programs did, in one line: of a refusal its reason, of what passed whether failsafe did it. */
function happened(verdict: 'pass' | 'drop', events: readonly Event[]): string {
  if (verdict === 'drop') return `drop ${DROP_REASON_NAMES[events.at(-1)?.reason ?? 0]}`;
  if (events.some(({ flags }) => (flags & EVENT_F_AUDIT) !== 0)) return 'pass audit';
  return events.some(({ version }) => version >> 4 === EVENT_TYPE.FAILSAFE) ? 'pass failsafe' : 'pass';
}

function explained(hook: Hook | undefined): string {
  const last = hook?.stages.at(-1);
  if (last?.outcome === 'dropped') return `drop ${last.reason}`;
  if (hook?.verdict === 'audit') return 'pass audit';
  return last?.outcome === 'passes' && last.stage === 'failsafe' ? 'pass failsafe' : 'pass';
}

/** Whole first packets of connections that somebody may ask about: others have no words on a command line. */
function isAskable({ routed, shape }: Pair, world: ReturnType<typeof randomWorld>): boolean {
  const { source, destination, isForwarded, program, device } = routed;
  if (shape.fragment !== 'none' || !shape.isSyn || shape.hopLimit !== 255) return false;
  if (isForwarded && isLocal(world, source)) return false; // somebody shows the node's address
  if (isLocal(world, source) && isLocal(world, destination)) return false;
  const isForgery = program === 'host_ingress' && device === 0;
  return !(isForgery && endpointAt(world, source) !== undefined);
}

test(`explain – names the stage that decides in the datapath (seed ${seed})`, async (t) => {
  t.timeout(900_000);
  const random = new Random(seed);
  await using bed = await Bed.open({ ipv4: true, ipv6: true });
  const counts = new Map<string, number>();
  const wrong: string[] = [];
  const asked: { what: string; want: string; verdict: 'pass' | 'drop'; events: readonly [number, number] }[] =
    [];
  let packets = 0;
  for (let i = 0; i < WORLDS; i++) {
    const worldSeed = seed + 15_485_863 * i;
    const world = randomWorld(worldSeed);
    if (!world.config.ipv4 || !world.config.ipv6) continue;
    const failsafe = randomFailsafe(random);
    await bed.datapath.failsafe.set(failsafe);
    await bed.enforce(world);
    clearFlows(bed.datapath);
    const node: NodeFacts = {
      mode: 'enforce',
      hostAudit: world.audit?.host ?? [],
      auditedEndpoints: world.audit?.endpoints ?? [],
      failsafe,
      builtins: { dhcp: true, fragNeeded: true, icmp6Redirect: false },
      hasProxy: false,
      devices: ['eth0'],
      endpointDevices: {},
    };
    const endpoints = world.endpoints.map((row) => ({ ...row, name: `pod/${row.id}` }));
    const snapshot = { ...world, node: 'here', endpoints, numbering: EMPTY_NUMBERING };
    const run = new SnapshotRun({ world: snapshot, parse: DEFAULT_PARSE_OPTIONS, node });
    const seen = new Set<string>();
    for (let n = 0; n < FLOWS_A_WORLD; n++) {
      const pair = randomPair(world, worldSeed + 7919 * n, seen);
      if (pair === undefined || !isAskable(pair, world)) continue;
      const { routed, shape, frame } = pair;
      const { flow, source, destination, program, device, isForwarded } = routed;
      const [result] = run.results(
        {
          from: run.party(formatIp(source)),
          to: run.party(formatIp(destination)),
          protocol: flow.protocol,
          port: flow.port,
          icmpCode: undefined,
          ct: 'new',
          request: undefined,
          direction: 'both',
        },
        { sourcePort: shape.sourcePort },
      );
      const hook = result?.path?.find((one) => one.hook === program.replace('_', ' '));
      // To itself it needs no hook, and a receiver behind a sender that refuses is never reached.
      if (hook === undefined && (result?.path?.[0]?.verdict ?? 'deny') === 'deny') continue;
      packets++;
      const cameBy = isForwarded ? bed.ifindex(0) : 0;
      const ran = bed.run(program, frame, { device, cameBy });
      const what = `${program} ${formatIp(source)} → ${formatIp(destination)} ${flowText(flow)} (world ${worldSeed}, flow ${n})`;
      const want = hook === undefined ? `no hook (${result?.because})` : explained(hook);
      asked.push({ what, want, verdict: ran.verdict, events: ran.events });
    }
  }
  const events = await bed.allEvents();
  for (const { what, want, verdict, events: range } of asked) {
    const got = happened(verdict, events.slice(...range));
    counts.set(got, (counts.get(got) ?? 0) + 1);
    if (got !== want) wrong.push(`${what}: explained as ${want}, was ${got}`);
  }
  t.log(`${packets} packets: ${[...counts].map(([kind, n]) => `${kind} ${n}`).join(', ')}`);
  t.deepEqual(wrong.slice(0, 8), [], `${wrong.length} of ${packets} (seed ${seed})`);
  if (WORLDS < 160) return;
  for (const [kind, least] of [
    ['pass', 200],
    ['pass failsafe', 4],
    ['drop POLICY_DENIED', 200],
    ['drop POLICY_DENY', 100],
    ['pass audit', 20],
    ['drop L7_PROXY_UNAVAILABLE', 20],
  ] as const) {
    t.true((counts.get(kind) ?? 0) >= least, `${kind}: ${counts.get(kind)}`);
  }
});
