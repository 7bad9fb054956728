/** `merlon events`: one verdict a line, with the rule or default that gave it. */
import { type EventView, type EndView, type LostView, stream } from '#api/client';
import { MerlonError } from '#kit/errors';
import { shortName } from '../labels.ts';
import type { Output, Style } from '../output.ts';
import { place, rulesText, shortPlace } from '../place.ts';
import { list, type Run, text } from '../verb.ts';
import { loadWidths, textWidth } from '../width.ts';

export const run: Run = async (context, _args, options) => {
  if (context.output.isTerminal) await loadWidths();
  const query = new URLSearchParams();
  const since = text(options, 'since');
  if (since !== undefined) query.set('since', since);
  if (options['follow'] === true) query.set('follow', 'true');
  const verdicts = list(options, 'verdict').map(verdictWord);
  const last = lastOf(text(options, 'last'), options['follow'] === true);
  const kept: (EventView | LostView)[] = [];
  for await (const row of stream<EventView | LostView>(`/v1/events?${query.toString()}`, context)) {
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

/** A word that no event has would filter everything away, in silence. */
function verdictWord(given: string): string {
  const word = given.toUpperCase();
  if (word in COLOURS) return word;
  const words = Object.keys(COLOURS);
  throw new MerlonError('USAGE', `--verdict ${given} is no verdict`, {
    hint: `one of ${words.join(', ')}`,
  });
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
  await output.row(row, () => fitting(row, output));
}

/** With the whole path of each rule's file where the line has room for it. */
function fitting(e: EventView, output: Output): string {
  const whole = line(e, output, place);
  return textWidth(whole) <= output.width ? whole : line(e, output, shortPlace);
}

function line(e: EventView, output: Output, placeOf: typeof place): string {
  const verdict = output.paint(COLOURS[e.verdict], e.verdict.padEnd(8));
  const kind = e.proto.startsWith('ICMP') ? ` type ${e.icmpType ?? 0}` : '';
  const flags = e.tcpFlags === undefined ? '' : ` ${e.tcpFlags}`;
  const why = [
    e.reason,
    e.kind === 'failsafe' ? 'failsafe' : undefined,
    e.match === 'none' ? undefined : e.match,
    e.enforced === undefined ? rulesText(e.rules, placeOf) : `in audit: ${rulesText(e.rules, placeOf)}`,
    e.staged === undefined ? undefined : `${rulesText(e.staged, placeOf)} in audit would let it pass`,
    e.suppressed === undefined || e.suppressed === 0 ? undefined : `${e.suppressed} like it suppressed`,
  ].filter((w) => w !== undefined && w !== '');
  const head = `${e.time.slice(0, 23)} ${e.seq} ${verdict} ${e.direction.padEnd(7)} ${e.device}`;
  return `${head} ${e.proto}${kind}${flags} ${end(e.source)} -> ${end(e.destination)}  ${why.join(', ')}`.trimEnd();
}

function end(e: EndView): string {
  const ip = e.ip.includes(':') && e.port !== undefined ? `[${e.ip}]` : e.ip;
  return `${ip}${e.port === undefined ? '' : `:${e.port}`} (${name(e)})`;
}

function name(e: EndView): string {
  return shortName(e.labels) || `identity ${e.identity}`;
}
