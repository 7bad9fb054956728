/** What single faults of the sources showed that the other tables miss: pods, and frames before an skb. */
import test from 'ava';
import * as wire from '#wire/bpf';
import { address, ethernet, frame, icmp, ip, ipv4, type Layer, MAC_PEER, raw, tcp, udp } from './builder.ts';
import { Fixture, IDENTITY, NODE, OTHER, PEER, POD, prepare, tcpPort, udpPort } from './fixture.ts';
import { expect, FAMILIES, type Family, inbound } from './kit.ts';

let node: Fixture;
let generation = 30_000;

/** The pod takes TCP 80 and UDP 53 of the peer, and UDP 54 of the node; it may speak to the world and the peer. */
function rules(o: { udp?: boolean } = {}): void {
  const peerPorts = [tcpPort(80), ...(o.udp === false ? [] : [udpPort(53)])];
  const world = [IDENTITY.world4, IDENTITY.world6, IDENTITY.peer];
  node.setSlot(1, 0, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 12 },
        ...peerPorts.map(
          (port) => ({ identity: IDENTITY.peer, port, verdict: 'ALLOW', origin: 11 }) as const,
        ),
        { identity: IDENTITY.host, port: udpPort(54), verdict: 'ALLOW', origin: 11 },
      ],
    },
    egress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 14 },
        ...world.map((identity) => ({ identity, verdict: 'ALLOW', origin: 13 }) as const),
      ],
    },
  });
  node.setSlot(0, 0, {
    generation: ++generation,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        { identity: IDENTITY.peer, port: tcpPort(80), verdict: 'ALLOW', origin: 1 },
        { identity: IDENTITY.pod, port: udpPort(5353), verdict: 'ALLOW', origin: 3 },
      ],
    },
    egress: { lines: [{ verdict: 'ALLOW', origin: 4 }] },
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
const fromPod = (v: Family, l4: Layer, to: string = PEER[v]) =>
  frame(ethernet({ dst: MAC_PEER }), ip({ src: POD[v], dst: to }), l4);

/** Gives the pod's record another address, as that of a pod with the same rule set. */
function setPodAddress(v: Family, text: string): void {
  const view = node.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
  const field = v === 'v4' ? wire.ENDPOINT.addr4 : wire.ENDPOINT.addr6;
  new Uint8Array(view.buffer).set(address(text).bytes, wire.ENDPOINT_SIZE + field);
}

