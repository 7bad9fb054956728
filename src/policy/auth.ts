/**
 * Which proof of identity a cell asks for (policy.md §4.7, §13.3). Rules for the peer by name and rules for
 * everyone are two sides: each says what the closest of its rules that state a mode say, and one of the sides
 * decides. Closeness is the length of the reference's key, so where a rule set asks for proofs at all, its rules
 * come in parts of one length.
 */
import type { AuthMode, PortMatch, Ports } from '#model';
import { portListOf } from './classes.ts';
import type { ResolvedRule } from './decide.ts';
import { rankOf } from './parser.ts';

/** Bits of a key that name a protocol, and a protocol and one port or type. */
const PROTOCOL_BITS = 8;
const FULL_BITS = 24;

/** Ranks of proxies are lower. */
const NO_PROXY = 255;

const MODES: readonly AuthMode[] = ['disabled', 'required', 'test-always-fail'];

/** What one side says: lower `rank` decides before higher, then more `bits`. */
interface Side {
  readonly rank: number;
  readonly bits: number;
  /** Number of the mode. */
  readonly mode: number;
  /** Whether the entry that a packet finds states the mode itself. */
  readonly isExplicit: boolean;
}

/** The mode that rules of one segment ask for together; undefined: none. */
export function authOf(rules: readonly ResolvedRule[]): Exclude<AuthMode, 'disabled'> | undefined {
  if (!rules.some((rule) => rule.auth !== undefined)) return undefined;
  const named = sideOf(rules.filter(({ peers }) => !peers.wildcard));
  const everyone = sideOf(rules.filter(({ peers }) => peers.wildcard));
  const isEveryones =
    everyone.rank < named.rank || (everyone.rank === named.rank && everyone.bits > named.bits);
  const [first, other] = isEveryones ? [everyone, named] : [named, everyone];
  const mode = MODES[first.isExplicit ? first.mode : Math.max(first.mode, other.mode)];
  return mode === 'disabled' ? undefined : mode;
}

/** A rule that states its mode stands beside a wider one with a proxy, and goes through that proxy too. */
function sideOf(rules: readonly ResolvedRule[]): Side {
  const rank = Math.min(...rules.map(rankOfRule));
  const stating = rules.filter((rule) => rule.auth !== undefined);
  const stated = Math.max(-1, ...stating.map((rule) => rule.bits));
  const closest = stating.filter(({ bits }) => bits === stated);
  const found = Math.max(-1, ...rules.filter((rule) => rankOfRule(rule) === rank).map((rule) => rule.bits));
  const mode = Math.max(0, ...closest.map(({ auth }) => MODES.indexOf(auth ?? 'disabled')));
  return { rank, bits: Math.max(found, stated), mode, isExplicit: stated >= 0 && stated >= found };
}

function rankOfRule({ proxy }: ResolvedRule): number {
  return proxy === undefined ? NO_PROXY : rankOf(proxy);
}

/** The rule in parts, each with the ports that keys of one length name. */
export function partsByLength(rule: ResolvedRule, ports: Ports): readonly ResolvedRule[] {
  if (ports.kind === 'any') return [{ ...rule, bits: 0 }];
  const parts = new Map<number, PortMatch[]>();
  for (const match of ports.matches) {
    for (const { bits, part } of keysOf(match)) parts.set(bits, [...(parts.get(bits) ?? []), part]);
  }
  return [...parts].map(([bits, matches]) => ({
    ...rule,
    ports: portListOf({ kind: 'list', matches }),
    bits,
  }));
}

interface Key {
  readonly bits: number;
  readonly part: PortMatch;
}

/** A range is cut into the largest blocks that begin at a multiple of their size. */
function keysOf(match: PortMatch): readonly Key[] {
  if (match.kind === 'protocol') return [{ bits: PROTOCOL_BITS, part: match }];
  if (match.kind !== 'ports') return [{ bits: FULL_BITS, part: match }];
  const keys: Key[] = [];
  for (let first = match.first; first <= match.last; ) {
    let free = 0;
    while (first % 2 ** (free + 1) === 0 && first + 2 ** (free + 1) - 1 <= match.last) free++;
    const last = first + 2 ** free - 1;
    keys.push({ bits: FULL_BITS - free, part: { ...match, first, last } });
    first = last + 1;
  }
  return keys;
}
