/** Before and beside the packet's main way: XDP, devices without Ethernet header, counts, limits, the ipcache feeder. */
import test from 'ava';
import { bootTimeNs, mapDelete, testRun } from '#native';
import * as wire from '#wire/bpf';
import {
  address,
  ethernet,
  fragment6,
  frame,
  icmp,
  ip,
  ipv4,
  ipv6,
  type Layer,
  raw,
  tcp,
  udp,
  vlan,
} from './builder.ts';
import { Fixture, IDENTITY, NODE, OTHER, PEER, POD, prepare, tcpPort, udpPort } from './fixture.ts';
import { expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';

let node: Fixture;
let generation = 5000;

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
  // So few errors a second that a slow machine sends many more.
  node = new Fixture({ flow_tcp4: 8, flow_tcp6: 8 }, { cfg_icmp6_error_rate: 100 });
});
test.beforeEach(() => {
  node.reset();
  rules();
  node.setControl({});
});
test.after.always(() => node?.close());

const refused = (v: Family) => inbound(v, tcp({ src: 1, dst: 82, flags: 'S' }));

for (const v of FAMILIES) {
  test.serial(`XDP – ${v}: drops what tc would, and only that`, (t) => {
    expect(t, 'refused SYN', node.run('xdp_host', refused(v)), 'drop POLICY_DENIED');
    const [event] = node.run('xdp_host', refused(v)).events;
    t.not((event?.flags ?? 0) & wire.EVENT_F_XDP, 0);
    expect(t, 'allowed SYN', node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }))), 'pass');
    expect(t, "a segment is tc's", node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 82 }))), 'pass');
    expect(t, "a datagram is tc's", node.run('xdp_host', inbound(v, udp({ src: 1, dst: 99 }))), 'pass');
    expect(
      t,
      'to a pod',
      node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 82, flags: 'S' }), PEER[v], POD[v])),
      'pass',
    );
    expect(
      t,
      'odd flags',
      node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80, flags: 'SF' }))),
      'drop INVALID_TCP_FLAGS',
    );
    expect(
      t,
      'odd flags to a pod',
      node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80, flags: 'SF' }), PEER[v], POD[v])),
      'pass',
    );
    expect(
      t,
      'its own source',
      node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), NODE[v])),
      'drop LAND',
    );
    expect(
      t,
      'cut short',
      node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80 })).slice(0, v === 'v4' ? 30 : 50)),
      'drop INVALID',
    );
    expect(
      t,
      'cut in the ports',
      node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80 })).slice(0, v === 'v4' ? 36 : 56)),
      'drop INVALID',
    );
    expect(
      t,
      'a tag',
      node.run(
        'xdp_host',
        frame(ethernet(), vlan(5), ip({ src: PEER[v], dst: NODE[v] }), tcp({ src: 1, dst: 82, flags: 'S' })),
      ),
      'drop POLICY_DENIED',
    );
    node.setVlan(1, 6); // XDP runs say loopback
    expect(
      t,
      'a tag of a sub-device',
      node.run(
        'xdp_host',
        frame(ethernet(), vlan(6), ip({ src: PEER[v], dst: NODE[v] }), tcp({ src: 1, dst: 82, flags: 'S' })),
      ),
      'pass',
    );
    node.setFailsafe({ inbound: true, port: 82, group: 1, peer: PEER[v], length: 128 });
    expect(t, 'failsafe', node.run('xdp_host', refused(v)), 'pass');
    node.clearFailsafe();
    node.setControl({ mode: 'AUDIT' });
    expect(t, 'audit', node.run('xdp_host', refused(v)), 'pass');
    node.setControl({ mode: 'OFF' });
    expect(t, 'off', node.run('xdp_host', inbound(v, tcp({ src: 1, dst: 80, flags: 'SF' }))), 'pass');
  });

  test.serial(`devices without Ethernet header – ${v}: judged from the first byte`, (t) => {
    const bare = (l4: Layer) => {
      const bytes = frame(ip({ src: PEER[v], dst: NODE[v] }), l4);
      // A test run takes the first bytes for a MAC address; an odd one is a group's, not another host's.
      if (v === 'v6') bytes[0] = 0x61;
      return bytes;
    };
    t.is(node.send('host_ingress_l3', bare(tcp({ src: 1, dst: 80, flags: 'S' }))), 'pass');
    const outcome = node.run('host_ingress_l3', bare(tcp({ src: 1, dst: 82, flags: 'S' })));
    t.deepEqual(outcome.drops, { POLICY_DENIED: 1 });
    t.is(
      node.send(
        'host_egress_l3',
        frame(ip({ src: NODE[v], dst: PEER[v] }), tcp({ src: 80, dst: 1, flags: 'SA' })),
      ),
      'pass',
    );
  });

  test.serial(
    `stages – ${v}: where one is missing the packet stops, or its event is lost, and that is counted`,
    (t) => {
      const syn = inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }));
      const datagram = udp({ src: 1, dst: 53, data: 24 });
      const fragment =
        v === 'v4'
          ? frame(ethernet(), ipv4({ src: PEER.v4, dst: NODE.v4, more: true }), datagram)
          : frame(ethernet(), ipv6({ src: PEER.v6, dst: NODE.v6 }), fragment6({ more: true }), datagram);
      const drop = (name: keyof typeof wire.STAGE) =>
        mapDelete(node.map('stages'), Uint32Array.of(wire.STAGE[name]));
      const toPod = inbound(v, tcp({ src: 1, dst: 80 }), PEER[v], POD[v]);
      const cases = [
        ['DECIDE', 'host_ingress', syn],
        ['DECIDE', 'pod_ingress', toPod],
        ['PARSE', 'host_ingress', fragment],
        ['RELATE', 'host_ingress', fragment],
      ] as const;
      for (const [stage, program, bytes] of cases) {
        drop(stage);
        const { verdict, drops, events } = node.run(program, bytes);
        node.setStage(stage);
        t.deepEqual(
          { verdict, drops, events },
          { verdict: 'drop', drops: { MISSED_TAIL_CALL: 1 }, events: [] },
          stage,
        );
        node.reset();
      }
      drop('REPORT');
      const untold = node.run('host_ingress', syn);
      node.setStage('REPORT');
      t.deepEqual([untold.verdict, untold.stats['EVENT_LOST'], untold.events], ['pass', 1, []]);
      node.reset();
      t.is(node.run('host_ingress', syn).verdict, 'pass');
    },
  );

  test.serial(`counts – ${v}: packets on the wire, bytes of the frame`, (t) => {
    const bytes = inbound(v, tcp({ src: 1000, dst: 80, data: 2000 }));
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S' })));
    node.run('host_ingress', bytes, { gsoSegs: 3, gsoSize: 700 });
    const [record] = node.flows();
    t.is(record?.flow.packets[0], 4);
    t.is(Number(record?.flow.bytes[0]), bytes.length + inbound(v, tcp({ src: 1, dst: 80 })).length);
  });

  test.serial(`BIG TCP – ${v}: length 0 with segments is valid, without it is not`, (t) => {
    const l4 = tcp({ src: 1000, dst: 80, flags: 'S', data: 200 });
    const bytes =
      v === 'v4'
        ? frame(ethernet(), ipv4({ src: PEER.v4, dst: NODE.v4, totalLength: 0 }), l4)
        : frame(ethernet(), ipv6({ src: PEER.v6, dst: NODE.v6, payloadLength: 0 }), l4);
    expect(t, 'segments', node.run('host_ingress', bytes, { gsoSize: 100, gsoSegs: 2 }), 'pass PASS_NEW');
    expect(t, 'none', node.run('host_ingress', bytes), 'drop INVALID');
  });

  test.serial(`ipcache – ${v}: the feeder changes in place, inserts and removes`, (t) => {
    const ops = node.view('ipcache_ops', 4096 * wire.IPCACHE_OP_SIZE);
    const { family, bytes } = address(OTHER[v]);
    const feed = (identity: number, remove = 0) => {
      wire.writeIpcacheOp(ops, 0, {
        addr: v === 'v4' ? Uint8Array.of(...bytes, ...new Uint8Array(12)) : bytes,
        prefixlen: v === 'v4' ? 32 : 128,
        family,
        remove,
        done: 0,
        entry: { identity, flags: 0, tunnel_endpoint: new Uint8Array(16), encrypt_key: 0, node: 0 },
      });
      testRun(node.program('ipcache_feed'), { ctxIn: new Uint8Array(Uint32Array.of(1).buffer) });
      return wire.readIpcacheOp(ops, 0).done;
    };
    t.is(feed(IDENTITY.peer), 2, 'inserted');
    t.is(node.send('host_ingress', inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), OTHER[v])), 'pass');
    t.is(feed(IDENTITY.other), 1, 'in place');
    expect(
      t,
      'another identity',
      node.run('host_ingress', inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }), OTHER[v])),
      'drop POLICY_DENIED',
    );
    t.is(feed(0, 1), 3, 'removed');
    t.is(feed(0, 1), 0xffff, 'there is none to remove');
    t.is(wire.readIpcacheOp(ops, wire.IPCACHE_OP_SIZE).done, 0, 'one was to be done, not the next');
  });
}

