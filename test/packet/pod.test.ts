/** Pods as subjects, alone and beside the node (HF-1.1 rows 3, 6, 7; HF-1.18; HF-2.3). */
import { execFileSync } from 'node:child_process';
import test from 'ava';
import { mapUpdate } from '#native';
import * as wire from '#wire/bpf';
import { ethernet, frame, icmp, ip, type Layer, MAC_PEER, raw, tcp, udp } from './builder.ts';
import { Fixture, IDENTITY, NODE, OTHER, PEER, POD, prepare, tcpPort, udpPort } from './fixture.ts';
import { expect, FAMILIES, type Family } from './kit.ts';

let node: Fixture;
let generation = 1000;

/** The pod takes TCP 80 from peer and node and may send anything but TCP 25; the node takes TCP 10250 of pods. */
function rules(o: { host?: 'ALLOW' | 'DEFAULT_DENY' } = {}): void {
  node.setSlot(1, 0, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 12 },
        { identity: IDENTITY.peer, port: tcpPort(80), verdict: 'ALLOW', origin: 11 },
        { identity: IDENTITY.host, port: tcpPort(80), verdict: 'ALLOW', origin: 11 },
        { identity: IDENTITY.peer, port: udpPort(53), verdict: 'ALLOW', origin: 11 },
      ],
    },
    egress: {
      lines: [
        { verdict: 'ALLOW', origin: 13 },
        { port: tcpPort(25), verdict: 'DENY', origin: 14 },
      ],
    },
  });
  node.setSlot(0, 0, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        { identity: IDENTITY.pod, port: tcpPort(10250), verdict: 'ALLOW', origin: 1 },
        { identity: IDENTITY.pod, port: tcpPort(25), verdict: 'ALLOW', origin: 1 },
      ],
    },
    egress: { lines: [{ verdict: o.host ?? 'ALLOW', origin: 4 }] },
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
  node.setControl({ ruleset: 1 });
});
test.after.always(() => node?.close());

const toPod = (v: Family, l4: Layer, from: string = PEER[v]) =>
  frame(ethernet(), ip({ src: from, dst: POD[v] }), l4);
const fromPod = (v: Family, l4: Layer, to: string = PEER[v], src: string = POD[v]) =>
  frame(ethernet({ dst: MAC_PEER }), ip({ src, dst: to }), l4);

