import test from 'ava';
import * as wire from '#wire/bpf';
import { decodeFlow, type FlowRecord } from '../../../src/datapath/flows.ts';

const TIMEOUTS = { tcpSyn: 60, tcp: 8000, tcpFin: 10, udp: 60, udpStream: 120, icmp: 60, generic: 600 };

function record(over: Partial<Parameters<typeof wire.writeFlow>[2]> = {}) {
  const view = new DataView(new ArrayBuffer(wire.FLOW4_VALUE_SIZE));
  wire.writeFlow(view, 0, {
    ...wire.readFlow(view),
    stamp: [
      { generation: 0, time: 0 },
      { generation: 42, time: 7 },
      { generation: 0, time: 0 },
    ],
    verdict: [0, wire.VERDICT.ALLOW, 0],
    flags:
      wire.FLOW_INITIATOR | wire.FLOW_SEEN_REPLY | wire.FLOW_PROVEN | wire.FLOW_INBOUND | wire.FLOW_SEEDED,
    last_seen: 1000,
    created: 900,
    bytes: [100n, 50n],
    packets: [3, 2],
    identity: [16777217, 1],
    origin: [0, 9, 0],
    number: 77,
    ...over,
  });
  return view;
}
const key4 = (proto = 6) => {
  const view = new DataView(new ArrayBuffer(wire.FLOW4_KEY_SIZE));
  wire.writeFlow4Key(view, 0, { addr: [0xc0000205, 0xc000020a], port: [51514, 22], proto, kind: 0, zone: 0 });
  return new Uint8Array(view.buffer);
};
const decode = (view: DataView, proto = 6, kind: 'main' | 'unproven' | 'overflow' = 'main', now = 1001) =>
  decodeFlow(4, kind, key4(proto), view, TIMEOUTS, now);

test('decodeFlow – the record stands in the initiator’s point of view', (t) => {
  const flow = decode(record());
  t.deepEqual(flow?.initiator, { ip: '192.0.2.10', port: 22, identity: 16777217 });
  t.deepEqual(flow?.responder, { ip: '192.0.2.5', port: 51514, identity: 1 });
  t.is(flow?.direction, 'in');
  t.is(flow?.state, 'established');
  t.is(flow?.expires, 9000);
  t.deepEqual(flow?.flags, ['seeded']);
  t.deepEqual(flow?.verdicts, { ingress: { verdict: 'ALLOW', origin: 9, generation: 42 } });
  t.deepEqual(flow?.packets, { forward: 3, reply: 2 });
});

const states: readonly [
  flags: number,
  kind: 'main' | 'unproven' | 'overflow',
  state: FlowRecord['state'],
  ttl: number,
][] = [
  [0, 'main', 'new', 60],
  [wire.FLOW_SEEN_REPLY, 'unproven', 'unproven', 60],
  [wire.FLOW_SEEN_REPLY | wire.FLOW_FIN_INIT, 'main', 'established', 8000],
  [wire.FLOW_SEEN_REPLY | wire.FLOW_FIN_INIT | wire.FLOW_FIN_RESP, 'main', 'closing', 10],
  [wire.FLOW_RST, 'main', 'closing', 10],
  [wire.FLOW_SEEN_REPLY, 'overflow', 'established', 8000],
];
for (const [flags, kind, state, ttl] of states)
  test(`decodeFlow – flags ${flags} in the ${kind} table are ${state} for ${ttl} s`, (t) => {
    const flow = decode(record({ flags }), 6, kind);
    t.is(flow?.state, state);
    t.is(flow?.expires, 1000 + ttl);
    t.is(flow?.flags.includes('overflow'), kind === 'overflow');
  });

test('decodeFlow – expired and dead records are none', (t) => {
  t.is(decode(record({ flags: 0 }), 6, 'main', 1061), undefined);
  t.is(decode(record({ last_seen: wire.FLOW_DEAD })), undefined);
});

test('decodeFlow – protocols without ports have none', (t) => {
  t.false('port' in (decode(record(), 47)?.initiator ?? { port: 0 }));
});
