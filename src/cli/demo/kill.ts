/**
 * The scene in which the agent dies: traffic of every kind runs through the event with sequence numbers, so
 * that a single packet judged differently is seen, which a probe afterwards would miss.
 */
import type { LabStream, StreamReport, StreamSpec } from '#lab';
import type { HostName } from './script.ts';
import type { World } from './world.ts';

interface Kind {
  readonly name: string;
  readonly from: HostName;
  readonly to: HostName;
  readonly kind: StreamSpec['kind'];
  readonly port?: number;
  /** What has to come of each record or attempt, from beginning to end. */
  readonly expect: 'open' | 'timeout';
}

const KINDS: readonly Kind[] = [
  { name: 'a connection that is up', from: 'admin', to: 'node', kind: 'tcp', port: 22, expect: 'open' },
  {
    name: 'new connections, allowed',
    from: 'worker2',
    to: 'node',
    kind: 'tcp-new',
    port: 10250,
    expect: 'open',
  },
  {
    name: 'new connections, refused',
    from: 'outside',
    to: 'node',
    kind: 'tcp-new',
    port: 10250,
    expect: 'timeout',
  },
  {
    name: 'pod to pod, allowed',
    from: 'tiefighter',
    to: 'deathstar-1',
    kind: 'tcp-new',
    port: 80,
    expect: 'open',
  },
  {
    name: 'pod to pod, refused',
    from: 'xwing',
    to: 'deathstar-1',
    kind: 'tcp-new',
    port: 80,
    expect: 'timeout',
  },
];

export interface Traffic {
  readonly name: string;
  readonly sent: number;
  readonly right: number;
  readonly longestGapMs: number;
  readonly mismatch: string;
}

/** Starts the traffic, lets `event` happen in the middle of it, and says what became of every record. */
export async function throughEvent(world: World, event: () => Promise<void>): Promise<readonly Traffic[]> {
  const running = await Promise.all(
    KINDS.flatMap((kind) =>
      ([4, 6] as const).map(async (family) => ({ kind, family, stream: await start(world, kind, family) })),
    ),
  );
  await event();
  return Promise.all(
    running.map(async ({ kind, family, stream }) =>
      judge(`${kind.name}, IPv${family}`, kind, await stream.stop()),
    ),
  );
}

function start(world: World, { from, to, kind, port, expect }: Kind, family: 4 | 6): Promise<LabStream> {
  const spec: StreamSpec = {
    kind,
    to: world.address(to, family),
    intervalMs: kind === 'tcp' ? 5 : 20,
    timeoutMs: expect === 'open' ? 5000 : 500,
    ...(port === undefined ? {} : { port }),
  };
  return world.host(from).stream(spec);
}

function judge(name: string, { kind, expect }: Kind, report: StreamReport): Traffic {
  if (kind === 'tcp' || kind === 'udp') {
    const mismatch =
      report.error ?? (report.lost.length > 0 ? `lost records ${report.lost.slice(0, 5).join(', ')}` : '');
    return { name, sent: report.sent, right: report.received, longestGapMs: report.longestGapMs, mismatch };
  }
  const wrong = report.phases.filter((p) => p.outcome !== expect);
  const right = report.phases.filter((p) => p.outcome === expect).reduce((n, p) => n + p.count, 0);
  const mismatch =
    right === 0
      ? `no attempt came out as ${expect}`
      : wrong.map((p) => `${p.count} ${p.outcome} from attempt ${p.firstSeq} on`).join('; ');
  return { name, sent: report.sent, right, longestGapMs: 0, mismatch };
}
