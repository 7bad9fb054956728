/** Who stands in a set of the unproven tables, and who has to go: all records here meet in one set. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import * as wire from '#wire/bpf';
import { tcp } from './builder.ts';
import { Fixture, IDENTITY, NODE, PEER, prepare, tcpPort, UNPROVEN_BYTES } from './fixture.ts';
import { expect, FAMILIES, type Family, inbound, outbound } from './kit.ts';
import { unprovenEntries } from './unproven.ts';
import type { Sending } from './unproven-worker.ts';

let node: Fixture;

test.before(async () => {
  await prepare();
  node = new Fixture({}, { cfg_unproven_sets: 1 });
  node.setSlot(0, 0, {
    generation: 1,
    ingress: {
      lines: [
        { verdict: 'DEFAULT_DENY', origin: 2 },
        { identity: IDENTITY.peer, port: tcpPort(80), verdict: 'ALLOW', origin: 1 },
      ],
    },
  });
});
test.beforeEach(() => {
  node.reset();
  node.setControl({});
});
test.after.always(() => node?.close());

const syn = (v: Family, port: number) =>
  node.run('host_ingress', inbound(v, tcp({ src: port, dst: 80, flags: 'S', seq: 9 })));
const answer = (v: Family, port: number) =>
  node.run('host_egress', outbound(v, tcp({ src: 80, dst: port, flags: 'SA', seq: 500 })));
const proof = (v: Family, port: number) =>
  node.run('host_ingress', inbound(v, tcp({ src: port, dst: 80, seq: 10, ack: 501 })));

/** The client's ports of those that stand there. */
function standing(v: Family): number[] {
  const isNodeFirst = Buffer.compare(Buffer.from(NODE[v]), Buffer.from(PEER[v])) < 0;
  const at = (v === 'v4' ? 8 : 32) + (isNodeFirst ? 2 : 0);
  return entries(v)
    .map(({ key }) => new DataView(key.buffer).getUint16(at))
    .sort((a, b) => a - b);
}

const table = (v: Family) => node.view(`unproven${v.slice(1)}`, UNPROVEN_BYTES);
const entries = (v: Family) => unprovenEntries(table(v), v === 'v4' ? 16 : 40);

/** All that stand there were last asked for before the machine ran, those in later places the longest ago. */
function age(v: Family): void {
  for (const { word } of entries(v)) {
    const time = table(v).getUint32(word, true);
    table(v).setUint32(word, time - 0x60000000 - 2 * word, true);
  }
}

const PORTS = [1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008];

for (const v of FAMILIES) {
  test.serial(
    `unproven – ${v}: eight stand in a set; the ninth takes the place of the longest unasked`,
    (t) => {
      for (const port of PORTS) expect(t, String(port), syn(v, port), 'pass PASS_NEW');
      t.deepEqual(standing(v), PORTS);
      age(v);
      const last = entries(v).at(-1);
      const oldest = new Uint8Array(last?.key ?? []);
      expect(t, 'ninth', syn(v, 2000), 'pass PASS_NEW');
      t.is(standing(v).length, wire.UNPROVEN_WAYS);
      t.true(standing(v).includes(2000));
      t.false(entries(v).some(({ key }) => Buffer.from(key).equals(oldest)));
    },
  );

  test.serial(`unproven – ${v}: who is asked for stays`, (t) => {
    for (const port of PORTS) syn(v, port);
    age(v);
    for (const port of PORTS.slice(1)) expect(t, 'answer', answer(v, port), 'pass PASS_REPLY');
    syn(v, 2000);
    t.deepEqual(standing(v), [...PORTS.slice(1), 2000]);
    expect(t, 'the one that had to go is judged as new', answer(v, 1001), 'pass PASS_NEW');
  });

  test.serial(`unproven – ${v}: a place is free again once its record is proven`, (t) => {
    for (const port of PORTS) syn(v, port);
    for (const port of PORTS.slice(0, 4)) {
      answer(v, port);
      t.is(proof(v, port).stats['FLOW_PROVEN'], 1);
    }
    t.deepEqual(standing(v), PORTS.slice(4));
    age(v);
    for (const port of [2001, 2002, 2003, 2004]) syn(v, port);
    t.deepEqual(standing(v), [...PORTS.slice(4), 2001, 2002, 2003, 2004], 'nobody had to go');
  });

  test.serial(`unproven – ${v}: a place that is just being filled is nobody's`, (t) => {
    syn(v, 1001);
    const [entry] = entries(v);
    if (entry === undefined) return t.fail('no record');
    const word = table(v).getBigUint64(entry.word, true);
    table(v).setBigUint64(entry.word, word & 0xffffffffn, true);
    expect(t, 'answer', answer(v, 1001), 'pass PASS_NEW');
    const others = PORTS.slice(2);
    for (const port of others) syn(v, port);
    t.deepEqual(standing(v), [1001, ...others]);
    t.is(table(v).getBigUint64(entry.word, true), word & 0xffffffffn, 'it stays claimed');
  });

  test.serial(`unproven – ${v}: two CPUs at one set leave whole records and no place claimed`, async (t) => {
    const ctx = new Uint8Array(192);
    for (const at of [36, 40]) new DataView(ctx.buffer).setUint32(at, node.wire, true);
    const fd = node.program('host_ingress');
    const senders = [0, 1].map((which) => {
      // Half of the connections are seen by both.
      const ports = Array.from({ length: 16 }, (_, i) => 3000 + which * 8 + i);
      const frames = ports.map((src) => inbound(v, tcp({ src, dst: 80, flags: 'S', seq: 9 })));
      const workerData: Sending = { fd, ctx, frames, times: 1000 };
      return once(new Worker(new URL('unproven-worker.ts', import.meta.url), { workerData }), 'exit');
    });
    await Promise.all(senders);
    const there = standing(v);
    t.is(there.length, wire.UNPROVEN_WAYS);
    t.true(there.every((port) => port >= 3000 && port < 3024));
    for (const { value } of entries(v)) {
      const { flow } = wire.readUnproven(new DataView(value.buffer));
      t.is(flow.verdict[wire.DIRECTION.INGRESS], wire.VERDICT.ALLOW);
      t.not(flow.number, 0);
    }
  });
}
