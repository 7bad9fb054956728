/** What single faults of the sources showed that the other tables miss: the node's side of it. */
import { execFileSync } from 'node:child_process';
import test from 'ava';
import { mapUpdate, testRun } from '#native';
import * as wire from '#wire/bpf';
import {
  destinationOptions,
  ethernet,
  fragment6,
  frame,
  icmp,
  ip,
  ipv4,
  ipv6,
  type Layer,
  MAC_PEER,
  raw,
  tcp,
  udp,
  vlan,
} from './builder.ts';
import { Fixture, IDENTITY, mapped, NODE, OTHER, PEER, POD, prepare, tcpPort, udpPort } from './fixture.ts';
import { echo, expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';

let node: Fixture;
let generation = 20_000;

/** Peer may reach TCP 80 and UDP 53 (kept when the rule goes); nothing may leave but to UDP 123. */
function rules(o: { allowed?: boolean; flags?: number; verdict?: 'ALLOW' | 'AUTH' } = {}): void {
  const allowed = o.allowed === false ? [] : [tcpPort(80), udpPort(53), udpPort(54)];
  node.setSlot(0, 0, {
    generation: ++generation,
    ingress: {
      flags: o.flags ?? 0,
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        ...allowed.map((port) => ({
          identity: IDENTITY.peer,
          port,
          verdict: o.verdict ?? 'ALLOW',
          origin: 1,
          flags: port === udpPort(54) ? wire.CELL_KEEP : 0,
        })),
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
  node = new Fixture();
});
test.beforeEach(() => {
  node.reset();
  rules();
  node.setControl({});
});
test.after.always(() => node?.close());

const to = (v: Family, port: number, src = 1000) => inbound(v, udp({ src, dst: port }));
const bits = (v: Family) => (v === 'v4' ? 96 + 32 : 128);
const flagsOf = () => node.flows()[0]?.flow.flags ?? 0;

/** A live connection of the peer's, proven, in the main table. */
function establish(v: Family): void {
  node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 9 })));
  node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 500 })));
  node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, ack: 501 })));
}

