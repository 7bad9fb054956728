/** Repeated refusals make one event with a count (HF-5.5). */
import { execFileSync } from 'node:child_process';
import test from 'ava';
import * as wire from '#wire/bpf';
import { icmp, type Layer, tcp, udp } from './builder.ts';
import { Fixture, type Outcome, prepare, tcpPort } from './fixture.ts';
import { FAMILIES, inbound } from './kit.ts';
import { ageDrops } from './memories.ts';

const WINDOW_SECONDS = 5;
/** As many as some share a place in the table. */
const SOURCES = 120;
let node: Fixture;
let generation = 7000;

const age = (seconds: number): void => ageDrops(node.map('drop_reports'), seconds);

function enforce(): void {
  node.setSlot(0, 0, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        { port: tcpPort(81), verdict: 'DENY', origin: 3 },
      ],
    },
  });
  node.setControl({});
}

test.before(async () => {
  await prepare();
  // Each CPU remembers for itself: all frames of this process take the same one.
  execFileSync('taskset', ['-acp', '0', String(process.pid)], { stdio: 'ignore' });
  node = new Fixture();
});
test.beforeEach(() => {
  node.reset();
  enforce();
});
test.after.always(() => node?.close());

/** `counted`: refused and counted; of the event its count, or that there is none. */
const told = (outcome: Outcome): number | 'none' | 'passed' => {
  if (outcome.verdict === 'pass' || Object.values(outcome.drops).join() !== '1') return 'passed';
  const [event] = outcome.events;
  const sent = outcome.stats['EVENT_SENT'] ?? 0;
  if (sent + (outcome.stats['EVENT_SUPPRESSED'] ?? 0) !== 1 || sent !== outcome.events.length)
    return 'passed';
  return event === undefined ? 'none' : event.suppressed;
};

for (const v of FAMILIES) {
  const refuse = (l4: Layer) => told(node.run('host_ingress', inbound(v, l4), { remembersDrops: true }));
  const syn = (src: number, dst = 82): Layer => tcp({ src, dst, flags: 'S' });

  test.serial(
    `repeats – ${v}: the first tells, those within ${WINDOW_SECONDS} s are counted, the next tells how many`,
    (t) => {
      t.deepEqual(
        [refuse(syn(1)), refuse(syn(1)), refuse(syn(1)), refuse(syn(1))],
        [0, 'none', 'none', 'none'],
      );
      age(WINDOW_SECONDS - 3);
      t.is(refuse(syn(1)), 'none');
      age(3);
      t.is(refuse(syn(1)), 4);
      t.is(refuse(syn(1)), 'none');
    },
  );

  test.serial(`repeats – ${v}: another tuple, reason, protocol or generation tells by itself`, (t) => {
    const seen = [syn(1), syn(2), syn(1, 83), syn(1, 81), udp({ src: 1, dst: 82 })].map(refuse);
    t.deepEqual(seen, [0, 0, 0, 0, 0]);
    enforce();
    t.is(refuse(syn(1)), 0);
  });

  test.serial(`repeats – ${v}: types of ICMP are told apart`, (t) => {
    const protocol = v === 'v4' ? 1 : 58;
    const message = (type: number) => icmp({ protocol, type, id: 7 });
    const types = v === 'v4' ? [8, 13] : [128, 129];
    t.deepEqual(
      [...types, ...types].map((type) => refuse(message(type))),
      [0, 0, 'none', 'none'],
    );
  });

  test.serial(`repeats – ${v}: what the event of a tuple never told, the next of its reason tells`, (t) => {
    let told = 0;
    let withheld = 0;
    for (let round = 0; round < 2; round++)
      for (let src = 1; src <= SOURCES; src++)
        for (let i = 0; i < 2; i++) {
          const count = refuse(syn(src));
          if (count === 'none') withheld++;
          else told += count as number;
        }
    age(WINDOW_SECONDS);
    for (let src = 1; src <= SOURCES; src++) told += refuse(syn(src)) as number;
    const last = node.entries('event_limits', 4, wire.EVENT_LIMIT_SIZE)[0]?.value as Uint8Array;
    const at = wire.EVENT_LIMIT.suppressed + 2 * wire.DROP_REASON.POLICY_DENIED;
    t.true(withheld >= SOURCES);
    t.is(told + new DataView(last.buffer).getUint16(at, true), withheld);
  });

  test.serial(`repeats – ${v}: a flood of one tuple leaves the events of others their room`, (t) => {
    node.run('host_ingress', inbound(v, syn(1)), { remembersDrops: true, repeat: 20_000 });
    t.is(refuse(syn(2)), 0);
  });
}
