/** `merlon events`: one verdict a line, with the rule or default that gave it. */
import { type EventView, type EndView, type LostView, stream } from '#api/client';
import { MerlonError } from '#kit/errors';
import type { Output, Style } from '../output.ts';
import { list, type Run, text } from '../verb.ts';

export const run: Run = async (context, _args, options) => {
  const query = new URLSearchParams();
  const since = text(options, 'since');
  if (since !== undefined) query.set('since', since);
  if (options['follow'] === true) query.set('follow', 'true');
  const verdicts = list(options, 'verdict').map((v) => v.toUpperCase());
  const last = lastOf(text(options, 'last'), options['follow'] === true);
  const kept: (EventView | LostView)[] = [];
  for await (const row of stream<EventView | LostView>(`/v1/events?${query}`, context)) {
    if (!('lost' in row) && verdicts.length > 0 && !verdicts.includes(row.verdict)) continue;
    if (last === undefined) await print(context.output, row);
    else {
      kept.push(row);
      if (kept.length > last) kept.shift();
    }
  }
  for (const row of kept) await print(context.output, row);
};

function lastOf(given: string | undefined, isFollowing: boolean): number | undefined {
  if (given === undefined) return undefined;
  const n = Number(given);
  if (!Number.isInteger(n) || n < 1) throw new MerlonError('USAGE', `--last takes a count, not "${given}"`);
  if (isFollowing) throw new MerlonError('USAGE', '--last and --follow do not go together');
  return n;
}

const COLOURS: Readonly<Record<EventView['verdict'], Style>> = {
  ALLOWED: 'green',
  REDIRECTED: 'green',
  DENIED: 'red',
  AUDIT: 'yellow',
  REVOKED: 'red',
  DROPPED: 'red',
};

async function print(output: Output, row: EventView | LostView): Promise<void> {
  if ('lost' in row) {
    const { before, events, why } = row.lost;
    const what = before === undefined ? `lost ${events ?? 'some'} events` : `lost before ${before}`;
    return output.row(row, () => output.paint('yellow', `# ${what}: ${why}`));
  }
  await output.row(row, () => line(row, output));
}

function line(e: EventView, output: Output): string {
  const verdict = output.paint(COLOURS[e.verdict], e.verdict.padEnd(8));
  const kind = e.proto.startsWith('ICMP') ? ` type ${e.icmpType ?? 0}` : '';
  const flags = e.tcpFlags === undefined ? '' : ` ${e.tcpFlags}`;
  const why = [
    e.reason,
    e.kind === 'failsafe' ? 'failsafe' : undefined,
    e.match === 'none' ? undefined : e.match,
    ...e.rules.map((r) => (r.file === undefined ? r.id : `${r.id} (${r.file}:${r.line ?? 1})`)),
    e.suppressed === undefined || e.suppressed === 0 ? undefined : `${e.suppressed} like it suppressed`,
  ].filter((w) => w !== undefined && w !== '');
  const head = `${e.time.slice(0, 23)} ${e.seq} ${verdict} ${e.direction.padEnd(7)} ${e.device}`;
  return `${head} ${e.proto}${kind}${flags} ${end(e.source)} -> ${end(e.destination)}  ${why.join(', ')}`;
}

function end(e: EndView): string {
  const ip = e.ip.includes(':') && e.port !== undefined ? `[${e.ip}]` : e.ip;
  return `${ip}${e.port === undefined ? '' : `:${e.port}`} (${name(e)})`;
}

/** The label that says most to a person; the number where there is none. */
function name(e: EndView): string {
  const shown = e.labels
    .filter((l) => !/^k8s:io\.(kubernetes|cilium)/.test(l))
    .map((l) => l.replace(/^(k8s|reserved):/, ''));
  return shown.length === 0 ? `identity ${e.identity}` : shown.slice(0, 2).join(',');
}
