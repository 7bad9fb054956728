/** Codecs against bytes that a kernel (6.18, little-endian) sent, and against themselves. */
import test from 'ava';
import fc from 'fast-check';
import { parseHex } from '#kit/bytes';
import { parseAddress } from '../../../src/netlink/address.ts';
import { changeLink, newLink, parseLink } from '../../../src/netlink/link.ts';
import {
  attributesOf,
  encodeMessage,
  HOST_LE,
  type Message,
  MessageWriter,
  messagesOf,
  numberOf,
  textOf,
} from '../../../src/netlink/message.ts';
import { encodeNeighbour, parseNeighbour } from '../../../src/netlink/neighbour.ts';
import { eventOf } from '../../../src/netlink/netlink.ts';
import { encodeRoute, parseRoute } from '../../../src/netlink/route.ts';
import { encodeRule, parseRule } from '../../../src/netlink/rule.ts';

const bytes = (hex: string) => parseHex(hex.replaceAll(/\s/g, '')) ?? new Uint8Array();
const message = (body: Uint8Array, type = 16): Message => ({ type, flags: 0, seq: 1, body });

/** `x0`, a veth that is up with its peer in another namespace; attributes that nobody reads left out. */
const VETH = bytes(`
  00000100 02000000 03100000 00000000
  07000300 78300000  0800 0400 dc050000  0a00 0100 ba4677acb1f2 0000
  1000 1200 0900 0100 76657468 00000000  0800 2500 00000000  0800 0500 02000000`);

test('parseLink – a veth as the kernel tells it', (t) => {
  t.deepEqual(parseLink(message(VETH)), {
    ifindex: 2,
    name: 'x0',
    type: 1,
    flags: 0x1003,
    isUp: true,
    hasCarrier: false,
    mtu: 1500,
    address: 'ba:46:77:ac:b1:f2',
    kind: 'veth',
    master: 0,
    masterKind: '',
    parent: 2,
    parentNetnsId: 0,
    vlan: undefined,
  });
});

test('parseAddress – with a peer, the own address counts', (t) => {
  const body = bytes(
    `02208000 02000000 0800 0100 0a010002 0800 0200 0a010001 0700 0300 783000 00 0800 0800 80000000`,
  );
  t.like(parseAddress(message(body, 20)), {
    ifindex: 2,
    family: 4,
    address: '10.1.0.1',
    prefixLength: 32,
    flags: 0x80,
  });
});

test('parseRoute – on the link, and with several next hops', (t) => {
  const direct = bytes(
    `02180000 fe02fd01 10000000 0800 0f00 fe000000 0800 0100 0a000000 0800 0700 0a000001 0800 0400 02000000`,
  );
  t.deepEqual(parseRoute(message(direct, 24)), {
    family: 4,
    prefix: '10.0.0.0/24',
    nextHops: [{ ifindex: 2, gateway: '' }],
    table: 254,
    scope: 253,
    protocol: 2,
    type: 1,
    priority: 0,
  });
  const several = bytes(`
    02100000 fe030001 10000000 0800 0f00 fe000000 0800 0100 0a090000
    2400 0900 1000 0000 02000000 0800 0500 0a000002 1000 0000 02000000 0800 0500 0a000003`);
  t.deepEqual(parseRoute(message(several, 24))?.nextHops, [
    { ifindex: 2, gateway: '10.0.0.2' },
    { ifindex: 2, gateway: '10.0.0.3' },
  ]);
});

test('routes, neighbours, rules – what is written is read back', (t) => {
  const route = { prefix: '2001:db8::/32', ifindex: 7, gateway: 'fe80::1', table: 70_000, priority: 5 };
  t.like(parseRoute(message(encodeRoute(route), 24)), {
    family: 6,
    prefix: route.prefix,
    nextHops: [{ ifindex: 7, gateway: 'fe80::1' }],
    table: 70_000,
    priority: 5,
  });
  const neighbour = { ifindex: 3, address: '169.254.1.1', mac: '02:00:00:00:00:01' };
  t.like(parseNeighbour(message(encodeNeighbour(neighbour), 28)), { ...neighbour, family: 4, state: 0x80 });
  const rule = { family: 6, priority: 9, table: 2004, mark: 0x200, markMask: 0xf00 } as const;
  t.like(parseRule(message(encodeRule(rule), 32)), { ...rule, protocol: 2 });
});