for (const v of FAMILIES) {
  const wireIn = () => ({ cameBy: node.wire });
  const question = () => node.run('pod_ingress', toPod(v, udp({ src: 9, dst: 53 })), wireIn());
  const answer = () => node.run('pod_egress', fromPod(v, udp({ src: 53, dst: 9 })));

  test.serial(`corners – ${v}: a live flow of another pod lets nobody speak for it`, (t) => {
    question();
    answer();
    question();
    expect(t, 'its own', answer(), 'pass PASS_REPLY');
    setPodAddress(v, OTHER[v]);
    const forged = answer();
    setPodAddress(v, POD[v]);
    expect(t, "another's", forged, 'drop INVALID_SOURCE_IP');
  });

  test.serial(`corners – ${v}: what the second pod refuses, it refuses each time`, (t) => {
    const bytes = fromPod(v, udp({ src: 2000, dst: 99 }));
    expect(t, 'sent', node.run('pod_egress', bytes), 'pass PASS_NEW');
    // The same hook stands for the receiver: it finds the sender's record with a cell of its own empty.
    for (const what of ['first', 'second'])
      expect(t, what, node.run('pod_ingress', bytes, wireIn()), 'drop POLICY_DENIED');
  });

  test.serial(`corners – ${v}: a group is heard by the node, but known by its address`, (t) => {
    const group = v === 'v4' ? '224.0.0.251' : 'ff02::fb';
    const outcome = node.run('pod_egress', fromPod(v, udp({ src: 5353, dst: 5353 }), group));
    expect(t, 'both allow', outcome, 'pass PASS_NEW');
    t.deepEqual(new Set(outcome.events.map(({ origin }) => origin)), new Set([3, 13]));
    t.is(outcome.events[0]?.dst_identity, v === 'v4' ? IDENTITY.world4 : IDENTITY.world6);
    const other = node.run('pod_egress', fromPod(v, udp({ src: 5353, dst: 5354 }), group));
    expect(t, 'the node does not', other, 'drop POLICY_DENIED');
  });

  test.serial(`corners – ${v}: a forwarded packet with the node's address is not the node's`, (t) => {
    const bytes = toPod(v, udp({ src: 9, dst: 54 }), NODE[v]);
    const outcome = node.run('pod_ingress', bytes, wireIn());
    expect(t, 'forged', outcome, 'drop POLICY_DENIED');
    t.is(outcome.events[0]?.src_identity, v === 'v4' ? IDENTITY.world4 : IDENTITY.world6);
    expect(t, 'its own', node.run('pod_ingress', bytes), 'pass PASS_NEW');
  });

  test.serial(`corners – ${v}: an error of any kind is related while its flow is admitted`, (t) => {
    node.run('pod_egress', fromPod(v, udp({ src: 2000, dst: 443 })));
    const [protocol, types] = v === 'v4' ? ([1, [3, 4, 5, 11, 12]] as const) : ([58, [1, 2, 3, 4]] as const);
    const error = (type: number, inner: readonly Layer[]) =>
      node.run('pod_ingress', toPod(v, frameLayers(icmp({ protocol, type }), ...inner), OTHER[v]), wireIn());
    const inner = [ip({ src: POD[v], dst: PEER[v] }), udp({ src: 2000, dst: 443 })];
    for (const type of types) expect(t, `type ${type}`, error(type, inner), 'pass PASS_RELATED');
    const foreign = [ip({ src: POD[v], dst: PEER[v] }), udp({ src: 2001, dst: 443 })];
    expect(t, 'of no flow', error(types[0], foreign), 'drop POLICY_DENIED');
    if (v === 'v6') return; // of the node's own all errors pass
    const toNode = frame(
      ethernet(),
      ip({ src: OTHER[v], dst: NODE[v] }),
      icmp({ protocol, type: 3, code: 1 }),
      ...inner,
    );
    expect(t, "the pod's, to the node", node.run('host_ingress', toNode), 'drop POLICY_DENIED');
  });

  test.serial(`corners – ${v}: an error about a revoked flow is not related`, (t) => {
    for (const run of [question, answer, question, answer]) run();
    const inner = [ip({ src: POD[v], dst: PEER[v] }), udp({ src: 53, dst: 9 })];
    const [protocol, type] = v === 'v4' ? ([1, 3] as const) : ([58, 1] as const);
    const error = () =>
      node.run('pod_ingress', toPod(v, frameLayers(icmp({ protocol, type }), ...inner), OTHER[v]), wireIn());
    expect(t, 'admitted', error(), 'pass PASS_RELATED');
    rules({ udp: false });
    expect(t, 'revoked', question(), 'drop FLOW_REVOKED');
    expect(t, 'its error', error(), 'drop POLICY_DENIED');
    rules();
    expect(t, 'back with its rule', question(), 'pass PASS_ESTABLISHED');
    expect(t, 'its error again', error(), 'pass PASS_RELATED');
  });

  test.serial(
    `corners – ${v}: what the second pod revokes stays revoked, though the first lets it pass`,
    (t) => {
      const bytes = fromPod(v, udp({ src: 2000, dst: 53 }));
      // The same hook stands for the receiver, as above.
      const sent = () => node.run('pod_egress', bytes);
      const received = () => node.run('pod_ingress', bytes, wireIn());
      const receive = (verdict: 'ALLOW' | 'DEFAULT_DENY') =>
        node.setSlot(1, 0, {
          generation: ++generation,
          ingress: { lines: [{ verdict, origin: 12 }] },
          egress: { lines: [{ verdict: 'ALLOW', origin: 14 }] },
        });
      const flags = () => (node.flows()[0]?.flow.flags ?? 0) & wire.FLOW_REVOKED;
      receive('ALLOW');
      sent();
      expect(t, 'allowed', received(), 'pass PASS_ESTABLISHED');
      receive('DEFAULT_DENY');
      for (const what of ['first', 'second', 'third']) {
        expect(t, `${what}, sent`, sent(), 'pass PASS_ESTABLISHED');
        expect(t, `${what}, received`, received(), 'drop FLOW_REVOKED');
        t.not(flags(), 0);
      }
      receive('ALLOW');
      expect(t, 'sent again', sent(), 'pass PASS_ESTABLISHED');
      expect(t, 'received again', received(), 'pass PASS_ESTABLISHED');
      t.is(flags(), 0);
    },
  );

  test.serial(
    `corners – ${v}: what the first pod revoked the audit of the second sees for the first time`,
    (t) => {
      const bytes = fromPod(v, udp({ src: 2000, dst: 53 }));
      const speak = (verdict: 'ALLOW' | 'DEFAULT_DENY') => {
        const lines = [{ verdict, origin: 14 }] as const;
        node.setSlot(1, 0, { generation: ++generation, egress: { lines }, ingress: { lines } });
        return node.run('pod_egress', bytes);
      };
      expect(t, 'sent', speak('ALLOW'), 'pass PASS_NEW');
      expect(t, 'revoked', speak('DEFAULT_DENY'), 'drop FLOW_REVOKED');
      const endpoints = node.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
      const flags = wire.ENDPOINT_SIZE + wire.ENDPOINT.flags;
      endpoints.setUint32(flags, wire.ENDPOINT_AUDIT, true);
      const late = node.run('pod_ingress', bytes, wireIn());
      endpoints.setUint32(flags, 0, true);
      expect(t, 'received late', late, 'pass PASS_ESTABLISHED');
      t.deepEqual(late.audited, { POLICY_DENIED: 1 });
    },
  );

  test.serial(`corners – ${v}: of two that have something to say the refusal is told last`, (t) => {
    const speak = (pod: 'ALLOW' | 'DEFAULT_DENY', host: 'ALLOW' | 'DEFAULT_DENY') => {
      node.setSlot(1, 0, { generation: ++generation, egress: { lines: [{ verdict: pod, origin: 14 }] } });
      node.setSlot(0, 0, { generation: ++generation, ingress: { lines: [{ verdict: host, origin: 2 }] } });
      return node.run('pod_egress', fromPod(v, udp({ src: 2000, dst: 53 }), NODE[v]));
    };
    expect(t, 'both allow', speak('ALLOW', 'ALLOW'), 'pass PASS_NEW');
    const endpoints = node.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
    const flags = wire.ENDPOINT_SIZE + wire.ENDPOINT.flags;
    endpoints.setUint32(flags, wire.ENDPOINT_AUDIT, true);
    const { verdict, events } = speak('DEFAULT_DENY', 'DEFAULT_DENY');
    endpoints.setUint32(flags, 0, true);
    t.is(verdict, 'drop');
    t.deepEqual(
      events.map(({ origin, version }) => [origin, version >> 4]),
      [
        [14, wire.EVENT_TYPE.VERDICT],
        [2, wire.EVENT_TYPE.DROP],
      ],
    );
  });

  test.serial(`corners – ${v}: XDP counts no rule that allows, and leaves source verification to tc`, (t) => {
    const before = node.ruleCount(1).packets;
    const allowed = inbound(v, tcp({ src: 1, dst: 80, flags: 'S' }));
    t.is(node.run('xdp_host', allowed).verdict, 'pass');
    t.is(node.ruleCount(1).packets, before);
    const forged = inbound(v, tcp({ src: 1, dst: 82, flags: 'S' }), POD[v]);
    t.is(node.run('xdp_host', forged).verdict, 'pass');
    expect(t, 'in tc', node.run('host_ingress', forged), 'drop INVALID_SOURCE_IP');
  });
}

test.serial('corners – XDP leaves a frame to tc of which it sees a part', (t) => {
  const broken = (size: number) =>
    frame(
      ethernet(),
      ipv4({ src: PEER.v4, dst: NODE.v4, ihl: 4 }),
      udp({ src: 1, dst: 2 }),
      raw(new Uint8Array(size)),
    );
  expect(t, 'whole', node.run('xdp_host', broken(64)), 'drop INVALID');
  t.is(node.run('xdp_host', broken(8000)).verdict, 'pass');
});

/** Several layers as one, with the number of the first. */
function frameLayers(first: Layer, ...rest: readonly Layer[]): Layer {
  return {
    ...first,
    encode: (payload) => first.encode(raw(frame(...rest)).encode(payload, undefined), undefined),
  };
}
