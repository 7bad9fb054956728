/** Fragments (HF-2.7) of more than one datagram, behind more than one header, and of what has no ports. */
import test from 'ava';
import {
  destinationOptions,
  ethernet,
  fragment6,
  frame,
  ipv4,
  ipv6,
  type Layer,
  raw,
  udp,
} from './builder.ts';
import { Fixture, IDENTITY, NODE, PEER, POD, prepare, udpPort } from './fixture.ts';
import { expect, FAMILIES } from './kit.ts';

/** Another address of the node's. */
const SECOND = { v4: '192.0.2.2', v6: '2001:db8::2' } as const;
const UDP = 17;
const GRE = 47;
const DESTINATION_OPTIONS = 60;
let node: Fixture;
let generation = 60_000;

test.before(async () => {
  await prepare();
  node = new Fixture();
  for (const text of Object.values(SECOND)) {
    node.setLocal(text);
    node.setIdentity(text, IDENTITY.host);
  }
});
test.beforeEach(() => {
  node.reset();
  const lines = [
    { verdict: 'DEFAULT_DENY', origin: 2 } as const,
    { identity: IDENTITY.peer, port: udpPort(53), verdict: 'ALLOW', origin: 1 } as const,
  ];
  for (const ruleset of [0, 1]) node.setSlot(ruleset, 0, { generation: ++generation, ingress: { lines } });
  node.setControl({});
  node.setControl({ ruleset: 1 });
});
test.after.always(() => node?.close());

const data = raw(new Uint8Array(64));

for (const v of FAMILIES) {
  const piece = (dst: string, o: { offset?: number; more?: boolean; next?: number }, ...rest: Layer[]) => {
    const { offset = 0, more = false, next = UDP } = o;
    const header =
      v === 'v4'
        ? [ipv4({ src: PEER.v4, dst, id: 1, offset, more, protocol: next })]
        : [ipv6({ src: PEER.v6, dst }), fragment6({ id: 1, offset, more, next })];
    return frame(ethernet(), ...header, ...rest);
  };
  const first = (dst: string, port: number) =>
    node.run('host_ingress', piece(dst, { more: true }, udp({ src: 9, dst: port, data: 64 })));
  const rest = (dst: string) => node.run('host_ingress', piece(dst, { offset: 72 }, data));

  test.serial(`fragments – ${v}: one number to two addresses is two datagrams`, (t) => {
    expect(t, 'allowed', first(NODE[v], 53), 'pass PASS_NEW');
    expect(t, 'refused', first(SECOND[v], 54), 'drop POLICY_DENIED');
    expect(t, 'the rest of the former', rest(NODE[v]), 'pass PASS_ESTABLISHED');
    expect(t, 'the rest of the latter', rest(SECOND[v]), 'drop POLICY_DENIED');
  });

  test.serial(`fragments – ${v}: to a pod, of a protocol that it has no word for`, (t) => {
    const toPod = (next: number) =>
      node.run('pod_ingress', piece(POD[v], { offset: 72, next }, data), { cameBy: node.wire });
    expect(t, 'unknown', toPod(GRE), 'drop UNKNOWN_L4');
    expect(t, 'known', toPod(UDP), 'drop FRAG_NOT_FOUND');
    // The number of a header that the first one has hides the protocol.
    if (v === 'v6') expect(t, 'hidden', toPod(DESTINATION_OPTIONS), 'drop FRAG_NOT_FOUND');
  });

  if (v === 'v4') continue;
  test.serial('fragments – v6: the protocol is that behind the further headers of the first', (t) => {
    const next = DESTINATION_OPTIONS;
    const head = piece(
      NODE.v6,
      { more: true, next },
      destinationOptions(),
      udp({ src: 9, dst: 53, data: 56 }),
    );
    expect(t, 'first', node.run('host_ingress', head), 'pass PASS_NEW');
    const tail = piece(NODE.v6, { offset: 72, next }, data);
    expect(t, 'later', node.run('host_ingress', tail), 'pass PASS_ESTABLISHED');
  });
}
