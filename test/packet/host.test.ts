/** The node as a subject: every path of the host device's programs, both families (HF-1 to HF-3, HF-9). */
import test from 'ava';
import * as wire from '#wire/bpf';
import { ethernet, frame, icmp, ip, type Layer, MAC_PEER, raw, tcp, udp } from './builder.ts';
import { Fixture, IDENTITY, NODE, OTHER, PEER, POD, prepare, tcpPort, udpPort } from './fixture.ts';
import { headers, single } from './host-cases.ts';
import { echo, expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';

let node: Fixture;

/** Identity peer may reach TCP 80, UDP 53, SCTP 9 and echo; everything may leave. */
function baseRules(generation: number, o: { egress?: 'ALLOW' | 'DEFAULT_DENY' } = {}): void {
  const allowed = [
    tcpPort(80),
    udpPort(53),
    wire.PORT_CLASS_SCTP + 9,
    wire.PORT_CLASS_ICMP + 8,
    wire.PORT_CLASS_ICMP6 + 128,
    wire.PORT_CLASS_PROTO + 112,
    wire.PORT_CLASS_PROTO + 59,
    wire.PORT_CLASS_PROTO + 50,
  ];
  node.setSlot(0, 0, {
    generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        ...allowed.map(
          (port) =>
            ({
              identity: IDENTITY.peer,
              port,
              verdict: 'ALLOW',
              origin: 1,
              flags: wire.POLICY_MATCH.L3_L4,
            }) as const,
        ),
        {
          identity: IDENTITY.peer,
          port: tcpPort(81),
          verdict: 'DENY',
          origin: 3,
          flags: wire.POLICY_MATCH.L3_L4,
        },
      ],
    },
    egress: { lines: [{ verdict: o.egress ?? 'ALLOW', origin: 4, flags: wire.POLICY_MATCH.ALL }] },
  });
}

let generation = 100;
/** No part of it is zero. */
const FAR = { v4: '198.51.100.7', v6: '2001:db8:1:2:3:4:5:6' } as const;

test.before(async () => {
  await prepare();
  node = new Fixture();
});
test.beforeEach(() => {
  node.reset();
  baseRules(++generation);
  node.setControl({});
});
test.after.always(() => node?.close());

const errorOf = (v: Family, type4: number, type6: number, code = 0): Layer =>
  icmp(v === 'v4' ? { protocol: 1, type: type4, code } : { protocol: 58, type: type6, code });
for (const v of FAMILIES)
  for (const [what, program, make, want] of single)
    test.serial(`host – ${v}: ${what}: ${want}`, (t) => {
      const isForwarded = what.startsWith('from a pod');
      expect(t, what, node.run(program, make(v), isForwarded ? { cameBy: node.pod } : {}), want);
    });

for (const [what, bytes, want] of headers)
  test.serial(`headers – ${what}: ${want}`, (t) => {
    node.setVlan(node.wire, 9);
    const outcome = node.run('host_ingress', bytes);
    // The kernel takes an in-frame tag off on its way to the program; the bytes are its own.
    expect(
      t,
      what,
      { ...outcome, isUnchanged: outcome.isUnchanged || what.includes('VLAN') || what.includes('QinQ') },
      want,
    );
  });

const NDP = [133, 134, 135, 136];
const PASSING = [1, 2, 3, 4, 130, 131, 132, 143, 138, 141, 142, 148, 149, 151, 152, 153];
const FORBIDDEN = [100, 101, 127, 139, 140, 144, 145, 146, 147, 150, 154, 155, 200, 201, 255, 160, 5];
test.serial('ICMPv6 – the fixed table, of a node that policy selects', (t) => {
  const send = (type: number, ttl: number) =>
    node.run(
      'host_ingress',
      frame(ethernet(), ip({ src: OTHER.v6, dst: NODE.v6, ttl }), icmp({ protocol: 58, type, data: 16 })),
    );
  for (const type of NDP) expect(t, `type ${type}`, send(type, 255), 'pass PASS_BUILTIN');
  for (const type of [...NDP, 137])
    expect(t, `type ${type}, hop limit 254`, send(type, 254), 'drop INVALID_NDP');
  for (const type of PASSING) expect(t, `type ${type}`, send(type, 64), 'pass PASS_BUILTIN');
  for (const type of FORBIDDEN) expect(t, `type ${type}`, send(type, 64), 'drop FORBIDDEN_ICMP6');
  expect(t, 'redirect', send(137, 255), 'drop FORBIDDEN_ICMP6');
  expect(t, 'echo is policy', send(128, 64), 'drop POLICY_DENIED');
});