for (const v of FAMILIES) {
  const wireIn = () => ({ cameBy: node.wire });

  test.serial(`pod – ${v}: what its policy allows in, and what not`, (t) => {
    expect(
      t,
      'allowed',
      node.run('pod_ingress', toPod(v, tcp({ src: 1, dst: 80, flags: 'S' })), wireIn()),
      'pass PASS_NEW',
    );
    expect(
      t,
      'refused',
      node.run('pod_ingress', toPod(v, tcp({ src: 1, dst: 81, flags: 'S' })), wireIn()),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'a stranger',
      node.run('pod_ingress', toPod(v, tcp({ src: 1, dst: 80, flags: 'S' }), OTHER[v]), wireIn()),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`pod – ${v}: what it sends, and the answers`, (t) => {
    expect(
      t,
      'SYN',
      node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 443, flags: 'S' }))),
      'pass PASS_NEW',
    );
    expect(
      t,
      'SYN-ACK',
      node.run('pod_ingress', toPod(v, tcp({ src: 443, dst: 2000, flags: 'SA' })), wireIn()),
      'pass PASS_REPLY',
    );
    const data = node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 443, data: 5 })));
    expect(t, 'data', data, 'pass PASS_ESTABLISHED');
    t.is(data.stats['JUDGED'], undefined);
    expect(
      t,
      'denied',
      node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 25, flags: 'S' }))),
      'drop POLICY_DENY',
    );
    t.deepEqual(
      node.flows().map(({ table }) => table),
      [`flow_tcp${v.slice(1)}`],
    );
  });

  test.serial(`pod – ${v}: an event names the endpoint, the direction and the rule`, (t) => {
    const [event] = node.run('pod_egress', fromPod(v, udp({ src: 2000, dst: 443 }))).events;
    t.is(event?.origin, 13);
    t.is(event?.src_endpoint, 7);
    t.is(event?.src_identity, IDENTITY.pod);
    t.is(event?.dst_identity, IDENTITY.peer);
    t.is((event?.flags ?? 0) & wire.EVENT_F_INGRESS, 0);
    t.is((event?.flags ?? 0) & wire.EVENT_F_IPV6, v === 'v6' ? wire.EVENT_F_IPV6 : 0);
  });

  test.serial(`pod – ${v}: with another pod's address it sends nothing`, (t) => {
    expect(
      t,
      'forged',
      node.run('pod_egress', fromPod(v, udp({ src: 1, dst: 2 }), PEER[v], OTHER[v])),
      'drop INVALID_SOURCE_IP',
    );
    expect(
      t,
      "the node's",
      node.run('pod_egress', fromPod(v, udp({ src: 1, dst: 2 }), PEER[v], NODE[v])),
      'drop INVALID_SOURCE_IP',
    );
    t.is(node.flows().length, 0);
  });

  test.serial(`pod – ${v}: to its node both must allow (row 7)`, (t) => {
    const both = node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 10250, flags: 'S' }), NODE[v]));
    expect(t, 'both allow', both, 'pass PASS_NEW');
    t.is(both.stats['FLOW_NEW'], 2);
    t.deepEqual(new Set(both.events.map(({ origin }) => origin)), new Set([1, 13]));
    expect(
      t,
      'the node refuses',
      node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 10251, flags: 'S' }), NODE[v])),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'the pod refuses',
      node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 25, flags: 'S' }), NODE[v])),
      'drop POLICY_DENY',
    );
    expect(
      t,
      'answer',
      node.run('pod_ingress', toPod(v, tcp({ src: 10250, dst: 2000, flags: 'SA' }), NODE[v])),
      'pass PASS_REPLY',
    );
    const data = node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 10250, data: 3 }), NODE[v]));
    expect(t, 'data', data, 'pass PASS_ESTABLISHED');
    t.is(data.stats['JUDGED'], undefined);
    node.setSlot(0, 0, {
      generation: ++generation,
      ingress: { lines: [{ verdict: 'DEFAULT_DENY', origin: 2 }] },
    });
    expect(
      t,
      'the node has changed its mind',
      node.run('pod_egress', fromPod(v, tcp({ src: 2000, dst: 10250 }), NODE[v])),
      'drop FLOW_REVOKED',
    );
  });

  test.serial(`pod – ${v}: from its node both must allow (row 6)`, (t) => {
    expect(
      t,
      'both allow',
      node.run('pod_ingress', toPod(v, tcp({ src: 3000, dst: 80, flags: 'S' }), NODE[v])),
      'pass PASS_NEW',
    );
    expect(
      t,
      'answer',
      node.run('pod_egress', fromPod(v, tcp({ src: 80, dst: 3000, flags: 'SA' }), NODE[v])),
      'pass PASS_REPLY',
    );
    expect(
      t,
      'the pod refuses',
      node.run('pod_ingress', toPod(v, tcp({ src: 3000, dst: 81, flags: 'S' }), NODE[v])),
      'drop POLICY_DENIED',
    );
    node.reset();
    rules({ host: 'DEFAULT_DENY' });
    expect(
      t,
      'the node refuses',
      node.run('pod_ingress', toPod(v, tcp({ src: 3000, dst: 80, flags: 'S' }), NODE[v])),
      'drop POLICY_DENIED',
    );
    expect(
      t,
      'the wire is not the node',
      node.run('pod_ingress', toPod(v, tcp({ src: 3000, dst: 80, flags: 'S' })), wireIn()),
      'pass PASS_NEW',
    );
  });

  test.serial(`pod – ${v}: a revoked flow stops both ways`, (t) => {
    node.run('pod_egress', fromPod(v, udp({ src: 2000, dst: 443 })));
    node.run('pod_ingress', toPod(v, udp({ src: 443, dst: 2000 })), wireIn());
    node.setSlot(1, 0, {
      generation: ++generation,
      egress: { lines: [{ verdict: 'DEFAULT_DENY', origin: 15 }] },
    });
    const reply = node.run('pod_ingress', toPod(v, udp({ src: 443, dst: 2000 })), wireIn());
    expect(t, 'reply', reply, 'drop FLOW_REVOKED');
    t.is(reply.events[0]?.origin, 15);
    expect(
      t,
      'forward',
      node.run('pod_egress', fromPod(v, udp({ src: 2000, dst: 443 }))),
      'drop FLOW_REVOKED',
    );
  });

  test.serial(`pod – ${v}: audit of the endpoint reports and passes`, (t) => {
    const endpoints = node.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
    const at = wire.ENDPOINT_SIZE + wire.ENDPOINT.flags;
    endpoints.setUint32(at, wire.ENDPOINT_AUDIT, true);
    const outcome = node.run('pod_ingress', toPod(v, tcp({ src: 1, dst: 81, flags: 'S' })), wireIn());
    expect(t, 'audited', outcome, 'pass PASS_NEW');
    t.not((outcome.events[0]?.flags ?? 0) & wire.EVENT_F_AUDIT, 0);
    const data = () => node.run('pod_ingress', toPod(v, tcp({ src: 1, dst: 81 })), wireIn());
    t.is(data().verdict, 'pass');
    endpoints.setUint32(at, 0, true);
    t.is(data().verdict, 'drop', 'once audit ends, so does the flow');
  });

  test.serial(`pod – ${v}: a hook without its endpoint passes, counted`, (t) => {
    const devices = node.view('devices', 65536 * wire.DEVICE_SIZE);
    const at = node.pod * wire.DEVICE_SIZE + wire.DEVICE.endpoint;
    devices.setUint32(at, 0, true);
    const outcome = node.run('pod_ingress', toPod(v, tcp({ src: 1, dst: 81, flags: 'S' })), wireIn());
    devices.setUint32(at, 1, true);
    expect(t, 'unknown', outcome, 'pass PASS_UNENFORCED');
  });
}

