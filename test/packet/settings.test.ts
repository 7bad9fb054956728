/**
 * What load-time settings switch on, each beside the same packet while it is off: families (HF-2.1),
 * ethertypes (HF-2.1), tunnels' outer packets (HF-1.1 rows 10, 11), protocols of pods (policy.md 5.1).
 */
import test from 'ava';
import * as wire from '#wire/bpf';
import { ethernet, frame, icmp, ip, type Layer, MAC_PEER, raw, tcp, udp, vlan } from './builder.ts';
import { Fixture, NODE, OTHER, PEER, POD, type ProgramName, prepare, type Slot } from './fixture.ts';
import { expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';

const TUNNEL_PORT = 8472;
const WIREGUARD_PORT = 51871;
const ETHERTYPE = { arp: 0x0806, lldp: 0x88cc, eapol: 0x888e, ptp: 0x88f7, macsec: 0x88e5 } as const;
const listed = [ETHERTYPE.lldp, 0x8100, 0x8809, 0x1234, ETHERTYPE.ptp];

/** Up to four numbers as one word, the first in the lowest bits. */
const packed = (types: readonly number[]): bigint =>
  types.reduce((word, type, i) => word | (BigInt(type) << BigInt(16 * i)), 0n);

/** Nothing is switched on, all is, both families are off. */
let plain: Fixture;
let strict: Fixture;
let closed: Fixture;
let generation = 9000;

const nothing: Omit<Slot, 'generation'> = {};
const open = { lines: [{ verdict: 'ALLOW', origin: 4 }] } as const;
const shut = { lines: [{ verdict: 'DEFAULT_DENY', origin: 2 }] } as const;

function enforce(node: Fixture, slot: Omit<Slot, 'generation'>, ruleset = 0): void {
  node.setSlot(ruleset, 0, { ...slot, generation: ++generation });
  node.setControl(ruleset === 0 ? {} : { ruleset });
}

test.before(async () => {
  await prepare();
  plain = new Fixture();
  strict = new Fixture(
    {},
    {
      cfg_strict_ethertypes: 1,
      cfg_ethertypes0: packed(listed.slice(0, 4)),
      cfg_ethertypes3: packed(listed.slice(4)) << 48n,
      cfg_tunnel_port: TUNNEL_PORT,
      cfg_wireguard_port: WIREGUARD_PORT,
      cfg_extended_protocols: 1,
    },
  );
  closed = new Fixture({}, { cfg_no_ipv4: 1, cfg_no_ipv6: 1 });
});
test.beforeEach(() => {
  for (const node of [plain, strict, closed]) {
    node.reset();
    enforce(node, nothing);
    enforce(node, nothing, 1);
  }
});
test.after.always(() => {
  for (const node of [plain, strict, closed]) node?.close();
});

const syn = (port = 80): Layer => tcp({ src: 1000, dst: port, flags: 'S' });
const ndp = (v: Family, type: number, ttl = 255) =>
  frame(ethernet(), ip({ src: PEER[v], dst: NODE[v], ttl }), icmp({ protocol: 58, type, data: 16 }));

// ---- A family that is off ----

for (const v of FAMILIES) {
  const origin = v === 'v4' ? wire.ORIGIN_NO_IPV4 : wire.ORIGIN_NO_IPV6;

  test.serial(`family – ${v}: off, nothing new reaches the node, though no policy selects it`, (t) => {
    const refused = closed.run('host_ingress', inbound(v, syn()));
    expect(t, 'SYN', refused, 'drop POLICY_DENIED');
    t.is(refused.events[0]?.origin, origin);
    t.is((refused.events[0]?.verdict ?? 0) & 0xf, wire.VERDICT.DEFAULT_DENY);
    expect(
      t,
      'datagram',
      closed.run('host_ingress', inbound(v, udp({ src: 1, dst: 53 }))),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'segment',
      closed.run('host_ingress', inbound(v, tcp({ src: 1, dst: 80 }))),
      'drop POLICY_DENIED',
    );
    expect(t, 'early', closed.run('xdp_host', inbound(v, syn())), 'drop POLICY_DENIED');
    expect(t, 'while on', plain.run('host_ingress', inbound(v, syn())), 'pass PASS_NEW');
  });

  test.serial(`family – ${v}: off, a policy that allows it changes nothing`, (t) => {
    enforce(closed, { ingress: open });
    const refused = closed.run('host_ingress', inbound(v, syn()));
    expect(t, 'SYN', refused, 'drop POLICY_DENIED');
    t.is(refused.events[0]?.origin, origin);
  });

  test.serial(`family – ${v}: off, what the node asks is answered`, (t) => {
    expect(
      t,
      'SYN',
      closed.run('host_egress', outbound(v, tcp({ src: 2000, dst: 443, flags: 'S' }))),
      'pass PASS_NEW',
    );
    expect(
      t,
      'its answer',
      closed.run('host_ingress', inbound(v, tcp({ src: 443, dst: 2000, flags: 'SA' }))),
      'pass PASS_REPLY',
    );
  });

  test.serial(`family – ${v}: off, failsafe stands above it`, (t) => {
    const length = v === 'v4' ? 128 : 64;
    const ssh = () => inbound(v, syn(22));
    closed.setFailsafe({ inbound: true, port: wire.FAILSAFE_PORT_TCP + 22, group: 1, peer: PEER[v], length });
    expect(t, 'SYN', closed.run('host_ingress', ssh()), 'pass PASS_FAILSAFE');
    closed.run('host_egress', outbound(v, tcp({ src: 22, dst: 1000, flags: 'SA', seq: 500 })));
    const ack = () => inbound(v, tcp({ src: 1000, dst: 22, ack: 501 }));
    expect(t, 'proved', closed.run('host_ingress', ack()), 'pass PASS_ESTABLISHED');
    closed.clearFailsafe();
    expect(t, 'a record older than the setting', closed.run('host_ingress', ack()), 'drop FLOW_REVOKED');
  });

  test.serial(`family – ${v}: off, audit, mode off and an empty word let it pass`, (t) => {
    closed.setControl({ mode: 'AUDIT' });
    const audited = closed.run('host_ingress', inbound(v, syn()));
    expect(t, 'audit', audited, 'pass PASS_NEW');
    t.not((audited.events[0]?.flags ?? 0) & wire.EVENT_F_AUDIT, 0);
    closed.setControl({ mode: 'OFF' });
    expect(t, 'off', closed.run('host_ingress', inbound(v, syn(81))), 'pass PASS_UNENFORCED');
    closed.setControl({ state: 'EMPTY' });
    expect(t, 'empty', closed.run('host_ingress', inbound(v, syn(82))), 'pass PASS_UNENFORCED');
  });

  test.serial(`family – ${v}: off, a pod reaches other pods, not the node`, (t) => {
    const to = (dst: string) => frame(ethernet({ dst: MAC_PEER }), ip({ src: POD[v], dst }), syn());
    expect(t, 'elsewhere', closed.run('pod_egress', to(PEER[v])), 'pass PASS_NEW');
    expect(t, 'the node', closed.run('pod_egress', to(NODE[v])), 'drop POLICY_DENIED');
  });
}

test.serial('family – IPv6 off: neighbour discovery and the ICMPv6 table hold', (t) => {
  for (const type of [130, 133, 134, 135, 136, 143])
    expect(t, `type ${type}`, closed.run('host_ingress', ndp('v6', type)), 'pass PASS_BUILTIN');
  expect(t, 'too big', closed.run('host_ingress', ndp('v6', 2, 64)), 'pass PASS_BUILTIN');
  expect(t, 'redirect', closed.run('host_ingress', ndp('v6', 137)), 'drop FORBIDDEN_ICMP6');
  expect(t, 'from afar', closed.run('host_ingress', ndp('v6', 135, 64)), 'drop INVALID_NDP');
  expect(t, 'echo', closed.run('host_ingress', ndp('v6', 128, 64)), 'drop POLICY_DENIED');
});

// ---- Ethertypes ----

const other = (type: number, ...tags: readonly Layer[]) =>
  frame(ethernet({ type: tags.length > 0 ? 0x8100 : type }), ...tags, raw(new Uint8Array(46), { type }));

const ethertypes: readonly [what: string, bytes: Uint8Array<ArrayBuffer>, want: string][] = [
  ['ARP, listed or not', other(ETHERTYPE.arp), 'pass PASS_NON_IP'],
  ['one of the first word', other(ETHERTYPE.lldp), 'pass PASS_NON_IP'],
  ['the last place', other(ETHERTYPE.ptp), 'pass PASS_NON_IP'],
  ['a number without a name', other(0x1234), 'pass PASS_NON_IP'],
  ['another', other(ETHERTYPE.macsec), 'drop UNSUPPORTED_L2'],
  ['yet another', other(ETHERTYPE.eapol), 'drop UNSUPPORTED_L2'],
  ['a length instead', other(0x0026), 'pass PASS_NON_IP'],
];
for (const [what, bytes, want] of ethertypes)
  test.serial(`ethertypes – ${what}: ${want}`, (t) => {
    for (const program of ['host_ingress', 'host_egress'] as const)
      expect(t, program, strict.run(program, bytes), want);
    expect(t, 'XDP leaves it', strict.run('xdp_host', bytes), 'pass');
    expect(t, 'without a list', plain.run('host_ingress', bytes), 'pass PASS_NON_IP');
    strict.setControl({ mode: 'OFF' });
    t.is(strict.run('host_ingress', bytes).verdict, 'pass', 'switched off');
  });

test.serial('ethertypes – the event says which, and IP is judged as ever', (t) => {
  t.is(strict.run('host_ingress', other(ETHERTYPE.macsec)).events[0]?.dport, ETHERTYPE.macsec);
  expect(t, 'IPv4', strict.run('host_ingress', inbound('v4', syn())), 'pass PASS_NEW');
  expect(t, 'IPv6', strict.run('host_ingress', inbound('v6', syn())), 'pass PASS_NEW');
});

test.serial('ethertypes – a tagged frame is judged by what it carries, or left to its sub-device', (t) => {
  const tagged = other(ETHERTYPE.macsec, vlan(9));
  t.deepEqual(strict.run('host_ingress', tagged).drops, { UNSUPPORTED_L2: 1 });
  strict.setVlan(strict.wire, 9);
  t.is(strict.run('host_ingress', tagged).verdict, 'pass');
});

// ---- Our own outer packets ----

for (const v of FAMILIES) {
  const outer = (program: ProgramName, port: number, peer: string) =>
    program === 'host_ingress'
      ? inbound(v, udp({ src: 40_000, dst: port }), peer)
      : outbound(v, udp({ src: 40_000, dst: port }), peer);

  test.serial(
    `tunnels – ${v}: outer packets of known nodes pass whatever the policy, where we have a tunnel`,
    (t) => {
      for (const node of [plain, strict]) {
        node.setIdentity(PEER[v], 6, wire.IPCACHE_NODE);
        enforce(node, { ingress: shut, egress: shut });
      }
      for (const program of ['host_ingress', 'host_egress'] as const) {
        for (const port of [TUNNEL_PORT, WIREGUARD_PORT]) {
          expect(t, 'known', strict.run(program, outer(program, port, PEER[v])), 'pass PASS_BUILTIN');
          expect(t, 'unknown', strict.run(program, outer(program, port, OTHER[v])), 'drop POLICY_DENIED');
          expect(t, 'off', plain.run(program, outer(program, port, PEER[v])), 'drop POLICY_DENIED');
        }
        expect(t, 'another port', strict.run(program, outer(program, 8473, PEER[v])), 'drop POLICY_DENIED');
        expect(t, 'port 0', plain.run(program, outer(program, 0, PEER[v])), 'drop POLICY_DENIED');
      }
    },
  );
}

// ---- Protocols of pods ----

const protocols: readonly [protocol: number, plainly: string, extended: string][] = [
  [2, 'drop UNKNOWN_L4', 'pass PASS_NEW'],
  [112, 'drop UNKNOWN_L4', 'pass PASS_NEW'],
  [4, 'drop UNKNOWN_L4', 'drop UNKNOWN_L4'],
  [47, 'drop UNKNOWN_L4', 'drop UNKNOWN_L4'],
  [50, 'drop UNKNOWN_L4', 'drop UNKNOWN_L4'],
  [89, 'drop UNKNOWN_L4', 'drop UNKNOWN_L4'],
  [132, 'pass PASS_NEW', 'pass PASS_NEW'],
];
for (const v of FAMILIES)
  for (const [protocol, plainly, extended] of protocols)
    test.serial(`protocols – ${v}: ${protocol} of a pod: ${plainly}, extended ${extended}`, (t) => {
      const payload = raw(new Uint8Array(16).fill(protocol === 132 ? 1 : 0), { protocol });
      const from = frame(ethernet({ dst: MAC_PEER }), ip({ src: POD[v], dst: PEER[v] }), payload);
      const to = frame(ethernet(), ip({ src: PEER[v], dst: POD[v] }), payload);
      for (const rules of [nothing, { ingress: open, egress: open }]) {
        for (const node of [plain, strict]) {
          node.reset();
          enforce(node, rules, 1);
        }
        expect(t, 'from', plain.run('pod_egress', from), plainly);
        expect(
          t,
          'to',
          plain.run('pod_ingress', to, { cameBy: plain.wire }),
          plainly.replace(/PASS_NEW/, '').trim(),
        );
        expect(t, 'from, extended', strict.run('pod_egress', from), extended);
      }
    });

for (const v of FAMILIES)
  test.serial(`protocols – ${v}: the node drops none as unknown`, (t) => {
    const gre = raw(new Uint8Array(16), { protocol: 47 });
    expect(t, 'open', plain.run('host_ingress', inbound(v, gre)), 'pass PASS_NEW');
    enforce(plain, { ingress: shut });
    expect(t, 'default deny', plain.run('host_ingress', inbound(v, gre)), 'drop POLICY_DENIED');
  });