test.serial('ICMPv6 – nothing of the table drops on a node that no policy selects', (t) => {
  node.setSlot(0, 0, { generation: ++generation });
  for (const type of FORBIDDEN) {
    const bytes = frame(
      ethernet(),
      ip({ src: OTHER.v6, dst: NODE.v6 }),
      icmp({ protocol: 58, type, data: 16 }),
    );
    t.is(node.run('host_ingress', bytes).verdict, 'pass', `type ${type}`);
  }
});

test.serial('DHCP – passes both ways, whatever the policy', (t) => {
  baseRules(++generation, { egress: 'DEFAULT_DENY' });
  const dhcp4 = (src: number, dst: number, from: string, to: string) =>
    frame(ethernet(), ip({ src: from, dst: to }), udp({ src, dst }));
  expect(
    t,
    'offer',
    node.run('host_ingress', dhcp4(67, 68, OTHER.v4, '255.255.255.255')),
    'pass PASS_BUILTIN',
  );
  expect(
    t,
    'offer, unicast',
    node.run('host_ingress', dhcp4(67, 68, OTHER.v4, NODE.v4)),
    'pass PASS_BUILTIN',
  );
  expect(
    t,
    'discover',
    node.run('host_egress', dhcp4(68, 67, '0.0.0.0', '255.255.255.255')),
    'pass PASS_BUILTIN',
  );
  expect(t, 'reply', node.run('host_ingress', dhcp4(547, 546, 'fe80::5', NODE.v6)), 'pass PASS_BUILTIN');
});

