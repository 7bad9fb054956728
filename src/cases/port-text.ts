/** Ranges of the flat index of protocols and ports, for people. */
import { hasPorts, protocolName } from '#model';
import { portIndex, portOfIndex } from '#policy';

type Range = readonly [first: number, last: number];

/** Protocols whose ports or types have a part of their own, with the last number of each. */
const PARTS: readonly (readonly [protocol: number, last: number])[] = [
  [6, 65535],
  [17, 65535],
  [132, 65535],
  [1, 255],
  [58, 255],
];
const LAST = portIndex(255, undefined);

/** `TCP/80`, `UDP/53-60`, `TCP`, `ICMP type 8`, `VRRP`; `any port` for everything. */
export function portTexts(ranges: readonly Range[]): readonly string[] {
  if (isWhole(ranges, 0, LAST)) return ['any port'];
  const texts = plainTexts(ranges);
  const missing = plainTexts(complement(ranges));
  return missing.length < texts.length ? [`any port except ${missing.join(', ')}`] : texts;
}

/** Everything between the ranges, which are ascending. */
function complement(ranges: readonly Range[]): readonly Range[] {
  const ends = [...ranges, [LAST + 1, LAST + 1] as const];
  return ends
    .map(([first], i): Range => [(ends[i - 1]?.[1] ?? -1) + 1, first - 1])
    .filter(([first, last]) => first <= last);
}

function plainTexts(ranges: readonly Range[]): readonly string[] {
  const texts: string[] = [];
  const whole = new Set<number>();
  for (const [protocol, last] of PARTS) {
    const [from, to] = [portIndex(protocol, 0), portIndex(protocol, last)];
    const hasUnknown = isWhole(ranges, portIndex(protocol, undefined), portIndex(protocol, undefined));
    if (isWhole(ranges, from, to) && hasUnknown) {
      whole.add(protocol);
      texts.push(protocolName(protocol));
      continue;
    }
    for (const [first, end] of within(ranges, from, to)) {
      const a = portOfIndex(first).port ?? 0;
      const b = portOfIndex(end).port ?? 0;
      const separator = hasPorts(protocol) ? '/' : ' type ';
      texts.push(`${protocolName(protocol)}${separator}${a === b ? a : `${a}-${b}`}`);
    }
    if (hasUnknown)
      texts.push(`${protocolName(protocol)} without known ${hasPorts(protocol) ? 'port' : 'type'}`);
  }
  return [...texts, ...protocolTexts(ranges)];
}

/** Protocols that have neither ports nor types. */
function protocolTexts(ranges: readonly Range[]): readonly string[] {
  const own = new Set(PARTS.map(([protocol]) => protocol));
  const all = Array.from({ length: 256 }, (_, protocol) => protocol).filter((protocol) => !own.has(protocol));
  const found = all.filter((protocol) => {
    const index = portIndex(protocol, undefined);
    return isWhole(ranges, index, index);
  });
  if (found.length === all.length) return ['every other protocol'];
  if (found.length <= 16) return found.map((protocol) => protocolWord(protocol));
  const missing = all
    .filter((protocol) => !found.includes(protocol))
    .map((protocol) => protocolWord(protocol));
  return [`every other protocol but ${missing.join(', ')}`];
}

function protocolWord(protocol: number): string {
  const name = protocolName(protocol);
  return name === String(protocol) ? `protocol ${name}` : name;
}

function isWhole(ranges: readonly Range[], first: number, last: number): boolean {
  return ranges.some((range) => range[0] <= first && last <= range[1]);
}

function within(ranges: readonly Range[], first: number, last: number): readonly Range[] {
  return ranges
    .filter((range) => range[0] <= last && first <= range[1])
    .map((range) => [Math.max(range[0], first), Math.min(range[1], last)]);
}
