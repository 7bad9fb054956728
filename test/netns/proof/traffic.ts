/**
 * Traffic of every kind that runs through an event with sequence numbers: one packet judged otherwise is
 * seen, which a probe afterwards would miss.
 */
import type { ExecutionContext } from 'ava';
import type { LabStream, StreamReport, StreamSpec } from '#lab';
import { until } from '#kit/async';
import { address, type Bed, FAMILIES, type Family, type HostName, testSignal } from './bed.ts';

export interface Kind {
  readonly name: string;
  readonly from: HostName;
  readonly to: HostName;
  readonly kind: StreamSpec['kind'];
  readonly port?: number;
  /** The server speaks, nobody else: only replies. */
  readonly push?: boolean;
  /** What has to come of each record or attempt, from beginning to end. */
  readonly expect: 'open' | 'timeout';
  readonly intervalMs?: number;
}

interface Running {
  readonly name: string;
  readonly kind: Kind;
  readonly stream: LabStream;
}

const isOne = ({ kind }: Kind): boolean => kind === 'tcp' || kind === 'udp';

function specOf({ from: _, name: __, expect, to, intervalMs, ...rest }: Kind, family: Family): StreamSpec {
  const isNew = rest.kind.endsWith('-new');
  return {
    ...rest,
    to: address(to, family),
    intervalMs: intervalMs ?? (isNew ? 40 : 10),
    // A machine with much to do may take its time to answer; silence is told by its end.
    timeoutMs: expect === 'open' ? 15_000 : 500,
  };
}

/** What is wrong with a stream's report; empty when nothing is. */
function mismatch(kind: Kind, report: StreamReport): string {
  if (report.received === 0 && kind.expect === 'open') return 'nothing was received';
  if (isOne(kind)) {
    if (report.error !== undefined) return `ended by ${report.error} after ${report.received} records`;
    const { lost, received, duplicates, gaps } = report;
    if (duplicates > 0) return `${duplicates} records came twice`;
    if (lost.length === 0) return '';
    return `records ${lost.slice(0, 5).join(', ')} of ${received} lost; gaps ${JSON.stringify(gaps)}`;
  }
  return report.phases
    .filter(({ outcome }) => outcome !== kind.expect)
    .map(({ outcome, count, startMs }) => `${count} were ${outcome} at ${startMs} ms`)
    .join('; ');
}

export class Traffic {
  readonly #running: readonly Running[];
  readonly #startMs = performance.now();
  readonly #events: string[] = [];

  constructor(running: readonly Running[]) {
    this.#running = running;
  }

  /** Does what the event is, and waits until everything that should has gone on for a while. */
  async through(what: string, event: () => Promise<unknown>, records = 8): Promise<void> {
    this.#events.push(`${what} at ${Math.round(performance.now() - this.#startMs)} ms`);
    await event();
    await this.goesOn(records);
  }

  async goesOn(records = 8): Promise<void> {
    const from = await Promise.all(this.#running.map(({ stream }) => stream.report()));
    const behind = async () => {
      const now = await Promise.all(this.#running.map(({ stream }) => stream.report()));
      return this.#running.filter(({ kind }, at) => {
        const [was, is] = [from[at], now[at]];
        if (was === undefined || is === undefined || is.error !== undefined) return false;
        return kind.expect === 'open' ? is.received < was.received + records : is.sent < was.sent + records;
      });
    };
    let last: readonly Running[] = [];
    const check = async () => (last = await behind()).length === 0 || undefined;
    await until(check, { signal: testSignal(), timeoutMs: 60_000, intervalMs: 50, what: 'traffic' }).catch(
      (cause: unknown) => {
        const names = last.map(({ name }) => name).join(', ');
        throw new Error(`${this.#events.at(-1) ?? 'at the start'}: no progress of ${names}`, { cause });
      },
    );
  }

  /** Ends it; everything has to have come out as expected. */
  async judge(t: ExecutionContext): Promise<void> {
    const wrong: string[] = [];
    const reports = await Promise.all(this.#running.map(({ stream }) => stream.stop()));
    for (const [at, { name, kind }] of this.#running.entries()) {
      const what = mismatch(kind, reports[at] as StreamReport);
      if (what !== '') wrong.push(`${name}: ${what}`);
    }
    t.deepEqual(wrong, [], `events: ${this.#events.join(', ')}`);
  }
}

/** Starts every kind in both families, and waits until all of it runs. */
export async function traffic(b: Bed, kinds: readonly Kind[]): Promise<Traffic> {
  const running = await Promise.all(
    kinds.flatMap((kind) =>
      FAMILIES.map(async (family) => ({
        kind,
        name: `${kind.name}, IPv${family}`,
        stream: await b.host(kind.from).stream(specOf(kind, family)),
      })),
    ),
  );
  const all = new Traffic(running);
  await all.goesOn();
  return all;
}
