import test from 'ava';
import { describe, type Names } from '#flow';
import { DROP_REASON, EVENT_SIZE, EVENT_TYPE, type Event, VERDICT, writeEvent } from '#wire/bpf';

const names: Names = {
  labels: (identity) => (identity === 2 ? ['reserved:world'] : [`k8s:id=${identity}`]),
  origin: (origin) => ({ rules: [{ id: `rule-${origin}`, file: 'a.yaml', line: 7 }] }),
  device: (ifindex) => `eth${ifindex}`,
  wallOffsetNs: 1_700_000_000_000_000_000n,
};

const base: Event = {
  version: (EVENT_TYPE.VERDICT << 4) | 1,
  reason: DROP_REASON.NONE,
  cpu: 0,
  seq: 1,
  length: 60,
  time_ns: 1_000_000_001n,
  src_identity: 2,
  dst_identity: 1,
  origin: 5,
  generation: 41,
  flow: 0x1f,
  ifindex: 3,
  src_endpoint: 0,
  dst_endpoint: 0,
  proxy_port: 0,
  suppressed: 0,
  sport: 51514,
  dport: 22,
  proto: 6,
  tcp_flags: 0x02,
  verdict: (2 << 4) | VERDICT.ALLOW,
  flags: 0x01,
  saddr4: 0xc0000205,
  daddr4: 0xc000020a,
  saddr6: undefined,
  daddr6: undefined,
};

function record(change: Partial<Event>): DataView {
  const view = new DataView(new ArrayBuffer(EVENT_SIZE));
  writeEvent(view, 0, { ...base, ...change });
  return view;
}

test('describe – an allowed connection, every field of it', (t) => {
  t.deepEqual(describe(record({}), 9, names), {
    seq: 9,
    time: '2023-11-14T22:13:21.000000001Z',
    kind: 'verdict',
    verdict: 'ALLOWED',
    direction: 'ingress',
    device: 'eth3',
    source: { ip: '192.0.2.5', port: 51514, identity: 2, labels: ['reserved:world'] },
    destination: { ip: '192.0.2.10', port: 22, identity: 1, labels: ['k8s:id=1'] },
    proto: 'TCP',
    tcpFlags: 'SYN',
    match: 'L3-L4',
    rules: [{ id: 'rule-5', file: 'a.yaml', line: 7 }],
    generation: 41,
    flow: '1f',
    length: 60,
  });
});

const words: readonly [what: string, change: Partial<Event>, want: Record<string, unknown>][] = [
  [
    'no rule allows it',
    { reason: DROP_REASON.POLICY_DENIED },
    { verdict: 'DENIED', reason: 'POLICY_DENIED' },
  ],
  ['a deny rule', { reason: DROP_REASON.POLICY_DENY }, { verdict: 'DENIED', reason: 'POLICY_DENY' }],
  ['a revoked flow', { reason: DROP_REASON.FLOW_REVOKED }, { verdict: 'REVOKED', reason: 'FLOW_REVOKED' }],
  ['a malformed packet', { reason: DROP_REASON.INVALID }, { verdict: 'DROPPED', reason: 'INVALID' }],
  [
    'refused but in audit',
    { reason: DROP_REASON.POLICY_DENIED, flags: 0x04 },
    { verdict: 'AUDIT', reason: 'POLICY_DENIED' },
  ],
  [
    'revoked but in audit',
    { reason: DROP_REASON.FLOW_REVOKED, flags: 0x04 },
    { verdict: 'AUDIT', reason: 'FLOW_REVOKED' },
  ],
  ['steered to a proxy', { verdict: VERDICT.REDIRECT }, { verdict: 'REDIRECTED', match: 'none' }],
  ['failsafe', { version: (EVENT_TYPE.FAILSAFE << 4) | 1 }, { kind: 'failsafe', verdict: 'ALLOWED' }],
  ['an ICMP error', { proto: 1, sport: 0x0103, dport: 0 }, { proto: 'ICMP', icmpType: 3, icmpCode: 1 }],
  ['nobody decided', { origin: 0 }, { rules: [] }],
  ['outgoing', { flags: 0 }, { direction: 'egress' }],
];
for (const [what, change, want] of words) {
  test(`describe – ${what}`, (t) => t.like(describe(record(change), 1, names), want));
}

test('describe – an address of IPv6 is in its short form', (t) => {
  const end = (last: number): Uint8Array =>
    Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);
  const v6 = { flags: 0x03, saddr4: undefined, daddr4: undefined, saddr6: end(5), daddr6: end(10) };
  const e = describe(record(v6), 1, names);
  t.is(e.source.ip, '2001:db8::5');
  t.is(e.destination.ip, '2001:db8::a');
});