for (const v of FAMILIES) {
  test.serial(`host – ${v}: a connection of the peer's is unproven until it acknowledges`, (t) => {
    const syn = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 9 })));
    t.is(syn.stats['FLOW_NEW'], 1);
    t.is(syn.events.length, 1);
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`unproven${v.slice(1)}`],
    );
    expect(
      t,
      'SYN-ACK',
      node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 500, ack: 10 }))),
      'pass PASS_REPLY',
    );
    const blind = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 10, ack: 500 })));
    t.is(blind.verdict, 'pass');
    t.is(blind.stats['FLOW_PROVEN'], undefined, 'an acknowledgement of nothing proves nothing');
    const beyond = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 10, ack: 502 })));
    t.is(beyond.stats['FLOW_PROVEN'], undefined, 'nor one of what was never sent');
    const proof = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 10, ack: 501 })));
    t.is(proof.stats['FLOW_PROVEN'], 1);
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`flow_tcp${v.slice(1)}`],
    );
    const data = node.run(
      'host_ingress',
      inbound(v, tcp({ src: 1000, dst: 80, flags: 'PA', seq: 10, ack: 501, data: 5 })),
    );
    expect(t, 'data', data, 'pass PASS_ESTABLISHED');
    t.is(data.stats['JUDGED'], undefined, 'a proven flow is not judged again');
    expect(
      t,
      'answer',
      node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'PA', data: 5 }))),
      'pass PASS_REPLY',
    );
    const [record] = node.flows();
    t.deepEqual(record?.flow.packets, [5, 2]);
  });

  test.serial(`host – ${v}: a datagram proves itself by a second one after the answer`, (t) => {
    node.run('host_ingress', inbound(v, udp({ src: 1000, dst: 53 })));
    node.run('host_ingress', inbound(v, udp({ src: 1000, dst: 53 })));
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`unproven${v.slice(1)}`],
    );
    expect(t, 'answer', node.run('host_egress', outbound(v, udp({ src: 53, dst: 1000 }))), 'pass PASS_REPLY');
    t.is(node.run('host_ingress', inbound(v, udp({ src: 1000, dst: 53 }))).stats['FLOW_PROVEN'], 1);
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`flow_any${v.slice(1)}`],
    );
  });

  test.serial(`host – ${v}: a flood of forged SYNs and datagrams leaves the proven tables empty`, (t) => {
    for (let i = 0; i < 300; i++) {
      node.send('host_ingress', inbound(v, tcp({ src: 1000 + i, dst: 80, flags: 'S' })));
      node.send('host_egress', outbound(v, tcp({ src: 80, dst: 1000 + i, flags: 'SA', seq: 7 })));
      node.send('host_ingress', inbound(v, udp({ src: 1000 + i, dst: 53 })));
      node.send('host_egress', outbound(v, udp({ src: 53, dst: 1000 + i })));
    }
    t.deepEqual([...new Set(node.flows().map(({ table }) => table))], [`unproven${v.slice(1)}`]);
    t.is(node.flows().length, 600, 'and evicts none of its like');
  });

  test.serial(`host – ${v}: our own connection is in the main table at once, its answers pass`, (t) => {
    node.run('host_egress', outbound(v, tcp({ src: 2000, dst: 443, flags: 'S' })));
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`flow_tcp${v.slice(1)}`],
    );
    expect(
      t,
      'SYN-ACK',
      node.run('host_ingress', inbound(v, tcp({ src: 443, dst: 2000, flags: 'SA' }))),
      'pass PASS_REPLY',
    );
    expect(t, 'echo out', node.run('host_egress', outbound(v, echo(v, 'request', 77))), 'pass PASS_NEW');
    expect(t, 'echo back', node.run('host_ingress', inbound(v, echo(v, 'reply', 77))), 'pass PASS_REPLY');
    baseRules(++generation);
    node.run('host_egress', outbound(v, echo(v, 'request', 78), OTHER[v]));
    expect(
      t,
      "the other's own ping is no answer",
      node.run('host_ingress', inbound(v, echo(v, 'request', 78), OTHER[v])),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`host – ${v}: a revoked flow stops both ways, and comes back with its rule`, (t) => {
    node.run('host_egress', outbound(v, udp({ src: 2000, dst: 443 })));
    expect(
      t,
      'before',
      node.run('host_ingress', inbound(v, udp({ src: 443, dst: 2000 }))),
      'pass PASS_REPLY',
    );
    baseRules(++generation, { egress: 'DEFAULT_DENY' });
    expect(
      t,
      'reply',
      node.run('host_ingress', inbound(v, udp({ src: 443, dst: 2000 }))),
      'drop FLOW_REVOKED',
    );
    const again = node.run('host_ingress', inbound(v, udp({ src: 443, dst: 2000 })));
    expect(t, 'reply again', again, 'drop FLOW_REVOKED');
    t.is(again.stats['JUDGED'], undefined, 'judged once a stamp');
    expect(
      t,
      'forward',
      node.run('host_egress', outbound(v, udp({ src: 2000, dst: 443 }))),
      'drop FLOW_REVOKED',
    );
    baseRules(++generation);
    expect(t, 'after', node.run('host_ingress', inbound(v, udp({ src: 443, dst: 2000 }))), 'pass PASS_REPLY');
    expect(
      t,
      'after, forward',
      node.run('host_egress', outbound(v, udp({ src: 2000, dst: 443 }))),
      'pass PASS_ESTABLISHED',
    );
  });

  test.serial(`host – ${v}: an identity that changes is judged again, its bucket's flows only`, (t) => {
    for (const peer of [PEER[v], FAR[v]]) {
      node.run('host_egress', outbound(v, udp({ src: 2000, dst: 443 }), peer));
      node.run('host_ingress', inbound(v, udp({ src: 443, dst: 2000 }), peer));
      const again = () => node.run('host_egress', outbound(v, udp({ src: 2000, dst: 443 }), peer));
      const quiet = () => again().stats['JUDGED'];
      t.is(quiet(), undefined, peer);
      node.advanceEpoch({ bucket: (bucketOf(peer) + 1) % wire.EPOCH_BUCKETS });
      t.is(quiet(), undefined, 'the time of another bucket');
      node.advanceEpoch({ bucket: bucketOf(peer) });
      t.is(quiet(), 1);
      t.is(quiet(), undefined);
      node.advanceEpoch({ wide: true });
      t.is(quiet(), 1);
      t.is(quiet(), undefined);
    }
  });

  test.serial(`host – ${v}: masqueraded traffic leaves a record, its answers are no new connections`, (t) => {
    baseRules(++generation, { egress: 'DEFAULT_DENY' });
    const out = node.run('host_egress', outbound(v, udp({ src: 40000, dst: 123 }), OTHER[v]), {
      cameBy: node.pod,
    });
    expect(t, 'out', out, 'pass PASS_FORWARDED');
    t.is(out.events.length, 0);
    expect(
      t,
      'answer',
      node.run('host_ingress', inbound(v, udp({ src: 123, dst: 40000 }), OTHER[v])),
      'pass PASS_REPLY',
    );
    expect(
      t,
      'out again',
      node.run('host_egress', outbound(v, udp({ src: 40000, dst: 123 }), OTHER[v]), { cameBy: node.pod }),
      'pass',
    );
    expect(
      t,
      'the node itself is judged on that tuple',
      node.run('host_egress', outbound(v, udp({ src: 40000, dst: 123 }), OTHER[v])),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`host – ${v}: errors pass by the packet inside them, whatever router sends them`, (t) => {
    node.run('host_egress', outbound(v, udp({ src: 2000, dst: 443 })));
    const inner = (src: string, dst: string, ports: Layer) => [ip({ src, dst }), ports];
    const error = (...rest: Layer[]) =>
      frame(ethernet(), ip({ src: OTHER[v], dst: NODE[v] }), errorOf(v, 3, 100, 1), ...rest);
    if (v === 'v4') {
      expect(
        t,
        'related',
        node.run('host_ingress', error(...inner(NODE.v4, PEER.v4, udp({ src: 2000, dst: 443 })))),
        'pass PASS_RELATED',
      );
      expect(
        t,
        'of another connection',
        node.run('host_ingress', error(...inner(NODE.v4, PEER.v4, udp({ src: 2001, dst: 443 })))),
        'drop POLICY_DENIED',
      );
      expect(
        t,
        'of somebody else',
        node.run('host_ingress', error(...inner(POD.v4, PEER.v4, udp({ src: 2000, dst: 443 })))),
        'drop POLICY_DENIED',
      );
      expect(t, 'cut short', node.run('host_ingress', error(raw([0x45, 0, 0, 20]))), 'drop POLICY_DENIED');
      const needed = frame(
        ethernet(),
        ip({ src: OTHER.v4, dst: NODE.v4 }),
        icmp({ protocol: 1, type: 3, code: 4 }),
        ip({ src: NODE.v4, dst: OTHER.v4 }),
        udp({ src: 1, dst: 2 }),
      );
      expect(t, 'fragmentation needed', node.run('host_ingress', needed), 'pass PASS_BUILTIN');
    } else {
      const tooBig = frame(
        ethernet(),
        ip({ src: OTHER.v6, dst: NODE.v6 }),
        icmp({ protocol: 58, type: 2 }),
        ip({ src: NODE.v6, dst: OTHER.v6 }),
        udp({ src: 1, dst: 2 }),
      );
      expect(t, 'packet too big', node.run('host_ingress', tooBig), 'pass PASS_BUILTIN');
    }
  });

  test.serial(
    `host – ${v}: a source of the node's from the wire is forged, known to the ipcache or not`,
    (t) => {
      const second = v === 'v4' ? '192.0.2.77' : '2001:db8::77';
      node.setLocal(second);
      node.setIdentity(second, IDENTITY.host);
      expect(
        t,
        'known',
        node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), second)),
        'drop SPOOFED_LOCAL_SOURCE',
      );
      node.setIdentity(second, IDENTITY.peer);
      expect(
        t,
        'not yet known',
        node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), second)),
        'drop SPOOFED_LOCAL_SOURCE',
      );
      node.removeLocal(second);
      t.is(node.flows().length, 0);
    },
  );

  test.serial(`host – ${v}: a local address that no table knows yet is judged`, (t) => {
    node.removeLocal(NODE[v]);
    const outcome = node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 82, flags: 'S' })));
    node.setLocal(NODE[v]);
    expect(t, 'by route', outcome, 'drop POLICY_DENIED');
    t.is(outcome.stats['LOCAL_BY_FIB'], 1);
  });

  test.serial(`host – ${v}: a macvlan child's packet is not the node's`, (t) => {
    baseRules(++generation, { egress: 'DEFAULT_DENY' });
    const child = frame(
      ethernet({ dst: MAC_PEER }),
      ip({ src: OTHER[v], dst: PEER[v] }),
      udp({ src: 1, dst: 2 }),
    );
    expect(t, 'child', node.run('host_egress', child, { cameBy: 0 }), 'pass PASS_FORWARDED');
  });

  test.serial(`host – ${v}: a reset begins no flow; a live flow ends by it and by both FINs`, (t) => {
    expect(
      t,
      'reset',
      node.run('host_egress', outbound(v, tcp({ src: 82, dst: 999, flags: 'RA' }))),
      'drop POLICY_DENIED',
    );
    t.is(node.flows().length, 0);
    node.run('host_egress', outbound(v, tcp({ src: 2000, dst: 443, flags: 'S' })));
    node.run('host_ingress', inbound(v, tcp({ src: 443, dst: 2000, flags: 'SA' })));
    node.run('host_ingress', inbound(v, tcp({ src: 443, dst: 2000, flags: 'RA' })));
    t.not((node.flows()[0]?.flow.flags ?? 0) & wire.FLOW_RST, 0);
    node.run('host_egress', outbound(v, tcp({ src: 2000, dst: 443, flags: 'PA', data: 1 })));
    t.is((node.flows()[0]?.flow.flags ?? 0) & wire.FLOW_RST, 0, 'the socket ignored it: the flow goes on');
  });

  test.serial(`host – ${v}: sent, suppressed and lost events add up to the new flows`, (t) => {
    const before = node.stats();
    for (let i = 0; i < 6000; i++) node.send('host_ingress', inbound(v, udp({ src: 1 + i, dst: 53 })));
    const after = node.stats();
    const moved = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
    t.is(moved('FLOW_NEW'), 6000);
    t.is(moved('EVENT_SENT') + moved('EVENT_SUPPRESSED') + moved('EVENT_LOST'), 6000);
  });
}

/** The bucket of an address, from the sentence in types.h. */
function bucketOf(text: string): number {
  const bytes = Buffer.from(
    text.includes(':')
      ? expand(text)
      : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...text.split('.').map(Number)),
  );
  const by = [wire.EPOCH_MULTIPLIER0, wire.EPOCH_MULTIPLIER1, wire.EPOCH_MULTIPLIER2, wire.EPOCH_MULTIPLIER3];
  return (
    by.map((m, i) => Math.imul(bytes.readUInt32LE(4 * i), m)).reduce((a, b) => (a + b) | 0, 0) >>>
    wire.EPOCH_SHIFT
  );
}

function expand(text: string): Uint8Array {
  const [head = '', tail = ''] = text.split('::');
  const parts = (side: string) =>
    side === '' ? [] : side.split(':').map((part) => Number.parseInt(part, 16));
  const middle = Array<number>(8 - parts(head).length - parts(tail).length).fill(0);
  return Uint8Array.from(
    [...parts(head), ...middle, ...parts(tail)].flatMap((word) => [word >> 8, word & 255]),
  );
}