test.serial('ICMPv6 – errors pass within the limit of their device', (t) => {
  const bytes = frame(
    ethernet(),
    ip({ src: OTHER.v6, dst: NODE.v6 }),
    icmp({ protocol: 58, type: 1 }),
    raw(new Uint8Array(48)),
  );
  let dropped = 0;
  for (let i = 0; i < 3000; i++) if (node.send('host_ingress', bytes) === 'drop') dropped++;
  t.true(dropped > 0 && dropped < 1500, `${dropped} of 3000 dropped`);
});

test.serial('clock – one sample tells ticks and time', (t) => {
  const context = new Uint8Array(16);
  testRun(node.program('clock_sample'), { ctxIn: context });
  const view = new DataView(context.buffer);
  t.true(view.getBigUint64(0, true) > 0n);
  t.true(bootTimeNs() >= view.getBigUint64(8, true));
});

const MARKS: readonly [mark: number, isClaim: boolean][] = [
  [0xca6c, true], // wg-quick's default port as a mark
  [0x0800, true],
  [0x12340b56, true],
  [0x0e00, true],
  [0, false],
  [0x0200, false],
  [0x0c00, false],
  [0xf000, false],
];
for (const v of FAMILIES) {
  test.serial(`marks – ${v}: what comes in loses kind and identity, what is of others stays`, (t) => {
    const bytes = inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }));
    for (const [mark] of MARKS) {
      t.is(node.run('host_ingress', bytes, { mark }).mark, mark & 0xf000);
      t.is(node.run('host_ingress', other(), { mark }).mark, mark & 0xf000, 'not IP');
    }
    const sent = frame(ethernet(), ip({ src: POD[v], dst: PEER[v] }), tcp({ src: 1, dst: 80, flags: 'S' }));
    t.is(node.run('pod_egress', sent, { mark: 0xffffffff }).mark, 0xf000);
  });

  test.serial(`marks – ${v}: what the node sends is judged as without, a claim is counted`, (t) => {
    for (const [mark, isClaim] of MARKS) {
      const sent = node.run('host_egress', outbound(v, tcp({ src: 1, dst: 443, flags: 'S' })), { mark });
      t.is(sent.stats['MARK_IGNORED'], isClaim ? 1 : undefined, mark.toString(16));
      t.is(sent.mark, mark >>> 0);
      const toPod = frame(
        ethernet(),
        ip({ src: NODE[v], dst: POD[v] }),
        tcp({ src: 1, dst: 80, flags: 'S' }),
      );
      t.is(node.run('pod_ingress', toPod, { mark }).stats['MARK_IGNORED'], isClaim ? 1 : undefined);
    }
  });
}
const other = () => frame(ethernet({ type: 0x88cc }), raw(new Uint8Array(46)));