for (const v of FAMILIES) {
  test.serial(`pod – ${v}: while nothing is compiled for it, it is open`, (t) => {
    node.setControl({ ruleset: 1, state: 'EMPTY' });
    const refused = toPod(v, tcp({ src: 1, dst: 81, flags: 'S' }));
    expect(t, 'empty', node.run('pod_ingress', refused, { cameBy: node.wire }), 'pass PASS_UNENFORCED');
  });

  test.serial(`pod – ${v}: its DHCP is no matter of the node's policy`, (t) => {
    const [ports, from, to] =
      v === 'v4'
        ? ([{ src: 68, dst: 67 }, '0.0.0.0', '255.255.255.255'] as const)
        : ([{ src: 546, dst: 547 }, 'fe80::2', 'ff02::1:2'] as const);
    expect(t, 'a question', node.run('pod_egress', fromPod(v, udp(ports), to, from)), 'pass PASS_NEW');
  });

  test.serial(`pod – ${v}: a device of a high number is known like any other`, (t) => {
    const device = 70_000 + FAMILIES.indexOf(v);
    execFileSync('ip', ['link', 'add', `high${v}`, 'index', `${device}`, 'type', 'veth']);
    const refused = toPod(v, tcp({ src: 1, dst: 81, flags: 'S' }));
    const arrive = () => node.run('pod_ingress', refused, { cameBy: node.wire, device });
    expect(t, 'not yet', arrive(), 'pass PASS_UNENFORCED');
    const value = new DataView(new ArrayBuffer(wire.DEVICE_SIZE));
    wire.writeDevice(value, 0, { kind: wire.DEVICE_KIND.POD, slot: 2, flags: 0, endpoint: 1 });
    mapUpdate(node.map('devices_high'), Uint32Array.of(device), value);
    expect(t, 'known', arrive(), 'drop POLICY_DENIED');
  });
}

test.serial('pod – neighbour discovery and MLD pass, redirects do not, whatever the policy', (t) => {
  const send = (type: number, ttl: number, src = 'fe80::2') =>
    node.run(
      'pod_egress',
      frame(ethernet(), ip({ src, dst: 'ff02::1', ttl }), icmp({ protocol: 58, type, data: 16 })),
    );
  for (const type of [133, 134, 135, 136]) expect(t, `type ${type}`, send(type, 255), 'pass PASS_BUILTIN');
  expect(t, 'duplicate address detection', send(135, 255, '::'), 'pass PASS_BUILTIN');
  for (const type of [133, 136, 137])
    expect(t, `type ${type}, hop limit 64`, send(type, 64), 'drop INVALID_NDP');
  for (const type of [130, 131, 132, 143]) expect(t, `type ${type}`, send(type, 1), 'pass PASS_BUILTIN');
  expect(t, 'redirect', send(137, 255), 'drop FORBIDDEN_ICMP6');
});

test.serial('pod – ARP and other ethertypes pass', (t) => {
  expect(
    t,
    'ARP',
    node.run('pod_egress', frame(ethernet({ type: 0x0806 }), raw(new Uint8Array(28)))),
    'pass PASS_NON_IP',
  );
});

test.serial('pod – further addresses of an endpoint that routes for others', (t) => {
  const endpoints = node.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
  const at = wire.ENDPOINT_SIZE + wire.ENDPOINT.flags;
  endpoints.setUint32(at, wire.ENDPOINT_PREFIXES, true);
  node.setEndpointPrefix(1, '10.1.0.0', 96 + 16);
  node.setEndpointPrefix(1, '2001:db8:7::', 48);
  for (const [v, src, stranger] of [
    ['v4', '10.1.2.3', '10.2.0.1'],
    ['v6', '2001:db8:7::5', '2001:db8:8::5'],
  ] as const) {
    expect(
      t,
      src,
      node.run('pod_egress', fromPod(v, udp({ src: 1, dst: 2 }), PEER[v], src)),
      'pass PASS_NEW',
    );
    expect(
      t,
      stranger,
      node.run('pod_egress', fromPod(v, udp({ src: 1, dst: 2 }), PEER[v], stranger)),
      'drop INVALID_SOURCE_IP',
    );
  }
  endpoints.setUint32(at, 0, true);
});
