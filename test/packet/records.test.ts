/** Records of connections (HF-3): when they begin, when they are over, and who has to prove himself first. */
import net from 'node:net';
import test from 'ava';
import * as wire from '#wire/bpf';
import { ethernet, frame, ip, tcp, udp } from './builder.ts';
import { Fixture, IDENTITY, NODE, PEER, POD, prepare, tcpPort, udpPort } from './fixture.ts';
import { echo, expect, FAMILIES, inbound, outbound } from './kit.ts';

/** An endpoint of this node, behind another device. */
const NEIGHBOUR = { v4: '10.0.0.3', v6: '2001:db8:1::3' } as const;
let node: Fixture;
let generation = 40_000;

/** The peer may reach TCP 80 and UDP 53 of the node, and everything of the pod; all may leave. */
function rules(): void {
  node.setSlot(0, 0, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        ...[tcpPort(80), udpPort(53)].map(
          (port) => ({ identity: IDENTITY.peer, port, verdict: 'ALLOW', origin: 1 }) as const,
        ),
      ],
    },
    egress: { lines: [{ verdict: 'ALLOW', origin: 4 }] },
  });
  node.setSlot(1, 0, { generation: ++generation, ingress: { lines: [{ verdict: 'ALLOW', origin: 11 }] } });
}

test.before(async () => {
  await prepare();
  node = new Fixture();
});
test.beforeEach(() => {
  node.reset();
  rules();
  node.setControl({});
  node.setControl({ ruleset: 1 });
});
test.after.always(() => node?.close());

const tables = () =>
  node
    .flows()
    .map(({ table }) => table)
    .sort();
const TCP_TIMEOUT_SECONDS = 8000;

for (const v of FAMILIES) {
  const main = `flow_tcp${v.slice(1)}`;
  const unproven = `unproven${v.slice(1)}`;
  const ask = (flags: string, o: { ack?: number; data?: number } = {}) =>
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags, seq: 9, ...o })));
  const serve = (flags: string, seq: number) =>
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags, seq })));
  /** The peer's connection up to its acknowledgement; what came of that. */
  const connect = () => {
    ask('S');
    serve('SA', 500);
    return ask('A', { ack: 501 });
  };
  const setLastSeen = (seconds: (before: number) => number) => {
    const record = node.flows().find(({ table }) => table === main);
    if (record === undefined) throw new Error('no record');
    const last = seconds(record.flow.last_seen);
    new DataView(record.value.buffer).setUint32(wire.FLOW.last_seen, last, true);
    node.patchFlow(main, record.key, record.value);
  };

  test.serial(`records – ${v}: closed is closed through the last acknowledgement; data opens again`, (t) => {
    connect();
    ask('FA', { ack: 501 });
    serve('FA', 501);
    const both = wire.FLOW_FIN_INIT | wire.FLOW_FIN_RESP;
    const ends = () => (node.flows()[0]?.flow.flags ?? 0) & both;
    ask('A', { ack: 502 });
    t.is(ends(), both, 'the last acknowledgement');
    ask('PA', { ack: 502, data: 3 });
    t.is(ends(), 0, 'the ends were not real');
  });

  test.serial(`records – ${v}: over an expired record of a proven peer he proves himself anew`, (t) => {
    connect();
    t.deepEqual(tables(), [main]);
    setLastSeen((before) => before - TCP_TIMEOUT_SECONDS - 1);
    expect(t, 'SYN', ask('S'), 'pass PASS_NEW');
    t.deepEqual(tables(), [main, unproven]);
    serve('SA', 500);
    t.is(ask('A', { ack: 501 }).stats['FLOW_PROVEN'], undefined, 'the expired one is still in the way');
    t.deepEqual(tables(), [main, unproven]);
  });

  test.serial(`records – ${v}: a claimed record in the way is no full table`, (t) => {
    const question = () => node.run('host_egress', outbound(v, tcp({ src: 2000, dst: 443, flags: 'S' })));
    question();
    setLastSeen(() => wire.FLOW_DEAD);
    const again = question();
    expect(t, 'beside it', again, 'pass PASS_NEW');
    t.is(again.stats['CT_INSERT_FAILED'], undefined);
    t.deepEqual(tables(), [main, `overflow${v.slice(1)}`]);
  });

  test.serial(`records – ${v}: who is of this node proves nothing, a stranger does`, (t) => {
    node.setIdentity(NEIGHBOUR[v], IDENTITY.other, wire.IPCACHE_ENDPOINT);
    const toPod = (from: string) =>
      frame(ethernet(), ip({ src: from, dst: POD[v] }), tcp({ src: 1, dst: 80, flags: 'S' }));
    node.run('pod_ingress', toPod(NEIGHBOUR[v]), { cameBy: node.wire });
    t.deepEqual(tables(), [main]);
    node.run('pod_ingress', toPod(PEER[v]), { cameBy: node.wire });
    t.deepEqual(tables(), [main, unproven]);
  });

  test.serial(`records – ${v}: what answers a question that nobody asked leaves none`, (t) => {
    const synAck = inbound(v, tcp({ src: 443, dst: 2000, flags: 'SA' }));
    expect(t, 'SYN-ACK', node.run('host_ingress', synAck), 'pass PASS_NEW');
    expect(t, 'echo reply', node.run('host_egress', outbound(v, echo(v, 'reply'))), 'pass PASS_NEW');
    t.deepEqual(tables(), []);
  });

  test.serial(`records – ${v}: an acknowledgement out of nowhere to a listener proves nothing`, async (t) => {
    const listener = net.createServer().listen(80, NODE[v]);
    t.teardown(() => void listener.close());
    await new Promise((resolve) => listener.once('listening', resolve));
    const stray = ask('A', { ack: 77 });
    expect(t, 'stray', stray, 'pass PASS_NEW');
    t.is(stray.stats['FLOW_SEEDED'], undefined);
    t.deepEqual(tables(), [unproven]);
  });

  test.serial(`records – ${v}: two ends at one address are told apart by their ports`, (t) => {
    const open = { lines: [{ verdict: 'ALLOW', origin: 4 }] } as const;
    node.setSlot(0, 0, { generation: ++generation, ingress: open, egress: open });
    for (const [one, other] of [
      [2000, 3000],
      [3001, 2001],
    ] as const) {
      const send = (src: number, dst: number) =>
        node.run('host_egress', outbound(v, udp({ src, dst }), NODE[v]));
      expect(t, `from ${one}`, send(one, other), 'pass PASS_NEW');
      expect(t, `from ${other}`, send(other, one), 'pass PASS_REPLY');
      expect(t, `from ${one} again`, send(one, other), 'pass PASS_ESTABLISHED');
    }
    t.is(node.flows().length, 2);
  });
}
