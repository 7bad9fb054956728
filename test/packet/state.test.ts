/** What stands between packets: modes and deadlines, failsafe, fragments, expiry, full tables, sockets, upkeep. */
import { createSocket } from 'node:dgram';
import net from 'node:net';
import test from 'ava';
import { bootTimeNs } from '#native';
import * as wire from '#wire/bpf';
import { ethernet, fragment6, frame, ipv4, ipv6, type Layer, raw, tcp, udp } from './builder.ts';
import { Fixture, IDENTITY, NODE, OTHER, PEER, prepare, tcpPort, udpPort } from './fixture.ts';
import { echo, expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';
import { setUdpServers } from './memories.ts';

let node: Fixture;
let generation = 5000;

const serve = (ports: readonly number[]): void => setUdpServers(node.view('udp_servers', 8192), ports);

/** Peer may reach TCP 80, UDP 53 and echo; nothing may leave but to UDP 123. */
function rules(slot = 0): void {
  node.setSlot(0, slot, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        ...[tcpPort(80), udpPort(53), wire.PORT_CLASS_ICMP + 8, wire.PORT_CLASS_ICMP6 + 128].map(
          (port) => ({ identity: IDENTITY.peer, port, verdict: 'ALLOW', origin: 1 }) as const,
        ),
      ],
    },
    egress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 5 },
        { port: udpPort(123), verdict: 'ALLOW', origin: 6 },
      ],
    },
  });
}

test.before(async () => {
  await prepare();
  node = new Fixture({ flow_tcp4: 8, flow_tcp6: 8 });
});
test.beforeEach(() => {
  node.reset();
  rules();
  node.setControl({});
});
test.after.always(() => node?.close());

const refused = (v: Family) => inbound(v, tcp({ src: 1, dst: 82, flags: 'S' }));
const SECOND = 1_000_000_000n;

