/** Ranges of the datapath's port index in the words of people. */
import { protocolName } from '#model';
import { portOfIndex } from '#policy';

/** First and last index, inclusive. */
export type Run = readonly [first: number, last: number];

/** More ranges than this in a cell are counted instead of listed. */
const SHOWN = 8;
/** Indexes of TCP, UDP and SCTP come first; with all of them and nearly all others, nothing is left out. */
const NEARLY_ALL = 190_000;

/** `80/TCP,8080-8090/TCP`; `ANY` when nothing is left out. */
export function portsText(runs: readonly Run[]): string {
  const total = runs.reduce((n, [first, last]) => n + last - first + 1, 0);
  if (total > NEARLY_ALL && runs.some(([first]) => first === 0)) return 'ANY';
  const parts = joined(runs).map(([first, last]) => rangeText(first, last));
  return parts.length > SHOWN ? `${parts.slice(0, SHOWN).join(',')},… (${parts.length})` : parts.join(',');
}

/** Ascending, with neighbours made one. */
function joined(runs: readonly Run[]): readonly Run[] {
  const out: [number, number][] = [];
  for (const [first, last] of [...runs].sort(([a], [b]) => a - b)) {
    const before = out.at(-1);
    if (before !== undefined && before[1] + 1 === first && isOneProtocol(before[1], first)) before[1] = last;
    else out.push([first, last]);
  }
  return out;
}

function isOneProtocol(a: number, b: number): boolean {
  return portOfIndex(a).protocol === portOfIndex(b).protocol;
}

function rangeText(first: number, last: number): string {
  const a = portOfIndex(first);
  const b = portOfIndex(last);
  const name = protocolName(a.protocol);
  if (a.port === undefined || b.port === undefined) return name;
  return a.port === b.port ? `${a.port}/${name}` : `${a.port}-${b.port}/${name}`;
}
