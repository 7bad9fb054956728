/** The flat port index against the datapath's own constants, and both ways. */
import test from 'ava';
import { portIndex, portOfIndex } from '#policy';
import * as wire from '#wire/bpf';
import { type IndexRange, mergeRanges } from '../../../src/policy/port-index.ts';

const parts: readonly [what: string, protocol: number, port: number | undefined, index: number][] = [
  ['the first TCP port', 6, 0, wire.PORT_CLASS_TCP],
  ['the last TCP port', 6, 65535, wire.PORT_CLASS_TCP + 65535],
  ['the first UDP port', 17, 0, wire.PORT_CLASS_UDP],
  ['the first SCTP port', 132, 0, wire.PORT_CLASS_SCTP],
  ['the first ICMP type', 1, 0, wire.PORT_CLASS_ICMP],
  ['the last ICMP type', 1, 255, wire.PORT_CLASS_ICMP + 255],
  ['the first ICMPv6 type', 58, 0, wire.PORT_CLASS_ICMP6],
  ['protocol 0', 0, undefined, wire.PORT_CLASS_PROTO],
  ['a protocol without ports', 47, undefined, wire.PORT_CLASS_PROTO + 47],
  ['a TCP fragment without ports', 6, undefined, wire.PORT_CLASS_PROTO + 6],
  ['the last entry', 255, undefined, wire.PORT_CLASS_ENTRIES - 1],
];
for (const [what, protocol, port, index] of parts) {
  test(`port index – ${what} is where the datapath looks`, (t) => {
    t.is(portIndex(protocol, port), index);
    t.deepEqual(portOfIndex(index), { protocol, port });
  });
}

test('port index – a protocol without ports ignores one', (t) => {
  t.is(portIndex(47, 80), portIndex(47, undefined));
});

const merged: readonly [what: string, ranges: readonly IndexRange[], want: readonly IndexRange[]][] = [
  [
    'ranges are put in order',
    [
      [8, 9],
      [1, 2],
    ],
    [
      [1, 2],
      [8, 9],
    ],
  ],
  [
    'neighbours are one range',
    [
      [1, 2],
      [3, 4],
    ],
    [[1, 4]],
  ],
  [
    'what leaves one entry out is two',
    [
      [1, 2],
      [4, 5],
    ],
    [
      [1, 2],
      [4, 5],
    ],
  ],
  [
    'a range inside another is no end of it',
    [
      [1, 9],
      [3, 4],
    ],
    [[1, 9]],
  ],
];
for (const [what, ranges, want] of merged) {
  test(`port index – ${what}`, (t) => t.deepEqual(mergeRanges(ranges), [...want]));
}