test('newLink – a VLAN carries its number and protocol', (t) => {
  const body = newLink({ name: 'eth0.5', kind: 'vlan', parent: 2, vlan: { id: 5, proto: 0x88a8 } });
  t.like(parseLink(message(body)), {
    name: 'eth0.5',
    kind: 'vlan',
    parent: 2,
    vlan: { id: 5, proto: 0x88a8 },
  });
});

test('changeLink – what is absent is not touched', (t) => {
  const flags = (body: Uint8Array) => [numberOf(body.subarray(8, 12)), numberOf(body.subarray(12, 16))];
  t.deepEqual(flags(changeLink(4, { mtu: 1400 })), [0, 0]);
  t.deepEqual(flags(changeLink(4, { isUp: true })), [1, 1]);
  t.deepEqual(flags(changeLink(4, { isUp: false })), [0, 1]);
});

test('eventOf – the third kind of each four is a removal', (t) => {
  t.like(eventOf(message(VETH, 16)), { kind: 'link', isGone: false });
  t.like(eventOf(message(VETH, 17)), { kind: 'link', isGone: true });
  t.is(eventOf(message(VETH, 80)), undefined);
  const bridgePort = Uint8Array.from(VETH);
  bridgePort[0] = 7; // AF_BRIDGE
  t.is(eventOf(message(bridgePort, 16)), undefined);
});

test('attributes – come back as written, nested and in any size', (t) => {
  const payload = fc.uint8Array({ maxLength: 600 });
  const list = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 0x3fff }), payload), {
    selector: ([type]) => type,
    maxLength: 20,
  });
  fc.assert(
    fc.property(list, (attributes) => {
      const writer = new MessageWriter().struct([[4, 1]]);
      for (const [type, value] of attributes) writer.bytes(type, value);
      writer.nest(0x3fff, (inner) => {
        for (const [type, value] of attributes) inner.bytes(type, value);
      });
      const read = attributesOf(writer.body, 4);
      const nested = attributesOf(read.get(0x3fff));
      for (const [type, value] of attributes) {
        if (type !== 0x3fff) t.deepEqual(new Uint8Array(read.get(type) ?? []), value);
        t.deepEqual(new Uint8Array(nested.get(type) ?? []), value);
      }
    }),
  );
});

test('messagesOf – several in a datagram; a cut one ends the list', (t) => {
  const one = encodeMessage(16, 2, 7, VETH);
  const two = encodeMessage(3, 0, 8, Uint8Array.of(1, 2, 3));
  const both = new Uint8Array([...one, ...two]);
  t.deepEqual(
    [...messagesOf(both)].map(({ type, seq }) => [type, seq]),
    [
      [16, 7],
      [3, 8],
    ],
  );
  t.deepEqual(
    [...messagesOf(both.subarray(0, both.length - 4))].map(({ type }) => type),
    [16],
  );
  t.deepEqual([...messagesOf(new Uint8Array(15))], []);
});

test('parsers – no bytes make them throw', (t) => {
  const parsers = [parseLink, parseAddress, parseRoute, parseNeighbour, parseRule, eventOf];
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.nat(VETH.length).map((length) => VETH.subarray(0, length)),
  );
  fc.assert(
    fc.property(bodies, fc.nat(40), (body, type) => {
      for (const parse of parsers) parse(message(body, type));
      for (const m of messagesOf(body)) eventOf(m);
    }),
    { numRuns: 2000 },
  );
  t.is(textOf(bytes('6162')), 'ab', 'a text without its NUL');
  t.is(numberOf(bytes(HOST_LE ? '0102' : '0201')), 0x0201);
});
