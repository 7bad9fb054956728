/** What the tables of packet cases share: expectations in one word, frames between the picture's ends. */
import type { ExecutionContext } from 'ava';
import * as wire from '#wire/bpf';
import { ethernet, frame, icmp, ip, type Layer, MAC_PEER } from './builder.ts';
import { NODE, type Outcome, PEER } from './fixture.ts';

export const FAMILIES = ['v4', 'v6'] as const;
export type Family = (typeof FAMILIES)[number];

/** A frame from a peer to the node, and one back. */
export const inbound = (v: Family, l4: Layer, from: string = PEER[v], to: string = NODE[v]) =>
  frame(ethernet(), ip({ src: from, dst: to }), l4);
export const outbound = (v: Family, l4: Layer, to: string = PEER[v], from: string = NODE[v]) =>
  frame(ethernet({ dst: MAC_PEER }), ip({ src: from, dst: to }), l4);

export const echo = (v: Family, kind: 'request' | 'reply', id = 5, data = 0): Layer =>
  v === 'v4'
    ? icmp({ protocol: 1, type: kind === 'request' ? 8 : 0, id, data })
    : icmp({ protocol: 58, type: kind === 'request' ? 128 : 129, id, data });

/**
 * `pass`, `pass STAT` or `drop REASON`: the verdict, the bytes as they were, the one counter; of a drop its
 * one event, too.
 */
export function expect(t: ExecutionContext, what: string, outcome: Outcome, want: string): void {
  const [kind, name] = want.split(' ') as ['pass' | 'drop', string | undefined];
  t.is(outcome.verdict, kind, `${what}: ${JSON.stringify(outcome.drops)} ${JSON.stringify(outcome.stats)}`);
  t.true(outcome.isUnchanged, `${what}: bytes changed`);
  if (kind === 'pass') {
    t.deepEqual(outcome.drops, {}, what);
    if (name !== undefined) t.is(outcome.stats[name], 1, `${what}: ${JSON.stringify(outcome.stats)}`);
    return;
  }
  t.deepEqual(outcome.drops, { [name as string]: 1 }, what);
  t.is(outcome.events.length, 1, what);
  t.is(wire.DROP_REASON_NAMES[outcome.events[0]?.reason ?? 0], name as never, what);
}