for (const v of FAMILIES) {
  test.serial(`corners – ${v}: an unproven flow's packets are judged and counted each time`, (t) => {
    const before = node.ruleCount(1).packets;
    for (let i = 1; i <= 3; i++) t.is(node.run('host_ingress', to(v, 53)).stats['JUDGED'], 1);
    t.is(node.ruleCount(1).packets - before, 3n);
    rules({ allowed: false });
    expect(t, 'refused by policy only', node.run('host_ingress', to(v, 53)), 'drop POLICY_DENIED');
  });

  test.serial(`corners – ${v}: a flow outlives a rule that keeps, and no other`, (t) => {
    for (const port of [53, 54]) {
      node.run('host_ingress', to(v, port));
      node.run('host_egress', outbound(v, udp({ src: port, dst: 1000 })));
      node.run('host_ingress', to(v, port));
    }
    rules({ allowed: false });
    expect(t, 'kept', node.run('host_ingress', to(v, 54)), 'pass PASS_ESTABLISHED');
    expect(t, 'a new one', node.run('host_ingress', to(v, 54, 1001)), 'drop POLICY_DENIED');
    expect(t, 'revoked', node.run('host_ingress', to(v, 53)), 'drop FLOW_REVOKED');
  });

  test.serial(`corners – ${v}: frames for others on the wire pass unjudged`, (t) => {
    const other = frame(
      ethernet({ dst: '02:00:00:00:00:77' }),
      ip({ src: PEER[v], dst: NODE[v] }),
      udp({ src: 1, dst: 99 }),
    );
    expect(t, 'another host', node.run('host_ingress', other), 'pass PASS_FORWARDED');
  });

  test.serial(`corners – ${v}: a group in a frame for this host alone is delivered here`, (t) => {
    const group = v === 'v4' ? '224.0.0.251' : 'ff02::fb';
    const bytes = frame(ethernet(), ip({ src: PEER[v], dst: group }), udp({ src: 5353, dst: 5353 }));
    const outcome = node.run('host_ingress', bytes);
    expect(t, 'group', outcome, 'drop POLICY_DENIED');
    t.is(outcome.stats['LOCAL_BY_FIB'], undefined);
  });

  test.serial(`corners – ${v}: answers to an inbound failsafe rule go to any port, others' do not`, (t) => {
    node.setFailsafe({
      inbound: true,
      port: wire.FAILSAFE_PORT_UDP + 161,
      group: 1,
      peer: PEER[v],
      length: bits(v),
    });
    node.setFailsafe({
      inbound: false,
      port: wire.FAILSAFE_PORT_UDP + 53,
      group: 2,
      peer: PEER[v],
      length: bits(v),
    });
    const answer = node.run('host_egress', outbound(v, udp({ src: 161, dst: 40 })));
    expect(t, 'ours', answer, 'pass PASS_FAILSAFE');
    t.not(flagsOf() & wire.FLOW_FAILSAFE, 0);
    expect(t, 'above our ports', node.run('host_ingress', to(v, 61_000, 53)), 'drop POLICY_DENIED');
    expect(t, 'below', node.run('host_ingress', to(v, 32_767, 53)), 'drop POLICY_DENIED');
    expect(t, 'the last', node.run('host_ingress', to(v, 60_999, 53)), 'pass PASS_FAILSAFE');
    expect(t, 'both at the same', node.run('host_ingress', to(v, 53, 53)), 'pass PASS_FAILSAFE');
  });

  test.serial(`corners – ${v}: failsafe for ping is that for echo, each its own way`, (t) => {
    rules({ allowed: false });
    const port = wire.FAILSAFE_PORT_PROTO + (v === 'v4' ? 1 : 58);
    const entry = (isInbound: boolean) =>
      node.setFailsafe({ inbound: isInbound, port, group: 5, peer: PEER[v], length: bits(v) });
    const asked = () => node.run('host_ingress', inbound(v, echo(v, 'request', 8)));
    const answered = () => node.run('host_ingress', inbound(v, echo(v, 'reply', 9)));
    entry(false);
    expect(t, 'their answer', answered(), 'pass PASS_FAILSAFE');
    expect(t, 'their question', asked(), 'drop POLICY_DENIED');
    node.reset();
    entry(true);
    expect(t, 'their question, of theirs', asked(), 'pass PASS_FAILSAFE');
    if (v === 'v6') return; // other types are not a matter of policy there
    const other = inbound(v, icmp({ protocol: 1, type: 17, data: 4 }));
    expect(t, 'another type', node.run('host_ingress', other), 'drop POLICY_DENIED');
  });

  test.serial(`corners – ${v}: failsafe for our questions covers no answer of ours`, (t) => {
    const port = wire.FAILSAFE_PORT_UDP + 53;
    node.setFailsafe({ inbound: false, port, group: 4, peer: PEER[v], length: bits(v) });
    const question = () => node.run('host_ingress', to(v, 53, 40_000));
    const answer = () => node.run('host_egress', outbound(v, udp({ src: 53, dst: 40_000 })));
    for (const run of [question, answer, question]) run();
    rules({ allowed: false });
    expect(t, 'revoked', answer(), 'drop FLOW_REVOKED');
    t.is(node.run('host_egress', outbound(v, udp({ src: 2000, dst: 53 }))).verdict, 'pass');
  });

  test.serial(`corners – ${v}: a failsafe entry of a device holds there alone`, (t) => {
    const port = wire.FAILSAFE_PORT_UDP + 162;
    node.setFailsafe({ inbound: true, port, group: 3, peer: PEER[v], length: bits(v) });
    const setDevice = (ifindex: number) => {
      const key = new Uint8Array(wire.FAILSAFE_KEY_SIZE);
      const view = new DataView(key.buffer);
      view.setUint32(wire.FAILSAFE_KEY.prefixlen, 32 + bits(v), true);
      view.setUint8(wire.FAILSAFE_KEY.inbound, 1);
      view.setUint16(wire.FAILSAFE_KEY.group, 3, true);
      key.set(mapped(PEER[v]), wire.FAILSAFE_KEY.addr);
      const entry = new DataView(new ArrayBuffer(wire.FAILSAFE_ENTRY_SIZE));
      wire.writeFailsafeEntry(entry, 0, { ifindex, entry: 1, family: v === 'v4' ? 4 : 6 });
      mapUpdate(node.map('failsafe'), key, entry);
    };
    setDevice(node.pod);
    expect(t, 'elsewhere', node.run('host_ingress', to(v, 162)), 'drop POLICY_DENIED');
    setDevice(node.wire);
    expect(t, 'there', node.run('host_ingress', to(v, 162)), 'pass PASS_FAILSAFE');
  });

  test.serial(`corners – ${v}: a failsafe entry for all of IPv6 is none for IPv4`, (t) => {
    const port = wire.FAILSAFE_PORT_UDP + 546;
    node.setFailsafe({ inbound: true, port, group: 4, peer: '::', length: 0 });
    const want = v === 'v6' ? 'pass PASS_FAILSAFE' : 'drop POLICY_DENIED';
    expect(t, 'by the short prefix', node.run('host_ingress', to(v, 546)), want);
    if (v === 'v6') return;
    node.setFailsafe({ inbound: true, port, group: 4, peer: PEER.v4, length: 96 });
    expect(t, 'with one of IPv4 beside it', node.run('host_ingress', to(v, 546)), 'pass PASS_FAILSAFE');
  });

  test.serial(`corners – ${v}: in failsafe mode an established flow of a peer's stands still`, (t) => {
    establish(v);
    const more = inbound(v, tcp({ src: 1000, dst: 80, ack: 501 }));
    expect(t, 'before', node.run('host_ingress', more), 'pass PASS_ESTABLISHED');
    node.setControl({ mode: 'FAILSAFE' });
    t.is(node.run('host_ingress', more).verdict, 'drop');
  });

  test.serial(`corners – ${v}: a datagram's number used again brings its new ports`, (t) => {
    const first = (dst: number) => {
      const l4 = udp({ src: 1000, dst, data: 8 });
      const ends = { src: PEER[v], dst: NODE[v] };
      return v === 'v4'
        ? frame(ethernet(), ipv4({ ...ends, id: 7, more: true }), l4)
        : frame(ethernet(), ipv6(ends), fragment6({ id: 7, more: true }), l4);
    };
    const rest = (offset: number, id = 7) => {
      const data = raw(new Uint8Array(16), { protocol: 17 });
      const ends = { src: PEER[v], dst: NODE[v] };
      return v === 'v4'
        ? frame(ethernet(), ipv4({ ...ends, id, offset }), data)
        : frame(ethernet(), ipv6(ends), fragment6({ id, offset }), data);
    };
    expect(t, 'first', node.run('host_ingress', first(53)), 'pass PASS_NEW');
    expect(t, 'used again', node.run('host_ingress', first(99)), 'drop POLICY_DENIED');
    expect(t, 'its rest', node.run('host_ingress', rest(16)), 'drop POLICY_DENIED');
    const [kept] = node.entries(
      `frag${v.slice(1)}`,
      v === 'v4' ? wire.FRAG4_KEY_SIZE : wire.FRAG6_KEY_SIZE,
      wire.FRAG_VALUE_SIZE,
    );
    if (kept === undefined) return t.fail('no record of the fragment');
    const view = new DataView(kept.value.buffer);
    view.setUint32(wire.FRAG_VALUE.seen, view.getUint32(wire.FRAG_VALUE.seen, true) - 31, true);
    node.patchFlow(`frag${v.slice(1)}`, kept.key, kept.value);
    expect(t, 'its rest, too late', node.run('host_ingress', rest(16)), 'drop FRAG_NOT_FOUND');
    expect(t, 'eight bytes on is no first one', node.run('host_ingress', rest(8, 9)), 'drop FRAG_NOT_FOUND');
  });

  test.serial(`corners – ${v}: TTL 0 is dropped on an established flow, too`, (t) => {
    establish(v);
    const dying = frame(
      ethernet(),
      ip({ src: PEER[v], dst: NODE[v], ttl: 0 }),
      tcp({ src: 1000, dst: 80, ack: 501 }),
    );
    expect(t, 'TTL 0', node.run('host_ingress', dying), 'drop TTL_EXCEEDED');
  });

  test.serial(`corners – ${v}: what nobody wants to hear is suppressed, and counted`, (t) => {
    node.live.setUint32(wire.LIVE_STATE.interest, 1 << wire.EVENT_TYPE.DROP, true);
    const outcome = node.run('host_ingress', to(v, 53));
    node.live.setUint32(wire.LIVE_STATE.interest, 0xff, true);
    t.is(outcome.events.length, 0);
    t.is(outcome.stats['EVENT_SUPPRESSED'], 1);
  });

  test.serial(`corners – ${v}: on a machine that does not route`, (t) => {
    const family = v === 'v4' ? 'ipv4' : 'ipv6';
    const route = (on: number) => execFileSync('sysctl', ['-qw', `net.${family}.conf.all.forwarding=${on}`]);
    route(0);
    try {
      const forged = inbound(v, udp({ src: 1, dst: 53 }), POD[v]);
      expect(t, "an endpoint's address", node.run('host_ingress', forged), 'drop INVALID_SOURCE_IP');
      const toPod = inbound(v, udp({ src: 1, dst: 99 }), PEER[v], POD[v]);
      expect(t, 'to an endpoint', node.run('host_ingress', toPod), 'pass PASS_FORWARDED');
      node.removeLocal(NODE[v]);
      const unknown = node.run('host_ingress', to(v, 99));
      expect(t, 'an address too new', unknown, 'drop POLICY_DENIED');
      t.is(unknown.stats['LOCAL_BY_FIB'], 1);
    } finally {
      node.setLocal(NODE[v]);
      route(1);
    }
  });

  test.serial(`corners – ${v}: marks of ours do not come in`, (t) => {
    const context = new DataView(new ArrayBuffer(192));
    context.setUint32(8, 0xffffffff, true);
    context.setUint32(36, node.wire, true);
    context.setUint32(40, node.wire, true);
    const { ctxOut } = testRun(node.program('host_ingress'), { dataIn: to(v, 53), ctxIn: context });
    const mark = new DataView((ctxOut as Uint8Array<ArrayBuffer>).buffer).getUint32(8, true);
    t.is(mark, 0xffffffff & ~0xffff0fff);
  });

  test.serial(`corners – ${v}: an unproven connection waits a minute, answered or not`, (t) => {
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 9 })));
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 500 })));
    const [record] = node.flows();
    if (record === undefined) return t.fail('no record');
    new DataView(record.value.buffer).setUint32(wire.FLOW.last_seen, record.flow.last_seen - 61, true);
    node.patchFlow(record.table, record.key, record.value);
    const late = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 10, ack: 501 })));
    expect(t, 'late', late, 'pass PASS_NEW');
    t.is(node.flows().length, 1, 'the new record has taken the place of the old');
  });

  test.serial(`corners – ${v}: the number of a reset, which the peer chose, proves nothing`, (t) => {
    node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, flags: 'S', seq: 9 })));
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 500 })));
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'R', seq: 9000 })));
    const chosen = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 10, ack: 9000 })));
    t.is(chosen.stats['FLOW_PROVEN'], undefined);
    const honest = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, seq: 10, ack: 501 })));
    t.is(honest.stats['FLOW_PROVEN'], 1);
  });

  test.serial(`corners – ${v}: a connection that was reset is forgotten in seconds`, (t) => {
    establish(v);
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'R', seq: 501 })));
    const record = node.flows().find(({ table }) => table === `flow_tcp${v.slice(1)}`);
    if (record === undefined) return t.fail('no record');
    new DataView(record.value.buffer).setUint32(wire.FLOW.last_seen, record.flow.last_seen - 11, true);
    node.patchFlow(record.table, record.key, record.value);
    const late = node.run('host_ingress', inbound(v, tcp({ src: 1000, dst: 80, ack: 501 })));
    expect(t, 'late', late, 'pass PASS_NEW');
  });

  test.serial(`corners – ${v}: a record begun by its answer knows who is who, and counts both sides`, (t) => {
    node.run('host_egress', outbound(v, tcp({ src: 80, dst: 1000, flags: 'SA', seq: 900 })));
    const { identity, packets } = node.flows()[0]?.flow ?? { identity: [], packets: [] };
    t.deepEqual([...identity], [IDENTITY.peer, IDENTITY.host]);
    t.deepEqual([...packets], [0, 1]);
    const verdicts = node.flows()[0]?.flow.verdict ?? [];
    t.deepEqual([...verdicts], [wire.VERDICT.NONE, wire.VERDICT.ALLOW, wire.VERDICT.NONE]);
    const bytes = node.flows()[0]?.flow.bytes ?? [];
    t.is(bytes[0], 0n);
    t.true((bytes[1] ?? 0n) > 0n);
  });

  test.serial(`corners – ${v}: audit leaves its mark on the record, of a cell and of a direction`, (t) => {
    rules({ flags: wire.RSDIR_AUDIT });
    const outcome = node.run('host_ingress', to(v, 99));
    expect(t, 'audited', outcome, 'pass PASS_NEW');
    t.not((outcome.events[0]?.flags ?? 0) & wire.EVENT_F_AUDIT, 0);
    t.is(node.flows()[0]?.flow.verdict[wire.DIRECTION.INGRESS], wire.VERDICT.DEFAULT_DENY * 0x11);
  });

  test.serial(`corners – ${v}: a table in blocks says at every place what its rules say`, (t) => {
    const odd = Array.from({ length: 20 }, (_, i) => 4001 + 2 * i);
    node.setSlot(0, 0, {
      generation: ++generation,
      ingress: {
        flags: wire.RSDIR_BLOCKS,
        lines: [
          { verdict: 'DEFAULT_DENY', origin: 2 },
          // Even ports have columns of their own, too: three blocks a row.
          ...odd.flatMap((port) => [
            { identity: IDENTITY.other, port: udpPort(port + 1), verdict: 'ALLOW', origin: 3 } as const,
            { identity: IDENTITY.peer, port: udpPort(port), verdict: 'ALLOW', origin: 10 + port } as const,
          ]),
        ],
      },
      egress: { flags: wire.RSDIR_BLOCKS, lines: [{ verdict: 'ALLOW', origin: 4 }] },
    });
    for (const port of odd) {
      const before = node.ruleCount(10 + port).packets;
      expect(t, `${port}`, node.run('host_ingress', to(v, port)), 'pass PASS_NEW');
      t.is(node.ruleCount(10 + port).packets - before, 1n, `rule of ${port}`);
      expect(t, `${port + 1}`, node.run('host_ingress', to(v, port + 1)), 'drop POLICY_DENIED');
    }
    expect(t, 'out', node.run('host_egress', outbound(v, udp({ src: 1, dst: 9 }))), 'pass PASS_NEW');
  });

  test.serial(`corners – ${v}: who must be authenticated is refused until then`, (t) => {
    rules({ verdict: 'AUTH' });
    expect(t, 'auth', node.run('host_ingress', to(v, 53)), 'drop AUTH_REQUIRED');
  });

  test.serial(`corners – ${v}: a request with the number of another's is no answer to it`, (t) => {
    node.setSlot(0, 0, {
      generation: ++generation,
      ingress: { lines: [{ verdict: 'DEFAULT_DENY', origin: 2 }] },
      egress: { lines: [{ verdict: 'ALLOW', origin: 4 }] },
    });
    // The number stands at the asking end and tells the two apart, unless it is 0, as at the other end.
    for (const id of [77, 0]) {
      const theirs = () => node.run('host_ingress', inbound(v, echo(v, 'request', id)));
      const answer = () => node.run('host_ingress', inbound(v, echo(v, 'reply', id)));
      expect(t, `ours, ${id}`, node.run('host_egress', outbound(v, echo(v, 'request', id))), 'pass PASS_NEW');
      expect(t, `theirs, ${id}`, theirs(), 'drop POLICY_DENIED');
      expect(t, `answer, ${id}`, answer(), 'pass PASS_REPLY');
    }
  });

  test.serial(`corners – ${v}: a reply is judged anew by the rule for its request`, (t) => {
    const stamp = (type: 13 | 14) => icmp({ protocol: 1, type, id: 78, data: 12 });
    const kinds: [number, Layer, Layer][] = [
      [
        v === 'v4' ? wire.PORT_CLASS_ICMP + 8 : wire.PORT_CLASS_ICMP6 + 128,
        echo(v, 'request'),
        echo(v, 'reply'),
      ],
      ...(v === 'v4' ? [[wire.PORT_CLASS_ICMP + 13, stamp(13), stamp(14)] as [number, Layer, Layer]] : []),
    ];
    for (const [port, request, reply] of kinds) {
      const lines = [
        { verdict: 'DEFAULT_DENY', origin: 5 },
        { port, verdict: 'ALLOW', origin: 6 },
      ] as const;
      node.setSlot(0, 0, { generation: ++generation, egress: { lines } });
      expect(t, 'ours', node.run('host_egress', outbound(v, request)), 'pass PASS_NEW');
      node.setSlot(0, 0, { generation: ++generation, egress: { lines } });
      const anew = node.run('host_ingress', inbound(v, reply));
      expect(t, 'theirs', anew, 'pass PASS_REPLY');
      t.is(anew.stats['JUDGED'], 1);
    }
  });

  test.serial(`corners – ${v}: a class beyond a slot's lists is the unknown one`, (t) => {
    node.setIdentity(OTHER[v], 4999);
    // Another rule set brings a class and a column that the host's slot has never heard of.
    node.setSlot(2, 0, {
      generation: 1,
      ingress: { lines: [{ identity: 4999, port: udpPort(777), verdict: 'ALLOW', origin: 30 }] },
    });
    const view = node.view('rulesets', 64 * wire.RULESET_SIZE);
    const slot = wire.readRulesetSlot(view, wire.RULESET.slot);
    const dir = wire.readRulesetDir(
      view,
      wire.RULESET.slot + wire.RULESET_SLOT.dir + wire.DIRECTION.INGRESS * wire.RULESET_DIR_SIZE,
    );
    const arena = node.view('arena', (1 << 17) * 8);
    // What lies behind the lists would lead to the peer's row and an allowed column.
    const row = arena.getUint16(dir.rows * 8 + 2 * (slot.n_classes - 1), true);
    const before = [
      arena.getUint16(dir.rows * 8 + 2 * slot.n_classes, true),
      arena.getUint16(dir.columns * 8 + 2 * slot.n_port_classes, true),
    ] as const;
    const allowed = Array.from({ length: dir.n_columns }, (_, c) => c).find(
      (c) => (arena.getUint8((dir.cells + 1 * dir.n_columns + c) * 8 + 6) & 15) === wire.VERDICT.ALLOW,
    );
    t.true(row >= 0 && allowed !== undefined);
    arena.setUint16(dir.rows * 8 + 2 * slot.n_classes, 1, true);
    expect(
      t,
      'class',
      node.run('host_ingress', inbound(v, udp({ src: 1, dst: 53 }), OTHER[v])),
      'drop POLICY_DENIED',
    );
    arena.setUint16(dir.rows * 8 + 2 * slot.n_classes, before[0], true);
    arena.setUint16(dir.columns * 8 + 2 * slot.n_port_classes, allowed ?? 0, true);
    expect(t, 'column', node.run('host_ingress', to(v, 777)), 'drop POLICY_DENIED');
    arena.setUint16(dir.columns * 8 + 2 * slot.n_port_classes, before[1], true);
  });
}

