/**
 * Audit (HF-5.4): what policy alone refuses passes, is told with the reason and the rules that it would have
 * met, and is counted apart from drops; everything else drops as ever. Scopes × directions × families ×
 * reasons, then live flows across the switch, fragments, ICMP errors and XDP.
 */
import test from 'ava';
import * as wire from '#wire/bpf';
import {
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
} from './builder.ts';
import {
  Fixture,
  IDENTITY,
  NODE,
  type Outcome,
  OTHER,
  PEER,
  POD,
  prepare,
  tcpPort,
  udpPort,
} from './fixture.ts';
import { echo, expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';
import type { Rule, Rules } from './world.ts';

let node: Fixture;
let generation = 60_000;

type Verdict = Rule['verdict'];
type Reason = 'POLICY_DENIED' | 'POLICY_DENY' | 'AUTH_REQUIRED' | 'FLOW_REVOKED' | 'FRAG_NOT_FOUND';

/** Port → what the policy says of it, in either direction; the origin is the port. */
const PORTS: Readonly<Record<number, Verdict>> = { 80: 'ALLOW', 81: 'DENY', 82: 'AUTH', 83: 'REDIRECT' };

const refusing: readonly Rule[] = [
  { verdict: 'DEFAULT_DENY', origin: 2 },
  ...Object.entries(PORTS).flatMap(([port, verdict]) =>
    [tcpPort(Number(port)), udpPort(Number(port))].map((at) => ({ port: at, verdict, origin: Number(port) })),
  ),
];

/** What the refusing policy would say, staged over a direction that is open. */
const staged: Rules = {
  isStaged: true,
  lines: refusing.map((line) =>
    line.verdict === 'ALLOW' ? line : { ...line, verdict: 'ALLOW', staged: line.verdict },
  ),
};

function rules(o: { subject?: 0 | 1; ingress?: Rules; egress?: Rules } = {}): void {
  const usual: Rules = { lines: refusing };
  node.setSlot(o.subject ?? 0, 0, {
    generation: ++generation,
    ingress: o.ingress ?? usual,
    egress: o.egress ?? usual,
  });
}

/** The pod's own audit. */
function endpointAudit(isOn: boolean): void {
  const endpoints = node.view('endpoints', 4096 * wire.ENDPOINT_SIZE);
  endpoints.setUint32(wire.ENDPOINT_SIZE + wire.ENDPOINT.flags, isOn ? wire.ENDPOINT_AUDIT : 0, true);
}

/** Everything as it is enforced. */
function enforce(): void {
  rules();
  rules({ subject: 1 });
  node.setControl({});
  node.setControl({ ruleset: 1 });
  endpointAudit(false);
}

test.before(async () => {
  await prepare();
  node = new Fixture();
});
test.beforeEach(() => {
  node.reset();
  enforce();
});
test.after.always(() => node?.close());

interface Hook {
  readonly name: 'host_ingress' | 'host_egress' | 'pod_ingress' | 'pod_egress';
  readonly isIngress: boolean;
  readonly frame: (v: Family, l4: Layer) => Uint8Array<ArrayBuffer>;
}

const HOOKS: readonly Hook[] = [
  { name: 'host_ingress', isIngress: true, frame: inbound },
  { name: 'host_egress', isIngress: false, frame: outbound },
  {
    name: 'pod_ingress',
    isIngress: true,
    frame: (v, l4) => frame(ethernet(), ip({ src: PEER[v], dst: POD[v] }), l4),
  },
  {
    name: 'pod_egress',
    isIngress: false,
    frame: (v, l4) => frame(ethernet({ dst: MAC_PEER }), ip({ src: POD[v], dst: PEER[v] }), l4),
  },
];
const run = ({ name }: Hook, bytes: Uint8Array<ArrayBuffer>): Outcome =>
  node.run(name, bytes, name === 'pod_ingress' ? { cameBy: node.wire } : {});
const send = (hook: Hook, v: Family, l4: Layer): Outcome => run(hook, hook.frame(v, l4));
const HOST = HOOKS.slice(0, 2);

interface Scope {
  readonly name: string;
  readonly hooks: readonly Hook[];
  readonly begin: (hook: Hook) => void;
}

const direction = (isIngress: boolean): { ingress?: Rules; egress?: Rules } => ({
  [isIngress ? 'ingress' : 'egress']: { lines: refusing, flags: wire.RSDIR_AUDIT },
});

const SCOPES: readonly Scope[] = [
  { name: 'node', hooks: HOST, begin: () => node.setControl({ mode: 'AUDIT' }) },
  { name: 'direction', hooks: HOST, begin: ({ isIngress }) => rules(direction(isIngress)) },
  { name: 'endpoint', hooks: HOOKS.slice(2), begin: () => endpointAudit(true) },
  {
    name: 'host policy',
    hooks: HOST,
    begin: ({ isIngress }) => rules({ [isIngress ? 'ingress' : 'egress']: staged }),
  },
];

const REASONS: readonly (readonly [port: number, origin: number, reason: Reason])[] = [
  [81, 81, 'POLICY_DENY'],
  [82, 82, 'AUTH_REQUIRED'],
  [99, 2, 'POLICY_DENIED'],
];

/** The packet passes, one event tells what it would have met, and one counter moves that is no drop's. */
function audited(
  t: Parameters<typeof expect>[0],
  what: string,
  outcome: Outcome,
  reason: Reason,
  origin?: number,
): void {
  t.is(outcome.verdict, 'pass', what);
  t.true(outcome.isUnchanged, what);
  t.deepEqual(outcome.drops, {}, what);
  t.deepEqual(outcome.audited, { [reason]: 1 }, what);
  const [event] = outcome.events;
  t.is(outcome.events.length, 1, what);
  t.is((event?.version ?? 0) >> 4, wire.EVENT_TYPE.VERDICT, what);
  t.is((event?.flags ?? 0) & wire.EVENT_F_AUDIT, wire.EVENT_F_AUDIT, what);
  t.is(wire.DROP_REASON_NAMES[event?.reason ?? 0], reason, what);
  if (origin !== undefined) t.is(event?.origin, origin, what);
}

const plainly = (t: Parameters<typeof expect>[0], what: string, outcome: Outcome): void => {
  t.is(outcome.verdict, 'pass', what);
  t.deepEqual([outcome.drops, outcome.audited], [{}, {}], what);
  t.is(outcome.events.filter(({ reason }) => reason !== 0).length, 0, what);
};

for (const v of FAMILIES) {
  for (const scope of SCOPES) {
    for (const hook of scope.hooks) {
      const title = `audit – ${v}, ${scope.name}, ${hook.name}`;

      test.serial(`${title}: what policy refuses passes, and is told and counted once`, (t) => {
        const to = (dst: number) => send(hook, v, udp({ src: 1000, dst }));
        for (const [port, , reason] of REASONS) expect(t, `enforced ${port}`, to(port), `drop ${reason}`);
        node.reset();
        scope.begin(hook);
        const hits = REASONS.map(([, origin]) => node.ruleCount(origin).packets);
        for (const [port, origin, reason] of REASONS) audited(t, String(port), to(port), reason, origin);
        const grown = REASONS.map(([, origin], i) => node.ruleCount(origin).packets - (hits[i] ?? 0n));
        t.deepEqual(grown, [1n, 1n, 1n], 'the rule that would have refused has its hit');
        plainly(t, 'allowed', to(80));
      });

      test.serial(`${title}: only this scope is in audit`, (t) => {
        scope.begin(hook);
        for (const other of HOOKS) {
          const isSame = scope.hooks.includes(other);
          const isOther = scope.name === 'node' || scope.name === 'endpoint' ? !isSame : other !== hook;
          if (isOther)
            expect(t, other.name, send(other, v, udp({ src: 1000, dst: 99 })), 'drop POLICY_DENIED');
        }
      });

      test.serial(`${title}: an admitted flow goes on, and is revoked at once when audit ends`, (t) => {
        scope.begin(hook);
        const packet = () => send(hook, v, udp({ src: 1000, dst: 99 }));
        audited(t, 'first', packet(), 'POLICY_DENIED', 2);
        const again = packet();
        t.is(again.verdict, 'pass');
        t.is(again.events.length, 0, 'told once');
        t.deepEqual(again.drops, {});
        const [record] = node.flows();
        const cell = record?.flow.verdict[hook.isIngress ? 1 : 0] ?? 0;
        t.is(cell >> 4, wire.VERDICT.DEFAULT_DENY, 'the record says so');
        enforce();
        const isProven = record?.table.startsWith('unproven') !== true;
        expect(t, 'over', packet(), isProven ? 'drop FLOW_REVOKED' : 'drop POLICY_DENIED');
      });

      test.serial(`${title}: what is no word of policy drops as ever`, (t) => {
        scope.begin(hook);
        const whole = hook.frame(v, udp({ src: 1, dst: 99, data: 16 }));
        expect(t, 'cut short', run(hook, whole.slice(0, -20)), 'drop INVALID');
        if (scope.name !== 'host policy')
          expect(t, 'no proxy', send(hook, v, udp({ src: 1, dst: 83 })), 'drop L7_PROXY_UNAVAILABLE');
        if (hook.name === 'host_ingress')
          expect(t, 'flags', send(hook, v, tcp({ src: 1, dst: 80, flags: 'SF' })), 'drop INVALID_TCP_FLAGS');
        if (hook.name === 'host_ingress') {
          node.setLocal(OTHER[v]);
          const forged = node.run('host_ingress', inbound(v, udp({ src: 1, dst: 99 }), OTHER[v]));
          node.removeLocal(OTHER[v]);
          expect(t, 'forged', forged, 'drop SPOOFED_LOCAL_SOURCE');
          t.is((forged.events[0]?.flags ?? 0) & wire.EVENT_F_AUDIT, 0, 'a drop is no audit');
        }
        if (hook.name === 'pod_egress') {
          const forged = frame(ethernet(), ip({ src: OTHER[v], dst: PEER[v] }), udp({ src: 1, dst: 99 }));
          expect(t, 'forged', node.run('pod_egress', forged), 'drop INVALID_SOURCE_IP');
        }
      });
    }
  }

  test.serial(`audit – ${v}: a flow that policy revokes goes on, told once as revoked`, (t) => {
    node.run('host_egress', outbound(v, udp({ src: 1000, dst: 80 })));
    const send = () => node.run('host_egress', outbound(v, udp({ src: 1000, dst: 80 })));
    const answer = () => node.run('host_ingress', inbound(v, udp({ src: 80, dst: 1000 })));
    plainly(t, 'admitted', answer());
    rules({ egress: { lines: [{ verdict: 'DEFAULT_DENY', origin: 7 }] } });
    node.setControl({ mode: 'AUDIT' });
    audited(t, 'its answer is judged first', answer(), 'FLOW_REVOKED', 7);
    t.is(answer().events.length, 0);
    t.is(send().verdict, 'pass');
    node.setControl({});
    expect(t, 'enforced', send(), 'drop FLOW_REVOKED');
    expect(t, 'both ways', answer(), 'drop FLOW_REVOKED');
    node.setControl({ mode: 'AUDIT' });
    audited(t, 'audit again', send(), 'FLOW_REVOKED', 7);
    t.is(send().events.length, 0, 'told once here, too');
  });

  test.serial(
    `audit – ${v}: a staged policy that would revoke a live flow says so, and leaves it fast`,
    (t) => {
      const send = () => node.run('host_egress', outbound(v, udp({ src: 1000, dst: 80 })));
      node.setSlot(0, 0, { generation: ++generation });
      plainly(t, 'open', send());
      rules({ egress: { isStaged: true, lines: [{ verdict: 'ALLOW', staged: 'DENY', origin: 7 }] } });
      audited(t, 'staged', send(), 'FLOW_REVOKED', 7);
      const next = send();
      expect(t, 'the fast path', next, 'pass PASS_ESTABLISHED');
      t.is(next.stats['JUDGED'], undefined);
      t.deepEqual(next.events, []);
      rules({ egress: { lines: [{ verdict: 'DENY', origin: 7 }] } });
      expect(t, 'promoted', send(), 'drop FLOW_REVOKED');
    },
  );

  test.serial(`audit – ${v}: a connection refused by both ends of one hook is told of each`, (t) => {
    const toNode = () =>
      node.run('pod_egress', frame(ethernet(), ip({ src: POD[v], dst: NODE[v] }), udp({ src: 9, dst: 99 })));
    endpointAudit(true);
    expect(t, 'the node still refuses', toNode(), 'drop POLICY_DENIED');
    node.setControl({ mode: 'AUDIT' });
    const both = toNode();
    t.is(both.verdict, 'pass');
    t.deepEqual(both.audited, { POLICY_DENIED: 2 });
    t.is(both.events.length, 2);
    endpointAudit(false);
    expect(t, 'the pod refuses', toNode(), 'drop FLOW_REVOKED');
  });

  test.serial(`audit – ${v}: a TCP connection begins, proves itself, and is cut when audit ends`, (t) => {
    node.setControl({ mode: 'AUDIT' });
    const from = (o: Parameters<typeof tcp>[0]) => node.run('host_ingress', inbound(v, tcp(o)));
    const back = (o: Parameters<typeof tcp>[0]) => node.run('host_egress', outbound(v, tcp(o)));
    audited(t, 'SYN', from({ flags: 'S', src: 1000, dst: 99 }), 'POLICY_DENIED', 2);
    t.is(back({ flags: 'SA', seq: 500, src: 99, dst: 1000 }).verdict, 'pass');
    t.is(from({ flags: 'A', ack: 501, src: 1000, dst: 99 }).verdict, 'pass');
    const data = from({ flags: 'PA', ack: 501, src: 1000, dst: 99 });
    t.deepEqual([data.verdict, data.events.length], ['pass', 0]);
    t.deepEqual(data.audited, { POLICY_DENIED: 1 }, 'each packet is counted');
    node.setControl({});
    expect(t, 'cut', from({ flags: 'PA', ack: 501, src: 1000, dst: 99 }), 'drop FLOW_REVOKED');
    expect(t, 'its answers, too', back({ flags: 'A', seq: 501, src: 99, dst: 1000 }), 'drop FLOW_REVOKED');
  });

  test.serial(`audit – ${v}: XDP leaves to tc what audit lets pass, and counts no hit of its own`, (t) => {
    const syn = () => inbound(v, tcp({ src: 1, dst: 99, flags: 'S' }));
    const hits = () => node.ruleCount(2).packets;
    let before = hits();
    expect(t, 'enforced', node.run('xdp_host', syn()), 'drop POLICY_DENIED');
    t.is(hits() - before, 1n);
    for (const scope of SCOPES.filter(({ name }) => name !== 'endpoint')) {
      node.reset();
      enforce();
      scope.begin(HOOKS[0] as Hook);
      before = hits();
      const early = node.run('xdp_host', syn());
      expect(t, scope.name, early, 'pass');
      t.deepEqual([early.events, early.audited], [[], {}], scope.name);
      audited(t, scope.name, node.run('host_ingress', syn()), 'POLICY_DENIED', 2);
      t.is(hits() - before, 1n, scope.name);
    }
  });

  const piece = (offset: number, more: boolean, id: number, l4: Layer) =>
    v === 'v4'
      ? frame(ethernet(), ipv4({ src: PEER.v4, dst: NODE.v4, id, offset, more, protocol: 17 }), l4)
      : frame(
          ethernet(),
          ipv6({ src: PEER.v6, dst: NODE.v6 }),
          fragment6({ id, offset, more, next: 17 }),
          l4,
        );
  const rest = raw(new Uint8Array(64));

  test.serial(`audit – ${v}: fragments pass with their datagram, and alone`, (t) => {
    node.setControl({ mode: 'AUDIT' });
    const first = node.run('host_ingress', piece(0, true, 1, udp({ src: 9, dst: 99, data: 64 })));
    audited(t, 'first', first, 'POLICY_DENIED', 2);
    const later = node.run('host_ingress', piece(72, false, 1, rest));
    t.deepEqual([later.verdict, later.events.length], ['pass', 0]);
    const alone = () => node.run('host_ingress', piece(72, false, 2, rest), { remembersDrops: true });
    audited(t, 'alone', alone(), 'FRAG_NOT_FOUND', 2);
    t.is(alone().events.length, 0, 'the same again is not told of');
    expect(
      t,
      'tiny',
      node.run('host_ingress', piece(0, true, 7, raw(new Uint8Array(4)))),
      'drop INVALID_FRAG',
    );
    node.setControl({});
    const enforced = node.run('host_ingress', piece(72, false, 2, rest), { remembersDrops: true });
    expect(t, 'a drop is told of, though the same passed before', enforced, 'drop FRAG_NOT_FOUND');
  });

  test.serial(`audit – ${v}: a ping passes; errors of an audited flow are related to it`, (t) => {
    rules(direction(true));
    audited(t, 'echo', node.run('host_ingress', inbound(v, echo(v, 'request'))), 'POLICY_DENIED', 2);
    t.is(node.run('host_egress', outbound(v, echo(v, 'reply'))).verdict, 'pass');
    node.run('host_ingress', inbound(v, udp({ src: 1000, dst: 99 })));
    const unreachable = () =>
      node.run(
        'host_egress',
        frame(
          ethernet({ dst: MAC_PEER }),
          ip({ src: NODE[v], dst: PEER[v] }),
          v === 'v4' ? icmp({ protocol: 1, type: 3, code: 3 }) : icmp({ protocol: 58, type: 1, code: 4 }),
          ip({ src: PEER[v], dst: NODE[v] }),
          udp({ src: 1000, dst: 99 }),
        ),
      );
    expect(t, 'port unreachable', unreachable(), v === 'v4' ? 'pass PASS_RELATED' : 'pass');
    enforce();
    node.run('host_ingress', inbound(v, udp({ src: 1000, dst: 99 })));
    if (v === 'v4') t.is(unreachable().verdict, 'drop', 'not of a flow that is refused');
  });
}

test.serial('audit – forbidden ICMPv6 drops in audit; where only staged policies select, it passes', (t) => {
  const redirect = () =>
    node.run(
      'host_ingress',
      frame(
        ethernet(),
        ip({ src: PEER.v6, dst: NODE.v6, ttl: 255 }),
        icmp({ protocol: 58, type: 137, data: 16 }),
      ),
    );
  node.setControl({ mode: 'AUDIT' });
  expect(t, 'audit', redirect(), 'drop FORBIDDEN_ICMP6');
  node.setControl({});
  rules({ ingress: staged });
  t.is(redirect().verdict, 'pass');
});

test.serial('audit – an identity that nobody knows is audited like any other', (t) => {
  node.setControl({ mode: 'AUDIT' });
  node.setIdentity(OTHER.v4, IDENTITY.other);
  const outcome = node.run('host_ingress', inbound('v4', udp({ src: 1, dst: 99 }), OTHER.v4));
  audited(t, 'stranger', outcome, 'POLICY_DENIED', 2);
});
