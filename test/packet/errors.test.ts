/** ICMP errors (HF-2.4, 2.5): related by the packet that they quote, wherever its ports stand. */
import { createSocket } from 'node:dgram';
import net from 'node:net';
import test from 'ava';
import * as wire from '#wire/bpf';
import { ethernet, frame, icmp, ip, ipv4, type Layer, MAC_PEER, tcp, udp } from './builder.ts';
import { Fixture, IDENTITY, NODE, OTHER, PEER, POD, prepare, udpPort } from './fixture.ts';
import { echo, expect, FAMILIES, type Family } from './kit.ts';

let node: Fixture;
let generation = 50_000;

const ASKED = [udpPort(53), wire.PORT_CLASS_ICMP + 8, wire.PORT_CLASS_ICMP + 13, wire.PORT_CLASS_ICMP6 + 128];

/** Pod and peer may ask each other for UDP 53, echo and time; of errors no rule speaks. The node is shut. */
function rules(): void {
  const lines = [
    { verdict: 'DEFAULT_DENY', origin: 12 } as const,
    ...ASKED.map((port) => ({ identity: IDENTITY.peer, port, verdict: 'ALLOW', origin: 11 }) as const),
  ];
  node.setSlot(1, 0, { generation: ++generation, ingress: { lines }, egress: { lines } });
  const shut = { lines: [{ verdict: 'DEFAULT_DENY', origin: 2 }] } as const;
  node.setSlot(0, 0, { generation: ++generation, ingress: shut, egress: shut });
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

const toPod = (v: Family, ...rest: readonly Layer[]) =>
  frame(ethernet(), ip({ src: PEER[v], dst: POD[v] }), ...rest);
const fromPod = (v: Family, ...rest: readonly Layer[]) =>
  frame(ethernet({ dst: MAC_PEER }), ip({ src: POD[v], dst: PEER[v] }), ...rest);
const unreachable = (v: Family): Layer =>
  v === 'v4' ? icmp({ protocol: 1, type: 3, code: 1 }) : icmp({ protocol: 58, type: 1 });

for (const v of FAMILIES) {
  const wireIn = () => ({ cameBy: node.wire });
  /** A router tells the pod that what it sent, or somebody says it sent, did not arrive. */
  const told = (...quoted: readonly Layer[]) => {
    const bytes = frame(ethernet(), ip({ src: OTHER[v], dst: POD[v] }), unreachable(v), ...quoted);
    return node.run('pod_ingress', bytes, wireIn());
  };
  const sent = () => ip({ src: POD[v], dst: PEER[v] });

  test.serial(`errors – ${v}: an echo is known by its identifier, whoever asked`, (t) => {
    node.run('pod_egress', fromPod(v, echo(v, 'request', 5)));
    expect(t, 'its request', told(sent(), echo(v, 'request', 5)), 'pass PASS_RELATED');
    node.run('pod_ingress', toPod(v, echo(v, 'request', 6)), wireIn());
    node.run('pod_egress', fromPod(v, echo(v, 'reply', 6)));
    expect(t, 'its reply', told(sent(), echo(v, 'reply', 6)), 'pass PASS_RELATED');
    for (const kind of ['request', 'reply'] as const)
      expect(t, `no ${kind} of its`, told(sent(), echo(v, kind, 7)), 'drop POLICY_DENIED');
    expect(t, 'a request for a reply', told(sent(), echo(v, 'request', 6)), 'drop POLICY_DENIED');
  });

  test.serial(`errors – ${v}: what the pod tells of a packet that it received`, (t) => {
    const question = [ip({ src: PEER[v], dst: POD[v] }), udp({ src: 9, dst: 53 })];
    node.run('pod_ingress', toPod(v, udp({ src: 9, dst: 53 })), wireIn());
    const tell = (...quoted: readonly Layer[]) =>
      node.run('pod_egress', fromPod(v, unreachable(v), ...quoted));
    expect(t, 'received', tell(...question), 'pass PASS_RELATED');
    expect(
      t,
      'of another connection',
      tell(ip({ src: PEER[v], dst: POD[v] }), udp({ src: 10, dst: 53 })),
      'drop POLICY_DENIED',
    );
  });

  test.serial(`errors – ${v}: a connection that only its socket knows is the node's`, async (t) => {
    const asker = createSocket(v === 'v4' ? 'udp4' : 'udp6');
    t.teardown(() => void asker.close());
    await new Promise<void>((resolve) => asker.bind(0, NODE[v], resolve));
    await new Promise<void>((resolve) => asker.connect(443, PEER[v], resolve));
    const listener = net.createServer().listen(8080, NODE[v]);
    t.teardown(() => void listener.close());
    await new Promise((resolve) => listener.once('listening', resolve));
    const client = net.connect({ host: NODE[v], port: 8080, localAddress: NODE[v] });
    t.teardown(() => void client.destroy());
    await new Promise((resolve) => client.once('connect', resolve));
    const toNode = (...quoted: readonly Layer[]) => {
      const bytes = frame(ethernet(), ip({ src: OTHER[v], dst: NODE[v] }), unreachable(v), ...quoted);
      return node.run('host_ingress', bytes);
    };
    const asked = [ip({ src: NODE[v], dst: PEER[v] }), udp({ src: asker.address().port, dst: 443 })];
    const begun = [ip({ src: NODE[v], dst: NODE[v] }), tcp({ src: client.localPort as number, dst: 8080 })];
    // Of the node all errors of IPv6 pass (HF-2.3).
    const want = v === 'v4' ? 'pass PASS_RELATED' : 'pass PASS_BUILTIN';
    expect(t, 'a datagram', toNode(...asked), want);
    expect(t, 'a segment', toNode(...begun), want);
    expect(t, "the pod is not the node's socket", told(...asked), 'drop POLICY_DENIED');
  });
}

test.serial('errors – the quoted header may have options', (t) => {
  node.run('pod_egress', fromPod('v4', udp({ src: 2000, dst: 53 })));
  const quoted = ipv4({ src: POD.v4, dst: PEER.v4, options: [1, 1, 1, 1] });
  const bytes = frame(
    ethernet(),
    ip({ src: OTHER.v4, dst: POD.v4 }),
    unreachable('v4'),
    quoted,
    udp({ src: 2000, dst: 53 }),
  );
  expect(t, 'related', node.run('pod_ingress', bytes, { cameBy: node.wire }), 'pass PASS_RELATED');
});

test.serial('errors – a time stamp is a question, too', (t) => {
  const stamp = (type: 13 | 14) => icmp({ protocol: 1, type, id: 8, data: 12 });
  node.run('pod_ingress', toPod('v4', stamp(13)), { cameBy: node.wire });
  node.run('pod_egress', fromPod('v4', stamp(14)));
  const bytes = frame(
    ethernet(),
    ip({ src: OTHER.v4, dst: POD.v4 }),
    unreachable('v4'),
    ip({ src: POD.v4, dst: PEER.v4 }),
    stamp(14),
  );
  expect(t, 'the reply', node.run('pod_ingress', bytes, { cameBy: node.wire }), 'pass PASS_RELATED');
});