test.serial('corners – a priority tag before a tag names no VLAN, and a priority in one no other', (t) => {
  node.setVlan(node.wire, 9);
  const refused = [ip({ src: PEER.v4, dst: NODE.v4 }), tcp({ src: 1, dst: 82, flags: 'S' })];
  const priority = 5 << 13;
  for (const tags of [[vlan(0), vlan(9)], [vlan(priority), vlan(9 | priority)], [vlan(9 | priority)]]) {
    const outcome = node.run('host_ingress', frame(ethernet(), ...tags, ...refused));
    expect(t, 'the sub-device judges', { ...outcome, isUnchanged: true }, 'pass PASS_FORWARDED');
  }
});

test.serial('corners – extension headers beyond the packet, within the frame', (t) => {
  const bytes = frame(
    ethernet(),
    ipv6({ src: PEER.v6, dst: NODE.v6, payloadLength: 8 }),
    destinationOptions(1),
    udp({ src: 1, dst: 53 }),
  );
  expect(t, 'beyond', node.run('host_ingress', bytes), 'drop INVALID');
});

test.serial('corners – an option of length 1', (t) => {
  const bytes = frame(
    ethernet(),
    ipv4({ src: PEER.v4, dst: NODE.v4, options: [7, 1, 0, 0] }),
    udp({ src: 1, dst: 53 }),
  );
  expect(t, 'length 1', node.run('host_ingress', bytes), 'drop INVALID');
});

test.serial('corners – a transport header beyond the packet, within the frame', (t) => {
  for (const [protocol, size] of [
    [17, 4],
    [132, 8],
  ] as const) {
    const padded = frame(
      ethernet({ src: MAC_PEER }),
      ipv4({ src: PEER.v4, dst: NODE.v4, protocol, totalLength: 20 + size }),
      raw([3, 232, 0, 53, ...new Uint8Array(28)]),
    );
    expect(t, `protocol ${protocol}`, node.run('host_ingress', padded), 'drop INVALID');
  }
});
