/**
 * The scene of audit: connections that policy would refuse run while it only reports, each explained by an event
 * with the rule or default that it would have met; then enforcement starts, and the same connections are cut.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventView } from '#api/client';
import type { LabStream } from '#lab';
import type { EventSource } from './observe.ts';
import type { HostName } from './script.ts';
import type { World } from './world.ts';

interface Violation {
  readonly from: HostName;
  readonly to: HostName;
  readonly port: number;
  /** Rule, or spec whose default would refuse it. */
  readonly rule: string;
}

const VIOLATIONS: readonly Violation[] = [
  { from: 'worker2', to: 'node', port: 10250, rule: 'kubelet-lock-down/0/ingressDeny/0' },
  { from: 'outside', to: 'node', port: 10250, rule: 'worker-host-firewall/0' },
];

/** One connection: what it met in audit, and what ended it. */
export interface AuditRow {
  readonly what: string;
  readonly passed: EventView | undefined;
  readonly cut: EventView | undefined;
  readonly mismatch: string;
}

/** A connection that passes opens within a few milliseconds. */
const OPEN_MS = 2000;
/** A connection that lives carries hundreds of records in this time. */
const QUIET_MS = 500;

interface Running extends Violation {
  readonly family: 4 | 6;
  /** Undefined: it was not let in. */
  readonly stream: LabStream | undefined;
}

/** Begins connections in audit, and lets `enforce` happen in the middle of them. */
export async function throughAudit(
  world: World,
  events: EventSource,
  enforce: () => Promise<void>,
): Promise<readonly AuditRow[]> {
  const running = await Promise.all(
    VIOLATIONS.flatMap((one) =>
      ([4, 6] as const).map(async (family) => ({ ...one, family, stream: await begin(world, one, family) })),
    ),
  );
  const passed = await eventsOf(running, events, 'AUDIT');
  await enforce();
  const cut = await eventsOf(running, events, 'REVOKED');
  return Promise.all(
    running.map(async (one, i) => ({
      what: `${one.from} → ${one.to} tcp/${one.port} IPv${one.family}`,
      passed: passed[i],
      cut: cut[i],
      mismatch: await mismatch(one, passed[i], cut[i]),
    })),
  );
}

async function begin(
  world: World,
  { from, to, port }: Violation,
  family: 4 | 6,
): Promise<LabStream | undefined> {
  const spec = { kind: 'tcp', to: world.address(to, family), port, timeoutMs: OPEN_MS } as const;
  // A connection that is refused is no error here: it is what the scene is about.
  return world
    .host(from)
    .stream(spec)
    .catch(() => undefined);
}

/** The first event with this verdict of each connection, whichever way its packet went. */
async function eventsOf(
  running: readonly Running[],
  events: EventSource,
  verdict: EventView['verdict'],
): Promise<readonly (EventView | undefined)[]> {
  const find = ({ stream }: Running): EventView | undefined =>
    events
      .all()
      .find(
        (e) =>
          e.verdict === verdict &&
          [e.source, e.destination].some(
            (end) => end.ip === stream?.source && end.port === stream.sourcePort,
          ),
      );
  await events.settle(() => running.every((one) => one.stream === undefined || find(one) !== undefined));
  return running.map(find);
}

async function mismatch(
  { stream, rule }: Running,
  passed: EventView | undefined,
  cut: EventView | undefined,
): Promise<string> {
  if (stream === undefined) return 'expected it to pass in audit, the socket saw no answer';
  const before = (await stream.report()).received;
  await sleep(QUIET_MS);
  const { received } = await stream.stop();
  const ids = passed?.rules.map(({ id }) => id) ?? [];
  if (!ids.includes(rule)) {
    const got = passed === undefined ? 'no event says AUDIT' : `the event says ${ids.join(' ')}`;
    return `expected AUDIT by ${rule}, ${got}`;
  }
  if (cut === undefined) return 'expected it to be cut, no event says REVOKED';
  return received > before ? `expected it to be cut, ${received - before} more records came` : '';
}