for (const v of FAMILIES) {
  test.serial(`mode – ${v}: nothing compiled and off judge nothing, drop nothing, and learn`, (t) => {
    for (const control of [{ state: 'EMPTY' }, { mode: 'OFF' }] as const) {
      node.reset();
      node.setControl(control);
      const outcome = node.run('host_ingress', refused(v));
      expect(t, JSON.stringify(control), outcome, 'pass PASS_UNENFORCED');
      t.is(outcome.events.length, 0);
      t.is(outcome.stats['JUDGED'], undefined);
      t.is(node.flows().length, 1, 'a record, so that enforcement knows who began');
      t.is(node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 80, flags: 'SF' }))).verdict, 'pass');
    }
  });

  test.serial(`mode – ${v}: audit reports what it would refuse, and still drops what is malformed`, (t) => {
    node.setControl({ mode: 'AUDIT' });
    const outcome = node.run('host_ingress', refused(v));
    expect(t, 'refused', outcome, 'pass PASS_NEW');
    t.not((outcome.events[0]?.flags ?? 0) & wire.EVENT_F_AUDIT, 0);
    t.is((outcome.events[0]?.verdict ?? 0) & 15, wire.VERDICT.DEFAULT_DENY);
    expect(
      t,
      'malformed',
      node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 80, flags: 'SF' }))),
      'drop INVALID_TCP_FLAGS',
    );
    t.is(node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 82 }))).verdict, 'pass');
    node.setControl({});
    expect(
      t,
      'enforced again',
      node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 82 }))),
      'drop POLICY_DENIED', // the initiator has proved nothing yet
    );
  });

  test.serial(`mode – ${v}: a timed mode ends by itself`, (t) => {
    node.setControl({ mode: 'OFF', modeUntilNs: bootTimeNs() + 600n * SECOND });
    t.is(node.run('host_ingress', refused(v)).verdict, 'pass');
    node.setControl({ mode: 'OFF', modeUntilNs: bootTimeNs() - 1n });
    node.reset();
    expect(t, 'over', node.run('host_ingress', refused(v)), 'drop POLICY_DENIED');
  });

  test.serial(`mode – ${v}: failsafe passes built-ins, failsafe and replies only`, (t) => {
    const length = v === 'v4' ? 128 : 64;
    const question = () => outbound(v, udp({ src: 2000, dst: 123 }));
    const answer = () => inbound(v, udp({ src: 123, dst: 2000 }));
    const asked = () => inbound(v, tcp({ src: 1000, dst: 80, flags: 'A', ack: 501 }));
    const served = () => outbound(v, tcp({ src: 80, dst: 1000, flags: 'A', seq: 501 }));
    node.run('host_egress', question());
    node.run('host_ingress', answer());
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S' })));
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 500 })));
    node.run('host_ingress', asked());
    const before = node.flows().map(({ flow }) => [flow.verdict, flow.stamp, flow.flags]);

    node.setControl({ mode: 'FAILSAFE' });
    const dhcp = v === 'v4' ? udp({ src: 67, dst: 68 }) : udp({ src: 547, dst: 546 });
    expect(t, 'built-in', node.run('host_ingress', inbound(v, dhcp)), 'pass PASS_BUILTIN');
    const fresh = inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }));
    expect(t, 'new, allowed by policy', node.run('host_ingress', fresh), 'drop POLICY_DENIED');
    expect(
      t,
      'new, the way out',
      node.run('host_egress', outbound(v, udp({ src: 2, dst: 9 }))),
      'drop POLICY_DENIED',
    );
    // A packet towards the initiator is a reply, whatever was refused before it; none other of a flow is.
    for (const when of ['at first', 'again']) {
      expect(t, `answer ${when}`, node.run('host_ingress', answer()), 'pass PASS_REPLY');
      expect(t, `served ${when}`, node.run('host_egress', served()), 'pass PASS_REPLY');
      expect(t, `question ${when}`, node.run('host_egress', question()), 'drop POLICY_DENIED');
      expect(t, `asked ${when}`, node.run('host_ingress', asked()), 'drop POLICY_DENIED');
    }
    t.deepEqual(
      node.flows().map(({ flow }) => [flow.verdict, flow.stamp, flow.flags]),
      before,
      'the records stay',
    );
    node.setFailsafe({ inbound: true, port: wire.FAILSAFE_PORT_TCP + 80, group: 1, peer: PEER[v], length });
    expect(t, 'asked by failsafe', node.run('host_ingress', asked()), 'pass PASS_ESTABLISHED');
    expect(t, 'served to it', node.run('host_egress', served()), 'pass PASS_REPLY');

    node.setControl({});
    expect(t, 'question afterwards', node.run('host_egress', question()), 'pass PASS_ESTABLISHED');
    expect(t, 'asked afterwards', node.run('host_ingress', asked()), 'pass PASS_ESTABLISHED');
  });

  test.serial(`deadline – ${v}: past it the fallback slot rules, without anybody's help`, (t) => {
    node.setSlot(0, 1, { generation: ++generation, ingress: { lines: [{ verdict: 'ALLOW', origin: 9 }] } });
    node.setControl({
      active: 1,
      fallback: 0,
      state: 'UNCONFIRMED',
      deadlineNs: bootTimeNs() + 600n * SECOND,
    });
    expect(t, 'before', node.run('host_ingress', refused(v)), 'pass PASS_NEW');
    expect(
      t,
      'a datagram before',
      node.run('host_ingress', inbound(v, udp({ src: 9, dst: 99 }))),
      'pass PASS_NEW',
    );
    node.setControl({ active: 1, fallback: 0, state: 'UNCONFIRMED', deadlineNs: bootTimeNs() - 1n });
    expect(t, 'after', node.run('host_ingress', refused(v)), 'drop POLICY_DENIED');
    expect(
      t,
      'its flow',
      node.run('host_ingress', inbound(v, udp({ src: 9, dst: 99 }))),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`failsafe – ${v}: above policy, forward and reverse, without a record`, (t) => {
    const length = v === 'v4' ? 96 + 32 : 128;
    node.setFailsafe({ inbound: true, port: 22, group: 1, peer: PEER[v], length });
    node.setFailsafe({ inbound: false, port: wire.FAILSAFE_PORT_UDP + 53, group: 2, peer: PEER[v], length });
    const syn = node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 22, flags: 'S' })));
    expect(t, 'inbound', syn, 'pass PASS_FAILSAFE');
    t.is((syn.events[0]?.version ?? 0) >> 4, wire.EVENT_TYPE.FAILSAFE);
    expect(
      t,
      'another peer',
      node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 22, flags: 'S' }), OTHER[v])),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'another port',
      node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 23, flags: 'S' }))),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'question',
      node.run('host_egress', outbound(v, udp({ src: 40000, dst: 53 }))),
      'pass PASS_FAILSAFE',
    );
    node.reset();
    node.setFailsafe({ inbound: true, port: 22, group: 1, peer: PEER[v], length });
    node.setFailsafe({ inbound: false, port: wire.FAILSAFE_PORT_UDP + 53, group: 2, peer: PEER[v], length });
    expect(
      t,
      'our segment, no record',
      node.run('host_egress', outbound(v, tcp({ src: 22, dst: 1, flags: 'A' }))),
      'pass PASS_FAILSAFE',
    );
    expect(
      t,
      'our own SYN from that port',
      node.run('host_egress', outbound(v, tcp({ src: 22, dst: 2, flags: 'S' }))),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'answer, no record',
      node.run('host_ingress', inbound(v, udp({ src: 53, dst: 40001 }))),
      'pass PASS_FAILSAFE',
    );
    expect(
      t,
      'a resolver may not reach every port',
      node.run('host_ingress', inbound(v, udp({ src: 53, dst: 111 }))),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`failsafe – ${v}: a revoked flow that it covers goes on`, (t) => {
    node.run('host_egress', outbound(v, udp({ src: 40000, dst: 123 })));
    node.setSlot(0, 0, { generation: ++generation, egress: { lines: [{ verdict: 'DENY', origin: 7 }] } });
    node.setFailsafe({
      inbound: false,
      port: wire.FAILSAFE_PORT_UDP + 123,
      group: 3,
      peer: PEER[v],
      length: v === 'v4' ? 128 : 128,
    });
    expect(
      t,
      'answer',
      node.run('host_ingress', inbound(v, udp({ src: 123, dst: 40000 }))),
      'pass PASS_REPLY',
    );
  });

  const piece = (
    offset: number,
    more: boolean,
    id: number,
    l4: Layer,
    protocol: number,
    from: string = PEER[v],
  ) =>
    v === 'v4'
      ? frame(ethernet(), ipv4({ src: from, dst: NODE.v4, id, offset, more, protocol }), l4)
      : frame(
          ethernet(),
          ipv6({ src: from, dst: NODE.v6 }),
          fragment6({ id, offset, more, next: protocol }),
          l4,
        );
  const middle = raw(new Uint8Array(64));

  test.serial(`fragments – ${v}: later ones take the ports of the first`, (t) => {
    expect(
      t,
      'first',
      node.run('host_ingress', piece(0, true, 1, udp({ src: 9, dst: 53, data: 64 }), 17)),
      'pass PASS_NEW',
    );
    expect(t, 'later', node.run('host_ingress', piece(72, true, 1, middle, 17)), 'pass PASS_ESTABLISHED');
    expect(t, 'last', node.run('host_ingress', piece(136, false, 1, middle, 17)), 'pass PASS_ESTABLISHED');
    const lost = node.run('host_ingress', piece(72, false, 2, middle, 17));
    expect(t, 'of another datagram', lost, 'drop FRAG_NOT_FOUND');
    t.is(lost.stats['FRAG_OUT_OF_ORDER'], 1);
    expect(
      t,
      'first, refused',
      node.run('host_ingress', piece(0, true, 3, udp({ src: 9, dst: 54, data: 64 }), 17)),
      'drop POLICY_DENIED',
    );
    expect(t, 'its rest', node.run('host_ingress', piece(72, false, 3, middle, 17)), 'drop POLICY_DENIED');
  });

  test.serial(`fragments – ${v}: a large ping works both ways`, (t) => {
    const proto = v === 'v4' ? 1 : 58;
    expect(
      t,
      'first',
      node.run('host_ingress', piece(0, true, 5, echo(v, 'request', 6, 64), proto)),
      'pass PASS_NEW',
    );
    expect(t, 'later', node.run('host_ingress', piece(72, false, 5, middle, proto)), 'pass PASS_ESTABLISHED');
    expect(t, 'answer', node.run('host_egress', outbound(v, echo(v, 'reply', 6))), 'pass PASS_REPLY');
  });

  test.serial(`fragments – ${v}: a tiny first one, and one over the flags, are dropped`, (t) => {
    expect(
      t,
      'tiny',
      node.run('host_ingress', piece(0, true, 7, raw(new Uint8Array(8)), 6)),
      'drop INVALID_FRAG',
    );
    if (v === 'v4')
      expect(t, 'offset 1', node.run('host_ingress', piece(8, true, 7, middle, 6)), 'drop INVALID_FRAG');
  });

  test.serial(`fragments – ${v}: a rule without ports lets a lost first one's rest pass`, (t) => {
    node.setSlot(0, 0, {
      generation: ++generation,
      ingress: {
        lines: [{ verdict: 'DEFAULT_DENY' }, { identity: IDENTITY.peer, verdict: 'ALLOW', origin: 8 }],
      },
    });
    expect(t, 'rest', node.run('host_ingress', piece(72, false, 9, middle, 17)), 'pass PASS_NEW');
    t.is(node.flows().length, 0, 'without ports there is no flow');
  });

  test.serial(`expiry – ${v}: an expired record is none; the collector claims, then deletes`, (t) => {
    node.run('host_egress', outbound(v, udp({ src: 2000, dst: 123 })));
    const [record] = node.flows();
    if (record === undefined) return t.fail();
    const age = (seconds: number) => {
      const view = new DataView(record.value.buffer);
      view.setUint32(wire.FLOW.last_seen, record.flow.last_seen - seconds, true);
      node.patchFlow(record.table, record.key, record.value);
    };
    const collect = () => node.collect(record.table);
    age(59);
    expect(t, 'live', node.run('host_ingress', inbound(v, udp({ src: 123, dst: 2000 }))), 'pass PASS_REPLY');
    age(61);
    expect(
      t,
      'expired: its answer is new',
      node.run('host_ingress', inbound(v, udp({ src: 123, dst: 2000 }))),
      'drop POLICY_DENIED',
    );
    collect();
    t.is(node.flows().length, 1, 'two seconds of grace');
    const again = node.run('host_egress', outbound(v, udp({ src: 2000, dst: 123 })));
    expect(t, 'taken over in place', again, 'pass PASS_NEW');
    t.is(again.stats['FLOW_NEW'], 1);
    t.is(node.flows().length, 1);
    age(63);
    collect();
    t.is(node.flows().length, 0);
  });

  test.serial(`expiry – ${v}: beside a claimed record the new one overflows`, (t) => {
    node.run('host_egress', outbound(v, udp({ src: 2000, dst: 123 })));
    const [record] = node.flows();
    if (record === undefined) return t.fail();
    new DataView(record.value.buffer).setUint32(wire.FLOW.last_seen, wire.FLOW_DEAD, true);
    node.patchFlow(record.table, record.key, record.value);
    expect(t, 'new', node.run('host_egress', outbound(v, udp({ src: 2000, dst: 123 }))), 'pass PASS_NEW');
    expect(
      t,
      'answer',
      node.run('host_ingress', inbound(v, udp({ src: 123, dst: 2000 }))),
      'pass PASS_REPLY',
    );
    t.true(node.flows().some(({ table }) => table.startsWith('overflow')));
  });

  test.serial(`full tables – ${v}: what policy allows passes, and its answers do`, (t) => {
    node.setSlot(0, 0, {
      generation: ++generation,
      ingress: { lines: [{ verdict: 'DEFAULT_DENY' }] },
      egress: { lines: [{ verdict: 'ALLOW' }] },
    });
    for (let i = 0; i < 80; i++)
      t.is(node.send('host_egress', outbound(v, tcp({ src: 3000 + i, dst: 443, flags: 'S' }))), 'pass');
    for (let i = 0; i < 80; i++)
      t.is(
        node.send('host_ingress', inbound(v, tcp({ src: 443, dst: 3000 + i, flags: 'SA' }))),
        'pass',
        `answer ${i}`,
      );
    t.true((node.stats()['CT_INSERT_FAILED'] as number) > 0);
  });

  test.serial(`sockets – ${v}: who began is asked of the socket that the table forgot`, async (t) => {
    const listener = net.createServer().listen(8080, NODE[v]);
    await new Promise((resolve) => listener.once('listening', resolve));
    const client = net.connect({ host: NODE[v], port: 8080, localAddress: NODE[v] });
    const [server] = await Promise.all([
      new Promise<net.Socket>((resolve) => listener.once('connection', resolve)),
      new Promise((resolve) => client.once('connect', resolve)),
    ]);
    // Whatever fails here: an open socket would keep the process, and so the whole run, waiting.
    t.teardown(() => {
      client.destroy();
      server.destroy();
      return new Promise<void>((resolve) => listener.close(() => resolve()));
    });
    const port = client.localPort as number;
    // Both ends are the node's own, so the source check would refuse: only the way out is asked.
    node.setSlot(0, 0, {
      generation: ++generation,
      ingress: { lines: [{ verdict: 'ALLOW', origin: 21 }] },
      egress: { lines: [{ verdict: 'DEFAULT_DENY', origin: 22 }] },
    });
    const served = node.run('host_egress', outbound(v, tcp({ src: 8080, dst: port }), NODE[v]));
    expect(t, "the server's segment answers", served, 'pass PASS_NEW');
    t.is(served.stats['FLOW_SEEDED'], 1);
    t.not((node.flows()[0]?.flow.flags ?? 0) & wire.FLOW_SEEDED, 0);
    node.reset();
    expect(
      t,
      "the client's segment began it",
      node.run('host_egress', outbound(v, tcp({ src: port, dst: 8080 }), NODE[v])),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'a segment without socket is judged as it travels',
      node.run('host_egress', outbound(v, tcp({ src: 9, dst: 8080 }), PEER[v])),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`sockets – ${v}: a connected datagram socket asked, unless its port serves`, async (t) => {
    const [mine, theirs] = [
      createSocket(v === 'v4' ? 'udp4' : 'udp6'),
      createSocket(v === 'v4' ? 'udp4' : 'udp6'),
    ];
    for (const socket of [mine, theirs])
      await new Promise<void>((resolve) => socket.bind(0, NODE[v], resolve));
    t.teardown(() => {
      serve([]);
      for (const socket of [mine, theirs]) socket.close();
    });
    const [own, peer] = [mine.address().port, theirs.address().port];
    await new Promise<void>((resolve) => mine.connect(peer, NODE[v], resolve));
    const outgoing = () => outbound(v, udp({ src: own, dst: peer }), NODE[v]);
    // Both ends are the node's own, so the source check would refuse: only the way out is asked.
    const enforce = (ingress: 'ALLOW' | 'DEFAULT_DENY', egress: 'ALLOW' | 'DEFAULT_DENY') => {
      node.reset();
      node.setSlot(0, 0, {
        generation: ++generation,
        ingress: { lines: [{ verdict: ingress, origin: 21 }] },
        egress: { lines: [{ verdict: egress, origin: 22 }] },
      });
    };
    enforce('ALLOW', 'DEFAULT_DENY');
    expect(t, 'a client asks', node.run('host_egress', outgoing()), 'drop POLICY_DENIED');
    serve([own]);
    const answered = node.run('host_egress', outgoing());
    expect(t, 'a server answers', answered, 'pass PASS_NEW');
    t.is(answered.events[0]?.origin, 21, 'by the rule for the way in');
    t.not((answered.events[0]?.flags ?? 0) & wire.EVENT_F_REPLY, 0);
    enforce('DEFAULT_DENY', 'ALLOW');
    expect(t, 'a server nobody may ask', node.run('host_egress', outgoing()), 'drop POLICY_DENIED');
    serve([own + 1]);
    node.reset();
    expect(t, 'a client beside a server', node.run('host_egress', outgoing()), 'pass PASS_NEW');
    serve([own]);
    node.reset();
    const stranger = outbound(v, udp({ src: own, dst: peer === 9 ? 10 : 9 }), NODE[v]);
    expect(t, 'to another than its peer', node.run('host_egress', stranger), 'pass PASS_NEW');
  });

  test.serial(`SYN cookies – ${v}: a SYN-ACK that nothing stands behind is judged as an answer`, (t) => {
    const synAck = node.run(
      'host_egress',
      outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 900, ack: 1 })),
    );
    expect(t, 'SYN-ACK', synAck, 'pass PASS_NEW');
    t.is(synAck.events[0]?.origin, 1, 'by the rule for the way in');
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`unproven${v.slice(1)}`],
    );
    const ack = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 1, ack: 901 })));
    t.is(ack.stats['FLOW_PROVEN'], 1);
    expect(
      t,
      'of a closed port',
      node.run('host_egress', outbound(v, tcp({ src: 82, dst: 1000, flags: 'SA' }))),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`SYN – ${v}: on a live flow it ends nothing, on one that is over it begins anew`, (t) => {
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 9 })));
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 500 })));
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, ack: 501 })));
    const number = node.flows()[0]?.flow.number;
    const forged = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 77 })));
    expect(t, 'live', forged, 'pass PASS_ESTABLISHED');
    t.is(forged.stats['FLOW_NEW'], undefined);
    t.is(node.flows()[0]?.flow.number, number);
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'FA', ack: 501 })));
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'FA', seq: 501 })));
    const reused = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 99 })));
    expect(t, 'over', reused, 'pass PASS_NEW');
    t.is(reused.stats['FLOW_NEW'], 1);
    t.is((node.flows()[0]?.flow.flags ?? 0) & (wire.FLOW_FIN_INIT | wire.FLOW_FIN_RESP), 0);
  });
}
